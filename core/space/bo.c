/*
 * bo.c - buffer objects: memory that the program itself gives addresses to (sparse.c). A device's
 * are on no list of what can be evicted; the host's lie in the store, at addresses that nobody
 * else gets, or where the program has them.
 */
#include "core/page/frame.h"
#include "core/page/bytes.h"
#include "core/page/entries.h"
#include "core/page/store.h"
#include "core/space/sparse.h"
#include "core/space/vm.h"
#include "core/space/vm_int.h"
#include "core/page/driver.h"
#include <errno.h>

#define BOUNCE_BYTES ((size_t)64 << 10)

static uint64_t pages_of(const struct gm_bo *bo)
{
	return bo->as ? 0 : bo->bytes / gm_dev_page_bytes(bo->dev);
}

static size_t size_of(uint64_t npages)
{
	return sizeof(struct gm_bo) + npages * sizeof(uint32_t);
}

void *gmc_bo_host(const struct gm_bo *bo, uint64_t at)
{
	return bo->as ? gm_alias(bo->as, bo->va) + at : NULL;
}

bool gmc_bo_at(const struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	for (const struct gm_bo *bo = as->user_bos; bo; bo = bo->next)
		if (bo->va < hi && lo < bo->va + bo->bytes && gmc_bo_alive(bo))
			return true;
	return false;
}

uint64_t gmc_bo_pa(const struct gm_bo *bo, uint64_t n)
{
	return bo->dev->phys_begin + ((uint64_t)bo->frame[n] << GM_PAGE_SHIFT);
}

uint64_t gmc_bo_run(const struct gm_bo *bo, uint64_t n, uint64_t most)
{
	uint64_t k = bo->as ? most : 1;

	while (k < most && bo->frame[n + k] == bo->frame[n] + (k << bo->dev->page_order))
		k++;
	return k;
}

bool gmc_bo_alive(const struct gm_bo *bo)
{
	if (bo->as)
		return bo->pid == (int)gm_sys0(SYS_getpid);
	return __atomic_load_n(&gmc_devs[bo->dev->index], __ATOMIC_RELAXED) == bo->dev;
}

/* ---- bytes ---- */

/* Some space that the device is attached to: drivers copy by it. Registry lock held. */
static struct gm_ctx *any_ctx(const struct gm_dev *dev)
{
	gm_for_each_space (each)
		if (each->ctx[dev->index])
			return each->ctx[dev->index];
	return NULL;
}

static int by_driver(struct gm_dev *dev, enum gm_op_kind kind, uint64_t pa, void *host, size_t len)
{
	gm_sigmask mask = gmc_registry_enter();

	struct gm_ctx *ctx = any_ctx(dev);
	struct gm_op op = {.kind = (uint8_t)kind, .pa = pa, .host = host, .len = len};
	int err = ctx ? gmc_ops_send(ctx, &op, 1) : -ENODEV;
	gmc_registry_leave(mask);
	return err;
}

/* A driver without an aperture must not touch the program's memory: through memory of ours. */
static int bounce(struct gm_dev *dev, enum gm_op_kind kind, uint64_t pa, char *host, size_t len)
{
	char *room = gmi_alloc(BOUNCE_BYTES);
	int err = room ? 0 : -ENOMEM;

	for (size_t at = 0, n; at < len && !err; at += n) {
		n = gm_min(len - at, BOUNCE_BYTES);
		if (kind == GM_OP_COPY_IN)
			gm_copy(room, host + at, n);
		err = by_driver(dev, kind, pa + at, room, n);
		if (!err && kind == GM_OP_COPY_OUT)
			gm_copy(host + at, room, n);
	}
	gmi_free(room, BOUNCE_BYTES);
	return err;
}

/* `host` may be managed memory: no lock is held. */
static int bo_move(struct gm_dev *dev, enum gm_op_kind kind, uint64_t pa, void *host, size_t len)
{
	int err;

	if (gmc_copy_direct(dev, kind, host, pa, len, &err))
		return err;
	return kind == GM_OP_ZERO ? by_driver(dev, kind, pa, NULL, len)
				  : bounce(dev, kind, pa, host, len);
}

static int move_range(struct gm_bo *bo, enum gm_op_kind kind, size_t offset, char *host,
		      size_t bytes)
{
	size_t page = gm_dev_page_bytes(bo->dev);
	int err = 0;

	for (size_t n; bytes && !err; bytes -= n, offset += n, host += host ? n : 0) {
		uint64_t first = offset / page,
			 most = gm_min(bytes / page + 2, pages_of(bo) - first);
		n = gm_min(bytes, gmc_bo_run(bo, first, most) * page - offset % page);
		err = bo_move(bo->dev, kind, gmc_bo_pa(bo, first) + offset % page, host, n);
	}
	return err;
}

