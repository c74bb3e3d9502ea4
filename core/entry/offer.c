/* See offer.h. Nothing refers to it: whoever links core as an archive asks for gmc_offer (-u). */
#include "core/entry/offer.h"
#include "core/page/activate.h"
#include "core/page/cpu_mmu.h"

__attribute__((constructor)) void gmc_offer(void)
{
	gmc_activate_by_default(gmc_segv_install);
	gmc_uffd_service = gmc_uffd_thread;
}
