/* What is mapped at an address: by the kernel's query and by the text of /proc/self/maps. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/sys/vma.h"

#define PAGE ((size_t)4096)

static struct gm_vma seen[2][4096];
static unsigned nseen;

static long note(const struct gm_vma *vma, void *to)
{
	((struct gm_vma *)to)[nseen++] = *vma;
	return nseen == 4096;
}

Test(vma, a_mapping_is_described)
{
	int fd = memfd_create("described", MFD_CLOEXEC);
	struct stat st;
	struct gm_vma v;

	cr_assert_eq(ftruncate(fd, 8 * (off_t)PAGE), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	char *room = mmap(NULL, 6 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = mmap(room + PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 3 * PAGE);
	for (int way = GM_VMA_BEST; way <= GM_VMA_TEXT; way++) {
		memset(seen, 0xff, sizeof seen);
		nseen = 0;
		cr_assert_eq(gmc_vma_each_way((uintptr_t)p + PAGE, (uintptr_t)p + 2 * PAGE, note,
					      seen[0], (enum gm_vma_way)way),
			     0);
		cr_assert_eq(nseen, 1);
		v = seen[0][0];
		cr_expect_eq(v.lo, (uintptr_t)p);
		cr_expect_eq(v.hi, (uintptr_t)p + 2 * PAGE);
		cr_expect_eq(v.off, 3 * PAGE);
		cr_expect_eq(v.ino, st.st_ino);
		cr_expect_eq(v.dev, st.st_dev);
		cr_expect(v.read && !v.write && !v.exec && v.shared);
		cr_expect_eq(strncmp(v.name, "/memfd:described", 16), 0, "%s", v.name);
	}
}

Test(vma, both_ways_say_the_same_of_everything)
{
	const uint64_t end = (uint64_t)1 << 47;

	cr_assert_eq(gmc_vma_each_way(0, end, note, seen[0], GM_VMA_BEST), 0);
	unsigned n = nseen;
	nseen = 0;
	cr_assert_eq(gmc_vma_each_way(0, end, note, seen[1], GM_VMA_TEXT), 0);
	cr_expect_gt(n, 10);
	cr_assert_eq(nseen, n);
	for (unsigned i = 0; i < n; i++) {
		const struct gm_vma *a = &seen[0][i], *b = &seen[1][i];
		cr_assert(a->lo == b->lo && a->hi == b->hi && a->off == b->off &&
				  a->ino == b->ino && a->dev == b->dev && !strcmp(a->name, b->name),
			  "%s %s", a->name, b->name);
		cr_assert(a->read == b->read && a->write == b->write && a->exec == b->exec &&
			  a->shared == b->shared);
	}
}

static long third(const struct gm_vma *vma, void *n)
{
	return ++*(int *)n == 3 ? 77 : 0;
}

Test(vma, a_walk_ends_where_it_is_told_to)
{
	int n = 0;

	cr_expect_eq(gmi_vma_each(0, UINT64_MAX, third, &n), 77);
	cr_expect_eq(n, 3);
}

Test(vma, nothing_is_found_where_nothing_is)
{
	char *p = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct gm_vma v;

	cr_assert_eq(munmap(p + PAGE, PAGE), 0);
	cr_expect_eq(gmi_vma_find((uintptr_t)p + PAGE, &v), -ENOENT);
	cr_expect_eq(gmi_vma_find((uintptr_t)p, &v), 0);
	cr_expect_eq(gmi_vma_find(0, &v), -ENOENT);
}
