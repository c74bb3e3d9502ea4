/*
 * libc.c - libc's functions that block every signal inside. See libc.h.
 *
 * Who enters counts itself and then looks whether it is shut; who shuts it says so and then
 * counts: one of the two sees the other.
 */
#include "preload/process/libc.h"

#include "core/page/thread.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"

static _Atomic uint32_t activating;

void gmp_libc_enter(void)
{
	if (!gmp_armed)
		return;
	struct gmp_thread *t = gmp_self();
	while (!atomic_fetch_add(&t->in_libc, 1) && gm_unlikely(atomic_load(&activating))) {
		atomic_fetch_sub(&t->in_libc, 1);
		gmi_futex_wait(&activating, 1, -1);
	}
}

void gmp_libc_leave(void)
{
	if (gmp_armed && atomic_load_explicit(&gmp_self()->in_libc, memory_order_relaxed))
		atomic_fetch_sub(&gmp_self()->in_libc, 1);
}

void gmp_libc_shut(void)
{
	atomic_store(&activating, 1);
}

void gmp_libc_open(void)
{
	atomic_store(&activating, 0);
	gmi_futex_wake(&activating, INT32_MAX);
}

bool gmp_libc_in_use(void)
{
	bool any = false;

	gmi_lock(&gmp_threads_lock);
	for (struct gm_thread *t = gmi_threads; t && !any; t = t->next) {
		struct gmp_thread *p = t->preload;
		any = t != gmi_self() && p && atomic_load(&p->in_libc);
	}
	gmi_unlock(&gmp_threads_lock);
	return any;
}

void gmp_libc_forked(void)
{
	atomic_store(&activating, 0);
	gmp_threads_lock = (struct gm_lock){0};
	gmp_self()->in_libc = 0;
}
