#!/bin/bash
# The report of a program whose every move is known (numbers.c), field by field, however it ends.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
MIB=$((1 << 20))

(cd "$top" && $cc -std=gnu11 -D_GNU_SOURCE -Iinclude -I. -O1 -g -o "$work/numbers" test/e2e/numbers.c -L"$build" -lgmem \
	-Wl,-rpath,"$build") || exit 1

# expect NAME FIELD=VALUE...: fields are jq paths below the top
expect() {
	local name=$1 field got wrong=
	shift
	for field; do
		got=$(jq -r "${field%%=*}" report.json)
		[ "$got" = "${field#*=}" ] || wrong+="${field%%=*} is $got, not ${field#*=}"$'\n'
	done
	if [ -z "$wrong" ]; then ok "$name"; else not_ok "$name" <<<"$wrong"; fi
}

run() { # DEVICE-MEMORY END
	rm -f report.json
	{ (ulimit -c 0; exec env GMEM_DEVICE=none GMEM_PREFETCH=none GMEM_REPORT=report.json ./numbers "$1" "$2") >out 2>&1; } 2>/dev/null # no word of the shell on signals
	local status=$?
	for _ in $(seq 200); do # after a fatal signal the report comes a moment later
		[ -s report.json ] && break
		sleep 0.05
	done
	return $status
}

# 8 MiB in pages of 64 KiB: written by the CPU, then by the device, then by the CPU.
moves=(.migrated.h2d_bytes=$((8 * MIB)) .migrated.d2h_bytes=$((8 * MIB)) .migrated.h2d_pages=2048 .migrated.d2h_pages=2048
	.migrated.prefetched_pages=0 .migrated.zeroed_pages=0 '.devices|length=1' .devices[0].kernels=1
	.devices[0].kernels_failed=0 .devices[0].faults=128 .devices[0].page_bytes=65536 .devices[0].restarts=0
	.devices[0].remote_bytes=0 .managed.bytes_peak=$((8 * MIB)))
roomy=("${moves[@]}" .devices[0].mem_bytes=$((64 * MIB)) .devices[0].resident_peak_bytes=$((8 * MIB))
	.devices[0].evicted_bytes=0 .cpu_faults.count=128)

for end in exit:exit:0 _exit:exit:0 abort:signal:6 kill:signal:9 segv:signal:11; do
	IFS=: read -r how ended signal <<<"$end"
	run 64M "$how"
	name="8 MiB there and back, then $how"
	expect "$name" "${roomy[@]}" .ended="$ended" .signal="$signal"
done

# Half of it fits: whole blocks of 2 MiB go home as the second half comes, and only the second half comes home by CPU faults.
run 4M exit
expect "a device too small by half" "${moves[@]}" .devices[0].resident_peak_bytes=$((4 * MIB)) \
	.devices[0].evicted_bytes=$((4 * MIB)) .cpu_faults.count=64

# It is written when the program is gone, also for programs that end by _exit (dash).
late=0
for _ in $(seq 20); do
	rm -f late.json
	"$top/scripts/run-with-gmem.sh" --report late.json -- /bin/sh -c 'exit 0' 2>>err
	[ -s late.json ] || late=$((late + 1))
done
if [ $late = 0 ]; then ok "the report is there when the program is gone"; else not_ok "the report is there when the program is gone" <<<"$late of 20 were late"; fi

# The documentation names each field.
missing=$(jq -r 'paths(scalars) | map(select(type == "string")) | last' report.json | sort -u | while read -r field; do
	grep -q "\`[^|]*\b$field\`" "$top/docs/report.md" || echo "$field"
done)
if [ -z "$missing" ]; then ok "docs/report.md has every field"; else not_ok "docs/report.md has every field" <<<"$missing"; fi
exit $failed
