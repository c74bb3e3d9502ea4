#!/bin/bash
# The JSON report: what a run writes follows docs/report.schema.json field by field, older files are still read, newer ones are refused.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
report=$build/gmem-report
schema=$top/docs/report.schema.json
old=$top/test/e2e/reports/before-schema.json

# Strict: a field that the schema lacks is an error here, and so is one that it promises and the file lacks.
cat >validate.py <<'END'
import json, sys
import jsonschema

def close(s):
    if isinstance(s, dict):
        if s.get("type") == "object":
            s["additionalProperties"] = False
        for v in s.values():
            close(v)

schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
close(schema)
errors = [f"{e.json_path}: {e.message}" for e in jsonschema.Draft202012Validator(schema).iter_errors(json.load(open(sys.argv[2])))]
print("\n".join(errors))
sys.exit(bool(errors))
END
valid() { # what, file
	if /usr/bin/python3 validate.py "$schema" "$2" >errors 2>&1; then ok "$1"; else not_ok "$1" <errors; fi
}
invalid() { # what, file, a word of the complaint
	if /usr/bin/python3 validate.py "$schema" "$2" >errors 2>&1 || ! grep -q "$3" errors; then not_ok "$1" <errors; else ok "$1"; fi
}

if ! /usr/bin/python3 -c 'import jsonschema' 2>/dev/null; then
	skip "the report follows its schema" "python3-jsonschema is not installed"
	exit 77
fi
(cd "$top" && $cc -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -O1 -g -o "$work/prog" test/e2e/sites_contract.c) || exit 1
LD_PRELOAD=$lib GMEM_REPORT=$work/run.json ./prog || exit 1
valid "a run's report follows the schema" run.json
LD_PRELOAD=$lib GMEM_DEVICE=none GMEM_REPORT=$work/plain.json ./prog
valid "so does that of a run without a device" plain.json
jq 'del(.devices[0].faults)' run.json >less.json
invalid "the schema notices a field that is missing" less.json faults
jq '.sites[0].new = 1' run.json >more.json
invalid "and one that it does not describe" more.json new

# Every number of the text comes from the file: both forms of an old report are the same run.
if $report "$old" >text 2>&1 && grep -q 'moved to device .* 500 MiB' text && grep -q 'BLAS-3 calls *13 ' text; then
	ok "a file from before the schema had a number is read"
else
	not_ok "a file from before the schema had a number is read" <text
fi
jq '.schema += 1' run.json >newer.json
if $report newer.json >text 2>&1 || ! grep -q 'newer.json has schema 2; this gmem-report reads up to 1' text; then
	not_ok "a file of a later schema is refused with both numbers" <text
else
	ok "a file of a later schema is refused with both numbers"
fi
exit $failed
