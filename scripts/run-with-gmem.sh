#!/bin/sh
# Runs an unmodified program under gmem: run-with-gmem.sh [flags] [--] program [arguments]   (--help lists the flags)
# Finds the library and its tool relative to itself, in the tree (../build, or what make was given as BUILD) and installed. The tool takes the
# flags, checks program and library, and becomes the program: exit status and signals are the program's own.
set -eu

self=$(readlink -f -- "$0")
here=$(dirname -- "$self")
top=$(dirname -- "$here")
case ${BUILD:-build} in
/*) build=$BUILD ;;
*) build=$top/${BUILD:-build} ;;
esac

tool=
for dir in "$build" "$top/build" "$here" "$top/bin"; do
	if [ -x "$dir/gmem-report" ]; then
		tool=$dir/gmem-report
		break
	fi
done
lib=
for dir in "$build" "$top/build" "$top/lib" "$top/lib/x86_64-linux-gnu" "$top/lib64"; do
	if [ -e "$dir/libgmem_preload.so" ]; then
		lib=$dir/libgmem_preload.so
		break
	fi
done
if [ -z "$tool" ] || [ -z "$lib" ]; then
	echo "run-with-gmem.sh: libgmem_preload.so or gmem-report is not there (neither in $build nor in $top/lib" \
		"and $top/bin): run make in $top first" >&2
	exit 125
fi
exec "$tool" --run "$tool" "$lib" "$@"
