#!/bin/sh
# Debian's other clangs and flangs, for the tests: their OpenMP libraries exclude each other, so their packages are unpacked into a folder
# instead of being installed. usage: compilers.sh [-n] FOLDER [VERSION...]   (-n: only say which versions are missing there)
# Each is called as FOLDER/bin/clang-VERSION (clang++-, flang-); programs find their libomp with FOLDER/VERSION/lib in LD_LIBRARY_PATH.
set -u
only_say=
[ "${1-}" = -n ] && { only_say=1; shift; }
folder=${1:?usage: compilers.sh [-n] FOLDER [VERSION...]}
shift
[ $# -gt 0 ] || set -- 13 15 16 19
missing=
for version; do
	[ -x "$folder/bin/clang-$version" ] || missing="$missing $version"
done
if [ -n "$only_say" ]; then
	[ -z "$missing" ] || echo "${missing# }"
	exit 0
fi
command -v apt-get >/dev/null 2>&1 || {
	echo "compilers.sh: no apt-get here: clang$missing cannot be unpacked" >&2
	exit 1
}
mkdir -p "$folder/bin" && folder=$(cd "$folder" && pwd) || exit 1

wrap() { # NAME VERSION PROGRAM: a command that finds its libraries in the folder
	root=$folder/$2/root
	[ -e "$root/usr/lib/llvm-$2/bin/$3" ] || return 0
	cat >"$folder/bin/$1" <<EOF
#!/bin/sh
LD_LIBRARY_PATH='$root/usr/lib/x86_64-linux-gnu:$root/usr/lib/llvm-$2/lib' PATH='$root/usr/lib/llvm-$2/bin':\$PATH \\
	exec '$root/usr/lib/llvm-$2/bin/$3' "\$@"
EOF
	chmod +x "$folder/bin/$1"
}

unpack() { # VERSION
	mkdir -p "$folder/$1/root" "$folder/$1/packages" || return 1
	packages="clang-$1 libclang-common-$1-dev libclang-cpp$1 libllvm$1 clang-tools-$1 libomp-$1-dev libomp5-$1"
	[ "$1" -lt 14 ] || packages="$packages llvm-$1-linker-tools"
	[ "$1" -lt 19 ] || packages="$packages flang-$1 libflang-$1-dev"
	# shellcheck disable=SC2086 # words
	(cd "$folder/$1/packages" && apt-get -q download $packages) || return 1
	for package in "$folder/$1"/packages/*.deb; do
		dpkg -x "$package" "$folder/$1/root" || return 1
	done
	rm -r "$folder/$1/packages"
	ln -sfn "root/usr/lib/llvm-$1/lib" "$folder/$1/lib"
	wrap "clang-$1" "$1" clang
	wrap "clang++-$1" "$1" clang++
	wrap "flang-$1" "$1" flang-new
}

for version in $missing; do
	echo "Unpacking: clang $version"
	unpack "$version" || {
		echo "compilers.sh: the packages of clang $version cannot be fetched" >&2
		exit 1
	}
done
