/*
 * altstack.c - every thread has an altstack, so that our SIGSEGV handler has somewhere to run;
 * the program may set one of its own, which then takes the place of ours, unless it is too
 * small, and is pinned to the host. Before the first page leaves, calls that no hook sees set
 * it, too: signal frames tell what the kernel has.
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

/* Programs that ask for SA_ONSTACK without setting an altstack run on ours: give them room. */
#define ALT_BYTES ((size_t)256 << 10)

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define KERNEL_MINSIGSTKSZ 2048 /* libc's is another */
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

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
 * A dispatched call pushes a frame onto the stack in use, the handler of a fault runs there:
 * more than a program provides for that sizes its altstack by SIGSTKSZ. Handlers that ask for a
 * smaller one than this run on ours.
 */
#define ALT_ENOUGH ((size_t)32 << 10)

stack_t gmp_altstack_in_use(const struct gmp_thread *t)
{
	stack_t own = {.ss_sp = t->own_alt, .ss_size = t->own_alt_bytes};
	bool small = t->alt.ss_size < ALT_ENOUGH && !((unsigned)t->alt.ss_flags & SS_AUTODISARM);

	return t->own_alt && small ? own : t->alt;
}

void gmp_altstack_install(struct gmp_thread *t)
{
	stack_t use = gmp_altstack_in_use(t);

	gm_sys2(SYS_sigaltstack, &use, NULL);
}

static void pin_alt(void *arg)
{
	struct gmp_thread *t = arg;
	gmi_pin_range(t->alt.ss_sp, t->alt.ss_size, true);
}

void gmp_altstack_seen(struct gmp_thread *t, const stack_t *now)
{
	const stack_t known = gmp_altstack_in_use(t), none = {.ss_flags = SS_DISABLE};

	if (gm_likely(now->ss_sp == known.ss_sp && now->ss_size == known.ss_size))
		return;
	t->alt = now->ss_size && now->ss_sp != t->own_alt ? *now : none;
	t->alt.ss_flags = (int)((unsigned)t->alt.ss_flags & ~SS_ONSTACK);
	if (gmp_managed(t->alt.ss_sp, t->alt.ss_size))
		gmp_off_stack(pin_alt, t); /* we may be on it */
}

static bool on_stack(const stack_t *s, uintptr_t sp)
{
	return s->ss_size && sp - (uintptr_t)s->ss_sp < s->ss_size;
}

/* The kernel's rules, for when it cannot be asked. */
static long check_altstack(const stack_t *s)
{
	unsigned mode = (unsigned)s->ss_flags & ~SS_AUTODISARM;

	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	return mode != SS_DISABLE && s->ss_size < KERNEL_MINSIGSTKSZ ? -ENOMEM : 0;
}

static long set_alt(struct gmp_thread *t, const stack_t *set, bool install)
{
	const stack_t was = t->alt, none = {.ss_flags = SS_DISABLE};
	long r = check_altstack(set);

	if (r < 0)
		return r;
	bool off = set->ss_flags & SS_DISABLE;
	if (!off && gmp_managed(set->ss_sp, set->ss_size))
		gmi_pin_range(set->ss_sp, set->ss_size, true);
	/* The old range stays pinned: it may share pages with another. Altstacks are few and
	 * live long. */
	t->alt = off ? none : *set;
	t->alt.ss_flags = (int)((unsigned)t->alt.ss_flags & ~SS_ONSTACK);
	t->to_install = gmp_altstack_in_use(t);
	if (install && (r = gm_sys2(SYS_sigaltstack, &t->to_install, NULL)) < 0)
		t->alt = was;
	return r;
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
	was = t->alt;
	was.ss_flags = was.ss_size ? (int)((unsigned)was.ss_flags & SS_AUTODISARM) : SS_DISABLE;
	now = gmp_altstack_in_use(t);
	if (was.ss_size && on_stack(&now, sp) && !((unsigned)was.ss_flags & SS_AUTODISARM))
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
