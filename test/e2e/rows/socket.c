/* socket.c - rows of sockets. Addresses are names of local sockets, the same in every run. */
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "rows.h"

#define SERVER "name-of-the-server's-socket"
#define CLIENT "name-of-the-client's-socket"

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	strcpy(a.sun_path, name);
	return a;
}

#define LEN(name) (offsetof(struct sockaddr_un, sun_path) + sizeof(name))

static int bound(int type, const char *name)
{
	struct sockaddr_un a = address(name);
	int fd = socket(AF_UNIX, type, 0);

	unlink(name);
	if (bind(fd, (void *)&a, sizeof(a)))
		exit(90);
	return fd;
}

static int listening(void)
{
	int fd = bound(SOCK_STREAM, SERVER);
	listen(fd, 10);
	return fd;
}

/* A client in the queue of a listening socket. */
static int client(void)
{
	struct sockaddr_un a = address(SERVER);
	int fd = bound(SOCK_STREAM, CLIENT);

	if (connect(fd, (void *)&a, sizeof(a)))
		exit(89);
	return fd;
}

ROW(bind)
{
	struct sockaddr_un a = address(SERVER), *b = in(&a, sizeof(a));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(SERVER);
	FAULTS(bind, fd, b, sizeof(*b));
	CALL(bind, fd, b, sizeof(*b));
	CALL(bind, fd, b, sizeof(*b));
	CALL(bind, fd, b, 1000);
	say("there: %d", access(SERVER, F_OK));
	close(fd);
}

ROW(connect)
{
	struct sockaddr_un a = address(SERVER), *b = in(&a, sizeof(a));
	int l = listening(), fd = socket(AF_UNIX, SOCK_STREAM, 0);

	FAULTS(connect, fd, b, sizeof(*b));
	CALL(connect, fd, b, sizeof(*b));
	CALL(connect, fd, b, sizeof(*b));
	strcpy(b->sun_path, "none");
	CALL(connect, fd, b, sizeof(*b));
	close_all(2, (int[]){l, fd});
}

#define ACCEPT(...)                                                                                \
	do {                                                                                       \
		int l = listening(), c = client();                                                 \
		struct sockaddr_un *from = OUT(struct sockaddr_un);                                \
		socklen_t *len = IN(socklen_t, sizeof(*from));                                     \
		DONE(__VA_ARGS__);                                                                 \
		close(c);                                                                          \
		c = client();                                                                      \
		*len = 10;                                                                         \
		DONE(__VA_ARGS__);                                                                 \
		for (int i = 0; i < 2;                                                             \
		     i++) { /* for each fault: each takes a client from the queue */               \
			close(c);                                                                  \
			c = client();                                                              \
		}                                                                                  \
		*len = sizeof(*from);                                                              \
		FAULTS(__VA_ARGS__);                                                               \
		fcntl(l, F_SETFL, O_NONBLOCK);                                                     \
		CALL(__VA_ARGS__);                                                                 \
		close_range((unsigned)l, 50, 0);                                                   \
	} while (0)

ROW(accept)
{
	ACCEPT(accept, l, from, len);
}

ROW(accept4)
{
	ACCEPT(accept4, l, from, len, SOCK_CLOEXEC);
}

#define NAMED(call)                                                                                \
	do {                                                                                       \
		int l = listening(), c = client(), s = accept(l, NULL, NULL);                      \
		struct sockaddr_un *a = OUT(struct sockaddr_un);                                   \
		socklen_t *len = IN(socklen_t, sizeof(*a));                                        \
		CALL(call, s, a, len);                                                             \
		*len = 5;                                                                          \
		CALL(call, s, a, len);                                                             \
		*len = sizeof(*a);                                                                 \
		FAULTS(call, s, a, len);                                                           \
		*len = (socklen_t)-1;                                                              \
		CALL(call, s, a, len);                                                             \
		close_all(3, (int[]){l, c, s});                                                    \
	} while (0)

ROW(getsockname)
{
	NAMED(getsockname);
}

ROW(getpeername)
{
	NAMED(getpeername);
}

ROW(socketpair)
{
	int *s = opaque(8), *t = out(8);

	DONE(socketpair, AF_UNIX, SOCK_DGRAM, 0, s);
	say("%d", (int)write(s[0], "123", 3));
	show_left(s[1]);
	close_all(2, s);
	FAULTS(socketpair, AF_UNIX, SOCK_STREAM, 0, t);
}

