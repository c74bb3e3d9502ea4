#!/bin/bash
# BLAS-3 on the device: every test runs a program plain and under GMEM, compares what it prints byte for byte, and asks the
# report where the calls ran. Prints "ok NAME", "not ok NAME" or "skip NAME: why".
# shellcheck disable=SC2317  # test functions are called by name
# shellcheck source=test/e2e/functions.sh
. "$(dirname "$0")/functions.sh"
cc=${CC:-cc}
e2e=$top/test/e2e
# Few threads spinning in two processes at once: faster on small machines, and the same bits on both sides.
export OPENBLAS_NUM_THREADS=2
cd "$tmp" || exit 1

# same [VAR=VALUE...] COMMAND...: plain and under GMEM with these variables; stdout must be equal, stderr is in $tmp/err.
same() {
	local vars=()

	while [[ $1 == GMEM_*=* ]]; do
		vars+=("$1")
		shift
	done
	timeout 300 "$@" >plain 2>plain.err || { echo "plain: status $?"; tail -n 5 plain.err; return 1; }
	rm -f report.json
	timeout 300 env "${vars[@]}" "$top/scripts/run-with-gmem.sh" --report report.json -- "$@" >got 2>err ||
		{ echo "under GMEM: status $?"; tail -n 5 err; return 1; }
	cmp plain got || { diff plain got | head -n 10; return 1; }
}

field() { sed -n 's/.*"'"$1"'": *\([0-9]*\).*/\1/p' report.json | head -n 1; }
# counted FIELD OP NUMBER
counted() {
	local n

	n=$(field "$1")
	test "$n" "$2" "$3" || { echo "$1 is '$n', not $2 $3"; cat err; return 1; }
}
# Nothing but that its pages go to and fro, which is so when calls and checks of small operands take turns.
quiet() { ! grep -v 'pages go back and forth' err || { echo "unexpected on stderr"; return 1; }; }

build_programs() {
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -g -o contract "$e2e/blas_contract.c" -lblas -lm &&
		$cc -std=gnu11 -D_GNU_SOURCE -O1 -g -rdynamic -o cases "$e2e/blas_cases.c" -lblas -lpthread -ldl &&
		$cc -O1 -ffp-contract=off -shared -fPIC -o libtoy.so "$e2e/blas_toy.c" &&
		$cc -DPLUGIN -shared -fPIC -o toy_plugin.so "$e2e/blas_toy.c" -L. -ltoy -Wl,-rpath,"$tmp" &&
		$cc -DPLUGIN -shared -fPIC -o true_plugin.so "$e2e/blas_toy.c" -lblas &&
		$cc -DPROGRAM -o plugins "$e2e/blas_toy.c" -ldl
}

