/* path.c - rows of calls that take names of files. All names are relative to a folder of the
 * run's own. */
#include <linux/openat2.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <utime.h>

#include "rows.h"

#define CWD AT_FDCWD
#define LONG_NAME                                                                                  \
	"a-name-that-is-long-enough-to-lie-on-both-sides-of-a-page-boundary-wherever-it-is-put-"   \
	"by-the-"                                                                                  \
	"caller"

static void exists(const char *name)
{
	struct stat st;
	int r = lstat(name, &st);

	say("%s: %d mode %o links %d size %ld", name, r, r ? 0 : st.st_mode,
	    r ? 0 : (int)st.st_nlink, r || S_ISDIR(st.st_mode) ? 0 : (long)st.st_size);
}

static void make_file(const char *name, size_t n)
{
	close(file_with(name, n));
}

#define OPENED(...)                                                                                \
	do {                                                                                       \
		long fd_ = DONE(__VA_ARGS__);                                                      \
		if (fd_ >= 0)                                                                      \
			show_file((int)fd_), close((int)fd_);                                      \
	} while (0)

ROW(open)
{
	char *name = str("./" LONG_NAME);

	make_file(LONG_NAME, 100);
	OPENED(open, name, O_RDONLY, 0);
	FAULTS(open, name, O_RDONLY, 0);
	CALL(open, str("no such file"), O_RDONLY, 0);
	CALL(open, name, O_RDWR | O_CREAT | O_EXCL, 0600);
}

ROW(creat)
{
	char *name = str(LONG_NAME);

	make_file(LONG_NAME, 100);
	DONE(creat, name, 0600);
	FAULTS(creat, name, 0600);
	exists(LONG_NAME);
}

ROW(openat)
{
	char *name = str(LONG_NAME);

	make_file(LONG_NAME, 100);
	OPENED(openat, CWD, name, O_RDWR, 0);
	FAULTS(openat, CWD, name, O_RDWR, 0);
	CALL(openat, CWD, str("none"), O_RDWR, 0);
}

ROW(openat2)
{
	char *name = str(LONG_NAME);
	struct open_how *how = IN(struct open_how, .flags = O_RDWR, .resolve = RESOLVE_BENEATH);
	char *large = memset(out(PAGE + 8), 0, PAGE + 8);

	make_file(LONG_NAME, 100);
	OPENED(openat2, CWD, name, how, sizeof(*how));
	FAULTS(openat2, CWD, name, how, sizeof(*how));
	memcpy(large, how, sizeof(*how));
	OPENED(openat2, CWD, name, large, PAGE); /* longer than it is known: the rest must be 0 */
	CALL(openat2, CWD, name, large, PAGE + 8);
	large[PAGE - 1] = 1;
	CALL(openat2, CWD, name, large, PAGE);
}

struct handle {
	unsigned bytes;
	int type;
	char data[128];
};

ROW(name_to_handle_at)
{
	char *name = str("file");
	struct handle *h = OPAQUE(struct handle, .bytes = 128);
	int *id = opaque(4);

	make_file("file", 10);
	CALL(name_to_handle_at, CWD, name, h, id, 0);
	say("handle of %s", h->bytes && h->bytes < 128 ? "some bytes" : "no bytes");
	h->bytes = 0;
	CALL(name_to_handle_at, CWD, name, h, id, 0);
	FAULTS(name_to_handle_at, CWD, name, h, id, 0);
}

ROW(open_by_handle_at)
{
	struct handle *h = OPAQUE(struct handle, .bytes = 128);
	int id, at = open(".", O_RDONLY | O_DIRECTORY);

	make_file("file", 10);
	name_to_handle_at(CWD, "file", (void *)h, &id, 0);
	OPENED(open_by_handle_at, at, h, O_RDONLY);
	FAULTS(open_by_handle_at, at, h, O_RDONLY);
	h->bytes = 1000;
	CALL(open_by_handle_at, at, h, O_RDONLY);
	close(at);
}

static void show_stat(const struct stat *st)
{
	say("mode %o size %ld links %d blksize %ld", st->st_mode, (long)st->st_size,
	    (int)st->st_nlink, (long)st->st_blksize);
}

