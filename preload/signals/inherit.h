/*
 * inherit.h - what children find of SIGSEGV and SIGSYS. Not for fault paths.
 */
#ifndef GMP_INHERIT_H
#define GMP_INHERIT_H

#include <stdint.h>

#include "preload/ground/thread.h"

void gmp_inherit_init(void);
/* NULL: the calling process is the one that this memory belongs to. */
struct gmp_guest *gmp_guest(struct gmp_thread *t);
/* Around exec or libc's spawn: blocked and ignored signals are so in the kernel meanwhile. No
 * managed memory is touched. */
enum gmp_inherit_by { GMP_BY_EXEC, GMP_BY_SPAWN };
struct gmp_inherited {
	uint64_t blocked, ignored;
};
struct gmp_inherited gmp_inherit_begin(enum gmp_inherit_by by);
void gmp_inherit_end(struct gmp_inherited done);

#endif
