/* minimal_driver.h - what programs call of the example driver. Return values: 0 or -errno. */
#ifndef MINIMAL_DRIVER_H
#define MINIMAL_DRIVER_H

#include <gmem/gmem.h>

struct minimal;
/* Brings up a device with so much memory (a multiple of 2 MiB) and lets it work on the space. */
int minimal_probe(struct gm_as *as, size_t dram_bytes, struct minimal **out);
/* y[i] += a * x[i] on the device. *where: with an error, the address; may be NULL. One thread at
 * a time. */
int minimal_saxpy(struct minimal *m, size_t n, float a, const float *x, float *y, uint64_t *where);
/* The device's memory, for hmadvise() and hmemcpy(). */
int minimal_hnid(const struct minimal *m);
/* Its pages come home first; after an error it is still there. */
int minimal_remove(struct minimal *m);

#endif