every_routine_and_option() {
	same GMEM_BLAS_MIN=1 ./contract && quiet && counted blas_device -eq "$(sed -n 's/^calls //p' got)"
}
bad_arguments() { same GMEM_BLAS_MIN=1 ./contract errors && counted blas_device -eq 0; }
the_reference_blas() {
	local dir

	dir=$(dirname "$(ldconfig -p | awk '/libopenblas\.so\.0/ {print $NF; exit}')")/blas
	[ -e "$dir/libblas.so.3" ] || { echo "libblas3 is not installed"; return 77; }
	(
		export LD_LIBRARY_PATH=$dir
		same GMEM_BLAS_MIN=1 ./contract && counted blas_device -eq "$(sed -n 's/^calls //p' got)" &&
			same GMEM_BLAS_MIN=1 ./contract errors
	)
}
gemm3m() {
	$cc -std=gnu11 -O1 -o gemm3m "$e2e/gemm3m.c" -l:libopenblas.so.0 &&
		same GMEM_BLAS_MIN=100 ./gemm3m && quiet && counted blas_device -eq 4
}
gemm3m_of_a_blas_that_has_none() {
	local dir

	dir=$(dirname "$(ldconfig -p | awk '/libopenblas\.so\.0/ {print $NF; exit}')")/blas
	[ -e "$dir/libblas.so.3" ] || { echo "libblas3 is not installed"; return 77; }
	$cc -std=gnu11 -O1 -o gemm "$e2e/gemm3m.c" -Dzgemm3m_=zgemm_ -Dcblas_cgemm3m=cblas_cgemm -lblas &&
		$cc -std=gnu11 -O1 -Wl,--unresolved-symbols=ignore-in-object-files -o gemm3m "$e2e/gemm3m.c" -lblas || return 1
	timeout 100 env LD_LIBRARY_PATH="$dir" GMEM_BLAS_MIN=100 "$top/scripts/run-with-gmem.sh" --report report.json -- ./gemm3m >got 2>err || { cat err; return 1; }
	LD_LIBRARY_PATH=$dir ./gemm | cmp - got && counted blas_device -eq 4
}
other_page_sizes() {
	local page

	for page in 4K 2M; do
		same GMEM_BLAS_MIN=1 GMEM_DEVICE=pcie4-gpu,page="$page",mem=64M ./cases threads && counted blas_device -eq 240 ||
			return 1
	done
}
a_device_without_memory() {
	same GMEM_BLAS_MIN=1 GMEM_DEVICE=remote-accel ./cases threads && quiet && counted blas_device -eq 240 &&
		counted h2d_bytes -eq 0 && counted d2h_bytes -eq 0
}
a_device_that_cannot_fault() {
	same GMEM_BLAS_MIN=1 GMEM_DEVICE=iommu-dma ./cases threads && quiet && counted blas_device -eq 0 && counted blas_host -eq 240
}
a_device_that_keeps_the_addresses_for_itself() {
	same GMEM_BLAS_MIN=1 GMEM_DEVICE=pcie4-gpu,reserve=8M ./cases threads && counted blas_device -eq 0 &&
		grep -q 'cannot attach device pcie4-gpu,reserve=8M: the program uses addresses.*(error 16)' err && [ "$(wc -l <err)" = 1 ]
}
offload_none() { same GMEM_BLAS_MIN=1 GMEM_OFFLOAD=none ./cases threads && counted blas_device -eq 0 && counted blas_host -eq 240; }
no_device() { same GMEM_BLAS_MIN=1 GMEM_DEVICE=none ./cases threads && counted blas_device -eq 0; }
the_threshold_is_met() { same GMEM_BLAS_MIN=20 ./cases at_least_min && counted blas_device -eq 1; }
below_the_threshold() { same GMEM_BLAS_MIN=20 ./cases below_min && counted blas_device -eq 0 && counted blas_host -eq 1; }
matrices_outside_the_window() { same GMEM_BLAS_MIN=1 GMEM_FOREIGN=coherent ./cases outside && counted blas_host -eq 0 && counted blas_device -eq 9; }
only_shared_ones() { same GMEM_BLAS_MIN=1 GMEM_FOREIGN=shared ./cases outside && counted blas_host -eq 6 && counted blas_device -eq 3; }
none_of_them() { same GMEM_BLAS_MIN=1 GMEM_FOREIGN=copy ./cases outside && counted blas_host -eq 9 && counted blas_device -eq 0; }
operands_that_are_not_read() { same GMEM_BLAS_MIN=1 ./cases no_operands && counted blas_device -eq 2; }
forbidden_memory_ends_the_program_as_before() { same GMEM_BLAS_MIN=1 ./cases forbidden && counted blas_device -eq 1; }
many_threads() { same GMEM_BLAS_MIN=1 ./cases threads && quiet && counted blas_device -eq 240; }
fork_children_have_their_own_device() { same GMEM_BLAS_MIN=1 ./cases forks && quiet; }
xerbla_that_jumps() { same GMEM_BLAS_MIN=1 ./cases jumps && quiet && counted blas_device -eq 3; }
signals_during_calls() { same GMEM_BLAS_MIN=1 ./cases signals && quiet && counted blas_device -ge 61; }
libraries_that_only_plugins_see() {
	same GMEM_BLAS_MIN=1 ./plugins && quiet && counted blas_calls -eq 4 && counted blas_device -eq 2
}
one_line_says_so() {
	local line='gmem: device 0 (pcie4-gpu): process lost, [01] kernels\? failed; its memory is kept'

	[ "$(grep -cx "$line" err)/$(wc -l <err)" = 1/1 ] || { echo "killed after $1 us, on stderr:"; cat err; return 1; }
}
device_killed_in_a_series() {
	local after

	for after in 0 3000 9000 15000 22000 31000 47000; do
		same GMEM_BLAS_MIN=1 ./cases lost "$after" && one_line_says_so "$after" && counted restarts -eq 1 &&
			counted blas_device -ge 12 || return 1
	done
}

python=/usr/bin/python3
needs() { "$@" >/dev/null 2>&1 </dev/null || { echo "$1 or its modules are not installed"; return 77; }; }
numpy_types_and_views() {
	needs "$python" -c 'import numpy' || return
	same GMEM_BLAS_MIN=20 "$python" "$e2e/numpy_blas.py" views && quiet && counted blas_device -ge 200
}
numpy_shared_memory() {
	needs "$python" -c 'import numpy' || return
	same GMEM_BLAS_MIN=20 "$python" "$e2e/numpy_shared.py" && quiet && counted blas_device -eq 4 && counted blas_host -eq 0
}
numpy_twice_the_device_memory() {
	needs "$python" -c 'import numpy' || return
	same GMEM_DEVICE=pcie4-gpu,mem=64M "$python" "$e2e/numpy_blas.py" large 128 && quiet && counted blas_device -eq 32 &&
		counted evicted_bytes -gt 67108864
}
scipy_every_routine() {
	needs "$python" -c 'import scipy.linalg.blas' || return
	same GMEM_BLAS_MIN=20 "$python" "$e2e/scipy_blas.py" && quiet && counted blas_device -eq "$(wc -l <got)"
}
r_matrices() {
	needs Rscript --version || return
	same GMEM_BLAS_MIN=20 Rscript --vanilla "$e2e/r_blas.R" && quiet && counted blas_device -ge 100
}
octave_matrices() {
	needs octave-cli --version || return
	same GMEM_BLAS_MIN=20 octave-cli --norc --no-history "$e2e/octave_blas.m" && counted blas_device -ge 50
}

build_programs || { echo "not ok build"; exit 1; }
run_functions "$e2e/blas_test.sh" 'same|field|counted|quiet|build_programs|needs|one_line_says_so'
exit $failed
