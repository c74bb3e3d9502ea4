/*
 * vectors.h - calling ordinary code from where every vector register is still the program's: a
 * system call keeps them, so what stands in for one must. Signal-safe.
 */
#ifndef GM_CORE_VECTORS_H
#define GM_CORE_VECTORS_H

#include "core/sys/sys.h"

/* fn(arg); x87, SSE, AVX and AVX-512 registers are afterwards what they were. Takes 3 KiB of
 * stack and some 100 ns. (Tiles of AMX are none of a compiler's own.) */
GM_EXPORT void gmi_keep_vectors(void (*fn)(void *), void *arg);
/* The same where there is more room: the preload's goes on to a stack of the thread's own. */
GM_EXPORT extern void (*gmi_aside)(void (*fn)(void *), void *arg);

#endif
