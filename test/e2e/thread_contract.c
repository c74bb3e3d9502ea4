/*
 * thread_contract.c - threads by every way in, with memory away while libc works inside:
 * pthread_create, thrd_create, raw clone and clone3, the threads that libc makes for itself
 * (timers, aio, mq_notify), cancellation, robust mutexes, thread-specific data, the end of
 * detached threads.
 */
#include <aio.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <locale.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

#include "away.h"

#define THREADS 40
#define MB	(1ul << 20)

/* What libc keeps in the heap for every thread: the locale, and what it allocated when the
 * thread was made. */
static char *libc_block;
static void all_away(void)
{
	char *block = (char *)((uintptr_t)libc_block & ~(2 * MB - 1));

	for (size_t at = 0; at < 2 * MB; at += 16 * PAGE)
		try_away(block + at, 16 * PAGE); /* not all of it need be mapped */
}

static void *add(void *arg)
{
	char *p = absent(2, 5);
	*(_Atomic long *)arg += sum(p, 2 * PAGE) % 1000;
	free(p);
	all_away();
	return arg;
}

static int add11(void *arg)
{
	add(arg);
	return 11;
}

static void births(void)
{
	_Atomic long total = 0;
	pthread_t t[THREADS];
	thrd_t c;
	int bad = 0, r = 0;

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < THREADS; i++) {
			all_away();
			bad += pthread_create(&t[i], NULL, add, &total) != 0;
		}
		for (int i = 0; i < THREADS; i++) {
			void *ret = NULL;
			bad += pthread_join(t[i], &ret) || ret != &total;
		}
	}
	printf("pthread_create: bad %d total %ld\n", bad, (long)total);
	thrd_create(&c, add11, &total);
	thrd_join(c, &r);
	printf("thrd_create: %d total %ld\n", r, (long)total);
}

/* Detached, with stacks so large that libc's cache does not keep them: the end frees everything,
 * signals blocked. */
static void *detached(void *arg)
{
	all_away();
	sem_post(arg);
	return NULL;
}

static void detached_ends(void)
{
	pthread_attr_t attr;
	pthread_t t;
	sem_t done;

	sem_init(&done, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 64ul << 20);
	for (int i = 0; i < 20; i++) {
		if (pthread_create(&t, &attr, detached, &done))
			abort();
		sem_wait(&done);
	}
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* they die now, or never */
	printf("detached ends\n");
}

/* ---- cancellation ---- */

static _Atomic int cleaned;
static void clean(void *p)
{
	cleaned += sum(p, PAGE) & 1;
}

static void *wait_for_cancel(void *arg)
{
	char *p = absent(1, 8), *q = absent(1, 9);
	int fd = *(int *)arg;

	pthread_cleanup_push(clean, p);
	away(p, PAGE), away(q, PAGE);
	read(fd, q, PAGE);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *spin_for_cancel(void *arg)
{
	volatile char *p = absent(1, 8);

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (;;)
		p[7]++;
	return NULL;
}

static void cancels(void)
{
	int fd[2], canceled = 0, spun = 0;
	pthread_t t;
	void *ret;

	if (pipe(fd))
		abort();
	for (int i = 0; i < 20; i++) {
		pthread_create(&t, NULL, wait_for_cancel, fd);
		if (i & 1)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		pthread_cancel(t);
		pthread_join(t, &ret);
		canceled += ret == PTHREAD_CANCELED;
	}
	for (int i = 0; i < 10; i++) {
		pthread_create(&t, NULL, spin_for_cancel, NULL);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		pthread_cancel(t);
		pthread_join(t, &ret);
		spun += ret == PTHREAD_CANCELED;
	}
	printf("cancelled %d asynchronously %d\n", canceled, spun);
}

/* ---- robust mutexes: the kernel walks a list in the heap when their owner dies ---- */

static void *die_with_it(void *m)
{
	pthread_mutex_lock(m);
	away(m, PAGE);
	return NULL;
}

static void robust(void)
{
	pthread_mutexattr_t a;
	int codes = 0;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	for (int i = 0; i < 10; i++) {
		pthread_mutex_t *m = aligned_alloc(PAGE, PAGE);
		pthread_t t;
		pthread_mutex_init(m, &a);
		pthread_create(&t, NULL, die_with_it, m);
		pthread_join(t, NULL);
		struct timespec soon;
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_sec += 5;
		codes += pthread_mutex_timedlock(m, &soon) == EOWNERDEAD;
		pthread_mutex_consistent(m);
		pthread_mutex_unlock(m);
	}
	printf("owner dead %d\n", codes);
}

/* ---- thread-specific data: destructors run when the thread is almost gone ---- */

static pthread_key_t key;
static _Atomic int rounds;
static void destroy(void *v)
{
	char *p = aligned_alloc(PAGE, PAGE); /* no longer managed, perhaps */
	int fd[2];

	memset(p, 1, PAGE);
	try_away(p, PAGE);
	/* and they make system calls with memory that is away */
	if (pipe(fd) || write(fd[1], p, PAGE) != PAGE)
		rounds += 1000;
	try_away(p, PAGE);
	try_away(v, PAGE);
	rounds += 1000 * (((char *)v)[5] != (char)(5 * 7 + 1));
	if (read(fd[0], p, PAGE) != PAGE)
		rounds += 1000;
	close(fd[0]), close(fd[1]);
	free(p);
	if (++rounds % PTHREAD_DESTRUCTOR_ITERATIONS)
		pthread_setspecific(key, v);
}

static void *with_data(void *arg)
{
	pthread_setspecific(key, absent(1, 1));
	return NULL;
}

static void destructors(void)
{
	pthread_t t;

	pthread_key_create(&key, destroy);
	for (int i = 0; i < 5; i++) {
		pthread_create(&t, NULL, with_data, NULL);
		pthread_join(t, NULL);
	}
	printf("destructor rounds %d\n", rounds);
}

/* ---- threads that libc makes ---- */

static sem_t fired;
static _Atomic unsigned seen;
static void on_event(union sigval v)
{
	seen += sum(v.sival_ptr, PAGE) % 1000;
	away(v.sival_ptr, PAGE);
	sem_post(&fired);
}

static struct sigevent by_thread(void *arg)
{
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_event};
	ev.sigev_value.sival_ptr = arg;
	return ev;
}

