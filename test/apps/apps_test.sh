#!/bin/bash
# Whole applications (app.sh) plain, and with GMEM_CHAOS taking their pages away and writing to them all the time: what passes
# plain must pass. usage: apps_test.sh [NAME-REGEX]   (make test-apps APPS=NAME-REGEX)
# CHAOS: what GMEM_CHAOS is. LOGS: a folder that keeps the output of what failed. LIMIT: seconds for one run.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/../e2e/common.sh"
only=${1:-}
CHAOS=${CHAOS:-2000,seed=1,write}
LIMIT=${LIMIT:-1800}

# once MODE APP VAR=VALUE...: MODE.out, and MODE.pass, the names of what passed
once() {
	local mode=$1 app=$2
	shift 2
	rm -rf "$work/run" && mkdir "$work/run"
	(cd "$work/run" && timeout -k 10 "$LIMIT" env "$@" "$top/test/apps/app.sh" "$app") >"$work/$mode.out" 2>&1 </dev/null
	sed -n 's/^pass //p' run/verdict 2>/dev/null | sort >"$mode.pass"
}

compare() {
	once plain "$1"
	if [ ! -s plain.pass ]; then
		skip "$1" "nothing passes plain: $(grep -m 1 '^fail' run/verdict 2>/dev/null)"
		return
	fi
	once chaos "$1" GMEM_REPORT=none GMEM_CHAOS="$CHAOS" LD_PRELOAD="$lib"
	comm -23 plain.pass chaos.pass >lost
	if [ ! -s lost ]; then
		ok "$1 ($(wc -l <plain.pass) passed plain, and so here)"
		return
	fi
	if [ -n "${LOGS:-}" ]; then cp chaos.out "$LOGS/${1//\//_}.log"; fi
	{
		sed 's/^/lost: /' lost | head -n 8
		tail -n 12 chaos.out
	} | not_ok "$1"
}

while read -r app; do
	if [[ $app =~ ${only:-.} ]]; then compare "$app"; fi
done < <("$top/test/apps/app.sh" --list)
exit $failed
