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

# ---- a run that is cut says in what ----
cat >kernels.c <<'END'
#include <gmem/kernel.h>

GM_KERNEL endless(struct gm_kctx *ctx, const void *args)
{
	volatile int *word = *(int *const *)args;

	for (*word = 1;;)
		if (word[1024])
			return 0;
}

GM_KERNEL short_one(struct gm_kctx *ctx, const void *args)
{
	return 0;
}
END
cat >cut.c <<'END'
#include <gmem/device.h>
#include <gmem/gmem.h>
#include <signal.h>
#include <stdlib.h>

int main(void)
{
	struct gm_sim *sim;
	struct gm_stream *stream;
	struct gm_as *as;
	int module;

	if (gm_sim_open("pcie4-gpu", &sim) || gm_as_create(0, 64 << 20, &as) || gm_sim_attach(sim, as) ||
	    gm_sim_load(sim, "./kernels.so", &module) || gm_stream_create(sim, &stream))
		return 1;
	volatile int *word = gm_mmap(as, NULL, 8192, 3, 0x22, -1, 0);
	if (gm_sim_launch(sim, module, "short_one", 1, &word, sizeof word, NULL) ||
	    gm_stream_launch(stream, module, "endless", 1, (void *)&word, sizeof word, NULL))
		return 2;
	while (!*word)
		;
	raise(SIGKILL);
}
END
$cc -std=gnu11 -I"$top/include" -shared -fPIC -O1 -o kernels.so kernels.c &&
	$cc -std=gnu11 -I"$top/include" -O1 -o cut cut.c -L"$build" -lgmem -Wl,-rpath,"$build" || exit 1
GMEM_REPORT=$work/cut.json timeout 60 ./cut >out 2>&1
for ((i = 0; i < 600; i++)); do # the reporter comes after the death
	[ -e cut.json ] && [ ! -e cut.json.lock ] && break
	sleep 0.05
done
$report cut.json >text 2>&1
if jq -e '[.kernels[] | select(.running > 0) | .name] == ["endless"] and ([.kernels[] | .running_s > 0] | any)' cut.json >out &&
	grep -q '^  was running endless on device 0, for [0-9]' text && ! grep -q 'was running short_one' text; then
	ok "a run that is cut says which kernel was running"
else
	cat text cut.json | not_ok "a run that is cut says which kernel was running"
fi
valid "its report follows the schema, too" cut.json

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
