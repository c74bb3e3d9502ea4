/*
 * dev_module.c - kernels by name: module 0 is built in, the others are shared objects, loaded at
 * first use.
 */
#include "devsim/device/dev.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *handles[DS_MODULES];

static gm_kernel_fn *builtin(const char *name)
{
	const struct dev_builtin *const tables[] = {dev_mem_kernels, dev_blas_kernels};

	for (unsigned t = 0; t < DEV_ARRAY_LEN(tables); t++)
		for (const struct dev_builtin *k = tables[t]; k->name; k++)
			if (!strcmp(k->name, name))
				return k->fn;
	return NULL;
}

/* Locked. */
static int load_module(unsigned module)
{
	const char *path = module < DS_MODULES ? ctl->module[module] : "";

	if (!path[0] || (strchr(path, '/') && access(path, R_OK)))
		return -ENOENT;
	handles[module] = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handles[module])
		return 0;
	dev_say("%s", dlerror());
	return -ENOEXEC;
}

int dev_module_kernel(unsigned module, const char *name, gm_kernel_fn **fn)
{
	int err = 0;

	*fn = NULL;
	if (module == 0) {
		*fn = builtin(name);
		return *fn ? 0 : -ENOENT;
	}
	pthread_mutex_lock(&lock);
	if (module >= DS_MODULES)
		err = -ENOENT;
	else if (!handles[module])
		err = load_module(module);
	if (!err && name[0]) {
		*(void **)fn = dlsym(handles[module], name);
		err = *fn ? 0 : -ENOENT;
	}
	pthread_mutex_unlock(&lock);
	return err;
}
