#!/bin/bash
# Is every row of test/behaviours.txt a test of that name, and does it run on each CPU back end with each device page size?
# Prints the rows that are not, and fails. Run in the project's folder; part of make check.
set -eu
wanted="sigsegv-4K sigsegv-2M uffd-64K uffd-4K uffd-2M" # sigsegv-64K is the plain run
bad=0 rows=0

have=$(sed -n 's/^Behaviour(\([a-z0-9_]*\).*/\1/p; s/^Test(behaviour, \([a-z0-9_]*\).*/\1/p' test/device/test_behaviours*.c)
while read -r row; do
	[ "${row#\#}" = "$row" ] || continue
	rows=$((rows + 1))
	if ! grep -qx "$row" <<<"$have"; then
		echo "no test of the behaviour $row"
		bad=1
	fi
done <test/behaviours.txt
# shellcheck disable=SC2016 # for make to expand
runs=$(make -s --no-print-directory -f - <<<'all:; @echo $(VARIANT_RUNS)
include test/unit/variants.mk')
for program in test/device/test_behaviours*.c; do
	name=device/$(basename "$program" .c)
	for variant in $wanted; do
		[[ " $runs " == *" $name.$variant "* ]] && continue
		echo "$name does not run as $variant"
		bad=1
	done
done
[ $bad = 0 ] && echo "$rows behaviours, each a test, on 2 CPU back ends with 3 device page sizes"
exit $bad
