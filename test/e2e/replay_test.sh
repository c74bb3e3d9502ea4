#!/bin/bash
# A program is recorded once and replayed under other configurations: what the replay says is what a run does.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
products=$work/products
$cc -std=gnu11 -D_GNU_SOURCE -O1 -g -o "$products" "$top/test/e2e/sweep_contract.c" -lblas -lm 2>errors || {
	skip "replays" "no BLAS to link with: $(head -n 1 errors)"
	exit 77
}
export GMEM_BLAS_MIN=100 OPENBLAS_NUM_THREADS=1
check() { # what, command...
	if "${@:2}" >why 2>&1; then ok "$1"; else not_ok "$1" < <(cat why text); fi
}
record() { # file, program...
	GMEM_PREFETCH=tree:1 GMEM_THRASH=none GMEM_RECORD=$1 GMEM_REPORT=recorded.json timeout 100 "$top/scripts/run-with-gmem.sh" -- "${@:2}"
}
replay() { timeout 100 "$build/gmem-replay" "$@"; }
faults() { jq '.devices[0].faults' "$1"; }

# ---- against runs ----
timeout -k 5 200 "$build/gmem-sweep" --set GMEM_BLAS_MIN=100 --set OPENBLAS_NUM_THREADS=1 --check --mem 10M,8M,6M \
	--placement migrate,remote,first-use --evict lru2m,lru4k -- "$products" 6 1 x >text 2>&1
check "a sweep replays, and holds some of it against runs" grep -q '^The replays are off by at most' text
# shellcheck disable=SC2016 # awk
check "faults and bytes are those of the runs within 3 %, times within 10 %" awk '
	/^The replays are off by at most/ { ok = $8 + 0 <= 3 && $12 + 0 <= 3 && $17 + 0 <= 10; print $8, $12, $17 }
	END { exit !ok }' text

# ---- what a recording does not tell is run ----
timeout -k 5 200 "$build/gmem-sweep" --set GMEM_BLAS_MIN=100 --set OPENBLAS_NUM_THREADS=1 --no-copies --mem 6M --evict lru2m,adaptive \
	--json s.json -- "$products" 6 >text 2>&1
check "a sweep runs what would let go of pages in use, and says so" grep -q '^Run, not replayed: --evict adaptive' text
check "and that only" jq -e '[.runs[] | select(.wall_s != null) | .policies.evict] == ["adaptive"]' s.json
GMEM_EVICT=adaptive GMEM_DEVICE=pcie4-gpu,mem=6M GMEM_REPORT=run.json timeout 100 "$top/scripts/run-with-gmem.sh" -- "$products" 6 >/dev/null 2>&1
check "with the faults of a run" test "$(jq '.runs[] | select(.wall_s != null) | .report.devices[0].faults' s.json)" = "$(faults run.json)"
check "of one thread of the device nothing is said" test "$(grep -c 'touch pages side by side' text)" = 0
stencil=$build/examples/openmp/stencil
if [ -x "$stencil" ]; then
	for workers in 1 2; do
		timeout -k 5 200 "$build/gmem-sweep" --no-copies --check --mem 8M --device pcie4-gpu,workers=$workers -- "$stencil" 16M 1 >text$workers 2>&1
	done
	check "one worker: as the runs" grep -q '^The replays are off by at most 0.0 % in faults, 0.0 % in bytes moved' text1
	check "several workers: that runs differ is said" test "$(cat text1 text2 | grep -c 'touch pages side by side')" = 1
	check "and each is held against several runs" grep -Eq '^Checked with 8 MiB, the default policies: faults [0-9,]+, really [0-9,]+' text2
fi

