/* The transition table. See state.h; every row is exercised by test/unit/test_state.c. */
#include "core/rules/state.h"

#define R     0
#define W     1
#define RW    0 ... 1
#define ANY   0 ... 2
#define NO    0 /* the toucher does not hold it */
#define YES   1
#define MIG   GM_WANT_MIGRATE
#define DUPL  GM_WANT_DUPLICATE
#define REM   GM_WANT_REMOTE
#define TAKE  (GM_ACT_REVOKE | GM_ACT_COPY | GM_ACT_MAP)  /* move here */
#define SHARE (GM_ACT_PROTECT | GM_ACT_COPY | GM_ACT_MAP) /* a read-only copy here */

/* [where][actor][holds][write][want]; impossible inputs (a NOMAP page that is held) behave
 * like their neighbour. */
static const struct gm_transition table[GM_STATES][GM_ACTORS][2][2][GM_WANTS] = {
	/* The CPU. Pins keep pages on the host, which is where a CPU fault brings them anyway:
	 * REMOTE is as MIGRATE. */
	[GM_NOMAP][GM_ACTOR_CPU][RW][RW][ANY] = {GM_HOST, GM_ACT_MAP}, /* the kernel's zero fill */
	[GM_HOST][GM_ACTOR_CPU][RW][RW][ANY] = {GM_HOST, GM_ACT_MAP},
	[GM_DEVICE][GM_ACTOR_CPU][RW][RW][MIG] = {GM_HOST, TAKE},
	[GM_DEVICE][GM_ACTOR_CPU][RW][RW][REM] = {GM_HOST, TAKE},
	[GM_DEVICE][GM_ACTOR_CPU][RW][R][DUPL] = {GM_DUP, SHARE},
	[GM_DEVICE][GM_ACTOR_CPU][RW][W][DUPL] = {GM_HOST, TAKE},
	[GM_DUP][GM_ACTOR_CPU][NO][R][MIG... DUPL] =
		{GM_DUP, SHARE}, /* two devices have copies, the host has none */
	[GM_DUP][GM_ACTOR_CPU][NO][R][REM] = {GM_HOST, TAKE},
	[GM_DUP][GM_ACTOR_CPU][NO][W][ANY] = {GM_HOST, TAKE},
	[GM_DUP][GM_ACTOR_CPU][YES][R][MIG... DUPL] = {GM_DUP, GM_ACT_MAP},
	[GM_DUP][GM_ACTOR_CPU][YES][R][REM] = {GM_HOST, GM_ACT_REVOKE | GM_ACT_MAP},
	[GM_DUP][GM_ACTOR_CPU][YES][W][ANY] = {GM_HOST, GM_ACT_REVOKE | GM_ACT_MAP},
	[GM_REMOTE][GM_ACTOR_CPU][RW][RW][ANY] =
		{GM_REMOTE, GM_ACT_MAP}, /* the bus is coherent: both keep it */

	/* A device. */
	[GM_NOMAP][GM_ACTOR_DEVICE][RW][RW][MIG... DUPL] = {GM_DEVICE, GM_ACT_REVOKE | GM_ACT_ZERO |
									       GM_ACT_MAP},
	[GM_NOMAP][GM_ACTOR_DEVICE][RW][RW][REM] = {GM_REMOTE, GM_ACT_MAP_REMOTE},
	[GM_HOST][GM_ACTOR_DEVICE][RW][RW][MIG] = {GM_DEVICE, TAKE},
	[GM_HOST][GM_ACTOR_DEVICE][RW][R][DUPL] = {GM_DUP, SHARE},
	[GM_HOST][GM_ACTOR_DEVICE][RW][W][DUPL] = {GM_DEVICE, TAKE},
	[GM_HOST][GM_ACTOR_DEVICE][RW][RW][REM] = {GM_REMOTE, GM_ACT_MAP_REMOTE},
	[GM_DEVICE][GM_ACTOR_DEVICE][YES][RW][MIG... DUPL] =
		{GM_DEVICE, GM_ACT_MAP},			       /* its PTE was forgotten */
	[GM_DEVICE][GM_ACTOR_DEVICE][NO][RW][MIG] = {GM_DEVICE, TAKE}, /* from another device */
	[GM_DEVICE][GM_ACTOR_DEVICE][NO][R][DUPL] = {GM_DUP, SHARE},
	[GM_DEVICE][GM_ACTOR_DEVICE][NO][W][DUPL] = {GM_DEVICE, TAKE},
	[GM_DEVICE][GM_ACTOR_DEVICE][RW][RW][REM] = {GM_REMOTE, GM_ACT_FETCH_HOST | GM_ACT_REVOKE |
									GM_ACT_MAP_REMOTE},
	[GM_DUP][GM_ACTOR_DEVICE][YES][R][MIG... DUPL] = {GM_DUP, GM_ACT_MAP},
	[GM_DUP][GM_ACTOR_DEVICE][YES][W][MIG... DUPL] = {GM_DEVICE, GM_ACT_REVOKE | GM_ACT_MAP},
	[GM_DUP][GM_ACTOR_DEVICE][NO][R][MIG... DUPL] = {GM_DUP, SHARE},
	[GM_DUP][GM_ACTOR_DEVICE][NO][W][MIG... DUPL] = {GM_DEVICE, TAKE},
	[GM_DUP][GM_ACTOR_DEVICE][RW][RW][REM] = {GM_REMOTE, GM_ACT_FETCH_HOST | GM_ACT_REVOKE |
								     GM_ACT_MAP_REMOTE},
	[GM_REMOTE][GM_ACTOR_DEVICE][RW][RW][MIG] = {GM_DEVICE, TAKE}, /* no longer pinned */
	[GM_REMOTE][GM_ACTOR_DEVICE][RW][R][DUPL] = {GM_DUP, SHARE},
	[GM_REMOTE][GM_ACTOR_DEVICE][RW][W][DUPL] = {GM_DEVICE, TAKE},
	[GM_REMOTE][GM_ACTOR_DEVICE][RW][RW][REM] = {GM_REMOTE, GM_ACT_MAP_REMOTE},
};

struct gm_transition gmc_next_state(enum gm_where where, enum gm_actor actor, bool holds,
				    bool write, enum gm_want want)
{
	return table[where][actor][holds][write][want];
}
