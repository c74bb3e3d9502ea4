/*
 * mem_wire.h - arguments of the built-in memory kernels, for tests, benchmarks and copies done
 * on the device.
 *
 * Each divides its range among the blocks of the launch. Kernels: "memset", "memcpy", "sum64"
 * (adds all 64-bit words to *sum), "touch_read" and "touch_write" (one byte every `stride`),
 * "spin" (computes for value * 1 us without touching memory), "chaos" (struct ds_chaos_args: one
 * block of the launch for each access).
 */
#ifndef GM_DEVSIM_MEM_WIRE_H
#define GM_DEVSIM_MEM_WIRE_H

#include <stdint.h>

struct ds_mem_args {
	void *dst;	 /* memset, memcpy, touch_write */
	const void *src; /* memcpy, sum64, touch_read */
	uint64_t bytes;
	uint64_t stride;
	uint64_t value; /* memset, touch_write: the byte */
	uint64_t *sum;	/* sum64: added to atomically */
};

#define DS_CHAOS_MAX   64
#define DS_CHAOS_WRITE 1ull
struct ds_chaos_args {
	/* Addresses, multiples of 8: a word is read; with DS_CHAOS_WRITE added it is written
	 * without being changed. */
	uint64_t access[DS_CHAOS_MAX];
};

#endif
