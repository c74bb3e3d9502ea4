/*
 * device.h - the simulated accelerators: open one, load kernel modules, launch, wait; streams
 * and fences.
 *
 * For programs that link -lgmem. Functions return 0 or -errno; none may be called from a signal
 * handler. All are thread-safe, and devices and streams may be used by several threads at once;
 * only what closes or destroys an object must be the last use of it. After fork() the child has
 * the same handles: it starts a device process of its own at first use, and what was queued in
 * streams is given up there (-ECANCELED).
 */
#ifndef GMEM_DEVICE_H
#define GMEM_DEVICE_H

#include <gmem/gmem.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* one simulated device: a process with compute workers, an MMU and perhaps a memory */
struct gm_sim;
struct gm_stream; /* a queue of work that runs in order, beside the program and other streams */
struct gm_fence;  /* a point in a stream, to be waited for */

/* ---- devices ---- */

/**
 * gm_sim_open - opens a simulated device
 * @spec: "profile[,key=value]...", e.g. "pcie3-gpu,mem=1G,page=64K,workers=2"; gmem-report
 * --profiles lists them
 * @sim: receives the device
 *
 * Nothing starts before the first launch. Every call opens another device, also of the same
 * profile.
 *
 * Return: 0; -EINVAL bad spec (one line to stderr says what is valid); -ENOSPC too many devices
 * (8); -ENOMEM.
 * Source: ours; it takes the place of a driver's probe function.
 */
int gm_sim_open(const char *spec, struct gm_sim **sim);

/**
 * gm_sim_close - closes a device
 * @sim: the device; nobody uses it any more
 *
 * Detaches it from every space (its pages come home) and ends its process.
 *
 * Return: 0; -EBUSY it has streams, or buffer objects or sparse ranges (gmem/sparse.h); -ENOMEM
 * the host has no room for its pages (the device stays open).
 * Source: ours.
 */
int gm_sim_close(struct gm_sim *sim);

/**
 * gm_sim_dev - the device as core knows it
 * @sim: the device
 *
 * For gm_as_attach() with a mode, gm_dev_hnid(), gm_policy_set() and the like.
 *
 * Return: the device, or NULL when it cannot be brought up.
 * Source: ours.
 */
struct gm_dev *gm_sim_dev(struct gm_sim *sim);

/**
 * gm_sim_attach - attaches a device to a space, coherent and exclusive
 * @sim: the device
 * @as: the space, e.g. gm_as_default()
 *
 * A space must be attached before its memory can be used by kernels. The same as gm_as_attach()
 * with GM_MMU_MODE_COHERENT_EXCLUSIVE; another mode goes by that call.
 *
 * Return: 0; -EEXIST it is attached already; -EBUSY the device has something else at addresses
 * of the space; -ENOMEM.
 * Source: RFC gm_as_attach.
 */
int gm_sim_attach(struct gm_sim *sim, struct gm_as *as);

/**
 * gm_sim_load - loads a kernel module into a device
 * @sim: the device
 * @path: a shared object, written with gmem/kernel.h; a bare name is searched as ld.so searches
 * libraries
 * @module: receives the module's number for gm_sim_launch(), -1 on failure
 *
 * Starts the device's process. Loading the same path again gives the same number.
 *
 * Return: 0; -ENOENT no such file; -ENOEXEC not loadable (the device says why); -ENOSPC 31
 * modules are loaded; -ENAMETOOLONG; -EIO the device cannot start.
 * Source: ours.
 */
int gm_sim_load(struct gm_sim *sim, const char *path, int *module);

/**
 * gm_checkpoint - makes the process one that CRIU or DMTCP can save
 *
 * Every page of every space comes home and is private memory again, and the simulated devices'
 * processes end: what is left is the program. The devices stay open; their next use, before the
 * dump or after a restart, starts them again. Call it where no kernel runs (one that does ends
 * with -EIO) and let nothing use a device until the dump is done.
 *
 * Return: 0; -EBUSY explicit mappings (gm_as_map(), gm_iova_map(), objects of the program's memory)
 * need pages in shared memory: nothing was done; or system calls of other threads use some, or some
 * cannot come home: those stay.
 * Source: ours; the amdgpu plug-in of CRIU and cuda-checkpoint save devices' state instead.
 */
int gm_checkpoint(void);

