/* What is wrong with a set-up. See setup.h. */
#include "core/space/setup.h"
#include "core/page/driver.h"
#include <errno.h>

#define CAPS ((uint64_t)(GM_DEV_CAP_REPLAYABLE | GM_DEV_CAP_PEER | GM_DEV_CAP_BUS_ATOMICS))

const char *gmc_dev_name(const struct gm_dev *dev)
{
	return dev->mmu->name ? dev->mmu->name : "";
}

static bool page_ok(uint64_t bytes)
{
	return bytes >= GM_PAGE_BYTES && bytes <= GM_BLOCK_BYTES && !(bytes & (bytes - 1));
}

#define SIZES_USED  ((uint64_t)(GM_BLOCK_BYTES << 1) - GM_PAGE_BYTES)
#define SIZES_KNOWN (SIZES_USED | (uint64_t)1 << 30)

uint64_t gmc_page_sizes(const struct gm_mmu *mmu)
{
	return mmu->page_sizes ? mmu->page_sizes & SIZES_USED : mmu->page_bytes;
}

static int check_sizes(const struct gm_mmu *mmu, const char *name)
{
	if (mmu->page_sizes & ~SIZES_KNOWN)
		return gmc_fail(-EINVAL,
				"driver \"%s\": page_sizes has 0x%lx; valid: bits of 4 KiB to 2 "
				"MiB, and 1 GiB",
				name, mmu->page_sizes & ~SIZES_KNOWN);
	uint64_t sizes = gmc_page_sizes(mmu);
	if (!sizes || (sizes & -sizes) > mmu->page_bytes)
		return gmc_fail(-EINVAL,
				"driver \"%s\": page_sizes is 0x%lx; valid: at least one bit up to "
				"page_bytes, 0x%lx",
				name, mmu->page_sizes, mmu->page_bytes);
	return 0;
}

int gmc_check_dev(const char *caller, const struct gm_mmu *mmu, uint64_t cap, struct gm_dev **out)
{
	const char *name = mmu && mmu->name ? mmu->name : "";

	if (gmc_called_back(caller))
		return -EDEADLK;
	if (!mmu)
		return gmc_fail(-EINVAL, "mmu is NULL");
	if (!out)
		return gmc_fail(-EINVAL,
				"driver \"%s\": dev is NULL: there is nowhere to put the device",
				name);
	if (!page_ok(mmu->page_bytes))
		return gmc_fail(
			-EINVAL,
			"driver \"%s\": page_bytes is %lu; valid: a power of two, 4096 to 2097152",
			name, mmu->page_bytes);
	int err = check_sizes(mmu, name);
	if (err)
		return err;
	if (cap & ~CAPS)
		return gmc_fail(-EINVAL,
				"driver \"%s\": unknown capability 0x%lx; valid: "
				"GM_DEV_CAP_REPLAYABLE 0x1, GM_DEV_CAP_PEER 0x10, "
				"GM_DEV_CAP_BUS_ATOMICS 0x20",
				name, cap & ~CAPS);
	if (mmu->batch)
		return 0;
	const struct {
		const char *what;
		bool there;
	} needed[] = {{"pmap_enter", mmu->pmap_enter},
		      {"pmap_release", mmu->pmap_release},
		      {"pmap_protect", mmu->pmap_protect},
		      {"aperture or peer_hmemcpy", mmu->aperture || mmu->peer_hmemcpy}};
	for (unsigned i = 0; i < GM_ARRAY_LEN(needed); i++)
		if (!needed[i].there)
			return gmc_fail(-EINVAL, "driver \"%s\" has neither %s nor batch", name,
					needed[i].what);
	return 0;
}

int gmc_check_aperture(const struct gm_dev *dev)
{
	const struct gm_mmu *mmu = dev->mmu;

	if (dev->broken) /* said */
		return -EINVAL;
	if (mmu->aperture && !dev->aperture && !mmu->batch && !mmu->peer_hmemcpy)
		return gmc_fail(-EINVAL,
				"driver \"%s\": aperture() returned NULL, and there is neither "
				"peer_hmemcpy nor batch to copy by",
				gmc_dev_name(dev));
	if ((uintptr_t)dev->aperture % GM_PAGE_BYTES)
		return gmc_fail(-EINVAL,
				"driver \"%s\": aperture() returned %p; valid: a multiple of %u",
				gmc_dev_name(dev), (void *)dev->aperture, (unsigned)GM_PAGE_BYTES);
	return 0;
}

