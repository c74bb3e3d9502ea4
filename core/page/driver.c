/* Calls of a driver's functions. See driver.h; the rules by name are in docs/drivers.md. */
#include "core/page/driver.h"
#include "core/page/guard.h"
#include "core/page/thread.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

static const struct gm_guarded callbacks[] = {
	[GM_CB_APERTURE] = GM_GUARDED(gm_mmu, aperture),
	[GM_CB_VA_ALLOC] = GM_GUARDED(gm_mmu, peer_va_alloc_fixed),
	[GM_CB_VA_FREE] = GM_GUARDED(gm_mmu, peer_va_free),
	[GM_CB_PMAP_CREATE] = GM_GUARDED(gm_mmu, pmap_create),
	[GM_CB_PMAP_DESTROY] = GM_GUARDED(gm_mmu, pmap_destroy),
	[GM_CB_MAP] = GM_GUARDED(gm_mmu, pmap_enter),
	[GM_CB_UNMAP] = GM_GUARDED(gm_mmu, pmap_release),
	[GM_CB_PROTECT] = GM_GUARDED(gm_mmu, pmap_protect),
	[GM_CB_HMEMCPY] = GM_GUARDED(gm_mmu, peer_hmemcpy),
	[GM_CB_TLB_INVL] = GM_GUARDED(gm_mmu, tlb_invl),
	[GM_CB_BATCH] = GM_GUARDED(gm_mmu, batch),
	[GM_CB_ACCESSED] = GM_GUARDED(gm_mmu, accessed),
	[GM_CB_ACCOUNT] = GM_GUARDED(gm_mmu, account),
	[GM_CB_TLB_INVL_COALESCED] = GM_GUARDED(gm_mmu, tlb_invl_coalesced),
	[GM_CB_ACCOUNT_CPU] = GM_GUARDED(gm_mmu, account_cpu),
};
_Static_assert(GM_ARRAY_LEN(callbacks) == GM_CALLBACKS, "each has a name");

#define MAX_ERRNO 4095

/* A call of a driver's function. */
struct in_driver {
	struct gm_guard guard;
	struct gm_dev *dev;
	enum gm_callback cb;
};

/* ---- what is wrong ---- */

#define ERROR_ROOM 320

static char *error_text(void)
{
	struct gm_thread *t = gmi_self();

	if (!t->last_error)
		t->last_error = gmi_alloc(ERROR_ROOM);
	return t->last_error;
}

int gmc_fail(int err, const char *fmt, ...)
{
	char *text = error_text();
	va_list ap;

	va_start(ap, fmt);
	if (text)
		gmi_vsnprintf(text, ERROR_ROOM, fmt, ap);
	va_end(ap);
	return err;
}

const char *gm_last_error(void)
{
	const char *text = gmi_self()->last_error;

	return text ? text : "";
}

/* The device is out of use; once is enough to say so. */
static void broken(struct gm_dev *dev, enum gm_callback cb, const char *rule, const char *what,
		   unsigned long value)
{
	if (__atomic_exchange_n(&dev->broken, true, __ATOMIC_ACQ_REL))
		return;
	char line[ERROR_ROOM];
	int n = gmi_snprintf(line, sizeof line, "driver \"%s\" breaks the rule %s: %s() ",
			     dev->mmu->name ? dev->mmu->name : "", rule, callbacks[cb].name);

	gmi_snprintf(line + n, sizeof line - (size_t)n, what, value);
	gmc_fail(0, "%s", line);
	gm_log(GM_LOG_ERROR, "%s; the device is out of use, its pages come home (docs/drivers.md)",
	       line);
}

/* ---- the call ---- */

static void *function(const struct gm_mmu *mmu, enum gm_callback cb)
{
	return *(void *const *)((const char *)mmu + callbacks[cb].at);
}

