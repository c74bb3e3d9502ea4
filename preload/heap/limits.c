/*
 * limits.c - RLIMIT_AS is the program's: addresses that we reserve (windows, stores, apertures)
 * are many, and not its affair.
 *
 * The kernel's limit is the program's plus GMP_OURS, and whoever finds one that high, a child
 * after exec, takes ours off. What the program maps in the window, which is reserved whatever is
 * in it, is held against its limit here. Where the limit may not be raised (set before the start,
 * by somebody else, for good) it stays, and the heap outside the window.
 */
#include <errno.h>
#include <sys/resource.h>

#include "core/count/stats.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/heap/limits.h"

/* The window and two mappings of its store, 4 TiB each, and devices. */
#define GMP_OURS (16ull << 40)

struct limit {
	uint64_t cur, max;
};

static bool added;
static _Atomic uint64_t most = RLIM_INFINITY; /* what the program may have mapped */

static uint64_t with_ours(uint64_t n)
{
	return n < RLIM_INFINITY - GMP_OURS ? n + GMP_OURS : RLIM_INFINITY;
}

static uint64_t without_ours(uint64_t n)
{
	return n != RLIM_INFINITY && n >= GMP_OURS ? n - GMP_OURS : n;
}

static long prlimit_as(const struct limit *to, struct limit *was)
{
	return gm_sys4(SYS_prlimit64, 0, RLIMIT_AS, to, was);
}

void gmp_limits_init(void)
{
	struct limit lim = {RLIM_INFINITY, RLIM_INFINITY};

	prlimit_as(NULL, &lim);
	added = without_ours(lim.cur) != lim.cur || lim.cur == RLIM_INFINITY;
	if (!added) {
		const struct limit raised = {with_ours(lim.cur), with_ours(lim.max)};
		added = !prlimit_as(&raised, NULL);
	}
	if (added)
		atomic_store(&most, without_ours(lim.cur));
}

void gmp_limits_give_back(void)
{
	struct limit lim;

	if (!added || prlimit_as(NULL, &lim))
		return;
	lim = (struct limit){without_ours(lim.cur), without_ours(lim.max)};
	added = prlimit_as(&lim, NULL) != 0;
	atomic_store(&most, RLIM_INFINITY);
}

bool gmp_over_limit(size_t len)
{
	uint64_t limit = atomic_load_explicit(&most, memory_order_relaxed);

	return gm_unlikely(limit != RLIM_INFINITY) &&
	       atomic_load(&gmi_stats->managed_bytes) + len > limit;
}

/* The program's memory is read and written as it would be by itself: it may be away. */
long gmp_prlimit(int pid, int resource, const void *to, void *was)
{
	bool ours = added && resource == RLIMIT_AS && (!pid || pid == gm_sys0(SYS_getpid));
	struct limit set, old;

	if (to && gmp_copy(&set, to, sizeof(set)))
		return -EFAULT;
	const uint64_t cur = set.cur;
	if (to && ours)
		set = (struct limit){with_ours(set.cur), with_ours(set.max)};
	long r = gm_sys4(SYS_prlimit64, pid, resource, to ? &set : NULL, &old);
	if (r)
		return r;
	if (ours)
		old = (struct limit){without_ours(old.cur), without_ours(old.max)};
	if (to && ours)
		atomic_store(&most, cur);
	return was && gmp_copy(was, &old, sizeof(old)) ? -EFAULT : 0;
}

/* ---- libc's functions: 64 bits are what there is ---- */

GMP_HOOK int prlimit(pid_t pid, __rlimit_resource_t resource, const struct rlimit *to,
		     struct rlimit *was)
{
	return (int)gmp_ret(gmp_prlimit(pid, (int)resource, to, was));
}

GMP_HOOK int prlimit64(pid_t pid, __rlimit_resource_t resource, const struct rlimit64 *to,
		       struct rlimit64 *was)
{
	return (int)gmp_ret(gmp_prlimit(pid, (int)resource, to, was));
}

GMP_HOOK int getrlimit(__rlimit_resource_t resource, struct rlimit *was)
{
	return (int)gmp_ret(gmp_prlimit(0, (int)resource, NULL, was));
}

GMP_HOOK int getrlimit64(__rlimit_resource_t resource, struct rlimit64 *was)
{
	return (int)gmp_ret(gmp_prlimit(0, (int)resource, NULL, was));
}

GMP_HOOK int setrlimit(__rlimit_resource_t resource, const struct rlimit *to)
{
	return (int)gmp_ret(gmp_prlimit(0, (int)resource, to, NULL));
}

GMP_HOOK int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *to)
{
	return (int)gmp_ret(gmp_prlimit(0, (int)resource, to, NULL));
}
