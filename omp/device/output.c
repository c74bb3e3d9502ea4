/*
 * output.c - what regions print. It goes to a file without a name that is this process's
 * standard output, whoever writes there (C, C++, Fortran); the host takes it and prints it.
 */
#include "omp/device/module.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

pthread_mutex_t gmo_lock = PTHREAD_MUTEX_INITIALIZER;
static bool collecting;
static _Atomic uint64_t taken; /* bytes of the file that the host has */

void gmo_warn(const char *what, const char *why)
{
	fprintf(stderr, "gmem-devsim: %s: %s\n", what, why);
}

void gmo_collect_output(void)
{
	if (collecting)
		return;
	int fd = memfd_create("region-output", MFD_CLOEXEC);
	collecting = fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 &&
		     fcntl(STDOUT_FILENO, F_SETFL, O_APPEND) == 0;
	if (!collecting)
		gmo_warn("what regions print is lost", "no memory");
	if (fd >= 0)
		close(fd);
	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
}

/* libgfortran has buffers of its own; NULL: those of all units. */
static void flush_all(void)
{
	static void (*_Atomic flush_fortran)(int *);
	static _Atomic bool looked;

	fflush(stdout);
	if (!looked) {
		flush_fortran =
			(void (*)(int *))(uintptr_t)dlsym(RTLD_DEFAULT, "_gfortran_flush_i4");
		looked = flush_fortran != NULL;
	}
	if (flush_fortran)
		flush_fortran(NULL);
}

uint64_t gmo_collected(void)
{
	struct stat st;

	if (!collecting)
		return 0;
	flush_all();
	return fstat(STDOUT_FILENO, &st) ? 0 : (uint64_t)st.st_size - taken;
}

GM_KERNEL gmo_output(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_output *a = args;
	char buffer[4096];
	uint64_t done = 0;
	ssize_t n = 1;

	/* not pread() into the window: the kernel does not wait for its pages */
	pthread_mutex_lock(&gmo_lock);
	while (done < a->bytes && n > 0) {
		uint64_t left = a->bytes - done;
		n = pread(STDOUT_FILENO, buffer, left < sizeof buffer ? left : sizeof buffer,
			  (off_t)taken);
		if (n > 0) {
			memcpy((char *)a->window + done, buffer, (size_t)n);
			done += (uint64_t)n;
			taken += (uint64_t)n;
		}
	}
	fallocate(STDOUT_FILENO, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)taken);
	pthread_mutex_unlock(&gmo_lock);
	dev_launch_reply(done);
	return 0;
}

/*
 * OMP_NUM_THREADS_DEV_<n>, OMP_NUM_THREADS_DEV, else the device's workers. OMP_NUM_THREADS is
 * the host's (OpenMP 5.1, 6.2).
 */
void gmo_set_threads(const char *variable, unsigned threads)
{
	char number[16];
	const char *n = getenv(variable);

	if (!n)
		n = getenv("OMP_NUM_THREADS_DEV");
	if (!n) {
		snprintf(number, sizeof number, "%u", threads);
		n = number;
	}
	setenv("OMP_NUM_THREADS", n, 1);
	gmo_set_wait();
}

/* Long enough for the next region (libomp: in ms; libgomp: turns of a loop); then the CPUs are
 * the host's. */
void gmo_set_wait(void)
{
	if (!gmo_wait_is_chosen()) {
		setenv("KMP_BLOCKTIME", "1", 1);
		setenv("GOMP_SPINCOUNT", "20000", 1);
	}
	/* libomp's locks are words of the program's memory, good in both processes */
	setenv("KMP_LOCK_KIND", "tas", 0);
	unsetenv("OMP_DISPLAY_ENV"); /* said once, by the program */
}

bool gmo_collides(const struct gmo_range *r, uint64_t n)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin, end;
	char line[512];
	bool found = false;

	while (maps && !found && fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx", &begin, &end) != 2 || strstr(line, "[vsyscall]"))
			continue;
		for (uint64_t i = 0; i < n && !found; i++)
			found = begin < r[i].end && r[i].begin < end;
	}
	if (maps)
		fclose(maps);
	return found;
}
