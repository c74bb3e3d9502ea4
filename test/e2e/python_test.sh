#!/bin/bash
# python/gmem.py: under the wrapper, linked as any program, and the reports that it reads.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
export PYTHONPATH=$top/python PYTHONDONTWRITEBYTECODE=1 BUILD=$build
python=/usr/bin/python3
if ! $python -c 'import numpy' 2>/dev/null; then
	skip "the Python module" "python3-numpy is not installed"
	exit 0
fi
"$top/scripts/run-with-gmem.sh" --device pcie4-gpu,mem=64M --blas-min 100 --report run.json -- $python "$top/test/e2e/python_module.py" >out 2>err || failed=1
cat out
[ "$failed" = 0 ] || head -n 20 err
moved=$($python -c 'import gmem; print(gmem.report("run.json")["migrated"]["h2d_bytes"])' 2>err)
if [ "$moved" = "$(jq .migrated.h2d_bytes run.json)" ] && [ "$moved" -gt 0 ]; then ok "it reads the report"; else not_ok "it reads the report" <err; fi
echo '{"a": 1}' >other.json
if $python -c 'import gmem; gmem.report("other.json")' 2>err || ! grep -q 'ValueError: other.json is not a report of gmem' err; then
	not_ok "and no other file" <err
else
	ok "and no other file"
fi
cat >alone.py <<'E2'
import gmem
with gmem.Device('pcie4-gpu,mem=64M') as device:
    assert gmem.nodes() == [device.node] and gmem.node(device.node).total_bytes == 64 << 20
assert gmem.nodes() == []
try:
    gmem.Device('nosuch')
except OSError as error:
    print(error)
E2
if LD_LIBRARY_PATH=$build GMEM_REPORT=none $python alone.py >out 2>err && grep -q 'nosuch: Invalid argument' out && grep -q pcie4-gpu err; then
	ok "without the preload it opens a device of its own"
else
	not_ok "without the preload it opens a device of its own" < <(cat out err)
fi
exit $failed
