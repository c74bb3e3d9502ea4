#!/bin/sh
# Speed of malloc/free under GMEM against LD_PRELOAD=libjemalloc.so.2, as ratios (above 1: GMEM is faster).
# usage: malloc_bench.sh BENCH LIBGMEM_PRELOAD [RUNS]. Runs alternate; each ratio is of the medians of all runs.
set -eu
bench=$1 ours=$2 runs=${3:-7}
theirs=${JEMALLOC:-$(ldconfig -p | awk '/libjemalloc\.so\.2/ {print $NF; exit}')}
[ -n "$theirs" ] || { echo "malloc_bench: libjemalloc.so.2 is not installed" >&2; exit 77; }

i=0
while [ "$i" -lt "$runs" ]; do
	LD_PRELOAD=$theirs "$bench" | sed 's/^/jemalloc /'
	LD_PRELOAD=$ours "$bench" | sed 's/^/gmem /'
	i=$((i + 1))
done | sort -k1,1 -k2,2n -k3,3n -k4,4n | awk '
	{ key = $2 " " $3; k = $1 " " key; v[k, n[k]++] = $4; if (!(key in seen)) { seen[key]; order[m++] = key } }
	function median(k) { return v[k, int(n[k] / 2)] }
	END {
		printf "%-8s %9s %12s %12s %7s\n", "threads", "bytes", "jemalloc ns", "gmem ns", "ratio"
		for (i = 0; i < m; i++) {
			split(order[i], p, " "); a = median("jemalloc " order[i]); b = median("gmem " order[i])
			printf "%-8d %9d %12.1f %12.1f %7.2f\n", p[1], p[2], a, b, a / b
			s += log(a / b)
		}
		printf "geometric mean %.2f\n", exp(s / m)
	}'
