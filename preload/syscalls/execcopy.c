/* execcopy.c - see execcopy.h. */
#include "preload/syscalls/execcopy.h"

#include <errno.h>
#include <string.h>

#include "core/sys/sys.h"
#include "preload/ground/gate.h"

/* far above the kernel's MAX_ARG_STRLEN, which it checks itself */
#define MAX_STRING ((size_t)1 << 21)

static void *take_room(struct gmp_copier *c, size_t n)
{
	char *p = c->base ? c->base + c->used : NULL;

	c->used += gm_align_up(n, 16);
	return p;
}

/* strlen of memory that may not be there. */
static long safe_strlen(const char *s)
{
	char chunk[256];
	size_t len = 0;

	while (len < MAX_STRING) {
		size_t n = gm_min(sizeof(chunk),
				  GM_PAGE_BYTES - ((uintptr_t)(s + len) & (GM_PAGE_BYTES - 1)));
		if (gmp_copy(chunk, s + len, n))
			return -EFAULT;
		const char *end = memchr(chunk, '\0', n);
		if (end)
			return (long)(len + (size_t)(end - chunk));
		len += n;
	}
	return -E2BIG;
}

void *gmp_copy_bytes(struct gmp_copier *c, const void *p, size_t n)
{
	void *to = take_room(c, n);

	if (to && gmp_copy(to, p, n))
		return (void *)-EFAULT;
	return to;
}

char *gmp_copy_string(struct gmp_copier *c, const char *s)
{
	long n;

	if (!s)
		return NULL;
	if ((n = safe_strlen(s)) < 0)
		return (char *)n;
	char *to = gmp_copy_bytes(c, s, (size_t)n + 1);
	if (to && !gm_is_err(to))
		to[n] = '\0'; /* another thread may have written since the measure */
	return to;
}

char **gmp_copy_vector(struct gmp_copier *c, char *const *v)
{
	size_t n = 0;
	char *s;

	if (!v)
		return NULL;
	do {
		if (gmp_copy(&s, &v[n], sizeof(s)))
			return (char **)-EFAULT;
		n++;
	} while (s);
	char **to = take_room(c, n * sizeof(*to));
	for (size_t i = 0; i < n; i++) {
		if (gmp_copy(&s, &v[i], sizeof(s)))
			return (char **)-EFAULT;
		s = gmp_copy_string(c, s);
		if (gm_is_err(s))
			return (char **)s;
		if (to)
			to[i] = s;
	}
	return to;
}
