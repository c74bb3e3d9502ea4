#!/bin/bash
# --progress: one line that says how far a run is, on a terminal or where it is asked for, and nothing else.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
check() { # what, command...
	if "${@:2}" >why 2>&1; then ok "$1"; else not_ok "$1" < <(cat why text); fi
}
program='import time; x = bytearray(8 << 20); time.sleep(%s)'
run() { timeout 60 "$top/scripts/run-with-gmem.sh" --report none "$@"; }
on_terminal() { # file, command...: what comes out of a terminal of its own
	/usr/bin/python3 -c 'import os, pty, sys
with open(sys.argv[1], "wb") as out:
    def keep(fd):
        data = os.read(fd, 1024)
        out.write(data)
        out.flush()
        return data
    sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], keep)))' "$@" </dev/null >/dev/null
}
export -f run
export top
# shellcheck disable=SC2059 # the program is a format
long=$(printf "$program" 2) short=$(printf "$program" 7)

# shellcheck disable=SC2016 # for that shell
on_terminal text bash -c 'run --progress auto -- /usr/bin/python3 -c "$1"' - "$long"
check "on a terminal a line is written over itself" grep -Eqa $'\r\033\\[Kgmem: [0-9.]+ m?s, no device used yet' text
check "and is gone at the end" test "$(tail -c 4 text | od -An -c | tr -d ' ')" = '\r033[K'
run --progress auto -- /usr/bin/python3 -c "$long" 2>text
check "elsewhere there is none" test ! -s text
run -- /usr/bin/python3 -c "$long" 2>text
check "nor is there without the flag" test ! -s text
run --progress always -- /usr/bin/python3 -c "$short" 2>text
check "unless it is asked for: then each is a line of its own" grep -Eq '^gmem: [0-9.]+ s, no device used yet$' text
run --progress often -- /bin/true 2>text
check "a wrong word is refused, with the valid ones" grep -q 'GMEM_PROGRESS.*none, auto, always' text
build_products "the line of a run with a device"
GMEM_BLAS_MIN=100 OPENBLAS_NUM_THREADS=1 timeout 20 "$top/scripts/run-with-gmem.sh" --report none --progress always --device pcie4-gpu,mem=6M \
	-- ./products 100000 2>text
check "with a device it says what is there and what moves" \
	grep -Eq '^gmem: .* kernels, [0-9.]+ [KM]iB of 6 MiB, faults [0-9,]+/s, to devices .*/s, home .*/s$' text
exit $failed
