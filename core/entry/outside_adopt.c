/*
 * outside_adopt.c - private memory of the program becomes memory of a store, and its own again.
 * See outside.h.
 *
 * One lock, the world's: whoever has it may stop the world. A program's thread waits for it with
 * its signals open, so that it can be stopped meanwhile; a thread of ours only tries.
 *
 * While the world is stopped any page may be the one that is exchanged, this process's own memory
 * as well: what is stored between its copy and the exchange is lost. So nothing is: no lock is
 * taken, nothing allocated, logged or noted in a map, no thread-local variable changed; the places
 * for what moves are made before, the notes before or after. What is stored to (the stack, the
 * variables of our libraries) lies in mappings that are never adopted (is_under_us, keep_module;
 * gmi_world_run).
 */
#include "core/entry/outside.h"
#include "core/page/registry.h"
#include "core/page/store.h"
#include "core/rules/opt.h"
#include "core/sys/text.h"
#include "core/sys/at_fork.h"
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STORE_BYTES ((uint64_t)1 << 47)
#define SMALL_RUN   ((uint64_t)64 << 10) /* what one touch brings; beside what came already: */
#define LARGE_RUN   ((uint64_t)2 << 20)
#define STOP_TRIES  40
#define GIVE_UP	    20 /* stops in a row that failed */
/* lseek(2) */
#define TO_DATA 3
#define TO_HOLE 4

bool (*gmi_world_stop)(void);
void (*gmi_world_start)(void);
void (*gmi_world_run)(void (*fn)(void *), void *arg);

static struct {
	struct gm_lock lock;
	_Atomic int owner;	/* the thread that holds it; 0: none */
	_Atomic bool restoring; /* devices get nothing outside the windows now */
	_Atomic size_t count;	/* ranges that are adopted */
	/* v[0]: how far away the program's own is kept; v[1]: rights; v[2]: the run: none merge */
	struct gm_rangemap adopted;
	uint64_t runs;
	int fd;
	long pid;
	unsigned failed;   /* stops in a row */
	uint64_t dev, ino; /* of the store; ino 0: none yet */
} world;

#define MODULES 4
static struct {
	uint64_t lo, hi;
} modules[MODULES];
static unsigned nmodules;

/* ---- what is never adopted ---- */

static int keep_segments(struct dl_phdr_info *info, size_t size, void *at)
{
	uint64_t lo = UINT64_MAX, hi = 0;
	(void)size;

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD)
			continue;
		lo = gm_min(lo, info->dlpi_addr + p->p_vaddr);
		hi = gm_max(hi, info->dlpi_addr + p->p_vaddr + p->p_memsz);
	}
	if ((uintptr_t)at < lo || (uintptr_t)at >= hi)
		return 0;
	if (nmodules < MODULES) {
		modules[nmodules].lo = gm_align_down(lo, GM_PAGE_BYTES);
		modules[nmodules++].hi = gm_align_up(hi, GM_PAGE_BYTES);
	}
	return 1;
}

void gmi_outside_keep_module(const void *at)
{
	dl_iterate_phdr(keep_segments, (void *)at);
}

static bool overlaps_module(uint64_t lo, uint64_t hi)
{
	for (unsigned i = 0; i < nmodules; i++)
		if (lo < modules[i].hi && modules[i].lo < hi)
			return true;
	return false;
}

/* No code, no device, nothing of the kernel's, nothing of ours. */
bool gmc_outside_is_plain(const struct gm_vma *vma)
{
	static const char *const plain[] = {"[stack]", "[heap]", "[anon:", "/dev/zero",
					    "/dev/shm/"};
	bool named = vma->name[0] == '[' || gm_text_after(vma->name, "/dev/");

	if (vma->shared || vma->exec || vma->huge || overlaps_module(vma->lo, vma->hi))
		return false;
	for (unsigned i = 0; named && i < GM_ARRAY_LEN(plain); i++)
		named = !gm_text_after(vma->name, plain[i]);
	return !named;
}

static bool may_stop_world(void)
{
	return gmi_opt.foreign >= GM_FOREIGN_COHERENT && gmi_world_stop;
}

bool gmc_outside_adoptable(const struct gm_vma *vma)
{
	return may_stop_world() && vma->read && gmc_outside_is_plain(vma);
}

/* ---- the lock ---- */

static bool try_world(void)
{
	if (!gmi_trylock(&world.lock))
		return false;
	atomic_store(&world.owner, gmi_gettid());
	return true;
}

