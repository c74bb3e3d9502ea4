#!/bin/bash
# Programs that print what they see of memory, signals, system calls, processes and the moment of activation: the output under
# the preload must be that of the plain run, row for row of test/contracts.txt and as a whole. Modes: no device; the
# simulated device; an in-process device (activate_now.c) with dispatch on from the start, with pages sent away at random,
# and with dispatch switched on under load; chaos. usage: contracts_test.sh [PROGRAM...] (malloc, mmap, ...)
# CHAOS_ROUNDS: how often the mode "chaos" is run, each time with another seed (1).
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
table=$top/test/contracts.txt
now=$work/activate_now.so
build_activate_now "$now" || exit 1

rows() { # program, mode, outputs...
	awk -v program="$1" -v mode="$2" -f "$top/test/e2e/contracts.awk" "$table" "${@:3}" || failed=1
}

compare() { # program, mode, environment...
	run_program "$1" "${@:3}"
	rows "$1" "$2" plain got
	same_as_plain "$1, $2"
}

programs=("$@")
if [ $# = 0 ]; then
	mapfile -t programs < <(awk '!/^#/ && NF && !seen[$2]++ {print $2}' "$table")
fi
$cc -shared -fPIC -std=gnu11 -D_GNU_SOURCE -O1 -o constructor.so "$top/test/e2e/malloc_constructor.c" || exit 1
export CONSTRUCTOR_LIB=$work/constructor.so
$cc -shared -fPIC -O2 -o rewrite.so "$top/test/e2e/rewrite_library.c" || exit 1
export REWRITE_LIB=$work/rewrite.so
for program in "${programs[@]}"; do
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -g -rdynamic -I"$top/include" -o "$program" "$top/test/e2e/${program}_contract.c" -lpthread || exit 1
	if ! timeout -k 5 120 "./$program" >plain 2>&1 </dev/null; then
		not_ok "$program, plain" <plain
		continue
	fi
	rows "$program" plain plain
	compare "$program" "no device" GMEM_DEVICE=none LD_PRELOAD="$lib"
	compare "$program" "simulated device" LD_PRELOAD="$lib"
	compare "$program" "dispatch on" LD_PRELOAD="$lib:$now"
	compare "$program" "storm" ACTIVATE_STORM=20 LD_PRELOAD="$lib:$now"
	compare "$program" "late activation" ACTIVATE_LATE=1 LD_PRELOAD="$lib:$now"
	for ((seed = 1; seed <= ${CHAOS_ROUNDS:-1}; seed++)); do
		compare "$program" "chaos seed $seed" GMEM_CHAOS=4000,seed=$seed,write LD_PRELOAD="$lib"
	done
done
exit $failed
