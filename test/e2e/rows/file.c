/* file.c - rows of calls that move bytes through descriptors. */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "rows.h"

ROW(read)
{
	int p[2];
	char *b = out(3 * PAGE + 100);

	pipe_with(p, 5 * PAGE);
	CALL(read, p[0], b, 3 * PAGE + 100);
	FAULTS(read, p[0], b, 3000);
	CALL(read, p[0], NULL, 10);
	CALL(read, -1, b, 10);
	show_left(p[0]);
	close_all(2, p);
	int fd = file_with("file", 4 * PAGE);
	CALL(read, fd, b, 3 * PAGE + 100);
	FAULTS(read, fd, b, 3 * PAGE + 100);
	show_file(fd);
	close(fd);
}

ROW(write)
{
	int p[2], fd = file_with("file", 10);
	char *b = out(3 * PAGE + 100);

	pipe_with(p, 10);
	CALL(write, p[1], b, 3 * PAGE + 100);
	FAULTS(write, p[1], b, 3 * PAGE + 100);
	show_left(p[0]);
	CALL(write, fd, b, 3 * PAGE + 100);
	FAULTS(write, fd, b, 3 * PAGE + 100);
	show_file(fd);
	close_all(2, p);
	close(fd);
}

ROW(pread64)
{
	int fd = file_with("file", 5 * PAGE);
	char *b = out(2 * PAGE + 7);

	CALL(pread64, fd, b, 2 * PAGE + 7, 1234);
	FAULTS(pread64, fd, b, 2 * PAGE + 7, 1234);
	CALL(pread64, fd, b, 2 * PAGE + 7, 5 * PAGE - 3);
	show_file(fd);
	close(fd);
}

ROW(pwrite64)
{
	int fd = file_with("file", 5 * PAGE);
	char *b = out(2 * PAGE + 7);

	CALL(pwrite64, fd, b, 2 * PAGE + 7, 1234);
	FAULTS(pwrite64, fd, b, 2 * PAGE + 7, 4 * PAGE);
	show_file(fd);
	close(fd);
}

#define VECTOR(v, n)                                                                               \
	char *b_ = out(PAGE + 99), *c_ = out(10), *d_ = out(2 * PAGE);                             \
	struct iovec *v = IOVS({b_, PAGE + 99}, {NULL, 0}, {c_, 10}, {d_, 2 * PAGE});              \
	enum { n = 4 }

ROW(readv)
{
	int p[2];
	VECTOR(v, n);

	pipe_with(p, 6 * PAGE);
	CALL(readv, p[0], v, n);
	FAULTS(readv, p[0], v, n);
	CALL(readv, p[0], v, -1);
	show_left(p[0]);
	close_all(2, p);
}

ROW(writev)
{
	int p[2];
	VECTOR(v, n);

	pipe_with(p, 10);
	CALL(writev, p[1], v, n);
	FAULTS(writev, p[1], v, n);
	v[2].iov_base = (void *)8;
	CALL(writev, p[1], v, n);
	show_left(p[0]);
	close_all(2, p);
}

ROW(preadv)
{
	int fd = file_with("file", 4 * PAGE);
	VECTOR(v, n);

	CALL(preadv, fd, v, n, 100, 0);
	FAULTS(preadv, fd, v, n, 100, 0);
	v[3].iov_base = (void *)8;
	CALL(preadv, fd, v, n, 100, 0);
	show_file(fd);
	close(fd);
}

ROW(pwritev)
{
	int fd = file_with("file", 4 * PAGE);
	VECTOR(v, n);

	CALL(pwritev, fd, v, n, 100, 0);
	FAULTS(pwritev, fd, v, n, 100, 0);
	show_file(fd);
	close(fd);
}