static bool is_mine(void)
{
	return atomic_load(&world.owner) == gmi_gettid();
}

static void leave_world(void)
{
	atomic_store(&world.owner, 0);
	gmi_unlock(&world.lock);
}

static void pause_a_moment(void)
{
	struct {
		long s, ns;
	} t = {0, 20000};

	gm_sys2(SYS_nanosleep, &t, NULL);
}

/* By a thread of the program: with signals blocked, world locked. */
static gm_sigmask enter_world(void)
{
	for (;;) {
		gm_sigmask mask = gmi_block_signals();
		if (try_world())
			return mask;
		gmi_restore_signals(mask);
		pause_a_moment();
	}
}

/* A thread that went to another processor while its page was copied: the kernel says so anew. */
static void refresh_rseq(void)
{
	static bool registered;

	if (!registered)
		gm_sys3(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0);
	registered = true;
	gm_sys3(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0);
}

/* ---- adopting; world locked ---- */

static struct gm_outside_change forking;

/* In a fork child: all of it is the parent's, and the lock of a thread that is not here (but for
 * the preload's forks, which hold it). */
static void forget_store(void)
{
	if (!forking.on) {
		atomic_store(&world.owner, 0);
		atomic_store(&world.restoring, false);
		atomic_store(&world.lock.v, 0);
	}
	if (!world.ino)
		return;
	gmi_fd_close(world.fd);
	gmi_rangemap_destroy(&world.adopted);
	gmc_outside_forget_names();
	atomic_store(&world.count, 0);
	world.ino = 0;
}

static bool have_store(void)
{
	struct stat st;

	if (world.ino)
		return true;
	gmi_at_fork_child(forget_store);
	world.pid = gm_sys0(SYS_getpid);
	gmi_rangemap_init(&world.adopted, GM_PAGE_BYTES, STORE_BYTES);
	world.fd = gmi_memfd("gmem-outside", STORE_BYTES);
	if (world.fd < 0 || gm_sys2(SYS_fstat, world.fd, &st))
		return false;
	world.dev = st.st_dev;
	__atomic_store_n(&world.ino, st.st_ino, __ATOMIC_RELEASE);
	return true;
}

int gmc_outside_store(uint64_t dev, uint64_t ino)
{
	return ino && ino == __atomic_load_n(&world.ino, __ATOMIC_ACQUIRE) && dev == world.dev
		       ? world.fd
		       : -1;
}

bool gmc_outside_restoring(void)
{
	return atomic_load(&world.restoring);
}

struct run {
	uint64_t lo, hi;
	const struct gm_vma *vma;
	uint64_t room;	/* of the store, on its way to lo */
	uint64_t aside; /* where the program's own goes */
};

static bool was_adopted(uint64_t va)
{
	struct gm_range r;

	return gmi_rangemap_find(&world.adopted, va, &r);
}

/* The main stack whole, but for its lowest page: below that it grows. */
static void choose_run(uint64_t va, const struct gm_vma *vma, struct run *r)
{
	uint64_t bytes = SMALL_RUN;

	*r = (struct run){.vma = vma};
	if (gm_text_after(vma->name, "[stack]")) {
		r->lo = vma->lo + GM_PAGE_BYTES;
		r->hi = vma->hi;
		return;
	}
	if ((vma->lo && was_adopted(vma->lo - 1)) || was_adopted(vma->hi))
		bytes = LARGE_RUN;
	r->lo = gm_max(vma->lo, va / bytes * bytes);
	r->hi = gm_min(vma->hi, va / bytes * bytes + bytes);
}

static bool copy_pages(const struct run *r, uint64_t lo, uint64_t hi)
{
	return gmi_read_own((char *)r->room + (lo - r->lo), lo, hi - lo);
}

/* Pages that were never touched stay so: the store has none, which reads as zeros. */
static bool copy_into_store(const struct run *r, int pagemap)
{
	uint64_t entry[64];

	for (uint64_t lo = r->lo; lo < r->hi; lo += sizeof entry / 8 * GM_PAGE_BYTES) {
		uint64_t n = gm_min((r->hi - lo) / GM_PAGE_BYTES, sizeof entry / 8);
		bool known = !r->vma->ino && gmc_pagemap_read(pagemap, lo, n, entry);
		for (uint64_t i = 0; i < n; i++) {
			uint64_t first = i;
			while (i < n && (!known || gm_pagemap_holds(entry[i])))
				i++;
			if (i > first &&
			    !copy_pages(r, lo + first * GM_PAGE_BYTES, lo + i * GM_PAGE_BYTES))
				return false;
		}
	}
	return true;
}

