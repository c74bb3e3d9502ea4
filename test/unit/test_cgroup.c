/* What control groups leave of memory, read from files that look like the kernel's. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/sys/cgroup.h"

static char dir[] = "/tmp/gmem-cgroup-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[2][256];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[0]), "%s%s", dir, name);
	return path[turn];
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void start(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void end(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(cgroup, .init = start, .fini = end);

/* Groups as in /proc/self/cgroup; the mount has `root` of the hierarchy at dir/mem. */
static bool find(struct gm_cgroup *c, const char *groups, const char *root, const char *type)
{
	char mounts[1024];

	snprintf(mounts, sizeof(mounts),
		 "22 1 0:20 / / rw - ext4 /dev/vda rw\n"
		 "31 30 0:28 / %s/cpu rw,relatime - cgroup cgroup rw,cpu\n"
		 "34 30 0:31 %s %s/mem rw,relatime shared:9 - %s\n",
		 dir, root, dir, type);
	write_file("/groups", groups);
	write_file("/mounts", mounts);
	mkdir(path_of("/mem"), 0700);
	mkdir(path_of("/mem/a"), 0700);
	mkdir(path_of("/mem/a/b"), 0700);
	return gmc_cgroup_find(c, path_of("/groups"), path_of("/mounts"));
}

static void group2(const char *name, const char *max, const char *high, const char *used,
		   const char *stat)
{
	char file[128];
	const struct {
		const char *name, *text;
	} files[] = {{"memory.max", max},
		     {"memory.high", high},
		     {"memory.current", used},
		     {"memory.stat", stat}};

	for (unsigned i = 0; i < 4; i++) {
		snprintf(file, sizeof(file), "/mem%s/%s", name, files[i].name);
		write_file(file, files[i].text);
	}
}

#define V1   "cgroup cgroup rw,memory"
#define V1_2 "cgroup cgroup rw,hugetlb,memory"
#define V2   "cgroup2 cgroup2 rw,nsdelegate"

Test(cgroup, the_nearest_limit_of_all_groups_counts)
{
	struct gm_cgroup c;
	int64_t limit = 0;

	cr_assert(find(&c, "0::/a/b\n", "/", V2));
	group2("", "max\n", "max\n", "9000\n", "anon 1\n");
	group2("/a", "1000\n", "max\n", "700\n", "anon 1\ninactive_file 50\nactive_file 7\n");
	group2("/a/b", "max\n", "max\n", "600\n", "inactive_file 50\n");
	cr_assert_eq(gmc_cgroup_room(&c, &limit), 350);
	cr_assert_eq(limit, 1000);
	group2("/a/b", "800\n", "640\n", "600\n", "inactive_file 20\n");
	cr_assert_eq(gmc_cgroup_room(&c, &limit), 60, "memory.high slows down before it kills");
	cr_assert_eq(limit, 640);
	group2("/a/b", "500\n", "max\n", "600\n", "");
	cr_assert_eq(gmc_cgroup_room(&c, NULL), -100);
}

Test(cgroup, without_a_limit_there_is_none)
{
	struct gm_cgroup c;

	cr_assert(find(&c, "0::/a\n", "/", V2));
	cr_assert_eq(gmc_cgroup_room(&c, NULL), GM_NO_LIMIT, "no files at all");
	group2("/a", "max\n", "max\n", "700\n", "anon 1\n");
	cr_assert_eq(gmc_cgroup_room(&c, NULL), GM_NO_LIMIT);
	cr_assert_not(find(&c, "0::/a\n", "/", V1), "the mount is of another version");
	cr_assert_eq(gmc_cgroup_room(&c, NULL), GM_NO_LIMIT);
	cr_assert_not(gmc_cgroup_find(&c, path_of("/no"), path_of("/mounts")));
}

static void group1(const char *limit)
{
	write_file("/mem/a/memory.limit_in_bytes", limit);
	write_file("/mem/a/memory.usage_in_bytes", "500\n");
	write_file("/mem/a/memory.stat", "inactive_file 1\ntotal_inactive_file 30\n");
}

Test(cgroup, version_1_is_asked_where_it_has_memory)
{
	struct gm_cgroup c;
	int64_t limit;

	cr_assert(find(&c, "4:cpu,memory:/a\n1:name=systemd:/\n0::/a/b\n", "/", V1_2));
	group1("900\n");
	cr_assert_eq(gmc_cgroup_room(&c, &limit), 430);
	cr_assert_eq(limit, 900);
	group1("9223372036854771712\n");
	cr_assert_eq(gmc_cgroup_room(&c, NULL), GM_NO_LIMIT, "what it says for no limit");
	cr_assert_not(find(&c, "4:memoryless:/a\n", "/", V1), "a name that only begins so");
}

Test(cgroup, a_mount_of_a_part_shows_that_part)
{
	struct gm_cgroup c;

	cr_assert(find(&c, "0::/pod/x/a\n", "/pod/x", V2));
	group2("/a", "1000\n", "max\n", "700\n", "");
	cr_assert_eq(gmc_cgroup_room(&c, NULL), 300);
	/* the whole of it, and another namespace's: the mount itself */
	group2("", "2000\n", "max\n", "1999\n", "");
	cr_assert(find(&c, "0::/pod/x\n", "/pod/x", V2));
	cr_assert_eq(gmc_cgroup_room(&c, NULL), 1);
	cr_assert(find(&c, "0::/../elsewhere\n", "/", V2));
	cr_assert_eq(gmc_cgroup_room(&c, NULL), 1);
	cr_assert(find(&c, "0::/\n", "/", V2));
	cr_assert_eq(gmc_cgroup_room(&c, NULL), 1);
}
