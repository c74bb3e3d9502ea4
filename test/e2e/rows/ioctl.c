/* ioctl.c - the row that is many: the requests that preload/syscalls/syscall_commands.c lists,
 * as far as there is something to ask. */
#include <linux/ethtool.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/random.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>

#include "rows.h"

#define FIEMAP	    0xc020660bu
#define DEDUPERANGE 0xc0189436u

static void terminal(void)
{
	int *n = OUT(int), m = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0;
	char *termios = out(60), *size = out(8);

	ioctl(m, TIOCSPTLCK, &unlock);
	int s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	CALL(ioctl, s, TCGETS, termios);
	CALL(ioctl, s, TCSETS, termios);
	CALL(ioctl, s, TCSETSW, termios);
	CALL(ioctl, s, TCSETSF, termios);
	FAULTS(ioctl, s, TCGETS, termios);
	FAULTS(ioctl, s, TCSETS, termios);
	CALL(ioctl, s, TIOCSWINSZ, size);
	CALL(ioctl, m, TIOCGWINSZ, size);
	FAULTS(ioctl, s, TIOCGWINSZ, size);
	CALL(ioctl, s, TIOCGPGRP, n);
	CALL(ioctl, s, TIOCSPGRP, n);
	CALL(ioctl, s, TIOCGSID, n);
	CALL(ioctl, s, TIOCSTI, str("x"));
	CALL(ioctl, s, TIOCMGET, n);
	CALL(ioctl, s, TIOCOUTQ, n);
	CALL(ioctl, m, TIOCGPTLCK, n);
	FAULTS(ioctl, m, TIOCGPTLCK, n);
	CALL(ioctl, m, TIOCPKT, IN(int, 1)); /* from before sizes were encoded, and without a row */
	close_all(2, (int[]){s, m});
}

static void pipes(void)
{
	int p[2], *n = OUT(int), *on = IN(int, 1);
	char b[100];

	pipe_with(p, 77);
	CALL(ioctl, p[0], FIONREAD, n);
	FAULTS(ioctl, p[0], FIONREAD, n);
	CALL(ioctl, p[0], FIONBIO, on);
	FAULTS(ioctl, p[0], FIONBIO, on);
	CALL(ioctl, p[0], FIOASYNC, on);
	for (int i = 0; i < 2; i++)
		say("%ld", (long)read(p[0], b, 100)); /* the second does not block */
	CALL(ioctl, -1, FIONREAD, n);
	close_all(2, p);
}

struct extents { /* struct fiemap */
	uint64_t start, length;
	uint32_t flags, mapped, count, reserved;
	struct {
		uint64_t logical, physical, length, reserved[2];
		uint32_t flags, more[3];
	} extent[200];
};

struct dedupe { /* struct file_dedupe_range with one target */
	uint64_t off, length;
	uint16_t count, reserved1;
	uint32_t reserved2;
	int64_t fd;
	uint64_t to, bytes;
	int32_t status;
	uint32_t reserved3;
};

static void files(void)
{
	int fd = file_with("file", 10 * PAGE), to = file_with("to", 10 * PAGE);
	struct extents *e = memset(opaque(sizeof(*e)), 0, sizeof(*e));
	struct dedupe *d = OPAQUE(struct dedupe, .length = PAGE, .count = 1, .fd = to);
	int *flags = OUT(int);

	fsync(fd);
	e->length = 10 * PAGE, e->count = 200;
	CALL(ioctl, fd, FIEMAP, e);
	say("extents: %d",
	    e->mapped >= 1 && e->extent[0].logical == 0 && e->extent[0].length >= PAGE);
	FAULTS(ioctl, fd, FIEMAP, e);
	CALL(ioctl, fd, DEDUPERANGE, d);
	say("status %d", d->status);
	FAULTS(ioctl, fd, DEDUPERANGE, d);
	CALL(ioctl, fd, FS_IOC_GETFLAGS, flags);
	FAULTS(ioctl, fd, FS_IOC_GETFLAGS, flags);
	CALL(ioctl, fd, FIGETBSZ, flags);
	close_all(2, (int[]){fd, to});
	int rnd = open("/dev/urandom", O_RDWR);
	int *pool = opaque(8 + 2000); /* no entropy counted: only mixed in */
	pool[0] = 0, pool[1] = 2000;
	CALL(ioctl, rnd, RNDADDENTROPY, pool);
	FAULTS(ioctl, rnd, RNDADDENTROPY, pool);
	DONE(ioctl, rnd, RNDGETENTCNT, opaque(4));
	close(rnd);
}

static void network(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifconf *c = opaque(sizeof(*c));
	struct ifreq *r = memset(opaque(sizeof(*r)), 0, sizeof(*r)),
		     *list = opaque(50 * sizeof(*list));

	c->ifc_len = 50 * sizeof(*list), c->ifc_ifcu.ifcu_req = list;
	CALL(ioctl, s, SIOCGIFCONF, c);
	say("first %s", c->ifc_len ? list[0].ifr_name : "none");
	FAULTS(ioctl, s, SIOCGIFCONF, c);
	c->ifc_ifcu.ifcu_req = (void *)8;
	CALL(ioctl, s, SIOCGIFCONF, c);
	strcpy(r->ifr_name, "lo");
	CALL(ioctl, s, SIOCGIFMTU, r);
	say("%d", r->ifr_mtu);
	FAULTS(ioctl, s, SIOCGIFMTU, r);
	struct ethtool_drvinfo *info = OPAQUE(struct ethtool_drvinfo, .cmd = ETHTOOL_GDRVINFO);
	r->ifr_data = (void *)info;
	CALL(ioctl, s, SIOCETHTOOL, r);
	strcpy(r->ifr_name, "none");
	CALL(ioctl, s, SIOCGIFMTU, r);
	close(s);
}

/* A page that userfaultfd fills from a buffer that is away. */
static void faults(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* user mode only */);
	char *to = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	     *from = out(PAGE);

	CALL(ioctl, fd, UFFDIO_API, IN(struct uffdio_api, .api = UFFD_API));
	DONE(ioctl, fd, UFFDIO_REGISTER,
	     OPAQUE(struct uffdio_register, .range = {(uintptr_t)to, PAGE},
		    .mode = UFFDIO_REGISTER_MODE_MISSING));
	struct uffdio_copy *c = OPAQUE(struct uffdio_copy, .dst = (uintptr_t)to,
				       .src = (uintptr_t)from, .len = PAGE);
	CALL(ioctl, fd, UFFDIO_COPY, c);
	say("copied %ld %d", (long)c->copy, fd >= 0 ? !memcmp(to, from, PAGE) : -1);
	FAULTS(ioctl, fd, UFFDIO_COPY, c);
	munmap(to, PAGE);
	close(fd);
}

ROW(ioctl)
{
	terminal();
	pipes();
	files();
	network();
	faults();
}

const struct row ioctl_rows[] = {R(ioctl), {0}};
