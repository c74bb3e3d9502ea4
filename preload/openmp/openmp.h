/*
 * openmp.h - parallel regions of OpenMP programs for the CPU, seen as calls of their runtime.
 * Unless the user has asked for them to run on the device they are passed on; else
 * libgmem-parallel.so (omp/parallel) is asked, which is loaded at the first one.
 *
 *	front    that library, and who is asked
 *	libgomp  the functions of gcc's runtime that start a region
 *	libomp   those of clang's and flang's
 *
 * Called by any thread of the program, as the runtime itself.
 */
#ifndef GMP_OPENMP_H
#define GMP_OPENMP_H

#include "omp/parallel/front.h"

/* Does the user want regions on a device, and is there one? */
bool gmp_regions_wanted(void);
/* As gmo_parallel_run (front.h); false also when the front cannot be loaded (said once). */
bool gmp_region_run(const struct gmo_parallel_call *call, uint64_t *result);
/* The runtime's function of that name; *cache remembers it. Ends the process if there is none. */
void *gmp_runtime_function(const char *name, const char *const libraries[], void *_Atomic *cache);

#endif
