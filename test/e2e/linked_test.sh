#!/bin/bash
# examples/linked: a device walks the program's own list, tree and graph; on devices of several sizes, too small ones among them.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
want='sum of the list|and with|nodes of the tree|sum of their depths|vertices reached|sum of their distances'

gpu=pcie4-gpu,mem
for device in $gpu=64M $gpu=8M $gpu=4M,page=4K $gpu=2M,page=4K $gpu=16M,page=2M $gpu=8M,workers=2 $gpu=0 remote-accel; do
	if timeout 300 "$top/scripts/run-with-gmem.sh" --report report.json -- "$build/examples/linked" \
		"$build/examples/linked_kernels.so" "$device" >out 2>err &&
		[ "$(grep -cE "^($want)" out)" = 6 ] && [ "$(jq '.devices[-1].kernels' report.json)" = 3 ]; then
		ok "linked structures, $device"
	else
		cat out err | not_ok "linked structures, $device"
	fi
done
# Nothing is mapped for it: the kernel fails, and the program is told.
"$top/scripts/run-with-gmem.sh" -- "$build/examples/linked" "$build/examples/linked_kernels.so" iommu-dma >out 2>err
if [ $? = 1 ] && grep -qx 'linked: sum_list: Bad address' err; then ok "linked structures, iommu-dma is refused"; else
	cat out err | not_ok "linked structures, iommu-dma is refused"
fi

# A library's constructor, which runs before the preload's, sends a page away: calls are dispatched from then on.
early() { # what, environment...
	timeout 60 env GMEM_REPORT=none LD_PRELOAD="$lib" "${@:2}" ./early >got 2>&1
	if printf 'sent 0\nconstructor: served\nmain: served\n' | diff - got >diff.out; then ok "$1"; else not_ok "$1" <diff.out; fi
}
$cc -shared -fPIC -std=gnu11 -D_GNU_SOURCE -o libearly.so "$top/test/e2e/early_page.c" -I"$top/include" -L"$build" -lgmem \
	-lpthread -Wl,-rpath,"$build" || exit 1
echo 'void early_use(void); int main(void) { early_use(); return 0; }' |
	$cc -o early -x c - -L. -learly -Wl,-rpath,"$work" -Wl,-rpath-link,"$build" || exit 1
early "a page that leaves in a library's constructor"
early "and under chaos" GMEM_CHAOS=2000
early "a page that a thread of a constructor sends" EARLY_THREAD=1
exit $failed
