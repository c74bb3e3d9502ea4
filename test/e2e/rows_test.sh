#!/bin/bash
# Each row of the system call table that takes memory, with its arguments away, against the plain run: results, buffers and
# what the call leaves behind. A row without a test fails. usage: rows_test.sh [ROW...]
# ROWS_ROUNDS: how often the mode "chaos" is run, each time with another seed (1).
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
build_activate_now "$work/activate_now.so" || exit 1

$cc -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter -I"$top" -o syscall_rows \
	"$top"/test/e2e/rows/*.c -lpthread -ldl || exit 1
(cd "$top" && $cc -std=gnu11 -D_GNU_SOURCE -Iinclude -I. -o "$work/table" test/e2e/rows_table.c \
	preload/syscalls/syscall_table.c preload/syscalls/syscall_commands.c -L"$build" -lgmem -Wl,-rpath,"$build") || exit 1

if ./table | sort | diff - <(./syscall_rows --list | sort) >diff.out; then
	ok "every row has a test"
else
	not_ok "every row has a test (<), and every test a row" <diff.out
fi

arguments=("$@")
if ! run_program syscall_rows GMEM_DEVICE=none || [ $status != 0 ]; then
	not_ok "syscall_rows, plain (exit $status)" < <(tail -n 5 got)
	exit 1
fi
mv got plain

compare() { # mode, environment...
	run_program syscall_rows ROWS_AWAY=1 "${@:2}"
	awk -v mode="$1" -f "$top/test/e2e/rows.awk" plain got || failed=1
	[ $status = 0 ] || not_ok "syscall_rows, $1 (exit $status)" < <(tail -n 5 got)
}

compare "dispatch on" LD_PRELOAD="$lib:$work/activate_now.so"
compare "simulated device" LD_PRELOAD="$lib"
for ((seed = 1; seed <= ${ROWS_ROUNDS:-1}; seed++)); do
	compare "chaos seed $seed" GMEM_CHAOS=4000,seed=$seed,write LD_PRELOAD="$lib"
done
exit $failed
