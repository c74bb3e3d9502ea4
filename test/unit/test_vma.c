/* What is mapped at an address: by the kernel's query and by the text of /proc/self/maps. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/sys/vma.h"

#define PAGE ((size_t)4096)

static int (*const ways[])(uint64_t, struct gm_vma *) = {gmi_vma_next, gmc_vma_next_text};

Test(vma, a_mapping_is_described)
{
	int fd = memfd_create("described", MFD_CLOEXEC);
	struct stat st;
	struct gm_vma v;

	cr_assert_eq(ftruncate(fd, 8 * (off_t)PAGE), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	char *room = mmap(NULL, 6 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = mmap(room + PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 3 * PAGE);
	for (unsigned i = 0; i < 2; i++) {
		memset(&v, 0xff, sizeof v);
		cr_assert_eq(ways[i]((uintptr_t)p + PAGE, &v), 0);
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
	struct gm_vma a = {0}, b = {0};
	unsigned n = 0;

	for (uint64_t va = 0; va < (uint64_t)1 << 47; va = a.hi, n++) {
		memset(&a, 0, sizeof a);
		memset(&b, 0, sizeof b);
		if (gmi_vma_next(va, &a))
			break;
		cr_assert_eq(gmc_vma_next_text(va, &b), 0);
		cr_assert(a.lo == b.lo && a.hi == b.hi && a.off == b.off && a.ino == b.ino &&
				  a.dev == b.dev && !strcmp(a.name, b.name),
			  "%s %s", a.name, b.name);
		cr_assert(a.read == b.read && a.write == b.write && a.exec == b.exec &&
			  a.shared == b.shared);
	}
	cr_expect_gt(n, 10);
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
