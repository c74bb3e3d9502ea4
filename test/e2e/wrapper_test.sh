#!/bin/bash
# run-with-gmem.sh: flags, messages, exit statuses, signals, what it refuses. Prints "ok NAME" or "not ok NAME".
# shellcheck disable=SC2317,SC2016  # test functions are called by name; $ in single quotes is for the inner shell
# shellcheck source=test/e2e/functions.sh
. "$(dirname "$0")/functions.sh"

# status STATUS COMMAND...: output in $tmp/out, $tmp/err
status() {
	local want=$1 got
	shift
	"$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ "$got" = "$want" ] || { echo "status $got instead of $want: $*"; cat "$tmp/err"; return 1; }
}
says() { grep -qF -- "$2" "$tmp/$1" || { echo "no '$2' in:"; cat "$tmp/$1"; return 1; }; }
silent() { [ ! -s "$tmp/$1" ] || { echo "unexpected:"; cat "$tmp/$1"; return 1; }; }

exit_status_and_output_are_the_programs() {
	status 7 "$run" --report none -- sh -c 'echo out; echo err >&2; exit 7' &&
		says out out && says err err && [ "$(wc -l <"$tmp/err")" = 1 ]
}
signals_pass_through() {
	status 143 bash -c "exec '$run' --report none sh -c 'kill -TERM \$\$'" 2>/dev/null
}
pid_and_stdin_are_kept() {
	echo hello | "$run" --report none cat | grep -qx hello &&
		bash -c "echo \$\$; exec '$run' --report none sh -c 'echo \$\$'" | uniq | wc -l | grep -qx 1
}
arguments_with_spaces_and_dashes() {
	status 0 "$run" --report none -- printf '[%s]' -a 'b  c' '' --report && says out '[-a][b  c][][--report]'
}
default_report_is_text() {
	status 0 "$run" -- /bin/echo one  two && says err 'gmem: /bin/echo one two' && says err 'no device was used'
}
report_text_once_for_a_script_with_children() {
	status 0 "$run" -- bash -c '/bin/true; (/bin/true); /bin/true | cat; echo' &&
		[ "$(grep -c '^gmem: ' "$tmp/err")" = 1 ]
}
report_json_relative_to_here() {
	(cd "$tmp" && status 0 "$run" --report=r.json bash -c 'cd /; /bin/true; exit 0') &&
		grep -q '"ended": "exit"' "$tmp/r.json" && [ "$(ls "$tmp"/r*)" = "$tmp/r.json" ] &&
		grep -q '"program": ".*bash"' "$tmp/r.json"
}
report_of_the_last_image_after_exec() {
	status 0 "$run" --report "$tmp/x.json" sh -c 'exec /bin/true' && grep -q '"program": ".*true"' "$tmp/x.json" &&
		[ ! -e "$tmp/x.json.lock" ]
}
report_with_pid() {
	status 0 "$run" --report "$tmp/p-%p.json" /bin/true && ls "$tmp"/p-[0-9]*.json >/dev/null
}
report_with_pid_of_a_child() {
	local names
	status 0 "$run" --report "$tmp/c-%p.json" --blas-min 8 -- sh -c "GMEM_CHAOS=2000,write ls -lR /usr/include >$tmp/ls.out; exit 0" ||
		return 1
	names=$(cd "$tmp" && echo c-*.json)
	[[ "$names" =~ ^c-[0-9]+\.json\ c-[0-9]+\.json$ ]] || { echo "$names"; return 1; }
}
beside_an_auditor() {
	echo '__attribute__((visibility("default"))) unsigned la_version(unsigned v) { return v; }' >"$tmp/audit.c" &&
		cc -shared -fPIC -o "$tmp/audit.so" "$tmp/audit.c" || return 1
	LD_AUDIT=$tmp/audit.so status 0 "$run" --report "$tmp/a.json" -- ls / && silent err &&
		grep -q '"program": ".*ls' "$tmp/a.json"
}
json_is_shown_as_text() {
	status 0 "$run" --report "$tmp/s.json" /bin/true && status 0 "$BUILD/gmem-report" "$tmp/s.json" &&
		says out 'gmem: /bin/true'
}
help_lists_every_option() {
	status 0 "$run" --help && silent err || return 1
	local o
	for o in device offload blas-min prefetch evict fault throttle retain report log disable restrict-exe children; do
		says out "--$o" || return 1
	done
}
flags_and_environment_are_the_same() {
	status 0 "$run" --report none --device none --log debug env && says out GMEM_DEVICE=none && says out GMEM_LOG=debug
}
device_twice_is_two_devices() {
	status 0 "$run" --report none --device pcie3-gpu --device=pcie4-gpu,mem=1G env &&
		says out 'GMEM_DEVICE=pcie3-gpu;pcie4-gpu,mem=1G'
}
preload_is_prepended() {
	status 0 env LD_PRELOAD="$BUILD/libgmem.so" "$run" --report none env &&
		says out "LD_PRELOAD=$BUILD/libgmem_preload.so:$BUILD/libgmem.so"
}
bad_flag() { status 2 "$run" --devices x true && says err 'unknown flag --devices'; }
flag_without_value() { status 2 "$run" --device && says err '--device needs a value'; }
bad_value() { status 2 "$run" --prefetch x true && says err 'GMEM_PREFETCH=x' && says err 'seq64k'; }
bad_profile() { status 2 "$run" --device nosuch true && says err GMEM_DEVICE && says err pcie3-gpu; }
unknown_variable() {
	status 2 env GMEM_DEVISE=none "$run" true && says err GMEM_DEVISE && says err 'did you mean GMEM_DEVICE?'
}
unknown_variable_without_the_wrapper() {
	status 2 env GMEM_DEVISE=none LD_PRELOAD="$BUILD/libgmem_preload.so" /bin/echo ran && silent out &&
		says err 'did you mean GMEM_DEVICE?' && [ "$(wc -l <"$tmp/err")" = 1 ]
}
no_program() { status 2 "$run" --report none && says err 'no program given'; }
missing_program() { status 127 "$run" nosuchprogram && says err 'nosuchprogram'; }
missing_path() { status 127 "$run" "$tmp/none" && says err "$tmp/none"; }
not_executable() { echo >"$tmp/plain" && status 126 "$run" "$tmp/plain" && says err 'not executable'; }
directory() { status 126 "$run" "$tmp" && says err 'is a directory'; }
no_format() {
	echo 'echo hi' >"$tmp/text" && chmod +x "$tmp/text" && status 126 "$run" "$tmp/text" && says err 'neither an ELF'
}
script_with_interpreter() {
	printf '#!/bin/sh\necho "script $1"\n' >"$tmp/script" && chmod +x "$tmp/script" &&
		status 0 "$run" --report none "$tmp/script" x && says out 'script x'
}
script_without_interpreter() {
	printf '#!/nosuch/sh\n' >"$tmp/bad" && chmod +x "$tmp/bad" && status 126 "$run" "$tmp/bad" && says err '/nosuch/sh'
}
static_program() {
	echo 'int main(void){return 0;}' >"$tmp/s.c" && gcc -static -o "$tmp/static" "$tmp/s.c" &&
		status 126 "$run" "$tmp/static" && says err 'statically linked'
}
other_machine() { # the machine number of the ELF header, changed to that of AArch64
	cp /bin/true "$tmp/arm" && printf '\267' | dd of="$tmp/arm" bs=1 seek=18 conv=notrunc 2>/dev/null &&
		status 126 "$run" "$tmp/arm" && says err 'another machine'
}
setuid_program() {
	[ "$(id -u)" = 0 ] || return 77
	cp /bin/true "$tmp/suid" && chown 65534 "$tmp/suid" && chmod 4755 "$tmp/suid" &&
		status 126 "$run" "$tmp/suid" && says err 'setuid'
}
program_without_libraries() {
	printf '.globl _start\n_start: mov $60, %%eax\nxor %%edi, %%edi\nsyscall\n.section .note.GNU-stack,"",@progbits\n' >"$tmp/n.S" &&
		gcc -nostdlib -pie -o "$tmp/nolib" "$tmp/n.S" && "$tmp/nolib" && status 126 "$run" "$tmp/nolib" &&
		says err 'uses no library'
}
thirty_two_bits() { # the class of the ELF header, changed to 32 bits
	cp /bin/true "$tmp/i386" && printf '\001' | dd of="$tmp/i386" bs=1 seek=4 conv=notrunc 2>/dev/null &&
		status 126 "$run" "$tmp/i386" && says err 'another machine (32 bits'
}
script_of_a_static_interpreter() {
	echo 'int main(void){return 0;}' >"$tmp/s2.c" && gcc -static -o "$tmp/interp" "$tmp/s2.c" &&
		echo "#!$tmp/interp" >"$tmp/script2" && chmod +x "$tmp/script2" && "$tmp/script2" &&
		status 126 "$run" "$tmp/script2" && says err 'its interpreter' && says err 'statically linked'
}
library_that_does_not_load() {
	mkdir -p "$tmp/broken/build" "$tmp/broken/scripts" && cp "$run" "$tmp/broken/scripts/" &&
		cp "$BUILD/gmem-report" "$tmp/broken/build/" && echo junk >"$tmp/broken/build/libgmem_preload.so" &&
		status 125 env BUILD=build "$tmp/broken/scripts/run-with-gmem.sh" /bin/echo ran && silent out &&
		says err 'cannot be loaded'
}
not_built() {
	mkdir -p "$tmp/empty/scripts" && cp "$run" "$tmp/empty/scripts/" &&
		status 125 env BUILD=build "$tmp/empty/scripts/run-with-gmem.sh" true && says err 'run make'
}
works_through_a_link_and_from_anywhere() {
	ln -s "$run" "$tmp/gm" && (cd / && status 0 "$tmp/gm" --report none /bin/echo ran) && says out ran
}
installed() {
	make -C "$top" --no-print-directory -s BUILD="$BUILD" PREFIX=/opt/g DESTDIR="$tmp/i" install >"$tmp/out" 2>&1 ||
		{ cat "$tmp/out"; return 1; }
	status 0 env -u BUILD "$tmp/i/opt/g/bin/run-with-gmem.sh" --report "$tmp/i.json" /bin/echo ran && says out ran &&
		grep -q '"ended": "exit"' "$tmp/i.json" && grep -q 'prefix=/opt/g' "$tmp/i/opt/g/lib/pkgconfig/gmem.pc" &&
		[ -x "$tmp/i/opt/g/lib/gmem/gmem-devsim" ] || return 1
	make -C "$top" --no-print-directory -s BUILD="$BUILD" PREFIX=/opt/g DESTDIR="$tmp/i" uninstall
	[ -z "$(find "$tmp/i" -type f)" ] || { find "$tmp/i" -type f; return 1; }
}

