/*
 * variant.h - tests that run once more for each CPU back end and device page size:
 * TEST_VARIANT=BACKEND-PAGE, for example uffd-4K (test/unit/variants.mk makes the runs). Include
 * it in one file of the program.
 */
#ifndef TEST_VARIANT_H
#define TEST_VARIANT_H

#include "core/rules/opt.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t variant_page = 65536; /* the device's page size, unless a test needs its own */

__attribute__((constructor(200))) static void variant_choose(void)
{
	const char *v = getenv("TEST_VARIANT"), *page = v ? strchr(v, '-') : NULL;
	uint64_t bytes;

	if (!v)
		return;
	if (!page || gmi_parse_bytes(page + 1, &bytes)) {
		fprintf(stderr, "TEST_VARIANT=%s is not valid; valid: sigsegv-4K, uffd-2M, ...\n",
			v);
		_exit(2);
	}
	variant_page = bytes;
	if (strncmp(v, "uffd-", 5) != 0)
		return;
	gmi_opt.fault = GM_FAULT_UFFD;
	long fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0) {
		printf("skip %s: the kernel refuses userfaultfd: %m\n", v);
		fflush(stdout);
		_exit(77);
	}
	close((int)fd);
}

#endif
