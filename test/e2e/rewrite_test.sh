#!/bin/bash
# Rewritten system calls (preload/dispatch/rewrite.c): nearly none comes by a signal, a file that is another by now is left
# alone, and who looks at the process (gdb, strace, perf) sees what there is. The contracts are in rewrite_contract.c.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
now=$work/activate_now.so
build_activate_now "$now" || exit 1
preload=(env GMEM_REPORT=none LD_PRELOAD="$lib:$now")

# dispatched COMMAND...: how many calls of it came by a signal
dispatched() {
	ACTIVATE_VERBOSE=1 "${preload[@]}" "$@" 2>&1 >/dev/null | sed -n 's/^dispatched \([0-9]*\) .*/\1/p' | tail -n 1
}
few() { # what, at most, COMMAND...
	local n
	n=$(dispatched "${@:3}")
	if [ -n "$n" ] && [ "$n" -le "$2" ]; then
		ok "$1"
	else
		not_ok "$1" <<<"dispatched: $n, of at most $2"
	fi
}
few "python stats without a signal" 300 /usr/bin/python3 -c 'import os
for i in range(20000): os.stat("/usr/bin/env")'
few "perl writes without a signal" 300 perl -e 'for (1..20000) { syswrite(STDOUT, "x" x 64) }'

# A program that is no longer where it was: its own calls stay dispatched, and right.
cat >raw.c <<'C'
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	long n = 0;
	for (int i = 0; i < 1000; i++)
		n += getppid() > 0;
	rename(argv[0], "gone");
	for (int i = 0; i < 1000; i++) {
		long r;
		__asm__ volatile("mov $110, %%eax\n\tsyscall" : "=a"(r) : : "rcx", "r11", "memory");
		n += r > 0;
	}
	printf("%ld\n", n);
	return 0;
}
C
$cc -O1 -o raw raw.c || exit 1
cp raw raw2
if [ "$("${preload[@]}" ./raw)" = 2000 ]; then
	ok "a program whose file is gone goes on"
else
	not_ok "a program whose file is gone goes on" </dev/null
fi

if command -v gdb >/dev/null; then
	timeout -k 5 60 gdb -batch -nx -ex 'set startup-with-shell off' -ex 'set environment GMEM_REPORT none' \
		-ex "set environment LD_PRELOAD $lib:$now" -ex 'handle SIGSYS SIGSEGV nostop noprint pass' -ex 'break getppid' -ex run -ex bt -ex delete -ex continue ./raw2 >gdb.out 2>&1 </dev/null
	if grep -q 'getppid' gdb.out && grep -q 'main' gdb.out && grep -q '^2000' gdb.out; then
		ok "gdb stops in a rewritten function"
	else
		not_ok "gdb stops in a rewritten function" <gdb.out
	fi
else
	skip "gdb" "not installed"
fi

if command -v strace >/dev/null; then
	cp gone raw3
	timeout -k 5 60 strace -f -o strace.out "${preload[@]}" ./raw3 >out 2>&1
	if [ "$(cat out)" = 2000 ] && [ "$(grep -c getppid strace.out)" -ge 2000 ]; then
		ok "strace sees every call"
	else
		not_ok "strace sees every call" < <(cat out; tail -n 5 strace.out)
	fi
else
	skip "strace" "not installed"
fi
exit $failed