int gmc_check_physmem(const char *caller, const struct gm_dev *dev, uint64_t begin, uint64_t end)
{
	if (gmc_called_back(caller))
		return -EDEADLK;
	if (!dev)
		return gmc_fail(-EINVAL, "dev is NULL");
	if (end <= begin)
		return gmc_fail(-EINVAL, "driver \"%s\": memory from 0x%lx to 0x%lx is empty",
				gmc_dev_name(dev), begin, end);
	if ((begin | end) % GM_BLOCK_BYTES)
		return gmc_fail(
			-EINVAL,
			"driver \"%s\": memory from 0x%lx to 0x%lx; valid: multiples of 2 MiB",
			gmc_dev_name(dev), begin, end);
	if (!(dev->cap & GM_DEV_CAP_PEER))
		return gmc_fail(
			-EINVAL,
			"driver \"%s\" was created without GM_DEV_CAP_PEER: it has no memory",
			gmc_dev_name(dev));
	if (dev->phys)
		return gmc_fail(-EINVAL, "driver \"%s\" has registered memory already",
				gmc_dev_name(dev));
	return 0;
}

int gmc_check_attach(const char *caller, const struct gm_as *as, const struct gm_dev *dev, int mode)
{
	if (gmc_called_back(caller))
		return -EDEADLK;
	if (!as)
		return gmc_fail(-EINVAL, "as is NULL: there is no such space");
	if (!dev)
		return gmc_fail(-EINVAL, "dev is NULL");
	if ((unsigned)mode > GM_MMU_MODE_REPLICATE)
		return gmc_fail(-EINVAL,
				"driver \"%s\": mode is %d; valid: GM_MMU_MODE_SHARE 0, "
				"_COHERENT_EXCLUSIVE 1, _REPLICATE 2",
				gmc_dev_name(dev), mode);
	return 0;
}

int gmc_check_link(const char *caller, const struct gm_dev *dev, const struct gm_dev *peer,
		   unsigned how)
{
	if (gmc_called_back(caller))
		return -EDEADLK;
	if (!dev || !peer)
		return gmc_fail(-EINVAL, "%s is NULL", dev ? "peer" : "dev");
	const char *name = gmc_dev_name(dev);
	if (dev == peer)
		return gmc_fail(-EINVAL, "driver \"%s\": peer is the device itself", name);
	if (how != GM_PEER_COPY && how != (GM_PEER_COPY | GM_PEER_MAP))
		return gmc_fail(
			-EINVAL,
			"driver \"%s\": how is 0x%x; valid: GM_PEER_COPY 0x1, GM_PEER_COPY | "
			"GM_PEER_MAP 0x3",
			name, how);
	if (!(dev->cap & peer->cap & GM_DEV_CAP_PEER))
		return gmc_fail(-EINVAL,
				"driver \"%s\": one of the devices was created without "
				"GM_DEV_CAP_PEER: it has no memory",
				name);
	if (!dev->mmu->batch && !dev->mmu->peer_hmemcpy)
		return gmc_fail(-EINVAL, "driver \"%s\" has neither peer_hmemcpy nor batch", name);
	if (how & GM_PEER_MAP && dev->min_order > peer->page_order)
		return gmc_fail(
			-EINVAL,
			"driver \"%s\": its smallest entry, %zu bytes, is larger than a page "
			"of the peer, %zu bytes",
			name, GM_PAGE_BYTES << dev->min_order, GM_PAGE_BYTES << peer->page_order);
	return 0;
}

int gmc_check_spill(const struct gm_dev *dev, const struct gm_dev *to)
{
	if (!dev)
		return gmc_fail(-EINVAL, "dev is NULL");
	if (!to)
		return 0;
	const char *name = gmc_dev_name(dev);
	if (!(dev->cap & to->cap & GM_DEV_CAP_PEER))
		return gmc_fail(-EINVAL,
				"driver \"%s\": one of the devices was created without "
				"GM_DEV_CAP_PEER: it has no memory",
				name);
	if (to->page_order > dev->page_order)
		return gmc_fail(-EINVAL,
				"driver \"%s\": a page of the memory below, %zu bytes, is larger "
				"than its own, %zu bytes",
				name, gm_dev_page_bytes(to), gm_dev_page_bytes(dev));
	for (const struct gm_dev *d = to; d; d = d->spill ? gmc_devs[d->spill - 1] : NULL)
		if (d == dev)
			return gmc_fail(-EINVAL, "driver \"%s\": its memory lies below \"%s\"'s",
					name, gmc_dev_name(to));
	return 0;
}
