#!/bin/bash
# --policy: a plug-in under a whole program, what is wrong with a file said before the program starts, and a plug-in that
# breaks while the program runs. Prints "ok NAME" or "not ok NAME".
# shellcheck disable=SC2317  # test functions are called by name
# shellcheck source=test/e2e/functions.sh
. "$(dirname "$0")/functions.sh"

plugin() { # source, name, flags...
	"${CC:-cc}" -shared -fPIC -O2 -I"$top/include" -I"$top/test/unit" "${@:3}" -o "$tmp/$2.so" "$1"
}
plugin "$top/examples/policies/lfu.c" lfu
plugin "$top/examples/policies/stride.c" stride
plugin "$top/test/unit/plugins.c" crash -DFIELD=on_evict_pick -DFUNCTION=crash_pick
plugin "$top/test/unit/plugins.c" divide -DFIELD=on_evict_pick -DFUNCTION=divide_pick
plugin "$top/test/unit/plugins.c" version -DPLUGIN_version

cat >"$tmp/products.py" <<'END'
import numpy
a = numpy.arange(768 * 768, dtype=float).reshape(768, 768) % 7
print(sum(float((a @ (a + i)).sum()) for i in range(8)))
END
product() { # its output in $tmp/out, messages in $tmp/err
	timeout 120 "$run" --report none --device pcie4-gpu,mem=12M "$@" -- /usr/bin/python3 "$tmp/products.py" >"$tmp/out" 2>"$tmp/err"
}
timeout 120 /usr/bin/python3 "$tmp/products.py" >"$tmp/plain" || exit 1

the_examples_compute_the_same() {
	for p in lfu stride; do
		(cd "$tmp" && product --log error --policy "./$p.so") || { cat "$tmp/err"; return 1; }
		diff "$tmp/plain" "$tmp/out" || return 1
		[ ! -s "$tmp/err" ] || { cat "$tmp/err"; return 1; }
	done
}
one_that_crashes_is_named_and_the_program_goes_on() {
	product --policy "$tmp/crash.so" && diff "$tmp/plain" "$tmp/out" || return 1
	[ "$(grep -c 'policy "test".*is broken: on_evict_pick crashed' "$tmp/err")" = 1 ] || { cat "$tmp/err"; return 1; }
}
whatever_actions_the_program_has() {
	local how
	for how in '' 'signal.signal(signal.SIGFPE, lambda *a: print("not mine"))' 'signal.signal(signal.SIGFPE, signal.SIG_DFL)' \
		'faulthandler.enable()'; do
		{ echo 'import faulthandler, signal'; echo "$how"; cat "$tmp/products.py"
		echo 'if "SIG_DFL" in """'"$how"'""": assert signal.getsignal(signal.SIGFPE) == signal.SIG_DFL'; } >"$tmp/acts.py"
		if ! timeout 120 "$run" --report none --device pcie4-gpu,mem=12M --policy "$tmp/divide.so" -- /usr/bin/python3 "$tmp/acts.py" \
			>"$tmp/out" 2>"$tmp/err" || ! diff "$tmp/plain" "$tmp/out"; then
			echo "$how"
			cat "$tmp/err"
			return 1
		fi
		[ "$(grep -c 'is broken: on_evict_pick crashed: SIGFPE' "$tmp/err")" = 1 ] || { echo "$how"; cat "$tmp/err"; return 1; }
	done
	echo 'import signal, os; assert signal.getsignal(signal.SIGFPE) == signal.SIG_DFL; os.kill(os.getpid(), signal.SIGFPE)' >"$tmp/die.py"
	timeout 60 "$run" --report none --policy "$tmp/divide.so" -- /usr/bin/python3 "$tmp/die.py" 2>"$tmp/err"
	[ $? = 136 ] || { cat "$tmp/err"; return 1; }
}
a_wrong_file_is_said_before_the_program_starts() {
	local says
	product --policy "$tmp/version.so"
	[ $? = 2 ] && grep -q "is of version 2; this library calls version 1" "$tmp/err" && [ ! -s "$tmp/out" ] || return 1
	says=$(product --policy "$tmp/nowhere.so"; cat "$tmp/err")
	grep -q "GMEM_POLICY: no file .*nowhere.so" <<<"$says" || { echo "$says"; return 1; }
	product --policy "$tmp/plain"
	[ $? = 2 ] || return 1
	grep -q "GMEM_POLICY: .*plain" "$tmp/err" || { cat "$tmp/err"; return 1; }
}
children_elsewhere_load_the_same_file() {
	(cd "$tmp" && timeout 60 "$run" --report none --policy ./lfu.so -- sh -c 'cd / && /bin/echo child') | grep -qx child
}

run_functions "$0" 'plugin|product'
exit $failed
