/* site.c - the table of call sites. See site.h. */
#include "core/count/site.h"
#include "core/sys/text.h"
#include <dlfcn.h>
#include <link.h>

static _Atomic uintptr_t pcs[GM_SITES]; /* [0] stays free */

/* Module and offset, as addr2line wants them. Whoever reads the report has only the files. */
static void describe_site(struct gm_site_stats *s, uintptr_t pc)
{
	struct dl_find_object found;

	atomic_store_explicit(&s->offset, pc, memory_order_relaxed);
	if (_dl_find_object((void *)pc, &found))
		return; /* code that no module holds: generated at run time */
	const char *name = found.dlfo_link_map->l_name;
	atomic_store_explicit(&s->offset, pc - found.dlfo_link_map->l_addr, memory_order_relaxed);
	if (name[0])
		gm_text_put(s->module, name, sizeof s->module);
	else /* the executable; the module was all zeros */
		gm_sys3(SYS_readlink, "/proc/self/exe", s->module, sizeof s->module - 1);
}

unsigned gmc_site(uintptr_t pc)
{
	uintptr_t hash = pc * 0x9e3779b97f4a7c15u >> 32;

	if (!pc)
		return 0;
	for (unsigned n = 0; n < GM_SITES - 1; n++) {
		unsigned i = 1 + (unsigned)((hash + n) % (GM_SITES - 1));
		uintptr_t seen = atomic_load_explicit(&pcs[i], memory_order_relaxed);
		if (!seen && atomic_compare_exchange_strong(&pcs[i], &seen, pc)) {
			describe_site(&gmi_stats->site[i], pc);
			return i;
		}
		if (seen == pc)
			return i;
	}
	return 0;
}

void gmc_sites_inherit(struct gm_stats *to, const struct gm_stats *from)
{
	for (unsigned i = 1; i < GM_SITES; i++) {
		gm_text_put(to->site[i].module, from->site[i].module, sizeof to->site[i].module);
		atomic_store_explicit(
			&to->site[i].offset,
			atomic_load_explicit(&from->site[i].offset, memory_order_relaxed),
			memory_order_relaxed);
	}
}
