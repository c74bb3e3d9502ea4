/* real.c - looks libc's functions up, once. See real.h. */
#include "preload/ground/real.h"

#include <dlfcn.h>
#include <stddef.h>

#include "core/sys/sys.h"

struct gmp_real gmp_real;

static const struct {
	const char *name;
	size_t at;
} names[] = {
#define X(f) {#f, offsetof(struct gmp_real, p_##f)},
	GMP_REALS(X) X(longjmp) X(siglongjmp) X(__longjmp_chk)
#undef X
};

/* Twice is harmless: the same values are stored. */
void gmp_real_resolve(void)
{
	for (size_t i = 0; i < GM_ARRAY_LEN(names); i++)
		*(void **)((char *)&gmp_real + names[i].at) = dlsym(RTLD_NEXT, names[i].name);
}
