/*
 * syscall_contract.c - system calls on buffers that are away: by hooks, by libc's own calls, and
 * raw. Every line of output is the result and the errno that a plain run gives too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "away.h"
#include "show.h"

static void *volatile bad = (void *)8;
static char dir[] = "/tmp/syscall_contract.XXXXXX";

static char *path_of(const char *name)
{
	char *p = aligned_alloc(PAGE, PAGE);
	snprintf(p, PAGE, "%s/%s", dir, name);
	away(p, PAGE);
	return p;
}

static void files(void)
{
	char *b = absent(8, 1), *c = absent(8, 2);
	unsigned want = sum(b, 8 * PAGE);

	away(b, 8 * PAGE);
	int fd = open(path_of("file"), O_RDWR | O_CREAT, 0600);
	SHOW("open", fd >= 0);
	SHOW("write away", write(fd, b, 8 * PAGE));
	SHOW("pread straddling", pread(fd, c + 100, 5 * PAGE, 0));
	away(b, 8 * PAGE);
	printf("straddled data %d\n", sum(c + 100, 5 * PAGE) == sum(b, 5 * PAGE));
	/* one page home, the next away: a naive read is short */
	away(c, 8 * PAGE);
	c[0] = 1;
	SHOW("pread mixed", pread(fd, c, 8 * PAGE, 0));
	printf("mixed data %d\n", sum(c, 8 * PAGE) == want);
	away(b, 8 * PAGE), away(c, 8 * PAGE);
	struct iovec *iov = aligned_alloc(PAGE, PAGE);
	for (int i = 0; i < 8; i++)
		iov[i] = (struct iovec){c + (7 - i) * PAGE, PAGE};
	away(iov, PAGE);
	SHOW("preadv", preadv(fd, iov, 8, 0));
	printf("scattered %d\n", sum(c, PAGE) == sum(b + 7 * PAGE, PAGE));
	away(b, 8 * PAGE), away(iov, PAGE), away(c, 8 * PAGE);
	SHOW("pwritev", pwritev(fd, iov, 8, 4096));
	SHOW("raw pwrite64", syscall(SYS_pwrite64, fd, b, 8 * PAGE, 0));
	away(b, 8 * PAGE);
	SHOW("raw pread64", syscall(SYS_pread64, fd, b, 8 * PAGE, 0));
	printf("raw data %d\n", sum(b, 8 * PAGE) == want);
	struct stat *st = (struct stat *)absent(1, 0);
	SHOW("stat", stat(path_of("file"), st));
	printf("size %ld\n", (long)st->st_size);
	away(st, PAGE);
	SHOW("fstat", fstat(fd, st));
	struct statvfs *vfs = (struct statvfs *)absent(1, 0);
	SHOW("statvfs", statvfs(path_of("."), vfs));
	SHOW("rename", rename(path_of("file"), path_of("other")));
	SHOW("link", link(path_of("other"), path_of("third")));
	SHOW("symlink", symlink(path_of("other"), path_of("sym")));
	char *t = absent(1, 0);
	SHOW("readlink", readlink(path_of("sym"), t, PAGE) > 10);
	away(t, PAGE);
	SHOW("getcwd", getcwd(t, PAGE) != NULL);
	SHOW("access", access(path_of("none"), R_OK));
	SHOW("read bad", read(fd, bad, 10));
	SHOW("write bad", write(fd, bad, 10));
	SHOW("readv bad", readv(fd, bad, 2));
	SHOW("read closed", read(999, b, 10));
	close(fd);
}

static void directories(void)
{
	int n = 0;
	DIR *d = opendir(dir);

	away(d, PAGE);
	while (readdir(d)) {
		away(d, 2 * PAGE);
		n++;
	}
	closedir(d);
	printf("entries %d\n", n);
}

