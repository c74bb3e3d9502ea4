/*
 * insn.h - where instructions of x86-64 begin and end, and which of them mean something else at
 * another address: as much as rewriting needs (sites.h), no operands. Pure; signal-safe.
 */
#ifndef GMP_INSN_H
#define GMP_INSN_H

#include <stdbool.h>
#include <stdint.h>

struct gmp_insn {
	uint8_t bytes;
	bool stays; /* not to be executed elsewhere: a branch, a call, %rip in an address, a trap */
	bool jumps; /* to a target that is a distance in it */
	bool is_nop;	  /* padding */
	int32_t distance; /* from its end */
};
/* The instruction at p, which ends before `end`. False: none that we know. */
bool gmp_insn_at(const uint8_t *p, const uint8_t *end, struct gmp_insn *out);

#endif
