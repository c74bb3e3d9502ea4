/*
 * The floor of a CPU fault on a device-resident page: a SIGSEGV handler that does nothing but an
 * alias copy and mprotect. Usage: floor_cpu_fault [PAGE_BYTES]. Prints microseconds per fault,
 * everything warm.
 */
#include "bench.h"
#include <fcntl.h>
#include <signal.h>

static size_t page;
static int host_fd, cold;
static char *window, *host, *device;
static volatile size_t faults;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr & ~(page - 1);
	size_t off = at - (uintptr_t)window;

	(void)sig, (void)context;
	memcpy(host + off, device + off, page);
	mprotect((void *)at, page, PROT_READ | PROT_WRITE);
	faults++;
}

static double round_us(size_t bytes)
{
	double start;

	if (mprotect(window, bytes, PROT_NONE))
		bench_die("mprotect: %s", strerror(errno));
	if (cold && fallocate(host_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes))
		bench_die("fallocate: %s", strerror(errno));
	faults = 0;
	start = bench_now();
	for (size_t o = 0; o < bytes; o += page)
		((volatile char *)window)[o] = 3;
	start = bench_now() - start;
	if (faults != bytes / page)
		bench_die("%zu faults instead of %zu", (size_t)faults, bytes / page);
	return start / (double)(bytes / page) * 1e6;
}

int main(int argc, char **argv)
{
	static char stack[1 << 16];
	stack_t altstack = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	double us[BENCH_ROUNDS];
	size_t bytes;

	page = bench_page_arg(argc, argv, 1);
	cold = argc > 2;
	bytes = bench_walk_bytes(page);
	sigaltstack(&altstack, NULL);
	sigaction(SIGSEGV, &action, NULL);
	host_fd = bench_memfd("host", bytes);
	host = bench_alias(bytes, host_fd, 1);
	device = bench_alias(bytes, bench_memfd("device", bytes), 2);
	window = bench_map((void *)0x300000000000, bytes, PROT_NONE, host_fd);
	round_us(bytes);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		us[i] = round_us(bytes);
	printf("%.3f\n", bench_median(us, BENCH_ROUNDS));
	return 0;
}
