#!/bin/bash
# Whole programs (programs/*.sh: one script each), plain, under the preload, and under the preload with dispatch on and pages
# of the heap sent away at random all the time: output and status must be the same. usage: programs_test.sh [NAME...]
# STORM: pages sent away every millisecond in the last mode (20); ROUNDS: how often that mode is run (1).
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
now=$work/activate_now.so
build_activate_now "$now" || exit 1

# one NAME MODE VAR=VALUE...: the script's output goes to $work/MODE.out
one() {
	local script=$top/test/e2e/programs/$1.sh mode=$2 status
	shift 2
	rm -rf "$work/run" && mkdir "$work/run"
	(cd "$work/run" && timeout -k 5 180 env TZ=UTC LC_ALL=C "$@" bash "$script") >"$work/$mode.out" 2>&1 </dev/null
	status=$?
	[ $status = 124 ] && echo "no end after 180 s" >>"$work/$mode.out"
	echo "status $status" >>"$work/$mode.out"
	return $status
}

compare() { # NAME MODE VAR=VALUE...
	one "$@"
	if diff plain.out "$2.out" >diff.out; then
		ok "$1, $2"
	else
		not_ok "$1, $2" <diff.out
	fi
}

names=("$@")
if [ $# = 0 ]; then
	for script in "$top"/test/e2e/programs/*.sh; do
		names+=("$(basename "$script" .sh)")
	done
fi
for name in "${names[@]}"; do
	one "$name" plain
	case $? in
	0) ;;
	77)
		skip "$name" "$(tail -n 2 plain.out | head -n 1)"
		continue
		;;
	*)
		not_ok "$name, plain" <plain.out
		continue
		;;
	esac
	compare "$name" preload GMEM_REPORT=none LD_PRELOAD="$lib"
	for ((round = 0; round < ${ROUNDS:-1}; round++)); do
		compare "$name" storm GMEM_REPORT=none ACTIVATE_STORM="${STORM:-20}" LD_PRELOAD="$lib:$now"
	done
done
exit $failed