#define GM_LAUNCH_ARGS_MAX 512 /* bytes of arguments */
enum gm_time_basis {
	/* the kernel counted its work, and what it reached over the bus was seen */
	GM_TIME_COUNTED,
	/* what it reached over the bus is a mean of other launches of the kernel */
	GM_TIME_SAMPLED,
	/* what it computed, or reached over the bus, is not known: the time lacks that */
	GM_TIME_NOT_MODELLED,
};
struct gm_launch_result {
	uint64_t fault_addr;  /* with -EFAULT or -EPERM: the address */
	int kernel_code;      /* with -ECANCELED: what the kernel returned */
	uint64_t modelled_ns; /* kernel time by the device model, without faults and transfers */
	uint64_t wall_ns;     /* from the first block's start to the last one's end */
	enum gm_time_basis basis; /* of modelled_ns */
};
/**
 * gm_sim_launch - runs a kernel and waits for its end
 * @sim: the device
 * @module: from gm_sim_load(); 0: the built-in kernels
 * @kernel: its name
 * @nblocks: it runs once for every block index 0 .. nblocks-1, spread over the device's workers
 * in no order
 * @args: argument bytes, copied; pointers in them are the program's own
 * @args_bytes: their number, up to GM_LAUNCH_ARGS_MAX
 * @result: filled in also on failure; may be NULL
 *
 * Return: 0; -EFAULT it touched memory that the program does not have; -EPERM it wrote to
 * read-only memory; -ENOENT no such kernel; -ECANCELED it returned non-zero or crashed; -EIO the
 * device process was lost (the next launch starts a fresh one; memory is as the kernel left it);
 * -ENOMEM the host has no room for what it touched.
 * Source: ours.
 */
int gm_sim_launch(struct gm_sim *sim, int module, const char *kernel, uint32_t nblocks,
		  const void *args, size_t args_bytes, struct gm_launch_result *result);

/*
 * ---- streams ----
 *
 * What is queued in one stream runs in that order, each after the one before has ended; streams
 * run beside each other and beside gm_sim_launch(). The first error of a stream is kept until
 * gm_stream_sync() reports it; until then what is queued behind it is skipped, only fences pass
 * (and carry the error). Nothing here waits unless said.
 */

/**
 * gm_stream_create - makes a stream
 * @sim: the device that its launches run on
 * @stream: receives the stream
 *
 * Return: 0; -ENOMEM; -EINVAL.
 * Source: ours; as CUDA's streams and ZE's command lists. "Async copies" were asked for in the
 * RFC's thread.
 */
int gm_stream_create(struct gm_sim *sim, struct gm_stream **stream);

/**
 * gm_stream_destroy - ends a stream
 * @stream: the stream; nobody uses it any more
 *
 * Waits until its work is done.
 *
 * Return: what gm_stream_sync() would have returned; the stream is gone in any case.
 * Source: ours.
 */
int gm_stream_destroy(struct gm_stream *stream);

/**
 * gm_stream_launch - queues a kernel
 * @stream: the stream
 * @module: as in gm_sim_launch()
 * @kernel: its name, copied
 * @nblocks: number of blocks
 * @args: argument bytes, copied now
 * @args_bytes: their number
 * @result: filled in when the kernel has ended; must live until then; may be NULL
 *
 * Waits only while 1024 entries are queued (so do the other calls that queue).
 *
 * Return: 0 queued; -EINVAL bad arguments; -ENOMEM; -EAGAIN no thread can be started. What
 * gm_sim_launch() would have returned becomes the stream's error.
 * Source: ours.
 */
int gm_stream_launch(struct gm_stream *stream, int module, const char *kernel, uint32_t nblocks,
		     const void *args, size_t args_bytes, struct gm_launch_result *result);

/**
 * gm_stream_prefetch - queues the prefetch of a range
 * @stream: the stream
 * @hnid: the node to bring it to; -1: the host
 * @start: address, rounded down to a page
 * @len: bytes; the end is rounded up
 *
 * Return: 0 queued; -EINVAL; -ENOMEM. Errors of hmadvise() become the stream's, but for -EBUSY:
 * what must stay where it is, stays.
 * Source: RFC hmadvise(MADV_PREFETCH), in stream order.
 */
int gm_stream_prefetch(struct gm_stream *stream, int hnid, void *start, size_t len);

