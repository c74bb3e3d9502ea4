/* outside.c - see outside.h. */
#include "core/entry/outside.h"
#include "core/rules/opt.h"

_Atomic bool gmi_outside_live;
bool gmi_outside_watched;
void (*gmi_outside_forget)(uint64_t lo, uint64_t hi);

bool gmi_outside_reaches(const void *p, size_t bytes)
{
	uint64_t va = (uintptr_t)p, end = va + bytes;
	struct gm_vma vma;

	if (gmi_opt.foreign < GM_FOREIGN_SHARED || end < va)
		return false;
	for (; va < end; va = vma.hi)
		if (gmi_vma_find(va, &vma) || !vma.read ||
		    !(vma.shared ? vma.ino != 0 : gmc_outside_adoptable(&vma)))
			return false;
	return true;
}
