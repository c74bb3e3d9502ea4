/*
 * The floor of a device fault: a second process touches an address, its SIGSEGV handler asks
 * over a spinning ring, this process revokes, copies and answers with a frame, the other maps
 * it. Usage: floor_device_fault [PAGE_BYTES]. Prints microseconds per fault, everything warm.
 */
#include "ring.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define WINDOW ((char *)0x300000000000)

static size_t page, bytes, faults;
static int device_fd;
static char *host, *device;
static struct ring *ring;

static void on_device_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	ring->addr = (uintptr_t)info->si_addr & ~(page - 1);
	ring_ask(ring);
	if (mmap((void *)ring->addr, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 device_fd, (off_t)ring->frame) == MAP_FAILED)
		_exit(1);
}

/* The device: writes one byte of every page, one after the other. */
__attribute__((noreturn)) static void device_process(void)
{
	struct sigaction action = {.sa_sigaction = on_device_fault,
				   .sa_flags = SA_SIGINFO | SA_NODEFER};
	double start;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGSEGV, &action, NULL);
	if (mmap(WINDOW, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
		 -1, 0) == MAP_FAILED)
		_exit(1);
	ring_ask(ring); /* both sides are up */
	start = bench_now();
	for (size_t o = 0; o < bytes; o += page)
		*(volatile char *)(WINDOW + o) = 4;
	ring->us = (bench_now() - start) / (double)(bytes / page) * 1e6;
	atomic_store(&ring->done, true);
	atomic_fetch_add(&ring->request, 1);
	_exit(0);
}

static void serve(void)
{
	size_t frame = 0;
	unsigned seen = 0;

	faults = 0;
	ring_wait(&ring->request, seen++);
	atomic_fetch_add(&ring->reply, 1);
	for (;; faults++) {
		ring_wait(&ring->request, seen++);
		if (atomic_load(&ring->done))
			return;
		char *at = (char *)ring->addr; /* NOLINT: the device sends addresses */
		mprotect(at, page, PROT_READ);
		memcpy(device + frame, host + (at - WINDOW), page);
		mprotect(at, page, PROT_NONE);
		ring->frame = frame;
		frame += page;
		atomic_fetch_add(&ring->reply, 1);
	}
}

static double round_us(void)
{
	pid_t pid;
	int status;

	memset(ring, 0, sizeof *ring);
	mprotect(WINDOW, bytes, PROT_READ | PROT_WRITE);
	for (size_t o = 0; o < bytes; o += 4096)
		((volatile char *)WINDOW)[o] = 7;
	pid = fork();
	if (!pid)
		device_process();
	serve();
	if (waitpid(pid, &status, 0) != pid || status || faults != bytes / page)
		bench_die("%zu faults instead of %zu", faults, bytes / page);
	return ring->us;
}

int main(int argc, char **argv)
{
	double us[BENCH_ROUNDS];
	int host_fd;

	page = bench_page_arg(argc, argv, 1);
	bytes = bench_walk_bytes(page);
	alarm(60); /* both sides spin: never for ever */
	ring = ring_create();
	host_fd = bench_memfd("host", bytes);
	device_fd = bench_memfd("device", bytes);
	host = bench_alias(bytes, host_fd, 5);
	device = bench_alias(bytes, device_fd, 1);
	bench_map(WINDOW, bytes, PROT_READ | PROT_WRITE, host_fd);
	round_us();
	for (int i = 0; i < BENCH_ROUNDS; i++)
		us[i] = round_us();
	printf("%.3f\n", bench_median(us, BENCH_ROUNDS));
	return 0;
}
