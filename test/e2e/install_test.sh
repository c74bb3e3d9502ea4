#!/bin/bash
# `make install`, into one folder and with a LIBDIR as Debian has it: the wrapper finds everything in its new place, programs build with
# pkg-config and CMake, examples build, symbols have versions, the manual pages are there, and `make uninstall` leaves nothing.
# shellcheck disable=SC2317 # functions are called by run
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
wrapper_runs() { # how it is called
	rm -f report.json
	"$prefix/bin/$1" --report report.json --device pcie4-gpu,mem=64M -- /bin/sh -c 'exit 0' && grep -q '"program"' report.json
}
moves_4_mib() { # a program
	GMEM_REPORT=prog.json "$1" && [ "$(jq .migrated.h2d_bytes prog.json)" = $((4 << 20)) ]
}
builds_with_cmake() {
	mkdir -p cmake
	cat >cmake/CMakeLists.txt <<-E3
		cmake_minimum_required(VERSION 3.13)
		project(prog C)
		find_package(gmem 0.2 REQUIRED)
		add_executable(prog ../prog.c)
		target_compile_definitions(prog PRIVATE _GNU_SOURCE)
		target_link_libraries(prog gmem::gmem)
	E3
	rm -rf cmake/build
	cmake -S cmake -B cmake/build -DCMAKE_PREFIX_PATH="$prefix" && cmake --build cmake/build && moves_4_mib cmake/build/prog || return 1
	sed -i 's/gmem 0.2/gmem 9/' cmake/CMakeLists.txt
	! cmake -S cmake -B cmake/other -DCMAKE_PREFIX_PATH="$prefix"
}
examples_build() {
	mkdir -p out && make -s -C "$prefix/share/doc/gmem/examples" OUT="$work/out" LDFLAGS="-Wl,-rpath,$libdir" &&
		"$prefix/bin/run-with-gmem" --report none -- out/linked out/linked_kernels.so pcie4-gpu,mem=8M && out/minimal
}
# What is installed, by the folder of its libraries.
installed_in() { # libdir
	libdir=$1
	local where=${libdir#"$prefix/"}

	run "make install, $where" make_in_tree LIBDIR="$libdir" install
	run "the installed wrapper runs a program, $where" wrapper_runs run-with-gmem
	run "by its old name too, $where" wrapper_runs run-with-gmem.sh
	export PKG_CONFIG_PATH=$libdir/pkgconfig
	if command -v pkg-config >/dev/null; then
		# shellcheck disable=SC2046 # several words
		run "a program builds with pkg-config, $where" "$cc" -std=gnu11 -D_GNU_SOURCE -o prog prog.c $(pkg-config --cflags --libs gmem) \
			-Wl,-rpath,"$libdir"
		run "it has its device and its report, $where" moves_4_mib ./prog
		run "the installed examples build and run, $where" examples_build
	else
		skip "a program with pkg-config" "pkg-config is not installed"
	fi
	if command -v cmake >/dev/null; then run "a program builds with CMake, $where" builds_with_cmake; else
		skip "a program with CMake" "cmake is not installed"
	fi
}
leaves_nothing() {
	make_in_tree LIBDIR="$libdir" uninstall && [ -z "$(find "$prefix" ! -type d | tee /dev/stderr)" ]
}
installed_in "$prefix/lib"
run "make uninstall leaves nothing" leaves_nothing
installed_in "$prefix/lib/x86_64-linux-gnu"
run "manual pages" test -s "$prefix/share/man/man1/run-with-gmem.1" -a -s "$prefix/share/man/man1/run-with-gmem.sh.1"
run "license, changes and documents" test -s "$prefix/share/doc/gmem/LICENSE" -a -s "$prefix/share/doc/gmem/CHANGELOG.md" -a \
	-s "$prefix/share/doc/gmem/docs/drivers.md"

# Programs that were linked with a released version find its names in its node.
soname_has_the_abi() {
	readelf -d "$libdir/libgmem.so" | grep -q "SONAME.*\[libgmem.so.$(sed -n 's/^ABI = //p' "$top/Makefile")\]" &&
		readelf -d prog | grep -q 'NEEDED.*\[libgmem.so.0\]'
}
released_names_are_kept() {
	local node name n=0

	nm -D --defined-only --with-symbol-versions "$libdir/libgmem.so" | awk '$2 != "A" {print $3}' >exported
	while read -r node name; do
		grep -qxF "$name@@$node" exported || { echo "$name@@$node is not exported"; return 1; }
		n=$((n + 1))
	done < <(awk '/^GMEM_[0-9.]* {/ {node = $1} /^local:|^}/ {node = ""} node && /;/ {gsub(";", ""); for (i = 1; i <= NF; i++) if ($i !~ /\*/) print node, $i}' \
		"$top/core/libgmem.map")
	echo "$n names"
	[ "$n" -ge 60 ]
}
nothing_but_the_interface_is_exported() {
	! grep -vE '@@?GMEM_([0-9.]+|PRIVATE)$' exported && ! grep -E '@@GMEM_PRIVATE$' exported | grep -v '^gmi_'
}
versions_agree() {
	local version

	version=$(sed -n 's/^VERSION = //p' "$top/Makefile")
	[ "$(head -n 1 "$top/debian/changelog")" = "gmem ($version) unstable; urgency=medium" ] &&
		grep -q "^## $version " "$top/CHANGELOG.md" && [ "$(PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config --modversion gmem)" = "$version" ] &&
		"$prefix/bin/gmem-report" --version | grep -qx "gmem-report $version" &&
		[ "$(LD_LIBRARY_PATH=$libdir PYTHONPATH=$prefix/lib/python3/dist-packages /usr/bin/python3 -B -c 'import gmem; print(gmem.version())')" = "$version" ]
}
run "the library's name has its ABI" soname_has_the_abi
run "names of released versions are kept" released_names_are_kept
run "only the interface is exported" nothing_but_the_interface_is_exported
run "everything says the same version" versions_agree
every_function_has_a_page() {
	local fn n=0

	for fn in $(nm -D --defined-only "$libdir/libgmem.so" | sed -n 's/.* T \(\(gm\|hm\)[a-z_]*\)@*.*/\1/p' | grep -v '^gmi_'); do
		grep -q '^\.SH RETURN VALUE' "$prefix/share/man/man3/$fn.3" || { echo "$fn: no page"; return 1; }
		n=$((n + 1))
	done
	echo "$n functions"
	[ "$n" -ge 50 ]
}
run "every exported function has one" every_function_has_a_page
run "make uninstall leaves nothing there either" leaves_nothing
exit $failed
