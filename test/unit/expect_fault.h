/* expect_fault.h - a SIGSEGV that a test waits for ends at fault_env, any other as always. */
#ifndef GM_TEST_EXPECT_FAULT_H
#define GM_TEST_EXPECT_FAULT_H

#include <setjmp.h>
#include <signal.h>

static sigjmp_buf fault_env;
static volatile sig_atomic_t fault_expected;

static void on_fault(int sig)
{
	if (fault_expected)
		siglongjmp(fault_env, 1);
	signal(sig, SIG_DFL);
}

#endif
