#!/bin/sh
# Runs an unmodified program under gmem: run-with-gmem.sh [flags] [--] program [arguments]   (--help lists the flags)
# Finds the library and its tool relative to itself: in the tree (../build, or what make was given as BUILD); installed they lie beside this
# file. The tool takes the flags, checks program and library, and becomes the program: exit status and signals are the program's own.
set -eu

self=$(readlink -f -- "$0")
here=$(dirname -- "$self")
top=$(dirname -- "$here")
case ${BUILD:-build} in
/*) build=$BUILD ;;
*) build=$top/${BUILD:-build} ;;
esac

dir=$top/build
for place in "$build" "$here"; do
	[ ! -x "$place/gmem-report" ] || dir=$place
done
tool=$dir/gmem-report
lib=$dir/libgmem_preload.so
for file in "$tool" "$lib"; do
	if [ ! -e "$file" ]; then
		echo "run-with-gmem.sh: $file is not there: run make in $top first, or install gmem again" >&2
		exit 125
	fi
done
exec "$tool" --run "$tool" "$lib" "$@"
