#!/bin/bash
# The report's call sites: what two known allocations moved, by the names of the functions.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-optimize-sibling-calls -o "$work/prog" "$top/test/e2e/sites_contract.c" || exit 1
LD_PRELOAD=$build/libgmem_preload.so GMEM_REPORT=$work/report.json "$work/prog" || exit 1

# Of the site whose name matches: one line "h2d d2h CPU faults".
site() {
	jq -r --arg f "$1" '.sites[] | select(.where | test($f)) | "\(.h2d_bytes) \(.d2h_bytes) \(.cpu_faults)"' "$work/report.json"
}

expect() { # what, want, got
	if [ "$2" = "$3" ]; then
		echo "ok $1"
	else
		echo "not ok $1: '$3' instead of '$2'"
		jq .sites "$work/report.json"
		failed=1
	fi
}

where='where it was asked for'
expect "malloc, $where" "$((16 << 20)) $((16 << 20)) 256" "$(site '^take_array .*sites_contract.c:')"
expect "mmap, $where" "$((8 << 20)) $((8 << 20)) 128" "$(site '^take_by_mmap .*sites_contract.c:')"
expect "all of it" "$(jq .migrated.h2d_bytes "$work/report.json")" "$(jq '[.sites[].h2d_bytes] | add' "$work/report.json")"
LD_PRELOAD=$build/libgmem_preload.so GMEM_REPORT=$work/report.json "$work/prog" nodes || exit 1
# Small blocks are sampled: most of their 10 MiB must be known, and the wrapper that hands them on must not be it.
nodes=$(site '^take_nodes .*sites_contract.c:' | awk '{ sum += $1 } END { print (sum > 6 * 2 ^ 20) }')
expect "most of the small blocks, $where" 1 "$nodes"
expect "and through what" "xalloc take_nodes nodes_away main" "$(jq -r '.sites[] | select(.where | test("^take_nodes ")) | .stack' "$work/report.json" |
	head -n 1 | sed 's/ ([^)]*)//g; s/ < / /g')"
# clang writes no table of which unit has which addresses; and what has no lines is named by the symbol that it lies in.
if clang=$(command -v clang || command -v clang-14); then
	(cd "$top" && $clang -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -O1 -g -o "$work/prog" test/e2e/sites_contract.c) || exit 1
	LD_PRELOAD=$build/libgmem_preload.so GMEM_REPORT=$work/report.json "$work/prog" || exit 1
	expect "built by clang" "$((16 << 20)) $((16 << 20)) 256" "$(site '^take_array .*sites_contract.c:')"
fi
strip -g "$work/prog"
LD_PRELOAD=$build/libgmem_preload.so GMEM_REPORT=$work/report.json "$work/prog" || exit 1
expect "without lines: the symbol" "$((16 << 20)) $((16 << 20)) 256" "$(site '^take_array in prog')"
exit $failed
