#!/bin/bash
# examples/linked: a device walks the program's own list, tree and graph; on devices of several sizes, too small ones among them.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
want='sum of the list|and with|nodes of the tree|sum of their depths|vertices reached|sum of their distances'

for device in mem=64M mem=8M mem=4M,page=4K mem=2M,page=4K mem=16M,page=2M mem=8M,workers=2; do
	if timeout 100 "$top/scripts/run-with-gmem.sh" --report report.json -- "$build/examples/linked" \
		"$build/examples/linked_kernels.so" "pcie4-gpu,$device" >out 2>err &&
		[ "$(grep -cE "^($want)" out)" = 6 ] && [ "$(jq '.devices[-1].kernels' report.json)" = 3 ]; then
		ok "linked structures, $device"
	else
		cat out err | not_ok "linked structures, $device"
	fi
done
exit $failed
