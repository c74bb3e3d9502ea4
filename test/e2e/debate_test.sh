#!/bin/bash
# The experiments of docs/debate.md: each runs and finds what the page says of it, and no number is missing.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
if make -s -C "$top" BUILD="$build" debate-programs >log 2>&1; then ok "the experiments build"; else not_ok "the experiments build" <log; fi
for program in contexts first_writes link calls hints buffers remaps; do
	if GMEM_REPORT=none timeout 120 "$build/debate/$program" >out 2>err && grep -q "^$program\." out; then ok "$program"; else
		cat out err | not_ok "$program"
	fi
	cat out >>values
done
missing=$(grep -o '@[A-Za-z0-9_.]*@' "$top/debate/debate.md.in" | tr -d @ | grep -vE '^(lines|inject)\.' | while read -r key; do
	grep -q "^$key: " values || echo "$key"
done)
if [ -z "$missing" ]; then ok "every number of the page is measured"; else not_ok "every number of the page is measured" <<<"$missing"; fi
if [ -s "$top/docs/debate.md" ] && ! grep -q '@[a-z_]*\.[A-Za-z0-9_]*@' "$top/docs/debate.md"; then ok "and stands in it"; else
	not_ok "and stands in it" <<<"run make debate"
fi
exit $failed
