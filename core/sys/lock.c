/*
 * lock.c - the futex mutex: 0 free, 1 held, 2 held and somebody may sleep (Drepper, "Futexes are
 * tricky", mutex 2).
 *
 * Debug builds check ranked locks (gm_lock_rank): each is taken in ascending order within a
 * thread, with signals blocked.
 */
#include "core/sys/sys.h"
#include <linux/futex.h>

#define SPINS 100 /* about the length of a short critical section: cheaper than two system calls */

#ifdef GM_DEBUG
static _Thread_local unsigned held[GM_RANKS]; /* fork takes the locks of all blocks */

/* A trylock cannot deadlock: it may be taken out of order. */
static void check_order(const struct gm_lock *l)
{
	for (unsigned r = l->rank; l->rank && r < GM_RANKS; r++)
		gm_assert(!held[r]);
}
static void note_held(const struct gm_lock *l)
{
	gm_assert(!l->rank || gmi_signals_blocked());
	held[l->rank]++;
}
static void note_free(const struct gm_lock *l)
{
	gm_assert(atomic_load_explicit(&l->v, memory_order_relaxed) != 0);
	gm_assert(held[l->rank] > 0);
	held[l->rank]--;
}
#else
#define check_order(l) ((void)(l))
#define note_held(l)   ((void)(l))
#define note_free(l)   ((void)(l))
#endif

static bool lock_take(struct gm_lock *l)
{
	uint32_t free = 0;

	return atomic_compare_exchange_strong_explicit(&l->v, &free, 1, memory_order_acquire,
						       memory_order_relaxed);
}

static __attribute__((noinline)) void lock_slow(struct gm_lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		__builtin_ia32_pause();
		if (atomic_load_explicit(&l->v, memory_order_relaxed) == 0 && lock_take(l))
			return;
	}
	while (atomic_exchange_explicit(&l->v, 2, memory_order_acquire) != 0)
		gm_sys4(SYS_futex, &l->v, FUTEX_WAIT_PRIVATE, 2, NULL);
}

void gmi_lock(struct gm_lock *l)
{
	check_order(l);
	if (gm_unlikely(!lock_take(l)))
		lock_slow(l);
	note_held(l);
}

bool gmi_trylock(struct gm_lock *l)
{
	if (!lock_take(l))
		return false;
	note_held(l);
	return true;
}

void gmi_unlock(struct gm_lock *l)
{
	note_free(l);
	if (gm_unlikely(atomic_exchange_explicit(&l->v, 0, memory_order_release) == 2))
		gm_sys3(SYS_futex, &l->v, FUTEX_WAKE_PRIVATE, 1);
}
