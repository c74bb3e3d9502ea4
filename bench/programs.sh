# shellcheck shell=bash disable=SC2154  # $tmp is run.sh's
# Whole programs for `make bench`: program NAME LIBRARY prints how long NAME takes with LIBRARY preloaded, in milliseconds,
# the least of three runs (what disturbs a run only ever adds); redis: thousand requests a second, the most of three.
# Each runs for about a second, so that starting costs what it costs in real use. Read by run.sh.

program_sqlite() {
	LD_PRELOAD=$1 sqlite3 :memory: 'CREATE TABLE t (k, v);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250000)
			INSERT INTO t SELECT (i * 7919) % 10007, hex(i * 31 % 1000) FROM n;
		CREATE INDEX t_k ON t (k, v); UPDATE t SET v = upper(v) WHERE k % 3 = 0; DELETE FROM t WHERE k % 11 = 5;
		SELECT count(*), sum(k), min(v) FROM t; SELECT length(group_concat(v)) FROM t GROUP BY k % 7;' >/dev/null
}
program_python() {
	LD_PRELOAD=$1 /usr/bin/python3 -c '
import json, re
d = {i: [str(i * 31), float(i) / 7, (i, i + 1)] for i in range(150000)}
b = json.dumps(list(d.values()))
assert json.loads(b)[7][0] == "217"
n = len(re.findall("7[0-9]+", b)) + sum(len(x.split("1")) for x in (str(k) for k in range(300000)))
d = None'
}
program_gcc() {
	awk 'BEGIN {
		for (i = 0; i < 400; i++)
			printf "unsigned f%d(unsigned x, const char *s)\n{\n\tunsigned a[%d];\n\tfor (int i = 0; i < %d; i++)\n\t\ta[i] = x * %du + i;\n" \
				"\treturn x %% 3 ? a[x %% %d] ^ s[%d] : %s;\n}\n", i, i % 13 + 3, i % 13 + 3, i * 31 + 7, i % 13 + 3, i, i ? "f" i - 1 "(x / 3, s)" : "x"
	}' >"$tmp/program.c"
	LD_PRELOAD=$1 gcc -O1 -c "$tmp/program.c" -o "$tmp/program.o"
}
program_redis() {
	local socket=$tmp/redis.sock server

	LD_PRELOAD=$1 redis-server --port 0 --unixsocket "$socket" --save '' --dir "$tmp" >/dev/null &
	server=$!
	until redis-cli -s "$socket" ping >/dev/null 2>&1; do
		kill -0 $server || return 1
	done
	redis-benchmark -s "$socket" -n 200000 -c 20 -P 8 -d 100 -t set,get --csv >"$tmp/redis.csv"
	redis-cli -s "$socket" shutdown nosave >/dev/null 2>&1
	wait $server
	awk -F '","' '/^"(SET|GET)"/ { sum += $2; n++ } END { if (n != 2) exit 1; printf "%.3f\n", sum / n / 1e3 }' "$tmp/redis.csv"
}

# CPU time of a program that does little but system calls, in milliseconds: calls NAME [LIBRARIES]
calls_find() { find /usr/share /usr/lib -newermt 2030-01-01; }
calls_grep() { grep -rq zzqqxx /usr/include /usr/share/doc || true; }
calls_tar() { tar cf "$tmp/calls.tar" -C /usr/include .; }
calls_perl() { perl -e 'for (1 .. 400000) { stat("/usr/include") }'; }
calls_scandir() {
	/usr/bin/python3 -c '
import os
def walk(path):
	for e in os.scandir(path):
		walk(e.path) if e.is_dir(follow_symlinks=False) else e.stat(follow_symlinks=False)
for _ in range(4):
	walk("/usr/share")'
}
calls_dd() { dd if=/dev/zero of=/dev/null bs=64 count=1000000 status=none; }
calls_git() { git grep -q --no-index zzqqxx /usr/include /usr/share/doc || true; }
calls() {
	command -v "${1/scandir/python3}" >/dev/null || { echo "$1 is not installed" >&2; return 77; }
	local TIMEFORMAT='%U %S'
	{ time LD_PRELOAD=${2:-} "calls_$1" >/dev/null; } 2>&1 | awk 'NF == 2 { printf "%.1f\n", ($1 + $2) * 1000 }' | tail -n 1
}
# The library's processes report nothing and all of them are ours.
program() {
	local name=$1 library=$2 i start

	for i in gcc sqlite3 /usr/bin/python3 redis-server redis-benchmark; do
		command -v $i >/dev/null || { echo "$i is not installed" >&2; return 77; }
	done
	[ -r "$library" ] || { echo "$library is not there" >&2; return 77; }
	for i in 1 2 3; do
		if [ "$name" = redis ]; then
			program_redis "$library" || return 1
			continue
		fi
		start=${EPOCHREALTIME/[.,]/}
		"program_$name" "$library" || return 1
		awk -v us=$((${EPOCHREALTIME/[.,]/} - start)) 'BEGIN { printf "%.2f\n", us / 1e3 }'
	done | sort -g | if [ "$name" = redis ]; then tail -n 1; else head -n 1; fi
}
export -f program program_sqlite program_python program_gcc program_redis
export -f calls calls_find calls_grep calls_tar calls_perl calls_scandir calls_dd calls_git
