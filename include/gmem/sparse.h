/*
 * sparse.h - sparse binding: a range of device addresses as a table of pages of buffer objects,
 * remapped by the program.
 *
 * For programs that manage a device's memory themselves, as graphics APIs let them (sparse
 * textures, swap chains of heaps): a buffer object is device memory without an address, a sparse
 * range is addresses without memory; binding gives pages of the one to the other, in batches, at
 * any time, also while kernels run. Only the range's device can use its addresses; they are no
 * other memory's, on no device and not the CPU's, so pointers into it are unambiguous.
 *
 * Functions return 0 or -errno, are thread-safe and must not be called from signal handlers. A
 * fork child has the handles of its parent, but neither the memory nor the bindings: it can only
 * destroy them.
 */
#ifndef GMEM_SPARSE_H
#define GMEM_SPARSE_H

#include <gmem/gmem.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct gm_bo;	  /* a buffer object: pages of one device's memory, or of the host's */
struct gm_sparse; /* a range of addresses of one space, for one device */

/**
 * gm_bo_create - makes a buffer object
 * @dev: a device with memory (gm_dev_register_physmem())
 * @bytes: its size, a multiple of the device's page
 * @bo: receives the object
 *
 * Its bytes are zero. It keeps its memory until it is destroyed; managed pages are sent home to
 * make room for it.
 *
 * Return: 0; -EINVAL; -ENODEV the device has no memory, or neither an aperture nor a space;
 * -ENOSPC its memory is full of what must stay; -ENOMEM the host has no room for what must go;
 * errors of the driver.
 * Source: ours; as GEM objects in DRM and VkDeviceMemory.
 */
int gm_bo_create(struct gm_dev *dev, size_t bytes, struct gm_bo **bo);

/**
 * gm_bo_create_host - makes a buffer object in the host's memory
 * @as: the space whose devices may reach it
 * @bytes: its size, a multiple of 4 KiB (binding takes multiples of the device's page)
 * @bo: receives the object
 *
 * As gm_bo_create(), but devices reach it over the bus, and any device that is attached to the
 * space may have it bound. It takes so many addresses of the space, which nobody can use.
 *
 * Return: 0; -EINVAL; -ENOMEM.
 * Source: ours; as TTM's system placement and VkDeviceMemory of a host heap.
 */
int gm_bo_create_host(struct gm_as *as, size_t bytes, struct gm_bo **bo);

/**
 * gm_bo_create_user - makes managed memory of the program a buffer object
 * @as: the space
 * @dev: a device attached to it, the only one that it can be bound for
 * @addr: a multiple of the device's page
 * @bytes: a multiple of the device's page
 * @prot: GM_PROT_READ, or GM_PROT_READ | GM_PROT_WRITE: the most that it can be bound with
 * @bo: receives the object
 *
 * The pages are mapped and stay on the host as by gm_as_map(), and can be bound at other addresses
 * too; CPU and device see each other's stores. As long as the object is there munmap, mprotect,
 * mremap and mmap over them end with EBUSY; where they drop contents (MADV_DONTNEED) both sides see
 * zeros.
 *
 * Return: 0; -EINVAL; errors of gm_as_map().
 * Source: ours; as userptr of DRM_IOCTL_XE_VM_BIND.
 */
int gm_bo_create_user(struct gm_as *as, struct gm_dev *dev, void *addr, size_t bytes, int prot,
		      struct gm_bo **bo);

/**
 * gm_bo_destroy - gives a buffer object's memory back
 * @bo: the object
 *
 * Return: 0; -EBUSY some of it is bound; -EINVAL.
 * Source: ours.
 */
int gm_bo_destroy(struct gm_bo *bo);

