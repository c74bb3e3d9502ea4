#!/bin/bash
# OpenMP target and OpenACC programs of stock gcc, g++ and gfortran, without an offload compiler: on the host, and under the wrapper on
# one device, a small one, two, and while pages are taken away. What they print must be the same.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
needs gomp "target programs of gcc"
src=$top/test/e2e
gmem() { timeout 100 "$top/scripts/run-with-gmem.sh" --report report.json "$@"; }
on_host() { OMP_TARGET_OFFLOAD=DISABLED ACC_DEVICE_TYPE=host timeout 100 "$@"; }
# NAME COMMAND...: prints what the host printed, and a device has worked
same() {
	local name=$1
	shift
	if "$@" >out 2>err && cmp -s out want && [ "$(jq '[.devices[].kernels] | add > 0' report.json)" = true ]; then
		ok "$name"
	else
		diff out want | cat - err | not_ok "$name"
	fi
	rm -f report.json
}
# gcc 12 refuses "requires unified_shared_memory", which is what it has here without asking
build() { # PROGRAM SOURCE... : compiled by what its suffix says
	local program=$1 compiler=gcc openacc=-fopenmp
	shift
	case $1 in
	*.cc) compiler=g++ ;;
	*.f90) compiler="gfortran -ffp-contract=off" ;;
	esac
	case $* in
	*queues.f90 | *gomp/several.c | */openacc/*.f90) openacc=-fopenacc ;;
	*/openacc/*) openacc="-fopenacc -fopenmp" ;;
	esac
	if [ $# = 1 ] && grep -q '#pragma omp requires' "$1"; then
		sed 's/^#pragma omp requires.*//' "$1" >"plain_${1##*/}"
		set -- "plain_${1##*/}"
	fi
	# shellcheck disable=SC2086 # words
	$compiler -O2 $openacc -I"$top" -I"$top/examples/openmp" "$@" -o "$program" -lm 2>err || {
		not_ok "$program compiles" <err
		return 1
	}
}

for file in omp/regions.c omp/mapping.c omp/link.c omp/unified.c omp/tasks.c gomp/language.cc gomp/waits.c gomp/queues.f90; do
	program=$(basename "${file%.*}")
	build "$program" "$src/$file" || continue
	on_host "./$program" >want 2>err
	same "$program on a device" gmem --device pcie3-gpu,mem=64M -- "./$program"
	same "$program on two, one small, under chaos" gmem --chaos 2000,write --device pcie4-gpu,mem=2M,page=4K \
		--device pcie3-gpu,mem=64M,workers=1 -- "./$program"
done

build answers "$src/gomp/answers.c"
cat >want <<'EOF'
device 0: number 0 initial 0 devices 2 host 2
device 1: number 1 initial 0 devices 2 host 2
host: initial 1
EOF
same "regions are told which device they are on" gmem --device pcie4-gpu --device pcie3-gpu -- ./answers
build several "$src/gomp/several.c"
cat >want <<'EOF'
devices 2
device 1: 200 201 202 203
device 0: 100 101 102 103
in turn: 290 293
EOF
for _ in 1 2 3; do
	same "queues of two devices" gmem --device pcie4-gpu --device pcie3-gpu -- ./several
done
gmem --device none -- ./answers >out 2>err
if [ "$(cat out)" = "host: initial 1" ]; then ok "without a device there is none"; else cat out err | not_ok "without a device there is none"; fi

# ---- the report ----
on_host ./regions >want
gmem --device pcie3-gpu,mem=64M -- ./regions >out 2>err
if jq -e '[.kernels[] | select(.name | test("^main[.]_omp_fn[.][0-9]+$")) | .launches] | length > 3 and all(. == 1)' report.json >err; then
	ok "regions have rows in the report, by their functions' names"
else
	jq .kernels report.json | not_ok "regions have rows in the report, by their functions' names"
fi

# ---- bad memory, a lost device ----
build bad "$src/omp/bad.c"
bad() { # NAME PATTERN WHAT [flags]
	local name=$1 pattern=$2 what=$3
	shift 3
	gmem "$@" -- ./bad "$what" >out 2>err
	local status=$?
	if [ $status = 1 ] && grep -q "$pattern" err && grep -q '^libgomp: a target region failed' err && ! grep -q 'went on' out; then
		ok "$name"
	else
		echo "status $status" | cat - out err | not_ok "$name"
	fi
}
bad "a null pointer ends with the runtime's error" 'main._omp_fn.* touched memory that the program does not have: address 0x1c' null
bad "and writing to constants" 'wrote to memory that is read-only' constant
bad "and abort()" 'crashed\|ended with the device process' abort

build killed "$src/gomp/killed.c"
echo 'sum 3200000' >want
same "a device that is killed after each region" gmem --device pcie3-gpu,mem=64M -- ./killed
if grep -q '^killed 5$' err; then ok "and it was killed"; else not_ok "and it was killed" <err; fi
gmem --device pcie3-gpu,mem=64M -- ./killed inside >out 2>err
status=$?
if [ $status = 1 ] && grep -q 'target region main._omp_fn.* ended with the device process' err && grep -q '^libgomp: a target region failed' err &&
	! grep -q 'went on' out; then
	ok "one that is killed in a region ends the program with the runtime's error"
else
	echo "status $status" | cat - out err | not_ok "one that is killed in a region ends the program with the runtime's error"
fi

# ---- whole programs: half of the device's memory, all of it, twice (the others: twice); under chaos ----
examples() { # FOLDER SUFFIX SOURCES-BEFORE
	local file program size sizes reps
	for file in "$top/examples/$1"/*."$2"; do
		program=$(basename "${file%.*}")
		[ "$program" = example ] && continue
		build "$1-$2-$program" ${3:+"$3"} "$file" || continue
		sizes=4M
		case $program in stencil | cg | nbody) sizes="1M 2M 4M" ;; esac
		for size in $sizes; do
			reps=2
			[ "$program" = cg ] && reps=25 # it must converge
			if gmem --chaos 500 --placement counted --device pcie4-gpu,mem=2M -- "./$1-$2-$program" "$size" $reps >out 2>err &&
				grep -q ': equal$' out && [ "$(jq .devices[0].kernels report.json)" -ge 2 ]; then
				ok "$1 $program.$2 with $size on a device of 2M"
			else
				cat out err | not_ok "$1 $program.$2 with $size on a device of 2M"
			fi
		done
	done
}
examples openmp c
examples openmp cc
examples openmp f90 "$top/examples/openmp/example.f90"
examples openacc c
examples openacc f90 "$top/examples/openmp/example.f90"
exit $failed