# A sanitizer's program runs by itself, which one line says; its report of a bug comes as ever.
sanitized() { # compiler, sanitizer, what it is called, the bug, a word of its report
	[ -e "$tmp/$2.$1" ] || $1 -w -g -fsanitize="$2" -o "$tmp/$2.$1" "$top/test/apps/runtimes/sanitized.c" -lpthread || return 77
	"$tmp/$2.$1" >"$tmp/want" 2>&1
	status $? "$run" --report none "$tmp/$2.$1" && says err "the $3 sanitizer" && says err 'without GMEM' &&
		[ "$(wc -l <"$tmp/err")" = 1 ] && cmp "$tmp/want" "$tmp/out" || return 1
	"$tmp/$2.$1" "$4" >"$tmp/want" 2>&1
	status $? "$run" --report none "$tmp/$2.$1" "$4" && says err "$5"
}
address_sanitizer_gcc() { sanitized gcc address address address heap-buffer-overflow; }
address_sanitizer_clang() { sanitized clang address address address heap-buffer-overflow; }
thread_sanitizer_gcc() { sanitized gcc thread thread thread 'data race'; }
thread_sanitizer_clang() { sanitized clang thread thread thread 'data race'; }
memory_sanitizer_clang() { sanitized clang memory memory memory use-of-uninitialized-value; }

run_functions test/e2e/wrapper_test.sh 'status|says|silent|sanitized' "needs root, or the compiler's sanitizer"
exit $failed