struct gm_batch_range {
	void *start; /* as for hmadvise() */
	size_t len;
	int hnid; /* where to, -1: the host; ignored by GM_MADV_DISCARD */
};
/**
 * gm_stream_batch - queues one wish for many ranges
 * @stream: the stream
 * @behavior: MADV_PREFETCH, GM_MADV_DISCARD or GM_MADV_DISCARD_PREFETCH
 * @range: the ranges, copied now; each goes to a node of its own
 * @n: their number
 *
 * Return: 0 queued; -EINVAL (nothing is queued); -ENOMEM, -EAGAIN: the first ranges may be queued.
 * Errors of hmadvise() become the stream's, as for gm_stream_prefetch().
 * Source: ours; as cudaMemPrefetchBatchAsync, cudaMemDiscardBatchAsync and
 * cudaMemDiscardAndPrefetchBatchAsync of CUDA 13.
 */
int gm_stream_batch(struct gm_stream *stream, int behavior, const struct gm_batch_range *range,
		    size_t n);

/**
 * gm_stream_copy - queues a copy
 * @stream: the stream
 * @hnid: where the destination's pages are to be afterwards; -1: the host
 * @dest: destination, as for hmemcpy()
 * @src: source
 * @bytes: length
 *
 * Both sides are read and written when their turn comes: they must stay until then.
 *
 * Return: 0 queued; -EINVAL; -ENOMEM. Errors of hmemcpy() become the stream's.
 * Source: RFC hmemcpy, in stream order.
 */
int gm_stream_copy(struct gm_stream *stream, int hnid, void *dest, const void *src, size_t bytes);

/**
 * gm_stream_call - queues a call of a function of the program
 * @stream: the stream
 * @fn: runs on the stream's thread, with all signals blocked; short, and it must not wait for
 * this stream
 * @arg: handed to fn
 *
 * fn may touch all memory, but under the preload it must not hand memory that a device may have
 * to system calls.
 *
 * Return: 0 queued; -EINVAL; -ENOMEM.
 * Source: ours; as cudaLaunchHostFunc.
 */
int gm_stream_call(struct gm_stream *stream, void (*fn)(void *arg), void *arg);

/**
 * gm_stream_sync - waits for everything that is queued
 * @stream: the stream
 *
 * Return: 0; else the first error since the last gm_stream_sync(), which is thereby reported:
 * the stream works again; -ECANCELED the work was given up by fork() in the child.
 * Source: ours.
 */
int gm_stream_sync(struct gm_stream *stream);

/**
 * gm_stream_query - is everything done?
 * @stream: the stream
 *
 * Return: 0 nothing is queued or running (whether it went well says gm_stream_sync()); -EBUSY;
 * -EINVAL.
 * Source: ours.
 */
int gm_stream_query(struct gm_stream *stream);

/**
 * gm_stream_wait - makes a stream wait for a fence
 * @stream: what is queued in it from now on runs after the fence
 * @fence: of this or another stream, of the same or another device
 *
 * The fence may be freed at once. If it carries an error, that becomes this stream's error too.
 *
 * Return: 0 queued; -EINVAL; -ENOMEM.
 * Source: ours; as cudaStreamWaitEvent.
 */
int gm_stream_wait(struct gm_stream *stream, struct gm_fence *fence);

/**
 * gm_fence_record - marks a point in a stream
 * @stream: the stream
 * @fence: receives the fence, which is reached when everything queued so far is done
 *
 * Return: 0; -EINVAL; -ENOMEM.
 * Source: ours; dma_fence in the kernel.
 */
int gm_fence_record(struct gm_stream *stream, struct gm_fence **fence);

/**
 * gm_fence_wait - waits for a fence
 * @fence: the fence
 * @timeout_ns: nanoseconds; 0: only asks; negative: for ever
 *
 * Any number of threads may wait, any number of times.
 *
 * Return: 0; -ETIMEDOUT not reached yet; else the error that its stream had there; -EINVAL.
 * Source: ours.
 */
int gm_fence_wait(struct gm_fence *fence, int64_t timeout_ns);

/**
 * gm_fence_free - gives a fence back
 * @fence: the fence; reached or not, no thread waits for it (streams may)
 *
 * Return: 0; -EINVAL.
 * Source: ours.
 */
int gm_fence_free(struct gm_fence *fence);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
