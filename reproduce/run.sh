#!/bin/bash
# Runs the programs of ISCA'19 on the simulated GPU and writes docs/reproduce.md: theirs beside ours. Exit status 1: a
# result was wrong, hotspot's far faults are not exactly theirs, or a time without oversubscription is off by over 10 %.
# usage: run.sh [ROW-REGEX]   (with one, docs/reproduce.md stays as it is). BUILD: build folder.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
only=${1:-}
unset "${!GMEM_@}" LD_PRELOAD
export GMEM_REPORT=none
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# What a row stands for: percent of device memory, GMEM_PREFETCH, GMEM_EVICT.
declare -A rows=(
	[none]='100 none lru2m' [seq64k]='100 seq64k lru2m' [tree]='100 tree lru2m'
	[110-lru4k]='110 none lru4k' [110-seq64k]='110 seq64k tree:1'
	[110-tree]='110 tree tree' [125-tree]='125 tree tree' [150-tree]='150 tree tree'
)

# One row, in cells: program, row, their faults, ours, percent; their ms, ours, percent; kernels' ms, MiB in, MiB home,
# pages, units.
measure() {
	local program=$1 row=$2 faults=$3 ms=$4 percent prefetch evict

	read -r percent prefetch evict <<<"${rows[$row]}"
	GMEM_PREFETCH=$prefetch GMEM_EVICT=$evict timeout 120 "$BUILD/reproduce/reproduce" "$program" "$percent" \
		>"$tmp/out" || return 1
	awk -v OFS='\t' -v program="$program" -v row="$row" -v faults="$faults" -v ms="$ms" '
		function off(a, b) { return b == "-" ? "-" : sprintf("%+.1f %%", (a / b - 1) * 100) }
		{ print program, row, faults, $1, off($1, faults), ms, sprintf("%.2f", $2), off($2, ms), $3, $4, $5, $6, $7 }
	' "$tmp/out"
}

failed=0
: >"$tmp/table"
printf '%-10s %-11s %8s %8s %10s %9s %9s %10s\n' program row theirs faults '' theirs ms ''
while IFS='|' read -r program row faults ms; do
	program=${program// /} row=${row// /} faults=${faults// /} ms=${ms// /}
	[[ -z $program || $program == \#* || ! "$program $row" =~ ${only:-.} ]] && continue
	measure "$program" "$row" "$faults" "$ms" >"$tmp/row" || { failed=1; echo "$program $row: did not run" >&2; continue; }
	cat "$tmp/row" >>"$tmp/table"
	awk -F '\t' '{ printf "%-10s %-11s %8s %8s %10s %9s %9s %10s\n", $1, $2, $3, $4, $5, $6, $7, $8 }' "$tmp/row"
done <reproduce/isca19.txt
[ -s "$tmp/table" ] || { echo "run.sh: no row matches '$only'" >&2; exit 2; }

# What must hold, one line each; nothing when all of it does.
awk -F '\t' '$1 == "hotspot" && $3 != "-" && $3 != $4 { print $1, $2 ": far faults", $4, "instead of", $3 }
	$3 != "-" && ($8 + 0 > 10 || $8 + 0 < -10) { print $1, $2 ": modelled time off by", $8 }' "$tmp/table" | tee "$tmp/missed" >&2
[ -s "$tmp/missed" ] && failed=1

# The rows of a table: cells AWK-CONDITION
cells() {
	awk -F '\t' "$1"' { printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, $6, $7, $8, $9 }' "$tmp/table"
}
# The least that any policy needs with 10 % too little memory: every launch that touches all of the arrays again misses what
# does not fit. A miss takes what it takes in the row without oversubscription.
least() {
	awk -F '\t' '
		BEGIN { again["hotspot"] = 3; again["fdtd"] = 5; plain["110-lru4k"] = "none"; plain["110-seq64k"] = "seq64k" }
		{ ms[$1, $2] = $7 / $4 }
		!($1 in again) || !($2 in plain) { next }
		{
			all = $2 == "110-lru4k" ? $12 : $13
			n = all + again[$1] * (all - int(all * 100 / 110))
			printf "| %s | %s | %d | %.1f | %s | %s |\n", $1, $2, n, n * ms[$1, plain[$2]], $6, $7
		}' "$tmp/table"
}
# shellcheck disable=SC2016  # conditions are awk's
document() {
	sed '/^@@/,$d' reproduce/text.md
	printf '\n## Without oversubscription\n\n'
	printf '| program | prefetch | far faults: theirs | ours | off by | ms: theirs | ours | off by | of it kernels |\n'
	printf '|---|---|---:|---:|---:|---:|---:|---:|---:|\n'
	cells '$3 != "-"'
	printf '\nWhat the arrays of each program cover (a fault each is the least that a policy can do):\n\n'
	printf '| program | pages of 4 KiB | units of 64 KiB |\n|---|---:|---:|\n'
	awk -F '\t' '$2 == "none" { printf "| %s | %s | %s |\n", $1, $12, $13 }' "$tmp/table"
	sed '1,/^@@ after/d; /^@@/,$d' reproduce/text.md
	printf '\n## With oversubscription\n\n'
	printf '| program | percent-policy | far faults: theirs | ours | off by | ms: theirs | ours | off by | of it kernels |\n'
	printf '|---|---|---:|---:|---:|---:|---:|---:|---:|\n'
	cells '$3 == "-"'
	sed '1,/^@@ after the second/d; /^@@/,$d' reproduce/text.md
	printf '\n| program | percent-policy | far faults: at least | ms: at least | theirs | ours |\n|---|---|---:|---:|---:|---:|\n'
	least
	printf '\n'
	sed '1,/^@@ after the least/d' reproduce/text.md
}
[ -n "$only" ] || document >docs/reproduce.md
exit $failed
