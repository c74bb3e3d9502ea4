/*
 * device.h - the simulated accelerators: open one, load kernel modules, launch, wait.
 *
 * Functions return 0 or -errno; none may be called from a signal handler. Devices may be used from several
 * threads.
 */
#ifndef GMEM_DEVICE_H
#define GMEM_DEVICE_H

#include <gmem/gmem.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct gm_sim; /* one simulated device: a process with compute workers, an MMU and a memory */

/*
 * Opens a device: spec is "profile[,key=value]...", e.g. "pcie3-gpu,mem=1G,page=64K,workers=2" (gmem-report
 * --options lists profiles and keys). Nothing starts before the first launch. -EINVAL: bad spec (one line to
 * stderr says what).
 */
int gm_sim_open(const char *spec, struct gm_sim **sim);
/* Detaches from every space (pages come home), ends the process. */
int gm_sim_close(struct gm_sim *sim);
struct gm_dev *gm_sim_dev(struct gm_sim *sim);
/* The space must be attached before its memory can be used by kernels. */
int gm_sim_attach(struct gm_sim *sim, struct gm_as *as);

/* Loads a kernel module (path of a shared object) into the device. module: for gm_sim_launch. -ENOENT,
 * -ENOEXEC */
int gm_sim_load(struct gm_sim *sim, const char *path, int *module);

#define GM_LAUNCH_ARGS_MAX 512
struct gm_launch_result {
	uint64_t fault_addr;  /* with -EFAULT or -EPERM: the address */
	int kernel_code;      /* with -ECANCELED: what the kernel returned */
	uint64_t modelled_ns; /* kernel time by the device model, without faults and transfers */
	uint64_t wall_ns;
};
/*
 * Runs a kernel of a module (module 0: built-in) for nblocks blocks and waits for its end. args is copied.
 * result may be NULL. -EFAULT bad address; -EPERM write to read-only memory; -ENOENT no such kernel;
 * -ECANCELED the kernel returned non-zero; -EIO the device process was lost (the next launch starts a fresh
 * one; memory is as the kernel left it).
 */
int gm_sim_launch(struct gm_sim *sim, int module, const char *kernel, uint32_t nblocks, const void *args,
		  size_t args_bytes, struct gm_launch_result *result);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
