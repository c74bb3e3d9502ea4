#!/bin/bash
# The trace: its events add up to the report's counters, also when the program is killed; exports for Perfetto, SQLite and CSV.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
report=$build/gmem-report

build_products "the trace"
trace_run() { # name, seconds of life, flags...
	GMEM_BLAS_MIN=100 OPENBLAS_NUM_THREADS=1 timeout -k 5 "$2" env BUILD="$build" "$top/scripts/run-with-gmem.sh" --trace "$1.gmt" --report "$1.json" \
		"${@:3}" >"$1.out" 2>&1
}

# Each sum beside the counter that it must be: name, sum, counter.
cat >sums.sql <<'END'
.mode list
WITH d AS (SELECT kind, pages, merged, spurious, failed FROM event), sum(name, is_, must) AS (
 SELECT 'h2d_pages', (SELECT total(pages) FROM d WHERE kind = 'to_device'), (SELECT value FROM counter WHERE name = 'migrated.h2d_pages') UNION ALL
 SELECT 'd2h_pages', (SELECT total(pages) FROM d WHERE kind = 'to_host'), (SELECT value FROM counter WHERE name = 'migrated.d2h_pages') UNION ALL
 SELECT 'zeroed_pages', (SELECT total(pages) FROM d WHERE kind = 'zero'), (SELECT value FROM counter WHERE name = 'migrated.zeroed_pages') UNION ALL
 SELECT 'prefetched', (SELECT total(pages) FROM d WHERE kind = 'prefetch'), (SELECT value FROM counter WHERE name = 'migrated.prefetched_pages') UNION ALL
 SELECT 'cpu_faults', (SELECT count(*) FROM d WHERE kind = 'cpu_fault' AND NOT spurious), (SELECT value FROM counter WHERE name = 'cpu_faults.count') UNION ALL
 SELECT 'spurious', (SELECT count(*) FROM d WHERE kind = 'cpu_fault' AND spurious), (SELECT value FROM counter WHERE name = 'cpu_faults.spurious') UNION ALL
 SELECT 'throttled', (SELECT count(*) FROM d WHERE kind = 'throttle'), (SELECT value FROM counter WHERE name = 'thrash.throttled') UNION ALL
 SELECT 'pins', (SELECT count(*) FROM d WHERE kind = 'park'), (SELECT value FROM counter WHERE name = 'thrash.pins') UNION ALL
 SELECT 'forks', (SELECT count(*) FROM d WHERE kind = 'fork'), (SELECT value FROM counter WHERE name = 'forks.count') UNION ALL
 SELECT 'faults', (SELECT count(*) FROM d WHERE kind = 'device_fault' AND NOT merged), (SELECT faults FROM device) UNION ALL
 SELECT 'merged', (SELECT count(*) FROM d WHERE kind = 'device_fault' AND merged), (SELECT faults_merged FROM device) UNION ALL
 SELECT 'evicted', (SELECT 4096 * total(pages) FROM d WHERE kind = 'evict'), (SELECT evicted_bytes FROM device) UNION ALL
 SELECT 'remote', (SELECT 4096 * total(pages) FROM d WHERE kind = 'bus'), (SELECT remote_bytes FROM device) UNION ALL
 SELECT 'kernels', (SELECT count(*) FROM d WHERE kind = 'launch' AND NOT failed), (SELECT kernels FROM device))
SELECT name, is_, must FROM sum WHERE is_ != must OR must IS NULL;
SELECT 'lost' WHERE (SELECT value FROM counter WHERE name = 'trace.lost') != 0;
END
# shellcheck disable=SC2317 # called by name
sums() { # name
	$report export "$1.gmt" --sqlite "$1.db" && [ -z "$(sqlite3 "$1.db" <sums.sql | tee /dev/stderr)" ]
}

trace_run evict 60 --device pcie4-gpu,mem=6M -- ./products 6 0 read
check "all sums are the report's counters: eviction, CPU faults, a fork" sums evict
trace_run bus 60 --device pcie4-gpu,mem=6M --placement remote -- ./products 3 0 read
check "over the bus" sums bus
trace_run none 60 --device pcie4-gpu,mem=6M --prefetch none --placement duplicate -- ./products 3 0 read
check "with copies for readers, without prefetch" sums none
trace_run killed 4 --device pcie4-gpu,mem=8M -- ./products 3 60
check "of a program that was killed" sums killed
check "that something was counted at all" test "$(sqlite3 evict.db "SELECT count(DISTINCT kind) FROM event")" -ge 10

check "a CPU fault has its instruction, thread, cause and call site" \
	test "$(sqlite3 evict.db "SELECT count(*) FROM event WHERE kind = 'cpu_fault' AND (pc = 0 OR thread = 0)")" = 0
check "bytes that come home name what brought them" test "$(sqlite3 evict.db "SELECT group_concat(DISTINCT cause) FROM event
	WHERE kind = 'to_host' AND cause NOT IN ('evict', 'cpu fault', 'system call', 'fork')")" = ""
check "device faults name their kernel" test "$(sqlite3 evict.db "SELECT group_concat(DISTINCT kernel) FROM event WHERE kind = 'device_fault'")" = blas
trace_run alone 60 --report none --device pcie4-gpu,mem=6M -- ./products 3
check "also where there is no report" grep -q 'make_matrix (sweep_contract.c:' <($report export alone.gmt --csv /dev/stdout)
check "and who asked for the memory" grep -q 'make_matrix (sweep_contract.c:' <(sqlite3 evict.db "SELECT DISTINCT site FROM event")

$report export evict.gmt --csv evict.csv --perfetto perfetto.json
check "CSV has a line for each event" test "$(wc -l <evict.csv)" = $(($(jq .trace.events evict.json) + 1))
check "Perfetto's file has tracks for the device and the threads" jq -e '.traceEvents | (map(select(.ph == "M") | .args.name) |
	any(startswith("device pcie4-gpu")) and any(startswith("thread "))) and (map(select(.ph == "X" and .name == "blas")) | length == 6)' perfetto.json
check "and nothing without its time and place" \
	jq -e '[.traceEvents[] | select(.ph != "M" and ((.ts | type) != "number" or .ts < 0 or (.pid | type) != "number"))] == []' perfetto.json
head -c 1000 evict.gmt >cut.gmt
check "half a file is refused" grep -q 'cut.gmt has no end' <($report export cut.gmt --csv x.csv 2>&1)

# The rings are larger than a small limit for files: the program is not what ends.
(ulimit -f 100 && BUILD="$build" "$top/scripts/run-with-gmem.sh" --trace limited.gmt -- /bin/sh -c 'exit 7') >limited.out 2>&1
limited=$?
check "a limit for files does not end a program that is traced" test $limited = 7
exit $failed
