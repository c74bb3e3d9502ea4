/*
 * site_call.c - before and after a rewritten system call (gate.S: gmp_site_call). What takes no
 * memory of ours is let through, what does is held, and everything else goes to dispatch.
 *
 * The program's vector registers are in use, so this file and what it calls know none (Makefile:
 * GENERAL_REGS); the rare ways that need more go aside().
 */
#include "preload/dispatch/site_call.h"

#include <linux/io_uring.h>
#include <sys/mman.h>

#include "core/entry/outside.h"
#include "core/entry/hold.h"
#include "core/rules/opt.h"
#include "core/page/thread.h"
#include "core/sys/vectors.h"
#include "preload/dispatch/rewrite.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"
#include "preload/process/thread.h"
#include "preload/signals/altstack.h"
#include "preload/syscalls/syscall_table.h"
#include "preload/syscalls/uring.h"

/* What gmp_site_before() answers; else the token of a hold. */
enum { CALL = 0, TO_DISPATCH = -1, CHANGES_MAPPING = 1 << 20 };

/* How a call is made here: which arguments may point to memory of ours, and... */
enum {
	ARGS = 0x3f,
	NESTED = 0x40,	    /* what they point to may point on */
	SIGSETS = 0x80,	    /* one is a mask, which dispatch must edit */
	MAPPING = 0x100,    /* the first is an address: of our window, dispatch's */
	DISPATCHED = 0x200, /* always */
};
static uint16_t ways[GMP_NSYSCALLS];

static uint16_t way_of_arg(const struct gmp_arg *a, unsigned i)
{
	switch (a->kind) {
	case GMP_VALUE:
	case GMP_STRV:
		return 0;
	case GMP_IN:
	case GMP_OUT:
	case GMP_INOUT:
	case GMP_CSTR:
		return a->unit == GMP_BYTES ? (uint16_t)(1u << i) : NESTED;
	case GMP_SIGSET:
	case GMP_SIGSET6:
		return SIGSETS;
	default:
		return NESTED;
	}
}

static uint16_t way_of(const struct gmp_syscall *s)
{
	uint16_t way = 0;

	switch (s->special) {
	case GMP_PLAIN:
	case GMP_CLOSE: /* not ours: that is seen of every call */
		break;
	case GMP_MMAP:
	case GMP_MUNMAP:
	case GMP_MPROTECT:
	case GMP_MADVISE:
		return MAPPING;
	default:
		return DISPATCHED;
	}
	if (!s->name)
		return DISPATCHED;
	if (s->norestart && gmi_opt.foreign >= GM_FOREIGN_COHERENT)
		return DISPATCHED; /* a stop may end it: gmp_call_through_stops() */
	for (unsigned i = 0; s->memory && i < 6; i++)
		way |= way_of_arg(&s->arg[i], i);
	return s->commands ? way | NESTED : way;
}

struct kept {
	void (*fn)(void *);
	void *arg;
};

static void keep_and_call(void *arg)
{
	const struct kept *k = arg;

	gmi_keep_vectors(k->fn, k->arg);
}

/*
 * The program's stack may have no room for more than a small frame: the thread's altstack has,
 * unless it is in use. (A handler that leaves by a jump leaves it marked: then there is less room.)
 */
static void aside(void (*fn)(void *), void *arg)
{
	struct gmp_thread *t = gmp_tls;
	struct kept k = {fn, arg};
	const uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

	if (!t || !t->own_alt || t->aside || sp - (uintptr_t)t->own_alt < t->own_alt_bytes) {
		keep_and_call(&k);
		return;
	}
	t->aside = true;
	gmp_call_on(t->own_alt + t->own_alt_bytes, keep_and_call, &k);
	t->aside = false;
}

static void pin_stack(void *sp)
{
	gmp_pin_stack((uintptr_t)sp);
}

static void join_late(void *unused)
{
	gmp_thread_join();
}

/* Memory of our window's, a ring's requests, or a module that we have rewritten. */
static bool is_our_mapping(const struct gmp_site_regs *r)
{
	if (gmi_vm_contains((void *)r->a[0]))
		return true;
	if (r->nr == SYS_munmap)
		return gmp_uring_any() || gmp_rewrite_covers((uintptr_t)r->a[0], (size_t)r->a[1]);
	return r->nr == SYS_mmap && (int)r->a[4] >= 0 && r->a[5] == IORING_OFF_SQES;
}

