/*
 * altstack.c - the kernel has an altstack of ours for every thread, for our handlers alone: the
 * program's may be of any size, hold a coroutine, or be read-only. What the program sets is kept
 * here, pinned to the host, and its own handlers are moved there (signal.c: gmp_deliver).
 *
 * Before the first page leaves, calls that no hook sees set the kernel's, too: signal frames tell
 * (gmp_altstack_seen), and the thread takes it back when it joins.
 *
 * Handlers that run on ours are moved away with a signal frame of less of it, if there is
 * anything on it below them: their own faults find the rest.
 *
 * A thread's mapping: guard page, stack, two signal frames' worth of scratch, struct gmp_thread.
 * Private pages outside the window; only what is touched is paid for.
 */
#include "preload/signals/altstack.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "core/entry/pin.h"
#include "core/space/vm.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/signals/signals.h"

/* Go's handlers run on ours if it finds no other: room for them. */
#define ALT_BYTES ((size_t)256 << 10)

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define KERNEL_MINSIGSTKSZ 2048 /* libc's is another */

static const stack_t none = {.ss_flags = SS_DISABLE};

static size_t frame_bytes(void)
{
	size_t min = getauxval(AT_MINSIGSTKSZ);
	return gm_align_up(gm_max(min, (size_t)4096) + 512, 64);
}

struct gmp_thread *gmp_altstack_make(void)
{
	size_t scratch = 2 * frame_bytes();
	size_t stack = gm_align_up(ALT_BYTES + 4 * frame_bytes(), GM_PAGE_BYTES);
	size_t tail = gm_align_up(scratch + sizeof(struct gmp_thread), GM_PAGE_BYTES);
	size_t bytes = GM_PAGE_BYTES + stack + tail;
	char *m = gm_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (gm_is_err(m))
		return NULL;
	gm_sys_mprotect(m, GM_PAGE_BYTES, PROT_NONE);
	struct gmp_thread *t = (struct gmp_thread *)(m + bytes - gm_align_up(sizeof(*t), 64));
	t->own_alt = m + GM_PAGE_BYTES;
	t->own_alt_bytes = stack;
	t->scratch = m + GM_PAGE_BYTES + stack;
	t->map_bytes = bytes;
	return t;
}

void gmp_altstack_free(struct gmp_thread *t)
{
	stack_t off = {.ss_flags = SS_DISABLE};

	gm_sys2(SYS_sigaltstack, &off, NULL);
	gm_sys_munmap(t->own_alt - GM_PAGE_BYTES, t->map_bytes);
}

void gmp_altstack_return(struct gmp_thread *t)
{
	stack_t off = {.ss_flags = SS_DISABLE};

	gm_sys2(SYS_sigaltstack, t->alt.ss_size ? &t->alt : &off, NULL);
}

/*
 * With small stacks, dispatched calls run on the altstack, for as long as they take, and handlers
 * interrupt them: all of that must be on one stack, the program's. It must have room for frames
 * that the program knows nothing of. Go, which is meant, makes its calls itself, and sets altstacks
 * before it says what its signals want.
 */
#define ALT_ENOUGH ((size_t)32 << 10)

static bool shares_theirs(const struct gmp_thread *t)
{
	return (gmp_small_stacks || t->raw) &&
	       (t->alt.ss_size >= ALT_ENOUGH || ((unsigned)t->alt.ss_flags & SS_AUTODISARM));
}

stack_t gmp_altstack_in_use(const struct gmp_thread *t)
{
	stack_t own = {.ss_sp = t->own_alt, .ss_size = t->own_alt_bytes};

	return t->own_alt && !t->theirs ? own : t->alt;
}

/* Refused while the thread is on the one that the kernel has. */
void gmp_altstack_install(struct gmp_thread *t)
{
	const bool was = t->theirs;

	t->theirs = shares_theirs(t);
	stack_t use = gmp_altstack_in_use(t);
	if (gm_sys2(SYS_sigaltstack, &use, NULL))
		t->theirs = was;
}

