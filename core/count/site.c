/* site.c - the table of call sites. See site.h. */
#include "core/count/site.h"
#include "core/sys/text.h"
#include <dlfcn.h>
#include <link.h>

static _Atomic uint64_t stacks[GM_SITES];     /* hashes; [0] stays free */
static _Atomic uintptr_t modules[GM_MODULES]; /* where they are loaded, + 1; [0] stays free */

/* The number of a module, which is given one; 0: the table is full. */
static unsigned module_number(const struct link_map *map)
{
	uintptr_t key = map->l_addr + 1;

	for (unsigned i = 1; i < GM_MODULES; i++) {
		uintptr_t seen = atomic_load_explicit(&modules[i], memory_order_relaxed);
		char *name = gmi_stats->module[i];
		if (!seen && atomic_compare_exchange_strong(&modules[i], &seen, key)) {
			if (map->l_name[0])
				gm_text_put(name, map->l_name, sizeof gmi_stats->module[i]);
			else /* the executable; the name was all zeros */
				gm_sys3(SYS_readlink, "/proc/self/exe", name,
					sizeof gmi_stats->module[i] - 1);
			return i;
		}
		if (seen == key)
			return i;
	}
	return 0;
}

/* As tools/symbol.c wants it: whoever reads the report has only the files. */
static uint64_t describe_frame(uintptr_t pc)
{
	struct dl_find_object found;

	if (pc >> 48 == GM_LINE_MODULE)
		return pc;
	if (_dl_find_object((void *)pc, &found))
		return pc; /* code that no module holds: generated at run time */
	uint64_t module = module_number(found.dlfo_link_map);
	return module ? module << 48 | (pc - found.dlfo_link_map->l_addr) : pc;
}

unsigned gmi_site(const uintptr_t *pc, unsigned n)
{
	uint64_t hash = 0;

	n = gm_min(n, (unsigned)GM_SITE_FRAMES);
	for (unsigned i = 0; i < n; i++)
		hash = (hash ^ pc[i]) * 0x9e3779b97f4a7c15u;
	if (!n || !pc[0] || !hash)
		return 0;
	for (unsigned k = 0; k < GM_SITES - 1; k++) {
		unsigned i = 1 + (unsigned)(((hash >> 32) + k) % (GM_SITES - 1));
		uint64_t seen = atomic_load_explicit(&stacks[i], memory_order_relaxed);
		if (!seen && atomic_compare_exchange_strong(&stacks[i], &seen, hash)) {
			for (unsigned f = 0; f < n; f++)
				atomic_store_explicit(&gmi_stats->site[i].frame[f],
						      describe_frame(pc[f]), memory_order_relaxed);
			return i;
		}
		if (seen == hash)
			return i;
	}
	return 0;
}

bool gmi_site_is_ours(const struct link_map *module)
{
	static const char *const ours[] = {"libgmem", "libgomp-plugin-", "libomptarget."};
	const char *name = module->l_name;

	for (const char *c = name; *c; c++)
		name = *c == '/' ? c + 1 : name;
	for (unsigned i = 0; i < GM_ARRAY_LEN(ours); i++)
		if (gm_text_after(name, ours[i]))
			return true;
	return false;
}

unsigned gmc_site_of(const void *pc)
{
	struct dl_find_object found;

	if (!_dl_find_object((void *)pc, &found) && gmi_site_is_ours(found.dlfo_link_map))
		return 0;
	return gmi_site((uintptr_t[]){(uintptr_t)pc}, 1);
}

/* ---- lines that are no machine's code ---- */

static _Atomic uint64_t line_keys[GM_SITE_LINES]; /* [0] stays free */

uintptr_t gmi_site_line(uint64_t key, gm_site_line_fn *fill, const void *arg)
{
	for (unsigned k = 0; k < GM_SITE_LINES - 1; k++) {
		unsigned i = 1 + (unsigned)(((key >> 32) + k) % (GM_SITE_LINES - 1));
		uint64_t seen = atomic_load_explicit(&line_keys[i], memory_order_relaxed);
		if (!seen && atomic_compare_exchange_strong(&line_keys[i], &seen, key)) {
			fill(&gmi_stats->site_line[i], arg);
			seen = key;
		}
		if (seen == key)
			return GM_LINE_MODULE << 48 | i;
	}
	return 0;
}

bool gmi_site_line_installed(uintptr_t frame)
{
	return gmi_stats->site_line[frame % GM_SITE_LINES].installed;
}

void gmc_site_lines_inherit(struct gm_stats *to, const struct gm_stats *from)
{
	for (unsigned i = 1; i < GM_SITE_LINES; i++)
		if (*from->site_line[i].function && !*to->site_line[i].function)
			to->site_line[i] = from->site_line[i];
}

/* ---- a fork child's ---- */

void gmc_sites_inherit(struct gm_stats *to, const struct gm_stats *from)
{
	gmc_site_lines_inherit(to, from);
	for (unsigned i = 1; i < GM_MODULES; i++)
		gm_text_put(to->module[i], from->module[i], sizeof to->module[i]);
	for (unsigned i = 1; i < GM_SITES; i++)
		for (unsigned f = 0; f < GM_SITE_FRAMES; f++)
			atomic_store_explicit(
				&to->site[i].frame[f],
				atomic_load_explicit(&from->site[i].frame[f], memory_order_relaxed),
				memory_order_relaxed);
}

/* ---- samples: by 2 MiB of addresses, who asks most for small blocks there ---- */

#define SAMPLED 65536			  /* blocks of 2 MiB that are told apart */
static _Atomic uint16_t samples[SAMPLED]; /* site, votes << 8 */

static _Atomic uint16_t *sample_of(uintptr_t va)
{
	return &samples[(va >> 21) % SAMPLED];
}

/* A majority vote: what most ask for wins, whatever the order. */
unsigned gmc_site_sample(uintptr_t va, unsigned site)
{
	uint16_t was = atomic_load_explicit(sample_of(va), memory_order_relaxed), is;

	do {
		unsigned votes = was >> 8, holder = was & 255;
		if (!votes)
			is = (uint16_t)(site | 1 << 8);
		else if (holder == site)
			is = (uint16_t)(site | gm_min(votes + 1, 255u) << 8);
		else
			is = (uint16_t)(holder | (votes - 1) << 8);
	} while (!atomic_compare_exchange_weak_explicit(
		sample_of(va), &was, is, memory_order_relaxed, memory_order_relaxed));
	return is & 255;
}

unsigned gmc_site_sampled(uintptr_t va)
{
	return atomic_load_explicit(sample_of(va), memory_order_relaxed) & 255;
}
