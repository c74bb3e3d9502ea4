/* Memory kept for speed, and the limits of control groups. See spare.h. */
#include "core/care/spare.h"
#include "core/sys/cgroup.h"
#include <time.h>

#define LEFT_DIV   16			/* of a limit, this part is left to the program, */
#define LEFT_LEAST ((int64_t)8 << 20)	/* but so much, */
#define LEFT_MOST  ((int64_t)256 << 20) /* and no more */
/* A program does not write to new memory faster: 4 bytes a nanosecond. */
#define BYTES_PER_NS  4
#define PLENTY_DIV    8 /* what is asked for at once and is less than this part of what is left */
#define LOOK_LEAST_NS ((int64_t)2000000)
#define LOOK_SHARE    20 /* looking takes no more than this part of the time */
#define LOOK_MOST_NS  ((int64_t)1000000000)
#define QUIET_NS      ((int64_t)100000000) /* while nothing is kept, */
#define QUIET_LOOKS   10		   /* so often; then not until it is asked for */

static struct gm_cgroup group;
/* So much new memory was no matter when somebody looked last. */
static _Atomic int64_t plenty = GM_NO_LIMIT;
/* The background thread's: when it looks next (-1: not), and how often there was nothing. */
static int64_t next_ns = -1;
static unsigned quiet;

/* All of it, registry locked. */
static int64_t all_spare(void)
{
	int64_t sum = 0;

	gm_for_each_space (as)
		sum += atomic_load_explicit(&as->retained_bytes, memory_order_relaxed);
	for (int d = 0; d < GM_MAX_DEV; d++)
		if (gmc_devs[d] && gmc_devs[d]->phys)
			sum += gmc_frames_spare(gmc_devs[d]);
	return sum;
}

static void trim_spare(void)
{
	gm_for_each_space (as)
		gmc_retain_trim(as);
	for (int d = 0; d < GM_MAX_DEV; d++)
		if (gmc_devs[d] && gmc_devs[d]->phys)
			gmc_frames_trim(gmc_devs[d]);
}

/* What may be kept is what is kept now and what is left, but for the program's share and `more`
 * that it asked for: half of it as copies, half as frames. Returns what is left for anything new,
 * GM_NO_LIMIT: all. */
static int64_t spare_look(int64_t more, int64_t *kept)
{
	int64_t limit, room = gmc_cgroup_room(&group, &limit);

	*kept = 0;
	if (room == GM_NO_LIMIT)
		return room;
	int64_t program = gm_min(gm_max(limit / LEFT_DIV, LEFT_LEAST), LEFT_MOST) + more;
	gmi_lock(&gmc_registry_lock);
	int64_t most = gm_max(all_spare() + room - program, (int64_t)0) / 2;
	atomic_store(&gmc_retain_most, most);
	atomic_store(&gmc_frames_most, most);
	trim_spare();
	*kept = all_spare();
	gmi_unlock(&gmc_registry_lock);
	room = gm_max(room, (int64_t)0);
	atomic_store(&plenty, room / PLENTY_DIV);
	return room;
}

void gmc_spare_begin(void)
{
	int64_t kept;

	next_ns = -1;
	quiet = 0;
	gmc_cgroup_find(&group, "/proc/self/cgroup", "/proc/self/mountinfo");
	atomic_store(&gmc_spare_unwatched, spare_look(0, &kept) != GM_NO_LIMIT);
}

void gmc_spare_leave(size_t bytes)
{
	int64_t kept, more = (int64_t)gm_min(bytes, (size_t)GM_NO_LIMIT / 2);

	if (gm_likely(more < atomic_load_explicit(&plenty, memory_order_relaxed)) ||
	    atomic_load(&gmc_spare_unwatched))
		return;
	gm_sigmask mask = gmi_block_signals();
	spare_look(more, &kept);
	gmi_restore_signals(mask);
}

/* How long this thread has computed. */
static int64_t computed_ns(void)
{
	struct timespec t = {0};

	gm_sys2(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

void gmc_spare_look(bool wanted)
{
	int64_t now = (int64_t)gmi_now_ns(), kept;

	if (!wanted && (next_ns < 0 || now < next_ns))
		return;
	atomic_store(&gmc_spare_unwatched, false);
	int64_t begun = computed_ns(), room = spare_look(0, &kept);
	if (kept)
		quiet = 0;
	else if (quiet++ == QUIET_LOOKS) {
		quiet = 0;
		next_ns = -1;
		atomic_store(&gmc_spare_unwatched, true);
		return;
	}
	int64_t wait = kept ? gm_min(room / BYTES_PER_NS, LOOK_MOST_NS) : QUIET_NS;
	next_ns = (int64_t)gmi_now_ns() +
		  gm_max(gm_max(wait, LOOK_LEAST_NS), (computed_ns() - begun) * LOOK_SHARE);
}

int64_t gmc_spare_in_ns(void)
{
	return next_ns < 0 ? -1 : gm_max(next_ns - (int64_t)gmi_now_ns(), (int64_t)0);
}