void gmp_altstack_share(struct gmp_thread *t, ucontext_t *uc)
{
	gmp_altstack_seen(t, &uc->uc_stack);
	if (!t->theirs && shares_theirs(t))
		uc->uc_stack = t->alt; /* it is seen there the next time */
}

void gmp_altstack_take_in(struct gmp_thread *t, ucontext_t *uc)
{
	gmp_altstack_seen(t, &uc->uc_stack);
	t->theirs = shares_theirs(t);
	uc->uc_stack = gmp_altstack_in_use(t);
}

void gmp_altstack_take(struct gmp_thread *t)
{
	stack_t now;

	gm_sys2(SYS_sigaltstack, NULL, &now);
	gmp_altstack_seen(t, &now);
	if (t->theirs != shares_theirs(t))
		gmp_altstack_install(t);
}

static void pin_alt(void *arg)
{
	struct gmp_thread *t = arg;
	gmi_pin_range(t->alt.ss_sp, t->alt.ss_size, true);
}

void gmp_altstack_seen(struct gmp_thread *t, const stack_t *now)
{
	const stack_t known = gmp_altstack_in_use(t);

	if (gm_likely(now->ss_sp == known.ss_sp && (!t->theirs || now->ss_size == known.ss_size)))
		return;
	t->theirs = t->raw = !t->own_alt || now->ss_sp != t->own_alt;
	t->alt = now->ss_size && t->theirs ? *now : none;
	t->alt.ss_flags = (int)((unsigned)t->alt.ss_flags & ~SS_ONSTACK);
	if (gmp_managed(t->alt.ss_sp, t->alt.ss_size))
		gmp_off_stack(pin_alt, t); /* we may be on it */
}

static bool on_stack(const stack_t *s, uintptr_t sp)
{
	return s->ss_size && sp - (uintptr_t)s->ss_sp < s->ss_size;
}

static stack_t view_of(const struct gmp_thread *t)
{
	return t->alt.ss_size ? t->alt : none;
}

/* ---- signal frames ---- */

/* Of Go's threads, some have taken ours for their own. */
bool gmp_altstack_is_wrong(const struct gmp_thread *t, const ucontext_t *uc)
{
	return !gmp_small_stacks || (t->alt.ss_size && !on_stack(&t->alt, (uintptr_t)uc));
}

void gmp_altstack_show(const struct gmp_thread *t, ucontext_t *uc)
{
	if (!t->theirs)
		uc->uc_stack = view_of(t);
}

stack_t gmp_altstack_below(const struct gmp_thread *t, const ucontext_t *uc)
{
	const uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
	stack_t use = gmp_altstack_in_use(t);

	if (t->theirs || !t->own_alt)
		return (unsigned)use.ss_flags & SS_AUTODISARM ? none : use;
	if (on_stack(&use, sp))
		use.ss_size = gm_align_down(sp - GMP_REDZONE, 64) - (uintptr_t)use.ss_sp;
	else if (on_stack(&t->alt, sp))
		use = uc->uc_stack; /* a handler's that was moved from ours, perhaps */
	return use;
}

/* A mode that there is not: the kernel keeps what it has. */
static const stack_t unchanged = {.ss_flags = SS_DISABLE | SS_ONSTACK};

static long check_altstack(const stack_t *s);

void gmp_altstack_returns(struct gmp_thread *t, ucontext_t *uc)
{
	const uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
	const stack_t *frame = &uc->uc_stack;

	if (!t->own_alt || t->theirs || frame->ss_sp == t->own_alt)
		return;
	if (!check_altstack(frame) && !on_stack(&t->alt, sp))
		t->alt = (unsigned)frame->ss_flags & SS_DISABLE ? none : *frame;
	uc->uc_stack = on_stack(&t->alt, sp) ? unchanged : gmp_altstack_in_use(t);
}

