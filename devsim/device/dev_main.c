/*
 * dev_main.c - gmem-devsim: the process of one simulated accelerator. Started by the driver
 * (sim_process.c), never by hand.
 */
#include "devsim/device/dev.h"
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct ds_ctl *ctl;
unsigned dev_cpus;

void dev_say(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	int n = snprintf(line, sizeof line, "gmem-devsim: ");
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	if (write(2, line, (size_t)n) < 0)
		return; /* nobody listens */
}

uint64_t dev_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void dev_futex_wait(_Atomic uint32_t *w, uint32_t seen)
{
	syscall(SYS_futex, w, FUTEX_WAIT, seen, NULL, NULL, 0);
}

void dev_futex_wake(_Atomic uint32_t *w, int n)
{
	syscall(SYS_futex, w, FUTEX_WAKE, n, NULL, NULL, 0);
}

void dev_futex_wait_bits(_Atomic uint32_t *w, uint32_t seen, uint32_t bits)
{
	syscall(SYS_futex, w, FUTEX_WAIT_BITSET, seen, NULL, NULL, bits);
}

void dev_futex_wake_bits(_Atomic uint32_t *w, uint32_t bits)
{
	syscall(SYS_futex, w, FUTEX_WAKE_BITSET, INT32_MAX, NULL, NULL, bits);
}

bool dev_trylock(_Atomic uint32_t *lock)
{
	uint32_t expected = 0;

	return atomic_compare_exchange_strong(lock, &expected, 1);
}

void dev_lock(_Atomic uint32_t *lock)
{
	for (int i = 0; i < 100; i++) {
		if (dev_trylock(lock))
			return;
		__builtin_ia32_pause();
	}
	while (atomic_exchange(lock, 2) != 0)
		dev_futex_wait(lock, 2);
}

void dev_unlock(_Atomic uint32_t *lock)
{
	if (atomic_exchange(lock, 0) == 2)
		dev_futex_wake(lock, 1);
}

static void refuse_start(void)
{
	atomic_store(&ctl->ready, DS_REFUSED);
	dev_futex_wake(&ctl->ready, 1);
	exit(1);
}

static bool map_given_ctl(void)
{
	ctl = mmap(NULL, sizeof *ctl, PROT_READ | PROT_WRITE, MAP_SHARED, DS_FD_CTL, 0);
	if (ctl == MAP_FAILED || ctl->magic != DS_MAGIC) {
		dev_say("is started by libgmem, not by hand");
		return false;
	}
	if (ctl->version == DS_VERSION)
		return true;
	dev_say("libgmem speaks version %u of the device protocol, this program %u", ctl->version,
		DS_VERSION);
	refuse_start();
	return false;
}

static void start_device_thread(void *(*fn)(void *), uintptr_t arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, fn, (void *)arg);

	if (err) {
		dev_say("cannot start a thread: %s", strerror(err));
		refuse_start();
	}
	pthread_detach(thread);
}

/*
 * Memory of the program outside the windows appears here at the program's own addresses: so our
 * own must not be where every process has its libraries and thread stacks. The kernel places
 * them below the room that the stack may grow into: with a large limit they lie far down. Takes
 * effect at exec: this program once more.
 */
#define STACK_ROOM ((rlim_t)32 << 40)
#define STACK_KEPT ((size_t)8 << 20)

static void keep_out_of_the_way(char **argv)
{
	struct rlimit old, lim;
	pthread_attr_t attr;

	if (getrlimit(RLIMIT_STACK, &old))
		return;
	if (old.rlim_cur == STACK_ROOM) { /* the second time */
		lim = (struct rlimit){STACK_KEPT, old.rlim_max};
		setrlimit(RLIMIT_STACK, &lim);
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, STACK_KEPT);
		pthread_setattr_default_np(&attr);
		pthread_attr_destroy(&attr);
		return;
	}
	lim = (struct rlimit){STACK_ROOM, old.rlim_max};
	if (setrlimit(RLIMIT_STACK, &lim) == 0)
		execv("/proc/self/exe", argv);
	setrlimit(RLIMIT_STACK, &old); /* as it was: addresses are compared before a region runs */
}

/* Until the host has gone: its end of the socket closes with it, exec included; a fork child may
 * hold a copy for a moment. */
static void outlive_nobody(void)
{
	struct pollfd fds[2] = {
		/* hang-up, or the host's wish; data is for dev_mmu.c */
		{.fd = DS_FD_SOCK, .events = POLLRDHUP},
		{.fd = (int)syscall(SYS_pidfd_open, ctl->host_pid, 0), .events = POLLIN},
	};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (!map_given_ctl())
		return 1;
	if (ctl->keep_away)
		keep_out_of_the_way(argv);
	dev_cpus = sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
	dev_record_init();
	if (!dev_mmu_init())
		refuse_start();
	dev_fault_init();
	dev_confine();
	start_device_thread(dev_mmu_thread, 0);
	for (unsigned i = 0; i < ctl->workers; i++)
		start_device_thread(dev_worker_thread, i);
	atomic_store(&ctl->ready, DS_READY);
	dev_futex_wake(&ctl->ready, 1);
	outlive_nobody();
	_exit(0);
}
