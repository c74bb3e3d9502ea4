/*
 * arena.c - functions of the host that parallel regions call: for each thread of the device that
 * has called there is one here that stands for it, so that who took a lock also gives it back.
 *
 * The arena is shared memory and outlives the device's processes; a child of fork has none and
 * makes its own.
 */
#include "omp/parallel/arena.h"
#include "omp/core/host.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPIN 2000

void gmo_perform(uint64_t fn, struct gmo_frame *f, const uint64_t *stack);

static struct {
	struct gmo_arena *at;
	int fd;	   /* by which a device finds what is mapped there */
	pid_t pid; /* whose it is */
	struct stat file;
} made;
static __thread bool in_host_call;

bool gmo_in_host_call(void)
{
	return in_host_call;
}

static void arena_wait(_Atomic uint32_t *word, uint32_t is)
{
	for (int i = 0; i < SPIN && *word == is; i++)
		__builtin_ia32_pause();
	if (*word == is)
		syscall(SYS_futex, word, FUTEX_WAIT, is, NULL, NULL, 0);
}

void gmo_answer(void *slot)
{
	struct gmo_slot *s = slot;
	bool within = in_host_call;

	if (s->state != GMO_CALL_CALLED)
		return;
	in_host_call = true;
	errno = s->error;
	gmo_perform(s->fn, &s->frame, s->stack);
	s->error = errno;
	s->state = GMO_CALL_ANSWERED;
	in_host_call = within;
}

static void *answer_calls(void *of)
{
	struct gmo_slot *s = of;

	for (;;) {
		uint32_t state = s->state;
		if (state != GMO_CALL_CALLED) {
			arena_wait(&s->state, state);
			continue;
		}
		gmo_answer(s);
		syscall(SYS_futex, &s->state, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
	return NULL;
}

/* Signals are for the program's own threads. */
static bool start_masked(void *(*fn)(void *), void *of)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	int err = pthread_create(&thread, &attr, fn, of);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return !err;
}

/* A thread for each slot that is taken for the first time. */
static void *caretaker(void *of)
{
	struct gmo_arena *a = of;

	for (uint32_t n = 0;;) {
		if (a->callers == n)
			arena_wait(&a->callers, n);
		while (n < a->callers)
			if (start_masked(answer_calls, &a->slot[n]))
				n++;
			else
				usleep(1000); /* the region waits */
	}
	return NULL;
}

/* Has the program closed our descriptor? */
static bool is_open(void)
{
	struct stat st;

	return fstat(made.fd, &st) == 0 && st.st_ino == made.file.st_ino &&
	       st.st_dev == made.file.st_dev;
}

/* Beyond the limit for files ftruncate() would raise a signal. */
static int size_arena(int fd)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < GMO_ARENA_BYTES) {
		errno = EFBIG;
		return -1;
	}
	return ftruncate(fd, (off_t)GMO_ARENA_BYTES);
}

static struct gmo_arena *map_arena(void)
{
	int low = memfd_create("parallel-regions", MFD_CLOEXEC), fd = -1;
	void *p = MAP_FAILED;

	if (low >= 0 && (fd = fcntl(low, F_DUPFD_CLOEXEC, 700)) >= 0)
		close(low);
	else
		fd = low;
	if (fd >= 0 && size_arena(fd) == 0 && fstat(fd, &made.file) == 0)
		p = mmap(NULL, GMO_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			 fd, 0);
	if (p == MAP_FAILED) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	madvise(p, GMO_ARENA_BYTES, MADV_DONTFORK);
	madvise(p, GMO_ARENA_BYTES, MADV_DONTDUMP);
	made.fd = fd;
	return p;
}

/* Locked. */
static struct gmo_arena *arena_of_process(void)
{
	if (made.at && made.pid == getpid() && is_open())
		return made.at;
	struct gmo_arena *a = map_arena();
	if (!a || !start_masked(caretaker, a)) {
		gm_log(GM_LOG_WARN,
		       "parallel regions run on the host: no memory or thread for what they call "
		       "(%s)",
		       errno == EFBIG ? "the limit for files, ulimit -f, is smaller"
				      : strerror(errno));
		return NULL;
	}
	made.at = a;
	made.pid = getpid();
	return a;
}

struct gmo_arena *gmo_arena(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	struct gmo_arena *a = arena_of_process();
	pthread_mutex_unlock(&lock);
	return a;
}

struct gmo_slot *gmo_starter_slot(void)
{
	struct gmo_arena *a = gmo_arena();

	for (unsigned i = 0; a && i < GMO_STARTERS; i++) {
		uint32_t nobody = 0;
		if (!atomic_compare_exchange_strong(&a->starter[i].owner, &nobody,
						    (uint32_t)gettid()))
			continue;
		a->starter[i].state = GMO_CALL_IDLE;
		return &a->starter[i];
	}
	return NULL;
}

void gmo_starter_slot_free(struct gmo_slot *s)
{
	if (s)
		atomic_store(&s->owner, 0);
}
