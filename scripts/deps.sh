#!/bin/sh
# Installs the Debian packages that are missing. usage: deps.sh [-n] SET...   (sets: build run test omp gomp check page mpi apps; -n: only list)
# One table says what shows that a package is there, so that nothing is asked of apt when nothing is missing (a few ms).
# As root or through sudo; elsewhere, or without apt, it prints the exact list and fails.
set -u

# set | what must exist: cmd:NAME on PATH, hdr:FILE under an include folder, lib:FILE in a library folder, sbin:NAME, file:PATH, py:MODULE, py3:FILE of the standard library, omp:HEADER of clang 14 | package
table='
build cmd:gcc                        gcc
build cmd:objcopy                    binutils
build hdr:stdio.h                    libc6-dev
build lib:libjemalloc_pic.a          libjemalloc-dev
build hdr:jansson.h                  libjansson-dev
build hdr:elfutils/libdwfl.h         libdw-dev
build lib:liblzma.a                  liblzma-dev
build lib:libbz2.a                   libbz2-dev
build lib:libz.a                     zlib1g-dev
build hdr:libiberty/demangle.h       libiberty-dev
build cmd:g++                        g++
build hdr:toml++/toml.h              libtomlplusplus-dev
build file:/usr/share/nodejs/d3/dist/d3.min.js node-d3
run   cmd:python3                    python3
run   py:jinja2                      python3-jinja2
run   py:numpy                       python3-numpy
run   lib:libopenblas.so.0           libopenblas0-pthread
test  hdr:criterion/criterion.h      libcriterion-dev
test  lib:libblas.so                 libopenblas-dev
test  lib:libjemalloc.so.2           libjemalloc2
test  py:scipy                       python3-scipy
test  cmd:redis-server               redis-server
test  cmd:redis-benchmark            redis-tools
test  cmd:jq                         jq
test  cmd:gdb                        gdb
page  cmd:chromium                   chromium
test  py:jsonschema                  python3-jsonschema
test  cmd:pkg-config                 pkg-config
test  cmd:cmake                      cmake
test  cmd:sqlite3                    sqlite3
test  cmd:Rscript                    r-base-core
test  cmd:octave-cli                 octave
omp   cmd:clang-14                   clang-14
omp   omp:omp.h                      libomp-14-dev
omp   cmd:clang-offload-wrapper-14   clang-tools-14
gomp  cmd:gcc                        gcc
gomp  cmd:g++                        g++
gomp  cmd:gfortran                   gfortran
gomp  cmd:jq                         jq
apps  py3:test/test_signal.py        libpython3.11-testsuite
apps  cmd:stress-ng                  stress-ng
apps  cmd:sqlite3                    sqlite3
apps  cmd:redis-server               redis-server
apps  cmd:redis-benchmark            redis-tools
apps  sbin:nginx                     nginx-light
apps  cmd:ab                         apache2-utils
apps  cmd:curl                       curl
apps  cmd:openssl                    openssl
apps  cmd:javac                      default-jdk-headless
apps  cmd:node                       nodejs
apps  cmd:go                         golang-go
apps  cmd:rustc                      rustc
apps  cmd:perl                       perl
apps  lib:libmimalloc.so.2           libmimalloc2.0
apps  lib:libtcmalloc_minimal.so.4   libtcmalloc-minimal4
apps  lib:libtcmalloc_minimal.a      libgoogle-perftools-dev
apps  lib:libjemalloc.so.2           libjemalloc2
mpi   cmd:mpirun                     openmpi-bin
mpi   file:/usr/lib/x86_64-linux-gnu/openmpi/include/mpi.h libopenmpi-dev
check cmd:clang                      clang
check cmd:clang-format               clang-format
check cmd:cppcheck                   cppcheck
check cmd:shellcheck                 shellcheck
check cmd:pmccabe                    pmccabe
check cmd:python3                    python3
check cmd:nm                         binutils
'

any() { # does one of the files exist?
	for file; do
		[ -e "$file" ] && return 0
	done
	return 1
}

there() {
	case $1 in
	cmd:*) command -v "${1#cmd:}" >/dev/null 2>&1 ;;
	sbin:*) any /usr/sbin/"${1#sbin:}" /usr/local/sbin/"${1#sbin:}" ;;
	hdr:*) any /usr/include/"${1#hdr:}" /usr/include/*-linux-gnu/"${1#hdr:}" /usr/local/include/"${1#hdr:}" ;;
	lib:*) any /usr/lib/*-linux-gnu/"${1#lib:}" /usr/lib/"${1#lib:}" /usr/lib64/"${1#lib:}" \
		/usr/local/lib/"${1#lib:}" ;;
	file:*) any "${1#file:}" ;;
	py3:*) any /usr/lib/python3.*/"${1#py3:}" ;;
	omp:*) any /usr/lib/llvm-14/lib/clang/14*/include/"${1#omp:}" ;;
	py:*) any /usr/lib/python3/dist-packages/"${1#py:}" /usr/local/lib/python3*/dist-packages/"${1#py:}" \
		/usr/lib/python3*/site-packages/"${1#py:}" ;;
	esac
}

list_only=
[ "${1-}" = -n ] && { list_only=1; shift; }
[ $# -gt 0 ] || set -- build run test check omp gomp page mpi

missing=$(echo "$table" | while read -r set probe package; do
	case " $* " in
	*" $set "*) there "$probe" || echo "$package" ;;
	esac
done | tr '\n' ' ')
missing=${missing% }
[ -n "$missing" ] || exit 0
if [ -n "$list_only" ]; then
	echo "$missing"
	exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
	printf 'Missing: the equivalents of these Debian packages (no apt-get here; please install them):\n  %s\n' \
		"$missing" >&2
	exit 1
elif [ "$(id -u)" = 0 ]; then
	as_root=
elif command -v sudo >/dev/null 2>&1; then
	as_root=sudo
else
	printf 'Missing packages, and neither root nor sudo to install them. As root:\n  apt-get install %s\n' \
		"$missing" >&2
	exit 1
fi
echo "Installing: $missing"
# sudo drops the environment; $missing is a list of words
# shellcheck disable=SC2086
install() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; }
install || { $as_root apt-get update -q && install; } || {
	printf 'apt-get failed. What is needed:\n  apt-get install %s\n' "$missing" >&2
	exit 1
}
