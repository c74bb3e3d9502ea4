# shellcheck shell=bash
# The server with data whose digest is known, background saves (fork), and the benchmark's load.
command -v redis-server >/dev/null || { echo "redis-server is not installed"; exit 77; }
command -v redis-benchmark >/dev/null || { echo "redis-benchmark is not installed"; exit 77; }
redis-server --port 0 --unixsocket "$PWD/s" --save '' --dir "$PWD" --logfile "$PWD/log" --enable-debug-command yes &
server=$!
cli() { redis-cli -s "$PWD/s" "$@"; }
for _ in $(seq 500); do
	cli ping >/dev/null 2>&1 && break
	sleep 0.02
done
awk 'BEGIN {
	for (i = 0; i < 20000; i++) {
		printf "SET key:%d value-%d-%0*d\r\n", i, i * 31, i % 300, i
		printf "HSET h:%d f%d %d\r\nLPUSH l:%d %d\r\nZADD z:%d %d m%d\r\nSADD s %d\r\n", i % 100, i, i, i % 50, i, i % 20, i % 977, i, i % 5000
	}
}' | cli --pipe | tail -n 1
cli dbsize
cli debug digest
cli bgsave >/dev/null
cli incrby during-save 5
for _ in $(seq 500); do
	[ "$(cli info persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" = 0 ] && break
	sleep 0.02
done
cli info persistence | tr -d '\r' | grep rdb_last_bgsave_status
cli debug reload
cli debug digest
redis-benchmark -s "$PWD/s" -q -n 5000 -c 20 -P 4 -d 100 -t set,get,incr,lpush,lrange_100,mset >bench.out 2>&1
echo "benchmark: $?, $(tr '\r' '\n' <bench.out | grep -c 'requests per second')"
cli get key:77
cli shutdown nosave
wait $server
echo "server: $?"
