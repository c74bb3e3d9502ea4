#!/bin/bash
# Limits that are set before the program starts: it does what it does without us, on the device or on the host; then one
# line says why, truly.
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"
$cc -std=gnu11 -D_GNU_SOURCE -O1 -o limits "$top/test/e2e/limits.c" -lpthread || exit 1

# Run by prlimit, or by what else stands in $by, as somebody who may not raise a limit.
limited() { # what, extended regular expression of what may be said, limits for prlimit... -- arguments...
	local what=$1 said=$2 words=("${@:3}") set=()
	while [ "${words[0]}" != -- ]; do
		set+=("${words[0]}")
		words=("${words[@]:1}")
	done
	if ! timeout 60 "${by[@]}" "${set[@]}" ./limits "${words[@]:1}" >plain 2>/dev/null; then
		skip "$what" "the program alone does not bear it"
		return
	fi
	timeout 60 "${by[@]}" "${set[@]}" env GMEM_REPORT=none LD_PRELOAD="$lib" ./limits "${words[@]:1}" >got 2>err
	status=$?
	if [ $status = 0 ] && cmp -s plain got && [ "$(grep -cvE "^gmem: .*($said)" err)" = 0 ] && [ "$(wc -l <err)" -le 1 ]; then
		ok "$what"
	else
		cat plain got err | not_ok "$what (exit $status)"
	fi
}

by=(prlimit)
files='limit for files is smaller'
full='no descriptor is left'
limited "files of 1 MiB" "$files" --fsize=1000000 --
limited "files of 1 GiB" "$files" --fsize=1000000000 --
limited "files of 1 MiB, for now" "$files" --fsize=1000000:unlimited --
for n in 4 5 6 8 10 12 16 20 32 64; do
	limited "$n descriptors" "$full" --nofile=$n --
	limited "$n descriptors, all taken" "$full" --nofile=$n -- fill
done
# (as somebody who may not raise a limit that is set for good)
by=(prlimit)
limited "its own limit of addresses" "-" -- own
GMEM_CHAOS=2000,write limited "its own limit of addresses, under chaos" "-" -- own
limited "2 GiB of addresses, for now" "-" --as=2147483648:unlimited -- own
limited "2 GiB of addresses, for now and read" "-" --as=2147483648:unlimited --
nobody=()
[ "$(id -u)" != 0 ] || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all)
chmod -R a+rX "$work"
by=("${nobody[@]}" prlimit)
limited "2 GiB of addresses" "memory stays on the host" --as=2147483648 --
limited "1 process" "no process more can be made" --nproc=1 --
by=(prlimit)
limited "24 MiB of data" "RLIMIT_DATA" --data=25165824 --
limited "nothing locked" "-" --memlock=0 --
limited "a second of processor time is the program's" "-" --cpu=1 --

# A control group that leaves the program what it needs (48 MiB and those at the end), and little more: pages on the device
# are not on the host as well.
group=
for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
	mkdir "$root/gmem-limits-$$" 2>/dev/null || continue
	group=$root/gmem-limits-$$
	trap 'rmdir "$group" 2>/dev/null; rm -rf "$work"' EXIT
	most=$(find "$group" -name memory.limit_in_bytes -o -name memory.max | head -n 1)
	[ -z "$most" ] || break
	rmdir "$group"
	group=
done
# shellcheck disable=SC2016
printf '#!/bin/bash\necho $1 >%s && echo $$ >%s/cgroup.procs && exec "${@:2}"\n' "${most:-}" "$group" >in_group
chmod +x in_group
in_group() { # limit, MiB at the end
	if [ -n "$group" ]; then
		by=(./in_group "$1")
		limited "a group with $1, $2 at the end" "-" -- much "$2"
		GMEM_CHAOS=2000,write limited "a group with $1, $2 at the end, under chaos" "-" -- much "$2"
	else
		skip "a group with $1, $2 at the end" "no control group of memory can be made here"
	fi
}
in_group 80M 8
in_group 124M 48

# A root without these: what is not there is named, when it is missed.
cat >without <<'END'
#!/bin/bash
exec unshare -m bash -c 'mount -t tmpfs none "$1" && exec "${@:2}"' without "$@"
END
chmod +x without
for what in /proc /dev /sys; do
	by=(./without "$what")
	limited "without $what" "no $what" --
	GMEM_CHAOS=2000,write limited "without $what, under chaos" "no $what" --
	limited "without $what, its own limit of addresses" "no $what" -- own
done
if ./without /proc true 2>/dev/null; then
	./without /proc "$top/scripts/run-with-gmem.sh" --report none --device pcie4-gpu ./limits >got 2>err
	status=$?
	if [ $status = 0 ] && grep -q '^memory' got && [ "$(grep -cv 'no /proc' err)" = 0 ]; then ok "without /proc, wrapped"; else
		cat got err | not_ok "without /proc, wrapped (exit $status)"
	fi
fi

# What nobody may raise: the report is lost, and the limit is named.
drop=()
[ "$(id -u)" != 0 ] || drop=(setpriv --bounding-set -sys_resource)
"${drop[@]}" prlimit --fsize=1000:1000 env GMEM_REPORT=text GMEM_DEVICE=none LD_PRELOAD="$lib" ./limits >got 2>err
status=$?
if [ $status = 0 ] && grep -q '^gmem: no report.*RLIMIT_FSIZE' err; then ok "no report for a limit"; else
	cat got err | not_ok "no report for a limit (exit $status)"
fi

# The wrapper knows what its heap needs, and starts the program without.
if prlimit --data=8000000 "$top/scripts/run-with-gmem.sh" --report none ./limits >got 2>err && grep -q '^memory' got &&
	grep -qE '^run-with-gmem.sh: .*RLIMIT_DATA.*without GMEM$' err; then
	ok "8 MB of data, wrapped"
else
	cat got err | not_ok "8 MB of data, wrapped"
fi
prlimit --data=8000000 env LD_PRELOAD="$lib" ./limits >got 2>err
status=$?
if [ $status = 127 ] && grep -q 'must leave 16 MiB' err; then ok "8 MB of data, preloaded"; else
	cat got err | not_ok "8 MB of data, preloaded (exit $status)"
fi
exit $failed
