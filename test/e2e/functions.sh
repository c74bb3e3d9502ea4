# Sourced by end-to-end tests whose cases are functions: where things are, a folder for the test, and run_functions.
# shellcheck shell=bash disable=SC2034
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
export BUILD
top=$PWD
run=$top/scripts/run-with-gmem.sh
unset "${!GMEM_@}" LD_PRELOAD
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0

# run_functions FILE HELPERS [WHY]: every function of FILE but the helpers (a|b|c) is a case; 77: skipped, it says why, or WHY does.
run_functions() {
	local t why

	while read -r t; do
		why=$("$t" 2>&1)
		case $? in
		0) echo "ok $t" ;;
		77) echo "skip $t: ${why:-${3:-}}" ;;
		*)
			echo "not ok $t"
			printf '%s\n' "$why" | sed 's/^/    /'
			failed=1
			;;
		esac
	done < <(sed -n 's/^\([a-z_]*\)() .*/\1/p' "$1" | grep -vxE "$2")
}
