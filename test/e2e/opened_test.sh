#!/bin/bash
# Libraries that are opened with RTLD_DEEPBIND (PHP) or in a namespace of their own: memory passes between them and the
# program, and what they open in turn is looked for by their own RUNPATH.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
src=$top/test/e2e/opened

mkdir beside && echo 'int inner_answer(void) { return 42; }' >inner.c &&
	$cc -shared -fPIC -o beside/libinner.so inner.c &&
	$cc -shared -fPIC -std=gnu11 -D_GNU_SOURCE -O1 -o lib.so "$src/lib.c" -Wl,--enable-new-dtags,-rpath,"\$ORIGIN/beside" &&
	cp lib.so lib2.so && $cc -std=gnu11 -D_GNU_SOURCE -O1 -o main "$src/main.c" || exit 1
if ! ./main >plain 2>&1; then
	not_ok "opened, plain" <plain
	exit 1
fi
run_program main GMEM_DISABLE=1 LD_PRELOAD="$lib"
same_as_plain "opened, disabled"
run_program main GMEM_DEVICE=none LD_PRELOAD="$lib"
same_as_plain "opened, no device"
run_program main GMEM_CHAOS=4000,seed=1,write LD_PRELOAD="$lib"
same_as_plain "opened, chaos"
exit $failed
