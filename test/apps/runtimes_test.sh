#!/bin/bash
# Runtimes that own SIGSEGV, their allocator, their stacks or their address space (test/apps/runtimes): output and exit status
# under the preload, and with pages taken away at random, must be those of the plain run. Programs that a sanitizer watches run
# past GMEM, with one line that says so. usage: runtimes_test.sh [NAME...] (java-serial, node, go-cgo, ...)
# CHAOS: another GMEM_CHAOS; SECONDS_MAX: of one run (300).
# shellcheck source=test/e2e/common.sh disable=SC2317  # builders and filters are called by name
. "$(dirname "$0")/../e2e/common.sh"
here=$top/test/apps/runtimes
chaos=${CHAOS:-2000,seed=1,write}
wanted=" $* "
ulimit -c 0

# ---- builders: each makes $work/NAME once; 77: what it needs is not there ------------------------------------------
need() { command -v "$1" >/dev/null || return 77; }
build_java() { need javac && javac -d "$work" "$here/Traps.java"; }
build_node() { need node && cp "$here/traps.js" "$work"; }
build_cgo() { need go && (cd "$here/go" && CGO_ENABLED=1 go build -o "$work/cgo" .); }
build_rust() { need rustc && rustc -O -o "$work/rust" "$here/traps.rs"; }
build_perl() { need perl && cp "$here/traps.pl" "$work"; }
build_c() { $cc -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Wno-unused-parameter "$@" -lpthread; }
build_coroutines() { build_c -o coroutines "$here/coroutines.c"; }
library() { # FILE: in a library folder? prints it
	local f
	for f in /usr/lib/*-linux-gnu/"$1" /usr/lib/"$1" /usr/lib64/"$1" /usr/local/lib/"$1"; do
		[ -e "$f" ] && echo "$f" && return
	done
	return 77
}
build_own_allocator() { # output, library
	local l
	l=$(library "$2") && build_c -o "$1" "$here/churn.c" -Wl,--no-as-needed "$l" -lstdc++ -lm
}
build_mimalloc() { build_own_allocator mimalloc libmimalloc.so.2; }
build_tcmalloc() { build_own_allocator tcmalloc libtcmalloc_minimal.so.4; }
build_tcmalloc_static() { build_own_allocator tcmalloc_static libtcmalloc_minimal.a; }
build_python() { need python3; }

# ---- what differs from run to run anyway ----------------------------------------------------------------------------
as_it_is() { cat; }
no_addresses() { sed -E 's/0x[0-9a-f]+/ADDRESS/g'; }

# name | builder | filter | command
table='
java-serial         java              as_it_is      java -XX:+UseSerialGC -Xmx256m -cp . Traps
java-parallel       java              as_it_is      java -XX:+UseParallelGC -Xmx256m -cp . Traps x
java-g1             java              as_it_is      java -XX:+UseG1GC -Xmx256m -cp . Traps x y
java-z              java              as_it_is      java -XX:+UseZGC -Xmx512m -cp . Traps
java-interpreter    java              as_it_is      java -Xint -Xmx256m -cp . Traps
node                node              as_it_is      node traps.js
node-fatal          node              no_addresses  node -e process.kill(process.pid,"SIGSEGV")
go-cgo              cgo               as_it_is      ./cgo
rust                rust              as_it_is      ./rust
perl                perl              as_it_is      perl traps.pl
python-faulthandler python            no_addresses  python3 -X faulthandler -c import§faulthandler;faulthandler._sigsegv()
python-read-null    python            no_addresses  python3 -X faulthandler -c import§faulthandler;faulthandler._read_null()
python-stack        python            no_addresses  python3 -X faulthandler -c import§faulthandler;faulthandler._stack_overflow()
python-abort        python            no_addresses  python3 -X faulthandler -c import§faulthandler;faulthandler._sigabrt()
python-bus          python            no_addresses  python3 -c import§os;os.kill(os.getpid(),7)
mimalloc            mimalloc          as_it_is      ./mimalloc
tcmalloc            tcmalloc          as_it_is      ./tcmalloc
tcmalloc-static     tcmalloc_static   as_it_is      ./tcmalloc_static
coroutines          coroutines        as_it_is      ./coroutines
'

run() { # output, environment and command...: its exit status
	local out=$1
	shift
	{ timeout -k 5 "${SECONDS_MAX:-300}" env GMEM_REPORT=none "$@" >"$out" 2>&1 </dev/null; } 2>/dev/null
}

compare() { # name, mode, filter, environment and command...
	local name=$1 mode=$2 filter=$3 status
	shift 3
	run got "$@"
	status=$?
	"$filter" <got >shown
	if [ $status = "$(cat plain.status)" ] && cmp -s plain shown; then
		ok "$name, $mode"
	else
		not_ok "$name, $mode (exit $status, plain $(cat plain.status))" < <(diff plain shown | head -n 15)
	fi
}

one() { # name, builder, filter, command
	local name=$1 builder=$2 filter=$3 command i
	read -ra command <<<"$4"
	for i in "${!command[@]}"; do command[i]=${command[i]//§/ }; done
	"build_$builder" >build.out 2>&1
	case $? in
	0) ;;
	77) skip "$name" "what it is built with is not installed" && return ;;
	*) not_ok "$name, build" <build.out && return ;;
	esac
	run got "${command[@]}"
	echo $? >plain.status
	"$filter" <got >plain
	compare "$name" preload "$filter" LD_PRELOAD="$lib" "${command[@]}"
	compare "$name" chaos "$filter" GMEM_CHAOS="$chaos" LD_PRELOAD="$lib" "${command[@]}"
}

while read -r name builder filter command; do
	[ -n "$name" ] || continue
	case $wanted in
	"  " | *" $name "*) one "$name" "$builder" "$filter" "$command" ;;
	esac
done <<<"$table"
exit $failed
