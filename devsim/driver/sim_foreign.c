/*
 * sim_foreign.c - memory of the program outside every window, to the device and back
 * (dev_foreign.c).
 *
 * The kernel copies, in this process: whatever the address, the worst is an error, and what may
 * not be written is not.
 */
#include "devsim/driver/sim_int.h"
#include "core/sys/vma.h"
#include <errno.h>
#include <sys/uio.h>

#define RUNS_AT_ONCE 256

struct chunk {
	struct gm_sim *sim;
	uint64_t at;
	uint32_t shared;
};

static long note_shared(const struct gm_vma *vma, void *arg)
{
	struct chunk *c = arg;
	uint64_t lo = gm_max(vma->lo, c->at), hi = gm_min(vma->hi, c->at + DS_FOREIGN_BYTES);

	if (sim_outside_maps(c->sim, vma))
		c->shared |= (uint32_t)(((1ull << (hi - lo) / GM_PAGE_BYTES) - 1)
					<< (lo - c->at) / GM_PAGE_BYTES);
	return 0;
}

/* The pages of the chunk that the device maps in place: those are not copied. */
static uint32_t shared_pages(struct gm_sim *sim, uint64_t at)
{
	struct chunk c = {sim, at, 0};

	if (gmi_opt.foreign < GM_FOREIGN_SHARED)
		return 0;
	gmi_lock(&sim->spaces_lock);
	gmi_vma_each(at, at + DS_FOREIGN_BYTES, note_shared, &c);
	gmi_unlock(&sim->spaces_lock);
	return c.shared;
}

/* Which pages of the chunk are readable is found out by reading them. */
static int read_chunk(struct gm_sim *sim, struct ds_fault *f, uint64_t va, unsigned char *to)
{
	uint64_t chunk = gm_align_down(va, DS_FOREIGN_BYTES);
	long self = gmi_gettid(); /* the process's first thread may have ended */
	uint32_t found = 0;

	for (unsigned i = 0; i < DS_FOREIGN_PAGES;) {
		struct iovec local = {to + i * GM_PAGE_BYTES,
				      (DS_FOREIGN_PAGES - i) * GM_PAGE_BYTES};
		struct iovec remote = {(void *)(chunk + i * GM_PAGE_BYTES), local.iov_len};
		long n = gm_sys6(SYS_process_vm_readv, self, &local, 1, &remote, 1, 0);
		if (n == -EPERM || n == -ENOSYS)
			return (int)n;
		unsigned pages = n > 0 ? (unsigned)n / GM_PAGE_BYTES : 0;
		found |= (uint32_t)(((1ull << pages) - 1) << i);
		i += pages + 1; /* the one that stopped it */
	}
	found &= ~shared_pages(sim, chunk);
	f->pages = found;
	return found & 1u << (va - chunk) / GM_PAGE_BYTES ? 0 : -EFAULT;
}

/* The first n runs at `at`; what the kernel wrote is short where the program may not write:
 * there is *failed. */
static int write_some(const unsigned char *at, unsigned n, uint64_t *failed)
{
	struct iovec local[RUNS_AT_ONCE], remote[RUNS_AT_ONCE];
	long done = 0;

	for (unsigned i = 0; i < n; i++) {
		struct ds_foreign_run run;
		gm_copy(&run, at, sizeof run);
		at += sizeof run;
		local[i] = (struct iovec){(void *)at, run.bytes};
		remote[i] = (struct iovec){(void *)run.va, run.bytes};
		at += run.bytes;
	}
	done = gm_sys6(SYS_process_vm_writev, gmi_gettid(), local, n, remote, n, 0);
	for (unsigned i = 0; i < n; i++) {
		if (done < (long)local[i].iov_len) {
			*failed = (uintptr_t)remote[i].iov_base;
			return -EPERM;
		}
		done -= (long)local[i].iov_len;
	}
	return 0;
}

int sim_foreign_write(const unsigned char *runs, uint32_t bytes, uint64_t *failed)
{
	for (uint64_t at = 0; at < bytes;) {
		uint64_t first = at;
		unsigned n = 0;
		while (n < RUNS_AT_ONCE && at < bytes) {
			struct ds_foreign_run run;
			if (bytes - at < sizeof run)
				return -EFAULT;
			gm_copy(&run, runs + at, sizeof run);
			at += sizeof run + run.bytes;
			n++;
		}
		if (at > bytes)
			return -EFAULT;
		int err = write_some(runs + first, n, failed);
		if (err)
			return err;
	}
	return 0;
}

int sim_foreign(struct gm_sim *sim, struct ds_fault *f, const struct sim_asked *asked)
{
	unsigned char *room = sim->ctl->foreign[f - sim->ctl->fault];
	uint64_t failed = asked->va;

	/* no kernel but an OpenMP region may reach there */
	if (!atomic_load(&sim->regions) || gmi_opt.foreign < GM_FOREIGN_COPY)
		return -EFAULT;
	if (asked->kind == DS_F_FOREIGN_READ)
		return read_chunk(sim, f, asked->va, room);
	if (!sim->message && !(sim->message = gmi_alloc(DS_FOREIGN_BYTES)))
		return -ENOMEM;
	/* Out of the device's reach before it is looked at: what was checked is what is done. */
	gm_copy(sim->message, room, asked->bytes);
	int err = sim_foreign_write(sim->message, asked->bytes, &failed);
	f->va = failed;
	return err;
}
