/* idle.h - why nothing ran on a device. For the reporter. */
#ifndef GM_TOOLS_IDLE_H
#define GM_TOOLS_IDLE_H

#include "tools/view.h"

struct idle { /* zeros: nothing seen */
	char *maps, *environment;
	size_t environment_bytes;
};
/* Looks at the process; what cannot be read stays as it was seen before. */
void idle_look(struct idle *i, int pid);
/* Fills v->idle when no kernel was launched, and frees what was seen. */
void idle_explain(struct idle *i, const struct gm_stats *s, struct view *v);

#endif
