/*
 * dev_pad.c - the last thread-local bytes of this program: they end at the thread pointer (x86-64
 * lays the executable's block right below it). Linked last, so that nothing lies behind them; who
 * asks is told when that is not so.
 */
#include "devsim/device/dev.h"
#include "devsim/device/dev_region.h"

#define PAD_BYTES 65536

static __thread char pad[PAD_BYTES] __attribute__((aligned(64)));

void *dev_region_pad(uint64_t *bytes)
{
	char *pointer;

	__asm__("mov %%fs:0, %0" : "=r"(pointer));
	*bytes = PAD_BYTES;
	return pad + PAD_BYTES == pointer ? pad : NULL;
}