ROW(preadv2)
{
	int fd = file_with("file", 4 * PAGE);
	VECTOR(v, n);

	CALL(preadv2, fd, v, n, 100, 0, 0);
	CALL(preadv2, fd, v, n, -1, -1, 0);
	CALL(preadv2, fd, v, n, 100, 0, 0x80000000);
	FAULTS(preadv2, fd, v, n, 100, 0, 0);
	show_file(fd);
	close(fd);
}

ROW(pwritev2)
{
	int fd = file_with("file", 4 * PAGE);
	VECTOR(v, n);

	CALL(pwritev2, fd, v, n, 100, 0, 0);
	CALL(pwritev2, fd, v, n, 0, 0, 0x10 /* RWF_APPEND */);
	FAULTS(pwritev2, fd, v, n, 100, 0, 0);
	show_file(fd);
	close(fd);
}

ROW(vmsplice)
{
	int p[2];
	VECTOR(v, n);

	pipe_with(p, 10);
	CALL(vmsplice, p[1], v, n, 0);
	show_left(p[0]);
	close_all(2, p);
	pipe_with(p, 3 * PAGE); /* the other way: the pipe is read */
	CALL(vmsplice, p[0], v, n, 0);
	FAULTS(vmsplice, p[1], v, n, 0);
	show_left(p[0]);
	close_all(2, p);
}

ROW(splice)
{
	int fd = file_with("file", 4 * PAGE), p[2];
	loff_t *at = IN(loff_t, 777);

	pipe_with(p, 0);
	CALL(splice, fd, at, p[1], NULL, 2 * PAGE, 0);
	FAULTS(splice, fd, at, p[1], NULL, 100, 0);
	CALL(splice, p[0], NULL, fd, at, PAGE, 0);
	FAULTS(splice, p[0], NULL, fd, at, 100, 0);
	show_left(p[0]);
	show_file(fd);
	close_all(2, p);
	close(fd);
}

ROW(copy_file_range)
{
	int from = file_with("file", 4 * PAGE), to = file_with("to", 10);
	loff_t *at = IN(loff_t, 777), *there = IN(loff_t, 5);

	CALL(copy_file_range, from, at, to, there, 2 * PAGE, 0);
	FAULTS(copy_file_range, from, at, to, there, 100, 0);
	show_file(to);
	close_all(2, (int[]){from, to});
}

ROW(sendfile)
{
	int from = file_with("file", 4 * PAGE), p[2];
	off_t *at = IN(off_t, 777);

	pipe_with(p, 0);
	CALL(sendfile, p[1], from, at, 2 * PAGE);
	FAULTS(sendfile, p[1], from, at, 100);
	show_left(p[0]);
	close_all(2, p);
	close(from);
}

/* Names and types of a folder's entries; the order is the file system's. */
static int open_entries(void)
{
	char name[64];

	mkdir("entries", 0700);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "entries/a-longer-name-for-an-entry-%d", i);
		close(file_with(name, 0));
	}
	return open("entries", O_RDONLY | O_DIRECTORY);
}

static long count(const char *b, long bytes, size_t length_at, size_t name_at, unsigned *names)
{
	long n = 0;

	for (long at = 0; at < bytes; n++) {
		*names += sum_of(b + at + name_at, strlen(b + at + name_at));
		unsigned short len;
		memcpy(&len, b + at + length_at, sizeof(len));
		at += len;
	}
	return n;
}

#define ENTRIES(call, length_at, name_at)                                                          \
	do {                                                                                       \
		int fd = open_entries();                                                           \
		char *b = opaque(PAGE + 512);                                                      \
		long r, n = 0;                                                                     \
		unsigned names = 0;                                                                \
		FAULTS(call, fd, b, 700);                                                          \
		lseek(fd, 0, SEEK_SET);                                                            \
		while ((r = TRY(call, fd, b, 1500)) > 0)                                           \
			n += count(b, r, length_at, name_at, &names);                              \
		say("%ld, %ld entries %08x", r, n, names);                                         \
		CALL(call, -1, b, 100);                                                            \
		close(fd);                                                                         \
	} while (0)

