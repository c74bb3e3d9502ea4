/*
 * adopt.h - private anonymous memory becomes the host store's, under the program's hands. Block
 * locked throughout.
 */
#ifndef GM_CORE_ADOPT_H
#define GM_CORE_ADOPT_H

#include "core/page/registry.h"

/*
 * Unadopted pages of `set` move into the store and stay on the host, readable all the time. The
 * invariant that holds rely on: a page that the kernel may be writing (write hold, MADV_PINNED) is
 * adopted before the call, so that a device can map it remotely without moving it under the
 * kernel's hands.
 */
int gmc_block_adopt(struct gm_block *b, gm_bm set);
/* The same in the middle of a transition: the block's invariants need not hold yet. */
int gmc_adopt_on_host(struct gm_block *b, gm_bm set);

#endif
