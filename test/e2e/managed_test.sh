#!/bin/bash
# Which memory of a program is managed (the report counts it): what a hint asks for is, because a hint binds nobody; fixed
# addresses and low ones are not. Under chaos the program computes the same.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
$cc -std=gnu11 -D_GNU_SOURCE -O1 -o managed "$top/test/e2e/managed.c" || exit 1

managed_mib() { # COMMAND...: prints what the report counts
	timeout 100 "$top/scripts/run-with-gmem.sh" --report report.json "${chaos[@]}" -- "$@" >got 2>err &&
		jq '.managed.bytes_peak / 1048576 | floor' report.json
}
check() { # HOW yes|no
	local mib want
	chaos=()
	mib=$(managed_mib ./managed "$1")
	want=$([ "$2" = yes ] && echo "${mib:-0} -ge 16" || echo "${mib:-99} -lt 16")
	# shellcheck disable=SC2086 # three words
	if [ $want ] && [ "$(cat got)" = 522240 ]; then ok "managed: $1: $2"; else echo "$mib MiB" | cat - got err | not_ok "managed: $1: $2"; fi
	chaos=(--chaos "2000,write")
	managed_mib ./managed "$1" >mib
	if [ "$(cat got)" = 522240 ]; then ok "$1, chaos"; else cat got err | not_ok "$1, chaos"; fi
}
check "hint" yes
check "low hint" yes
check "reserved, then protected" yes
check "reserved, then mapped" yes
check "low only" no
check "fixed" no
exit $failed