static void timers(void)
{
	struct sigevent ev = by_thread(absent(1, 2));
	timer_t id;

	sem_init(&fired, 0, 0);
	all_away();
	printf("timer_create %d\n", timer_create(CLOCK_MONOTONIC, &ev, &id));
	for (int i = 0; i < 5; i++) {
		struct itimerspec once = {.it_value = {.tv_nsec = 1000000}};
		all_away();
		timer_settime(id, 0, &once, NULL);
		sem_wait(&fired);
	}
	printf("timer_delete %d seen %u\n", timer_delete(id), seen);
}

static void notified(void)
{
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 64};
	char name[64];

	snprintf(name, sizeof(name), "/thread_contract.%d", getpid());
	mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, &attr);
	if (q == (mqd_t)-1) { /* no message queues here: as good as seen */
		printf("mq_notify 1000\n");
		return;
	}
	mq_unlink(name);
	struct sigevent ev = by_thread(absent(1, 4));
	seen = 0;
	mq_notify(q, &ev);
	all_away();
	mq_send(q, "x", 1, 0);
	sem_wait(&fired);
	printf("mq_notify %d\n", seen ? 1000 : 0);
	mq_close(q);
}

static void asynchronous_io(void)
{
	char name[] = "/tmp/thread_contract.XXXXXX";
	int fd = mkstemp(name);
	struct aiocb *cb = aligned_alloc(PAGE, PAGE);
	const struct aiocb *list[1];
	char *p = absent(3, 6), *q = absent(3, 0);

	unlink(name);
	for (int i = 0; i < 4; i++) {
		memset(cb, 0, sizeof(*cb));
		cb->aio_fildes = fd;
		cb->aio_buf = i & 1 ? q : p;
		cb->aio_nbytes = 3 * PAGE;
		list[0] = cb;
		away(p, 3 * PAGE), away(q, 3 * PAGE), all_away();
		int r = i & 1 ? aio_read(cb) : aio_write(cb);
		away(cb, PAGE);
		while (aio_error(cb) == EINPROGRESS)
			aio_suspend(list, 1, NULL);
		int e = aio_error(cb);
		ssize_t n = aio_return(cb);
		printf("aio %d error %d n %zd\n", r, e, n);
	}
	printf("aio data %d\n", !memcmp(p, q, 3 * PAGE));
	close(fd);
}

/* ---- raw calls ---- */

struct raw {
	char *p;
	int fd[2];
	_Atomic int tid, result;
};

static int raw_child(void *arg)
{
	struct raw *r = arg;
	unsigned s = sum(r->p, PAGE);

	r->result = (int)(s % 100);
	return (int)(s % 100);
}

static void raw_clones(void)
{
	struct raw *r = aligned_alloc(PAGE, PAGE);
	char *stack = malloc(256 << 10);
	int status = 0;

	*r = (struct raw){.p = absent(1, 7)};
	away(r, PAGE);
	/* As a process of its own memory, as a process that shares it while we wait, and by the
	 * other call. */
	pid_t pid = clone(raw_child, stack + (256 << 10), SIGCHLD, r);
	waitpid(pid, &status, 0);
	printf("clone %d, seen %d\n", WEXITSTATUS(status), r->result);
	away(r->p, PAGE), away(r, PAGE);
	pid = clone(raw_child, stack + (256 << 10), CLONE_VM | CLONE_VFORK | SIGCHLD, r);
	waitpid(pid, &status, 0);
	printf("clone vm %d, seen %d\n", WEXITSTATUS(status), r->result);
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = {.exit_signal = SIGCHLD};
	away(r->p, PAGE), away(r, PAGE);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0) /* the kernel may not have it */
		pid = fork();
	if (!pid)
		_exit(raw_child(r));
	waitpid(pid, &status, 0);
	printf("clone3 %d\n", WEXITSTATUS(status));
}

/* ---- the last thread ends the process, whichever it is ---- */

static void *linger(void *arg)
{
	usleep(20000);
	return arg;
}

static void *fork_and_end(void *arg)
{
	pid_t pid = fork();

	if (!pid) { /* its only thread, and not the one that main() runs in */
		printf("child of a thread, read %u\n", sum(arg, PAGE));
		away(arg, PAGE);
		return NULL;
	}
	int status = -1;
	waitpid(pid, &status, 0);
	printf("child of a thread ended, status %d\n", status);
	return NULL;
}

static void last_ones(void)
{
	pthread_t t;
	char *page = absent(1, 7);
	pid_t pid = fork();

	if (!pid) {
		page = absent(1, 8);
		pthread_create(&t, NULL, linger, NULL);
		printf("main leaves %u\n", sum(page, PAGE));
		pthread_exit(NULL);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	printf("the last thread ended, status %d\n", status);
	pthread_create(&t, NULL, fork_and_end, page);
	pthread_join(t, NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	libc_block = setlocale(LC_ALL, "C.UTF-8") ? setlocale(LC_ALL, NULL) : malloc(1);
	births();
	detached_ends();
	cancels();
	robust();
	destructors();
	timers();
	notified();
	asynchronous_io();
	raw_clones();
	last_ones();
	return 0;
}