static long before_mapping(const struct gmp_site_regs *r)
{
	const bool placed = r->a[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE);

	if (is_our_mapping(r))
		return TO_DISPATCH;
	/* what is adopted is put back first */
	if (gmi_opt.foreign >= GM_FOREIGN_COHERENT && (r->nr != SYS_mmap || placed))
		return TO_DISPATCH;
	if (r->nr == SYS_madvise || (r->nr == SYS_mmap && !placed))
		return CALL;
	return CHANGES_MAPPING;
}

/* Devices may have the same object mapped (core/entry/outside.h). */
static void tell_change(void *regs)
{
	const struct gmp_site_regs *r = regs;

	gmi_outside_changed((void *)r->a[0], (size_t)r->a[1]);
}

static bool has_sigset(const struct gmp_site_regs *r)
{
	const struct gmp_arg *arg = gmp_syscalls[r->nr].arg;

	for (unsigned i = 0; i < 6; i++)
		if ((arg[i].kind == GMP_SIGSET || arg[i].kind == GMP_SIGSET6) && r->a[i])
			return true;
	return false;
}

static bool points_to_us(const struct gmp_site_regs *r, unsigned args)
{
	for (; args; args &= args - 1) {
		const unsigned i = (unsigned)__builtin_ctz(args);
		const struct gmp_arg *a = &gmp_syscalls[r->nr].arg[i];
		const size_t n = a->count ? (size_t)r->a[a->count - 1] : 1;
		if (gmp_managed((void *)r->a[i], n * a->size + a->extra))
			return true;
	}
	return false;
}

/* The first token stands for all: they are given back in turn. */
static long hold_all(const struct gmp_site_regs *r)
{
	struct gmp_ranges rs;
	long first = CALL;

	rs.pin = NULL;
	rs.pins = false;
	gmp_syscall_ranges(r->nr, r->a, &rs);
	if (gm_unlikely(rs.pins))
		return TO_DISPATCH;
	for (unsigned i = 0; i < rs.n; i++) {
		long token = gmi_hold((void *)rs.r[i].lo, rs.r[i].hi - rs.r[i].lo, rs.r[i].write);
		first = first ? first : token;
	}
	return first;
}

long gmp_site_before(struct gmp_site_regs *r)
{
	const uint32_t now = atomic_load_explicit(&gmp_generation, memory_order_relaxed);

	if (!(now & 1))
		return CALL; /* the child of a fork, which is not active (yet) */
	if (gm_unlikely(gmp_joined != now)) {
		if (gmp_joined == GMP_NEVER_JOINS)
			return CALL;
		aside(join_late, NULL);
	}
	if (gm_unlikely(gmi_vm_contains(r)) &&
	    gmp_tls->stack_block != gm_align_down((uintptr_t)r, GM_BLOCK_BYTES))
		aside(pin_stack, r);
	const uint16_t way = (unsigned long)r->nr < GMP_NSYSCALLS ? ways[r->nr] : DISPATCHED;
	if ((way & DISPATCHED) || ((way & SIGSETS) && has_sigset(r)))
		return TO_DISPATCH;
	if (way & MAPPING)
		return before_mapping(r);
	if (gm_unlikely(gmp_names_our_fd(r->nr, r->a[0])))
		return TO_DISPATCH; /* which knows the answer */
	return (way & NESTED) || points_to_us(r, way & ARGS) ? hold_all(r) : CALL;
}

void gmp_site_after(long token, struct gmp_site_regs *r)
{
	if (gm_likely(token != CHANGES_MAPPING)) {
		gmi_unhold((unsigned)token);
		return;
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&gmi_outside_live, memory_order_relaxed))
		aside(tell_change, r);
}

void gmp_site_call_init(void)
{
	for (unsigned nr = 0; nr < GMP_NSYSCALLS; nr++)
		ways[nr] = way_of(&gmp_syscalls[nr]);
	gmi_aside = aside;
}
