/*
 * cpu_mmu.c - the back end sigsegv (rights are those of the VMAs), and which of the two is used.
 */
#include "core/page/cpu_mmu.h"
#include "core/page/store.h"
#include "core/sys/at_fork.h"
#include "core/sys/inject.h"
#include <errno.h>
#include <sys/mman.h>

static int prot_of(const gm_bm *r, const gm_bm *w, unsigned i)
{
	return (gm_bm_test(r, i) ? PROT_READ : 0) | (gm_bm_test(w, i) ? PROT_READ | PROT_WRITE : 0);
}

int gmc_protect_runs(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w)
{
	gm_bm_for_each_run (&set, first, end) {
		for (unsigned i = first, j; i < end; i = j) {
			int prot = prot_of(&r, &w, i);
			for (j = i + 1; j < end && prot_of(&r, &w, j) == prot; j++)
				;
			int err = gm_inject(GM_INJ_CPU_PROTECT)
					  ? -ENOMEM
					  : gm_sys_mprotect((void *)(b->va + i * GM_PAGE_BYTES),
							    (j - i) * GM_PAGE_BYTES, prot);
			if (err)
				return err;
		}
	}
	return 0;
}

static int sigsegv_lower(struct gm_block *b, gm_bm set, gm_bm keep_read)
{
	return gmc_protect_runs(b, set, keep_read, gm_bm_zero());
}

static int sigsegv_adopt(struct gm_block *b, unsigned first, unsigned end, bool present)
{
	uintptr_t va = b->va + first * GM_PAGE_BYTES;
	size_t len = (end - first) * GM_PAGE_BYTES;

	return present ? gmc_store_map_rw(b->as, va, len) : gmc_store_map_none(b->as, va, len);
}

static int sigsegv_freeze(struct gm_block *b, gm_bm set, gm_bm w)
{
	gm_bm writable = gm_bm_and(set, w);

	return gmc_protect_runs(b, writable, writable, gm_bm_zero());
}

const struct gm_cpu_mmu gmc_cpu_sigsegv = {
	.name = "sigsegv",
	.lower = sigsegv_lower,
	.raise = gmc_protect_runs,
	.adopt = sigsegv_adopt,
	.freeze = sigsegv_freeze,
};

/* ---- which ---- */

const struct gm_cpu_mmu *gmc_cpu = &gmc_cpu_sigsegv;

static struct gm_lock start_lock;
static bool started;

static void backend_forked(void)
{
	start_lock = (struct gm_lock){0};
	if (gmc_cpu == &gmc_cpu_uffd)
		gmc_uffd_forked();
	gmc_cpu = &gmc_cpu_sigsegv; /* nothing is adopted in a child; it may choose again */
	started = false;
}

void gmc_cpu_start(void)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&start_lock);
	if (!started && gmi_opt.fault == GM_FAULT_UFFD) {
		int err = gmc_uffd_start();
		if (err)
			gm_log(GM_LOG_WARN,
			       "GMEM_FAULT=uffd: the kernel refuses userfaultfd (error %d; it "
			       "takes CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1, and Linux "
			       "6.4): sigsegv is used",
			       -err);
		else
			gmc_cpu = &gmc_cpu_uffd;
		gmi_at_fork_child(backend_forked);
	}
	started = true;
	gmi_unlock(&start_lock);
	gmi_restore_signals(mask);
}

const char *gmi_cpu_backend(void)
{
	return gmc_cpu->name;
}
