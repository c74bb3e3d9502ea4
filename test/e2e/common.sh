# Sourced by the end-to-end tests: where things are, a folder for the test (the current one, removed at the end), and what
# test/run.sh counts. A test ends with: exit $failed
# shellcheck shell=bash disable=SC2034
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
lib=$build/libgmem_preload.so
cc=${CC:-cc}
unset "${!GMEM_@}" LD_PRELOAD
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

ok() { echo "ok $1"; }
skip() { echo "skip $1: $2"; }
not_ok() { # what, [lines that say why on stdin]
	echo "not ok $1"
	head -n 20 | sed 's/^/    /'
	failed=1
}

# Skips the test where packages of that group (scripts/deps.sh) are missing.
needs() { # group, what is tested
	local missing
	missing=$("$top/scripts/deps.sh" -n "$1")
	[ -n "$missing" ] || return 0
	skip "$2" "$missing not installed (scripts/deps.sh $1)"
	exit 0
}

check() { # what, command...
	if "${@:2}" >why 2>&1; then ok "$1"; else not_ok "$1" <why; fi
}

# ./products COUNT: matrix products on a device that is too small (sweep_contract.c); skips the test where it cannot be built.
build_products() { # what is tested
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -g -o products "$top/test/e2e/sweep_contract.c" -lblas -lm 2>errors && return
	skip "$1" "no BLAS to link with: $(head -n 1 errors)"
	exit 77
}

# Runs ./PROGRAM with $arguments; its output goes to `got`, its exit status to $status.
arguments=()
run_program() { # program, environment...
	timeout -k 5 120 env GMEM_REPORT=none "${@:2}" "./$1" "${arguments[@]}" >got 2>&1 </dev/null
	status=$?
}

# The whole output, against that of the plain run, which is in `plain`.
same_as_plain() { # what ran
	if [ "$status" = 0 ] && diff plain got >diff.out; then
		ok "$1"
	else
		not_ok "$1 (exit $status)" < <(head -n 10 diff.out; tail -n 5 got)
	fi
}

# A second preload (activate_now.c): an in-process device, dispatch on from the start.
build_activate_now() {
	(cd "$top" && $cc -shared -fPIC -std=gnu11 -D_GNU_SOURCE -Iinclude -I. -O2 -o "$1" test/e2e/activate_now.c -L"$build" \
		-Wl,--no-as-needed -lgmem_preload -lgmem -Wl,-rpath,"$build")
}
