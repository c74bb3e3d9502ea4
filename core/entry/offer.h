/*
 * offer.h - what the rooms below call without knowing of it: offered to them before main.
 */
#ifndef GM_CORE_OFFER_H
#define GM_CORE_OFFER_H

int gmc_segv_install(void);	 /* activate.h: a plain SIGSEGV handler. 0 or -errno */
void *gmc_uffd_thread(void *fd); /* cpu_mmu.h: serves a userfaultfd until it is closed */
void gmc_offer(void);

#endif
