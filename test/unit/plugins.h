/* plugins.h - what test_plugin.c and its plug-ins share. */
#ifndef GM_TEST_PLUGINS_H
#define GM_TEST_PLUGINS_H

#include <gmem/policy.h>

#define LOG_MAX 256

/* The good one's state: what it has seen. */
struct page_set_log {
	uint64_t va[LOG_MAX];
	unsigned n;
};
struct plugin_log {
	struct page_set_log fault, touch, evict;
	unsigned launches, ticks, pages, used_pages;
	uint64_t page_bytes;
	char kernel[32];
};
/* What the good one is to answer; all of the block; these pages ahead, once. */
struct plugin_ask {
	bool all;
	unsigned naheads;
	uint64_t ahead[GM_POLICY_AHEAD];
};
extern struct plugin_ask plugin_ask;
extern struct plugin_log *plugin_log; /* its state, once it has been called */
extern void (*plugin_call_back)(void);

#endif
