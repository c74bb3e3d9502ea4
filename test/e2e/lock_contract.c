/* Memory that is locked: what the program has, and nothing of what works for it. */
#include <sys/mman.h>

#include "away.h"

#define PAGES 512

static long locked_kib(void)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmLck:", 6))
			kib = atol(line + 6);
	if (f)
		fclose(f);
	return kib;
}

/* As some servers do, and chrony's ancestors: every line of the map. */
static int lock_the_map(void)
{
	static char text[1 << 20];
	FILE *f = fopen("/proc/self/maps", "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	int bad = 0;

	text[n] = 0;
	if (f)
		fclose(f);
	for (char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		unsigned long lo, hi;
		char prot[5];
		if (sscanf(at, "%lx-%lx %4s", &lo, &hi, prot) == 3 && prot[0] == 'r' &&
		    lo < 1ul << 47)
			bad += mlock((void *)lo, hi - lo) != 0 && errno != ENOMEM &&
			       errno != EAGAIN;
	}
	return bad;
}

static void say(const char *what, int r, const char *p, unsigned s)
{
	long kib = locked_kib();

	printf("%s: %d, a sane amount %d, memory %d\n", what, r, kib >= 2048 && kib < 4 << 20,
	       sum(p, PAGES * PAGE) == s);
}

int main(void)
{
	char *p = malloc(PAGES * PAGE);

	memset(p, 3, PAGES * PAGE);
	say("mlockall future", mlockall(MCL_CURRENT | MCL_FUTURE), p, sum(p, PAGES * PAGE));
	char *q = absent(PAGES, 1);
	unsigned s = sum(q, PAGES * PAGE);
	for (int i = 0; i < 3; i++) {
		away(q, PAGES * PAGE);
		say("mlockall", mlockall(MCL_CURRENT | MCL_FUTURE), q, s);
	}
	munlockall();
	printf("munlockall: %ld\n", locked_kib());
	away(q, PAGES * PAGE);
	say("mlock of all lines", lock_the_map(), q, s);
	munlockall();
	int r = mlockall(0);
	printf("mlockall 0: %d %d\n", r, errno);
	r = mlockall(64);
	printf("mlockall 64: %d %d\n", r, errno);
	return 0;
}
