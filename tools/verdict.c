/* verdict.c - the bottom line in words: does it fit, and what takes the time. */
#include "tools/view.h"
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* Fetched again so much of what came at all: then memory is too small for this order of use. */
#define THRASHES 0.25

__attribute__((format(printf, 3, 4))) static size_t say_verdict(struct view_dev *d, size_t at,
								const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(d->verdict + at, sizeof d->verdict - at, fmt, ap);
	va_end(ap);
	return gm_min(at + (size_t)gm_max(n, 0), sizeof d->verdict - 1);
}

/* The kernel of this device whose faults fetched most again. NULL: none did. */
static const struct view_kernel *fetcher(const struct view *v, unsigned d)
{
	const struct view_kernel *most = NULL;

	for (unsigned i = 0; i < v->nkernels; i++)
		if (v->kernel[i].device == d &&
		    v->kernel[i].refetched_bytes > (most ? most->refetched_bytes : 0))
			most = &v->kernel[i];
	return most;
}

static const struct view_site *fetched_site(const struct view *v)
{
	const struct view_site *most = NULL;

	for (unsigned i = 0; i < v->nsites; i++)
		if (v->site[i].refetched_bytes > (most ? most->refetched_bytes : 0))
			most = &v->site[i];
	return most;
}

static size_t memory(const struct view *v, unsigned n, size_t at)
{
	struct view_dev *d = (struct view_dev *)&v->dev[n];
	const struct view_kernel *k = fetcher(v, n);
	const struct view_site *site = fetched_site(v);
	double again = d->h2d_bytes ? (double)d->refetched_bytes / (double)d->h2d_bytes : 0;

	if (!d->mem_bytes)
		return say_verdict(d, at, "has no memory of its own");
	if (!d->evicted_bytes)
		return say_verdict(d, at, "fits");
	if (again < THRASHES)
		return say_verdict(d, at, "does not fit, but little comes twice");
	at = say_verdict(d, at, "thrashes: each byte moved in %.1f times",
			 1 / (1 - fmin(again, 0.999)));
	if (k)
		at = say_verdict(d, at, ", most for %.80s", k->name);
	if (site)
		at = say_verdict(d, at, ", of what %.80s allocated", site->where);
	if (d->needs_bytes > d->mem_bytes)
		at = say_verdict(d, at,
				 "; what it had used when that was noticed fits from mem=%luM on",
				 (unsigned long)(d->needs_bytes >> 20));
	return at;
}

void view_verdicts(struct view *v)
{
	for (unsigned n = 0; n < v->ndev; n++) {
		struct view_dev *d = &v->dev[n];
		const struct {
			double s;
			const char *what;
		} parts[] = {
			{d->kernel_s, "compute"},
			{d->fault_s, "faults"},
			{d->link_s, "the link"},
			{d->bus_s + d->cpu_bus_s, "the bus (accesses in place)"},
			{d->peer_s, "links between devices"},
		};
		unsigned most = 0;
		double sum = 0;
		if (!d->kernels && !d->kernels_failed)
			continue;
		for (unsigned i = 0; i < GM_ARRAY_LEN(parts); i++) {
			sum += parts[i].s;
			most = parts[i].s > parts[most].s ? i : most;
		}
		size_t at = memory(v, n, 0);
		if (sum > 0 && !d->unmodelled)
			say_verdict(d, at, "; bound by %s (%.0f %%)", parts[most].what,
				    100 * parts[most].s / sum);
		else if (sum > 0)
			say_verdict(d, at, "; computing is not modelled; of the rest %s takes most",
				    most ? parts[most].what : "launching");
	}
}
