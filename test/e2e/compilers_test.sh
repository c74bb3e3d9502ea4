#!/bin/bash
# OpenMP programs of Debian's other clangs (make deps-compilers): target regions, on the host and on two devices, and regions for the CPU
# (--offload openmp): what they print must be the same.
# Version 14 has tests of its own (omp_test.sh).
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
compilers=$build/compilers
src=$top/test/e2e/omp

check() { # VERSION PROGRAM
	local file compiler=clang-$1 library=-lm offload=DISABLED
	file=$(echo "$src/$2".[cf]*)
	case $file in
	*.cc) compiler=clang++-$1 ;;
	*.f90) compiler=flang-$1 library=$build/omp/libgmem-flang$1.a ;;
	esac
	# disabled, 19 says of mapped memory that it is not present: against its own plug-in
	[ "$1" != 19 ] || offload=DEFAULT
	if ! "$compilers/bin/$compiler" -O2 -w -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu "$file" -o "$2" "$library" 2>err; then
		not_ok "$compiler compiles $2" <err
		return
	fi
	OMP_TARGET_OFFLOAD=$offload timeout 100 "./$2" >want 2>err
	if timeout 100 "$top/scripts/run-with-gmem.sh" --report report.json --device pcie3-gpu,mem=64M \
		--device pcie4-gpu,mem=2M,page=4K,workers=1 -- "./$2" >out 2>err && cmp -s out want &&
		[ "$(jq '[.devices[].kernels] | add > 0' report.json)" = true ]; then
		ok "$2 by $compiler"
	else
		diff out want | cat - err | not_ok "$2 by $compiler"
	fi
	rm -f report.json
}

check_loops() { # VERSION PROGRAM REGIONS: at least so many on the device
	local file compiler=clang-$1
	file=$(echo "$top/test/e2e/parallel/$2".c*)
	[ "${file%.cc}" = "$file" ] || compiler=clang++-$1
	if ! "$compilers/bin/$compiler" -O2 -w -fopenmp -D_GNU_SOURCE -I"$top" "$file" -o "$2" -lm 2>err; then
		not_ok "$compiler compiles $2" <err
		return
	fi
	OMP_NUM_THREADS=4 timeout 100 "./$2" >want 2>err
	if OMP_NUM_THREADS=4 timeout 100 "$top/scripts/run-with-gmem.sh" --offload openmp --report report.json -- "./$2" >out 2>err &&
		cmp -s out want && [ "$(jq '[.kernels[] | select(.name | test("omp_outlined")) | .launches] | add' report.json)" -ge "$3" ]; then
		ok "loops of $2 by $compiler"
	else
		{ diff out want && jq -c .refused report.json; } | cat - err | not_ok "loops of $2 by $compiler"
	fi
	rm -f report.json
}

for version in 13 15 16 19; do
	if [ -n "$("$top/scripts/compilers.sh" -n "$compilers" $version)" ]; then
		skip "programs of clang $version" "clang-$version, libomp5-$version are not unpacked (make deps-compilers)"
		continue
	fi
	libraries=$compilers/$version/lib:$compilers/$version/root/usr/lib/x86_64-linux-gnu
	export LD_LIBRARY_PATH=$libraries
	for program in regions mapping unified tasks classes; do
		if [ "$version $program" = "15 classes" ]; then
			skip "$program by clang 15" "exceptions do not work in its regions, with its own plug-in neither"
			continue
		fi
		check $version $program
	done
	[ $version != 19 ] || check 19 flang
	while read -r program regions; do
		check_loops $version "$program" "$regions"
	done <<-'EOF'
		constructs 14
		language 5
		forks 10
		handed 2
	EOF
	unset LD_LIBRARY_PATH
done
exit $failed