# ---- the recording ----
"$products" 3 >plain
record r.gmr "$products" 3 >managed 2>/dev/null
check "a program that is recorded prints what it prints" cmp plain managed
printf '%s\tGMEM_DEVICE=pcie4-gpu,mem=%s\n' a.json 64M b.json 6M | replay r.gmr >text
check "each configuration has its report" diff <(sort text) <(printf 'a.json\tdone\nb.json\tdone\n')
check "less memory, more faults" test "$(faults a.json)" -lt "$(faults b.json)"
for n in $(seq 1000); do
	printf 'many/%d.json\tGMEM_DEVICE=pcie4-gpu,mem=%dM\tGMEM_EVICT=tree:%d\n' "$n" $((6 + 2 * (n % 10))) $((n % 100 + 1))
done >thousand
mkdir many
check "a thousand configurations are replayed" test "$(replay r.gmr <thousand | grep -c 'done$')" = 1000
check "again gives the same" diff <(faults many/10.json) <(printf 'c.json\t%s\n' "$(sed -n 10p thousand | cut -f 2-)" | replay r.gmr >/dev/null; faults c.json)

# ---- what cannot be read ----
refused() { # what, words, file
	printf 'x.json\n' | replay "$3" >text 2>&1
	check "$1" grep -q "$2" text
}
cp r.gmr new.gmr && printf '\143' | dd of=new.gmr bs=1 seek=8 conv=notrunc 2>/dev/null
refused "a recording of a later version is refused, with both numbers" 'has version 99; this gmem-replay reads up to 1' new.gmr
head -c 3000 r.gmr >short.gmr
refused "so is a part of one" 'is not a recording of gmem' short.gmr
refused "and any other file" 'is not a recording of gmem' recorded.json
head -c 100000 r.gmr >half.gmr
printf 'x.json\n' | replay half.gmr >text 2>&1
check "the beginning of one is replayed as far as it goes" grep -Eq '^x.json	(done|least)' text
# records of nonsense: wherever they point, nothing crashes
python3 - r.gmr >wild.gmr <<'PY'
import random, sys
random.seed(7)
b = bytearray(open(sys.argv[1], 'rb').read(400000))
for _ in range(3000):
    b[random.randrange(4096, len(b))] = random.randrange(256)
sys.stdout.buffer.write(b)
PY
printf 'x.json\tGMEM_DEVICE=pcie4-gpu,mem=6M\n' | replay wild.gmr 20 >text 2>&1
check "a damaged one is replayed as far as it has sense" grep -Eq '^x.json	(done|least|cut)' text
printf 'x.json\tGMEM_DEVICE=pcie4-gpu,page=4K\n' | replay r.gmr >text 2>&1
check "pages of another size are refused" grep -q 'recorded by pages of 65536 bytes, the device has 4096' text
printf 'x.json\tGMEM_EVICT=nothing\n' | replay r.gmr >text 2>&1
check "so is a policy that there is not, with the valid ones" grep -q 'GMEM_EVICT.*lru2m' text
GMEM_RECORD=/nowhere/r.gmr "$top/scripts/run-with-gmem.sh" -- "$products" 3 >managed 2>text
check "where nothing can be written that is said" grep -q 'cannot record in /nowhere/r.gmr' text
check "and the program runs" cmp plain managed

# ---- the graph: pages that a launch comes back to again and again ----
if [ -x "$build/examples/openmp/bfs" ]; then
	timeout -k 5 280 "$build/gmem-sweep" --mem 12M,8M --placement migrate,remote --json s.json -- "$build/examples/openmp/bfs" 11M 1 >text 2>&1
	check "the graph thrashes below 12 MiB, and by how much at least" grep -q '^Thrashes below 12 MiB: with 8 MiB it moves at least ' text
	check "because of its nodes, in its levels" grep -Eq 'make_nodes \(bfs.c:[0-9]+\).*is expand line' text
	check "over the bus is the cheapest there" grep -q '^  with 8 MiB: --placement remote' text
	check "the JSON says which are bounds" jq -e '[.runs[] | select(.least) | .mem_bytes] | unique == [8388608]' s.json
fi
exit $failed
