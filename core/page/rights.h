/*
 * rights.h - the CPU's page table behind a block (mprotect); entries.h has the devices'. Block
 * locked throughout.
 */
#ifndef GM_CORE_RIGHTS_H
#define GM_CORE_RIGHTS_H

#include "core/page/registry.h"

/*
 * Announces that the CPU will lose rights: clears the bits, fences, and returns the pages that
 * system calls hold; those keep their bits and must stay on the host. The hardware is not
 * touched yet.
 */
gm_bm gmc_claim(struct gm_block *b, gm_bm lose_all, gm_bm lose_write);
/* `set` loses write, and read too unless in keep_read: those are readable afterwards, whatever
 * the bits say (gmc_claim). */
int gmc_cpu_lower(struct gm_block *b, gm_bm set, gm_bm keep_read);
/* `set` gets exactly (r, w); nothing is done where it has at least that already. -ENOMEM: out of
 * VMAs, nothing noted. */
int gmc_cpu_raise(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w);
/* The hardware has (r, w) for `set` already. */
void gmc_cpu_note(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w);
/* The store comes under pages [first, end), out of reach or present and writable, and they are
 * adopted. */
int gmc_cpu_adopt(struct gm_block *b, unsigned first, unsigned end, bool present);
/* prog_r and prog_w of `set` have new values; gmc_cpu_lower and gmc_cpu_raise follow. */
int gmc_cpu_prog(struct gm_block *b, gm_bm set);
/* A fault on page i was served, or somebody else was faster: the touch may be tried again. */
void gmc_cpu_settle(struct gm_block *b, unsigned i);
/* Around fork: nobody writes adopted pages; `set` gets back (prog_r, w). */
void gmc_cpu_freeze(struct gm_block *b);
int gmc_cpu_thaw(struct gm_block *b, gm_bm set, gm_bm w);

#endif
