/* Starting the machinery, once. See activate.h. */
#include "core/page/activate.h"
#include "core/sys/copy.h"

_Atomic uint8_t gmi_active;
int (*gmi_activate_hook)(void);

static struct {
	int (*plain)(void); /* when there is no hook */
	struct gm_lock lock;
	_Atomic int tid; /* of the thread in the hook */
	bool done;	 /* also in a fork child: the handler and the hooks are inherited */
} activation;

void gmc_activate_by_default(int (*plain)(void))
{
	activation.plain = plain;
}

bool gmc_cpu_ready(void)
{
	return atomic_load(&gmi_active) == GM_ACTIVE || gmi_activate_hook;
}

int gmi_activate(void)
{
	int err = 0;

	if (gm_likely(atomic_load_explicit(&gmi_active, memory_order_acquire) == GM_ACTIVE))
		return 0;
	if (atomic_load(&activation.tid) == gmi_gettid()) /* the hook holds, too */
		return 0;
	/* A constructor moves the first page, before the preload's own ran. */
	if (gmi_preload_start)
		gmi_preload_start();
	gmc_copy_choose(); /* while nobody waits */
	gm_sigmask mask = gm_lock_masked(&activation.lock);
	if (atomic_load(&gmi_active) == GM_INACTIVE) {
		/* Calls that start from now on hold; the hook deals with earlier ones. */
		atomic_store(&gmi_active, GM_ACTIVATING);
		atomic_store(&activation.tid, gmi_gettid());
		if (!activation.done || gmi_activate_hook)
			err = gmi_activate_hook ? gmi_activate_hook() : activation.plain();
		activation.done |= !err;
		atomic_store(&activation.tid, 0);
		atomic_store(&gmi_active, err ? GM_INACTIVE : GM_ACTIVE);
	}
	gm_unlock_masked(&activation.lock, mask);
	return err;
}

void gmc_deactivate(void)
{
	gm_sigmask mask = gm_lock_masked(&activation.lock);
	activation.done = false;
	atomic_store(&gmi_active, GM_INACTIVE);
	gm_unlock_masked(&activation.lock, mask);
}

/* The parent's thread that held the lock is not here. */
void gmc_activation_forked(void)
{
	activation.lock = (struct gm_lock){0};
	atomic_store(&activation.tid, 0);
	atomic_store(&gmi_active, GM_INACTIVE);
}
