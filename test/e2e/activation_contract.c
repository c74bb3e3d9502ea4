/*
 * activation_contract.c - the moment when the first page leaves: threads that are in a call at
 * that time, or in a libc function that blocks all signals, must not notice. Sleepers are not
 * woken, readers get all of their bytes, nobody dies.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "away.h"

extern char **environ;
static volatile int stop;
static int pipe_fd[2], ev_pipe[2];
static sem_t *sem;
static pthread_mutex_t *mutex;
static char *read_buf;

static void *sleeper(void *arg)
{
	struct timespec *ts = malloc(sizeof(*ts)), *left = malloc(sizeof(*left));
	*ts = (struct timespec){0, 600000000};
	return (void *)(intptr_t)(nanosleep(ts, left) ? errno : 0);
}

static void *poller(void *arg)
{
	struct pollfd *p = malloc(sizeof(*p));
	*p = (struct pollfd){.fd = pipe_fd[0], .events = POLLPRI};
	int r = poll(p, 1, 600);
	return (void *)(intptr_t)(r < 0 ? errno : r);
}

static void *epoller(void *arg)
{
	struct epoll_event *ev = malloc(16 * sizeof(*ev));
	int e = epoll_create1(0);
	ev[0] = (struct epoll_event){.events = EPOLLIN, .data.u64 = 4711};
	epoll_ctl(e, EPOLL_CTL_ADD, ev_pipe[0], ev);
	int r = epoll_wait(e, ev, 16, 5000);
	return (void *)(intptr_t)(r < 0 ? -errno : (int)ev[0].data.u64);
}

static void *reader(void *arg)
{
	ssize_t n = read(pipe_fd[0], read_buf, 4 * PAGE);
	return (void *)(intptr_t)(n < 0 ? -errno : n);
}

static void *timed(void *arg)
{
	struct timespec *ts = malloc(sizeof(*ts));
	clock_gettime(CLOCK_REALTIME, ts);
	ts->tv_nsec += 600000000;
	ts->tv_sec += ts->tv_nsec / 1000000000, ts->tv_nsec %= 1000000000;
	return (void *)(intptr_t)(sem_timedwait(sem, ts) ? errno : 0);
}

static void *locker(void *arg)
{
	pthread_mutex_lock(mutex);
	pthread_mutex_unlock(mutex);
	return NULL;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *creator(void *arg)
{
	intptr_t bad = 0;
	while (!stop) {
		pthread_t t;
		void *r;
		if (pthread_create(&t, NULL, nothing, (void *)&bad))
			bad++;
		else if (pthread_join(t, &r) || r != &bad)
			bad++;
	}
	return (void *)bad;
}

static void *spawner(void *arg)
{
	intptr_t bad = 0;
	while (!stop) {
		char *argv[] = {strdup("/bin/true"), NULL};
		int status;
		pid_t pid;
		if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) ||
		    waitpid(pid, &status, 0) != pid || status)
			bad++;
		free(argv[0]);
	}
	return (void *)bad;
}

static void *signaller(void *arg)
{
	pthread_t self = pthread_self();
	while (!stop)
		pthread_kill(self, SIGWINCH);
	return NULL;
}

static void *writer(void *arg)
{
	char *b = malloc(8192), *c = malloc(8192);
	intptr_t bad = 0;
	int s[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	for (unsigned i = 0; !stop; i++) {
		memset(b, (int)i, 8192);
		if (write(s[0], b, 8192) != 8192 || syscall(SYS_read, s[1], c, 8192) != 8192 ||
		    memcmp(b, c, 8192))
			bad++;
	}
	return (void *)bad;
}

static const struct {
	const char *name;
	void *(*fn)(void *);
} threads[] = {{"nanosleep", sleeper}, {"poll", poller},	 {"epoll_wait", epoller},
	       {"read", reader},       {"sem_timedwait", timed}, {"mutex", locker},
	       {"create", creator},    {"spawn", spawner},	 {"signal", signaller},
	       {"write", writer},      {"create2", creator}};
#define N (sizeof(threads) / sizeof(threads[0]))

static void wait_ms(int ms)
{
	struct timespec ts = {0, ms * 1000000l};
	while (nanosleep(&ts, &ts))
		;
}

int main(void)
{
	pthread_t t[N];
	sigset_t children;

	/* Blocked, because even an ignored SIGCHLD may end epoll_wait with EINTR. */
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	if (pipe(pipe_fd) || pipe(ev_pipe))
		return 1;
	sem = malloc(sizeof(*sem));
	sem_init(sem, 0, 0);
	mutex = malloc(sizeof(*mutex));
	pthread_mutex_init(mutex, NULL);
	pthread_mutex_lock(mutex);
	read_buf = aligned_alloc(PAGE, 4 * PAGE);
	memset(read_buf, 0, 4 * PAGE);
	for (unsigned i = 0; i < N; i++)
		pthread_create(&t[i], NULL, threads[i].fn, NULL);
	wait_ms(100);
	/* Now the first page goes; those that the sleepers wait with try to follow. */
	char *p = absent(4, 1);
	away(read_buf, 4 * PAGE);
	away(sem, 1), away(mutex, 1);
	wait_ms(200);
	printf("data %u\n", sum(p, 4 * PAGE));
	memset(p, 'x', 4 * PAGE);
	away(p, 4 * PAGE), away(read_buf, 4 * PAGE);
	if (write(pipe_fd[1], p, 4 * PAGE) != (ssize_t)(4 * PAGE) || write(ev_pipe[1], "e", 1) != 1)
		return 1;
	pthread_mutex_unlock(mutex);
	wait_ms(100);
	stop = 1;
	for (unsigned i = 0; i < N; i++) {
		void *r;
		pthread_join(t[i], &r);
		printf("%-16s %ld\n", threads[i].name, (long)(intptr_t)r);
	}
	printf("read %u\n", sum(read_buf, 4 * PAGE));
	return 0;
}
