#!/bin/bash
# gmem-sweep: from one command to the knee, the allocation to blame and the cheapest policy; a limit per run; job arrays; several processes.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
sweep=$build/gmem-sweep

# A name of its own, by which what is left of a run is found.
products=$work/products$$
$cc -std=gnu11 -D_GNU_SOURCE -O1 -g -o "$products" "$top/test/e2e/sweep_contract.c" -lblas -lm 2>errors || {
	skip "gmem-sweep" "no BLAS to link with: $(head -n 1 errors)"
	exit 77
}
check() { # what, command...
	if "${@:2}" >why 2>&1; then ok "$1"; else not_ok "$1" < <(cat why text); fi
}
# shellcheck disable=SC2317 # called by name
left_over() { pgrep -f "^$products"; }
run_sweep() { timeout -k 5 300 "$sweep" --set GMEM_BLAS_MIN=100 --set OPENBLAS_NUM_THREADS=1 "$@" >text 2>&1; }

run_sweep --mem 10M,8M --placement migrate,remote --json s.json --csv s.csv --html s.html -- "$products" 6
check "it ends well" test $? = 0
check "says what fits" grep -q '^Fits in 10 MiB of device memory' text
check "says below which size it thrashes" grep -q '^Thrashes below 10 MiB: with 8 MiB it moves ' text
check "names the allocation and the kernel" grep -Eq 'make_matrix \(sweep_contract.c:[0-9]+\) asked for, 100 %.* is blas ' text
check "names the cheapest policy at each size" test "$(grep -Ec '^  with (10|8) MiB: --placement (migrate|remote), ' text)" = 2
# 6 products, three matrices of 2 MiB in, one back
check "counts what explicit copies would move" grep -q 'would move 48 MiB;' text
check "CSV has the numbers of the reports" diff <(jq -r '.runs[] | select(.copies | not) | "\(.mem_bytes),\(.report.migrated.h2d_bytes)"' s.json) \
	<(awk -F , 'NR > 1 { print $1 "," $8 }' s.csv)
check "the page can be made of the JSON later" cmp s.html <("$build/gmem-report" html s.json -o -)

run_sweep --mem 8M --limit 2 --no-copies -- "$products" 1 60
check "a run over the limit is ended and said" grep -q 'over the limit of 2 s' text
check "and nothing of it is left" test -z "$(left_over)"
run_sweep --mem 8M --no-copies -- sh -c 'exit 3'
status=$?
check "a program that fails: its status is said" test "$status" = 1 -a "$(grep -c 'exit status 3' text)" = 1
run_sweep --mem 8M --placement nowhere -- "$products"
status=$?
check "a wrong value is refused before anything runs" test "$status" = 2 -a "$(grep -c 'nowhere.*migrate' text)" = 1
run_sweep --mem 3M -- "$products"
check "and so is a size that no device has" grep -q 'not a multiple of 2M' text

"$sweep" --mem 8M --keep "$work/stopped" -- "$products" 1 60 >text 2>&1 &
until left_over >/dev/null; do sleep 0.1; done
kill -TERM $!
wait $!
check "a sweep that is stopped ends its runs" test -z "$(left_over)"

run_sweep --mem 10M,8M --no-copies --slurm job.sh --keep "$work/jobs" -- "$products" 6
check "a job array has a task for each run" grep -q '^#SBATCH --array=0-1$' job.sh
for task in 0 1; do SLURM_ARRAY_TASK_ID=$task sh job.sh; done
"$sweep" --collect "$work/jobs" >text 2>&1
check "and its tasks' runs give the same answer" grep -q '^Thrashes below 10 MiB: with 8 MiB it moves ' text

run_sweep --mem 10M --no-copies --json two.json -- sh -c "$products 1 & $products 3; wait"
check "processes of one run are added up" \
	jq -e '.runs[0] | .processes.count == 2 and .report.devices[0].kernels == 4 and .processes.h2d_bytes.min < .processes.h2d_bytes.max' two.json
exit $failed
