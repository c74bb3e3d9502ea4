/*
 * Kills its device's process, between regions or in one (argument "inside"), and goes on: what a
 * region did before is in the program's own memory. Prints what came out.
 */
#include <dirent.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The inodes of what a process has mapped that is GMEM's: a device and its program share some. */
static int inodes_of(const char *pid, unsigned long inode[], int max)
{
	char path[300], line[512];
	int n = 0;

	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	FILE *f = fopen(path, "r");
	while (f && n < max && fgets(line, sizeof line, f))
		if (strstr(line, "/memfd:gmem") &&
		    sscanf(line, "%*s %*s %*s %*s %lu", &inode[n]) == 1)
			n++;
	if (f)
		fclose(f);
	return n;
}

static int is_device(const char *pid)
{
	char path[300], exe[300];

	snprintf(path, sizeof path, "/proc/%s/exe", pid);
	ssize_t n = readlink(path, exe, sizeof exe - 1);
	exe[n > 0 ? n : 0] = 0;
	return n > 0 && strrchr(exe, '/') && !strcmp(strrchr(exe, '/'), "/gmem-devsim");
}

static int is_ours(const char *pid)
{
	static unsigned long mine[4096], its[4096];
	int n = inodes_of("self", mine, 4096), m = inodes_of(pid, its, 4096);

	for (int i = 0; i < n; i++)
		for (int k = 0; k < m; k++)
			if (mine[i] == its[k])
				return 1;
	return 0;
}

static int kill_device(void)
{
	DIR *proc = opendir("/proc");
	int killed = 0;

	for (struct dirent *e; proc && (e = readdir(proc));)
		if (atoi(e->d_name) > 0 && is_device(e->d_name) && is_ours(e->d_name))
			killed += kill(atoi(e->d_name), SIGKILL) == 0;
	if (proc)
		closedir(proc);
	return killed;
}

int main(int argc, char **argv)
{
	enum { N = 100000 };
	double *a = malloc(N * sizeof *a), sum = 0;
	int killed = 0, rounds = 5;

	for (int i = 0; i < N; i++)
		a[i] = 1;
	if (argc > 1) { /* until somebody ends it */
#pragma omp parallel num_threads(2)
		if (omp_get_thread_num() == 0) {
#pragma omp target
			for (;;)
				((volatile double *)a)[1] += 1;
		} else {
			while (((volatile double *)a)[1] == 1) /* until the region runs */
				usleep(1000);
			kill_device();
		}
		puts("went on");
		return 0;
	}
	for (int r = 0; r < rounds; r++) {
#pragma omp target teams distribute parallel for
		for (int i = 0; i < N; i++)
			a[i] = 2 * a[i];
		killed += kill_device();
	}
#pragma omp target map(tofrom : sum)
	for (int i = 0; i < N; i++)
		sum += a[i];
	fprintf(stderr, "killed %d\n", killed);
	printf("sum %.0f\n", sum);
	return sum != 32.0 * N;
}
