/*
 * gmp_malloc.h - the program's heap: jemalloc's PIC archive, with user data in arenas that live
 * in the managed window.
 *
 *	what  the program's blocks and mappings come from core's window (malloc.c, gmp_mmap.h)
 *	who   the program: malloc is jemalloc's own, mmap and its relatives are hooks
 *	may   jemalloc's settings and extent hooks; core's regions, by core/space/vm.h
 *	must  jemalloc's locks come before core's; its own memory is never managed
 *	parts callsite.c: which line of the program asked; malloc_libc.c: where jemalloc differs
 *
 * Called by the preload's constructor and by the start of every thread. malloc, free and the
 * rest are jemalloc's own functions, exported as they are; nothing of ours is on their fast
 * path. Until gmp_malloc_init() (and for ever when it fails or is not called: GMEM_DISABLE)
 * memory comes from jemalloc's ordinary arenas, outside the window; such blocks stay valid and
 * may be freed at any time.
 *
 * Lock: none of ours. jemalloc calls the extent hooks with its own locks held; they take core's
 * region lock.
 */
#ifndef GMP_MALLOC_H
#define GMP_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Memory comes from the window from now on. Once, before main, after the options are parsed. 0,
 * or -errno: the heap stays unmanaged. */
int gmp_malloc_init(void);
/*
 * The calling thread allocates from a managed arena from now on. For the main thread after
 * gmp_malloc_init(), for others first thing in their start wrapper. Keeps errno. Does nothing
 * before gmp_malloc_init(). Not for signal handlers.
 */
void gmp_malloc_thread_bind(void);
/* The process leaves: new memory is the kernel's, and none is given back or purged, which would
 * be calls that malloc need not make. */
void gmp_malloc_leave(void);

/* callsite.c: jemalloc has taken this memory for blocks below 2 MiB. Any locks of jemalloc held. */
void gmp_callsite_sample(const void *p, size_t bytes);
/* Of a call that returns to pc: that place, or the lines of Python if an interpreter has called. No
 * locks. */
unsigned gmp_callsite_of(const void *pc);

/* malloc_libc.c to malloc.c, in the middle of jemalloc's start. */
void gmp_malloc_count_arenas(void);

/* jemalloc has what it starts with. Before that it cannot do without memory. */
extern bool gmp_heap_started;

#endif
