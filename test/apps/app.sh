#!/bin/bash
# Runs one application in the current folder and leaves its verdict there: the lines "pass TEST" and "fail TEST" in the file
# `verdict`. usage: app.sh KIND/NAME   app.sh --list   SECONDS_EACH: of a stressor (5).
# Debian's own test programs and load generators; what they check is the verdict.
set -u
SECONDS_EACH=${SECONDS_EACH:-5}
top=$(cd "$(dirname "$0")/../.." && pwd)

cpython="signal threading subprocess socket mmap io os posix fork1 faulthandler multiprocessing_fork asyncio zlib sqlite3 ctypes
	gc select selectors epoll ssl"
stressors="vm mmap mremap malloc brk fork vfork clone futex pipe sock udp sigsegv sigfd bad-altstack poll epoll aio io-uring pthread"

list() {
	local name

	for name in $cpython; do echo "cpython/$name"; done
	for name in $stressors; do echo "stress-ng/$name"; done
	for name in "$top"/test/e2e/programs/*.sh; do echo "program/$(basename "$name" .sh)"; done
	printf '%s\n' openssl/sha256 openssl/aes-256-cbc openssl/rsa2048 nginx/load
}

quiet() { env -u LD_PRELOAD -u GMEM_CHAOS -u GMEM_REPORT "$@"; } # not what is tested

# One verdict for each test case.
run_cpython() {
	local status options=()

	case $1 in
	socket) options=(-i '*VSOCK*') ;; # in a virtual machine whose host answers instead of the loopback, they hang: plain too
	multiprocessing_fork)             # a hundred processes at a time, each with an agent that takes so many pages a second: together as many
		[ -z "${GMEM_CHAOS:-}" ] || export GMEM_CHAOS=$((${GMEM_CHAOS%%,*} / 50)),${GMEM_CHAOS#*,}
		;;
	esac
	/usr/bin/python3 -m test --junit-xml "$PWD/result.xml" --timeout 1200 "${options[@]}" "test_$1"
	status=$?
	quiet /usr/bin/python3 - >verdict <<-'END' || echo "fail everything: status $status" >verdict
		import xml.etree.ElementTree as tree
		for case in tree.parse("result.xml").iter("testcase"):
		    bad = any(case.find(kind) is not None for kind in ("failure", "error"))
		    print("skip" if case.find("skipped") is not None else "fail" if bad else "pass", case.get("name"))
	END
}

# nginx with two workers, a file of a MiB and a small one, and ab's load: every request must be answered in full.
run_nginx() {
	local nginx file

	head -c 1048576 /dev/zero >big && echo small >small
	cat >nginx.conf <<-END
		worker_processes 2; pid $PWD/pid; error_log $PWD/error.log; daemon off; user root;
		events { worker_connections 256; }
		http { access_log off; server { listen 127.0.0.1:18080; root $PWD; } }
	END
	nginx -p "$PWD" -c "$PWD/nginx.conf" &
	nginx=$!
	for _ in $(seq 200); do
		quiet curl -sf http://127.0.0.1:18080/small >/dev/null && break
		sleep 0.05
	done
	for file in small big; do
		quiet ab -q -n 2000 -c 8 "http://127.0.0.1:18080/$file" | grep 'Failed requests: *0$' || return 1
	done
	kill -QUIT $nginx
	wait $nginx
}

run() {
	case $1 in
	stress-ng) stress-ng "--$2" 2 --verify --timeout "$SECONDS_EACH" ;;
	program) TZ=UTC LC_ALL=C bash "$top/test/e2e/programs/$2.sh" ;;
	openssl) openssl speed -seconds 1 "$2" ;;
	nginx) run_nginx ;;
	*)
		echo "app.sh: no such application: $1/$2 (--list prints them)"
		return 2
		;;
	esac
}

case ${1:?KIND/NAME or --list} in
--list) list ;;
cpython/*) run_cpython "${1#*/}" ;;
*)
	run "${1%%/*}" "${1#*/}"
	status=$?
	if [ $status = 0 ]; then echo "pass all"; else echo "fail all: status $status"; fi >verdict
	;;
esac