#define STATROW(call, ...)                                                                         \
	do {                                                                                       \
		char *name = str(LONG_NAME);                                                       \
		struct stat *st = opaque(sizeof(*st));                                             \
		make_file(LONG_NAME, 321);                                                         \
		int fd = open(LONG_NAME, O_RDONLY);                                                \
		(void)name;                                                                        \
		CALL(call, __VA_ARGS__);                                                           \
		show_stat(st);                                                                     \
		FAULTS(call, __VA_ARGS__);                                                         \
		close(fd);                                                                         \
	} while (0)

ROW(stat)
{
	STATROW(stat, name, st);
	CALL(stat, str("none"), NULL);
}

ROW(lstat)
{
	STATROW(lstat, name, st);
}

ROW(fstat)
{
	STATROW(fstat, fd, st);
}

ROW(newfstatat)
{
	STATROW(newfstatat, CWD, name, st, AT_SYMLINK_NOFOLLOW);
	CALL(newfstatat, CWD, str("none"), NULL, 0x80000000);
}

ROW(statx)
{
	struct statx *st = opaque(sizeof(*st));
	char *name = str(LONG_NAME);

	make_file(LONG_NAME, 321);
	CALL(statx, CWD, name, 0, STATX_BASIC_STATS, st);
	say("mode %o size %ld", st->stx_mode, (long)st->stx_size);
	FAULTS(statx, CWD, name, 0, STATX_BASIC_STATS, st);
	CALL(statx, CWD, name, 0, 0x80000000, st);
}

static void show_statfs(const struct statfs *fs)
{
	say("type %lx block %ld name %ld", (long)fs->f_type, (long)fs->f_bsize,
	    (long)fs->f_namelen);
}

ROW(statfs)
{
	struct statfs *fs = opaque(sizeof(*fs));
	char *name = str("././././././.");

	CALL(statfs, name, fs);
	show_statfs(fs);
	FAULTS(statfs, name, fs);
}

ROW(fstatfs)
{
	struct statfs *fs = opaque(sizeof(*fs));
	int fd = open(".", O_RDONLY);

	CALL(fstatfs, fd, fs);
	show_statfs(fs);
	FAULTS(fstatfs, fd, fs);
	close(fd);
}

ROW(ustat)
{
	struct stat st;
	char *u = opaque(32);

	stat(".", &st);
	CALL(ustat, st.st_dev, u);
	FAULTS(ustat, st.st_dev, u);
	CALL(ustat, 0xfff, u);
}

ROW(access)
{
	char *name = str(LONG_NAME);

	make_file(LONG_NAME, 0);
	CALL(access, name, R_OK | W_OK);
	CALL(access, str("none"), F_OK);
	FAULTS(access, name, R_OK);
}

ROW(faccessat)
{
	char *name = str(LONG_NAME);

	make_file(LONG_NAME, 0);
	CALL(faccessat, CWD, name, R_OK | W_OK);
	FAULTS(faccessat, CWD, name, R_OK);
}

ROW(faccessat2)
{
	char *name = str(LONG_NAME);

	make_file(LONG_NAME, 0);
	CALL(faccessat2, CWD, name, R_OK | X_OK, AT_EACCESS);
	FAULTS(faccessat2, CWD, name, R_OK, 0);
}

ROW(getcwd)
{
	char *b = opaque(PAGE), libcs[PAGE];

	CALL(getcwd, b, PAGE);
	say("right: %d", getcwd(libcs, sizeof(libcs)) && !strcmp(libcs, b));
	CALL(getcwd, b, 3);
	FAULTS(getcwd, b, 10);
}

ROW(chdir)
{
	char *name = str("./././././sub");

	mkdir("sub", 0700);
	CALL(chdir, name);
	make_file("inside", 3);
	FAULTS(chdir, name);
	CALL(chdir, str(".."));
	exists("sub/inside");
	unlink("sub/inside");
	rmdir("sub");
}

static int change_root(void *name)
{
	return (int)CALL(chroot, name) || access("/inside", F_OK) ? 1 + errno : 0;
}

