/*
 * dev.h - inside gmem-devsim, the device process. An ordinary program: libc is its own, nothing
 * of core or preload.
 *
 *	dev_main    maps what it was given, starts the threads, ends when the host does
 *	dev_mmu     the page table: the ring's commands, replies to faults (lock: page table)
 *	dev_touch   which pages a launch touched
 *	dev_touch_outside  the same outside the windows
 *	dev_record  which pages it touches, in their order, for a recording
 *	dev_fault   SIGSEGV of any thread: post, wait, map, go on; or end the kernel
 *	dev_outside files and shared memory of the program, outside the windows (lock: page table)
 *	dev_foreign copies of its other memory there, while a region runs (lock: foreign)
 *	dev_worker  compute workers: launches in order, block by block (lock: queue)
 *	dev_stacks  stacks of the threads that libraries make
 *	dev_pad     thread-local memory for the program's variables
 *	dev_module  kernels by name: built-in ones and shared objects
 *
 * The page-table lock is taken inside the SIGSEGV handler; nothing that holds it touches program
 * memory or allocates. No thread takes another lock while it holds that one.
 */
#ifndef GM_DEVSIM_DEV_H
#define GM_DEVSIM_DEV_H

#include "devsim/wire.h"
#include <gmem/kernel.h>

extern struct ds_ctl *ctl;
extern unsigned dev_cpus; /* processors that this process may use */

#define DEV_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* One line to stderr, "gmem-devsim: ...". Not in signal handlers. */
void dev_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
uint64_t dev_now_ns(void);
void dev_futex_wait(_Atomic uint32_t *w, uint32_t seen);
void dev_futex_wake(_Atomic uint32_t *w, int n);
void dev_futex_wait_bits(_Atomic uint32_t *w, uint32_t seen, uint32_t bits);
void dev_futex_wake_bits(_Atomic uint32_t *w, uint32_t bits);
/* A lock for handlers: 0 free, 1 held, 2 held and somebody sleeps. */
bool dev_trylock(_Atomic uint32_t *lock);
void dev_lock(_Atomic uint32_t *lock);
void dev_unlock(_Atomic uint32_t *lock);

/* ---- dev_mmu.c ---- */

int dev_prot(const struct ds_map *m); /* an entry's rights, as mmap() has them */
/* reserves the windows that exist at start; false: one is taken (said) */
bool dev_mmu_init(void);
bool dev_mmu_contains(uint64_t va); /* in a window? Any thread, also in handlers */
void dev_mmu_apply(void);	    /* applies every command of the ring. Signal-safe */
bool dev_mmu_try_apply(void);	    /* the same, unless somebody is at it or there is none */
void *dev_mmu_thread(void *);	    /* applies commands when the host rings */
/* Maps the entries of a REPLIED slot and frees it. CANCELLED: only frees it. 0; -EBUSY: something
 * of this process is in the way; -ENOMEM. */
int dev_mmu_take_reply(struct ds_fault *f);
/* Was a touch out of reach for the sake of a recording only? Then it is not any more. */
bool dev_mmu_recorded(uint64_t va, bool write);
bool dev_mmu_has_outside(uint64_t va); /* is something of an object mapped there? */

/* The page table's lock, for a launch's begin and end. */
void dev_mmu_sample_begin(bool sample);
void dev_mmu_sample_end(struct ds_launch *l);

/* ---- dev_touch.c: page table locked ---- */
void dev_touch_window(unsigned i, uint64_t base, uint64_t bytes); /* bytes 0: it has gone */
void dev_touch_map(uint64_t va, uint64_t len, enum ds_mem mem);
void dev_touch_unmap(uint64_t va, uint64_t len); /* before it is */
bool dev_touch_sampled(void);			 /* is a launch being sampled? */
/* Sets the bits of pages of the range, in one block, that were touched but dropped by a look
 * since it was last asked. */
void dev_touch_accessed(uint64_t va, uint64_t len, uint64_t *bits);
void dev_touch_begin(bool sample);
void dev_touch_end(struct ds_launch *l);
/* The bits of the pages [first, end) of the 2 MiB at block that are present; false: not known. */
bool dev_touch_look(uint64_t block, unsigned first, unsigned end, uint64_t *bits);
/* Tells the host which pages of the 2 MiB at va were touched over the bus. */
void dev_touch_tell(uint64_t va, const uint64_t *remote);

