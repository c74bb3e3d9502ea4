/*
 * minimal_app.c - a program with the example driver's device. Every result is compared with the
 * CPU's own; a call that fails must have left each number as it was or as it was to be.
 *	minimal_app [ROUNDS]	prints "N calls right, M failed"; status 0 only if all data was
 *				right at all times
 * With GMEM_INJECT things fail on the way: then calls fail, data does not.
 */
#include "minimal_driver.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)
#define N   (2 * MIB / sizeof(float))

static struct minimal *device;
static unsigned long right, failed;
static volatile sig_atomic_t not_home;

static void die(const char *what, int err)
{
	fprintf(stderr, "minimal_app: %s: %s\n", what, strerror(err));
	exit(1);
}

static float *take(size_t bytes)
{
	float *p;

	do
		p = gm_mmap(NULL, NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_PEER_SHARED, -1, 0);
	while (p == MAP_FAILED && ++failed < 100);
	if (p == MAP_FAILED)
		die("gm_mmap", errno);
	return p;
}

/* A page does not come home (something was made to fail): it is still where it was. The access
 * is tried again. */
static void on_bus_error(int sig)
{
	not_home++;
}

static int attempt(int err)
{
	err ? failed++ : right++;
	return err;
}

/* y += a * x on the device; y was `old` throughout, x is `value`. */
static void add(float *x, float *y, float a, float value, float old)
{
	int err = attempt(minimal_saxpy(device, N, a, x, y, NULL));

	for (size_t i = 0; i < N; i++) {
		if (y[i] != old + a * value && !(err && y[i] == old)) {
			fprintf(stderr, "minimal_app: y[%zu] is %g, not %g (error %d)\n", i,
				(double)y[i], (double)(old + a * value), err);
			exit(1);
		}
		y[i] = old + a * value;
	}
}

static void bad_addresses(float *x, float *y)
{
	uint64_t where;

	if (gm_mprotect(y, 4096, PROT_READ) ||
	    minimal_saxpy(device, 1, 1, x, y, &where) != -EPERM || where != (uint64_t)(uintptr_t)y)
		die("a write to read-only memory", EPERM);
	if (gm_mprotect(y, 4096, PROT_READ | PROT_WRITE) || gm_munmap(x, 4096) ||
	    minimal_saxpy(device, 1, 1, x, y, &where) != -EFAULT || where != (uint64_t)(uintptr_t)x)
		die("a read of unmapped memory", EFAULT);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 4;
	float *x = take(N * sizeof *x), *y = take(N * sizeof *y), old = 0;

	signal(SIGBUS, on_bus_error);
	/* half of what it will work on */
	while (attempt(minimal_probe(gm_as_default(), 2 * MIB, &device)))
		if (failed > 100)
			die("minimal_probe", EIO);
	for (int i = 1; i <= rounds; i++) {
		for (size_t k = 0; k < N; k++)
			x[k] = (float)i;
		if (i % 2)
			attempt(hmadvise(minimal_hnid(device), x, N * sizeof *x, MADV_PREFETCH));
		add(x, y, 2, (float)i, old);
		old += 2 * (float)i;
		attempt(hmemcpy(minimal_hnid(device), x, y, MIB));
	}
	if (!failed)
		bad_addresses(x, y);
	while (attempt(minimal_remove(device)))
		if (failed > 10000)
			die("minimal_remove", EIO);
	printf("%lu calls right, %lu failed, %d times not home\n", right, failed, (int)not_home);
	return 0;
}
