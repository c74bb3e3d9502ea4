#!/bin/bash
# A run that thrashes is told so while it runs, and --limit ends the simulation or the program.
# shellcheck disable=SC2317  # test functions are called by name
# shellcheck source=test/e2e/functions.sh
. "$(dirname "$0")/functions.sh"
cd "$tmp" || exit 1
${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O1 -g -o products "$top/test/e2e/sweep_contract.c" -lblas -lm 2>/dev/null || {
	echo "skip limits: no BLAS to link with"
	exit 77
}
export OPENBLAS_NUM_THREADS=1

products() { # flags... -- count [seconds]
	local flags=()
	while [ "$1" != -- ]; do flags+=("$1"); shift; done
	timeout 120 "$run" --blas-min 100 "${flags[@]}" -- ./products "${@:2}" >out 2>err
}
plain() { ./products "$1" >plain; }

a_thrashing_run_is_told_while_it_runs() {
	local pid i
	"$run" --blas-min 100 --device pcie4-gpu,mem=8M -- ./products 20 60 >out 2>err &
	pid=$!
	for ((i = 0; i < 300; i++)); do
		grep -q thrashes err && break
		sleep 0.1
	done
	kill -0 "$pid" || return 1 # it sleeps for a minute
	kill "$pid"
	wait "$pid"
	grep -Eq '^gmem: device 0 \(pcie4-gpu\) thrashes: [0-9]+ MiB came again that had had to go, most for .*blas.*, most of what make_matrix \(sweep_contract.c:[0-9]+\) allocated; it has 8 MiB, and what it has used so far fits from mem=[0-9]+M on$' err ||
		{ cat err; return 1; }
}
the_size_that_it_names_fits() {
	local size
	products --device pcie4-gpu,mem=8M -- 20
	size=$(grep -o 'fits from mem=[0-9]*M' err | head -n 1 | cut -d= -f2)
	products --device "pcie4-gpu,mem=$size" -- 20 || return 1
	! grep -q thrashes err || return 1
	! grep -q evicted err || { cat err; return 1; }
}
it_is_a_warning_with_or_without_a_report() {
	products --report none --device pcie4-gpu,mem=8M -- 20
	[ "$(grep -c 'gmem: device 0 .*thrashes' err)" = 1 ] || { cat err; return 1; }
	products --report none --log error --device pcie4-gpu,mem=8M -- 20
	[ ! -s err ] || { cat err; return 1; }
}
at_the_limit_pages_go_home_and_the_program_goes_on() {
	plain 20
	products --report r.json --limit faults=40 --device pcie4-gpu,mem=8M -- 20 || return 1
	diff plain out || return 1
	[ "$(grep -c 'the limit of faults was reached' err)" = 1 ] || { cat err; return 1; }
	/usr/bin/python3 - <<'END'
import json
r = json.load(open("r.json"))
d = r["devices"][0]
assert r["limit"] == "faults" and 0 < r["limit_s"] < r["wall_s"], r
assert d["modelled_s"] is None and d["kernels"] < 20, d
o = r["offload"]
assert o["blas_device"] + o["blas_host"] == 20 and o["blas_host"] > 0, o
assert r["migrated"]["d2h_bytes"] == r["migrated"]["h2d_bytes"], r["migrated"]
END
}
or_it_is_ended() {
	products --report none --limit bytes=20M,end --device pcie4-gpu,mem=8M -- 1000000
	[ $? = 143 ] || { cat err; return 1; }
	grep -q 'the limit of bytes was reached after .*SIGTERM' err
}
time_ends_it_too() {
	products --report none --limit time=1,end --device pcie4-gpu,mem=8M -- 1000000
	[ $? = 143 ] || { cat err; return 1; }
}

run_functions "$top/test/e2e/limit_test.sh" 'products|plain'
exit $failed
