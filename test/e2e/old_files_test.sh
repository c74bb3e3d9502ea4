#!/bin/bash
# Files that the first builds to write such files have written (test/e2e/reports: 59dbb34, f114d9c, dd5640b; before-schema.json is older) are read
# by every tool that reads such files, with the numbers that stand in them; those of versions to come are refused with both numbers.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
report=$build/gmem-report
old=$top/test/e2e/reports
gunzip -c "$old/first-trace.gmt.gz" >old.gmt
gunzip -c "$old/first-recording.gmr.gz" >old.gmr

# ---- reports ----
for name in before-schema first-schema; do
	moved=$(jq .migrated.h2d_bytes "$old/$name.json")
	check "$name: as text, with its number" grep -Eq "moved to device .* $(awk -v b="$moved" 'BEGIN { printf "%.3g", b / 1048576 }') MiB" <("$report" "$old/$name.json" 2>&1)
	check "$name: held against another" grep -Eq 'migrated.h2d_bytes .*MiB .*MiB' <("$report" diff --all "$old/$name.json" "$old/first-schema.json" 2>&1)
	check "$name: as a page" "$report" html -o page.html "$old/$name.json"
	check "$name: which has its number" grep -q "\"h2d_bytes\": $moved," page.html
done

# ---- traces ----
number() { sqlite3 old.db "SELECT $1"; }
check "a trace: as tables" "$report" export old.gmt --sqlite old.db
check "a trace: has the events that its report counted" test "$(number 'count(*) FROM event')" = "$(number "value FROM counter WHERE name = 'trace.events'")"
check "a trace: and their pages" test "$(number "sum(pages) FROM event WHERE kind = 'to_device'")" = 4096
check "a trace: and their call sites" test "$(number "DISTINCT site FROM event WHERE kind = 'evict'")" = "make_matrix (sweep_contract.c:14)"
check "a trace: as CSV and for Perfetto" "$report" export old.gmt --csv old.csv --perfetto old.json
check "a trace: as a page" "$report" html -o time.html old.gmt

# ---- recordings: what that build's own runs counted ----
printf 'small.json\tGMEM_DEVICE=pcie4-gpu,mem=6M\n' | timeout 60 "$build/gmem-replay" old.gmr >text 2>&1
check "a recording: is replayed" grep -q 'small.json	done' text
counters='[(.devices[0] | .kernels, .faults, .evicted_bytes, .modelled_s), .migrated.h2d_bytes, .migrated.d2h_bytes]'
check "a recording: with the numbers of a run of that build" diff <(jq -c "$counters" small.json) <(jq -c "$counters" "$old/first-schema.json")

# ---- of versions to come ----
refused() { # what, the complaint, command...
	if timeout 60 "${@:3}" >text 2>&1; then not_ok "$1" <text; else check "$1" grep -F "$2" text; fi
}
patched() { # file, offset, byte (octal): a copy of it
	cp "$1" "later.$1" && printf '%b' "\\0$3" | dd of="later.$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
patched old.gmt 8 2
for how in "export --csv x.csv" "export --perfetto x.json" "export --sqlite x.db" html; do
	# shellcheck disable=SC2086 # words
	refused "a later trace: $how" 'later.old.gmt has version 2; this gmem-report reads up to 1' "$report" $how later.old.gmt
done
jq '.schema = 77' "$old/first-schema.json" >later.json
for how in "" "diff $old/first-schema.json" html; do
	# shellcheck disable=SC2086 # words
	refused "a later report: ${how%% *}" 'later.json has schema 77; this gmem-report reads up to 1' "$report" $how later.json
done
# the report that is in a trace
sed 's/"schema":1,/"schema":7,/' old.gmt >inside.gmt
refused "a trace with a later report in it" 'inside.gmt has schema 7; this gmem-report reads up to 1' "$report" export inside.gmt --csv x.csv
echo '{"sweep": 5, "runs": []}' >sweep.json
refused "a later sweep" 'sweep.json is a sweep of version 5; this gmem-report reads up to 1' "$report" html sweep.json
patched old.gmr 8 5
refused "a later recording" 'has version 5; this gmem-replay reads up to 1' "$build/gmem-replay" later.old.gmr <<<x.json

# ---- of no version ----
patched old.gmt 8 0
refused "a trace of version 0" 'is damaged' "$report" export later.old.gmt --csv x.csv
patched old.gmr 8 0
refused "a recording of version 0" 'is damaged' "$build/gmem-replay" later.old.gmr <<<x.json
# wherever bytes of the events are wrong nothing breaks; with those of the end it is said
python3 - old.gmt >wild.gmt <<'PY'
import random, sys
random.seed(7)
b = bytearray(open(sys.argv[1], 'rb').read())
for _ in range(400):
    b[random.randrange(24, b.index(b'{"kinds"') - 60)] = random.randrange(256)
sys.stdout.buffer.write(b)
PY
"$report" export wild.gmt --csv x.csv --perfetto x.json >text 2>&1
check "a trace with nonsense in it: no traceback" test "$(grep -c Traceback text)" = 0
sed 's/"causes":/"cause_":/' old.gmt >unnamed.gmt
refused "a trace without its words" "unnamed.gmt is damaged: 'causes'" "$report" export unnamed.gmt --csv x.csv
exit $failed
