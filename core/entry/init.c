/*
 * init.c - reads the options of a program that links libgmem.so, before main. Part of libgmem.so
 * only, linked last: the driver's constructors, which check device names, have run by then.
 * (Under libgmem_preload.so its init.c decides what else happens; it may bypass this process.)
 */
#include "core/rules/opt.h"
#include "core/page/plugin.h"
#include "core/sys/text.h"
#include "core/count/stats.h"
#include <stdbool.h>

static bool contains(const char *s, const char *word)
{
	while (*s && !gm_text_after(s, word))
		s++;
	return *s;
}

static bool preloaded(char *const *envp)
{
	for (; *envp; envp++)
		if (contains(*envp, "libgmem_preload.so"))
			return true;
	return false;
}

static void refuse_to_start(const char *why)
{
	gmi_log_level = GM_LOG_ERROR;
	gmi_log(GM_LOG_ERROR, "%s", why);
	gm_sys1(SYS_exit_group, 2);
}

__attribute__((constructor)) static void read_options(int argc, char **argv, char **envp)
{
	char err[1024];

	if (gmi_opt_parse(envp, err, sizeof err) != 0)
		refuse_to_start(err);
	if (gmi_opt.disable || preloaded(envp)) /* the preload's init.c goes on */
		return;
	if (gmi_opt.ndev && gmi_plugin_load(gmi_opt.policy_file, err, sizeof err) != 0)
		refuse_to_start(err);
	if (gmi_opt.report_given)
		gmi_report_start();
}
