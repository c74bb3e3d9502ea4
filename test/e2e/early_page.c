/*
 * early_page.c - a library whose constructor sends a page to a device: before the preload's
 * constructor ran, which comes after those of the program's libraries. Afterwards a call that no
 * hook covers needs the page. With EARLY_THREAD it is a thread that sends it.
 */
#include <gmem/device.h>
#include <gmem/gmem.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES (2u << 20)
#define PATHS (1u << 20)
#define MAIN  (512u << 10)

static char *page;

static void *send(void *unused)
{
	struct gm_sim *sim;
	int err = gm_sim_open("pcie4-gpu,mem=64M", &sim);

	if (!err)
		err = gm_sim_attach(sim, gm_as_default());
	page = gm_mmap(NULL, NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	strcpy(page + PATHS, "/proc/self/exe");
	strcpy(page + PATHS + MAIN, "/proc/self/exe");
	if (!err)
		err = hmadvise(gm_dev_hnid(gm_sim_dev(sim)), page, BYTES, MADV_PREFETCH);
	printf("sent %d\n", err);
	return NULL;
}

/* The kernel writes into one page that is away, and reads a path from another. */
static void use(const char *where, size_t at)
{
	bool served = !stat("/proc/self/exe", (struct stat *)(page + at)) &&
		      !access(page + PATHS + at, F_OK);

	printf("%s: %s\n", where, served ? "served" : strerror(errno));
	fflush(stdout);
}

__attribute__((constructor)) static void begin(void)
{
	pthread_t thread;

	if (getenv("EARLY_THREAD")) {
		pthread_create(&thread, NULL, send, NULL);
		pthread_join(thread, NULL);
	} else {
		send(NULL);
	}
	use("constructor", 0);
}

void early_use(void); /* by main */
void early_use(void)
{
	use("main", MAIN);
}
