/*
 * away.h - for contract programs: away(p, n) sends pages to a device, when there is one. The
 * same program runs plain, where it does nothing, and its output must be the same.
 */
#ifndef E2E_AWAY_H
#define E2E_AWAY_H

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096ul

struct gm_sim;
struct gm_dev;

/* activate_now.so's device, or the run's own simulated one; -1: a plain run. */
static inline int away_hnid(void)
{
	static int hnid = -2;

	if (hnid != -2)
		return hnid;
	hnid = -1;
	int *test = dlsym(RTLD_DEFAULT, "e2e_hnid");
	if (test)
		return hnid = *test;
	struct gm_sim *(*sim)(int) =
		(struct gm_sim * (*)(int)) dlsym(RTLD_DEFAULT, "gmi_sim_default");
	struct gm_dev *(*dev)(struct gm_sim *) =
		(struct gm_dev * (*)(struct gm_sim *)) dlsym(RTLD_DEFAULT, "gm_sim_dev");
	int (*id)(const struct gm_dev *) =
		(int (*)(const struct gm_dev *))dlsym(RTLD_DEFAULT, "gm_dev_hnid");
	struct gm_sim *s = sim ? sim(0) : NULL;
	if (s && dev && id)
		hnid = id(dev(s));
	return hnid;
}

/* 0 or -errno */
static inline int try_away(const void *p, size_t n)
{
	static int (*advise)(int, void *, size_t, int);

	if (away_hnid() < 0)
		return 0;
	if (!advise)
		advise = (int (*)(int, void *, size_t, int))dlsym(RTLD_DEFAULT, "hmadvise");
	return advise(away_hnid(), (void *)p, n, 26);
}

static inline void away(const void *p, size_t n)
{
	int r = try_away(p, n);
	/* a fork child has no device until it asks for one; what is pinned stays */
	if (r && r != -ENODEV && r != -EBUSY) {
		fprintf(stderr, "away(%p, %zu): %d\n", p, n, r);
		exit(98);
	}
}

/* Page-aligned heap memory with a pattern, sent away: n pages, of which the program holds none. */
static inline char *absent(size_t pages, int seed)
{
	char *p = aligned_alloc(PAGE, pages * PAGE);
	for (size_t i = 0; i < pages * PAGE; i++)
		p[i] = (char)(i * 7 + (unsigned)seed);
	away(p, pages * PAGE);
	return p;
}

static inline unsigned sum(const void *p, size_t n)
{
	unsigned s = 1;
	for (size_t i = 0; i < n; i++)
		s = s * 31 + ((const unsigned char *)p)[i];
	return s;
}

#endif
