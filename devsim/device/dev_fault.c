/*
 * dev_fault.c - a thread of the device touched a page that it has no entry for, or that nobody
 * has.
 *
 * The handler serves every thread of the process, those of a BLAS library's pool too. It runs
 * with other signals open and uses only system calls and the page table's lock.
 */
#include "devsim/device/dev.h"
#include "devsim/device/dev_region.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

/* A served fault takes 10 to 20 us when the host is awake: worth a spin, if that does not take
 * the processor it needs. */
#define SPIN_NS 40000

static _Atomic unsigned faulting; /* threads inside the handler */
static __thread unsigned hint;	  /* the slot this thread had last */

struct ds_fault *dev_fault_claim(void)
{
	for (unsigned i = hint;; i++) {
		struct ds_fault *f = &ctl->fault[i % DS_SLOTS];
		uint32_t expected = DS_FREE;
		if (atomic_compare_exchange_strong(&f->state, &expected, DS_CLAIMED)) {
			hint = i % DS_SLOTS;
			return f;
		}
		if (i % DS_SLOTS == DS_SLOTS - 1)
			__builtin_ia32_pause(); /* more threads than slots: one will be free soon */
	}
}

/* Returns whether the host was awake. */
static bool post(struct ds_fault *f)
{
	atomic_store(&f->state, DS_POSTED);
	atomic_fetch_or(&ctl->posted, 1ull << (f - ctl->fault));
	atomic_fetch_add(&ctl->fault_bell, 1);
	if (!atomic_load(&ctl->host_sleeping))
		return true;
	dev_futex_wake(&ctl->fault_bell, 1);
	return false;
}

static bool pending(struct ds_fault *f)
{
	uint32_t s = atomic_load_explicit(&f->state, memory_order_acquire);

	return s == DS_POSTED || s == DS_BUSY || s == DS_FILLED;
}

static void await_reply(struct ds_fault *f, bool spin)
{
	uint64_t end = spin ? dev_now_ns() + SPIN_NS : 0;

	while (pending(f) && spin) {
		for (int i = 0; i < 32 && pending(f); i++)
			__builtin_ia32_pause();
		/* To serve us the host may have to take pages from us first: an eviction. */
		if (atomic_load_explicit(&ctl->cmd_waiting, memory_order_relaxed))
			dev_mmu_try_apply();
		spin = dev_now_ns() < end;
	}
	atomic_store(&f->waiting, 1);
	for (uint32_t s = atomic_load(&f->state); pending(f); s = atomic_load(&f->state))
		if (s == DS_POSTED || s == DS_BUSY || s == DS_FILLED)
			dev_futex_wait(&f->state, s);
	atomic_store(&f->waiting, 0);
}

int dev_fault_ask(struct ds_fault *f)
{
	unsigned busy = atomic_fetch_add(&faulting, 1) + 1;
	bool awake = post(f);

	await_reply(f, awake && busy < dev_cpus);
	atomic_fetch_sub(&faulting, 1);
	return atomic_load(&f->state) == DS_FAILED ? f->error : 0;
}

void dev_fault_release(struct ds_fault *f)
{
	atomic_store(&f->state, DS_FREE);
}

/* Crashes other than page faults end the kernel, with the signal as its code. */
static void on_crash(int sig, siginfo_t *si, void *context)
{
	bool segv = sig == SIGSEGV || sig == SIGBUS;

	dev_kernel_fail(segv ? -EFAULT : -ECANCELED, (uint64_t)(uintptr_t)si->si_addr,
			segv ? 0 : 128 + sig);
}

static uint64_t (*_Atomic redirect_stray)(uint64_t rip);

void dev_region_on_stray(uint64_t (*redirect)(uint64_t rip))
{
	atomic_store(&redirect_stray, redirect);
}

/* An instruction that cannot be fetched, or is a trap that stands for code elsewhere. */
static bool go_elsewhere(ucontext_t *uc, bool fetch)
{
	uint64_t (*redirect)(uint64_t) = atomic_load(&redirect_stray),
		 to = fetch && redirect ? redirect((uint64_t)uc->uc_mcontext.gregs[REG_RIP]) : 0;

	if (to)
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)to;
	return to;
}

static int ask_for_page(uint64_t va, bool write)
{
	if (dev_mmu_recorded(va, write))
		return 0;
	struct ds_fault *f = dev_fault_claim();

	f->kind = DS_F_PAGE;
	f->va = va;
	f->write = write;
	f->launch = dev_launch_slot();
	int err = dev_fault_ask(f);
	if (!err)
		return dev_mmu_take_reply(f);
	dev_fault_release(f);
	return err;
}

static void on_device_fault(int sig, siginfo_t *si, void *context)
{
	uint64_t va = (uint64_t)(uintptr_t)si->si_addr;
	ucontext_t *uc = context;
	bool write = uc->uc_mcontext.gregs[REG_ERR] & 2,
	     execute = uc->uc_mcontext.gregs[REG_ERR] & 16;
	int saved = errno;

	if (si->si_code <= 0)
		on_crash(sig, si, context);
	if (go_elsewhere(uc, execute || si->si_code == SI_KERNEL))
		return;
	bool inside = dev_mmu_contains(va);
	/* the program's constants, mapped by who redirects */
	if (!inside && write && si->si_code == SEGV_ACCERR && atomic_load(&redirect_stray) &&
	    !dev_mmu_has_outside(va))
		dev_kernel_fail(-EPERM, va, 0);
	int err = !inside && execute ? -ENOTSUP : ask_for_page(va, write);
	if (!inside && err == -ENOTSUP) {
		if (!dev_foreign_fault(va, execute))
			on_crash(sig, si, context);
		err = 0;
	}
	if (err)
		dev_kernel_fail(err, va, 0);
	errno = saved;
}

void dev_fault_init(void)
{
	static const int crashes[] = {SIGBUS, SIGFPE, SIGILL};
	struct sigaction sa = {.sa_sigaction = on_device_fault,
			       .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigaction(SIGSEGV, &sa, NULL);
	sa.sa_sigaction = on_crash;
	for (unsigned i = 0; i < DEV_ARRAY_LEN(crashes); i++)
		sigaction(crashes[i], &sa, NULL);
}
