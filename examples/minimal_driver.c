/*
 * minimal_driver.c - a whole driver for a new device: it is found, its memory is given to core,
 * it works in a space, its faults are served, it goes. Everything else that memory management
 * takes (who holds each page, when it moves, what is evicted, coherence with the CPU, hints,
 * copies) is core's. The device itself is in minimal_hw.c, its MMU functions are in
 * minimal_mmu.c.
 */
#include "minimal_driver.h"
#include "minimal_hw.h"
#include "minimal_mmu.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

struct minimal {
	struct hw hw;
	struct gm_dev *dev;
	struct gm_as *as;
};

/* The processor waits. */
static int on_fault(void *driver, uint64_t va, int write)
{
	const struct minimal *m = driver;
	int err, hint = write ? GM_HINT_WRITE : GM_HINT_READ;

	while ((err = gm_dev_fault(m->as, va, m->dev, hint)) == -EAGAIN)
		sched_yield(); /* whoever has the page now gets on */
	return err;
}

static int meet_core(struct minimal *m)
{
	int err = gm_dev_create(&minimal_mmu, &m->hw, GM_DEV_CAP_REPLAYABLE | GM_DEV_CAP_PEER,
				&m->dev);

	if (err)
		return err;
	err = gm_dev_register_physmem(m->dev, 0, m->hw.dram_bytes);
	if (!err)
		err = gm_as_attach(m->as, m->dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL);
	if (err)
		gm_dev_destroy(m->dev); /* and what was registered with it */
	return err;
}

int minimal_probe(struct gm_as *as, size_t dram_bytes, struct minimal **out)
{
	struct minimal *m = calloc(1, sizeof *m);
	int err = m ? hw_power_on(&m->hw, dram_bytes, on_fault, m) : -ENOMEM;

	if (!err) {
		m->as = as;
		err = meet_core(m);
		if (err)
			hw_power_off(&m->hw);
	}
	if (err)
		free(m);
	*out = err ? NULL : m;
	return err;
}

int minimal_saxpy(struct minimal *m, size_t n, float a, const float *x, float *y, uint64_t *where)
{
	struct hw_job job = {.a = a, .x = x, .y = y, .n = n};
	int err = hw_run(&m->hw, &job);

	if (where)
		*where = job.fault_addr;
	return err;
}

int minimal_hnid(const struct minimal *m)
{
	return gm_dev_hnid(m->dev);
}

int minimal_remove(struct minimal *m)
{
	int err = gm_as_detach(m->as, m->dev);

	if (err)
		return err;
	gm_dev_destroy(m->dev);
	hw_power_off(&m->hw);
	free(m);
	return 0;
}
