#!/bin/bash
# gmem-top: a process under GMEM is seen while it runs, with its device, memory and rates, and no longer when it has ended.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
top_=$build/gmem-top

build_products "gmem-top"
# Products without end on a device that is too small.
env LD_PRELOAD="$lib" GMEM_BLAS_MIN=100 OPENBLAS_NUM_THREADS=1 GMEM_DEVICE=pcie4-gpu,mem=6M GMEM_REPORT="$work/r.json" ./products 1000000 &
pid=$!
until "$top_" --once --json --interval 0.2 >now.json && jq -e ".[] | select(.pid == $pid) | .devices[0].kernels > 1" now.json >/dev/null; do
	kill -0 $pid || exit 1
done
"$top_" --once --json --interval 1 >now.json
"$top_" --once --interval 0.2 >text
"$build/gmem-report" --live | jq "map(select(.report.pid == $pid))" >seen.json
kill -STOP $pid
"$top_" --once --json --interval 0.2 >stopped.json
kill -CONT $pid
check "a process that runs is seen, with its command" jq -e ".[] | select(.pid == $pid) | .command == \"./products 1000000\"" now.json
check "and its device: what is resident, of how much" \
	jq -e ".[] | select(.pid == $pid) | .devices[0] | .mem_bytes == 6 * 1048576 and .resident_bytes > 0 and .resident_bytes <= .mem_bytes" now.json
check "and what goes over the link per second" jq -e ".[] | select(.pid == $pid) | .to_devices_bytes_per_s > 0 and .devices[0].faults_per_s > 0" now.json
check "that it thrashes: all that comes had to go before" jq -e ".[] | select(.pid == $pid) | .devices[0] | .thrashes and .refetched_bytes_per_s > 0" now.json
check "as text as well" grep -Eq "^ *$pid .*\./products 1000000" text
check "one that is stopped is shown still" jq -e ".[] | select(.pid == $pid) | .cpu_faults_per_s == 0" stopped.json
kill $pid
wait $pid
"$top_" --once --json --interval 0.2 >after.json
check "one that has ended is not" jq -e "map(select(.pid == $pid)) == []" after.json
cat >reuse.py <<'END'
from copy import deepcopy
import json
from gmem_tools import top
one = json.load(open('seen.json', encoding='utf-8'))[0]
later, other = deepcopy(one), deepcopy(one)
later['report']['wall_s'] += 1
other['report']['wall_s'] = 0.1
for p in later, other:
    p['now']['time_ns'] += 10**9
    p['report']['cpu_faults']['count'] = 7
rate = [top.rates(one, p)['cpu_faults_per_s'] for p in (later, other)]
assert rate[0] is not None and rate[1] is None, rate
END
check "a process that got another's number has no rates at first" env PYTHONPATH="$build/python" /usr/bin/python3 -B reuse.py
check "that nothing runs is said" grep -q 'No process of this user' \
	<(cd "$build/python" && /usr/bin/python3 -B -c 'from gmem_tools import top; print(*top.lines([]))')
exit $failed
