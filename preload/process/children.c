/* children.c - what children find in their environment. See process.h. */
#include <stdbool.h>
#include <string.h>

#include "preload/process/process.h"

const char *gmp_env(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; envp && *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

static bool is_us(const char *entry, size_t len)
{
	static const char us[] = "libgmem_preload.so";
	const char *slash = memrchr(entry, '/', len);
	const char *name = slash ? slash + 1 : entry;

	return len - (size_t)(name - entry) == sizeof(us) - 1 && !memcmp(name, us, sizeof(us) - 1);
}

/* In place: what is left only gets shorter. */
void gmp_children_plain(char *const *envp)
{
	char *to = (char *)gmp_env(envp, "LD_PRELOAD");
	const char *from = to;

	if (!to)
		return;
	while (*from) {
		size_t len = strcspn(from, ": ");
		size_t with = len + (from[len] != '\0');
		if (!is_us(from, len)) {
			memmove(to, from, with);
			to += with;
		}
		from += with;
	}
	*to = '\0';
}
