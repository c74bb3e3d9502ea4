#!/bin/bash
# An MPI program of two ranks: its results are those of a plain run, its reports are told apart by rank and made into one; a sweep under mpirun.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
needs mpi "MPI"
report=$build/gmem-report
mpicc -std=gnu11 -O1 -g -o program "$top/test/e2e/mpi_contract.c" -lblas 2>errors || {
	skip "MPI" "no MPI or BLAS to link with: $(head -n 1 errors)"
	exit 77
}
export GMEM_BLAS_MIN=100 OPENBLAS_NUM_THREADS=1 BUILD=$build
mpirun=(mpirun --allow-run-as-root --oversubscribe -n 2)
if ! timeout -k 5 60 "${mpirun[@]}" ./program >plain 2>errors; then
	skip "MPI" "mpirun does not work here: $(grep -m 1 . errors)"
	exit 77
fi

# ---- each rank under GMEM ----
timeout -k 5 120 "${mpirun[@]}" "$top/scripts/run-with-gmem.sh" --device pcie4-gpu,mem=4M --report run-%r.json --trace run-%r.gmt -- ./program >got 2>errors
check "two ranks print what they print without GMEM" diff plain got
check "each has a report of its rank" test "$(jq -r .rank run-0.json run-1.json | tr '\n' ' ')" = "0 1 "
check "and a trace" test "$("$report" export run-1.gmt --csv 1.csv && grep -c ',launch,' 1.csv)" = 4
check "one report of both" "$report" merge run-1.json run-0.json -o all.json
cp why text
check "a row for each, by rank" test "$(awk '$1 ~ /^[01]$/ { printf "%s %s ", $1, $2 }' text)" = "0 $(jq .pid run-0.json) 1 $(jq .pid run-1.json) "
check "least, middle and most" test "$(awk '$1 ~ /^(min|median|max)$/ { print $2 }' text | tr '\n' ' ')" = \
	"$(jq -s -r 'map(.devices[0].faults) | sort | "\(.[0]) \(add / 2 | if . == floor then . else (. / 2 | round) * 2 end) \(.[1]) "' run-0.json run-1.json)"
check "counts are added up" jq -e -s '.[0].devices[0].kernels == 6 and .[0].migrated.h2d_bytes == .[1].migrated.h2d_bytes + .[2].migrated.h2d_bytes' \
	all.json run-0.json run-1.json
check "a device's peak is no sum" jq -e '.devices[0] | .resident_peak_bytes <= .mem_bytes' all.json
check "the tools read it" "$report" all.json
check "and the page has the rows" grep -q '<caption>2 processes' <("$report" html all.json -o -)

# ---- sweeps ----
sweep() { timeout -k 5 200 "$build/gmem-sweep" --set GMEM_BLAS_MIN=100 --set OPENBLAS_NUM_THREADS=1 --mem 8M,4M --no-copies "$@" >text 2>&1; }
says() { # what the sweep was
	check "$1: below which size each rank thrashes" grep -q '^Thrashes below 8 MiB' text
	check "$1: ranks at both sides of the knee" test "$(grep -Ec '^ +[01]  ' text)" = 4
	check "$1: rank 1 moves more" jq -e '[.runs[].processes.rows | (map(.rank) == ["0", "1"]) and .[1].faults >= .[0].faults] | all' s.json
	check "$1: nothing is said to be measured that was not" test "$(grep -c measured text)" = "$2"
}
sweep --json s.json --check --launcher "${mpirun[*]}" -- ./program
says "a sweep with a launcher" 0
# shellcheck disable=SC2016 # awk
check "its replays are what the runs count" awk '/^The replays are off by at most/ { ok = $8 + 0 <= 3 && $12 + 0 <= 3 && $17 + 0 <= 10 } END { exit !ok }' text
sweep --json s.json -- "${mpirun[@]}" ./program
says "a sweep of mpirun" 0
sweep --json s.json --real --launcher "${mpirun[*]}" -- ./program
says "real runs with a launcher" 3
sweep --slurm job.sh --keep "$work/jobs" --launcher "${mpirun[*]}" -- ./program
for task in 0 1; do SLURM_ARRAY_TASK_ID=$task sh job.sh; done
"$build/gmem-sweep" --collect "$work/jobs" >text 2>&1
check "a job array's tasks use it, too" test "$(grep -Ec '^ +[01]  ' text)" = 4
exit $failed