static int bo_copy(struct gm_bo *bo, enum gm_op_kind kind, size_t offset, void *host, size_t bytes)
{
	size_t size = bo ? bo->bytes : 0;

	if (!bo || !host || offset > size || bytes > size - offset)
		return -EINVAL;
	if (!gmc_bo_alive(bo))
		return -ENODEV;
	if (!bo->as) {
		int err = gmc_bo_use(bo);
		if (err)
			return err;
		err = move_range(bo, kind, offset, host, bytes);
		gmc_bo_unuse(bo);
		return err;
	}
	char *at = gmc_bo_host(bo, offset);
	gm_copy(kind == GM_OP_COPY_IN ? at : host, kind == GM_OP_COPY_IN ? host : at, bytes);
	return 0;
}

int gm_bo_write(struct gm_bo *bo, size_t offset, const void *src, size_t bytes)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	return bo_copy(bo, GM_OP_COPY_IN, offset, (void *)(uintptr_t)src, bytes);
}

int gm_bo_read(struct gm_bo *bo, size_t offset, void *dest, size_t bytes)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	return bo_copy(bo, GM_OP_COPY_OUT, offset, dest, bytes);
}

/* ---- making and giving back ---- */

/* The device keeps its memory (n 1) or may lose it again (-1). 0, -ENODEV */
static int keep_memory(struct gm_dev *dev, int n)
{
	gm_sigmask mask = gmc_registry_enter();

	int err = dev->phys ? 0 : -ENODEV;
	if (!err)
		dev->nbos += (unsigned)n;
	gmc_registry_leave(mask);
	return err;
}

static void give_frames_back(struct gm_bo *bo, uint64_t npages)
{
	struct gm_dev *dev = bo->dev;
	gm_sigmask mask = gmi_block_signals();

	for (uint64_t i = 0; i < npages && gmc_bo_alive(bo); i++)
		gmc_frame_give(dev, (uint64_t)bo->frame[i] << GM_PAGE_SHIFT);
	gmi_restore_signals(mask);
	if (gmc_bo_alive(bo))
		keep_memory(dev, -1);
	gmi_free(bo, size_of(pages_of(bo)));
}

/* Frame n, beside the one before if that can be. */
static int take_frame(struct gm_bo *bo, uint64_t n)
{
	uint64_t prefer =
		n ? ((uint64_t)bo->frame[n - 1] << GM_PAGE_SHIFT) + gm_dev_page_bytes(bo->dev)
		  : GM_PHYS_NONE;
	uint64_t frame;
	int err;

	for (;;) {
		gm_sigmask mask = gmi_block_signals();
		err = gmc_frame_take(bo->dev, NULL, gm_bm_zero(), prefer, &frame);
		gmi_restore_signals(mask);
		if (err != -EAGAIN)
			break;
		gm_sys0(SYS_sched_yield);
	}
	if (!err)
		bo->frame[n] = (uint32_t)(frame >> GM_PAGE_SHIFT);
	return err;
}

int gm_bo_create(struct gm_dev *dev, size_t bytes, struct gm_bo **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!dev || !out || !bytes || bytes % gm_dev_page_bytes(dev))
		return -EINVAL;
	int err = keep_memory(dev, 1);
	if (err)
		return err;
	uint64_t npages = bytes / gm_dev_page_bytes(dev), n = 0;
	bool fits = bytes <= gmi_phys_total_bytes(dev->phys);
	struct gm_bo *bo = fits ? gmi_alloc(size_of(npages)) : NULL;
	if (!bo) {
		keep_memory(dev, -1);
		return fits ? -ENOMEM : -ENOSPC;
	}
	bo->dev = dev;
	bo->bytes = bytes;
	bo->prot = GM_PROT_READ | GM_PROT_WRITE;
	while (n < npages && !(err = take_frame(bo, n)))
		n++;
	if (!err)
		err = move_range(bo, GM_OP_ZERO, 0, NULL, bytes);
	if (err)
		give_frames_back(bo, n);
	else
		*out = bo;
	return err;
}

/* ---- on the host ---- */

static struct gm_bo *host_bo(struct gm_as *as, struct gm_dev *dev, uintptr_t va, size_t bytes,
			     int prot)
{
	struct gm_bo *bo = gmi_alloc(size_of(0));

	if (bo)
		*bo = (struct gm_bo){.dev = dev,
				     .as = as,
				     .va = va,
				     .bytes = bytes,
				     .pid = (int)gm_sys0(SYS_getpid),
				     .prot = prot};
	return bo;
}