/* What the program thinks of an object's contents. */
enum gm_bo_need { GM_BO_WILLNEED, GM_BO_DONTNEED };
/**
 * gm_bo_advise - says whether an object's contents are needed
 * @bo: an object in a device's memory
 * @need: DONTNEED: under pressure its memory may be taken, with nothing copied; WILLNEED: no more,
 * as when it was made
 * @retained: receives 1: it has its memory and its bytes; 0: it has lost them. May be NULL
 *
 * For caches of what can be made again. What is not needed goes before any managed page is sent
 * home, in the order in which it was marked, bound or not. It can be neither read, written nor
 * bound anew meanwhile; kernels that use what is bound read the bytes until they are gone, and fail
 * with -EFAULT then. An object that has lost its memory never gets it back: it is unbound,
 * destroyed, and another is made.
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP it lies in the host's memory; -ENODEV in a fork child.
 * Source: DRM_IOCTL_XE_MADVISE (DRM_XE_VMA_ATTR_PURGEABLE_STATE), i915's GEM_MADVISE; TTM.
 */
int gm_bo_advise(struct gm_bo *bo, enum gm_bo_need need, int *retained);

/**
 * gm_bo_write - copies bytes into a buffer object
 * @bo: the object
 * @offset: first byte in it
 * @src: the bytes, in any memory of the program
 * @bytes: their number
 *
 * What kernels do with the same bytes meanwhile is not ordered with it.
 *
 * Return: 0; -EINVAL beyond its end; -ENODEV in a fork child; -EBUSY it is marked as not needed,
 * -ENODATA it has lost its memory (gm_bo_advise()); -ENOMEM; errors of the driver (part may be
 * done).
 * Source: ours.
 */
int gm_bo_write(struct gm_bo *bo, size_t offset, const void *src, size_t bytes);

/**
 * gm_bo_read - copies bytes out of a buffer object
 * @bo: the object
 * @offset: first byte in it
 * @dest: where to, in any memory of the program
 * @bytes: their number
 *
 * Return: as gm_bo_write().
 * Source: ours.
 */
int gm_bo_read(struct gm_bo *bo, size_t offset, void *dest, size_t bytes);

/**
 * gm_sparse_create - reserves a sparse range
 * @as: the space that the addresses are of
 * @dev: a device attached to it; it stays attached as long as the range is there
 * @bytes: its size, a multiple of the device's page
 * @sparse: receives the range, of which nothing is bound
 *
 * The table costs 24 bytes for each page that is bound, rounded up to 127 neighbours, and a
 * sixteenth of a byte for each that is not.
 *
 * Return: 0; -EINVAL bad size, or not attached; -ENOMEM.
 * Source: sparse binding was asked for in the RFC's thread; VkBuffer with
 * VK_BUFFER_CREATE_SPARSE_BINDING_BIT.
 */
int gm_sparse_create(struct gm_as *as, struct gm_dev *dev, size_t bytes, struct gm_sparse **sparse);

/**
 * gm_sparse_destroy - unbinds all of a range and gives its addresses back
 * @sparse: the range; nobody uses it any more
 *
 * Return: 0; -EINVAL; errors of the driver (then it is still there).
 * Source: ours.
 */
int gm_sparse_destroy(struct gm_sparse *sparse);

/**
 * gm_sparse_addr - the first address of a range
 * @sparse: the range
 *
 * For kernels' arguments; the CPU cannot touch it.
 *
 * Return: the address, a multiple of 2 MiB; NULL when sparse is NULL.
 * Source: ours.
 */
void *gm_sparse_addr(const struct gm_sparse *sparse);

/* One change of the table. Offsets and bytes are multiples of the device's page. */
struct gm_bind {
	uint64_t offset, bytes; /* of the range */
	struct gm_bo *bo;	/* what is bound there; NULL: nothing any more */
	uint64_t bo_offset;	/* from here on in it */
	int prot;		/* GM_PROT_READ, or GM_PROT_READ | GM_PROT_WRITE; 0 with bo NULL */
	uint64_t attr;		/* in the device's entries, opaque (gm_set_attr()) */
};
/**
 * gm_sparse_bind - binds and unbinds pages of a range
 * @sparse: the range
 * @bind: the changes, made in this order; the same pages may occur several times, in it and in
 * the objects
 * @n: their number
 *
 * In place of what was bound there: a kernel that runs meanwhile sees each page as before or as
 * after, and when the call returns only as after; no kernel reaches what is no longer bound. A
 * kernel that touches a page without a binding fails with -EFAULT and the address, one that
 * writes where only reading is allowed with -EPERM. In the order of a stream: gm_stream_call().
 *
 * Return: 0; -EINVAL a change is not within the range and its object, not of the range's device
 * (or space), not in whole pages, or wants rights that the object has not (nothing was changed);
 * -EBUSY an object is marked as not needed, -ENODATA it has lost its memory (nothing was changed);
 * -ENODEV in a fork child; -ENOMEM, and errors of the driver: some changes were made, pages of the
 * others may be unbound.
 * Source: vkQueueBindSparse, DRM_IOCTL_XE_VM_BIND.
 */
