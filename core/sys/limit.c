/* limit.c - limits of the processes that we start: the program's are its own affair. */
#include "core/sys/sys.h"
#include <errno.h>
#include <sys/resource.h>

struct limit {
	uint64_t cur, max;
};

uint64_t gmc_limit(int resource)
{
	struct limit lim = {RLIM_INFINITY, RLIM_INFINITY};

	gm_sys4(SYS_prlimit64, 0, resource, NULL, &lim);
	return lim.cur;
}

/* (On a borrowed stack, as in spawn.c.) */
__attribute__((no_sanitize_address)) void gmc_limit_raise(int resource)
{
	struct limit none = {RLIM_INFINITY, RLIM_INFINITY}, lim = none;

	if (gm_sys4(SYS_prlimit64, 0, resource, &none, &lim) == 0)
		return;
	gm_sys4(SYS_prlimit64, 0, resource, NULL, &lim);
	lim.cur = lim.max;
	gm_sys4(SYS_prlimit64, 0, resource, &lim, NULL);
}

const char *gmi_limit_behind(int err)
{
	static const struct gm_error_words limits[] = {
		{-EFBIG,
		 "the limit for files is smaller than its memory (RLIMIT_FSIZE, ulimit -f)"},
		{-ENOMEM, "no memory or no addresses (RLIMIT_AS, RLIMIT_DATA; ulimit -v, -d)"},
		{-EMFILE, "no descriptor is left (RLIMIT_NOFILE, ulimit -n)"},
		{-ENFILE, "the system has no file handle left (fs.file-max)"},
		{-EAGAIN, "no process more can be made (RLIMIT_NPROC, ulimit -u; pids.max)"},
	};

	return gm_words_of(limits, GM_ARRAY_LEN(limits), err);
}
