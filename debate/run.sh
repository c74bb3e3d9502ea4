#!/bin/bash
# Runs the experiments of the debate and fills their numbers into docs/debate.md. usage: debate/run.sh [FILE]   (another place for the document)
# An experiment is a program of this folder, or one of examples/; a line "key: value" of its output takes the place of @key@ in debate.md.in.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
out=${1:-docs/debate.md}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
export GMEM_REPORT=none

note() { echo "$1" | tee -a "$work/values"; }
for program in remaps contexts first_writes link calls hints buffers; do
	timeout 300 "$BUILD/debate/$program" >"$work/out" 2>"$work/err" || { echo "$program failed:"; cat "$work/err"; failed=1; }
	tee -a "$work/values" <"$work/out"
done

# Lines of code: no blank lines, no comments.
code_lines() { "${CC:-gcc}" -fpreprocessed -dD -E -P "$@" 2>/dev/null | grep -cv '^[[:space:]]*$'; }
note "lines.driver: $(code_lines examples/minimal_driver.c)"
note "lines.mmu: $(code_lines examples/minimal_mmu.c)"
note "lines.core: $(cat core/*/*.c | code_lines -xc -)"

# Every step of core that can fail is made to, three times in ten, under a driver: does a byte come out wrong, or the program die?
runs=0 wrong=0
for site in alloc hostmem protect frame map unmap copyin copyout remap pagemap busy mprotect zero; do
	for seed in 1 2 3; do
		runs=$((runs + 1))
		GMEM_INJECT=$site%30,seed=$seed timeout 100 "$BUILD/examples/minimal" 12 >"$work/out" 2>&1
		if [ $? -gt 125 ] || grep -q "^minimal_app: y\[" "$work/out"; then wrong=$((wrong + 1)); fi
	done
done
note "inject.runs: $runs"
note "inject.wrong: $wrong"
[ "$wrong" = 0 ] || failed=1

# The keys are literal: dots and all.
awk -F': ' 'NR == FNR { value[$1] = substr($0, length($1) + 3); next }
	{ while (match($0, /@[A-Za-z0-9_.]+@/)) {
		key = substr($0, RSTART + 1, RLENGTH - 2)
		if (!(key in value)) { print "no value for " key >"/dev/stderr"; bad = 1; value[key] = "?" }
		$0 = substr($0, 1, RSTART - 1) value[key] substr($0, RSTART + RLENGTH)
	  } print }
	END { exit bad }' "$work/values" debate/debate.md.in >"$work/debate.md" || failed=1
[ $failed = 0 ] && cp "$work/debate.md" "$out"
exit $failed
