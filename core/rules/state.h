/*
 * state.h - the one place that decides what happens to a page when somebody touches it.
 *
 * A pure function over a table: (where the page is, who touches it, does the toucher hold it,
 * read or write, what is wanted) -> (where it is next, what has to be done). migrate.c carries the
 * actions out, a bitmap of pages at a time.
 */
#ifndef GM_CORE_STATE_H
#define GM_CORE_STATE_H

#include <gmem/gmem.h>
#include <stdbool.h>

#define GM_STATES 5 /* enum gm_where */

enum gm_actor { GM_ACTOR_CPU, GM_ACTOR_DEVICE, GM_ACTORS };

/* What is wanted for a page, from pins and hints. */
enum gm_want {
	GM_WANT_MIGRATE,   /* the toucher gets it exclusively */
	GM_WANT_DUPLICATE, /* READ_MOSTLY: readers get copies */
	GM_WANT_REMOTE,	   /* pinned on the host: devices map it over the bus */
	GM_WANTS
};

/* Actions. "Others" are all holders but the toucher: their entries go first, then the bytes are
 * copied, then their copies go (gmc_migrate_home, gmc_migrate_to_dev). */
enum {
	GM_ACT_REVOKE = 1,  /* others lose their mappings and their copies */
	GM_ACT_PROTECT = 2, /* others keep their copies, read-only */
	GM_ACT_COPY = 4,    /* bytes from a holder to the toucher's memory */
	GM_ACT_ZERO = 8,    /* the toucher's memory starts as zeros */
	GM_ACT_FETCH_HOST =
		16,	 /* bytes from a device to the host store (the page becomes remote there) */
	GM_ACT_MAP = 32, /* the toucher maps its own memory: read-only when next is DUP */
	GM_ACT_MAP_REMOTE = 64, /* the toucher maps the host store */
};
struct gm_transition {
	uint8_t next; /* enum gm_where */
	uint8_t act;
};

/* holds: the toucher has the current bytes (or one of the copies). Total: defined for every
 * input. */
struct gm_transition gmc_next_state(enum gm_where where, enum gm_actor actor, bool holds,
				    bool write, enum gm_want want);

#endif
