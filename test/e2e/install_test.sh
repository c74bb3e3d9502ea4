#!/bin/bash
# `make install`: the wrapper finds everything in its new place, a program builds with pkg-config, the manual pages are there,
# shellcheck disable=SC2317 # functions are called by run
# and `make uninstall` leaves nothing.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
prefix=$work/stage/opt/gmem
run() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >log 2>&1; then ok "$name"; else not_ok "$name" <log; fi
}
make_in_tree() { make -s -C "$top" BUILD="$build" PREFIX="$prefix" "$@"; }

cat >prog.c <<'E2'
#include <gmem/device.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int main(void)
{
	struct gm_sim *sim;
	const size_t bytes = 4 << 20;
	char *p = gm_mmap(NULL, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || gm_sim_open("pcie4-gpu,mem=64M", &sim) || gm_sim_attach(sim, gm_as_default()))
		return 1;
	memset(p, 7, bytes);
	if (hmadvise(gm_dev_hnid(gm_sim_dev(sim)), p, bytes, MADV_PREFETCH))
		return 2;
	for (size_t i = 0; i < bytes; i++)
		if (p[i] != 7)
			return 3;
	puts("4 MiB went to the device and came home");
	return gm_sim_close(sim);
}
E2
run "make install" make_in_tree install
run "the installed wrapper runs a program" "$prefix/bin/run-with-gmem.sh" --report report.json -- /bin/sh -c 'exit 0'
run "and finds its library" grep -q '"program"' report.json
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
if command -v pkg-config >/dev/null; then
	# shellcheck disable=SC2046 # several words
	run "a program builds with pkg-config" "$cc" -std=gnu11 -D_GNU_SOURCE -o prog prog.c $(pkg-config --cflags --libs gmem) \
		-Wl,-rpath,"$prefix/lib"
	run "it runs" ./prog
	run "and gives a report" env GMEM_REPORT=prog.json ./prog
	run "with what it moved" test "$(jq .migrated.h2d_bytes prog.json)" = $((4 << 20))
else
	skip "a program with pkg-config" "pkg-config is not installed"
fi
run "manual pages" test -s "$prefix/share/man/man1/run-with-gmem.1"
every_function_has_a_page() {
	local fn n=0

	for fn in $(nm -D --defined-only "$prefix/lib/libgmem.so" | sed -n 's/.* T \(\(gm\|hm\)[a-z_]*\)@*.*/\1/p' | grep -v '^gmi_'); do
		grep -q '^\.SH RETURN VALUE' "$prefix/share/man/man3/$fn.3" || { echo "$fn: no page"; return 1; }
		n=$((n + 1))
	done
	echo "$n functions"
	[ "$n" -ge 50 ]
}
run "every exported function has one" every_function_has_a_page
run "make uninstall" make_in_tree uninstall
left=$(find "$prefix" -type f)
run "nothing is left" test -z "$left"
exit $failed
