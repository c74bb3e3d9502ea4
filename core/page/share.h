/*
 * share.h - one device for several processes (GMEM_SHARE=NAME): how much of its memory each of
 * them has, and asking another one to give some back.
 *
 * Every process has its own simulated device, with addresses and contents that nobody else
 * reaches, as contexts of one real device are. What they share is its capacity. A file in /dev/shm
 * holds a row for each process: what it has of each device, and what it is wanted to give back. A
 * frame is taken if all rows together stay within the device's memory. If not, whoever has the most
 * gives: another process, whose background thread is woken by its row and evicts by its own policy,
 * or the asking one itself. Nobody waits for another process for longer than WAIT_NS, and not again
 * for one that did not answer (it is stopped) until it does.
 *
 * A process that is gone has nothing: each holds a lock of its row in the file, which the kernel
 * drops with the process however that ends. Fork children are not members until they use a device.
 *
 * Locks: none is held while another process is waited for but the caller's block.
 */
#ifndef GM_CORE_SHARE_H
#define GM_CORE_SHARE_H

#include "core/page/registry.h"

/*
 * The device's memory is that of all members of gmi_opt.share whose device has this number. 0;
 * -EINVAL theirs is of another size (said); -ENOSPC too many members (said); -errno of the file
 */
int gmc_share_join(struct gm_dev *dev, unsigned number);
/* May the device have one more frame? Then it has it, and gives it back by gmc_share_give(). */
bool gmc_share_take(struct gm_dev *dev);
void gmc_share_give(struct gm_dev *dev);
/*
 * There was none, while the device's own memory may have room. True: others have given some, or
 * were found gone: look again. False: this process is to evict. The caller may hold a block.
 */
bool gmc_share_ask(struct gm_dev *dev);
/* Background: what others want is evicted. True: some of it could not be yet. */
bool gmc_share_serve(void);

#endif
