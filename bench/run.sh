#!/bin/bash
# Builds and runs the benchmarks of rows.txt: both sides of a row in turn, several times, medians compared. Prints the table
# and writes docs/bench.md. Exit status 0: every row ran (a missed target is a result, not an error).
# usage: run.sh [ROW-NAME-REGEX]   (with one, docs/bench.md stays as it is). BENCH_REPS: repetitions (5); BUILD: build folder.
# shellcheck disable=SC2317  # the functions of sides are called by rows.txt
set -u
cd "$(dirname "$0")/.." || exit 1
only=${1:-}
reps=${BENCH_REPS:-5}
BUILD=${BUILD:-build}
CPUS=$(nproc)
B=$BUILD/bench
PRELOAD=$PWD/$BUILD/libgmem_preload.so
JEMALLOC=${JEMALLOC:-$(ldconfig -p | awk '/libjemalloc\.so\.2/ {print $NF; exit}')}
JEMALLOC=${JEMALLOC:-libjemalloc.so.2}
unset "${!GMEM_@}" LD_PRELOAD
WARM="env GMEM_RETAIN=2G"
ADAPT="env GMEM_EVICT=adaptive GMEM_PREFETCH=adaptive"
export GMEM_REPORT=none WARM ADAPT B PRELOAD JEMALLOC CPUS BUILD
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export tmp

make --no-print-directory -s BUILD="$BUILD" bench-programs || exit 1

# ---- sides that are more than a command (run by rows.txt) ---------------------------------------------------------
preloaded() { LD_PRELOAD=$PRELOAD "$@"; }

# Geometric mean over the sizes, in million malloc/free pairs a second: malloc_rate LIBRARY THREADS
malloc_rate() {
	[ -r "$1" ] || { echo "$1 is not there" >&2; return 77; }
	LD_PRELOAD=$1 "$B/malloc_bench" 400000 | awk -v threads="$2" '
		$1 == threads { sum += log(1e3 / $3); n++ }
		END { if (!n) exit 1; printf "%.4f\n", exp(sum / n) }'
}

# One field of "managed" in the JSON report of gmem_touch.
report_of_touch() {
	GMEM_REPORT=$tmp/touch.json "$B/gmem_touch" "${@:2}" >/dev/null || return 1
	tr -d '\n' <"$tmp/touch.json" | sed -n 's/.*"managed": *{[^}]*"'"$1"'": *\([0-9]*\).*/\1/p' | grep .
}

# An OpenMP target program on the simulated device (gmem) or with its runtime's own plug-in (stock), with as many threads.
omp_program() {
	local how=$1
	shift
	[ -x "$1" ] || { echo "$1 is not there: it takes clang-14 and libomp-14-dev (make deps)" >&2; return 77; }
	if [ "$how" = gmem ]; then
		OMP_NUM_THREADS_DEV=$CPUS "$PWD/scripts/run-with-gmem.sh" --report none --device "pcie4-gpu,mem=1G,workers=$CPUS" -- "$@"
	else
		OMP_NUM_THREADS=$CPUS "$@"
	fi
}
# Milliseconds of a step: omp_step gmem|stock PROGRAM BYTES REPETITIONS
omp_step() {
	omp_program "$1" "$BUILD/examples/openmp/$2" "$3" "$4" | sed -n 's/.* \([0-9.]*\) ms a step: equal$/\1/p' | grep .
}
# CPU time of a program on a device too small for it, all processes, in ms: stencil_cpu [FLAGS OF THE WRAPPER]
stencil_cpu() {
	local program=$BUILD/examples/openmp/stencil
	[ -x "$program" ] || { echo "$program is not there: it takes clang-14 and libomp-14-dev (make deps)" >&2; return 77; }
	"$B/cpu_time" "$PWD/scripts/run-with-gmem.sh" --report none --device pcie4-gpu,mem=8M "$@" -- "$program" 16M 10
}
export -f preloaded malloc_rate report_of_touch omp_program omp_step stencil_cpu

# shellcheck source=bench/programs.sh
. bench/programs.sh

# ---- one row -------------------------------------------------------------------------------------------------------
# Runs one side once; its number goes to $tmp/SIDE, what it complains about to $tmp/err. Returns the side's status.
side() {
	local status

	timeout -k 5 120 bash -c "set -o pipefail; $2" >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ $status = 124 ] && echo "no end after 120 s" >"$tmp/err"
	if grep -q 'cannot be preloaded' "$tmp/err"; then # ld.so only warns, and the side would be a plain run
		status=1
	elif [ $status = 0 ] && ! grep -Eqx '[0-9]+(\.[0-9]+)?' "$tmp/out"; then
		echo "printed no number" >"$tmp/err"
		status=1
	fi
	[ $status = 0 ] && cat "$tmp/out" >>"$tmp/$1"
	return $status
}

