#!/bin/bash
# scripts/check-rooms: calls, includes and circles against the order of the rooms are found, in small rooms and in ours; and
# so are names, functions and ways (docs/architecture.md) that are not as they should be.
# Prints "ok NAME" or "not ok NAME".
# shellcheck source=test/e2e/common.sh
. "$(dirname "$0")/common.sh"

check() { "$top/scripts/check-rooms" --rooms rooms.txt "${@:-out}" >got 2>&1; }
says() { # what, a word of its output
	if grep -qF -- "$2" got; then ok "$1"; else not_ok "$1" <got; fi
}
passes() {
	if check; then ok "$1"; else not_ok "$1" <got; fi
}
fails() { # what, what it says
	if check; then echo "not found" | not_ok "$1"; else says "$1" "$2"; fi
}

# house/low/a.c, house/low/b.c, house/high/c.c: who calls whom, and what a.c includes.
build_house() { # calls of a, of b, of c; header that a includes
	rm -rf house out
	mkdir -p house/low house/high out/house/low out/house/high
	printf '%s\nvoid gm_a(void) { %s }\n' "${4:+#include \"$4\"}" "$1" >house/low/a.c
	echo "void gm_b(void) { $2 }" >house/low/b.c
	echo "void gm_c(void) { $3 }" >house/high/c.c
	echo "void gm_c(void);" >house/high/c.h
	for f in low/a low/b high/c; do
		$cc -w -I. -c "house/$f.c" -o "out/house/$f.o" || exit 1
	done
}
rules() { printf '%s\n' 'names gm' 'order house' '  house/low house/high' "$@" >rooms.txt; }

rules
build_house 'gm_b();' '' 'gm_a();'
passes calls_with_the_order_pass
build_house 'malloc(1);' '' 'gm_a();'
echo 'void *malloc(unsigned long n) { return 0; }' >>house/high/c.c
$cc -w -c house/high/c.c -o out/house/high/c.o
passes names_that_are_not_ours_do_not_count
build_house 'gm_c();' '' ''
fails a_call_against_the_order_fails 'house/low/a.o: uses gm_c of house/high/c.o'
rules 'except house/low/a gm_c: for this test'
passes an_exception_with_a_reason_lets_it_pass
build_house '' '' ''
fails an_exception_without_use_is_stale 'does not use gm_c'
rules
build_house '' '' '' house/high/c.h
fails an_include_against_the_order_fails 'house/low/a.c: includes house/high/c.h'
rules 'circle house 2'
build_house 'gm_b();' 'gm_a();' ''
passes a_small_circle_passes
rules 'circle house 1'
fails a_circle_of_too_many_files_fails '2 files use each other in a circle'
rules 'what is this'
fails an_unknown_rule_is_refused 'not understood'

# Names.
printf 'static int take(int a)\n{\n}\n' >one.c
printf 'static void take(void);\nstatic long other(long a,\n' >two.c
if "$top/scripts/check-names" one.c two.c; then ok a_prototype_is_no_second_name; else not_ok a_prototype_is_no_second_name; fi
printf 'static long take(long a,\n' >>two.c
if "$top/scripts/check-names" one.c two.c 2>got; then cat got; fi
says a_name_in_two_files_is_found 'take: the name of a static function in one.c and two.c'

# Length.
{
	echo 'int long_one(int a)'
	echo '{'
	seq -f '	a += %.0f;' 70
	echo '	return a;'
	echo '}'
} >three.c
"$top/scripts/check-functions" three.c 2>got && echo passed >got
says a_long_function_is_found 'three.c:1: long_one: 74 lines, more than 60'
sed -i '1i /* Adds. (74 lines: for this test.) */' three.c
if "$top/scripts/check-functions" three.c >got 2>&1; then ok a_reason_lets_it_pass; else not_ok a_reason_lets_it_pass <got; fi

# Ours.
cp "$top/scripts/rooms.txt" rooms.txt
# The ways of docs/architecture.md: a file that is gone, a step that nothing leads to.
ways_fail() { # test, sed script on the document, what it says
	sed "$2" "$top/docs/architecture.md" >ways.md
	if "$top/scripts/check-ways" "$PWD/ways.md" >got 2>&1; then echo "not found" | not_ok "$1"; else says "$1" "$3"; fi
}
ways_fail a_file_on_a_way_is_there 's|core/page/plan.c|core/page/plans.c|' "core/page/plans.c, which is not there"
ways_fail a_function_on_a_way_is_there 's|plan.c: gmc_plan|plan.c: gmc_plans|' "gmc_plans, which core/page/plan.c does not define"
ways_fail a_step_of_a_way_is_called 's|store.c: gmc_retain|store.c: gmc_store_open|' \
	"no file that it named before mentions gmc_store_open"
if check "$build" "$top"; then ok our_rooms_are_in_order; else not_ok our_rooms_are_in_order <got; fi
cp -r "$top"/{core,devsim,preload} .
echo '#include "core/entry/fault.h"' >>core/sys/log.c
mkdir -p out2/core/sys
cp -r "$build"/{core,devsim,preload} out2/
echo 'int gmi_cpu_fault(unsigned long, int); int gm_bad(void) { return gmi_cpu_fault(0, 0); }' >core/sys/bad.c
$cc -w -c core/sys/bad.c -o out2/core/sys/bad.o
check out2 .
says a_call_up_from_our_ground_floor_fails 'core/sys/bad.o: uses gmi_cpu_fault of core/entry/fault.o'
says an_include_up_from_our_ground_floor_fails 'core/sys/log.c: includes core/entry/fault.h'
exit $failed
