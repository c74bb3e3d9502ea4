/* Limits of memory of the control groups. See cgroup.h. */
#include "core/sys/cgroup.h"
#include "core/sys/text.h"
#include <fcntl.h>

#define PROC_BYTES ((size_t)256 << 10) /* of mountinfo, as far as it is looked at */
#define FILE_BYTES 4096		       /* of a file of a group: memory.stat has some 1,500 */

/* What a version calls its files. `most`: limits, the smaller counts. */
static const struct names {
	const char *most[2], *used, *cache;
} names[] = {
	[1] = {{"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_inactive_file "},
	[2] = {{"memory.max", "memory.high"}, "memory.current", "inactive_file "},
};

/* ---- text ---- */

/* The file's text, ended by 0. False: it cannot be read. */
static bool file_text(const char *path, char *text, size_t room)
{
	long n, fd = gm_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	size_t have = 0;

	if (fd < 0)
		return false;
	while (have + 1 < room && (n = gm_sys3(SYS_read, fd, text + have, room - 1 - have)) > 0)
		have += (size_t)n;
	text[have] = 0;
	gm_sys1(SYS_close, fd);
	return have;
}

static const char *line_after(const char *s)
{
	while (*s && *s != '\n')
		s++;
	return *s ? s + 1 : NULL;
}

/* The n-th word of a line from 0 on, as words are parted by `by`; its length. NULL: so many are not
 * there. */
static const char *word(const char *line, unsigned n, char by, size_t *len)
{
	const char *end = line;

	for (;; line = ++end) {
		while (*end && *end != '\n' && *end != by)
			end++;
		if (!n--)
			return *len = (size_t)(end - line), line;
		if (*end != by)
			return NULL;
	}
}

/* Is `name` in the list of names with commas? */
static bool listed(const char *list, size_t len, const char *name)
{
	const char *end = list + len, *after;

	for (const char *w = list; w < end; w++)
		if ((w == list || w[-1] == ',') && (after = gm_text_after(w, name)) &&
		    (after == end || *after == ','))
			return true;
	return false;
}

/* -1: no number, as in "max" */
static int64_t number(const char *s)
{
	int64_t n = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n > INT64_MAX / 16 ? n : n * 10 + (*s - '0');
	return n;
}

/* ---- where the group is ---- */

/* Of the lines "7:memory:/path" and "0::/path": that of memory, else that of version 2. */
static const char *group_path(const char *text, unsigned *version)
{
	const char *found = NULL;
	size_t len;

	for (const char *line = text; line; line = line_after(line)) {
		const char *what = word(line, 1, ':', &len), *path;
		size_t path_len;
		if (!what || !(path = word(line, 2, ':', &path_len)))
			continue;
		if (len && listed(what, len, "memory"))
			return *version = 1, path;
		if (!len)
			*version = 2, found = path;
	}
	return found;
}

/* "ID PARENT DEV ROOT POINT OPTIONS... - TYPE SOURCE SUPER": is it the hierarchy's? */
static bool mounts_it(const char *line, unsigned version)
{
	const char *w, *type = NULL, *super;
	size_t len;

	for (unsigned i = 6; !type && (w = word(line, i, ' ', &len)); i++)
		if (len == 1 && *w == '-')
			type = word(line, i + 1, ' ', &len);
	if (!type)
		return false;
	if (version == 2)
		return len == 7 && gm_text_after(type, "cgroup2");
	return len == 6 && gm_text_after(type, "cgroup") && (super = word(type, 2, ' ', &len)) &&
	       listed(super, len, "memory");
}

static void put_dir_part(struct gm_cgroup *c, size_t *at, const char *from, size_t len)
{
	for (size_t i = 0; i < len && *at + 1 < sizeof(c->dir); i++)
		c->dir[(*at)++] = from[i];
	c->dir[*at] = 0;
}

/* The mount's point, and of the path what lies beneath the mount's root. */
static void put_dir(struct gm_cgroup *c, const char *line, const char *path)
{
	size_t root_len = 0, point_len = 0, path_len = 0, at = 0;
	const char *root = word(line, 3, ' ', &root_len), *point = word(line, 4, ' ', &point_len);

	word(path, 0, '\n', &path_len);
	put_dir_part(c, &at, point, point_len);
	c->mount_len = (unsigned)at;
	root_len = root_len == 1 ? 0 : root_len; /* "/" */
	for (size_t i = 0; i < root_len; i++)
		if (root[i] != path[i])
			return; /* another namespace: the mount is the nearest that we see */
	if (path_len > root_len + 1 && !gm_text_after(path, "/.."))
		put_dir_part(c, &at, path + root_len, path_len - root_len);
}

bool gmc_cgroup_find(struct gm_cgroup *c, const char *groups, const char *mounts)
{
	char *text = gmi_alloc(2 * PROC_BYTES), *mount;
	const char *path = NULL;
	unsigned version = 0;

	c->version = 0;
	if (!text)
		return false;
	mount = text + PROC_BYTES;
	if (file_text(groups, text, PROC_BYTES) && file_text(mounts, mount, PROC_BYTES))
		path = group_path(text, &version);
	for (const char *line = path ? mount : NULL; line; line = line_after(line))
		if (mounts_it(line, version)) {
			put_dir(c, line, path);
			c->version = version;
			break;
		}
	gmi_free(text, 2 * PROC_BYTES);
	return c->version;
}

/* ---- its limits ---- */

static bool group_text(const char *dir, size_t len, const char *name, char *text)
{
	char path[sizeof((struct gm_cgroup *)0)->dir + 32];
	size_t at = 0;

	while (at < len && (path[at] = dir[at]))
		at++;
	path[at++] = '/';
	for (; *name && at + 1 < sizeof(path); at++)
		path[at] = *name++;
	path[at] = 0;
	return file_text(path, text, FILE_BYTES);
}

/* -1: it has none */
static int64_t group_limit(const struct gm_cgroup *c, size_t len, char *text)
{
	int64_t least = -1;

	for (unsigned i = 0; i < 2 && names[c->version].most[i]; i++) {
		if (!group_text(c->dir, len, names[c->version].most[i], text))
			continue;
		int64_t n = number(text);
		if (n >= 0 && n < INT64_MAX / 16 && (least < 0 || n < least))
			least = n;
	}
	return least;
}

static int64_t group_room(const struct gm_cgroup *c, size_t len, int64_t *limit)
{
	const struct names *n = &names[c->version];
	char text[FILE_BYTES];
	int64_t used, cache = 0;

	*limit = group_limit(c, len, text);
	if (*limit < 0 || !group_text(c->dir, len, n->used, text) || (used = number(text)) < 0)
		return GM_NO_LIMIT;
	if (group_text(c->dir, len, "memory.stat", text))
		for (const char *line = text, *at; line; line = line_after(line))
			if ((at = gm_text_after(line, n->cache)))
				cache = gm_max(number(at), (int64_t)0);
	return *limit - used + cache;
}

int64_t gmc_cgroup_room(const struct gm_cgroup *c, int64_t *limit)
{
	int64_t least = GM_NO_LIMIT, of, room;
	size_t len = 0;

	while (c->version && c->dir[len])
		len++;
	/* group by group, up to the mount itself */
	for (bool more = len; more;) {
		room = group_room(c, len, &of);
		if (room < least) {
			least = room;
			if (limit)
				*limit = of;
		}
		more = len > c->mount_len;
		do
			len--;
		while (len > c->mount_len && c->dir[len] != '/');
	}
	return least;
}
