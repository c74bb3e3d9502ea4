/*
 * fake_dev.h - a device inside the test process: an array for its memory, an array for its page
 * table. Its accesses go through that table and fault into core like a real device's, so every
 * stale or missing entry shows as wrong data.
 */
#ifndef TEST_FAKE_DEV_H
#define TEST_FAKE_DEV_H

#include "core/page/registry.h"
#include "../variant.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

struct fake_dev;
struct fake_pte {
	uint8_t prot, mem;
	uint32_t entry_bytes; /* of the entry that this page is part of */
	uint64_t pa, attr;
	struct fake_dev *peer; /* GM_MEM_PEER: in whose memory */
};
struct fake_dev {
	struct gm_mmu mmu;
	struct gm_dev *dev;
	struct gm_as *as;
	char *mem;
	size_t mem_bytes;
	struct fake_pte *pte; /* per 4 KiB page of the space */
	size_t npte;
	_Atomic unsigned maps, unmaps, faults;
	_Atomic uint64_t peer_bytes; /* copied from others */
	/* an access and a change of the table exclude each other, as in an MMU */
	pthread_mutex_t lock;
	unsigned char *touched; /* per page, since the access counter was read */
	/* per page, by peer_va_alloc_fixed; NULL: the device does not care */
	unsigned char *reserved;
	uint64_t taken_lo, taken_hi; /* addresses of the device's own */
	unsigned asked;		     /* for reservations */
	/* fault injection: the fail_after-th op of kind fail_kind fails, -1: none */
	_Atomic int fail_kind, fail_after; /* threads of core's own come, too */
};

static uint64_t fake_sizes; /* of the devices opened from now on; 0: 4 KiB, 64 KiB and their page */

/* A page table takes whole entries of its own sizes, at their places, and nothing else. */
static inline void fake_check(const struct fake_dev *f, const struct gm_op *op, size_t first,
			      size_t n)
{
	uint64_t sizes = f->mmu.page_sizes ? f->mmu.page_sizes : f->mmu.page_bytes;
	uint64_t least = op->kind == GM_OP_MAP ? op->entry_bytes : sizes & -sizes;

	if (op->kind > GM_OP_PROTECT)
		return;
	cr_assert(least & sizes, "entries of %lx", least);
	cr_assert_eq((op->va | op->len | (op->kind == GM_OP_MAP ? op->pa : 0)) % least, 0,
		     "kind %d va %lx len %lx pa %lx in entries of %lx", op->kind, op->va, op->len,
		     op->pa, least);
	for (int end = 0; end < 2; end++) { /* no entry is torn */
		size_t i = end ? first + n - 1 : first;
		uint64_t bytes = f->pte[i].prot ? f->pte[i].entry_bytes : 0;
		uint64_t at = (f->as->base + i * GM_PAGE_BYTES) & -bytes;
		cr_assert(!bytes || (at >= op->va && at + bytes <= op->va + op->len),
			  "kind %d va %lx len %lx takes a part of the entry at %lx of %lx",
			  op->kind, op->va, op->len, at, bytes);
	}
}

/* While bytes are copied the device writes neither to what they come from nor to where they go.
 * (One whose driver broke a rule may still have entries: it is out of use.) */
static inline void fake_check_copy(const struct fake_dev *f, const struct gm_op *op)
{
	size_t at = (size_t)((char *)op->host - f->as->store.alias);

	if ((op->kind != GM_OP_COPY_IN && op->kind != GM_OP_COPY_OUT) || !f->as->store.alias ||
	    at >= f->as->bytes || (f->dev && __atomic_load_n(&f->dev->broken, __ATOMIC_ACQUIRE)))
		return;
	for (size_t i = at / GM_PAGE_BYTES; i < (at + op->len) / GM_PAGE_BYTES; i++)
		cr_assert_not(f->pte[i].prot & GM_PROT_WRITE, "kind %d, an entry at page %zu",
			      op->kind, i);
}

/* Nor does anybody write what another device's memory is copied from. */
static inline void fake_check_peer(const struct fake_dev *f, const struct gm_op *op)
{
	const struct fake_dev *peer = op->peer;

	for (size_t i = 0; i < peer->npte; i++) {
		const struct fake_pte *e = &peer->pte[i], *mine = &f->pte[i];
		bool theirs = e->prot & GM_PROT_WRITE && e->mem == GM_MEM_DEVICE &&
			      e->pa - op->peer_pa < op->len;
		bool ours = mine->prot & GM_PROT_WRITE && mine->mem == GM_MEM_PEER &&
			    mine->peer == peer && mine->pa - op->peer_pa < op->len;
		cr_assert(!theirs && !ours, "a copy of what can be written, page %zu", i);
	}
}

