#!/bin/bash
# examples/minimal_driver.c: a driver of less than 70 lines, built out of tree against what `make install` installs, at work
# with data twice the size of its device's memory; and with every step of core failing now and then.
# shellcheck disable=SC2317 # functions are called by run
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
prefix=$work/stage
run() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >log 2>&1; then ok "$name"; else not_ok "$name" <log; fi
}
code_lines() { "$cc" -fpreprocessed -dD -E -P "$1" | grep -c .; }
short_enough() {
	local lines

	lines=$(code_lines minimal_driver.c)
	echo "$lines lines"
	[ "$lines" -lt 70 ] && [ "$lines" -gt 30 ]
}
public_headers_only() { ! grep -h '^#include "' ./*.[ch] | grep -v '"minimal_' && ! grep -h 'gmi_' ./*.[ch]; }
all_right() { timeout 100 ./minimal >out 2>&1 && cat out && grep -qx '12 calls right, 0 failed, 0 times not home' out; }
# Whatever fails, no byte is wrong.
survives() { GMEM_INJECT=$1,seed=3 timeout 100 ./minimal 12 >out 2>&1 || { tail -n 3 out; return 1; }; }
notices() { survives "$1" && ! grep -q ' right, 0 failed, 0 times' out; }

make -s -C "$top" BUILD="$build" PREFIX="$prefix" install >log 2>&1 || { not_ok "make install" <log; exit 1; }
cp "$top"/examples/minimal_*.[ch] .
run "under 70 lines of code" short_enough
run "public headers only" public_headers_only
if command -v pkg-config >/dev/null; then
	export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
	# shellcheck disable=SC2046 # several words
	run "builds with pkg-config" "$cc" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter -O2 -o minimal \
		minimal_*.c $(pkg-config --cflags --libs gmem) -lpthread -Wl,-rpath,"$prefix/lib"
else
	run "builds" "$cc" -std=gnu11 -D_GNU_SOURCE -O2 -o minimal minimal_*.c -I"$prefix/include" -L"$prefix/lib" -lgmem \
		-lpthread -Wl,-rpath,"$prefix/lib"
fi
run "works" all_right
GMEM_FAULT=uffd timeout 100 ./minimal >out 2>&1
if grep -q 'userfaultfd' out; then skip "works with uffd" "the kernel refuses userfaultfd"; else
	run "works with uffd" grep -qx '12 calls right, 0 failed, 0 times not home' out
fi
for site in alloc%30 hostmem%30 memfd@1 protect%30 frame%30 map%30 unmap%30 copyin%30 copyout%30; do
	run "notices that $site fails" notices "$site"
done
for site in remap%30 pagemap%30 busy%30 mprotect%30 zero%30; do # core has another way
	run "survives that $site fails" survives "$site"
done
exit $failed
