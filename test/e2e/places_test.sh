#!/bin/bash
# Where a report goes when its place cannot be had, and that nothing of anybody else's is written, followed or removed there.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
chmod 755 "$work"
cat >prog.c <<'END'
#include <gmem/device.h>
#include <stdio.h>
int main(void)
{
	struct gm_sim *sim;
	printf("open %d\n", gm_sim_open("pcie4-gpu,mem=4M", &sim));
	return 3;
}
END
$cc -o prog prog.c -I"$top/include" -L"$build" -lgmem -Wl,-rpath,"$build" || exit 1

# Up to some seconds after the end: the reporter is not the program's child.
until_it_says() { for ((i = 0; i < 100; i++)); do grep -q "$1" err && return 0; sleep 0.1; done; return 1; }
is_text() { # what, report
	GMEM_REPORT=$2 ./prog >got 2>err
	status=$?
	if [ $status = 3 ] && until_it_says 'managed memory' && grep -q '^gmem: .*text' err; then ok "$1"; else
		cat got err | not_ok "$1 (exit $status)"
	fi
}
is_text "a folder that is not there" "$work/none/r.json"
is_text "a folder that takes no files" /proc/r.json

echo precious >kept
intact() { # what
	if [ "$(cat kept)" = precious ] && [ "$(cat "$2")" = precious ]; then ok "$1"; else find . -ls | not_ok "$1"; fi
}
ln -s kept a.json.lock
is_text "the lock is a link" "$work/a.json"
intact "its target is untouched" a.json.lock
cp kept b.json.lock
is_text "the lock is somebody's file" "$work/b.json"
intact "it is untouched" b.json.lock
ln kept c.json.lock
is_text "the lock is a second name of a file" "$work/c.json"
intact "both are untouched" c.json.lock
sh -c "ln -s kept d.json.\$\$.tmp; GMEM_REPORT=$work/d.json exec ./prog" >got 2>err
until_it_says 'managed memory'
intact "a link in place of the new file is not followed" kept
printf '123\n' >e.json.lock
GMEM_REPORT=$work/e.json ./prog >got 2>err
for ((i = 0; i < 100; i++)); do [ -e e.json ] && [ ! -e e.json.lock ] && break; sleep 0.1; done
if [ -e e.json ] && [ ! -e e.json.lock ]; then ok "a lock that a killed run left is taken over"; else
	find . -ls | not_ok "a lock that a killed run left is taken over"
fi

if [ "$(id -u)" != 0 ]; then
	skip "a setuid program" "only root can make one"
	exit $failed
fi
cp prog setuid && chmod 4755 setuid && chmod 777 "$work"
setpriv --reuid 65534 --clear-groups env GMEM_REPORT="$work/s.json" GMEM_NONSENSE=1 ./setuid >got 2>err
status=$?
sleep 1
if [ $status = 3 ] && grep -qx 'open 0' got && [ ! -e s.json ] && [ ! -e s.json.lock ]; then
	ok "a setuid program takes nothing from the environment"
else
	{ cat got err; ls -l; } | not_ok "a setuid program takes nothing from the environment (exit $status)"
fi
exit $failed
