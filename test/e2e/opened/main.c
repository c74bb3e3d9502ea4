/* opened_test.sh: opens lib.so by RTLD_DEEPBIND and in a namespace of its own. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void use(const char *how, void *h)
{
	if (!h) {
		printf("%s: %s\n", how, dlerror());
		return;
	}
	char *(*text)(int) = (char *(*)(int))dlsym(h, "lib_text");
	char *(*grow)(char *) = (char *(*)(char *))dlsym(h, "lib_grow");
	void (*give)(void *) = (void (*)(void *))dlsym(h, "lib_free");
	int (*inner)(void) = (int (*)(void))dlsym(h, "lib_inner");
	int (*work)(void) = (int (*)(void))dlsym(h, "lib_work");

	printf("%s: inner %d, work %d\n", how, inner(), work());
	char *s = text(1);
	printf("%s: %s\n", how, s);
	if (strcmp(how, "namespace")) { /* there memory is another libc's */
		s = realloc(s, 1 << 20);
		give(s);
		puts(grow(strcpy(malloc(20), "ours")));
		for (int i = 0; i < 1000; i++) {
			give(malloc((size_t)i * 100));
			free(text(i));
		}
	} else {
		give(s);
	}
}

int main(void)
{
	use("deepbind", dlopen("./lib.so", RTLD_NOW | RTLD_DEEPBIND));
	use("base, deepbind", dlmopen(LM_ID_BASE, "./lib2.so", RTLD_NOW | RTLD_DEEPBIND));
	use("namespace", dlmopen(LM_ID_NEWLM, "./lib.so", RTLD_NOW));
	printf("not there: %d\n", dlopen("./none.so", RTLD_LAZY | RTLD_DEEPBIND) == NULL);
	return 0;
}