ROW(chroot)
{
	mkdir("sub", 0700);
	make_file("sub/inside", 3);
	fflush(stdout);
	say("in a child: %d", in_child(change_root, str("./././sub")));
	CALL(chroot, str("none"));
	FAULTS(chroot, str("none at all"));
	unlink("sub/inside");
	rmdir("sub");
}

#define TWO_NAMES(call, ...)                                                                       \
	do {                                                                                       \
		char *from = str("from-a-rather-long-name"), *to = str("to-a-rather-long-name");   \
		make_file(from, 11);                                                               \
		CALL(call, __VA_ARGS__);                                                           \
		exists("from-a-rather-long-name");                                                 \
		exists("to-a-rather-long-name");                                                   \
		CALL(call, __VA_ARGS__);                                                           \
		FAULTS(call, __VA_ARGS__);                                                         \
		unlink(from);                                                                      \
		unlink(to);                                                                        \
	} while (0)

ROW(rename)
{
	TWO_NAMES(rename, from, to);
}

ROW(renameat)
{
	TWO_NAMES(renameat, CWD, from, CWD, to);
}

ROW(renameat2)
{
	TWO_NAMES(renameat2, CWD, from, CWD, to, 1 /* RENAME_NOREPLACE */);
}

ROW(link)
{
	TWO_NAMES(link, from, to);
}

ROW(linkat)
{
	TWO_NAMES(linkat, CWD, from, CWD, to, 0);
}

ROW(symlink)
{
	TWO_NAMES(symlink, from, to);
}

ROW(symlinkat)
{
	TWO_NAMES(symlinkat, from, CWD, to);
}

#define ONE_NAME(before, after, call, ...)                                                         \
	do {                                                                                       \
		char *name = str(LONG_NAME);                                                       \
		before;                                                                            \
		CALL(call, __VA_ARGS__);                                                           \
		exists(LONG_NAME);                                                                 \
		CALL(call, __VA_ARGS__);                                                           \
		FAULTS(call, __VA_ARGS__);                                                         \
		after;                                                                             \
	} while (0)

ROW(mkdir)
{
	ONE_NAME(unlink(name), rmdir(name), mkdir, name, 0750);
}

ROW(mkdirat)
{
	ONE_NAME((void)0, rmdir(name), mkdirat, CWD, name, 0750);
}

ROW(mknod)
{
	ONE_NAME((void)0, unlink(name), mknod, name, S_IFIFO | 0640, 0);
}

ROW(mknodat)
{
	ONE_NAME((void)0, unlink(name), mknodat, CWD, name, S_IFREG | 0640, 0);
}

ROW(rmdir)
{
	ONE_NAME(mkdir(name, 0700), (void)0, rmdir, name);
}

ROW(unlink)
{
	ONE_NAME(make_file(name, 3), (void)0, unlink, name);
}

ROW(unlinkat)
{
	ONE_NAME(make_file(name, 3), (void)0, unlinkat, CWD, name, 0);
}

ROW(chmod)
{
	ONE_NAME(make_file(name, 3), unlink(name), chmod, name, 0512);
}

ROW(fchmodat)
{
	ONE_NAME(make_file(name, 3), unlink(name), fchmodat, CWD, name, 0512);
}

ROW(fchmodat2)
{
	ONE_NAME(make_file(name, 3), unlink(name), fchmodat2, CWD, name, 0512, 0);
}

ROW(chown)
{
	ONE_NAME(make_file(name, 3), unlink(name), chown, name, getuid(), getgid());
}

ROW(lchown)
{
	ONE_NAME(make_file(name, 3), unlink(name), lchown, name, getuid(), getgid());
}

ROW(fchownat)
{
	ONE_NAME(make_file(name, 3), unlink(name), fchownat, CWD, name, getuid(), getgid(), 0);
}

ROW(truncate)
{
	ONE_NAME(make_file(name, 300), unlink(name), truncate, name, 123);
}

#define LINK(call, ...)                                                                            \
	do {                                                                                       \
		char *name = str("a-symbolic-link"), *b = out(300);                                \
		if (symlink("where-it-leads-which-is-nowhere", name))                              \
			say("no link");                                                            \
		CALL(call, __VA_ARGS__);                                                           \
		FAULTS(call, __VA_ARGS__);                                                         \
		unlink(name);                                                                      \
		CALL(call, __VA_ARGS__);                                                           \
	} while (0)

