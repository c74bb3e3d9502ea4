#!/bin/bash
# tools/gmem.gdb: page faults do not stop gdb, a crash does; gmem-home shows what the program would read.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
if ! command -v gdb >/dev/null; then
	skip "gdb" "it is not installed"
	exit 0
fi
cat >seen.c <<'E2'
#include "away.h"

char *p;

__attribute__((noinline)) void look_here(char *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

int main(int argc, char **argv)
{
	p = aligned_alloc(PAGE, 64 * PAGE);
	for (int i = 0; i < 3; i++) {
		memset(p, 'A' + i, 64 * PAGE); /* page faults, but for the first */
		away(p, 64 * PAGE);
		look_here(p);
	}
	if (argc > 1)
		abort();
	*(volatile int *)16 = 1;
	return 0;
}
E2
$cc -std=gnu11 -D_GNU_SOURCE -g -O1 -I"$top/test/e2e" -o seen seen.c || exit 1
cat >commands <<'E2'
break look_here
run
set $p = $rdi
gmem-home $p 262144
printf "first %d, last %d\n", *(char *)$p, *(char *)($p + 262143)
continue
printf "again: first %d, last %d\n", *(char *)$p, *(char *)($p + 262143)
gmem-gcore got.core
delete 2
continue
printf "stopped for %lu\n", (unsigned long)$_siginfo._sifields._sigfault.si_addr
kill
E2
GMEM_REPORT=none timeout 100 gdb -nx -batch -ex "set environment LD_PRELOAD $lib" -ex "set startup-with-shell off" \
	-x "$top/tools/gmem.gdb" -x commands ./seen >out 2>&1 </dev/null
shows() { # what, line
	if grep -qx "$2" out; then ok "$1"; else not_ok "$1" <out; fi
}
if grep -q 'ptrace: Operation not permitted' out; then
	skip "gdb" "nobody may trace here"
	exit 0
fi
shows "gmem-home brings pages home" 'first 65, last 65'
shows "gdb stops at the crash, and not before" 'stopped for 16'

# A core shows what a device had: 'C' everywhere.
cat >look <<'E2'
printf "core: first %d, last %d\n", *p, p[262143]
E2
core_shows() { # what, file, what it holds
	timeout 60 gdb -nx -batch -x look ./seen "$2" >out 2>&1 </dev/null
	shows "$1" "core: first $3, last $3"
}
core_shows "gmem-gcore" got.core 66
case $(cat /proc/sys/kernel/core_pattern) in
core)
	ulimit -c unlimited 2>/dev/null
	for how in "" abort; do
		rm -f core core.*
		{ GMEM_REPORT=none LD_PRELOAD=$lib timeout 60 ./seen $how; } >/dev/null 2>&1
		core_shows "the core of a ${how:-fault}" "$(echo core*)" 67
	done
	;;
*) skip "cores" "the system puts them elsewhere" ;;
esac
exit $failed
