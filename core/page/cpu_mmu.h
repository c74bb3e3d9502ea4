/*
 * cpu_mmu.h - how the CPU's page tables are made to agree with a block's bitmaps: two back ends,
 * one interface.
 *
 *   sigsegv   rights are those of the VMAs (mprotect); a touch without them is a SIGSEGV of the
 *             touching thread
 *   uffd      the store's VMAs have the rights that the program asked for; what the CPU may not
 *             touch has no page-table entry, what it may only read has a write-protected one
 *             (userfaultfd MINOR, MISSING and WP); a touch wakes our thread, and waits, in system
 *             calls too. Private anonymous pages are protected as by sigsegv: for the moment in
 *             which they are copied out, before they are adopted.
 *
 * rights.c and cpu_bus.c call these, with the block locked. Errors are -errno: nothing noted, the
 * bitmaps stay as they are.
 */
#ifndef GM_CORE_CPU_MMU_H
#define GM_CORE_CPU_MMU_H

#include "core/page/registry.h"

struct gm_cpu_mmu {
	const char *name;
	/* `set` loses write, and read too unless in keep_read. */
	int (*lower)(struct gm_block *b, gm_bm set, gm_bm keep_read);
	/* `set` gets exactly (r, w), more than it had. */
	int (*raise)(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w);
	/* Puts the store under pages [first, end), in one step: out of reach, or present and
	 * writable. */
	int (*adopt)(struct gm_block *b, unsigned first, unsigned end, bool present);
	/* The program's rights of `set` (prog_r, prog_w) changed. NULL: lower and raise say it
	 * all. */
	int (*prog)(struct gm_block *b, gm_bm set);
	/* Page i may be touched (again): a fault on it was served. NULL: nothing to do. */
	void (*settle)(struct gm_block *b, unsigned i);
	/*
	 * For fork: adopted pages, of which those in w could be written, become read-only or out
	 * of reach in a way that a child inherits; and back (the rights to write are raised
	 * after that).
	 */
	int (*freeze)(struct gm_block *b, gm_bm set, gm_bm w);
	int (*thaw)(struct gm_block *b);
};
extern const struct gm_cpu_mmu gmc_cpu_sigsegv, gmc_cpu_uffd;
extern const struct gm_cpu_mmu
	*gmc_cpu; /* chosen before the first page is adopted, and again in a fork child */

/*
 * Chooses by GMEM_FAULT, and starts what that needs; once per process. Where the kernel does not
 * permit userfaultfd it says so and takes sigsegv. Called without locks, before the first
 * adoption.
 */
void gmc_cpu_start(void);
/* 0, or -errno: userfaultfd, with service of kernel-mode faults, is not to be had. */
int gmc_uffd_start(void);
void gmc_uffd_forked(void);
/* Its thread ends; who touches what is not there waits until gmc_uffd_return(). */
void gmc_uffd_rest(void);
int gmc_uffd_return(void);
void gmc_uffd_leave(void); /* at rest, and nothing is adopted any more */
/* What its thread runs (entry/uffd_thread.c offers it): until `wake` can be read. */
extern void (*gmc_uffd_service)(int fd, int wake);

/* The back end in use, "sigsegv" or "uffd"; chosen when the first device is attached. */
GM_EXPORT const char *gmi_cpu_backend(void);

/* mprotect of `set` to (r, w), on the largest uniform runs. */
int gmc_protect_runs(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w);

#endif
