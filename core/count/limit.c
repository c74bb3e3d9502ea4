/* How much simulation is wanted. See limit.h. */
#include "core/count/limit.h"
#include <signal.h>

#define LOOK_LEAST_NS ((int64_t)1000000)

_Atomic bool gmi_limit_reached;

static uint64_t spent_ns(void)
{
	return gmi_now_ns() - gm_counted(&gmi_stats->start_ns);
}

static uint64_t faults_so_far(void)
{
	uint64_t n = gm_counted(&gmi_stats->cpu_faults);

	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		n += gm_counted(&gmi_stats->dev[d].faults);
	return n;
}

static enum gm_limit_kind limit_now(void)
{
	const struct gm_options *o = &gmi_opt;

	if (o->limit_faults && faults_so_far() >= o->limit_faults)
		return GM_LIMIT_FAULTS;
	if (o->limit_bytes && gm_counted(&gmi_stats->h2d_bytes) +
					      gm_counted(&gmi_stats->d2h_bytes) +
					      gm_counted(&gmi_stats->peer_bytes) >=
				      o->limit_bytes)
		return GM_LIMIT_BYTES;
	return o->limit_ns && spent_ns() >= o->limit_ns ? GM_LIMIT_TIME : GM_LIMIT_NONE;
}

bool gmc_limit_look(void)
{
	enum gm_limit_kind kind = gm_limit_reached() ? GM_LIMIT_NONE : limit_now();

	if (!kind || atomic_exchange(&gmi_limit_reached, true))
		return false;
	atomic_store(&gmi_stats->limit_ns, gmi_now_ns());
	atomic_store(&gmi_stats->limit, kind);
	return true;
}

int64_t gmc_limit_in_ns(void)
{
	if (!gmi_opt.limit_ns || gm_limit_reached())
		return -1;
	return gm_max((int64_t)(gmi_opt.limit_ns - spent_ns()), LOOK_LEAST_NS);
}

const char *gm_limit_name(enum gm_limit_kind kind)
{
	static const char *const names[] = {
		[GM_LIMIT_TIME] = "time", [GM_LIMIT_FAULTS] = "faults", [GM_LIMIT_BYTES] = "bytes"};

	return (unsigned)kind < GM_ARRAY_LEN(names) ? names[kind] : NULL;
}

void gmc_limit_tell(void)
{
	uint32_t kind = atomic_load(&gmi_stats->limit);
	uint64_t ms =
		(gm_counted(&gmi_stats->limit_ns) - gm_counted(&gmi_stats->start_ns)) / 1000000;

	if (!kind)
		return;
	gm_log(GM_LOG_WARN, "the limit of %s was reached after %lu.%lu s: %s", gm_limit_name(kind),
	       ms / 1000, ms % 1000 / 100,
	       gmi_opt.limit_end ? "all pages are at home, and the program is ended (SIGTERM)"
				 : "all pages are at home and stay there, the program goes on");
	if (gmi_opt.limit_end)
		gm_sys2(SYS_kill, gm_sys0(SYS_getpid), SIGTERM);
}