static void stdio(void)
{
	char *name = path_of("stdio"), *line = NULL;
	size_t cap = 0, total = 0;
	FILE *f = fopen(name, "w+");
	char *buf = aligned_alloc(PAGE, 4 * PAGE);

	setvbuf(f, buf, _IOFBF, 4 * PAGE);
	for (int i = 0; i < 5000; i++) {
		fprintf(f, "line %d of the file\n", i);
		if (i % 500 == 0)
			away(buf, 4 * PAGE);
	}
	fflush(f);
	rewind(f);
	away(buf, 4 * PAGE);
	for (int i = 0; getline(&line, &cap, f) > 0; i++) {
		total += sum(line, strlen(line));
		if (i % 500 == 0)
			away(buf, 4 * PAGE);
	}
	printf("stdio %zu\n", total);
	fclose(f);
}

static void sockets(void)
{
	int s[2], d[2];
	char *b = absent(2, 3), *c = absent(2, 4);

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, d);
	SHOW("send", send(s[0], b, 2 * PAGE, 0));
	SHOW("recv", recv(s[1], c, 2 * PAGE, MSG_WAITALL));
	away(b, 2 * PAGE), away(c, 2 * PAGE);
	SHOW("datagram out", sendto(d[0], b, 1000, 0, NULL, 0));
	struct sockaddr_un *from = (struct sockaddr_un *)absent(1, 0);
	socklen_t *len = (socklen_t *)absent(1, 0);
	*len = sizeof(*from);
	away(len, PAGE);
	SHOW("datagram in", recvfrom(d[1], c, 2 * PAGE, 0, (void *)from, len));
	printf("datagram data %d len %u\n", sum(b, 1000) == sum(c, 1000), *len);
	char *heap = absent(1, 0);
	struct msghdr *m = (struct msghdr *)heap;
	struct iovec *iov = (struct iovec *)(heap + 512);
	memset(m, 0, sizeof(*m));
	iov[0] = (struct iovec){b, 100}, iov[1] = (struct iovec){b + PAGE, 200};
	m->msg_iov = iov, m->msg_iovlen = 2;
	away(heap, PAGE), away(b, 2 * PAGE);
	SHOW("sendmsg", sendmsg(d[0], m, 0));
	iov[0] = (struct iovec){c, 150}, iov[1] = (struct iovec){c + PAGE, PAGE};
	away(heap, PAGE), away(c, 2 * PAGE);
	SHOW("recvmsg", recvmsg(d[1], m, 0));
	struct mmsghdr *mm = (struct mmsghdr *)absent(1, 0);
	memset(mm, 0, 2 * sizeof(*mm));
	mm[0].msg_hdr = mm[1].msg_hdr = *m;
	away(mm, PAGE), away(heap, PAGE), away(c, 2 * PAGE);
	SHOW("sendmmsg", sendmmsg(d[0], mm, 2, 0));
	printf("msg_len %u %u\n", mm[0].msg_len, mm[1].msg_len);
	away(mm, PAGE), away(heap, PAGE), away(c, 2 * PAGE);
	SHOW("recvmmsg", recvmmsg(d[1], mm, 2, MSG_DONTWAIT, NULL));
	printf("msg_len %u %u\n", mm[0].msg_len, mm[1].msg_len);
	int *n = (int *)absent(1, 0);
	SHOW("send again", send(s[0], b, 77, 0));
	SHOW("FIONREAD", ioctl(s[1], FIONREAD, n));
	printf("readable %d\n", *n);
	socklen_t *ol = (socklen_t *)absent(1, 0);
	*ol = sizeof(int);
	away(ol, PAGE), away(n, PAGE);
	SHOW("getsockopt", getsockopt(s[0], SOL_SOCKET, SO_TYPE, n, ol));
	printf("type %d len %u\n", *n, *ol);
	SHOW("recv again", recv(s[1], c, 2 * PAGE, MSG_DONTWAIT));
	SHOW("recv none", recv(s[1], c, 2 * PAGE, MSG_DONTWAIT));
}

