#!/bin/bash
# Programs of gcc, g++ and gfortran for the CPU, whose parallel regions run on the device (--offload openmp): what they print and how
# they end must be the same as without, with enough device memory, with little of it while pages are taken away, and when the device's process is killed.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
needs gomp "parallel regions of gcc's programs"
# shellcheck source=test/e2e/parallel/common.sh
. "$top/test/e2e/parallel/common.sh"
compiler=([c]=gcc [cc]=g++ [f90]=gfortran)
run_all <<'EOF'
constructs constructs.c 14
language language.cc 5
once once.cc 3
handed handed.cc 2
starter starter.c 5
calls calls.f90 7
cg cg.c 18
is is.c 5
particles-c particles.c 20
particles-f particles.f90 13
EOF

run_ends last._omp_fn
build killed killed.c
./killed >want
same "a device that is killed after each region" 9 gmem --offload openmp -- ./killed 1
if grep -q '^killed 8$' err; then ok "and it was killed"; else not_ok "and it was killed" <err; fi
gmem --offload openmp -- ./killed inside >got 2>err
if [ $? = 134 ] && grep -q 'parallel region main._omp_fn.* ended with the device process' err && ! grep -q sum got; then
	ok "one that is killed in a region ends the program, and says so"
else
	cat got err | not_ok "one that is killed in a region ends the program, and says so"
fi

# ---- which regions ----
build cg cg.c
./cg >want
same "regions are chosen by their functions' names" 16 gmem --offload 'openmp:^(solve|none)[.]' -- ./cg
gmem --offload 'openmp:^(solve|none)[.]' -- ./cg >got 2>err
if [ "$(jq -c '[.kernels[].name | select(test("_omp_fn"))] | sort' report.json)" = '["solve._omp_fn.0","solve._omp_fn.1"]' ] &&
	[ "$(jq -c .refused report.json)" = '[]' ]; then
	ok "and only these run there"
else
	jq -c '[.kernels, .refused]' report.json | not_ok "and only these run there"
fi
if jq -e '.sites | all(.where + .stack | test("make_description_room|gmo_|libgmem") | not)' report.json >jq.out; then
	ok "no site is a line of ours"
else
	jq -c .sites report.json | not_ok "no site is a line of ours"
fi
gmem -- ./cg >got 2>err
if cmp -s got want && [ "$(launches)" = 0 ] && grep -q 'for the CPU.*--offload openmp' <(jq -r .idle report.json); then
	ok "none without being asked, and the report names the flag"
else
	jq -r .idle report.json | not_ok "none without being asked, and the report names the flag"
fi
if gmem --offload 'openmp:(' -- ./cg 2>err; then
	not_ok "what is no regular expression is refused" <err
elif grep -q 'openmp:( is not valid\|( is not a regular expression' err; then
	ok "what is no regular expression is refused"
else
	not_ok "what is no regular expression is refused" <err
fi

# ---- thread-local variables ----
gcc -O2 -fPIC -shared "$src/local_library.c" -o liblocal.so
build local local.c ./liblocal.so
./local >want
same "threadprivate variables, of a library too" 8 gmem --offload openmp -- ./local
gmem --offload openmp -- ./local kill >got 2>err
if [ $? = 134 ] && grep -q "with it the thread-local variables of the program's regions: the program ends" err; then
	ok "when these are lost with the device the program ends, and says so"
else
	cat got err | not_ok "when these are lost with the device the program ends, and says so"
fi
build common local.f90
./common >want
same "a threadprivate common block" 6 gmem --offload openmp -- ./common

# ---- regions that stay ----
stays "some regions of one with threadprivate variables" 'need all regions on one side' openmp:main local
build both both.c
stays "parallel regions of a program with target regions" 'has target regions as well' openmp both
exit $failed
