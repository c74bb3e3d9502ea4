/* Kills the device's process of this program; for programs that know nothing else of GMEM. */
#include <dirent.h>
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
