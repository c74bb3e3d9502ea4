#!/bin/bash
# Programs that print what they see of signals, system calls, processes and the moment of activation: the output under the
# preload must be that of the plain run. Modes: no device; the simulated device; an in-process device (activate_now.c) with
# dispatch on from the start, with pages sent away at random, and with dispatch switched on under load.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
cc=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

cd "$top" || exit 1
lib=$build/libgmem_preload.so
now=$work/activate_now.so
$cc -shared -fPIC -std=gnu11 -D_GNU_SOURCE -Iinclude -I. -O2 -o "$now" test/e2e/activate_now.c -L"$build" \
	-Wl,--no-as-needed -lgmem_preload -lgmem -Wl,-rpath,"$build" || exit 1

compare() { # test, mode, environment...
	local test=$1 mode=$2 rc
	shift 2
	timeout 120 env GMEM_REPORT=none "$@" "$work/$test" >"$work/got" 2>&1
	rc=$?
	if [ $rc -eq 0 ] && diff "$work/plain" "$work/got" >"$work/diff"; then
		echo "ok $test, $mode"
	else
		echo "not ok $test, $mode (exit $rc)"
		head -10 "$work/diff" "$work/got"
		failed=1
	fi
}

for test in malloc_contract mmap_contract syscall_contract signal_contract process_contract thread_contract activation_contract; do
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -g -o "$work/$test" "test/e2e/$test.c" -lpthread || exit 1
	timeout 120 "$work/$test" >"$work/plain" 2>&1 || {
		echo "not ok $test, plain"
		failed=1
		continue
	}
	compare $test "no device" GMEM_DEVICE=none LD_PRELOAD="$lib"
	compare $test "simulated device" LD_PRELOAD="$lib"
	compare $test "dispatch on" LD_PRELOAD="$lib:$now"
	compare $test "storm" ACTIVATE_STORM=20 LD_PRELOAD="$lib:$now"
	compare $test "late activation" ACTIVATE_LATE=1 LD_PRELOAD="$lib:$now"
	compare $test "chaos" GMEM_CHAOS=4000,write LD_PRELOAD="$lib"
done
exit $failed
