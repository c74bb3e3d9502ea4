/*
 * minimal_hw.h - the hardware that examples/minimal_driver.c drives: a device with memory of its
 * own, a page table, and one processor that computes y += a * x at the program's own addresses.
 * It knows nothing of GMEM.
 *
 * A page that the table has no entry for makes the processor stop and raise an interrupt; it
 * tries again when the handler returns 0, and ends its work with the handler's error otherwise.
 */
#ifndef MINIMAL_HW_H
#define MINIMAL_HW_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define HW_PAGE	 4096
#define HW_READ	 1
#define HW_WRITE 2

struct hw_job {
	float a;
	const float *x;
	float *y;
	size_t n;
	uint64_t fault_addr; /* with an error: where */
};
struct hw {
	unsigned char *dram; /* where its memory lies on the bus */
	size_t dram_bytes;
	/* The page table: bus address of the page | rights, for each page from table_base on. It
	 * is changed only with the bus, which each access of the processor has from its walk of
	 * the table to its end. */
	uint64_t *table, table_base, table_pages;
	pthread_mutex_t bus;
	int (*interrupt)(void *driver, uint64_t va, int write);
	void *driver;

	pthread_t processor;
	pthread_cond_t bell, done;
	struct hw_job *job;
	int error, off;
};

/* The handler runs on the processor's thread, without the bus, all signals blocked. 0 or -errno */
int hw_power_on(struct hw *hw, size_t dram_bytes,
		int (*interrupt)(void *driver, uint64_t va, int write), void *driver);
/* Runs a job and waits for its end; one caller at a time. 0 or the interrupt handler's error */
int hw_run(struct hw *hw, struct hw_job *job);
void hw_power_off(struct hw *hw);

#endif
