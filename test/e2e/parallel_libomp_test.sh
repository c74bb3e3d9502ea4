#!/bin/bash
# Programs of clang for the CPU, whose runtime is libomp: as parallel_test.sh has it for gcc's.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
needs omp "parallel regions of clang's programs"
# shellcheck source=test/e2e/parallel/common.sh
. "$top/test/e2e/parallel/common.sh"
compiler=([c]=clang-14 [cc]=clang++-14)
run_all <<'ROWS'
constructs constructs.c 14
language language.cc 5
once once.cc 3
handed handed.cc 2
starter starter.c 5
cg cg.c 18
is is.c 5
particles particles.c 20
forks forks.c 10
ROWS

run_ends main.omp_outlined
# ---- which regions ----
clang-14 -O2 -g -fopenmp -I"$top" "$src/forks.c" -o forks
./forks >want
at=$(grep -n 'void one_side' "$src/forks.c" | cut -d: -f1)
same "a region is chosen by its file and line" 3 gmem --offload "openmp:forks.c:$((at + 2))\$" -- ./forks
gmem --offload "openmp:forks.c:$((at + 2))\$" -- ./forks >got 2>err
if [ "$(jq -c '[.kernels[] | select(.name | test("omp_outlined")) | .launches]' report.json)" = '[3]' ] &&
	jq -e '.kernels | any(.name | test("^one_side.omp_outlined"))' report.json >jq.out; then
	ok "and only that one, by its function's name; its locks are the host's regions' as well"
else
	jq -c .kernels report.json | not_ok "and only that one, by its function's name; its locks are the host's regions' as well"
fi
./forks many >want
gmem --offload openmp -- ./forks many >got 2>err
if cmp -s got want && [ "$(jq -c '[.refused[].why]' report.json)" = '["it shares 301 variables; the device takes 253"]' ]; then
	ok "a region with more arguments than the device takes stays"
else
	{ diff want got && jq -c .refused report.json && cat err; } | not_ok "a region with more arguments than the device takes stays"
fi

# ---- thread-local variables ----
clang-14 -O2 -fopenmp -fPIC -shared "$src/local_library.c" -o liblocal.so
build local local.c ./liblocal.so
./local >want
same "threadprivate variables, of a library too" 8 gmem --offload openmp -- ./local

# ---- what libomp keeps to itself ----
build nest_lock nest_lock.c
stays "a nestable lock" 'libomp keeps nestable locks in its own memory' openmp nest_lock
KMP_LOCK_KIND=queuing stays "locks of a kind that the user has chosen" 'KMP_LOCK_KIND is queuing' openmp forks
clang-14 -O2 -fopenmp -fnoopenmp-use-tls -D_GNU_SOURCE -I"$top" "$src/local.c" -o emulated ./liblocal.so
stays "threadprivate variables that libomp keeps" 'libomp keeps the program.s threadprivate variables' openmp emulated

# ---- with gcc's in one program ----
if gcc -O2 -fopenmp -fPIC -shared -Dmain=other_main "$src/is.c" -o libother.so && clang-14 -O2 -fopenmp "$src/two_runtimes.c" -o two ./libother.so -lgomp; then
	./two >want
	same "a library of gcc's in a program of clang's" 6 gmem --offload openmp -- ./two
else
	not_ok "a library of gcc's in a program of clang's" </dev/null
fi
exit $failed
