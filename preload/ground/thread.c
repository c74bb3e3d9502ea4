/* thread.c - the calling thread's record. See thread.h. */
#include "preload/ground/thread.h"

#include "core/page/thread.h"
#include "preload/ground/ground.h"

__thread struct gmp_thread *gmp_tls;
__thread bool gmp_making_own, gmp_in_fork;
bool gmp_threaded;
struct gm_lock gmp_threads_lock;

/* Without an altstack: the record and its scratch. */
#define PLAIN_BYTES (sizeof(struct gmp_thread) + 32768)

struct gmp_thread *gmp_self(void)
{
	if (gm_likely(gmp_tls != NULL))
		return gmp_tls;
	struct gm_thread *self = gmi_self();
	struct gmp_thread *t = self->preload;
	if (!t) {
		t = gmi_alloc(PLAIN_BYTES);
		if (!t) {
			gmi_log(GM_LOG_ERROR, "out of memory for a thread's record");
			gm_sys1(SYS_exit_group, 127);
			__builtin_unreachable();
		}
		t->scratch = (char *)gm_align_up((uintptr_t)(t + 1), 64);
	}
	self->preload = t;
	gmp_tls = t;
	return t;
}

void gmp_thread_forget(struct gm_thread *g)
{
	gmi_free(g->preload, PLAIN_BYTES);
	g->preload = NULL;
	g->internal = false;
	atomic_store_explicit(&g->nholds, 0, memory_order_relaxed);
	atomic_store_explicit(&g->tid, 0, memory_order_release);
}
