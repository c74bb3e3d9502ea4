/*
 * altstack.c - every thread has an altstack, so that our SIGSEGV handler has somewhere to run; the program
 * may set one of its own, which then takes the place of ours and is pinned to the host.
 *
 * A thread's mapping: guard page, stack, two signal frames' worth of scratch, struct gmp_thread. Private
 * pages outside the window; only what is touched is paid for.
 */
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "preload.h"

/* Programs that ask for SA_ONSTACK without setting an altstack run on ours: give them room. */
#define ALT_BYTES ((size_t)256 << 10)

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
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

void gmp_altstack_install(struct gmp_thread *t)
{
	stack_t own = {.ss_sp = t->own_alt, .ss_size = t->own_alt_bytes};

	gm_sys2(SYS_sigaltstack, &own, NULL);
}

/* A thread that set an altstack before it was armed (the main thread, in a constructor that ran first) keeps
 * it. */
static bool on_stack(const stack_t *s, uintptr_t sp)
{
	return s->ss_size && sp - (uintptr_t)s->ss_sp < s->ss_size;
}

static long set_alt(struct gmp_thread *t, const stack_t *set)
{
	bool off = set->ss_flags & SS_DISABLE;
	stack_t own = {.ss_sp = t->own_alt, .ss_size = t->own_alt_bytes};

	if (!off && gmp_managed(set->ss_sp, set->ss_size))
		gmi_pin_range(set->ss_sp, set->ss_size, true);
	long r = gm_sys2(SYS_sigaltstack, off && t->own_alt ? &own : set, NULL);
	if (r < 0)
		return r;
	/* The old range stays pinned: it may share pages with another. Altstacks are few and live long. */
	const stack_t none = {.ss_flags = SS_DISABLE};
	t->alt = off ? none : *set;
	return 0;
}

int gmp_sigaltstack(const stack_t *set, stack_t *old, uintptr_t sp)
{
	struct gmp_thread *t = gmp_self();
	stack_t was = t->alt;

	was.ss_flags = was.ss_size ? (int)((unsigned)was.ss_flags & SS_AUTODISARM) : SS_DISABLE;
	if (on_stack(&was, sp) && !((unsigned)was.ss_flags & SS_AUTODISARM))
		was.ss_flags |= SS_ONSTACK;
	if (set) {
		long r = was.ss_flags & SS_ONSTACK ? -EPERM : set_alt(t, set);
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
	return (int)gmp_ret(gmp_sigaltstack(set, old, (uintptr_t)__builtin_frame_address(0)));
}

void gmp_off_stack(void (*fn)(void *), void *arg)
{
	struct gmp_thread *t = gmp_self();

	if (gmi_vm_contains(__builtin_frame_address(0)) && t->own_alt)
		gmp_call_on(t->own_alt + t->own_alt_bytes, fn, arg);
	else
		fn(arg);
}

/* Into the store, too: a device that maps a pinned page later must not move it under the stack's feet. */
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
