#!/bin/bash
# Chaos for an hour, in pieces of ten minutes, each with its own seed and rate: applications of app.sh in random order, against what
# they pass plain. A line for each piece goes to docs/soak.md, with what GMEM_CHAOS did meanwhile (from every process' report).
# usage: soak.sh [APP-REGEX]   SOAK_PIECES (6), SOAK_MINUTES (10) of a piece, SOAK_SEED: of the first piece (1), LOGS: keeps failures
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/../e2e/common.sh"
only=${1:-}
pieces=${SOAK_PIECES:-6} minutes=${SOAK_MINUTES:-10} seed=${SOAK_SEED:-1}
rates=(2000 500 4000)
log=$top/docs/soak.md
mapfile -t apps < <("$top/test/apps/app.sh" --list | grep -E "${only:-.}")
mkdir plain lost

if [ ! -f "$log" ]; then
	cat >"$log" <<-'END'
		# Chaos soak

		`make soak` appends a line for each piece: applications of `make test-apps` in random order under `GMEM_CHAOS=rate,seed=N,write`.
		Verdicts: test cases that passed plain and so passed again, and those that did not. The last columns are sums over the reports of
		all processes that had a device: pages that the agent read, wrote, and moved, and CPU faults that brought pages home.

		| commit | rate, seed | minutes | runs | verdicts kept | lost | processes | reads | writes | moves | CPU faults |
		|---|---|---|---|---|---|---|---|---|---|---|
	END
fi

# once APP OUT-FILE VAR=VALUE...: prints the names of what passed
once() {
	local app=$1 out=$2
	shift 2
	rm -rf "$work/run" && mkdir "$work/run"
	(cd "$work/run" && SECONDS_EACH=3 timeout -k 10 1800 env "$@" "$top/test/apps/app.sh" "$app") >"$out" 2>&1 </dev/null
	sed -n 's/^pass //p' run/verdict 2>/dev/null | sort
}

# Over all reports of the piece: processes, reads, writes, moves, CPU faults.
sums() {
	/usr/bin/python3 - "$work/reports" <<-'END'
		import glob, json, sys
		total = dict(processes=0, reads=0, writes=0, places=0, faults=0)
		for name in glob.glob(sys.argv[1] + "/*.json"):
		    try:
		        report = json.load(open(name))
		    except ValueError:  # of a process that was killed while it wrote
		        continue
		    total["processes"] += 1
		    for key in ("reads", "writes", "places"):
		        total[key] += report["chaos"][key]
		    total["faults"] += report["cpu_faults"]["count"]
		print(" | ".join(str(value) for value in total.values()))
	END
}

# One application: what it lost goes to lost/.
one() { # APP CHAOS
	local name=${1//\//_} n

	[ -f "plain/$name" ] || once "$1" plain.out >"plain/$name"
	once "$1" chaos.out GMEM_REPORT="$work/reports/%p-$RANDOM.json" GMEM_CHAOS="$2" LD_PRELOAD="$lib" >got
	n=$(comm -12 "plain/$name" got | wc -l)
	kept=$((kept + n)) runs=$((runs + 1))
	if comm -23 "plain/$name" got | grep . >lost.names; then
		lost=$((lost + $(wc -l <lost.names)))
		failed=1
		echo "lost in $1 ($2):" && sed 's/^/    /' lost.names && tail -n 12 chaos.out | sed 's/^/    | /'
		if [ -n "${LOGS:-}" ]; then cp chaos.out "$LOGS/soak-$name-$2.log"; fi
	fi
}

for ((piece = 0; piece < pieces; piece++, seed++)); do
	rate=${rates[piece % ${#rates[@]}]}
	runs=0 kept=0 lost=0 end=$((SECONDS + minutes * 60))
	rm -rf reports && mkdir reports
	RANDOM=$seed
	while [ $SECONDS -lt $end ]; do
		one "${apps[RANDOM % ${#apps[@]}]}" "$rate,seed=$seed,write"
	done
	commit=$(git -C "$top" rev-parse --short HEAD 2>/dev/null)
	echo "| ${commit:-?} | $rate, $seed | $minutes | $runs | $kept | $lost | $(sums) |" | tee -a "$log"
done
exit $failed
