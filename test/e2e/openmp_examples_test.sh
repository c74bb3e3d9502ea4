#!/bin/bash
# examples/openmp: complete OpenMP target programs, already compiled, on a device with memory for twice, once and half of their data.
# Each computes everything on the host as well and compares. The same files then run without us.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
examples="triad stencil spmv bfs nbody hash_join kmeans cg"

missing=$("$top/scripts/deps.sh" -n omp)
if [ -n "$missing" ]; then
	skip "OpenMP example programs" "missing packages: $missing"
	exit 77
fi

# on_device PROGRAM SIZE REPETITIONS: equal, and the device has really computed it. What jumps about in twice the memory (bfs)
# moves 58 GiB when every page migrates (86 s); what it touches seldom stays on the host with `counted` (0.2 s).
on_device() {
	local placement=migrate
	[ "$1 $2" = "bfs 16M" ] && placement=counted
	timeout 400 "$top/scripts/run-with-gmem.sh" --report report.json --placement $placement --device pcie4-gpu,mem=8M -- \
		"$build/examples/openmp/$1" "$2" "$3" >out 2>err &&
		grep -q ': equal$' out && [ "$(jq '.devices[0].kernels' report.json)" -ge "$3" ]
}

for program in $examples; do
	for size in 4M 8M 16M; do
		reps=2
		[ "$program" = cg ] && reps=25 # it must converge
		if on_device "$program" "$size" $reps; then
			ok "$program with $size on a device of 8M"
		else
			cat out err | not_ok "$program with $size on a device of 8M"
		fi
	done
	reps=1
	[ "$program" = cg ] && reps=25
	if OMP_TARGET_OFFLOAD=mandatory timeout 60 "$build/examples/openmp/$program" 1M $reps >out 2>err && grep -q ': equal$' out; then
		ok "$program without us, on the stock plug-in"
	else
		cat out err | not_ok "$program without us, on the stock plug-in"
	fi
done
exit $failed
