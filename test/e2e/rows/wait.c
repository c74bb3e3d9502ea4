/* wait.c - rows of calls that wait for descriptors, and of descriptors made for waiting. */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <time.h>

#include "rows.h"

#define FDS 700 /* their pollfds need more than a page */

/* Two pipes, one readable, many times. */
static struct pollfd *pollfds(int p[2], int q[2])
{
	struct pollfd *f = opaque(FDS * sizeof(*f));

	pipe_with(p, 5);
	pipe_with(q, 0);
	for (int i = 0; i < FDS; i++)
		f[i] = (struct pollfd){.fd = i % 3 ? p[0] : q[0], .events = POLLIN};
	return f;
}

static void show_pollfds(const struct pollfd *f)
{
	int ready = 0, wrong = 0;

	for (int i = 0; i < FDS; i++) {
		ready += f[i].revents == POLLIN;
		wrong += f[i].revents != (i % 3 ? POLLIN : 0);
	}
	say("ready %d wrong %d", ready, wrong);
}

#define POLL(call, ...)                                                                            \
	do {                                                                                       \
		CALL(call, __VA_ARGS__);                                                           \
		show_pollfds(f);                                                                   \
		FAULTS(call, __VA_ARGS__);                                                         \
		close_all(2, p);                                                                   \
		close_all(2, q);                                                                   \
	} while (0)

ROW(poll)
{
	int p[2], q[2];
	struct pollfd *f = pollfds(p, q);

	POLL(poll, f, FDS, 1000);
}

/* A mask with SIGUSR1 and the two signals that GMEM keeps for itself. */
static uint64_t *mask_with_ours(void)
{
	return IN(uint64_t, 1ul << (SIGUSR1 - 1) | 1ul << (SIGSEGV - 1) | 1ul << (SIGSYS - 1));
}

ROW(ppoll)
{
	int p[2], q[2];
	struct pollfd *f = pollfds(p, q);
	struct timespec *ts = OPAQUE(struct timespec, 100, 5);
	uint64_t *mask = mask_with_ours();

	POLL(ppoll, f, FDS, ts, mask, 8);
	say("time left %d", ts->tv_sec > 90 && ts->tv_sec <= 100);
	*ts = (struct timespec){0, 1000};
	CALL(ppoll, NULL, 0, ts, mask, 8);
	say("time left %ld.%ld", (long)ts->tv_sec, ts->tv_nsec);
	CALL(ppoll, NULL, 0, ts, mask, 5);
}

static unsigned long *set_of(int fd)
{
	unsigned long *set = memset(opaque(128), 0, 128);

	set[fd / 64] |= 1ul << fd % 64;
	return set;
}

/* The kernel looks at no more bits than the table of descriptors has room for: here for all of
 * them. */
static void make_room(void)
{
	close(dup2(0, 1500));
}

#define SELECT(call, ...)                                                                          \
	do {                                                                                       \
		int p[2];                                                                          \
		make_room();                                                                       \
		pipe_with(p, 5);                                                                   \
		unsigned long *r = set_of(p[0]), *w = set_of(p[1]), *x = set_of(p[0]);             \
		CALL(call, __VA_ARGS__);                                                           \
		say("readable %d writable %d other %d", r[0] == 1ul << p[0], w[0] == 1ul << p[1],  \
		    x[0] == 0);                                                                    \
		FAULTS(call, __VA_ARGS__);                                                         \
		close_all(2, p);                                                                   \
	} while (0)

ROW(select)
{
	struct timeval *tv = OPAQUE(struct timeval, 100, 5);

	SELECT(select, 1000, r, w, x, tv);
	say("time left %d", tv->tv_sec > 90 && tv->tv_sec <= 100);
	*tv = (struct timeval){0, 100};
	CALL(select, 0, NULL, NULL, NULL, tv);
	say("time left %ld.%ld", (long)tv->tv_sec, (long)tv->tv_usec);
}

ROW(pselect6)
{
	struct timespec *ts = OPAQUE(struct timespec, 100, 5);
	void **pair = opaque(16);

	pair[0] = mask_with_ours(), pair[1] = (void *)8;
	SELECT(pselect6, 1000, r, w, x, ts, pair);
	*ts = (struct timespec){0, 1000};
	CALL(pselect6, 0, NULL, NULL, NULL, ts, pair);
	pair[1] = (void *)5;
	CALL(pselect6, 0, NULL, NULL, NULL, ts, pair);
}

static int epoll_of(int n, int p[2])
{
	int e = epoll_create1(0);

	pipe_with(p, 5);
	for (int i = 0; i < n; i++)
		epoll_ctl(e, EPOLL_CTL_ADD, dup(p[0]),
			  &(struct epoll_event){.events = EPOLLIN | EPOLLET,
						.data.u64 = 1000 + (unsigned)i});
	return e;
}