static bool moved(uint64_t from, uint64_t to, uint64_t bytes, int how)
{
	return !gm_is_err((void *)gm_sys5(SYS_mremap, from, bytes, bytes,
					  MREMAP_MAYMOVE | MREMAP_FIXED | how, to));
}

/* Stopped. The program's own pages go aside and leave an empty place, which the store's take: at
 * no moment is nothing there. */
static int swap_run(const struct run *r, int pagemap)
{
	uint64_t bytes = r->hi - r->lo;
	struct gm_vma now;

	if (gmi_vma_find(r->lo, &now) || now.hi < r->hi || !now.read ||
	    !gmc_outside_is_plain(&now) || now.write != r->vma->write || now.ino != r->vma->ino)
		return -EAGAIN;
	if (!copy_into_store(r, pagemap))
		return -ENOTSUP; /* beyond the end of a file */
	if (!now.write && gm_sys_mprotect((void *)r->room, bytes, PROT_READ))
		return -ENOTSUP;
	/* a mapping never written to: its parts would not become one again */
	if (now.write)
		gm_sys3(SYS_madvise, r->lo, GM_PAGE_BYTES, 23 /* MADV_POPULATE_WRITE */);
	if (!moved(r->lo, r->aside, bytes, 4 /* MREMAP_DONTUNMAP */))
		return -ENOTSUP;
	if (!moved(r->room, r->lo, bytes, 0)) {
		bool back = moved(r->aside, r->lo, bytes, 0);
		gm_assert(back);
		return -ENOTSUP;
	}
	return 0;
}

static uint64_t map_for_run(uint64_t bytes, int prot, int flags, int fd, uint64_t off)
{
	void *p = gm_sys_mmap(NULL, bytes, prot, flags | MAP_NORESERVE, fd, off);

	return gm_is_err(p) ? 0 : (uint64_t)p;
}

/* Without the preload nobody can be: who registers says that nobody uses the range (gmem.h). */
static bool stop_others(void)
{
	return !gmi_world_stop || gmi_world_stop();
}
static void start_others(void)
{
	if (gmi_world_stop)
		gmi_world_start();
}

/* Stops the world and exchanges; the places are there and noted. */
static int exchange_run(const struct run *r)
{
	int pagemap = gmc_pagemap_fd(); /* opened while nobody is stopped */
	int err = stop_others() ? 0 : -EAGAIN;

	world.failed = err ? world.failed + 1 : 0;
	if (!err) {
		err = swap_run(r, pagemap);
		refresh_rseq();
		start_others();
	}
	return err;
}

