/* front.c - the library that runs regions on a device, and the runtimes that it stands before. */
#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>

#include "core/rules/opt.h"
#include "preload/ground/ground.h"
#include "preload/openmp/openmp.h"

/* The runtime may be a library of a library, which nobody but its user sees. */
void *gmp_runtime_function(const char *name, const char *const libraries[], void *_Atomic *cache)
{
	void *fn = atomic_load_explicit(cache, memory_order_acquire);

	if (fn)
		return fn;
	fn = dlsym(RTLD_NEXT, name);
	for (unsigned i = 0; !fn && libraries[i]; i++) {
		void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
		fn = library ? dlsym(library, name) : NULL;
	}
	if (!fn) {
		gmi_log(GM_LOG_ERROR, "%s is called, and no %s has it", name, libraries[0]);
		gm_sys1(SYS_exit_group, 127);
	}
	atomic_store_explicit(cache, fn, memory_order_release);
	return fn;
}

/* NULL: it cannot be loaded (said once). */
static gmo_parallel_run_fn *load_front(void)
{
	char path[PATH_MAX];
	gmo_parallel_run_fn *run = NULL;
	if (gmi_find_helper("omp/" GMO_FRONT, path, sizeof path)) {
		gmi_log(GM_LOG_WARN,
			"parallel regions run on the host: " GMO_FRONT " is not beside libgmem.so");
		return NULL;
	}
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library)
		*(void **)&run = dlsym(library, GMO_FRONT_RUN);
	else
		gmi_log(GM_LOG_WARN, "parallel regions run on the host: %s", dlerror());
	return run;
}

static gmo_parallel_run_fn *front(void)
{
	static gmo_parallel_run_fn *_Atomic run;
	static _Atomic bool looked;
	gmo_parallel_run_fn *fn = atomic_load(&run);

	if (fn || atomic_load(&looked))
		return fn;
	fn = load_front(); /* two threads at once get the same */
	atomic_store(&run, fn);
	atomic_store(&looked, true);
	return fn;
}

bool gmp_regions_wanted(void)
{
	return gmp_on && gmi_opt.offload_openmp && gmi_opt.ndev > 0;
}

bool gmp_region_run(const struct gmo_parallel_call *call, uint64_t *result)
{
	gmo_parallel_run_fn *run = gmp_regions_wanted() ? front() : NULL;

	return run && run(call, result);
}