ROW(epoll_ctl)
{
	int p[2], e = epoll_of(0, p);
	struct epoll_event *ev = IN(struct epoll_event, .events = EPOLLIN, .data.u64 = 42),
			   got = {0};

	CALL(epoll_ctl, e, EPOLL_CTL_ADD, p[0], ev);
	FAULTS(epoll_ctl, e, EPOLL_CTL_MOD, p[0], ev);
	CALL(epoll_ctl, e, EPOLL_CTL_ADD, p[0], ev);
	say("%d", epoll_wait(e, &got, 1, 0));
	say("%d", (int)got.data.u64);
	CALL(epoll_ctl, e, EPOLL_CTL_DEL, p[0], NULL);
	close_all(3, (int[]){e, p[0], p[1]});
}

/* Edge-triggered events come once: one that is lost shows. */
#define EVENTS 600
#define EPOLL(call, few, many)                                                                     \
	do {                                                                                       \
		int p[2], e = epoll_of(EVENTS, p), all = 0, r;                                     \
		struct epoll_event *ev = out(EVENTS * sizeof(*ev));                                \
		CALL few;                                                                          \
		FAULTS few;                                                                        \
		while ((r = (int)TRY many) > 0)                                                    \
			all += r;                                                                  \
		say("last %d, other events %d", r, all);                                           \
		CALL few;                                                                          \
		close_range((unsigned)e, 4000, 0);                                                 \
		close_all(2, p);                                                                   \
	} while (0)

ROW(epoll_wait)
{
	EPOLL(epoll_wait, (epoll_wait, e, ev, 10, 0), (epoll_wait, e, ev, 300, 0));
}

ROW(epoll_pwait)
{
	uint64_t *mask = mask_with_ours();

	EPOLL(epoll_pwait, (epoll_pwait, e, ev, 10, 0, mask, 8),
	      (epoll_pwait, e, ev, 300, 0, mask, 8));
}

ROW(epoll_pwait2)
{
	uint64_t *mask = mask_with_ours();
	struct timespec *ts = IN(struct timespec, 0, 1000);

	EPOLL(epoll_pwait2, (epoll_pwait2, e, ev, 10, ts, mask, 8),
	      (epoll_pwait2, e, ev, 300, ts, mask, 8));
}

#define SIGNALFD(call, ...)                                                                        \
	do {                                                                                       \
		sigset_t usr1, old;                                                                \
		uint64_t *mask = mask_with_ours();                                                 \
		uint32_t *info = opaque(128);                                                      \
		sigemptyset(&usr1);                                                                \
		sigaddset(&usr1, SIGUSR1);                                                         \
		sigprocmask(SIG_BLOCK, &usr1, &old);                                               \
		int fd = (int)DONE(call, -1, __VA_ARGS__);                                         \
		FAULTS(call, -1, __VA_ARGS__);                                                     \
		raise(SIGUSR1);                                                                    \
		FAULTS(read, fd, info, 128);                                                       \
		raise(SIGUSR1);                                                                    \
		CALL(read, fd, info, 128);                                                         \
		say("signal %u", info[0]);                                                         \
		sigprocmask(SIG_SETMASK, &old, NULL);                                              \
		close(fd);                                                                         \
	} while (0)

ROW(signalfd)
{
	SIGNALFD(signalfd, mask, 8);
}

ROW(signalfd4)
{
	SIGNALFD(signalfd4, mask, 8, 0x80800 /* SFD_CLOEXEC | SFD_NONBLOCK */);
}

static int new_timerfd(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
}

ROW(timerfd_settime)
{
	int fd = new_timerfd();
	struct itimerspec *set = IN(struct itimerspec, .it_value = {1000, 5},
				    .it_interval = {7, 8}),
			  *old = opaque(sizeof(*old));
	uint64_t *n = out(8);

	CALL(timerfd_settime, fd, 0, set, old);
	say("was %ld %ld", (long)old->it_value.tv_sec, (long)old->it_interval.tv_sec);
	FAULTS(timerfd_settime, fd, 0, set, old);
	set->it_value = (struct timespec){0, 1}, set->it_interval = (struct timespec){0, 0};
	CALL(timerfd_settime, fd, 0, set, old);
	say("was %ld %ld", (long)old->it_value.tv_sec / 100, (long)old->it_interval.tv_sec);
	poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000);
	CALL(read, fd, (char *)n, 4);
	FAULTS(read, fd, n, 8); /* consumes */
	CALL(read, fd, n, 8);
	CALL(timerfd_settime, fd, 0, set, NULL);
	poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000);
	CALL(read, fd, n, 8);
	close(fd);
}

ROW(timerfd_gettime)
{
	int fd = new_timerfd();
	struct itimerspec *got = opaque(sizeof(*got));

	timerfd_settime(fd, 0, &(struct itimerspec){.it_value = {1000, 5}, .it_interval = {7, 8}},
			NULL);
	CALL(timerfd_gettime, fd, got);
	say("%d %ld %ld", got->it_value.tv_sec > 900, (long)got->it_interval.tv_sec,
	    got->it_interval.tv_nsec);
	FAULTS(timerfd_gettime, fd, got);
	close(fd);
}

const struct row wait_rows[] = {
	R(poll),      R(ppoll),	     R(select),		 R(pselect6),
	R(epoll_ctl), R(epoll_wait), R(epoll_pwait),	 R(epoll_pwait2),
	R(signalfd),  R(signalfd4),  R(timerfd_settime), R(timerfd_gettime),
	{0},
};
