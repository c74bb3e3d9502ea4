/* sigaction.h - the kernel's struct sigaction: libc's function of that name may be somebody's
 * hook. */
#ifndef GM_CORE_SIGACTION_H
#define GM_CORE_SIGACTION_H

#include <stdint.h>

struct gm_ksigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};
#define GM_SA_RESTORER 0x04000000ul

#endif
