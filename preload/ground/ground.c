/* ground.c - whether hooks are in force; Syscall User Dispatch of one thread. */
#include "preload/ground/ground.h"

#include <sys/prctl.h>

#include "preload/ground/gate.h"

bool gmp_on, gmp_armed;
bool gmp_have_dispatch;
volatile char gmp_selector;
_Atomic uint32_t gmp_generation;
__thread uint32_t gmp_joined;

/* Where gate.S's stubs go on: filled by dispatch. */
void *gmp_stub_back[GMP_NSTUBS];
void *gmp_clone_back[GMP_NCLONE_STUBS];
void *gmp_vfork_back[GMP_NVFORK_STUBS];

static long set_dispatch(int on)
{
	return on ? gm_sys5(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON,
			    gmp_gate_start, (uintptr_t)gmp_gate_end - (uintptr_t)gmp_gate_start,
			    &gmp_selector)
		  : gm_sys5(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0);
}

void gmp_dispatch_try(void)
{
	gmp_have_dispatch = set_dispatch(1) == 0;
	if (gmp_have_dispatch)
		set_dispatch(0);
}

void gmp_dispatch_arm_thread(void)
{
	if (gmp_have_dispatch)
		set_dispatch(1);
	gmp_joined = atomic_load(&gmp_generation);
}

void gmp_dispatch_disarm_thread(void)
{
	if (gmp_have_dispatch && gmp_joined != GMP_NEVER_JOINS)
		set_dispatch(0);
	gmp_joined = GMP_NEVER_JOINS;
}

/* On its parent's memory: gmp_joined is its parent's, who has joined. */
void gmp_guest_born(void)
{
	if (gmp_have_dispatch)
		set_dispatch(1);
}
