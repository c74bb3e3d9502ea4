/*
 * minimal_mmu.c - how page-table changes reach the example device: what core asks for, in the
 * device's format.
 *
 * Core calls these with a block of pages locked and signals blocked. Taking the bus is what
 * makes a change complete: the processor is in no access then, and its next one walks the table
 * anew, so that there is no TLB to invalidate.
 */
#include "minimal_mmu.h"
#include "minimal_hw.h"
#include <errno.h>
#include <sys/mman.h>

static uint64_t *entries(struct hw *hw, const struct gm_op *op)
{
	return &hw->table[(op->va - hw->table_base) / HW_PAGE];
}

static int enter(void *pmap, const struct gm_op *op)
{
	struct hw *hw = pmap;
	const unsigned char *at = op->mem == GM_MEM_DEVICE ? hw->dram + op->pa : op->host;

	pthread_mutex_lock(&hw->bus);
	for (size_t i = 0; i < op->len / HW_PAGE; i++)
		entries(hw, op)[i] = (uint64_t)(uintptr_t)(at + i * HW_PAGE) | op->prot;
	pthread_mutex_unlock(&hw->bus);
	return 0;
}

/* The rights in `keep` stay. */
static void lower(struct hw *hw, const struct gm_op *op, uint64_t keep)
{
	pthread_mutex_lock(&hw->bus);
	for (size_t i = 0; i < op->len / HW_PAGE; i++)
		entries(hw, op)[i] &= ~(uint64_t)(HW_READ | HW_WRITE) | keep;
	pthread_mutex_unlock(&hw->bus);
}

static int release(void *pmap, const struct gm_op *op)
{
	lower(pmap, op, 0);
	return 0;
}

static int protect(void *pmap, const struct gm_op *op)
{
	lower(pmap, op, op->prot);
	return 0;
}

static void *aperture(void *dev_data)
{
	return ((struct hw *)dev_data)->dram;
}

static int create(void *dev_data, struct gm_as *as, void **pmap)
{
	struct hw *hw = dev_data;
	uint64_t bytes, base = gm_as_window(as, &bytes, NULL), pages = bytes / HW_PAGE;

	if (hw->table)
		return -EBUSY;
	void *table = mmap(NULL, pages * sizeof *hw->table, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table == MAP_FAILED)
		return -ENOMEM;
	pthread_mutex_lock(&hw->bus);
	hw->table = table;
	hw->table_base = base;
	hw->table_pages = pages;
	pthread_mutex_unlock(&hw->bus);
	*pmap = hw;
	return 0;
}

static int destroy(void *pmap)
{
	struct hw *hw = pmap;

	pthread_mutex_lock(&hw->bus);
	uint64_t *table = hw->table;
	hw->table = NULL;
	pthread_mutex_unlock(&hw->bus);
	munmap(table, hw->table_pages * sizeof *table);
	return 0;
}

const struct gm_mmu minimal_mmu = {
	.name = "minimal",
	.page_bytes = HW_PAGE,
	.aperture = aperture,
	.pmap_create = create,
	.pmap_destroy = destroy,
	.pmap_enter = enter,
	.pmap_release = release,
	.pmap_protect = protect,
};