/* The rules that a driver can break while it is called: docs/drivers.md. */
static bool driver_breach(struct gm_guard *g, enum gm_breach kind, const void *what)
{
	const struct in_driver *in = (struct in_driver *)(void *)g;
	const siginfo_t *si = what;
	char text[96];

	if (kind == GM_BREACH_CALL) {
		gmi_snprintf(text, sizeof text, "called %s", (const char *)what);
		broken(in->dev, in->cb, "no-call", text, 0);
	} else if (kind == GM_BREACH_TIME && g->watched) {
		broken(in->dev, in->cb, "no-wait",
		       "has not returned for %lu ms: does a caller of gm_dev_fault() hold a lock "
		       "that it takes?",
		       (unsigned long)(gmc_guard_limit_ns / 1000000));
	} else if (kind == GM_BREACH_SIGNAL && si->si_signo == SIGSEGV && si->si_code > 0 &&
		   gmc_as_find((uintptr_t)si->si_addr)) {
		broken(in->dev, in->cb, "no-touch", "touched managed memory at %lx",
		       (unsigned long)si->si_addr);
	} else {
		return false;
	}
	return true;
}

static long call(struct gm_dev *dev, enum gm_callback cb, void *fn, const uintptr_t args[4])
{
	struct in_driver in = {
		.guard = {.breach = driver_breach, .watched = !dev->patient},
		.dev = dev,
		.cb = cb,
	};

	return gmc_guard_call(&in.guard, fn, args);
}

/* Of a device that is out of use: only bytes may still be wanted from it. */
static bool still_asked(enum gm_callback cb, const uintptr_t args[4])
{
	if (cb == GM_CB_HMEMCPY)
		return ((const struct gm_op *)args[1])->kind == GM_OP_COPY_OUT;
	if (cb != GM_CB_BATCH)
		return false;
	const struct gm_op *ops = (const struct gm_op *)args[1];
	for (unsigned i = 0; i < args[2]; i++)
		if (ops[i].kind != GM_OP_COPY_OUT)
			return false;
	return true;
}

/*
 * What core can rely on is that nothing is entered any more; that entries are gone must be hoped.
 */
static int stand_in(enum gm_callback cb, const uintptr_t args[4])
{
	bool fails = cb == GM_CB_MAP || cb == GM_CB_HMEMCPY || cb == GM_CB_ACCESSED ||
		     cb == GM_CB_PMAP_CREATE;

	for (unsigned i = 0; cb == GM_CB_BATCH && i < args[2]; i++) {
		uint8_t kind = ((const struct gm_op *)args[1])[i].kind;
		fails |= kind != GM_OP_UNMAP && kind != GM_OP_PROTECT;
	}
	return fails ? -EIO : 0;
}

static bool is_broken(const struct gm_dev *dev)
{
	return __atomic_load_n(&dev->broken, __ATOMIC_ACQUIRE);
}

int gmc_driver_call(struct gm_dev *dev, enum gm_callback cb, const uintptr_t args[4])
{
	void *fn = function(dev->mmu, cb);
	bool was = gm_unlikely(is_broken(dev));

	if (!fn)
		return 0;
	if (was && !still_asked(cb, args))
		return stand_in(cb, args);
	int r = (int)call(dev, cb, fn, args);
	if (cb == GM_CB_ACCOUNT || cb == GM_CB_ACCOUNT_CPU)
		return 0;
	if (gm_unlikely(r > 0 || r < -MAX_ERRNO)) {
		broken(dev, cb, "result", "returned %ld, which is neither 0 nor -errno",
		       (unsigned long)(long)r);
		r = -EIO;
	}
	return gm_unlikely(is_broken(dev)) && !was ? stand_in(cb, args) : r;
}

void *gmc_driver_aperture(struct gm_dev *dev)
{
	void *fn = function(dev->mmu, GM_CB_APERTURE);
	const uintptr_t args[4] = {(uintptr_t)dev->data};
	long r = fn ? call(dev, GM_CB_APERTURE, fn, args) : 0;

	return dev->broken ? NULL : (void *)r;
}

void gmc_dev_patient(struct gm_dev *dev)
{
	dev->patient = true;
}

/* Attachments of devices whose drivers may hang. The watch reads it without the registry lock,
 * which the thread that hangs may hold. */
static _Atomic uint32_t watched_attachments;

void gmc_driver_attached(const struct gm_dev *dev, bool attached)
{
	if (!dev->patient)
		atomic_fetch_add(&watched_attachments, attached ? 1u : -1u);
}

void gmc_driver_forked(void)
{
	atomic_store(&watched_attachments, 0);
}

bool gmc_driver_watch(void)
{
	gmc_guard_watch();
	return gmc_guard_always || atomic_load(&watched_attachments);
}