median() {
	sort -g "$1" | awk '{ v[NR] = $1 } END { h = int((NR + 1) / 2); print NR % 2 ? v[h] : (v[h] + v[h + 1]) / 2 }'
}

# Prints "ratio<TAB>verdict" of a row: judge OURS PEER TARGET
judge() {
	awk -v ours="$1" -v peer="$2" -v target="$3" 'BEGIN {
		split(target, t, " ")
		value = t[1] == "diff" ? ours - peer : ours / peer
		text = sprintf(t[1] == "diff" ? "%+.3g" : value < 0.01 ? "%.5f" : "%.2f", value)
		met = t[2] == "<=" ? value <= t[3] : t[2] == "<" ? value < t[3] : value >= t[3]
		printf "%s\t%s\n", text, target == "-" ? "-" : met ? "yes" : "MISSED"
	}'
}

# Runs a row and prints it as tab-separated cells: name, unit, what, ours, peer, ratio, target, met. 1: it did not run.
run_row() {
	local name=$1 unit=$2 target=$3 what=$4 ours=$5 peer=$6 rep s why
	declare -A median_of

	rm -f "$tmp"/ours "$tmp"/peer
	for ((rep = 0; rep < reps; rep++)); do
		for s in ours peer; do
			side $s "${!s}" && continue
			[ $? = 77 ] && why=skipped || why=INVALID
			printf '%s\t%s\t%s\t-\t-\t-\t%s\t%s: %s\n' "$name" "$unit" "$what" "$target" $why \
				"$s: $(tail -n 1 "$tmp/err" | tr '\t|' '  ')"
			[ $why = skipped ]
			return
		done
	done
	for s in ours peer; do
		median_of[$s]=$(median "$tmp/$s")
	done
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$unit" "$what" "${median_of[ours]}" "${median_of[peer]}" \
		"$(judge "${median_of[ours]}" "${median_of[peer]}" "$target" | cut -f 1)" "$target" \
		"$(judge "${median_of[ours]}" "${median_of[peer]}" "$target" | cut -f 2)"
}

# ---- all rows, the table, the document ------------------------------------------------------------------------------
failed=0
: >"$tmp/table"
printf '%-20s %10s %10s %-8s %8s  %-14s %s\n' name ours floor/peer unit result target met
while IFS='|' read -r name unit target what ours peer; do
	name=${name%% *}
	[[ -z $name || $name == \#* || ! $name =~ ${only:-.} ]] && continue
	trim() { sed 's/^ *//; s/ *$//' <<<"$1"; }
	run_row "$name" "$(trim "$unit")" "$(trim "$target")" "$(trim "$what")" "$(trim "$ours")" "$(trim "$peer")" \
		</dev/null >"$tmp/row" || failed=1
	cat "$tmp/row" >>"$tmp/table"
	awk -F '\t' '{ printf "%-20s %10s %10s %-8s %8s  %-14s %s\n", $1, $4, $5, $2, $6, $7, $8 }' "$tmp/row"
done <bench/rows.txt
[ -s "$tmp/table" ] || { echo "run.sh: no row matches '$only'" >&2; exit 2; }

document() {
	cat <<-END
	# Speed and memory

	Written by \`make bench\`; do not edit. Both sides of a row run in turn (A B A B), $reps times; the numbers are
	medians. Result is ours / peer, or ours - peer where the target says "diff". The rows are in bench/rows.txt.

	Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $CPUS CPUs, Linux $(uname -r),
	commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%Y-%m-%d).

	| name | what is measured | ours | floor/peer | unit | result | target | met? |
	|---|---|---:|---:|---|---:|---|---|
	END
	awk -F '\t' '{ printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $3, $4, $5, $2, $6, $7, $8 }' "$tmp/table"
	echo
	echo "malloc+free by size (ratio: speed against jemalloc, above 1 is faster):"
	echo
	sh bench/malloc_bench.sh "$B/malloc_bench" "$PRELOAD" 3 2>&1 | sed 's/^/    /'
}
[ -n "$only" ] || document >docs/bench.md
exit $failed
