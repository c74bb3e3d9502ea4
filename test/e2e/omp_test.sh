#!/bin/bash
# OpenMP target programs of stock clang, the same binaries everywhere: on the host, with the runtime's own plug-in, and under
# the wrapper on one device, on a small one, and on two. What they print must be the same.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
needs omp "OpenMP target programs"
src=$top/test/e2e/omp
gmem() { timeout 100 "$top/scripts/run-with-gmem.sh" --report report.json "$@"; }
same() { # NAME COMMAND...: prints what the host printed
	local name=$1
	shift
	if "$@" >out 2>err && cmp -s out want; then ok "$name"; else diff out want | cat - err | not_ok "$name"; fi
}

cc -shared -fPIC -o changed_library.so "$src/changed_library.c" || failed=1
for program in regions mapping link unified shared private changed stopped ended tasks classes; do
	file=$(echo "$src/$program".c*)
	compiler=clang-14
	[ "$file" = "${file%.cc}" ] || compiler=clang++-14
	if ! $compiler -O2 -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu "$file" -o "$program" -lm 2>err; then
		not_ok "$program compiles" <err
		continue
	fi
	OMP_TARGET_OFFLOAD=DISABLED "./$program" >want 2>err
	case $program in # these need private memory to be coherent
	private | changed | stopped | ended) export GMEM_FOREIGN=coherent ;;
	*) unset GMEM_FOREIGN ;;
	esac
	if [ $program = link ]; then # version 14's own gives regions wrong pointers in programs with such variables
		skip "$program with the runtime's own plug-in" "it does not support declare target link"
	else
		same "$program with the runtime's own plug-in" "./$program"
	fi
	same "$program on a device" gmem --device pcie3-gpu,mem=64M -- "./$program"
	if [ "$(jq '.devices[0].kernels > 0' report.json)" = true ]; then
		ok "$program ran there"
	else
		not_ok "$program ran there" <report.json
	fi
	same "$program on a device of 2 MiB" gmem --device pcie4-gpu,mem=2M,page=4K -- "./$program"
	same "$program on two devices" gmem --device pcie3-gpu,mem=64M --device pcie4-gpu,mem=16M,workers=1 -- "./$program"
	same "$program on the host under the wrapper" env OMP_TARGET_OFFLOAD=DISABLED \
		"$top/scripts/run-with-gmem.sh" --report none -- "./$program"
done

# ---- coherent private memory by the other back end, and while pages of the heap come and go ----
for program in private changed ended; do
	OMP_TARGET_OFFLOAD=DISABLED "./$program" >want 2>err
	same "$program, userfaultfd" gmem --foreign coherent --fault uffd --device pcie3-gpu,mem=64M -- "./$program"
	same "$program, chaos" gmem --foreign coherent --chaos 2000,write --device pcie3-gpu,mem=64M -- "./$program"
done

# ---- the report ----
gmem --device pcie3-gpu,mem=64M -- ./regions >out 2>err
if jq -e '([.kernels[].launches] | add) == .devices[0].kernels and ([.kernels[].faults] | add) == .devices[0].faults and
	([.kernels[].h2d_bytes] | add) <= .migrated.h2d_bytes and
	([.kernels[] | select(.name | test("^main line [0-9]+$")) | .launches] == [1, 1, 1, 1, 1, 1])' report.json >err; then
	ok "regions have rows in the report, whose sums are the device's"
else
	jq .kernels report.json | not_ok "regions have rows in the report, whose sums are the device's"
fi

if clang-14 -O1 -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu "$src/objects.c" -o objects 2>err &&
	gmem --foreign coherent -- ./objects >out 2>err && [ "$(cat out)" = "2 2 1" ] &&
	jq -e --arg file "$PWD/input.dat" '[.objects[] | {(.name): .bus_bytes}] | add |
		.[$file] == 200 * 4096 and .["globals of objects"] >= 40 * 4096 and .["globals of objects"] <= 48 * 4096 and
		.["stack of main"] >= 4096 and .["stack of main"] <= 8 * 4096' report.json >>err &&
	"$build/gmem-report" report.json | grep -q ' globals of objects$'; then
	ok "memory outside the window has rows, by object"
else
	{
		cat out err
		jq .objects report.json
	} | not_ok "memory outside the window has rows, by object"
fi

# ---- bad memory ----
clang-14 -O2 -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu "$src/bad.c" -o bad || failed=1
bad() { # NAME HOW PATTERN
	gmem -- ./bad "$2" >out 2>err
	local status=$?
	if [ $status != 0 ] && [ $status != 139 ] && [ $status -lt 250 ] && grep -q 'Libomptarget' err && grep -q "$3" err &&
		! grep -q 'went on' out; then
		ok "$1"
	else
		echo "status $status" | cat - out err | not_ok "$1"
	fi
}
bad "a null pointer ends with the runtime's error" null 'touched memory that the program does not have: address 0x1c'
bad "so does a wild one" wild 'touched memory that the program does not have: address 0x70000000101c'
bad "and one into the window, where nothing is" freed 'touched memory that the program does not have'
bad "and in the runtime's own threads" threads 'touched memory that the program does not have'
bad "and writing to constants" constant 'read-only'
bad "and abort()" abort 'crashed\|ended with the device process'
bad "and calling a function of the host" function 'called host_only, a function of the host'

# ---- devices by number; devices that do not work ----
clang-14 -O2 -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu "$src/which.c" -o which || failed=1
says() { # NAME WANTED-OUTPUT MESSAGE VAR=VALUE...: ends well and prints that
	local name=$1
	printf '%b' "$2" >want
	if env "${@:4}" "$top/scripts/run-with-gmem.sh" --report none --device pcie4-gpu --device pcie3-gpu,mem=64M -- ./which \
		>out 2>err && cmp -s out want && { [ -z "$3" ] || grep -q "$3" err; }; then
		ok "$name"
	else
		cat out err | not_ok "$name"
	fi
}
here='device 0 of 0: host, 42\n'
says "a region knows its device" '0 of 2: device, 42\n1 of 2: device, 42\n' '' A=1
says "no device starts: regions run on the host" "$here" 'no device works: target regions run on the host' GMEM_INJECT=spawn@1+
says "nor does one that is lost at once" "$here" 'no device works' GMEM_INJECT=device@1+
says "a second one that does not start is not there" '0 of 1: device, 42\n' 'device 1 does not work' GMEM_INJECT=spawn@2+
says "lost while it loads an image: the next process has it" '0 of 2: device, 42\n1 of 2: device, 42\n' '' GMEM_INJECT=device@3
says "lost each time: the host has it" '2 of 2: host, 42\n2 of 2: host, 42\n' 'run on the host from now on' GMEM_INJECT=device@3+
OMP_TARGET_OFFLOAD=DISABLED ./regions >want
same "without a device of ours the runtime's own plug-in serves" env OMP_TARGET_OFFLOAD=MANDATORY \
	"$top/scripts/run-with-gmem.sh" --report none --device none -- ./regions
exit $failed