ROW(setsockopt)
{
	int s[2], got;
	socklen_t got_len = sizeof(got);
	int *on = IN(int, 1);
	struct timeval *tv = IN(struct timeval, 5, 0);
	struct sock_filter *code =
		in((struct sock_filter[]){{0x06, 0, 0, 100}}, 8); /* ret 100: cut to 100 bytes */
	struct sock_fprog *prog = OPAQUE(struct sock_fprog, .len = 1, .filter = code);
	char *b = out(300);

	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	CALL(setsockopt, s[1], SOL_SOCKET, SO_PASSCRED, on, sizeof(*on));
	FAULTS(setsockopt, s[1], SOL_SOCKET, SO_PASSCRED, on, sizeof(*on));
	getsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &got, &got_len);
	say("on %d", got);
	CALL(setsockopt, s[1], SOL_SOCKET, SO_RCVTIMEO, tv, sizeof(*tv));
	CALL(setsockopt, s[1], SOL_SOCKET, SO_ATTACH_FILTER, prog, sizeof(*prog));
	CALL(write, s[0], b, 300);
	CALL(read, s[1], b, 300);
	FAULTS(setsockopt, s[1], SOL_SOCKET, SO_ATTACH_FILTER, prog, sizeof(*prog));
	prog->filter = (void *)8;
	CALL(setsockopt, s[1], SOL_SOCKET, SO_ATTACH_FILTER, prog, sizeof(*prog));
	close_all(2, s);
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	CALL(setsockopt, tcp, IPPROTO_TCP, TCP_CONGESTION, str("no-such-algorithm"), 17);
	CALL(setsockopt, tcp, SOL_SOCKET, SO_BINDTODEVICE, str("lo"), 3);
	CALL(setsockopt, tcp, IPPROTO_TCP, TCP_NODELAY, on, sizeof(*on));
	/* iptables' IPT_SO_SET_REPLACE would need a table; a size that is refused */
	CALL(setsockopt, tcp, IPPROTO_IP, IP_OPTIONS, memset(opaque(64), 1, 64), 64);
	close(tcp);
}

