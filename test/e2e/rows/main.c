/* main.c - runs the rows: `syscall_rows [NAME...]`, or names them: `syscall_rows --list`. See
 * rows.h. */
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../away.h"
#include "rows.h"

static const struct row *const families[] = {
	file_rows,   ioctl_rows, path_rows,   xattr_rows,  wait_rows,	 socket_rows,
	memory_rows, time_rows,	 signal_rows, thread_rows, process_rows, sched_rows,
	ipc_rows,    async_rows, mount_rows,  system_rows,
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))

/* Which pages of a buffer are away: all but the first and the last so many. */
static const struct pass {
	const char *name;
	unsigned first, last;
} passes[] = {{"all", 0, 0}, {"head", 0, 1}, {"tail", 1, 0}};
static const struct pass *pass;

#define MAX_BUFFERS 48
static struct buffer {
	char *base, *p;
	size_t pages, n;
	bool shown;
} buffers[MAX_BUFFERS];
static unsigned nbuffers;
static unsigned long sent; /* pages */

unsigned sum_of(const void *p, size_t n)
{
	return sum(p, n);
}

void say(const char *format, ...)
{
	va_list ap;

	printf("    ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
}

/* ---- buffers ---- */

static char pattern(size_t i)
{
	return (char)(i * 7 + i / 251 + 3);
}

/* Half of it in the one page, half in the next; what fits in a word lies at the end of a page. */
static char *straddling(char *base, size_t n)
{
	if (n % PAGE == 0 && n)
		return base;
	size_t half = n < 8 ? n : n < 16 ? 4 : n < PAGE ? (n / 2 + 7) & ~7ul : 64;
	return base + PAGE - half;
}

static struct buffer *new_buffer(size_t n, bool shown)
{
	if (nbuffers == MAX_BUFFERS)
		exit(96);
	struct buffer *b = &buffers[nbuffers++];
	b->pages = n / PAGE + 2;
	b->base = aligned_alloc(PAGE, b->pages * PAGE);
	b->p = straddling(b->base, n);
	b->n = n, b->shown = shown;
	for (size_t i = 0; i < b->pages * PAGE; i++)
		b->base[i] = pattern(i);
	return b;
}

static void *filled(const void *data, size_t n, bool shown)
{
	struct buffer *b = new_buffer(n, shown);
	return memcpy(b->p, data, n);
}

void *in(const void *data, size_t n)
{
	return filled(data, n, true);
}

void *opaque_in(const void *data, size_t n)
{
	return filled(data, n, false);
}

void *out(size_t n)
{
	return new_buffer(n, true)->p;
}

void *opaque(size_t n)
{
	return new_buffer(n, false)->p;
}

char *str(const char *s)
{
	return in(s, strlen(s) + 1);
}

struct iovec *iovs(const struct iovec *v, size_t n)
{
	return opaque_in(v, n * sizeof(*v));
}

static void send_pages(char *base, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		(void)*(volatile char *)(base + i * PAGE);
	if (pages <= pass->first + pass->last)
		return;
	pages -= pass->first + pass->last;
	away(base + pass->first * PAGE, pages * PAGE);
	sent += pages;
}

void send_away(void)
{
	for (unsigned i = 0; i < nbuffers; i++)
		send_pages(buffers[i].base, buffers[i].pages);
}

static void show_buffers(void)
{
	for (unsigned i = 0; i < nbuffers; i++) {
		struct buffer *b = &buffers[i];
		for (size_t at = 0; at < b->pages * PAGE; at++) {
			bool inside = b->base + at >= b->p && b->base + at < b->p + b->n;
			if (!inside && b->base[at] != pattern(at)) {
				printf(" [byte %ld of %zu changed]", (long)(b->base + at - b->p),
				       b->n);
				break;
			}
		}
		if (b->shown)
			printf(" %08x", sum(b->p, b->n));
	}
	printf("\n");
}

void show_all(void)
{
	printf("    buffers:");
	show_buffers();
}

static void free_buffers(void)
{
	while (nbuffers)
		free(buffers[--nbuffers].base);
}

/* ---- calls ---- */

static long make(long nr, const long a[6])
{
	errno = 0;
	return syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

long rows_try(long nr, const char *name, const long a[6])
{
	send_away();
	return make(nr, a);
}

long rows_call(long nr, const char *name, const long a[6])
{
	long r = rows_try(nr, name, a);
	int err = errno;

	printf("  %s %ld errno %d:", name, r, r < 0 ? err : 0);
	show_buffers();
	errno = err;
	return r;
}

long rows_done(long nr, const char *name, const long a[6])
{
	long r = rows_try(nr, name, a);
	int err = errno;

	printf("  %s %s errno %d:", name, r < 0 ? "failed" : "done", r < 0 ? err : 0);
	show_buffers();
	errno = err;
	return r;
}

static const struct buffer *buffer_at(long p)
{
	for (unsigned i = 0; i < nbuffers; i++)
		if (buffers[i].p == (char *)p)
			return &buffers[i];
	return NULL;
}

/* The call with a copy of b that ends in memory without rights. */
static void fault_in(long nr, const char *name, const long a[6], int arg, const struct buffer *b)
{
	size_t can = b->n < 8 ? 0 : b->n / 2 & ~3ul, pages = (can + PAGE - 1) / PAGE,
	       none = b->n / PAGE + 2;
	char *base = mmap(NULL, (pages + none) * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = base + pages * PAGE - can;
	long args[6];

	memcpy(args, a, sizeof(args));
	args[arg] = (long)p;
	memcpy(p, b->p, b->n);
	send_away();
	away(base, (pages + none) * PAGE);
	if (mprotect(base + pages * PAGE, none * PAGE, PROT_NONE))
		exit(95);
	long r = make(nr, args);
	printf("  %s, %d bytes of argument %d: %ld errno %d:", name, (int)can, arg + 1, r,
	       r < 0 ? errno : 0);
	if (b->shown)
		printf(" (%08x)", sum(p, can));
	show_buffers();
	munmap(base, (pages + none) * PAGE);
}

void rows_faults(long nr, const char *name, const long a[6])
{
	for (int i = 0; i < 6; i++) {
		const struct buffer *b = buffer_at(a[i]);
		if (b)
			fault_in(nr, name, a, i, b);
	}
}

/* ---- what calls work on ---- */

static void fill(int fd, size_t n)
{
	char b[512];

	for (size_t at = 0, some; at < n; at += some) {
		some = n - at < sizeof(b) ? n - at : sizeof(b);
		for (size_t i = 0; i < some; i++)
			b[i] = (char)((at + i) * 11 + (at + i) / 509);
		if (write(fd, b, some) != (ssize_t)some)
			exit(94);
	}
}

int file_with(const char *name, size_t n)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	fill(fd, n);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

void show_file(int fd)
{
	char b[1024];
	unsigned s = 1;
	ssize_t n;
	off_t at = 0;

	for (; (n = pread(fd, b, sizeof(b), at)) > 0; at += n)
		s = s * 31 + sum(b, (size_t)n);
	say("file: %ld bytes %08x, at %ld", (long)at, s, (long)lseek(fd, 0, SEEK_CUR));
}

void show_left(int fd)
{
	char b[1024];
	unsigned s = 1;
	ssize_t n;
	long all = 0, messages = 0;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	for (; (n = read(fd, b, sizeof(b))) > 0; all += n, messages++)
		s = s * 31 + sum(b, (size_t)n);
	say("left: %ld bytes in %ld reads, %08x", all, messages, s);
}

void pipe_with(int p[2], size_t n)
{
	if (pipe(p))
		exit(93);
	fill(p[1], n);
}

void close_all(int n, const int *fds)
{
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

int in_child(int (*f)(void *), void *arg)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(f(arg));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- the program ---- */

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

static void run(const struct row *row)
{
	for (pass = passes; pass < passes + sizeof(passes) / sizeof(passes[0]); pass++) {
		printf("%s: pages away: %s\n", row->name, pass->name);
		fflush(stdout);
		row->run();
		free_buffers();
	}
}

static void each_row(void (*f)(const struct row *), char **names)
{
	for (size_t i = 0; i < FAMILIES; i++)
		for (const struct row *row = families[i]; row->name; row++)
			if (wanted(row->name, names))
				f(row);
}

static void print_name(const struct row *row)
{
	puts(row->name);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/syscall_rows.XXXXXX", rm[64];

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		each_row(print_name, (char *[]){NULL});
		return 0;
	}
	if (!mkdtemp(dir) || chdir(dir))
		return 92;
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	each_row(run, argv + 1);
	printf("end\n");
	fflush(stdout);
	/* A run that should have a device must have used it. */
	if (getenv("ROWS_AWAY") && (away_hnid() < 0 || !sent))
		return 91;
	snprintf(rm, sizeof(rm), "rm -rf %s", dir);
	return chdir("/") || system(rm);
}