ROW(readlink)
{
	LINK(readlink, name, b, 300);
}

ROW(readlinkat)
{
	LINK(readlinkat, CWD, name, b, 7);
}

#define TIMES(type, init, call, ...)                                                               \
	do {                                                                                       \
		struct stat st = {0};                                                              \
		type t_[2] = init, *t = in(t_, sizeof(t_));                                        \
		char *name = str(LONG_NAME);                                                       \
		make_file(LONG_NAME, 3);                                                           \
		CALL(call, __VA_ARGS__);                                                           \
		stat(LONG_NAME, &st);                                                              \
		say("%ld.%09ld %ld.%09ld", st.st_atim.tv_sec, st.st_atim.tv_nsec,                  \
		    st.st_mtim.tv_sec, st.st_mtim.tv_nsec);                                        \
		FAULTS(call, __VA_ARGS__);                                                         \
	} while (0)
#define BRACES(...)                                                                                \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

ROW(utime)
{
	TIMES(long, BRACES(1000000, 2000000), utime, name, t);
}

ROW(utimes)
{
	TIMES(struct timeval, BRACES({1000000, 5}, {2000000, 6}), utimes, name, t);
}

ROW(futimesat)
{
	TIMES(struct timeval, BRACES({1000000, 5}, {2000000, 6}), futimesat, CWD, name, t);
}

ROW(utimensat)
{
	TIMES(struct timespec, BRACES({1000000, 5}, {2000000, 6}), utimensat, CWD, name, t, 0);
	CALL(utimensat, CWD, str("none"), NULL, 0);
}

ROW(inotify_add_watch)
{
	char *name = str(LONG_NAME), *b = out(64);
	int fd = inotify_init1(IN_NONBLOCK);

	make_file(LONG_NAME, 10);
	CALL(inotify_add_watch, fd, name, IN_OPEN | IN_ACCESS);
	FAULTS(inotify_add_watch, fd, name, IN_OPEN);
	int other = open(LONG_NAME, O_RDONLY);
	CALL(read, fd, b, 3); /* too small: the event stays */
	FAULTS(read, fd, b, 64);
	CALL(read, fd, b, 64);
	CALL(read, fd, b, 64);
	close_all(2, (int[]){fd, other});
}

ROW(fanotify_mark)
{
	char *name = str(LONG_NAME);
	long fd = syscall(SYS_fanotify_init, 0x200 /* FAN_REPORT_FID */, O_RDONLY);

	make_file(LONG_NAME, 10);
	CALL(fanotify_mark, fd, 1 /* FAN_MARK_ADD */, 0x20 /* FAN_OPEN */, CWD, name);
	FAULTS(fanotify_mark, fd, 1, 0x20, CWD, name);
	CALL(fanotify_mark, -1, 1, 0x20, CWD, name);
	close((int)fd);
}

const struct row path_rows[] = {
	R(open),
	R(creat),
	R(openat),
	R(openat2),
	R(stat),
	R(lstat),
	R(fstat),
	R(newfstatat),
	R(statx),
	R(statfs),
	R(fstatfs),
	R(ustat),
	R(access),
	R(faccessat),
	R(faccessat2),
	R(getcwd),
	R(chdir),
	R(chroot),
	R(rename),
	R(renameat),
	R(renameat2),
	R(link),
	R(linkat),
	R(symlink),
	R(symlinkat),
	R(mkdir),
	R(mkdirat),
	R(mknod),
	R(mknodat),
	R(rmdir),
	R(unlink),
	R(unlinkat),
	R(chmod),
	R(fchmodat),
	R(fchmodat2),
	R(chown),
	R(lchown),
	R(fchownat),
	R(truncate),
	R(readlink),
	R(readlinkat),
	R(utime),
	R(utimes),
	R(futimesat),
	R(utimensat),
	R(inotify_add_watch),
	R(fanotify_mark),
	R(name_to_handle_at),
	R(open_by_handle_at),
	{0},
};