/* ---- dev_touch_outside.c: page table locked ---- */
void dev_touch_outside_goes(uint64_t va, uint64_t len); /* before it is unmapped */
void dev_touch_outside_drop(void);
uint64_t dev_touch_outside_end(void); /* tells the host; how many pages it were */

/* ---- dev_record.c: page table locked ---- */
void dev_record_init(void); /* before any window, and before it is confined */
bool dev_recording(void);
void dev_record_window(unsigned i, uint64_t base, uint64_t bytes); /* bytes 0: it has gone */
void dev_record_map(uint64_t va, uint64_t len, int prot);	   /* an entry, made out of reach */
void dev_record_unmap(uint64_t va, uint64_t len);
void dev_record_begin(void); /* a launch does */
/* A touch of a page that has an entry which allows it: written down, and within reach now. */
bool dev_record_touch(uint64_t va, bool write);

/* ---- dev_outside.c: page table locked ---- */
/* The descriptor of an object has come; -1: it has not. */
void dev_outside_object(uint32_t number, int fd);
bool dev_outside_known(uint32_t number);
bool dev_outside_has(uint64_t va);
void dev_outside_drop(uint64_t va, uint64_t len);
void dev_outside_each(void (*fn)(uint64_t va, uint64_t len)); /* for all that is mapped so */
/* An entry, of which va is wanted. 0; -EBUSY: something of this process lies there; -errno. */
int dev_outside_map(const struct ds_map *m, uint64_t va);
/* What is mapped in [va, va + len) is no entry any more: it stays. false: not all of it is here. */
bool dev_outside_keep(uint64_t va, uint64_t len);

/* ---- dev_fault.c ---- */
void dev_confine(void); /* dev_confine.c: before any thread is started */
void dev_fault_init(void);
/* Asks the host's service thread for something else than an entry: claim a slot, fill it in,
 * ask, read it, release it. dev_fault_ask: 0 or the error that the host gave. Signal-safe. */
struct ds_fault *dev_fault_claim(void);
int dev_fault_ask(struct ds_fault *f);
void dev_fault_release(struct ds_fault *f);

/* ---- dev_foreign.c ---- */
/* A touch outside every window: true when the page is there now. Does not return when the kernel
 * must end otherwise than by -EFAULT. Signal-safe. */
bool dev_foreign_fault(uint64_t va, bool execute);

/* ---- dev_worker.c ---- */
void *dev_worker_thread(void *index);
/*
 * Ends the calling thread's kernel: the launch fails with err and addr. A worker whose kernel
 * may be left leaves it by a jump; in any other thread (a BLAS pool's) and in kernels that hold
 * locks of a library the process ends. Signal-safe.
 */
void dev_kernel_fail(int err, uint64_t addr, int code) __attribute__((noreturn));
/* The slot of the launch that this thread works for; of a library's own thread, if there is but
 * one. Else DS_LAUNCHES. */
uint32_t dev_launch_slot(void);
/* The launch that the calling worker runs a block of. */
struct ds_launch *dev_this_launch(void);
/* Until dev_kernel_end_library(): this worker's kernel runs library code, on behalf of whose own
 * threads it may be failed (with all others that do: whose thread it is nobody knows). */
void dev_kernel_begin_library(void);
void dev_kernel_end_library(void);

/* ---- dev_module.c ---- */
/* The kernel of a launch. 0, -ENOENT, -ENOEXEC; *fn is NULL when only a module was to be loaded.
 * Queue lock not held. */
int dev_module_kernel(unsigned module, const char *name, gm_kernel_fn **fn);

/* ---- built-in kernels ---- */
struct dev_builtin {
	const char *name;
	gm_kernel_fn *fn;
};
extern const struct dev_builtin dev_mem_kernels[], dev_blas_kernels[]; /* end with a NULL name */
/* Where the running launch's journal of so many bytes is mapped; NULL: no room. Not yet valid.
 * One thread of a launch. */
void *dev_journal_open(struct ds_launch *l, uint64_t bytes);
void dev_journal_close(struct ds_launch *l);

#endif
