/*
 * text.h - strings without libc, whose functions somebody may have replaced. Inline: also for code
 * that runs on a borrowed stack or before relocation.
 */
#ifndef GM_CORE_TEXT_H
#define GM_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

static inline bool gm_text_same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}
/* What follows prefix in s, or NULL. */
static inline const char *gm_text_after(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return NULL;
	return s;
}
/* As much of `from` as there is room for in `to`, which was all zeros. */
static inline void gm_text_put(char *to, const char *from, size_t room)
{
	for (size_t i = 0; i + 1 < room && from[i]; i++)
		to[i] = from[i];
}

#endif