/* A connection's address and a listener's, in pages that are away. */
static void accepting(void)
{
	struct sockaddr_un *here = (struct sockaddr_un *)absent(1, 0),
			   *from = (struct sockaddr_un *)absent(1, 0);
	socklen_t *len = (socklen_t *)absent(1, 0);
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(here, 0, sizeof(*here));
	here->sun_family = AF_UNIX;
	snprintf(here->sun_path, sizeof(here->sun_path), "%s/socket", dir);
	away(here, PAGE);
	SHOW("bind", bind(l, (struct sockaddr *)here, sizeof(*here)));
	SHOW("listen", listen(l, 5));
	away(here, PAGE);
	SHOW("connect", connect(c, (struct sockaddr *)here, sizeof(*here)));
	*len = sizeof(*from);
	away(len, PAGE), away(from, PAGE);
	SHOW("accept", accept(l, (struct sockaddr *)from, len) >= 0);
	printf("accepted from family %d len %u\n", from->sun_family, *len);
	*len = sizeof(*from);
	away(len, PAGE), away(from, PAGE);
	SHOW("getpeername", getpeername(c, (struct sockaddr *)from, len));
	printf("peer %d\n", !strcmp(from->sun_path, here->sun_path));
	close(l), close(c);
}

/* A pipe's buffers, as much as it holds, and what is moved without us. */
static void pipes(void)
{
	int *p = (int *)absent(1, 0), q[2];
	char *b = absent(16, 5), *c = absent(16, 6);
	struct iovec *iov = (struct iovec *)absent(1, 0);
	unsigned want = sum(b, 16 * PAGE);

	SHOW("pipe2 away", pipe2(p, O_NONBLOCK));
	away(b, 16 * PAGE);
	SHOW("pipe write", write(p[1], b, 16 * PAGE));
	SHOW("pipe full", write(p[1], b, 1));
	c[5 * PAGE] = 1; /* some of it at home */
	SHOW("pipe read", read(p[0], c, 16 * PAGE));
	printf("pipe data %d\n", sum(c, 16 * PAGE) == want);
	*iov = (struct iovec){b, 2 * PAGE};
	away(b, 16 * PAGE), away(iov, PAGE);
	SHOW("pipe vmsplice", vmsplice(p[1], iov, 1, 0));
	away(b, 2 * PAGE), away(c, 16 * PAGE);
	SHOW("pipe pair", pipe(q));
	SHOW("pipe tee", tee(p[0], q[1], 2 * PAGE, 0));
	SHOW("pipe read tee", read(q[0], c, 2 * PAGE));
	printf("pipe spliced data %d\n", !memcmp(b, c, 2 * PAGE));
	close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

/* stdio of other kinds: unbuffered, in memory, formatted input, wide characters. */
static void more_stdio(void)
{
	char *text = absent(2, 0), *out = NULL, *word = absent(1, 0), *line = absent(1, 0);
	size_t n = 0;
	int a = 0;

	strcpy(text, "12 apples\nand pears\n");
	away(text, 2 * PAGE);
	FILE *f = fmemopen(text, 2 * PAGE, "r+");
	away(word, PAGE);
	SHOW("stdio fscanf", fscanf(f, "%d %4000s", &a, word));
	away(line, PAGE);
	SHOW("stdio fgets", fgets(line, PAGE, f) != NULL && fgets(line, PAGE, f) != NULL);
	printf("stdio read %d %s %s", a, word, line);
	fclose(f);
	f = open_memstream(&out, &n);
	for (int i = 0; i < 3000; i++) {
		away(line, PAGE);
		fwrite(line, 1, 5, f);
	}
	fflush(f);
	away(out, PAGE);
	printf("stdio memstream %zu %u\n", n, sum(out, n));
	fclose(f);
	f = fopen(path_of("raw"), "w+");
	setvbuf(f, NULL, _IONBF, 0);
	away(line, PAGE), away(out, PAGE);
	SHOW("stdio fputs", fputs(line, f) >= 0);
	SHOW("stdio fwrite", fwrite(out, 100, 3, f));
	rewind(f);
	away(word, PAGE);
	SHOW("stdio fread", fread(word, 1, 200, f));
	printf("stdio unbuffered %u\n", sum(word, 200));
	fclose(f);
	free(out);
}

static void waiting(void)
{
	int p[2], e = epoll_create1(0);
	struct pollfd *fds = (struct pollfd *)absent(1, 0);
	struct epoll_event *ev = (struct epoll_event *)absent(1, 0);
	fd_set *set = (fd_set *)absent(1, 0);
	struct timespec *ts = (struct timespec *)absent(1, 0);

	SHOW("pipe", pipe(p));
	SHOW("write", write(p[1], "x", 1));
	fds[0] = (struct pollfd){.fd = p[0], .events = POLLIN};
	away(fds, PAGE);
	SHOW("poll", poll(fds, 1, 1000));
	printf("revents %d\n", fds[0].revents);
	*ts = (struct timespec){0, 1000};
	away(fds, PAGE), away(ts, PAGE);
	SHOW("ppoll", ppoll(fds, 1, ts, NULL));
	ev[0] = (struct epoll_event){.events = EPOLLIN, .data.u64 = 42};
	away(ev, PAGE);
	SHOW("epoll_ctl", epoll_ctl(e, EPOLL_CTL_ADD, p[0], ev));
	memset(ev, 0, PAGE);
	away(ev, PAGE);
	SHOW("epoll_wait", epoll_wait(e, ev, 10, 1000));
	printf("event %d\n", (int)ev[0].data.u64);
	FD_ZERO(set);
	FD_SET(p[0], set);
	away(set, PAGE);
	SHOW("select", select(p[0] + 1, set, NULL, NULL, NULL));
	printf("set %d\n", !!FD_ISSET(p[0], set));
	away(ts, PAGE);
	SHOW("nanosleep", nanosleep(ts, ts));
	away(ts, PAGE);
	SHOW("clock_gettime", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, ts));
}

