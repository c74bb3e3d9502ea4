#!/bin/bash
# When nothing ran on a device, the report says why and what to do, in one line, and the line is true.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"

says() { # NAME PATTERN [VARIABLE=value...] -- [flags] -- COMMAND...
	local name=$1 pattern=$2 env=()
	shift 2
	while [ "$1" != -- ]; do env+=("$1") && shift; done
	shift
	timeout 100 env "${env[@]}" "$top/scripts/run-with-gmem.sh" --report idle.json "$@" >out 2>err
	if "$build/gmem-report" idle.json >text 2>&1 && [ "$(jq '[.devices[].kernels] | add // 0' idle.json)" = 0 ] &&
		jq -r .idle idle.json | grep -q -- "$pattern" && grep -q -- "no.* device.*: .*$pattern" text; then
		ok "$name"
	else
		cat err text | not_ok "$name"
	fi
	rm -f idle.json
}

cat >loops.c <<'END'
int main(int n, char **v)
{
	int sum = 0;
#pragma omp parallel for reduction(+ : sum)
	for (int i = 0; i < 100; i++)
		sum += i;
	return sum != 4950;
}
END
cat >target.c <<'END'
int main(int n, char **v)
{
	int one = 0;
	if (n > 1)
#pragma omp target map(from : one)
		one = 1;
	return n > 1 && !one;
}
END
cat >acc.c <<'END'
int main(int n, char **v)
{
	int one = 0;
#pragma acc parallel copyout(one)
	one = 1;
	return !one;
}
END
# Who stands for libraries that are not here: only their names, and who calls them, are looked at.
echo 'int cudaMalloc(void) { return 0; } void __tgt_register_lib(void) {}' >stand_in.c
echo 'int cudaMalloc(void); int main(void) { return cudaMalloc(); }' >cuda.c
echo 'void __tgt_register_lib(void); int main(void) { __tgt_register_lib(); return 0; }' >llvm17.c
$cc -shared -fPIC -Wl,-soname,libcudart.so.12 -o libcudart.so.12 stand_in.c
$cc -shared -fPIC -Wl,-soname,libomptarget.so.17 -o libomptarget.so.17 stand_in.c
$cc -o cuda cuda.c ./libcudart.so.12 && $cc -o llvm17 llvm17.c ./libomptarget.so.17 || exit 1

says "a program of nothing that is served" 'loaded none of what is served' -- -- /bin/true
says "no device was wanted" '--device none; name one' -- --device none -- /bin/true
says "CUDA" 'libcudart.so.12, and kernels of CUDA do not run here' LD_LIBRARY_PATH=. -- -- ./cuda
says "an offload runtime of an unknown version" 'libomptarget.so.17 is of a version that gmem does not know' \
	LD_LIBRARY_PATH=. -- -- ./llvm17

if missing=$("$top/scripts/deps.sh" -n gomp) && [ -n "$missing" ]; then
	skip "reasons of gcc's programs" "$missing not installed"
else
	gcc -fopenmp -o loops loops.c && gcc -fopenmp -o target target.c && gcc -fopenacc -o acc acc.c || exit 1
	says "loops for the CPU" 'OpenMP regions (libgomp.so.1.*) are for the CPU' -- -- ./loops
	says "target regions that are not reached" "program's target regions (libgomp.so.1.*) was reached" -- -- ./target
	says "target regions that are forbidden" 'OMP_TARGET_OFFLOAD=Disabled keeps' OMP_TARGET_OFFLOAD=Disabled -- -- ./target 1
	says "OpenACC for the host" 'ACC_DEVICE_TYPE=host keeps' ACC_DEVICE_TYPE=host -- -- ./acc
	LD_PRELOAD=$lib GMEM_REPORT=$work/idle.json ./target 1 2>err
	if jq -r .idle idle.json | grep -q "has no way to gmem's plug-in; start the program with run-with-gmem.sh"; then
		ok "the preload library alone"
	else
		jq . idle.json | not_ok "the preload library alone"
	fi
	timeout 100 "$top/scripts/run-with-gmem.sh" --report served.json -- ./target 1
	if [ "$(jq -r .idle served.json)" = "" ]; then ok "no reason where regions ran"; else jq . served.json | not_ok "no reason where regions ran"; fi
fi
if missing=$("$top/scripts/deps.sh" -n omp) && [ -n "$missing" ]; then
	skip "reasons of clang's programs" "$missing not installed"
else
	clang-14 -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu -o target14 target.c || exit 1
	says "clang's regions that are not reached" 'no target region came to .* for libomptarget.so; they must' -- -- ./target14
	clang-14 -fopenmp -o loops14 loops.c
	says "clang's loops" 'OpenMP regions (libomp.so.5) are for the CPU' -- -- ./loops14
fi
if /usr/bin/python3 -c 'import numpy' 2>/dev/null; then
	says "small BLAS calls" 'BLAS-3 calls stayed on the host: below GMEM_BLAS_MIN; try --blas-min 1' -- -- \
		/usr/bin/python3 -c 'import numpy as n; a = n.ones((100, 100)); a @ a'
	says "BLAS that was switched off" 'offload is off; start it with --offload blas' -- --offload none -- \
		/usr/bin/python3 -c 'import numpy as n; a = n.ones((1000, 1000)); a @ a'
	says "a BLAS library that is not called" 'is loaded, but no BLAS-3 call was seen' -- -- /usr/bin/python3 -c 'import numpy'
else
	skip "reasons of BLAS" "python3-numpy is not installed"
fi
exit $failed