/* ---- sigaltstack ---- */

/* The kernel's rules, for when it cannot be asked. */
static long check_altstack(const stack_t *s)
{
	unsigned mode = (unsigned)s->ss_flags & ~SS_AUTODISARM;

	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	return mode != SS_DISABLE && s->ss_size < KERNEL_MINSIGSTKSZ ? -ENOMEM : 0;
}

/* What the kernel says: what is too small is a matter of the processor and of the process. */
static long ask_kernel(const struct gmp_thread *t, const stack_t *set)
{
	stack_t use = gmp_altstack_in_use(t);
	gm_sigmask old = gmi_block_signals();
	long r = gm_sys2(SYS_sigaltstack, set, NULL);

	if (!r)
		gm_sys2(SYS_sigaltstack, &use, NULL);
	gmi_restore_signals(old);
	return r == -EPERM ? check_altstack(set) : r;
}

static long set_alt(struct gmp_thread *t, const stack_t *set, bool install)
{
	long r = ask_kernel(t, set);

	if (r < 0)
		return r;
	bool off = set->ss_flags & SS_DISABLE;
	if (!off && gmp_managed(set->ss_sp, set->ss_size))
		gmi_pin_range(set->ss_sp, set->ss_size, true);
	/* The old range stays pinned: it may share pages with another. Altstacks are few and
	 * live long. */
	t->alt = off ? none : *set;
	t->alt.ss_flags = (int)((unsigned)t->alt.ss_flags & ~SS_ONSTACK);
	t->raw = !install;
	if (install) {
		gmp_altstack_install(t);
	} else {
		t->theirs = shares_theirs(t);
		t->to_install = gmp_altstack_in_use(t);
	}
	return 0;
}

int gmp_sigaltstack(const stack_t *set, stack_t *old, uintptr_t sp, const ucontext_t *frame)
{
	struct gmp_thread *t = gmp_self();
	stack_t now, was;

	if (frame)
		now = frame->uc_stack;
	else
		gm_sys2(SYS_sigaltstack, NULL, &now);
	gmp_altstack_seen(t, &now);
	was = view_of(t);
	was.ss_flags = was.ss_size ? (int)((unsigned)was.ss_flags & SS_AUTODISARM) : SS_DISABLE;
	if (was.ss_size && on_stack(&was, sp) && !((unsigned)was.ss_flags & SS_AUTODISARM))
		was.ss_flags |= SS_ONSTACK;
	if (set) {
		long r = was.ss_flags & SS_ONSTACK ? -EPERM : set_alt(t, set, !frame);
		if (r < 0)
			return (int)r;
	}
	if (old)
		*old = was;
	return 0;
}

GMP_HOOK int sigaltstack(const stack_t *set, stack_t *old)
{
	if (!gmp_armed)
		return (int)gmp_ret(gm_sys2(SYS_sigaltstack, set, old));
	return (int)gmp_ret(gmp_sigaltstack(set, old, (uintptr_t)__builtin_frame_address(0), NULL));
}

void gmp_off_stack(void (*fn)(void *), void *arg)
{
	struct gmp_thread *t = gmp_self();

	if (gmi_vm_contains(__builtin_frame_address(0)) && t->own_alt)
		gmp_call_on(t->own_alt + t->own_alt_bytes, fn, arg);
	else
		fn(arg);
}

/* Into the store, too: a device that maps a pinned page later must not move it under the stack's
 * feet. */
static void pin_block(void *block)
{
	gmi_pin_range(block, GM_BLOCK_BYTES, true);
}

void gmp_pin_stack(uintptr_t sp)
{
	uintptr_t block = gm_align_down(sp, GM_BLOCK_BYTES);
	struct gmp_thread *t = gmp_self();

	if (gm_likely(!gmi_vm_contains((void *)sp)) || t->stack_block == block || gmp_in_fork)
		return;
	t->stack_block = block;
	gmp_off_stack(pin_block, (void *)block);
}
