/*
 * The state table, exhaustively: each state x actor x holds x access x policy. The properties
 * below are what coherence means; the table may change only within them.
 */
#include "core/rules/state.h"
#include <criterion/criterion.h>

#define FOR_ALL                                                                                    \
	for (int where = 0; where < GM_STATES; where++)                                            \
		for (int actor = 0; actor < GM_ACTORS; actor++)                                    \
			for (int holds = 0; holds < 2; holds++)                                    \
				for (int write = 0; write < 2; write++)                            \
					for (int policy = 0; policy < GM_WANTS; policy++)

/* A NOMAP page is held by nobody, a HOST page by the CPU alone; the table answers for the rest
 * too, but nobody asks. */
static bool possible(int where, int actor, int holds)
{
	if (where == GM_NOMAP)
		return !holds;
	if (where == GM_HOST || where == GM_REMOTE)
		return holds == (actor == GM_ACTOR_CPU);
	if (where == GM_DEVICE)
		return actor == GM_ACTOR_DEVICE || !holds;
	return true;
}

#define SAY "where %d actor %d holds %d write %d policy %d", where, actor, holds, write, policy

Test(state, every_row_is_defined_and_ends_with_a_mapping)
{
	FOR_ALL
	{
		struct gm_transition t = gmc_next_state(where, actor, holds, write, policy);
		if (!possible(where, actor, holds))
			continue;
		bool local = t.act & GM_ACT_MAP, remote = t.act & GM_ACT_MAP_REMOTE;
		cr_assert(local != remote, SAY);
		cr_assert(t.next != GM_NOMAP, SAY);
		cr_assert(!remote || t.next == GM_REMOTE, SAY);
		cr_assert(actor == GM_ACTOR_CPU || local == (t.next != GM_REMOTE), SAY);
	}
}

Test(state, a_writer_is_alone_or_remote)
{
	FOR_ALL
	{
		struct gm_transition t = gmc_next_state(where, actor, holds, true, policy);
		if (!possible(where, actor, holds))
			continue;
		cr_assert(t.next != GM_DUP, SAY);
		if (where == GM_DUP)
			cr_assert(t.act & GM_ACT_REVOKE, SAY);
	}
}

Test(state, bytes_are_never_lost)
{
	FOR_ALL
	{
		struct gm_transition t = gmc_next_state(where, actor, holds, write, policy);
		if (!possible(where, actor, holds))
			continue;
		/* Whoever is revoked gave its bytes first, unless the toucher has them already
		 * or there are none. */
		if (t.act & GM_ACT_REVOKE && !holds && where != GM_NOMAP)
			cr_assert(t.act & (GM_ACT_COPY | GM_ACT_FETCH_HOST), SAY);
		/* Zeros only where there was nothing. */
		if (t.act & GM_ACT_ZERO)
			cr_assert(where == GM_NOMAP, SAY);
		/* The toucher's own memory has the bytes when it is mapped. */
		if (t.act & GM_ACT_MAP && !holds && where != GM_NOMAP && where != GM_REMOTE)
			cr_assert(t.act & GM_ACT_COPY ||
					  (where == GM_HOST && actor == GM_ACTOR_CPU),
				  SAY);
	}
}

Test(state, copies_are_read_only)
{
	FOR_ALL
	{
		struct gm_transition t = gmc_next_state(where, actor, holds, write, policy);
		if (!possible(where, actor, holds) || t.next != GM_DUP || where == GM_DUP)
			continue;
		cr_assert(t.act & GM_ACT_PROTECT, SAY);
		cr_assert(!write && policy == GM_WANT_DUPLICATE, SAY);
	}
}

Test(state, pinned_pages_stay_on_the_host)
{
	for (int where = 0; where < GM_STATES; where++)
		for (int holds = 0; holds < 2; holds++)
			for (int write = 0; write < 2; write++) {
				struct gm_transition t = gmc_next_state(
					where, GM_ACTOR_DEVICE, holds, write, GM_WANT_REMOTE);
				cr_assert_eq(t.next, GM_REMOTE);
				cr_assert(t.act & GM_ACT_MAP_REMOTE);
				t = gmc_next_state(where, GM_ACTOR_CPU, holds, write,
						   GM_WANT_REMOTE);
				cr_assert(t.next == GM_HOST || t.next == GM_REMOTE);
			}
}

Test(state, migration_is_exclusive)
{
	for (int where = 0; where < GM_STATES; where++)
		for (int write = 0; write < 2; write++) {
			struct gm_transition t = gmc_next_state(where, GM_ACTOR_DEVICE, false,
								write, GM_WANT_MIGRATE);
			if (where == GM_DUP && !write) {
				cr_assert_eq(t.next, GM_DUP); /* a reader joins copies that exist */
				continue;
			}
			cr_assert_eq(t.next, GM_DEVICE);
			cr_assert(t.act & GM_ACT_REVOKE);
		}
}