static int fake_op(void *pmap, const struct gm_op *op)
{
	struct fake_dev *f = pmap;
	size_t first = (op->va - f->as->base) / GM_PAGE_BYTES, n = op->len / GM_PAGE_BYTES;

	fake_check(f, op, first, n);

	if (op->kind == f->fail_kind && f->fail_after-- == 0)
		return -EIO;
	pthread_mutex_lock(&f->lock);
	fake_check_copy(f, op);
	switch (op->kind) {
	case GM_OP_MAP:
		f->maps++;
		for (size_t i = 0; i < n; i++)
			f->pte[first + i] = (struct fake_pte){
				op->prot,	 op->mem,
				op->entry_bytes, op->pa + i * GM_PAGE_BYTES,
				op->attr,	 op->mem == GM_MEM_PEER ? op->peer : NULL};
		break;
	case GM_OP_UNMAP:
		f->unmaps++;
		memset(&f->pte[first], 0, n * sizeof f->pte[0]);
		break;
	case GM_OP_PROTECT:
		for (size_t i = 0; i < n; i++)
			f->pte[first + i].prot &= op->prot;
		break;
	case GM_OP_COPY_IN:
		memcpy(f->mem + op->pa, op->host, op->len);
		break;
	case GM_OP_COPY_OUT:
		memcpy(op->host, f->mem + op->pa, op->len);
		break;
	case GM_OP_ZERO:
		memset(f->mem + op->pa, 0, op->len);
		break;
	case GM_OP_COPY_PEER:
		fake_check_peer(f, op);
		memcpy(f->mem + op->pa, ((struct fake_dev *)op->peer)->mem + op->peer_pa, op->len);
		f->peer_bytes += op->len;
		break;
	}
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int fake_pmap_create(void *data, struct gm_as *as, void **pmap)
{
	struct fake_dev *f = data;

	f->as = as;
	f->npte = as->bytes / GM_PAGE_BYTES;
	f->pte = mmap(NULL, f->npte * sizeof *f->pte, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	f->touched = mmap(NULL, f->npte, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	*pmap = f;
	return 0;
}

static int fake_pmap_destroy(void *pmap)
{
	struct fake_dev *f = pmap;

	for (size_t i = 0; i < f->npte; i++)
		cr_assert_eq(f->pte[i].prot, 0, "a stale entry at page %zu", i);
	munmap(f->touched, f->npte);
	munmap(f->pte, f->npte * sizeof *f->pte);
	return 0;
}

static int fake_accessed(void *pmap, uint64_t va, uint64_t len, uint64_t *bitmap)
{
	struct fake_dev *f = pmap;
	size_t first = (va - f->as->base) / GM_PAGE_BYTES;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < len / GM_PAGE_BYTES; i++)
		if (f->touched[first + i]) {
			bitmap[i / 64] |= 1ull << i % 64;
			f->touched[first + i] = 0;
		}
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static void *fake_aperture(void *data)
{
	return ((struct fake_dev *)data)->mem;
}

/* A device that has addresses of its own; counts by page what it reserved, so that nothing is
 * forgotten or freed twice. */
static inline int fake_va_alloc(void *pmap, uint64_t va, uint64_t len, int prot)
{
	struct fake_dev *f = pmap;

	f->asked++;
	if (va < f->taken_hi && f->taken_lo < va + len)
		return -EBUSY;
	for (size_t i = 0; i < len / GM_PAGE_BYTES; i++)
		cr_assert_eq(f->reserved[(va - f->as->base) / GM_PAGE_BYTES + i]++, 0);
	return 0;
}

static inline int fake_va_free(void *pmap, uint64_t va, uint64_t len)
{
	struct fake_dev *f = pmap;

	for (size_t i = 0; i < len / GM_PAGE_BYTES; i++)
		cr_assert_eq(f->reserved[(va - f->as->base) / GM_PAGE_BYTES + i]--, 1);
	return 0;
}

static inline struct gm_mmu fake_mmu(const char *name, size_t page_bytes, bool aperture)
{
	return (struct gm_mmu){.name = name,
			       .page_bytes = page_bytes,
			       .page_sizes = fake_sizes ? fake_sizes : 4096 | 65536 | page_bytes,
			       .aperture = aperture ? fake_aperture : NULL,
			       .pmap_create = fake_pmap_create,
			       .pmap_destroy = fake_pmap_destroy,
			       .pmap_enter = fake_op,
			       .pmap_release = fake_op,
			       .pmap_protect = fake_op,
			       .peer_hmemcpy = fake_op,
			       .accessed = fake_accessed};
}

static inline void fake_open_mode(struct fake_dev *f, struct gm_as *as, size_t mem_bytes,
				  size_t page_bytes, bool aperture, enum gm_mmu_mode mode)
{
	*f = (struct fake_dev){
		.mem_bytes = mem_bytes, .fail_kind = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
	f->mem = mmap(NULL, mem_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	f->mmu = fake_mmu("fake", page_bytes, aperture);
	cr_assert_eq(gm_dev_create(&f->mmu, f, GM_DEV_CAP_REPLAYABLE | GM_DEV_CAP_PEER, &f->dev),
		     0);
	cr_assert_eq(gm_dev_register_physmem(f->dev, 0, mem_bytes), 0);
	cr_assert_eq(gm_as_attach(as, f->dev, mode, 1, NULL), 0);
}

static inline void fake_open(struct fake_dev *f, struct gm_as *as, size_t mem_bytes,
			     size_t page_bytes, bool aperture)
{
	fake_open_mode(f, as, mem_bytes, page_bytes, aperture, GM_MMU_MODE_COHERENT_EXCLUSIVE);
}

/* A device without memory: it works on the host's. */
static inline void fake_open_without(struct fake_dev *f, struct gm_as *as, uint64_t cap)
{
	fake_open(f, as, GM_BLOCK_BYTES, 4096, true);
	cr_assert_eq(gm_as_detach(as, f->dev), 0);
	cr_assert_eq(gm_dev_unregister_physmem(f->dev, gm_dev_hnid(f->dev)), 0);
	cr_assert_eq(gm_dev_destroy(f->dev), 0);
	cr_assert_eq(gm_dev_create(&f->mmu, f, cap, &f->dev), 0);
	cr_assert_eq(gm_dev_register_physmem(f->dev, 0, GM_BLOCK_BYTES), -EINVAL, "it has none");
	cr_assert_eq(gm_dev_hnid(f->dev), -ENODEV);
	cr_assert_eq(gm_as_attach(as, f->dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
}

static inline void fake_close(struct fake_dev *f)
{
	int hnid = gm_dev_hnid(f->dev);

	cr_assert_eq(gm_as_detach(f->as, f->dev), 0);
	cr_assert(hnid < 0 || !gm_dev_unregister_physmem(f->dev, hnid));
	cr_assert_eq(gm_dev_destroy(f->dev), 0);
	munmap(f->mem, f->mem_bytes);
}

/*
 * The device touches one byte: fn on its address as the device's page table says, after as many
 * faults as it takes. Returns 0 or the error of the fault.
 */
static inline int fake_touch(struct fake_dev *f, const void *p, bool write,
			     void (*fn)(unsigned char *, void *), void *arg)
{
	uintptr_t va = (uintptr_t)p;
	struct fake_pte *e = &f->pte[(va - f->as->base) / GM_PAGE_BYTES];
	uint8_t need = write ? GM_PROT_WRITE : GM_PROT_READ;

	for (;;) {
		pthread_mutex_lock(&f->lock);
		if (e->prot & need)
			break;
		pthread_mutex_unlock(&f->lock);
		int err = gm_dev_fault(f->as, va, f->dev, write ? GM_HINT_WRITE : GM_HINT_READ);
		if (err && err != -EAGAIN)
			return err;
		f->faults += !err;
	}
	f->touched[(va - f->as->base) / GM_PAGE_BYTES] = 1;
	char *base = e->mem == GM_MEM_HOST   ? f->as->store.alias
		     : e->mem == GM_MEM_PEER ? e->peer->mem
					     : f->mem;
	fn((unsigned char *)base + e->pa + va % GM_PAGE_BYTES, arg);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static inline void fake_load(unsigned char *byte, void *arg)
{
	*(unsigned char *)arg = *byte;
}

static inline void fake_store(unsigned char *byte, void *arg)
{
	*byte = *(unsigned char *)arg;
}

static inline int fake_read(struct fake_dev *f, const void *p, unsigned char *out)
{
	return fake_touch(f, p, false, fake_load, out);
}

static inline int fake_write(struct fake_dev *f, void *p, unsigned char v)
{
	return fake_touch(f, p, true, fake_store, &v);
}

#endif