ROW(getdents)
{
	ENTRIES(getdents, 16, 18);
}

ROW(getdents64)
{
	ENTRIES(getdents64, 16, 19);
}

ROW(fcntl)
{
	int fd = file_with("file", 100);
	struct flock *l = IN(struct flock, .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10,
			     .l_len = 50);
	struct flock *g = IN(struct flock, .l_type = F_RDLCK, .l_start = 0, .l_len = 20);
	uint64_t *hint = IN(uint64_t, 2);
	struct {
		int type, pid;
	} *owner = opaque(8);

	CALL(fcntl, fd, F_OFD_SETLK, l);
	CALL(fcntl, fd, F_OFD_GETLK, g);
	CALL(fcntl, fd, F_SETLK, l);
	FAULTS(fcntl, fd, F_SETLK, l);
	FAULTS(fcntl, fd, F_GETLK, g);
	CALL(fcntl, fd, F_SET_RW_HINT, hint);
	CALL(fcntl, fd, F_GET_RW_HINT, hint);
	FAULTS(fcntl, fd, F_GET_RW_HINT, hint);
	owner->type = F_OWNER_PID, owner->pid = getpid();
	CALL(fcntl, fd, F_SETOWN_EX, owner);
	owner->pid = 0;
	CALL(fcntl, fd, F_GETOWN_EX, owner);
	say("owner is this process: %d", owner->pid == getpid());
	CALL(fcntl, fd, F_GETFD);
	close(fd);
}

#define PIPE(...)                                                                                  \
	do {                                                                                       \
		int *fds = opaque(8);                                                              \
		DONE(__VA_ARGS__);                                                                 \
		say("wrote %d", (int)write(fds[1], "12345", 5));                                   \
		show_left(fds[0]);                                                                 \
		close_all(2, fds);                                                                 \
	} while (0)

ROW(pipe)
{
	PIPE(pipe, fds);
	int *again = out(8);
	FAULTS(pipe, again);
}

ROW(pipe2)
{
	PIPE(pipe2, fds, O_CLOEXEC | O_NONBLOCK);
	int *again = out(8);
	CALL(pipe2, again, 12345678);
	FAULTS(pipe2, again, 0);
}

ROW(memfd_create)
{
	char *name = str("a name for memory"), link[64] = "", self[64];
	long fd = DONE(memfd_create, name, 0);

	snprintf(self, sizeof(self), "/proc/self/fd/%ld", fd);
	say("%d", readlink(self, link, sizeof(link) - 1) > 0);
	say("%s", link);
	close((int)fd);
	CALL(memfd_create, name, 0xff00);
	FAULTS(memfd_create, name, 0);
}

ROW(lookup_dcookie)
{
	CALL(lookup_dcookie, 1, out(PAGE), PAGE);
}

ROW(cachestat)
{
	int fd = file_with("file", 4 * PAGE);
	struct {
		uint64_t off, len;
	} *range = in(&(uint64_t[2]){PAGE, 2 * PAGE}, 16);
	uint64_t *st = opaque(40);

	fsync(fd);
	CALL(cachestat, fd, range, st, 0);
	say("pages in the cache: %lu", (unsigned long)st[0]);
	FAULTS(cachestat, fd, range, st, 0);
	CALL(cachestat, -1, range, st, 0);
	close(fd);
}

const struct row file_rows[] = {
	R(read),	 R(write),	    R(pread64),	 R(pwrite64),  R(readv),
	R(writev),	 R(preadv),	    R(pwritev),	 R(preadv2),   R(pwritev2),
	R(vmsplice),	 R(splice),	    R(sendfile), R(getdents),  R(getdents64),
	R(fcntl),	 R(pipe),	    R(pipe2),	 R(cachestat), R(copy_file_range),
	R(memfd_create), R(lookup_dcookie), {0},
};
