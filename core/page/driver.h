/*
 * driver.h - calling a driver's functions (struct gm_mmu), and noticing when one breaks its
 * contract.
 *
 * Every call goes through gmc_driver(), guarded (guard.h). A device whose driver broke a rule is
 * out of use (gm_dev.broken): nothing is mapped on it any more, its faults end with -EIO, its pages
 * come home when they are wanted.
 *
 * Locks: none of core's.
 */
#ifndef GM_CORE_DRIVER_H
#define GM_CORE_DRIVER_H

#include "core/page/guard.h"
#include "core/page/registry.h"

/* The functions of struct gm_mmu, by name in driver.c's table. */
enum gm_callback {
	GM_CB_APERTURE,
	GM_CB_VA_ALLOC,
	GM_CB_VA_FREE,
	GM_CB_PMAP_CREATE,
	GM_CB_PMAP_DESTROY,
	GM_CB_MAP,
	GM_CB_UNMAP,
	GM_CB_PROTECT,
	GM_CB_HMEMCPY,
	GM_CB_TLB_INVL,
	GM_CB_BATCH,
	GM_CB_ACCESSED,
	GM_CB_ACCOUNT,
	GM_CB_TLB_INVL_COALESCED,
	GM_CB_ACCOUNT_CPU,
	GM_CALLBACKS
};

/*
 * Calls it with up to four words, and returns what it returned: 0 or -errno, whatever it tried to
 * say. 0 for one that the driver does not have. -EIO: it broke a rule, now or before.
 */
#define gmc_driver(dev, cb, ...) gmc_driver_call((dev), (cb), (const uintptr_t[4]){__VA_ARGS__})
int gmc_driver_call(struct gm_dev *dev, enum gm_callback cb, const uintptr_t args[4]);
/* The address that aperture() returns: NULL if it has none, or broke a rule. */
void *gmc_driver_aperture(struct gm_dev *dev);

/* gmc_guard_watch(). True: a device is attached whose driver, or plug-in, may hang. */
bool gmc_driver_watch(void);
/* A space has got the device, or loses it. In a fork child there is none. */
void gmc_driver_attached(const struct gm_dev *dev, bool attached);
void gmc_driver_forked(void);
/* The driver's functions may take as long as they like. */
void gmc_dev_patient(struct gm_dev *dev);

/* What is wrong is told by gm_last_error() to this thread. Returns err. */
int gmc_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
