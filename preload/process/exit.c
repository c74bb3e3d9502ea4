/* exit.c - the ways out that run no destructors. */
#include <unistd.h>

#include "core/count/stats.h"
#include "preload/ground/ground.h"

/*
 * Runs no destructors: the report is written before the process is gone, as after exit(). A
 * vfork child's is its parent's (gmi_report_finish looks at the pid). Signal-safe, as _exit must
 * be: raw calls and no lock.
 */
GMP_HOOK __attribute__((noreturn)) void _exit(int status)
{
	if (gmp_on)
		gmi_report_finish();
	for (;;)
		gm_sys1(SYS_exit_group, status);
}

GMP_HOOK __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}
