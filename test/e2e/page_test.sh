#!/bin/bash
# gmem-report diff and html: two runs beside each other as text, and a page that a browser draws without network and without a complaint.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
report=$build/gmem-report
old=$top/test/e2e/reports/before-schema.json

if ! /usr/bin/python3 -c 'import jinja2' 2>/dev/null; then
	skip "gmem-report diff and html" "python3-jinja2 is not installed"
	exit 77
fi

# A second run that moved twice as much, in which one call site has gone and one with a hostile name has come.
cp "$old" one.json
jq '.migrated.h2d_bytes *= 2 | .sites[1].where = "</script><script>document.title=1</script>" | .wall_s *= 1.5 | .kernels[0].wall_s *= 2' "$old" >two.json

$report diff one.json two.json >text 2>&1
check "diff: a number, in both runs, and what became of it" grep -Eq '^  migrated.h2d_bytes +500 MiB +999 MiB  x2$' text
check "diff: a difference below the double, in percent" grep -Eq '^  wall_s +16.4 s +24.6 s  \+50.0 %$' text
check "diff: what only one of them has" grep -q '^site other (only in the first)$' text
check "diff: nothing of what is the same" test "$(grep -c 'd2h_pages' text)" = 0
check "diff --all: that as well" grep -Eq '^  migrated.d2h_pages +128,475 pages +128,475 pages$' <($report diff --all one.json two.json)
# one line of the source, reached by two ways
jq '.sites += [.sites[0] | .h2d_bytes = 1048576]' "$old" >ways.json
check "diff: rows of the same line are one" grep -Eq '^  h2d_bytes +498 MiB +499 MiB  ' <($report diff one.json ways.json)
echo '{"program": 1}' >bad.json
check "what is no report is named" grep -q 'bad.json is not a report of gmem' <($report diff one.json bad.json 2>&1)

$report html one.json two.json -o page.html >/dev/null 2>text || not_ok "html: it is made" <text
# Addresses are the names of XML's forms and the licence's, nothing that would be fetched.
check "html: nothing is fetched from anywhere" test -z "$(grep -oE '(src|href)="?(https?:)?//[^"]*|url\([^)]*\)|@import' page.html)"
if ! command -v chromium >/dev/null; then
	skip "html: in a browser" "chromium is not installed"
	exit $failed
fi
browse() { # page, options...
	timeout -k 5 120 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$work/profile" \
		--host-resolver-rules='MAP * ~NOTFOUND' --enable-logging=stderr --virtual-time-budget=4000 "${@:2}" "file://$work/$1" 2>log
}
# What a person does: finds the culprit's box by Tab, makes it the whole width by Enter, sorts a table; then says what is to be seen.
sed 's|</body>|<script>addEventListener("load", () => {\
	const boxes = [...document.querySelectorAll("#flame .box")], site = boxes.find(b => /umath/.test(b.getAttribute("aria-label")));\
	const width = () => site.querySelector("rect").getAttribute("width");\
	const before = width(), key = k => site.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true}));\
	site.focus(); key("Enter"); const zoomed = width(); key("Escape"); key("Escape");\
	const sort = document.querySelector("#kernel-table th:nth-child(6) button"); sort.click();\
	const first = document.querySelector("#kernel-table td:nth-child(2)").textContent;\
	document.title = ["width", Math.round(before), Math.round(zoomed), width() === before, "first", first, "bars",\
		document.querySelectorAll("#compare-bars rect").length].join(" ");\
});</script></body>|' page.html >driven.html
browse driven.html --dump-dom >dom.html
check "html: a browser draws it without a complaint" test -z "$(grep -E 'CONSOLE|Uncaught' log)"
check "html: the keyboard zooms in and out, tables sort, both runs are compared" grep -Eq '<title>width [0-9]{3} 1200 true first two bars 2</title>' dom.html
check "html: names of the program are text, never script" grep -q 'aria-label="&lt;/script&gt;&lt;script&gt;document.title=1' dom.html
check "html: what the colours say stands there in words as well" grep -q '>to device *[0-9.]* MiB' dom.html
browse page.html --print-to-pdf="$work/page.pdf" --no-pdf-header-footer >/dev/null
check "html: it prints" grep -aq '^%PDF' page.pdf

# A long trace: what a page needs of it is as much as of a short one.
cat >events.py <<'END'
import json, random, struct, sys
rng = random.Random(1)
kinds = [None, 'cpu_fault', 'device_fault', 'to_device', 'to_host', 'zero', 'prefetch', 'evict', 'bus', 'revoke', 'throttle', 'park', 'launch',
         'copy', 'adopt', 'fork', 'resident']
n, event = int(sys.argv[1]), struct.Struct('<QQQIIiHHBBBBI')
meta = json.dumps({'kinds': kinds, 'causes': ['other'], 'sites': {'1': 'make_nodes (graph.c:12)'}, 'kernels': {}, 'start_ns': 0, 'end_ns': n * 1000,
                   'lost': 3, 'report': json.load(open(sys.argv[2]))}).encode()
with open(sys.argv[3], 'wb') as out:
    out.write(struct.pack('<8sII', b'GMTRACE\n', 1, 48))
    data = b''.join(event.pack(i * 1000, 0x200000000000 + rng.randrange(1 << 16) * 65536, 0, 500, 16, 7, 1, 0, kinds.index(kind), 0, 0, 0, 0)
                    for i in range(n // 4) for kind in ('device_fault', 'to_device', 'to_host', 'cpu_fault'))
    out.write(struct.pack('<II', 1, len(data)) + data + struct.pack('<II', 2, len(meta)) + meta)
END
/usr/bin/python3 events.py 200000 one.json big.gmt
$report html big.gmt -o big.html >/dev/null
check "html: a long trace makes a page below 2 MiB" test "$(stat -c %s big.html)" -lt $((2 << 20))
check "html: which says how many were lost" grep -q '200,000 events; 3 more were lost' big.html
sed 's|</body>|<script>addEventListener("load", () => {\
	const map = document.querySelector(".heat svg"); map.focus();\
	map.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown", bubbles: true}));\
	document.title = ["panes", document.querySelectorAll(".panes svg").length, document.getElementById("tip").textContent].join(" ");\
});</script></body>|' big.html >driven.html
browse driven.html --dump-dom >dom.html
check "html: drawn over time and as a map that the keyboard walks" grep -Pzq '<title>panes 4 0x[0-9a-f]+ to 0x[0-9a-f]+\nmake_nodes \(graph.c:12\)\nat 0 s: [0-9,]+ pages moved' dom.html
check "html: without a complaint" test -z "$(grep -E 'CONSOLE|Uncaught' log)"
exit $failed
