/*
 * mmap_contract.c - everything that BEHAVIOURS' "mmap contract" promises, printed. Run plain and
 * under GMEM: the output must be the same. Prints results, errno names and which pages are
 * accessible, never addresses.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PG   4096ul
#define MB   (1ul << 20)
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static const char *err_name(int e)
{
	static const struct {
		int e;
		const char *name;
	} names[] = {{0, "0"},		 {EINVAL, "EINVAL"}, {ENOMEM, "ENOMEM"}, {EEXIST, "EEXIST"},
		     {EACCES, "EACCES"}, {EBADF, "EBADF"},   {EFAULT, "EFAULT"}, {EBUSY, "EBUSY"},
		     {EAGAIN, "EAGAIN"}, {EPERM, "EPERM"},   {77, "kept"}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].e == e)
			return names[i].name;
	return "other";
}

/* "what: ok errno kept", or "what: failed errno EINVAL". */
#define CALL(what, call)                                                                           \
	do {                                                                                       \
		errno = 77;                                                                        \
		long r_ = (long)(call);                                                            \
		printf("%s: %s errno %s\n", (what), r_ == -1 ? "failed" : "ok", err_name(errno));  \
	} while (0)

static sigjmp_buf env;
static void on_fault(int sig)
{
	siglongjmp(env, 1);
}
static char can(volatile char *p)
{
	volatile char r = '-';
	if (sigsetjmp(env, 1) == 0) {
		char c = *p;
		r = 'r';
		*p = c;
		r = 'w';
	}
	return r;
}
/* One letter a page: - none, r readable, w writable; then the first byte of each readable page. */
static void show(const char *what, volatile char *p, size_t pages)
{
	printf("%s: ", what);
	for (size_t i = 0; i < pages; i++)
		putchar(can(p + i * PG));
	putchar(' ');
	for (size_t i = 0; i < pages; i++)
		printf("%02x", can(p + i * PG) == '-' ? 0xee : (unsigned char)p[i * PG]);
	putchar('\n');
}

static char *map(size_t bytes, int prot)
{
	char *p = mmap(NULL, bytes, prot, ANON, -1, 0);
	if (p == MAP_FAILED)
		abort();
	return p;
}
/* Pages 0.. numbered by their first byte, from 1. */
static char *numbered(size_t pages)
{
	char *p = map(pages * PG, RW);
	for (size_t i = 0; i < pages; i++)
		p[i * PG] = (char)(i + 1);
	return p;
}

static void arguments(void)
{
	CALL("mmap length 0", mmap(NULL, 0, RW, ANON, -1, 0));
	CALL("mmap no type", mmap(NULL, PG, RW, MAP_ANONYMOUS, -1, 0));
	CALL("mmap bad fd", mmap(NULL, PG, RW, MAP_PRIVATE, 999, 0));
	CALL("mmap huge", mmap(NULL, 1ul << 62, RW, ANON, -1, 0));
	CALL("mmap odd offset", mmap(NULL, PG, RW, MAP_PRIVATE, 0, 1));
	CALL("mmap", mmap(NULL, 5000, RW, ANON, -1, 0));
	char *p = numbered(4);
	CALL("fixed, odd address", mmap(p + 1, PG, RW, ANON | MAP_FIXED, -1, 0));
	CALL("fixed, length 0", mmap(p, 0, RW, ANON | MAP_FIXED, -1, 0));
	CALL("fixed, wraps", mmap(p, SIZE_MAX - 2 * PG, RW, ANON | MAP_FIXED, -1, 0));
	CALL("fixed, bad fd", mmap(p, PG, RW, MAP_PRIVATE | MAP_FIXED, 999, 0));
	CALL("munmap odd", munmap(p + 1, PG));
	CALL("munmap 0", munmap(p, 0));
	CALL("munmap wraps", munmap(p, SIZE_MAX - PG));
	CALL("mprotect odd", mprotect(p + 1, PG, RW));
	CALL("mprotect 0", mprotect(p, 0, PROT_NONE));
	CALL("mprotect wraps", mprotect(p, SIZE_MAX - 2 * PG, RW));
	CALL("mprotect bad prot", mprotect(p, PG, 0x100));
	CALL("mprotect growsdown", mprotect(p, PG, PROT_READ | PROT_GROWSDOWN));
	show("nothing changed", p, 4);
	CALL("munmap", munmap(p, 4 * PG));
	CALL("munmap again", munmap(p, 4 * PG));
	show("gone", p, 4);
}