/* It is among the space's objects (n 1), or is no longer. */
static void count_host_bo(struct gm_bo *bo, int n)
{
	struct gm_as *as = bo->as;
	gm_sigmask mask = gmc_vm_enter(as);

	as->nbos += (unsigned)n;
	if (bo->dev && n > 0) {
		bo->next = as->user_bos;
		as->user_bos = bo;
	} else if (bo->dev) {
		struct gm_bo **at = &as->user_bos;
		while (*at != bo)
			at = &(*at)->next;
		*at = bo->next;
	}
	gmc_vm_leave(as, mask);
}

/* Addresses that nobody has, with memory of the store. */
static int reserve_host(struct gm_as *as, size_t bytes, uintptr_t *va)
{
	gm_sigmask mask = gmc_registry_enter();
	int err = gmc_store_open(as);

	gmc_registry_leave(mask);
	if (err)
		return err;
	void *p = gmi_vm_map(as, bytes, GM_BLOCK_BYTES, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, GM_REGION_SPARSE, 0);
	if (gm_is_err(p))
		return gm_err(p);
	*va = (uintptr_t)p;
	return gmc_store_populate(as, *va, bytes);
}

static int release_host(struct gm_as *as, uintptr_t va, size_t bytes)
{
	gm_sigmask mask = gmc_vm_enter(as);
	int err = gmc_vm_replace(as, va, va + bytes, &gmc_vm_nothing);

	if (!err && as->store.alias)
		gmc_store_punch(as, va, bytes);
	gmc_vm_leave(as, mask);
	return err;
}

int gm_bo_create_host(struct gm_as *as, size_t bytes, struct gm_bo **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as || !out || !bytes || bytes % GM_PAGE_BYTES)
		return -EINVAL;
	uintptr_t va = 0;
	int err = bytes > as->bytes ? -ENOMEM : reserve_host(as, bytes, &va);
	struct gm_bo *bo = err ? NULL : host_bo(as, NULL, va, bytes, GM_PROT_READ | GM_PROT_WRITE);
	if (bo) {
		count_host_bo(bo, 1);
		*out = bo;
		return 0;
	}
	if (va)
		release_host(as, va, bytes);
	return err ? err : -ENOMEM;
}

/* The device stays in the space (n 1) or may leave it (-1). 0, -EINVAL */
static int keep_attached(struct gm_as *as, struct gm_dev *dev, int n)
{
	gm_sigmask mask = gmc_registry_enter();
	struct gm_ctx *ctx = as->ctx[dev->index];
	int err = ctx && ctx->dev == dev ? 0 : -EINVAL;

	if (!err)
		ctx->nsparse += (unsigned)n;
	gmc_registry_leave(mask);
	return err;
}

int gmc_bo_user(struct gm_as *as, struct gm_dev *dev, uintptr_t lo, size_t bytes, int prot,
		struct gm_bo **out)
{
	void *addr = (void *)lo;
	struct gm_bo *bo = host_bo(as, dev, lo, bytes, prot);
	int err = bo ? keep_attached(as, dev, 1) : -ENOMEM;
	if (!err && (err = gm_as_map(as, dev, addr, bytes, prot)))
		keep_attached(as, dev, -1);
	if (err) {
		gmi_free(bo, size_of(0));
		return err;
	}
	count_host_bo(bo, 1);
	*out = bo;
	return 0;
}

int gm_bo_create_user(struct gm_as *as, struct gm_dev *dev, void *addr, size_t bytes, int prot,
		      struct gm_bo **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as || !dev || !out || !bytes || ((uintptr_t)addr | bytes) % gm_dev_page_bytes(dev))
		return -EINVAL;
	return gmc_bo_user(as, dev, (uintptr_t)addr, bytes, prot, out);
}

static int destroy_host(struct gm_bo *bo)
{
	int err = 0;

	count_host_bo(bo, -1); /* else it is not to be unmapped */
	if (!bo->dev)
		err = release_host(bo->as, bo->va, bo->bytes);
	else if (gmc_bo_alive(bo))
		err = gm_as_unmap(bo->as, bo->dev, (void *)bo->va, bo->bytes);
	if (!err && bo->dev && gmc_bo_alive(bo))
		keep_attached(bo->as, bo->dev, -1);
	if (err)
		count_host_bo(bo, 1);
	else
		gmi_free(bo, size_of(0));
	return err;
}

int gm_bo_destroy(struct gm_bo *bo)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!bo)
		return -EINVAL;
	if (gmc_bo_alive(bo) && atomic_load(&bo->bound))
		return -EBUSY;
	if (bo->as)
		return destroy_host(bo);
	bool has = !gmc_bo_alive(bo) || gmc_bo_keeps_frames(bo);
	give_frames_back(bo, has ? pages_of(bo) : 0);
	return 0;
}
