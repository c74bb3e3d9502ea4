/*
 * numbers.c - moves a known amount of memory to a device and back, then ends as its argument
 * says: numbers_test.sh knows what
 * the report must say, to the byte. usage: numbers MEM END  (END: exit, _exit, abort, kill, segv)
 */
#include <gmem/device.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devsim/mem_wire.h"

#define MIB   (1ul << 20)
#define BYTES (8 * MIB)

static void check(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "numbers: %s: %s\n", what, strerror(-err));
	exit(1);
}

int main(int argc, char **argv)
{
	char spec[64];
	struct gm_sim *sim;

	snprintf(spec, sizeof spec, "pcie4-gpu,page=64K,workers=1,mem=%s", argv[1]);
	check(gm_sim_open(spec, &sim), "open");
	check(gm_sim_attach(sim, gm_as_default()), "attach");
	char *p = gm_mmap(NULL, NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (p == MAP_FAILED)
		return 1;
	memset(p, 1, BYTES);
	struct ds_mem_args fill = {.dst = p, .bytes = BYTES, .value = 2};
	check(gm_sim_launch(sim, 0, "memset", 1, &fill, sizeof fill, NULL), "memset");
	for (size_t at = 0; at < BYTES; at += 65536)
		if (p[at]++ != 2)
			return 1;
	if (!strcmp(argv[2], "exit"))
		return 0;
	if (!strcmp(argv[2], "_exit"))
		_exit(0);
	if (!strcmp(argv[2], "abort"))
		abort();
	raise(!strcmp(argv[2], "kill") ? SIGKILL : SIGSEGV);
	return 1;
}
