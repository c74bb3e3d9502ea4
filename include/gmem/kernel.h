/*
 * kernel.h - writing kernels for the simulated accelerator.
 *
 * A kernel module is a shared object that the device process loads. Each kernel is an exported
 * function of type gm_kernel_fn. A launch runs it for every block index 0..nblocks-1, spread
 * over the device's compute workers, in no order. Kernels use the program's own pointers; a
 * touch of a page that is not on the device faults and waits for it. A touch of memory that the
 * program does not have ends the launch with -EFAULT and the address.
 */
#ifndef GMEM_KERNEL_H
#define GMEM_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gm_kctx {
	uint32_t block, nblocks; /* this call's index, and how many there are */
	uint32_t worker;	 /* 0..workers-1 */
	/* For the model of time: what this call did. Adds up over the blocks; read when the call
	 * returns. */
	uint64_t flops, bytes;
	/* 's', 'd' (also 0), 'c', 'z': which peak rate the flops of this launch count against */
	char flop_type;
	/* Bytes of one access, where they are not neighbours (8: doubles here and there). Over the
	 * bus each takes whole sectors, however small it is. 0: not known, counts as 1. */
	uint8_t access_bytes;
};
/* args: a copy of the launch's argument bytes (not the program's own). Return 0, or a positive
 * code that fails the launch. */
typedef int gm_kernel_fn(struct gm_kctx *ctx, const void *args);

#define GM_KERNEL __attribute__((visibility("default"))) int

#ifdef __cplusplus
}
#endif
#endif
