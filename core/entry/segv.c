/*
 * segv.c - the SIGSEGV handler of programs without the preload: asks core, and chains to whatever
 * was there before.
 */
#include "core/entry/fault.h"
#include "core/entry/fork.h"
#include "core/entry/offer.h"
#include "core/page/driver.h"
#include "core/sys/sigaction.h"
#include "core/count/trace.h"
#include <pthread.h>
#include <signal.h>
#include <sys/ucontext.h>

extern void gmc_sigreturn(void); /* gate_x86_64.S */
static struct gm_ksigaction previous;

/* The bytes are on a device and do not come home: the access fails; who handles that and returns
 * tries it again. */
static void raise_bus_error(void *addr)
{
	siginfo_t bus = {.si_signo = SIGBUS, .si_code = BUS_ADRERR};

	bus.si_addr = addr;
	gm_sys4(SYS_rt_tgsigqueueinfo, gm_sys0(SYS_getpid), gm_sys0(SYS_gettid), SIGBUS, &bus);
}

static void plain_segv(int sig, siginfo_t *info, void *context)
{
	if (gmi_guard_left(info, context))
		return;
	ucontext_t *uc = context;
	bool write = uc->uc_mcontext.gregs[REG_ERR] & 2;
	gmc_trace_here.pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	enum gm_cpu_fault_result got = info->si_code > 0
					       ? gmi_cpu_fault((uintptr_t)info->si_addr, write)
					       : GM_CPU_NOT_OURS;

	if (got == GM_CPU_LOST)
		raise_bus_error(info->si_addr);
	if (got != GM_CPU_NOT_OURS)
		return;
	bool sent = info->si_code <= 0; /* kill, sigqueue: nothing would be tried again */
	if (sent && previous.handler == (void *)SIG_IGN)
		return;
	if (previous.handler == (void *)SIG_DFL || previous.handler == (void *)SIG_IGN) {
		/* Not ours: the access is tried again without us and dies with its true address. */
		struct gm_ksigaction dfl = {
			.handler = NULL, .flags = GM_SA_RESTORER, .restorer = gmc_sigreturn};
		gm_sys4(SYS_rt_sigaction, sig, &dfl, NULL, 8);
		if (sent)
			gm_sys3(SYS_tgkill, gm_sys0(SYS_getpid), gm_sys0(SYS_gettid), sig);
	} else {
		((void (*)(int, siginfo_t *, void *))previous.handler)(sig, info, context);
	}
}

int gmc_segv_install(void)
{
	struct gm_ksigaction sa = {
		.handler = (void *)plain_segv,
		/* NODEFER: a driver may touch memory while a fault is served (driver.h) */
		.flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | GM_SA_RESTORER,
		.restorer = gmc_sigreturn,
		.mask = ~(uint64_t)(1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) |
				    1ull << (SIGFPE - 1) | 1ull << (SIGILL - 1) |
				    1ull << (SIGTRAP - 1) | 1ull << (SIGSYS - 1)),
	};
	int err = (int)gm_sys4(SYS_rt_sigaction, SIGSEGV, &sa, &previous, 8);

	if (!err)
		err = -pthread_atfork(gmi_fork_prepare, gmi_fork_parent, gmi_fork_child);
	return err;
}
