/*
 * The price of system calls. Usage: syscalls pipe|raw [threaded] [active]. threaded: the program
 * has another thread, asleep, as it has with a device; libc and the kernel then take longer for
 * the same call. pipe: write and read 64 B through a pipe , heap buffers on the
 * host; raw: a call that no symbol hook sees. active: first send another page to a device, which
 * turns dispatching on. Prints nanoseconds per call, of the fastest round.
 */
#include "gmem.h"
#include <pthread.h>

#define CALLS  2000
#define ROUNDS 101
#define BYTES  64

static int fds[2];
static char *buffer;

static void pipe_calls(void)
{
	for (int i = 0; i < CALLS / 2; i++)
		if (write(fds[1], buffer, BYTES) != BYTES || read(fds[0], buffer, BYTES) != BYTES)
			bench_die("pipe: %s", strerror(errno));
}

static void raw_calls(void)
{
	for (int i = 0; i < CALLS; i++)
		if (syscall(SYS_getppid) < 0)
			bench_die("getppid: %s", strerror(errno));
}

static void activate(void)
{
	const size_t bytes = 2 * MIB;
	struct bench_device device = bench_open(64 * MIB, 65536);
	char *away = bench_managed(bytes);

	bench_check(hmadvise(device.hnid, away, bytes, MADV_PREFETCH));
	bench_expect(away, bytes, GM_DEVICE);
}

static void *sleeper(void *unused)
{
	pause();
	return unused;
}

static void start_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleeper, NULL))
		bench_die("no thread");
}

int main(int argc, char **argv)
{
	double ns[ROUNDS];
	void (*calls)(void) = argc > 1 && !strcmp(argv[1], "raw") ? raw_calls : pipe_calls;

	buffer = malloc(BYTES);
	if (!buffer || pipe(fds))
		bench_die("pipe: %s", strerror(errno));
	memset(buffer, 1, BYTES);
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], "threaded"))
			start_thread();
		else
			activate();
	calls();
	for (int i = 0; i < ROUNDS; i++) {
		double start = bench_now();

		calls();
		ns[i] = (bench_now() - start) / CALLS * 1e9;
	}
	printf("%.1f\n", bench_fastest(ns, ROUNDS));
	return 0;
}