static void fixed(void)
{
	char *p = numbered(8);
	CALL("noreplace on a mapping", mmap(p + 2 * PG, PG, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	CALL("noreplace over its edge",
	     mmap(p - PG, 2 * PG, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	show("untouched", p, 8);
	CALL("fixed read-only in the middle",
	     mmap(p + 2 * PG, 2 * PG, PROT_READ, ANON | MAP_FIXED, -1, 0));
	show("replaced", p, 8);
	CALL("hole", munmap(p + 5 * PG, PG));
	CALL("noreplace in the hole", mmap(p + 5 * PG, PG, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	show("filled", p, 8);
	CALL("hole again", munmap(p + 5 * PG, PG));
	char *hint = mmap(p + 5 * PG, PG, RW, ANON, -1, 0);
	printf("hint at a hole is taken: %d\n", hint == p + 5 * PG);
	hint = mmap(p, PG, RW, ANON, -1, 0);
	printf("hint at a mapping is not: %d\n", hint != p && hint != MAP_FAILED);
	CALL("partial munmap, front", munmap(p, PG));
	CALL("partial munmap, back", munmap(p + 7 * PG, PG));
	CALL("over holes", munmap(p - PG, 4 * PG));
	show("what is left", p, 8);
}

static void file(void)
{
	char name[] = "/tmp/mmap_contract.XXXXXX";
	int fd = mkstemp(name);
	char page[PG];
	for (int i = 0; i < 4; i++) {
		memset(page, 'a' + i, PG);
		if (write(fd, page, PG) != (ssize_t)PG)
			abort();
	}
	unlink(name);
	char *p = numbered(8);
	CALL("file, private, over pages 2-3",
	     mmap(p + 2 * PG, 2 * PG, RW, MAP_PRIVATE | MAP_FIXED, fd, PG));
	CALL("file, shared, over page 5",
	     mmap(p + 5 * PG, PG, RW, MAP_SHARED | MAP_FIXED, fd, 3 * PG));
	show("mixed", p, 8);
	p[2 * PG] = 'X';
	p[5 * PG] = 'Y';
	CALL("msync", msync(p, 8 * PG, MS_SYNC));
	char back[2];
	printf("pread %d\n", pread(fd, back, 1, PG) == 1 && pread(fd, back + 1, 1, 3 * PG) == 1);
	printf("private %c shared %c\n", back[0], back[1]);
	CALL("mprotect over all", mprotect(p, 8 * PG, PROT_READ));
	show("read-only", p, 8);
	CALL("shared anonymous",
	     mmap(p + 6 * PG, PG, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	if (fork() == 0) {
		p[6 * PG] = 'c';
		_exit(0);
	}
	wait(NULL);
	printf("the child's byte is seen: %d\n", p[6 * PG] == 'c');
	CALL("anonymous over the file", mmap(p + 2 * PG, PG, RW, ANON | MAP_FIXED, -1, 0));
	show("at the end", p, 8);
	CALL("munmap", munmap(p, 8 * PG));
	int ro = open("/proc/self/exe", O_RDONLY);
	p = numbered(2);
	CALL("shared writable of a read-only file", mmap(p, PG, RW, MAP_SHARED | MAP_FIXED, ro, 0));
	printf("still there: %d\n", p[0]);
	CALL("file without address", mmap(NULL, PG, PROT_READ, MAP_PRIVATE, ro, 0));
	close(ro);
	close(fd);
}

static void commit(void)
{
	char *p = map(64 * MB, PROT_NONE);
	show("reserved", p, 4);
	CALL("commit by mprotect", mprotect(p + PG, 2 * PG, RW));
	p[PG] = 5;
	show("committed", p, 4);
	CALL("commit by mmap", mmap(p + 3 * PG, PG, RW, ANON | MAP_FIXED, -1, 0));
	show("more", p, 5);
	CALL("decommit by mmap",
	     mmap(p + PG, PG, PROT_NONE, ANON | MAP_FIXED | MAP_NORESERVE, -1, 0));
	CALL("and again", mprotect(p + PG, PG, RW));
	show("fresh", p, 5);
	CALL("all of it", mprotect(p, 64 * MB, RW));
	for (size_t i = 0; i < 64 * MB; i += MB)
		p[i] = 1;
	CALL("munmap every second MiB", 0);
	int bad = 0;
	for (size_t i = 0; i < 64 * MB; i += 2 * MB)
		bad |= munmap(p + i, MB);
	for (size_t i = MB; i < 64 * MB; i += 2 * MB)
		bad |= p[i] != 1;
	printf("the others are intact: %d\n", !bad);
	CALL("munmap", munmap(p, 64 * MB));
	CALL("exec", mprotect(map(PG, RW), PG, PROT_READ | PROT_EXEC));
	CALL("mmap exec", mmap(NULL, PG, RW | PROT_EXEC, ANON, -1, 0));
}

static void protect(void)
{
	char *p = numbered(8);
	CALL("read-only 1-2", mprotect(p + PG, 2 * PG, PROT_READ));
	CALL("none 2-4", mprotect(p + 2 * PG, 3 * PG, PROT_NONE));
	show("split", p, 8);
	CALL("write-only 6", mprotect(p + 6 * PG, PG, PROT_WRITE));
	CALL("back", mprotect(p, 8 * PG, RW));
	show("merged", p, 8);
	CALL("hole", munmap(p + 4 * PG, PG));
	CALL("over the hole", mprotect(p, 8 * PG, PROT_READ));
	show("changed before it only", p, 8);
	CALL("in the hole", mprotect(p + 4 * PG, PG, PROT_READ));
	CALL("exec and back", mprotect(p, PG, RW | PROT_EXEC));
	CALL("back", mprotect(p, PG, RW));
	show("data kept", p, 1);
}

/* Contents of every page after growing and moving to an odd place. */
static void large_moves(int round)
{
	size_t n = 24 * MB;
	char *p = map(n, RW);

	for (size_t i = 0; i < n; i += PG)
		*(size_t *)(p + i) = i;
	p = mremap(p, n, 3 * n, MREMAP_MAYMOVE);
	char *to = map(4 * n, PROT_NONE);
	p = mremap(p, 3 * n, 3 * n, MREMAP_MAYMOVE | MREMAP_FIXED, to + PG);
	if (p == MAP_FAILED)
		abort();
	int bad = 0;
	for (size_t i = 0; i < 3 * n; i += PG)
		bad |= *(size_t *)(p + i) != (i < n ? i : 0);
	printf("large, moved to an odd place, %d: %d\n", round, !bad);
	munmap(to, 4 * n);
}

static void remap(void)
{
	char *p = numbered(
		5); /* the last one for the wall: behind it may lie anything, libc's TLS too */
	char *q = mremap(p, 4 * PG, 2 * PG, 0);
	printf("shrink stays: %d\n", q == p);
	show("shrunk", p, 4);
	q = mremap(p, 2 * PG, 4 * PG, 0);
	printf("grow in place: %d\n", q == p);
	show("grown", p, 4);
	char *wall = mmap(p + 4 * PG, PG, RW, ANON | MAP_FIXED, -1, 0);
	mprotect(wall, PG, PROT_READ);
	CALL("no room", mremap(p, 4 * PG, 8 * PG, 0));
	q = mremap(p, 4 * PG, 8 * PG, MREMAP_MAYMOVE);
	printf("moved: %d\n", q != p && q != MAP_FAILED);
	show("old", p, 5);
	show("new", q, 8);
	char *to = map(8 * PG, PROT_NONE);
	char *r = mremap(q, 8 * PG, 8 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	printf("fixed: %d\n", r == to);
	show("left", q, 8);
	show("arrived", r, 8);
	r[0] = 42;
	q = mremap(r, 8 * PG, 8 * PG, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CALL("dontunmap, odd hint",
	     mremap(r, 8 * PG, 8 * PG, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, (void *)1));
	printf("dontunmap: %d\n", q != r && q != MAP_FAILED);
	show("emptied", r, 8);
	show("arrived", q, 8);
	CALL("odd", mremap(q + 1, PG, 2 * PG, 0));
	CALL("new length 0", mremap(q, PG, 0, MREMAP_MAYMOVE));
	CALL("bad flags", mremap(q, PG, 2 * PG, 0x100));
	CALL("fixed without maymove", mremap(q, PG, PG, MREMAP_FIXED, r));
	CALL("overlap", mremap(q, 4 * PG, 4 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, q + PG));
	CALL("old length 0, private", mremap(q, 0, PG, MREMAP_MAYMOVE));
	munmap(q, 8 * PG);
	CALL("unmapped", mremap(q, PG, 2 * PG, MREMAP_MAYMOVE));
	p = numbered(4);
	CALL("beyond the mapping",
	     (munmap(p + 2 * PG, 2 * PG), mremap(p, 4 * PG, 8 * PG, MREMAP_MAYMOVE)));
	show("unharmed", p, 2);
	for (int i = 0; i < 10; i++)
		large_moves(i);
}

/* Into and out of memory of another kind. */
static void remap_kinds(void)
{
	char *p, *q, *r;
	int fd = memfd_create("x", 0);
	if (ftruncate(fd, 4 * (off_t)PG))
		abort();
	char *f = mmap(NULL, 4 * PG, RW, MAP_SHARED, fd, 0);
	f[PG] = 9;
	p = numbered(4);
	r = mremap(f, 2 * PG, 2 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, p + PG);
	printf("a file moved in: %d\n", r == p + PG);
	show("mixed", p, 4);
	q = mremap(p + PG, 2 * PG, 2 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, f);
	printf("and out: %d\n", q == f);
	show("left", p, 4);
	show("file", f, 4);
	q = mremap(p, PG, PG, MREMAP_MAYMOVE | MREMAP_FIXED, f + 3 * PG);
	printf("anonymous over the file: %d\n", q == f + 3 * PG);
	show("left", p, 4);
	show("file", f, 4);
	close(fd);
}

static void advise(void)
{
	static const struct {
		const char *name;
		int advice;
	} all[] = {{"normal", MADV_NORMAL},
		   {"random", MADV_RANDOM},
		   {"sequential", MADV_SEQUENTIAL},
		   {"willneed", MADV_WILLNEED},
		   {"remove", MADV_REMOVE},
		   {"hugepage", MADV_HUGEPAGE},
		   {"nohugepage", MADV_NOHUGEPAGE},
		   {"dontdump", MADV_DONTDUMP},
		   {"dodump", MADV_DODUMP},
		   {"mergeable", MADV_MERGEABLE},
		   {"unmergeable", MADV_UNMERGEABLE},
		   {"cold", MADV_COLD},
		   {"pageout", MADV_PAGEOUT},
		   {"populate_read", MADV_POPULATE_READ},
		   {"populate_write", MADV_POPULATE_WRITE},
		   {"unknown", 9999},
		   {"negative", -1}};
	char *p = numbered(8);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		CALL(all[i].name, madvise(p, 8 * PG, all[i].advice));
	show("data kept", p, 8);
	CALL("odd address", madvise(p + 1, PG, MADV_DONTNEED));
	CALL("length 0", madvise(p, 0, MADV_DONTNEED));
	CALL("wraps", madvise(p, SIZE_MAX - 2 * PG, MADV_DONTNEED));
	CALL("dontneed 1-2", madvise(p + PG, PG + 1, MADV_DONTNEED));
	CALL("free 4", madvise(p + 4 * PG, PG, MADV_FREE));
	p[4 * PG] = 50;
	show("zeros", p, 8);
	CALL("hole", munmap(p + 5 * PG, PG));
	CALL("dontneed over a hole", madvise(p + 4 * PG, 3 * PG, MADV_DONTNEED));
	CALL("dontneed in a hole", madvise(p + 5 * PG, PG, MADV_DONTNEED));
	CALL("unknown in a hole", madvise(p + 5 * PG, PG, 9999));
	show("both sides", p, 8);
	printf("posix_madvise %s %s %s\n", err_name(posix_madvise(p, PG, POSIX_MADV_DONTNEED)),
	       err_name(posix_madvise(p, PG, POSIX_MADV_WILLNEED)),
	       err_name(posix_madvise(p, PG, 99)));
	show("posix_madvise keeps data", p, 1);
	char *q = numbered(3);
	CALL("wipeonfork", madvise(q, PG, MADV_WIPEONFORK));
	CALL("dontfork", madvise(q + PG, PG, MADV_DONTFORK));
	fflush(stdout);
	if (fork() == 0) {
		show("child", q, 3);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	show("parent", q, 3);
	CALL("keeponfork", madvise(q, PG, MADV_KEEPONFORK));
	CALL("dofork", madvise(q + PG, PG, MADV_DOFORK));
}

/* Asks for the pages of [p, p + 8 pages) that are present, as a string of 0 and 1. */
static int present(char *p, char bits[9])
{
	unsigned char vec[8] = "";
	int err = mincore(p, 8 * PG, vec);

	for (int i = 0; i < 8; i++)
		bits[i] = (char)('0' + (vec[i] & 1));
	bits[8] = 0;
	return err;
}

static void touch_two(char *p)
{
	p[0] = p[2 * PG] = 1;
}

static void lock_some(char *p)
{
	mlock(p, 4 * PG);
	mlock2(p + 4 * PG, PG, MLOCK_ONFAULT);
}

/*
 * The present ones of eight new pages after touch(). A page that nobody touched may be present all
 * the same: a prefetch brings it (chaos, the storm's thread), as readahead does; but not each
 * time: then eight others are asked.
 */
static char *ask_present(const char *what, void (*touch)(char *), const char *expected)
{
	for (int tries = 20;; tries--) {
		char bits[9], *p = map(8 * PG, RW);
		touch(p);
		int err = present(p, bits);
		bool more = false;
		for (int i = 0; i < 8; i++)
			more |= bits[i] > expected[i];
		if (more && tries)
			continue;
		CALL(what, err);
		puts(bits);
		return p;
	}
}

static void ask(void)
{
	unsigned char vec[8];
	char *p = ask_present("mincore", touch_two, "10100000");
	CALL("mincore odd", mincore(p + 1, PG, vec));
	CALL("mincore bad vec", mincore(p, PG, (unsigned char *)8));
	p = ask_present("mincore of locked pages", lock_some, "11110000");
	CALL("mlock", mlock(p, 4 * PG));
	CALL("mlock odd", mlock(p + 1, PG));
	CALL("mlock2 onfault", mlock2(p + 4 * PG, PG, MLOCK_ONFAULT));
	CALL("mlock2 bad flags", mlock2(p, PG, 0x100));
	CALL("dontneed of locked pages", madvise(p, PG, MADV_DONTNEED));
	CALL("munlock", munlock(p, 8 * PG));
	CALL("msync", msync(p, 8 * PG, MS_ASYNC));
	CALL("msync odd", msync(p + 1, PG, MS_ASYNC));
	CALL("msync bad flags", msync(p, PG, MS_ASYNC | MS_SYNC));
	munmap(p + 4 * PG, PG);
	CALL("mincore over a hole", mincore(p, 8 * PG, vec));
	CALL("mlock over a hole", mlock(p, 8 * PG));
	CALL("munlock over a hole", munlock(p, 8 * PG));
	CALL("msync over a hole", msync(p, 8 * PG, MS_ASYNC));
	CALL("mlock none", mlock(map(PG, PROT_NONE), PG));
}

/* Passed through: they must go on working beside the window. */
static void others(void)
{
	CALL("MAP_32BIT", mmap(NULL, PG, RW, ANON | MAP_32BIT, -1, 0));
	CALL("MAP_STACK", mmap(NULL, PG, RW, ANON | MAP_STACK, -1, 0));
	CALL("MAP_GROWSDOWN", mmap(NULL, PG, RW, ANON | MAP_GROWSDOWN, -1, 0));
	CALL("MAP_POPULATE", mmap(NULL, PG, RW, ANON | MAP_POPULATE, -1, 0));
	CALL("MAP_SHARED", mmap(NULL, PG, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	char *p = mmap((void *)0x123450000000, PG, RW, ANON, -1, 0);
	/* where it lies is the kernel's to say, and ours: in the window */
	printf("hint elsewhere: %d\n", p != MAP_FAILED && !*p);
	p = mmap((void *)0x123460000000, PG, RW, ANON | MAP_FIXED, -1, 0);
	printf("fixed elsewhere: %d\n", p == (void *)0x123460000000);
	CALL("its munmap", munmap(p, PG));
	void *brk0 = sbrk(0);
	CALL("brk", brk((char *)brk0 + 2 * PG));
	printf("sbrk moved by %ld\n", (long)((char *)sbrk(0) - (char *)brk0));
	CALL("brk back", brk(brk0));
}

static void after_fork(void)
{
	char *p = numbered(600); /* more than a block */
	fflush(stdout);
	if (fork() == 0) {
		int bad = 0;
		for (int i = 0; i < 600; i++)
			bad |= p[i * PG] != (char)(i + 1);
		p[0] = 99;
		printf("child: intact %d, munmap %d, mmap %d\n", !bad, munmap(p + PG, PG),
		       map(PG, RW) != NULL);
		show("child", p, 4);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	show("parent", p, 4);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_fault};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	arguments();
	fixed();
	file();
	commit();
	protect();
	remap();
	remap_kinds();
	advise();
	ask();
	others();
	after_fork();
	return 0;
}
