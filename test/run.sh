#!/bin/bash
# Runs tests one after the other and sums up: "N passed, N failed, N skipped". usage: run.sh PROGRAM...
# A program counts its own cases: Criterion's synthesis, or lines "ok NAME", "not ok NAME", "skip NAME: why" (e2e). One that
# prints neither counts as one case: passed with status 0, skipped with 77. Output is shown when something failed.
# TEST_TIMEOUT: seconds for one program (900).
set -u
export BUILD=${BUILD:-build}
unset "${!GMEM_@}" LD_PRELOAD
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

count() { grep -c "$@" "$log"; }

# Sets p, f, s from the log and the status.
judge() {
	local status=$1 line

	p=$(count '^ok ') f=$(count '^not ok ') s=$(count '^skip ')
	line=$(grep -o 'Tested: [0-9]* | Passing: [0-9]* | Failing: [0-9]* | Crashing: [0-9]*' "$log" | tail -n 1)
	if [ -n "$line" ]; then
		read -r p f s <<<"$(tr -dc '0-9 ' <<<"$line" | awk '{print $2, $3 + $4, $1 - $2 - $3 - $4}')"
	elif [ $((p + f + s)) = 0 ]; then
		case $status in
		0) p=1 ;;
		77) s=1 ;;
		esac
	fi
	if [ "$status" != 0 ] && [ "$status" != 77 ] && [ "$f" = 0 ]; then
		f=1
	fi
}

for program; do
	start=$SECONDS
	timeout -k 10 "${TEST_TIMEOUT:-900}" "$program" >"$log" 2>&1 </dev/null
	status=$?
	[ $status = 124 ] && echo "no end after ${TEST_TIMEOUT:-900} s" >>"$log"
	judge $status
	printf '%-32s %4d passed' "$(basename "$program")" "$p"
	[ "$f" = 0 ] || printf ', %d failed (status %d)' "$f" $status
	[ "$s" = 0 ] || printf ', %d skipped' "$s"
	printf '   %d s\n' $((SECONDS - start))
	if [ "$f" != 0 ]; then
		{
			grep -A 12 '^not ok' "$log" | head -n 80
			echo "-- the end:"
			tail -n 40 "$log"
		} | sed 's/^/    /'
	else
		grep '^skip ' "$log" | sed 's/^/    /'
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