static pthread_mutex_t *mutex;
static int counter;

static void *adder(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(mutex);
		counter++;
		pthread_mutex_unlock(mutex);
		if (i % 1000 == 0)
			away(mutex, PAGE);
	}
	return NULL;
}

static void futexes(void)
{
	pthread_t t[4];

	mutex = (pthread_mutex_t *)absent(1, 0);
	pthread_mutex_init(mutex, NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, adder, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("counter %d\n", counter);
	int *word = (int *)absent(1, 0);
	*word = 5;
	away(word, PAGE);
	SHOW("futex wait, other value", syscall(SYS_futex, word, 0, 6, NULL));
	away(word, PAGE);
	SHOW("futex wake", syscall(SYS_futex, word, 1, 6, NULL));
}

static void rest(void)
{
	struct utsname *u = (struct utsname *)absent(1, 0);
	int *status = (int *)absent(1, 0);
	sigset_t *set = (sigset_t *)absent(1, 0);
	siginfo_t *info = (siginfo_t *)absent(1, 0);

	SHOW("uname", uname(u));
	printf("%s\n", u->sysname);
	if (!fork())
		_exit(7);
	SHOW("wait4", waitpid(-1, status, 0) > 0);
	printf("status %d\n", WEXITSTATUS(*status));
	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	sigprocmask(SIG_BLOCK, set, NULL);
	raise(SIGUSR1);
	away(set, PAGE), away(info, PAGE);
	SHOW("sigtimedwait", sigwaitinfo(set, info));
	printf("signo %d\n", info->si_signo);
	away(u, PAGE);
	SHOW("getrandom", syscall(SYS_getrandom, u, 100, 0));
	struct iovec *local = (struct iovec *)absent(1, 0), *remote = local + 8;
	char *b = absent(1, 5), *c = absent(1, 6);
	*local = (struct iovec){c, 100};
	*remote = (struct iovec){(void *)&counter, 4};
	away(local, PAGE), away(c, PAGE);
	SHOW("process_vm_readv", process_vm_readv(getpid(), local, 1, remote, 1, 0));
	printf("%d %d\n", *(int *)c, b[9]);
	SHOW("unknown call", syscall(500, 1, 2, 3));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir))
		return 1;
	files();
	directories();
	stdio();
	more_stdio();
	sockets();
	accepting();
	pipes();
	waiting();
	futexes();
	rest();
	char rm[128];
	snprintf(rm, sizeof(rm), "rm -r %s", dir);
	return system(rm);
}
