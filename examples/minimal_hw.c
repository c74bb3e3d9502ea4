/* minimal_hw.c - the device's memory, page walker and processor. See minimal_hw.h. */
#include "minimal_hw.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

/* The bus address of va, with the bus held; NULL and without it: a fault that could not be
 * served (*err). */
static void *translate(struct hw *hw, uint64_t va, int need, int *err)
{
	for (;;) {
		pthread_mutex_lock(&hw->bus);
		uint64_t page = (va - hw->table_base) / HW_PAGE;
		uint64_t entry = hw->table && page < hw->table_pages ? hw->table[page] : 0;
		if (entry & (uint64_t)need)
			return (void *)(uintptr_t)((entry & ~(uint64_t)(HW_PAGE - 1)) |
						   (va & (HW_PAGE - 1)));
		pthread_mutex_unlock(&hw->bus);
		*err = hw->interrupt(hw->driver, va, need == HW_WRITE);
		if (*err)
			return NULL;
	}
}

static int load(struct hw *hw, const float *at, float *value)
{
	int err = 0;
	const float *p = translate(hw, (uint64_t)(uintptr_t)at, HW_READ, &err);

	if (!p)
		return err;
	*value = *p;
	pthread_mutex_unlock(&hw->bus);
	return 0;
}

static int add(struct hw *hw, float *at, float value)
{
	int err = 0;
	float *p = translate(hw, (uint64_t)(uintptr_t)at, HW_WRITE, &err);

	if (!p)
		return err;
	*p += value;
	pthread_mutex_unlock(&hw->bus);
	return 0;
}

static int compute(struct hw *hw, struct hw_job *job)
{
	float x = 0;
	int err = 0;

	for (size_t i = 0; i < job->n && !err; i++) {
		job->fault_addr = (uint64_t)(uintptr_t)&job->x[i];
		err = load(hw, &job->x[i], &x);
		if (err)
			break;
		job->fault_addr = (uint64_t)(uintptr_t)&job->y[i];
		err = add(hw, &job->y[i], job->a * x);
	}
	return err;
}

static void *processor(void *arg)
{
	struct hw *hw = arg;

	pthread_mutex_lock(&hw->bus);
	while (!hw->off) {
		if (!hw->job) {
			pthread_cond_wait(&hw->bell, &hw->bus);
			continue;
		}
		pthread_mutex_unlock(&hw->bus);
		int err = compute(hw, hw->job);
		pthread_mutex_lock(&hw->bus);
		hw->error = err;
		hw->job = NULL;
		pthread_cond_signal(&hw->done);
	}
	pthread_mutex_unlock(&hw->bus);
	return NULL;
}

int hw_run(struct hw *hw, struct hw_job *job)
{
	sigset_t all, old;

	sigfillset(&all);
	/* as while core has the bus for a page-table change */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&hw->bus);
	hw->job = job;
	pthread_cond_signal(&hw->bell);
	while (hw->job)
		pthread_cond_wait(&hw->done, &hw->bus);
	int err = hw->error;
	pthread_mutex_unlock(&hw->bus);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

int hw_power_on(struct hw *hw, size_t dram_bytes,
		int (*interrupt)(void *driver, uint64_t va, int write), void *driver)
{
	sigset_t all, old;
	void *dram =
		mmap(NULL, dram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (dram == MAP_FAILED)
		return -ENOMEM;
	hw->dram = dram;
	hw->dram_bytes = dram_bytes;
	hw->interrupt = interrupt;
	hw->driver = driver;
	pthread_mutex_init(&hw->bus, NULL);
	pthread_cond_init(&hw->bell, NULL);
	pthread_cond_init(&hw->done, NULL);
	sigfillset(&all);
	/* the program's signals are not the processor's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = -pthread_create(&hw->processor, NULL, processor, hw);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		munmap(dram, dram_bytes);
	return err;
}

void hw_power_off(struct hw *hw)
{
	pthread_mutex_lock(&hw->bus);
	hw->off = 1;
	pthread_cond_signal(&hw->bell);
	pthread_mutex_unlock(&hw->bus);
	pthread_join(hw->processor, NULL);
	munmap(hw->dram, hw->dram_bytes);
}
