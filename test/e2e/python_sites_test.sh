#!/bin/bash
# Call sites in Python: file, line and function of what asked for memory, held against what the interpreter says.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
python=/usr/bin/python3

LD_PRELOAD=$lib GMEM_REPORT=$work/run.json PYTHONPATH=$top/python BUILD=$build PYTHONDONTWRITEBYTECODE=1 $python "$top/test/e2e/python_sites.py" >lines || exit 1
jq -r '.sites[].where' run.json >named
missing=0
while IFS=: read -r function line; do
	file=python_sites.py
	[ "$function" = long_one ] && file=generated.py
	grep -qxF "$function ($file:$line)" named || { missing=1 && echo "# not named: $function ($file:$line)"; }
done <lines
if [ $missing = 0 ] && [ "$(wc -l <lines)" = 8 ]; then ok "lines of all kinds of functions are what Python says they are"; else
	jq -c '.sites[] | [.where, .stack]' run.json | not_ok "lines of all kinds of functions are what Python says they are"
fi

# ---- the other versions, by their layouts ----
if ! (cd "$top" && $cc -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -O1 -g -rdynamic -o "$work/versions" test/e2e/python_versions.c) 2>errors; then
	not_ok "a made-up interpreter" <errors
	exit 1
fi
stack() { # minor version, more: what the report says of its memory
	LD_PRELOAD=$lib GMEM_REPORT=$work/version.json ./versions "$@" || echo "exit $?"
	jq -r '[.sites[] | select(.h2d_bytes > 4000000) | .stack] | join(", ")' version.json
}
expect_stack() { # what, stack, arguments
	local got
	got=$(stack "${@:3}")
	if [ "$got" = "$2" ]; then ok "$1"; else echo "$got" | not_ok "$1"; fi
}
for minor in 8 9; do
	expect_stack "lines of Python 3.$minor" "größe (model.py:13) < outer (model.py:11)" $minor
done
for minor in 10 11 12 13; do
	expect_stack "lines of Python 3.$minor" "größe (model.py:8) < outer (model.py:11)" $minor
done
expect_stack "a version that nobody knows is said" "Python 3.99.0 (lines are known of 3.8 to 3.13)" 99
for minor in 8 11 13; do
	got=$(stack $minor broken)
	case $got in take\ *python_versions.c*) ok "3.$minor with nothing to find: the code's own lines" ;; *) echo "$got" | not_ok "3.$minor with nothing to find" ;; esac
done

if ! $python -c 'import numpy' 2>/dev/null; then
	skip "arrays of numpy" "python3-numpy is not installed"
	exit $failed
fi
cat >arrays.py <<'END'
import numpy as np


class Model:
    def weights(self, n):
        return np.ones((n, n)) / n  # line 6: ones is numpy's own Python, the quotient its C


def products():
    w = Model().weights(768)
    for _ in range(3):
        x = w @ w  # line 12
    return x.sum()


products()
END
LD_PRELOAD=$lib GMEM_REPORT=$work/arrays.json GMEM_DEVICE=pcie4-gpu,mem=64M $python arrays.py || exit 1
named=$(jq -r '[.sites[] | select(.h2d_bytes + .d2h_bytes > 1000000) | .where] | sort | unique | join(", ")' arrays.json)
if [ "$named" = "Model.weights (arrays.py:6), products (arrays.py:12)" ]; then ok "a numpy script's own lines are named"; else
	jq -c '.sites[] | [.where, .stack]' arrays.json | not_ok "a numpy script's own lines are named, not '$named'"
fi
if jq -r '.sites[].stack' arrays.json | grep -q 'python3\.[0-9]*+0x'; then not_ok "the interpreter's frames are hidden" <arrays.json; else
	ok "the interpreter's frames are hidden"
fi

# ---- a process that confines itself ----
# Its filter kills who calls process_vm_readv, which a plain run never does.
cat >confined.py <<'END'
import ctypes
import mmap
import struct

libc = ctypes.CDLL(None)
first = bytearray(4 << 20)
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 310), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *s) for s in steps))


class Filter(ctypes.Structure):
    _fields_ = [("steps", ctypes.c_ushort), ("code", ctypes.c_void_p)]


assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.byref(Filter(len(steps), ctypes.addressof(code))), 0, 0) == 0  # PR_SET_SECCOMP
large = [bytearray(3 << 20) for _ in range(20)]
small = [bytes(20000 + n % 1000) for n in range(20000)]
print(len(large), len(small), len(mmap.mmap(-1, 8 << 20)))
END
for device in none pcie4-gpu,mem=64M; do
	if LD_PRELOAD=$lib GMEM_REPORT=$work/confined.json GMEM_DEVICE=$device $python confined.py >out 2>&1 && grep -qx "20 20000 8388608" out; then
		ok "a process that confines itself is asked no more, device $device"
	else
		not_ok "a process that confines itself is asked no more, device $device" <out
	fi
done
exit $failed
