/*
 * offer.h - what the rooms below call without knowing of it: offered to them before main.
 */
#ifndef GM_CORE_OFFER_H
#define GM_CORE_OFFER_H

int gmc_segv_install(void); /* activate.h: a plain SIGSEGV handler. 0 or -errno */
/* cpu_mmu.h: serves a userfaultfd until `wake` can be read */
void gmc_uffd_thread(int fd, int wake);
void gmc_offer(void);

#endif
