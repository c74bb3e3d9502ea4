/*
 * The usual alternative for a CPU fault: a userfaultfd thread that copies through the alias and
 * lets the page appear (minor faults on shared memory). Usage: floor_uffd [PAGE_BYTES]. Prints
 * microseconds per fault, everything warm.
 */
#include "bench.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

static size_t page;
static char *window, *host, *device;
static int uffd;
static atomic_size_t faults;

static void *serve(void *arg)
{
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof msg) == sizeof msg) {
		uintptr_t at = msg.arg.pagefault.address & ~(page - 1);
		size_t off = at - (uintptr_t)window;
		struct uffdio_continue publish = {.range = {at, page}};

		memcpy(host + off, device + off, page);
		atomic_fetch_add(&faults, 1);
		if (ioctl(uffd, UFFDIO_CONTINUE, &publish))
			bench_die("UFFDIO_CONTINUE: %s", strerror(errno));
	}
	return arg;
}

static void watch(size_t bytes)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM};
	struct uffdio_register range = {.range = {(uintptr_t)window, bytes},
					.mode = UFFDIO_REGISTER_MODE_MINOR};

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		bench_skip("userfaultfd is not permitted here: %s", strerror(errno));
	if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &range))
		bench_skip("userfaultfd lacks minor faults on shared memory: %s", strerror(errno));
}

static double round_us(size_t bytes)
{
	double start;

	if (madvise(window, bytes, MADV_DONTNEED))
		bench_die("madvise: %s", strerror(errno));
	atomic_store(&faults, 0);
	start = bench_now();
	for (size_t o = 0; o < bytes; o += page)
		((volatile char *)window)[o] = 3;
	start = bench_now() - start;
	if (atomic_load(&faults) != bytes / page)
		bench_die("%zu faults instead of %zu", atomic_load(&faults), bytes / page);
	return start / (double)(bytes / page) * 1e6;
}

int main(int argc, char **argv)
{
	double us[BENCH_ROUNDS];
	pthread_t thread;
	size_t bytes;
	int host_fd;

	page = bench_page_arg(argc, argv, 1);
	bytes = bench_walk_bytes(page);
	host_fd = bench_memfd("host", bytes);
	host = bench_alias(bytes, host_fd, 1);
	device = bench_alias(bytes, bench_memfd("device", bytes), 2);
	window = bench_map((void *)0x300000000000, bytes, PROT_READ | PROT_WRITE, host_fd);
	watch(bytes);
	if (pthread_create(&thread, NULL, serve, NULL))
		bench_die("pthread_create failed");
	round_us(bytes);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		us[i] = round_us(bytes);
	printf("%.3f\n", bench_median(us, BENCH_ROUNDS));
	return 0;
}