int gm_sparse_bind(struct gm_sparse *sparse, const struct gm_bind *bind, size_t n);

/**
 * gm_sparse_query - what is bound at a page?
 * @sparse: the range
 * @offset: any byte in it
 * @bind: receives the binding of the one page that holds it; bo NULL: none
 *
 * Return: 0; -EINVAL.
 * Source: ours.
 */
int gm_sparse_query(struct gm_sparse *sparse, uint64_t offset, struct gm_bind *bind);

/*
 * ---- addresses of a device's own ----
 *
 * For devices whose addresses are not the CPU's: network cards behind an IOMMU, guests that choose
 * theirs. A table is a page table of one device; several in a process may have the same addresses.
 */
struct gm_iova;

/**
 * gm_iova_create - makes a table of device addresses
 * @as: the space whose memory is to be reached by it
 * @dev: a device attached to it; it stays attached as long as the table is there
 * @begin: the first address, a multiple of 2 MiB, not 0
 * @end: behind the last one, a multiple of 2 MiB
 * @iova: receives the table, in which nothing is mapped
 *
 * The driver sees one more space (pmap_create), of these addresses. A simulated device runs
 * kernels at the process's addresses: its tables must neither overlap each other nor what its
 * process has.
 *
 * Return: 0; -EINVAL; -ENOMEM; what pmap_create returned (-EBUSY the device has something there).
 * Source: ours; the kernel's iova_domain and iommu_domain. König asked for it in the RFC's thread.
 */
int gm_iova_create(struct gm_as *as, struct gm_dev *dev, uint64_t begin, uint64_t end,
		   struct gm_iova **iova);

/**
 * gm_iova_destroy - unmaps all of a table and forgets it
 * @iova: the table; nobody uses it any more
 *
 * Return: 0; -EINVAL; errors of the driver (then it is still there).
 * Source: ours.
 */
int gm_iova_destroy(struct gm_iova *iova);

/**
 * gm_iova_map - gives a buffer a device address
 * @iova: the table
 * @addr: first byte of the buffer, in the table's space
 * @len: bytes
 * @prot: GM_PROT_READ, or GM_PROT_READ | GM_PROT_WRITE
 * @at: the address wanted, with the same offset in its page as addr; 0: any that is free. Receives
 * the one of the first byte
 *
 * As dma_map_single(): the pages come to the host and stay there until gm_iova_unmap(), also where
 * gm_as_map() and other tables have them; munmap and mprotect over them end with EBUSY. Buffers
 * may share pages, which then have several addresses. The device reaches the whole of a page.
 *
 * Return: 0; -EINVAL; -EEXIST something is mapped there; -ENOSPC no address is free; errors of
 * gm_as_map(); -ENODEV in a fork child. After an error nothing is mapped.
 * Source: the DMA API; IOMMU_IOAS_MAP.
 */
int gm_iova_map(struct gm_iova *iova, void *addr, size_t len, int prot, uint64_t *at);

/**
 * gm_iova_unmap - takes a device address back
 * @iova: the table
 * @at: as gm_iova_map() gave it
 * @len: as it was mapped
 *
 * When it returns the device cannot reach the buffer by this address any more.
 *
 * Return: 0; -EINVAL; -ENOENT no such buffer is mapped there; errors of the driver; -ENODEV in a
 * fork child.
 * Source: the DMA API; IOMMU_IOAS_UNMAP.
 */
int gm_iova_unmap(struct gm_iova *iova, uint64_t at, size_t len);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
