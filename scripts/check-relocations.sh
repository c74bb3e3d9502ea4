#!/bin/bash
# A library of ours reaches what it defines directly, never through the loader: a program (or another library) that has a function
# of the same name would get our own calls, and may well have called us with them. Read from the ELF files: no dynamic relocation
# may name a symbol that the same file exports. usage: check-relocations.sh LIBRARY...
set -eu
failed=0
for library; do
	named=$(comm -12 <(nm -D --defined-only -- "$library" | awk '{sub(/@.*/, "", $3); print $3}' | sort -u) \
		<(readelf -rW -- "$library" | awk '/^[0-9a-f]+ / && $5 != "" {sub(/@.*/, "", $5); print $5}' | sort -u))
	[ -z "$named" ] && continue
	echo "$library: goes through the loader for what it exports: ${named//$'\n'/ }" >&2
	failed=1
done
exit $failed
