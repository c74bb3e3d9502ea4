/*
 * Lengths that no memory has: 2^40 bytes and more from memory that is away. The result is the plain
 * run's, and comes as soon: what is walked is what is there. (Each call has a processor second.)
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "away.h"

#define BYTES (64 * PAGE)

static const size_t lengths[] = {1ul << 32,	1ul << 40,     1ul << 46,      (size_t)-1,
				 (size_t)-4096, (size_t)-4097, (size_t)1 << 63};

static char *p;
static int file, sock[2];

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const struct {
	const char *what;
	long nr;
	long a[6]; /* AT: the memory, OF: the length, FILE, SOCKET */
} calls[] = {
#define AT   -1000
#define OF   -1001
#define IN   -1002
#define SOCK -1003
	{"mlock", SYS_mlock, {AT, OF}},
	{"mlock2", SYS_mlock2, {AT, OF, 1}},
	{"munlock", SYS_munlock, {AT, OF}},
	{"msync", SYS_msync, {AT, OF, MS_ASYNC}},
	{"madvise normal", SYS_madvise, {AT, OF, MADV_NORMAL}},
	{"madvise willneed", SYS_madvise, {AT, OF, MADV_WILLNEED}},
	{"pread", SYS_pread64, {IN, AT, OF, 0}},
	{"pwrite", SYS_pwrite64, {SOCK, AT, OF, 0}},
	{"read", SYS_read, {IN, AT, OF}},
	{"getrandom", SYS_getrandom, {AT, OF, GRND_NONBLOCK | 0x100}},
	{"recv", SYS_recvfrom, {SOCK, AT, OF, MSG_DONTWAIT}},
	{"send nowhere", SYS_sendto, {-5, AT, OF, MSG_DONTWAIT}},
	{"getcwd", SYS_getcwd, {AT, OF}},
	{"poll", SYS_poll, {AT, OF, 0}},
	{"getgroups", SYS_getgroups, {OF, AT}},
	{"readlink", SYS_readlink, {8, AT, OF}},
	{"getdents", SYS_getdents64, {IN, AT, OF}},
};

static void one(unsigned i, size_t length)
{
	long a[6];

	for (int k = 0; k < 6; k++) {
		long v = calls[i].a[k];
		a[k] = v == AT	   ? (long)p
		       : v == OF   ? (long)length
		       : v == IN   ? file
		       : v == SOCK ? sock[0]
				   : v;
	}
	lseek(file, 0, SEEK_SET);
	away(p, BYTES);
	double begun = seconds();
	long r = syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	int err = errno;
	double took = seconds() - begun;
	printf("huge %s %zx:", calls[i].what, length);
	/* else it ends beyond all memory, or in some, as that happens to lie */
	if (length >= 1ul << 47 || (length < 1ul << 40 && calls[i].what[0] != 'm'))
		printf(" %ld %d", r, r < 0 ? err : 0);
	printf("%s\n", took < 1 ? "" : " slow");
	fflush(stdout);
}

int main(void)
{
	file = open("/proc/self/exe", O_RDONLY);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock))
		return 1;
	p = absent(64, 1);
	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		for (unsigned k = 0; k < sizeof(lengths) / sizeof(*lengths); k++)
			one(i, lengths[k]);
	/* mmap of its own, with nothing behind it */
	char *q = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q[0] = 5;
	away(q, 4 * PAGE);
	printf("huge done: %d\n", q[0]);
	return 0;
}
