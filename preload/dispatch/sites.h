/*
 * sites.h - where a loaded module makes system calls, and which one instruction in front of each
 * can become a jump.
 *
 * The `syscall` itself stays, so that nobody can stand inside of what changes: threads that wait
 * in the kernel come back behind it, calls are started again at it, and who jumps there finds it
 * (and is dispatched). What is replaced is the nearest instruction of five bytes or more in the
 * straight line before it; or a shorter one, by a short jump to padding behind some function
 * near by, where the long jump has room.
 *
 * Functions are known from .eh_frame_hdr. Each that has a call is decoded from its start to its
 * end; where any jump of it does not lead to an instruction we are out of step, and leave it.
 * Reads the module's memory, changes nothing; no lock, no malloc.
 */
#ifndef GMP_SITES_H
#define GMP_SITES_H

#include <stddef.h>
#include <stdint.h>

struct gmp_site {
	uintptr_t at;	/* the instruction that becomes a jump */
	uintptr_t pad;	/* 0, or where the long jump goes; then a short one leads there */
	uintptr_t call; /* the syscall: all of [at, call) is executed elsewhere */
};
struct gmp_text {
	uintptr_t lo, hi;	  /* whole pages of one executable segment */
	uint64_t offset;	  /* of them in the file */
	const uint8_t *functions; /* .eh_frame_hdr; NULL: none that we can read */
};

/* The executable segments of the module whose ELF header is at `base` and whose addresses are
 * shifted by `shift`. Their number, at most max. */
unsigned gmp_texts_of(uintptr_t base, uintptr_t shift, struct gmp_text *to, unsigned max);
/* The sites of one of them. Their number, at most max. */
unsigned gmp_sites_of(const struct gmp_text *text, struct gmp_site *to, unsigned max);

#endif
