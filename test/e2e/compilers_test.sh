#!/bin/bash
# OpenMP target programs of Debian's other clangs (make deps-compilers), on the host and on two devices: what they print must be the same.
# Version 14 has tests of its own (omp_test.sh).
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
compilers=$build/compilers
src=$top/test/e2e/omp

check() { # VERSION PROGRAM
	local file compiler=clang-$1
	file=$(echo "$src/$2".c*)
	[ "$file" = "${file%.cc}" ] || compiler=clang++-$1
	if ! "$compilers/bin/$compiler" -O2 -w -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu "$file" -o "$2" -lm 2>err; then
		not_ok "clang $1 compiles $2" <err
		return
	fi
	OMP_TARGET_OFFLOAD=DISABLED timeout 100 "./$2" >want 2>err
	if timeout 100 "$top/scripts/run-with-gmem.sh" --report report.json --device pcie3-gpu,mem=64M \
		--device pcie4-gpu,mem=2M,page=4K,workers=1 -- "./$2" >out 2>err && cmp -s out want &&
		[ "$(jq '[.devices[].kernels] | add > 0' report.json)" = true ]; then
		ok "$2 by clang $1"
	else
		diff out want | cat - err | not_ok "$2 by clang $1"
	fi
	rm -f report.json
}

for version in 13 15 16; do
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
	unset LD_LIBRARY_PATH
done
exit $failed
