/*
 * blas.c - the hooks of BLAS-3: a call that is large enough, and whose matrices all lie in the
 * managed window, runs on the device; every other goes to the library that the caller is linked
 * with.
 *
 * On the device the same library computes with the same number of threads, so the results are
 * the same bits. A call that fails there (the process was lost, an address is bad) is undone
 * from its journal and made on the host: errors of the program then look as they would without
 * us.
 */
#include <string.h>

#include "core/count/limit.h"
#include "core/entry/outside.h"
#include "core/rules/opt.h"
#include "core/space/vm.h"
#include "devsim/driver/sim.h"
#include "preload/blas/blas.h"

/* So many launches in a row that fail, and the device is left alone. */
#define MAX_FAILURES 3

/* what the device loads: the first that has a call for it */
static struct gmp_blas_lib *_Atomic device_lib;
static _Atomic bool path_told;
static _Atomic unsigned failures; /* in a row */

/*
 * Where this thread is inside a BLAS call: the stack pointer of its hook, 0 if in none. A
 * handler that interrupts it, or a library that calls its own public names, runs deeper. Whoever
 * left by longjmp did not clear it; calls from less deep then find it stale.
 */
static __thread struct {
	uintptr_t sp;
	bool launching;
} inside;

static bool is_nested(const struct gmp_blas_host *host, uintptr_t sp)
{
	return inside.sp && sp < inside.sp && (inside.launching || host->from_within);
}

/* In the window, or where it is. */
static bool is_reached(const void *at, size_t bytes)
{
	if (!gmi_vm_contains(at))
		return gmi_outside_reaches(at, bytes);
	return bytes <= UINTPTR_MAX - (uintptr_t)at &&
	       gmi_vm_contains((const char *)at + bytes - 1);
}

/* Can the device work on all matrices of the call? */
static bool reaches_all(const struct ds_blas_args *a)
{
	const void *at;
	size_t bytes;

	for (int i = 0; i < 3; i++)
		if (gmp_blas_operand(a, i, &at, &bytes) && !is_reached(at, bytes))
			return false;
	return true;
}

/* Thin libraries over one OpenBLAS (Debian's libblas.so.3 is one) find the same function in it. */
static bool is_same_blas(const struct gmp_blas_lib *a, const struct gmp_blas_lib *b)
{
	return a == b || (a->get_threads && a->get_threads == b->get_threads);
}

/* The device loads one BLAS library; calls to another would not give its bits. */
static bool may_use_device(struct gmp_blas_lib *lib)
{
	struct gmp_blas_lib *taken = NULL;

	if (!lib->usable || atomic_load_explicit(&failures, memory_order_relaxed) >= MAX_FAILURES)
		return false;
	if (!atomic_compare_exchange_strong(&device_lib, &taken, lib) && !is_same_blas(lib, taken))
		return false;
	if (!atomic_load(&path_told)) { /* two threads at once store the same bytes */
		gmi_sim_set_blas((taken ? taken : lib)->path);
		atomic_store(&path_told, true);
	}
	return true;
}

static bool run_on_device(struct gm_sim *sim, const struct ds_blas_args *a)
{
	struct gm_launch_result result = {0};
	const void *journal;
	int slot;

	inside.launching = true;
	int err =
		gmi_sim_launch_journalled(sim, "blas", 1, a, sizeof(*a), &result, &slot, &journal);
	inside.launching = false;
	if (!err) {
		if (atomic_load_explicit(&failures, memory_order_relaxed))
			atomic_store_explicit(&failures, 0, memory_order_relaxed);
		return true;
	}
	if (journal) {
		ds_blas_restore(a, journal);
		gmi_sim_journal_done(sim, slot);
	}
	gm_log(GM_LOG_INFO,
	       "a BLAS call failed on the device (error %d, code %d) and runs on the host", -err,
	       result.kernel_code);
	if (atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed) + 1 == MAX_FAILURES)
		gm_log(GM_LOG_WARN,
		       "%d BLAS calls in a row failed on the device: all run on the host from now "
		       "on",
		       MAX_FAILURES);
	return false;
}

/* Runs the call on the device, or says why it is the host's. */
static enum gm_blas_why offload(unsigned symbol, const gmp_word w[], const double x[2],
				struct gmp_blas_lib *lib)
{
	const double min = gmi_opt.blas_min;
	struct ds_blas_args a;

	if (!gmi_opt.offload_blas || gmi_opt.ndev < 1)
		return GM_BLAS_OFF;
	if (!gmp_blas_decode(symbol, w, x, &a))
		return GM_BLAS_NOTHING;
	if (gmp_blas_work(&a) < min * min * min)
		return GM_BLAS_SMALL;
	if (!reaches_all(&a))
		return GM_BLAS_OUTSIDE;
	if (!may_use_device(lib))
		return GM_BLAS_LIBRARY;
	struct gm_sim *sim = gmi_sim_default(0);
	if (!sim || !gmi_sim_can_fault(sim))
		return GM_BLAS_NO_DEVICE;
	if (gm_limit_reached())
		return GM_BLAS_LIMIT;
	a.threads = lib->get_threads ? lib->get_threads() : 0;
	return run_on_device(sim, &a) ? GM_BLAS_WHYS : GM_BLAS_FAILED;
}

static bool count_and_offload(unsigned symbol, const gmp_word w[], const double x[2],
			      const struct gmp_blas_host *host)
{
	int err = errno;

	GM_COUNT(blas_calls, 1);
	enum gm_blas_why why = offload(symbol, w, x, host->lib);
	if (why != GM_BLAS_WHYS) {
		GM_COUNT(blas_host, 1);
		GM_COUNT(blas_why[why], 1);
		gm_log(GM_LOG_DEBUG, "%s runs on the host: %s", gmp_blas_name(symbol),
		       gmi_blas_why(why)->why);
	} else {
		GM_COUNT(blas_device, 1);
	}
	errno = err;
	return why == GM_BLAS_WHYS;
}

static inline __attribute__((always_inline)) void hook(unsigned symbol, const void *caller,
						       GMP_BLAS_PARAMS)
{
	struct gmp_blas_host host = gmp_blas_find(symbol, caller);
	const gmp_word w[GMP_BLAS_WORDS] = {GMP_BLAS_ARG_WORDS};
	const double x[2] = {x0, x1};
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0),
		  outer = inside.sp > sp ? inside.sp : 0;

	if (!gmp_on || is_nested(&host, sp)) {
		host.fn(x0, x1, GMP_BLAS_ARG_WORDS);
		return;
	}
	inside.sp = sp;
	if (!count_and_offload(symbol, w, x, &host))
		host.fn(x0, x1, GMP_BLAS_ARG_WORDS);
	inside.sp = outer;
}

#define X(op, type, name)                                                                          \
	GMP_HOOK void name##_(GMP_BLAS_PARAMS)                                                     \
	{                                                                                          \
		hook(2 * GMP_BLAS_##name, __builtin_return_address(0), x0, x1,                     \
		     GMP_BLAS_ARG_WORDS);                                                          \
	}                                                                                          \
	GMP_HOOK void cblas_##name(GMP_BLAS_PARAMS)                                                \
	{                                                                                          \
		hook(2 * GMP_BLAS_##name + 1, __builtin_return_address(0), x0, x1,                 \
		     GMP_BLAS_ARG_WORDS);                                                          \
	}
GMP_BLAS_ROUTINES(X)
#undef X
