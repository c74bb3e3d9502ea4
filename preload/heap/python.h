/* python.h - the lines of Python that a thread is in, for call sites. */
#ifndef GM_PRELOAD_HEAP_PYTHON_H
#define GM_PRELOAD_HEAP_PYTHON_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

/* Does this module hold CPython? Takes no lock. */
bool gmp_python_is(const struct link_map *map);
/*
 * Frames for gmi_site() of what the calling thread runs in that interpreter, innermost first, into
 * room of them; how many. Of what is installed (the standard library, packages) only the innermost
 * frame. Takes no lock and no memory, calls nothing that does, changes nothing, and whatever it
 * finds there cannot make it fault: all reads are the kernel's (process_vm_readv).
 */
unsigned gmp_python_frames(const struct link_map *map, uintptr_t *frame, unsigned room);

#endif
