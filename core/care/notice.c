/* A run that thrashes. See notice.h. */
#include "core/care/notice.h"
#include "core/count/report.h"
#include "core/page/jobs.h"
#include "core/sys/text.h"

#define AGAIN_SHARE 4 /* one byte in so many came again */
#define MIB	    ((uint64_t)1 << 20)

void gmc_notice_fault(struct gm_dev *dev)
{
	const struct gm_dev_stats *s = &gmi_stats->dev[dev->index];
	uint64_t again = gm_counted(&s->refetched_bytes);

	if (gm_likely(!again || again < gmi_phys_total_bytes(dev->phys) ||
		      again * AGAIN_SHARE < gm_counted(&s->h2d_bytes)))
		return;
	if (!__atomic_load_n(&dev->noticed, __ATOMIC_RELAXED) &&
	    !__atomic_exchange_n(&dev->noticed, true, __ATOMIC_RELAXED))
		gmc_job_wanted(GM_JOB_NOTICE);
}

static uint64_t all_bounced(const struct gm_stats *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GM_SITES; i++)
		n += gm_counted(&s->site[i].bounced);
	return n;
}

void gmc_notice_bounced(void)
{
	static _Atomic bool noticed;

	/* two threads may count at once, and neither sees the number itself */
	if (!atomic_load(&noticed) && all_bounced(gmi_stats) >= GM_NOTICE_BOUNCED &&
	    !atomic_exchange(&noticed, true))
		gmc_job_wanted(GM_JOB_NOTICE);
}

/* ---- what would fit ---- */

/* By device: bytes of pages that it has used and that are still there. The background's. */
static uint64_t used[GM_MAX_DEV];

static bool add_used(struct gm_block *b)
{
	gm_for_each_dev (b, d) {
		const struct gm_block_dev *bd = b->dev[d];
		gm_bm all = gm_bm_grow(gm_bm_or(bd->valid, bd->evicted), bd->order);
		used[d] += gm_bytes_of(gm_bm_count(all));
	}
	return true;
}

/* Only simulated devices' counters have their name and size from the start. */
static void note_needs(const struct gm_dev *dev, struct gm_dev_stats *s)
{
	if (!s->name[0])
		gm_text_put(s->name, dev->mmu->name, sizeof s->name);
	if (!gm_counted(&s->mem_bytes))
		atomic_store(&s->mem_bytes, gmi_phys_total_bytes(dev->phys));
	atomic_store(&s->needs_bytes, gm_align_up(used[dev->index], GM_BLOCK_BYTES));
}

static void find_needs(void)
{
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		used[d] = 0;
	gmc_all_blocks(add_used);
	gm_sigmask mask = gmc_registry_enter();
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		if (gmc_devs[d] && __atomic_load_n(&gmc_devs[d]->noticed, __ATOMIC_RELAXED) &&
		    !gm_counted(&gmi_stats->dev[d].needs_bytes))
			note_needs(gmc_devs[d], &gmi_stats->dev[d]);
	gmc_registry_leave(mask);
}

void gmc_notice_tell(void)
{
	static uint32_t told;
	char line[512];

	find_needs();
	if (gmi_log_level < GM_LOG_WARN || gmc_report_notice())
		return;
	while (gm_notice_next(gmi_stats, &told, NULL, line, sizeof line))
		gm_log(GM_LOG_WARN, "%s", line);
}

/* ---- the line ---- */

/* The site for which a counter is highest, 0: that of other memory. */
static unsigned most(const struct gm_stats *s, size_t counter)
{
	unsigned best = 0;

#define AT(i)                                                                                      \
	gm_counted((const _Atomic uint64_t *)(const void *)((const char *)&s->site[i] + counter))
	for (unsigned i = 1; i < GM_SITES; i++)
		best = AT(i) > AT(best) ? i : best;
#undef AT
	return best;
}

static const char *most_fetching(const struct gm_stats *s, unsigned d)
{
	const struct gm_kernel_stats *best = NULL;

	for (unsigned i = 1; i < GM_KERNELS && s->kernel[i].name[0]; i++)
		if (gm_counted(&s->kernel[i].device) == d &&
		    gm_counted(&s->kernel[i].refetched_bytes) >
			    (best ? gm_counted(&best->refetched_bytes) : 0))
			best = &s->kernel[i];
	return best ? best->name : NULL;
}

static size_t say_owner(const struct gm_stats *s, size_t counter,
			const char *(*where)(unsigned site), char *to, size_t bytes)
{
	if (!where) /* nobody here can read symbols */
		return (size_t)gmi_snprintf(to, bytes, " (by whose allocation: with a report)");
	const char *who = where(most(s, counter));
	return who ? (size_t)gmi_snprintf(to, bytes, ", most of what %.160s allocated", who) : 0;
}

static size_t say_too_small(const struct gm_stats *s, unsigned d,
			    const char *(*where)(unsigned site), char *line, size_t bytes)
{
	const struct gm_dev_stats *dev = &s->dev[d];
	const char *kernel = most_fetching(s, d);
	uint64_t needs = gm_counted(&dev->needs_bytes) / MIB;
	size_t at = (size_t)gmi_snprintf(
		line, bytes, "device %u (%.40s) thrashes: %lu MiB came again that had had to go", d,
		dev->name, gm_counted(&dev->refetched_bytes) / MIB);

	if (kernel)
		at += (size_t)gmi_snprintf(line + at, bytes - at, ", most for %.80s", kernel);
	at += say_owner(s, offsetof(struct gm_site_stats, refetched_bytes), where, line + at,
			bytes - at);
	at += (size_t)gmi_snprintf(line + at, bytes - at, "; it has %lu MiB",
				   gm_counted(&dev->mem_bytes) / MIB);
	if (needs >
	    gm_counted(&dev->mem_bytes) / MIB) /* else what it used has been given back since */
		at += (size_t)gmi_snprintf(line + at, bytes - at,
					   ", and what it has used so far fits from mem=%luM on",
					   needs);
	return at;
}

size_t gm_notice_next(const struct gm_stats *s, uint32_t *told, const char *(*where)(unsigned site),
		      char *line, size_t bytes)
{
	const uint32_t bounced = 1u << GM_MAX_DEV;

	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		if (gm_counted(&s->dev[d].needs_bytes) && !(*told & 1u << d)) {
			*told |= 1u << d;
			return say_too_small(s, d, where, line, bytes);
		}
	if (all_bounced(s) < GM_NOTICE_BOUNCED || *told & bounced)
		return 0;
	*told |= bounced;
	size_t at = (size_t)gmi_snprintf(line, bytes,
					 "pages go back and forth between the CPU and devices, as "
					 "fast as --thrash looks at");
	return at +
	       say_owner(s, offsetof(struct gm_site_stats, bounced), where, line + at, bytes - at);
}
