# shellcheck shell=bash disable=SC2154
# Sourced by the tests of parallel regions (--offload openmp), after common.sh: what programs print and how they end must be the same as
# without a device.
src=$top/test/e2e/parallel
export OMP_NUM_THREADS=4
gmem() { timeout 100 "$top/scripts/run-with-gmem.sh" --report report.json "$@"; }
launches() { jq '[.kernels[] | select(.name | test("_omp_fn[.]|omp_outlined")) | .launches] | add // 0' report.json; }
# NAME LEAST COMMAND...: prints what is in `want`, ends with $ends, and so many regions at least have run on the device
same() {
	local name=$1 least=$2 status
	shift 2
	"$@" >got 2>err
	status=$?
	if [ $status = "$ends" ] && cmp -s got want && [ "$(launches)" -ge "$least" ]; then
		ok "$name"
	else
		{ echo "exit $status, expected $ends; $(launches) regions on the device" && diff want got && cat err; } | not_ok "$name"
	fi
	rm -f report.json
}
declare -A compiler # by the source's suffix
build() { # PROGRAM SOURCE [LIBRARY]
	"${compiler[${2##*.}]}" -O2 -fopenmp -D_GNU_SOURCE -I"$top" "$src/$2" -o "$1" ${3:+"$3"} -lm 2>err || {
		not_ok "$1 compiles" <err
		return 1
	}
}

# Of lines PROGRAM SOURCE LEAST: with enough device memory, and with little of it while pages are taken away
run_all() {
	local program source least
	ends=0
	while read -r program source least; do
		build "$program" "$source" || continue
		"./$program" >want 2>&1
		same "$program on a device" "$least" gmem --offload openmp -- "./$program"
		same "$program on a small one, under chaos" "$least" gmem --offload blas,openmp --chaos 2000,write --device pcie4-gpu,mem=2M,page=4K -- "./$program"
	done
}
# Threads, children, and the ways out of a region; NAME is what one that crashes is called
run_ends() {
	local how
	# A function's address is then that of an entry of the program's own linkage table, also for who handles exceptions.
	"${compiler[cc]}" -fno-pie -no-pie -O2 -fopenmp "$src/handed.cc" -o fixed
	./fixed >want
	same "exceptions of a program that is not position-independent" 2 gmem --offload openmp -- ./fixed
	build ends ends.c
	./ends >want
	same "threads and a child with regions of their own" 20 gmem --offload openmp -- ./ends
	for how in exit abort crash; do
		bash -c "exec ./ends $how" >want 2>err
		ends=$?
		same "$how in a region" 0 gmem --offload openmp -- ./ends $how 2>/dev/null
	done
	ends=0
	if grep -q "parallel region $1.* touched memory that the program does not have: address 0" err; then
		ok "a crash names the region and the address"
	else
		not_ok "a crash names the region and the address" <err
	fi
}
# Regions that stay on the host, with the reason, once in the report.
stays() { # NAME WHY FLAG PROGRAM
	local status
	"./$4" >want 2>&1
	gmem --offload "$3" -- "./$4" >got 2>err
	status=$?
	if [ $status = 0 ] && cmp -s got want && jq -e --arg why "$2" '.refused | length > 0 and all(.why | test($why)) and (map(.name) | length == (unique | length))' report.json >jq.out; then
		ok "$1"
	else
		{ diff want got && jq -c .refused report.json && cat err; } | not_ok "$1"
	fi
}
