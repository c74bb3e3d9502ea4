/* opened_test.sh: a library that a program opens in every way. Memory crosses its border in both
 * directions. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *lib_text(int n)
{
	char *s = NULL;
	return asprintf(&s, "text %d", n) < 0 ? NULL : s;
}

void lib_free(void *p)
{
	free(p);
}

char *lib_grow(char *p)
{
	return strcat(realloc(p, 100000), ", grown");
}

/* Found by this library's RUNPATH, and by nobody else's. */
int lib_inner(void)
{
	void *h = dlopen("libinner.so", RTLD_NOW | RTLD_DEEPBIND);
	int (*answer)(void) = h ? (int (*)(void))dlsym(h, "inner_answer") : NULL;
	return answer ? answer() : -1;
}

int lib_work(void)
{
	unsigned total = 0;
	for (int i = 1; i < 2000; i++) {
		char *p = malloc((size_t)i * 40);
		memset(p, i, (size_t)i * 40);
		p = realloc(p, (size_t)i * 60);
		total += (unsigned char)p[i];
		free(p);
	}
	return (int)total;
}