static int adopt_run(struct run *r)
{
	uint64_t bytes = r->hi - r->lo;
	int err = -ENOTSUP;

	r->room = map_for_run(bytes, PROT_READ | PROT_WRITE, MAP_SHARED, world.fd, r->lo);
	r->aside = map_for_run(bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	gmc_outside_name_adopted(r->lo, r->hi, r->vma);
	struct gm_range_value v = {{r->aside - r->lo, r->vma->write, ++world.runs}};
	if (r->room && r->aside && !gmi_rangemap_assign(&world.adopted, r->lo, r->hi, &v)) {
		err = exchange_run(r);
		if (err)
			gmi_rangemap_clear(&world.adopted, r->lo, r->hi);
	}
	if (!err) {
		/* comes back from the store */
		gm_sys3(SYS_madvise, r->aside, bytes, MADV_DONTNEED);
		atomic_store(&world.count, world.adopted.count);
		return 0;
	}
	if (r->room)
		gm_sys_munmap((void *)r->room, bytes);
	if (r->aside)
		gm_sys_munmap((void *)r->aside, bytes);
	gm_sys4(SYS_fallocate, world.fd, 3 /* PUNCH_HOLE | KEEP_SIZE */, r->lo, bytes);
	return err;
}

/* The stack and the thread-local variables that this very code uses. */
static bool is_under_us(const struct gm_vma *vma, const struct gm_vma *stack, uint64_t tls)
{
	return vma->lo == stack->lo || (tls >= vma->lo && tls < vma->hi);
}

/* World locked. */
static int adopt_at(uint64_t va, const struct gm_vma *vma)
{
	struct run r;

	if (!gmi_world_stop || !have_store() || world.failed >= GIVE_UP)
		return -ENOTSUP;
	choose_run(va, vma, &r);
	return va < r.lo ? -ENOTSUP : adopt_run(&r);
}

int gmc_outside_adopt(uint64_t va)
{
	struct gm_vma vma, stack;
	int err = gmi_vma_find(va, &vma);

	if (!may_stop_world() || err || vma.shared)
		return 0; /* nothing to be done: the look will say what it is */
	if (!vma.read || overlaps_module(vma.lo, vma.hi))
		return -EFAULT;
	if (!gmc_outside_adoptable(&vma) ||
	    gmi_vma_find((uintptr_t)__builtin_frame_address(0), &stack) ||
	    is_under_us(&vma, &stack, (uintptr_t)__builtin_thread_pointer()))
		return -ENOTSUP;
	gm_sigmask mask = gmi_block_signals();
	err = -EAGAIN;
	if (try_world()) {
		err = adopt_at(va, &vma);
		leave_world();
	}
	gmi_restore_signals(mask);
	if (err == -EAGAIN && world.failed == GIVE_UP)
		gm_log(GM_LOG_WARN, "a thread does not stop: kernels work on copies of private "
				    "memory outside the window from now on");
	return err;
}

/* ---- restoring; world locked and stopped, on a stack that is not adopted ---- */

/* What the store has of it, into the program's own pages aside. */
static void copy_back(uint64_t lo, uint64_t hi, uint64_t aside)
{
	for (int64_t at = (int64_t)lo; at < (int64_t)hi;) {
		int64_t data = gm_sys3(SYS_lseek, world.fd, at, TO_DATA),
			end = data < 0 ? data : gm_sys3(SYS_lseek, world.fd, data, TO_HOLE);
		if (end < 0 || data >= (int64_t)hi)
			return;
		end = gm_min(end, (int64_t)hi);
		for (at = data; at < end;) {
			long n = gm_sys4(SYS_pread64, world.fd, aside + ((uint64_t)at - lo),
					 end - at, at);
			if (n <= 0)
				return;
			at += n;
		}
	}
}

static void restore_run(uint64_t lo, uint64_t hi, const struct gm_range_value *v)
{
	uint64_t aside = lo + v->v[0], bytes = hi - lo;

	if (!v->v[1])
		gm_sys_mprotect((void *)aside, bytes, PROT_READ | PROT_WRITE);
	copy_back(lo, hi, aside);
	if (!v->v[1])
		gm_sys_mprotect((void *)aside, bytes, PROT_READ);
	bool back = moved(aside, lo, bytes, 0);
	gm_assert(back);
	gm_sys4(SYS_fallocate, world.fd, 3 /* PUNCH_HOLE | KEEP_SIZE */, lo, bytes);
}

static bool next_adopted(const struct gm_outside_change *c, uint64_t va, struct gm_range *r)
{
	return gmi_rangemap_next(&world.adopted, va, r) && r->start < c->hi;
}

/* Whole runs, as they were adopted: parts would stay parts of the program's mapping. Several that
 * are kept may be neighbours by chance; each is moved by itself. */
static void restore_range(void *arg)
{
	const struct gm_outside_change *c = arg;
	struct gm_range r;

	for (uint64_t va = c->lo; next_adopted(c, va, &r); va = r.end)
		for (uint64_t lo = r.start, end = r.end; lo < r.end; lo = end, end = r.end) {
			struct gm_vma kept;
			if (!gmi_vma_find(lo + r.val.v[0], &kept))
				end = gm_min(r.end, kept.hi - r.val.v[0]);
			restore_run(lo, end, &r.val);
		}
}

/* By a thread of the program, world locked. Devices let go first; none gets anything again until
 * world.restoring is cleared. */
static void restore(struct gm_outside_change *c)
{
	bool stopped = false;
	struct gm_range r;

	gm_assert(is_mine() && atomic_load(&world.restoring));
	for (uint64_t va = c->lo; next_adopted(c, va, &r); va = r.end)
		gmi_outside_forget(r.start, r.end);
	for (int i = 0; i < STOP_TRIES && !stopped; i++)
		stopped = stop_others();
	if (!stopped)
		gm_log(GM_LOG_ERROR, "a thread does not answer: memory that it writes to while "
				     "mappings change may be lost");
	if (gmi_world_run)
		gmi_world_run(restore_range, c);
	else
		restore_range(c);
	refresh_rseq();
	if (stopped)
		start_others();
	while (next_adopted(c, c->lo, &r) && !gmi_rangemap_clear(&world.adopted, r.start, r.end))
		;
	atomic_store(&world.count, world.adopted.count);
	pause_a_moment(); /* this thread, too, learns its processor anew */
}

static bool overlaps_adopted(const struct gm_outside_change *c)
{
	struct gm_range r;

	return atomic_load(&world.count) && next_adopted(c, c->lo, &r);
}

/* ---- registering (gmem.h) ---- */

/* World locked. */
static void put_back(uint64_t lo, uint64_t hi)
{
	struct gm_outside_change c = {.lo = lo, .hi = hi};

	if (!overlaps_adopted(&c))
		return;
	atomic_store(&world.restoring, true);
	restore(&c);
	atomic_store(&world.restoring, false);
}

int gmc_outside_adopt_range(uint64_t lo, uint64_t hi)
{
	gm_sigmask mask = enter_world();
	int err = have_store() ? 0 : -ENOMEM;
	struct gm_vma vma;
	struct run r;

	for (uint64_t va = lo; !err && va < hi; va = r.hi) {
		err = gmi_vma_find(va, &vma);
		r = (struct run){.lo = va, .hi = gm_min(hi, vma.hi), .vma = &vma};
		if (!err && !vma.shared && !(err = adopt_run(&r)) && !gmi_world_stop)
			gm_sys3(SYS_madvise, r.lo, r.hi - r.lo, MADV_DONTFORK);
	}
	if (err)
		put_back(lo, hi);
	leave_world();
	gmi_restore_signals(mask);
	return err;
}

int gmc_outside_restore_range(uint64_t lo, uint64_t hi)
{
	const struct gm_outside_change c = {.lo = lo, .hi = hi};
	gm_sigmask mask = enter_world();
	int err = overlaps_adopted(&c) ? 0 : -ENOENT;

	put_back(lo, hi);
	leave_world();
	gmi_restore_signals(mask);
	return err;
}

/* ---- changes ---- */

void gmi_outside_begin(struct gm_outside_change *c, const void *p, size_t len)
{
	uintptr_t lo = gm_align_down((uintptr_t)p, GM_PAGE_BYTES);

	*c = (struct gm_outside_change){
		.lo = lo,
		.hi = gm_min(
			gm_align_up(gm_min((uintptr_t)p + gm_min(len, ~(uintptr_t)p), STORE_BYTES),
				    GM_PAGE_BYTES),
			STORE_BYTES),
	};
	if (!may_stop_world())
		return;
	c->on = true;
	c->mask = gmi_block_signals(); /* from here on nobody stops this thread, nor adopts */
	/* (a vfork child sees other threads than there are, and changes nothing for long) */
	if (gm_likely(!atomic_load(&world.count)) || is_mine() || gm_sys0(SYS_getpid) != world.pid)
		return;
	gmi_restore_signals(c->mask);
	c->mask = enter_world();
	c->locked = true;
	if (!overlaps_adopted(c))
		return;
	atomic_store(&world.restoring, true);
	restore(c);
}

void gmi_outside_end(const struct gm_outside_change *c)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (gm_unlikely(atomic_load_explicit(&gmi_outside_live, memory_order_relaxed)) &&
	    c->lo < c->hi && !(is_mine() && !c->locked))
		gmi_outside_forget(c->lo, c->hi);
	if (!c->on)
		return;
	if (c->locked) {
		atomic_store(&world.restoring, false);
		leave_world();
	}
	gmi_restore_signals(c->mask);
}

void gmi_outside_leave(void)
{
	struct gm_outside_change all = {.lo = 0, .hi = STORE_BYTES};

	if (!may_stop_world())
		return;
	gm_sigmask mask = enter_world();
	atomic_store(&world.restoring, true);
	if (atomic_load(&world.count))
		restore(&all);
	gmi_world_stop = NULL;
	leave_world();
	gmi_restore_signals(mask);
}

/* ---- fork ---- */

void gmi_outside_fork_prepare(void)
{
	if (!may_stop_world())
		return;
	gm_sigmask mask = enter_world();
	forking = (struct gm_outside_change){.lo = 0, .hi = STORE_BYTES, .on = true};
	atomic_store(&world.restoring, true);
	if (atomic_load(&world.count))
		restore(&forking);
	gmi_restore_signals(mask);
}

void gmi_outside_fork_done(void)
{
	if (!forking.on)
		return;
	forking.on = false;
	gm_sigmask mask = gmi_block_signals();
	atomic_store(&world.restoring, false);
	leave_world();
	gmi_restore_signals(mask);
}