ROW(getsockopt)
{
	int s[2], tcp = socket(AF_INET, SOCK_STREAM, 0);
	int *got = OUT(int);
	socklen_t *len = IN(socklen_t, sizeof(*got));
	struct tcp_info *info = opaque(sizeof(*info));
	struct ucred *cred = opaque(sizeof(*cred));
	char *name = out(64);

	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	CALL(getsockopt, s[0], SOL_SOCKET, SO_TYPE, got, len);
	FAULTS(getsockopt, s[0], SOL_SOCKET, SO_TYPE, got, len);
	*len = sizeof(*cred);
	CALL(getsockopt, s[0], SOL_SOCKET, SO_PEERCRED, cred, len);
	say("peer is this process: %d", cred->pid == getpid());
	*len = sizeof(*info);
	CALL(getsockopt, tcp, IPPROTO_TCP, TCP_INFO, info, len);
	say("state %d", info->tcpi_state);
	*len = 64;
	CALL(getsockopt, tcp, IPPROTO_TCP, TCP_CONGESTION, name, len);
	setsockopt(tcp, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	*len = 64;
	CALL(getsockopt, tcp, SOL_SOCKET, SO_BINDTODEVICE, name, len);
	struct sock_filter code = {0x06, 0, 0, 100};
	struct sock_fprog prog = {.len = 1, .filter = &code};
	setsockopt(s[1], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
	*len = 1; /* instructions */
	CALL(getsockopt, s[1], SOL_SOCKET, SO_GET_FILTER, name, len);
	close_all(3, (int[]){s[0], s[1], tcp});
}

ROW(sendto)
{
	int d = bound(SOCK_DGRAM, SERVER), s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un a = address(SERVER), *to = in(&a, sizeof(a));
	char *b = out(2 * PAGE + 5);

	CALL(sendto, s, b, 2 * PAGE + 5, 0, to, sizeof(*to));
	FAULTS(sendto, s, b, 2 * PAGE + 5, 0, to, sizeof(*to));
	show_left(d);
	strcpy(to->sun_path, "none");
	CALL(sendto, s, b, 10, 0, to, sizeof(*to));
	close_all(2, (int[]){d, s});
}

/* A socket that gets datagrams from a named one. */
static void datagrams(int s[2], int n)
{
	struct sockaddr_un a = address(SERVER);
	char b[1000];

	s[0] = bound(SOCK_DGRAM, SERVER);
	s[1] = bound(SOCK_DGRAM, CLIENT);
	for (int i = 0; i < n; i++) {
		memset(b, 'a' + i, sizeof(b));
		sendto(s[1], b, sizeof(b) - (size_t)i, 0, (void *)&a, sizeof(a));
	}
}

ROW(recvfrom)
{
	int s[2];
	char *b = out(2 * PAGE);
	struct sockaddr_un *from = OUT(struct sockaddr_un);
	socklen_t *len = IN(socklen_t, sizeof(*from));

	datagrams(s, 8);
	CALL(recvfrom, s[0], b, 2 * PAGE, 0, from, len);
	*len = 7;
	CALL(recvfrom, s[0], b, 100, MSG_TRUNC, from, len);
	*len = sizeof(*from);
	CALL(recvfrom, s[0], b, 2 * PAGE, MSG_PEEK, from, len);
	FAULTS(recvfrom, s[0], b, 200, 0, from, len);
	show_left(s[0]);
	close_all(2, s);
}

/* A message in two pieces, with an address and a descriptor of /dev/null beside it. */
static struct msghdr *message(char *a, char *b, struct sockaddr_un *name, int pass)
{
	struct msghdr *m = opaque(sizeof(*m));
	struct cmsghdr *c = memset(opaque(CMSG_SPACE(sizeof(int))), 0, CMSG_SPACE(sizeof(int)));

	*m = (struct msghdr){.msg_name = name,
			     .msg_namelen = name ? sizeof(*name) : 0,
			     .msg_iov = IOVS({a, 100}, {b, PAGE + 10}),
			     .msg_iovlen = 2,
			     .msg_control = c,
			     .msg_controllen = CMSG_LEN(sizeof(int))};
	*c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &pass, sizeof(pass));
	return m;
}

static void show_message(const struct msghdr *m)
{
	const struct cmsghdr *c = m->msg_control;
	int fd = -1;

	if (m->msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	say("namelen %u control %zu flags %x descriptor reads %d", m->msg_namelen,
	    m->msg_controllen, (unsigned)m->msg_flags, (int)read(fd, &(char){0}, 1));
	close(fd);
}

ROW(sendmsg)
{
	int d = bound(SOCK_DGRAM, SERVER), s = socket(AF_UNIX, SOCK_DGRAM, 0),
	    null = open("/dev/null", O_RDWR);
	struct sockaddr_un a = address(SERVER), *to = in(&a, sizeof(a));
	struct msghdr *m = message(out(100), out(PAGE + 10), to, null);

	CALL(sendmsg, s, m, 0);
	FAULTS(sendmsg, s, m, 0);
	m->msg_iov[1].iov_base = (void *)8;
	CALL(sendmsg, s, m, 0);
	show_left(d);
	close_all(3, (int[]){d, s, null});
}

ROW(recvmsg)
{
	int s[2], null = open("/dev/null", O_RDWR);
	struct sockaddr_un a = address(SERVER), *from = OUT(struct sockaddr_un);
	struct msghdr *m = message(out(100), out(PAGE + 10), from, -1);

	datagrams(s, 0);
	char x[3][100] = {"first", "second", "third"};
	for (int i = 0; i < 3; i++) {
		struct msghdr *send = message(x[i], x[i], &a, null);
		send->msg_iov[1].iov_len = 60;
		sendmsg(s[1], send, 0);
	}
	CALL(recvmsg, s[0], m, 0);
	show_message(m);
	FAULTS(recvmsg, s[0], m, 0);
	m->msg_iov[0].iov_base = (void *)8;
	CALL(recvmsg, s[0], m, 0);
	show_left(s[0]);
	close_range((unsigned)s[0], 50, 0);
	close(null);
}

#define MESSAGES 3
static struct mmsghdr *messages(struct sockaddr_un *name)
{
	struct mmsghdr *mm = memset(opaque(MESSAGES * sizeof(*mm)), 0, MESSAGES * sizeof(*mm));

	for (int i = 0; i < MESSAGES; i++)
		mm[i].msg_hdr = (struct msghdr){.msg_iov = IOVS({out(900), 900}, {out(300), 300}),
						.msg_iovlen = 2,
						.msg_name = name,
						.msg_namelen = name ? sizeof(*name) : 0};
	return mm;
}

static void show_lengths(const struct mmsghdr *mm)
{
	say("lengths %u %u %u", mm[0].msg_len, mm[1].msg_len, mm[2].msg_len);
}

ROW(sendmmsg)
{
	int s[2];
	struct mmsghdr *mm = messages(NULL);

	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	CALL(sendmmsg, s[0], mm, MESSAGES, 0);
	show_lengths(mm);
	FAULTS(sendmmsg, s[0], mm, MESSAGES, 0);
	mm[1].msg_hdr.msg_iov = (void *)8;
	CALL(sendmmsg, s[0], mm, MESSAGES, 0);
	show_left(s[1]);
	close_all(2, s);
}

ROW(recvmmsg)
{
	int s[2];
	struct sockaddr_un *from = OUT(struct sockaddr_un);
	struct mmsghdr *mm = messages(from);
	struct timespec *ts = OPAQUE(struct timespec, 5, 0);

	datagrams(s, 9);
	CALL(recvmmsg, s[0], mm, MESSAGES, 0, ts);
	show_lengths(mm);
	say("time left %d", ts->tv_sec == 4);
	FAULTS(recvmmsg, s[0], mm, MESSAGES, MSG_DONTWAIT, NULL);
	show_lengths(mm);
	mm[1].msg_hdr.msg_iov[0].iov_base = (void *)8;
	CALL(recvmmsg, s[0], mm, MESSAGES, MSG_DONTWAIT, NULL);
	show_left(s[0]);
	close_all(2, s);
}

const struct row socket_rows[] = {
	R(bind),       R(connect),    R(accept),     R(accept4), R(getsockname), R(getpeername),
	R(socketpair), R(setsockopt), R(getsockopt), R(sendto),	 R(recvfrom),	 R(sendmsg),
	R(recvmsg),    R(sendmmsg),   R(recvmmsg),   {0},
};
