/*
 * fork.c - a child gets a heap and an address space of its own.
 *
 * The heap's fork handlers and core's are one set, in an order of our own: jemalloc's locks are
 * taken before core's, as everywhere (its extent hooks call core), and core's part comes next to
 * the fork itself.
 */
#include "preload/process/process.h"

#include "core/count/stats.h"
#include "core/entry/fork.h"
#include "core/entry/outside.h"
#include "core/rules/opt.h"
#include "core/space/vm.h"
#include "devsim/driver/sim.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"
#include "preload/process/libc.h"
#include "preload/process/thread.h"
#include "preload/signals/altstack.h"
#include "preload/signals/sighold.h"
#include "preload/syscalls/uring.h"

static struct {
	void (*prepare)(void), (*parent)(void), (*child)(void);
} heap;

bool gmp_left_shared;

/* Does core have anything to do with this process's memory? */
static bool core_forks(void)
{
	return gmp_on || gmp_left_shared;
}

#define FORK_STACK ((uintptr_t)64 << 10) /* libc's fork and our parts of it stay within */

struct stacks {
	struct gm_span span[2];
	unsigned n;
};

static void prepare_core(void *arg)
{
	const struct stacks *s = arg;
	gmi_fork_prepare_stacks(s->span, s->n);
}

/* Stacks in the heap (coroutines, altstacks): core then works on ours, which nobody needs
 * meanwhile. */
void gmp_fork_prepare(void)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	struct gmp_thread *t = gmp_armed ? gmp_self() : NULL;
	struct stacks s = {.n = 0};

	gmi_outside_fork_prepare();
	gmp_in_fork = true;
	if (t && gmp_managed(t->alt.ss_sp, t->alt.ss_size))
		s.span[s.n++] = (struct gm_span){(uintptr_t)t->alt.ss_sp,
						 (uintptr_t)t->alt.ss_sp + t->alt.ss_size};
	if (t && gmi_vm_contains((void *)sp))
		s.span[s.n++] = (struct gm_span){sp - FORK_STACK, sp + FORK_STACK};
	gmp_off_stack(prepare_core, &s);
}

static void parent_core(void *arg)
{
	gmi_fork_parent();
}

void gmp_fork_parent(void)
{
	gmp_off_stack(parent_core, NULL);
	gmi_outside_fork_done();
	gmp_in_fork = false;
}

void gmp_fork_child(void)
{
	gmi_fork_child();
	gmi_outside_fork_done();
	gmp_births = 0;
	if (gmp_armed) {
		gmp_libc_forked();
		gmp_uring_forked();
		gmp_selector = 0; /* dispatch goes with the fork, too */
		gmp_generation += gmp_generation & 1;
		gmp_sig_forget(gmp_self()); /* the parent's, as all that is pending */
		gmp_self()->stack_block = 0;
	}
	gmp_in_fork = false;
}

static void prepare(void)
{
	if (heap.prepare)
		heap.prepare();
	if (core_forks())
		gmp_fork_prepare();
}

static void parent(void)
{
	if (core_forks())
		gmp_fork_parent();
	if (heap.parent)
		heap.parent();
}

static void child(void)
{
	if (core_forks())
		gmp_fork_child();
	if (heap.child)
		heap.child();
	if (gmp_armed && gmi_opt.children == GM_CHILDREN_ALL)
		gmi_chaos_start(); /* threads need the heap */
}

extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *dso);
extern void *__dso_handle;

static int register_once(void)
{
	static bool done;

	if (done)
		return 0;
	done = true;
	return __register_atfork(prepare, parent, child, __dso_handle);
}

/* Takes the place of libc's (which is not in libc.so) for what is linked into this library:
 * jemalloc, at its start. */
__attribute__((visibility("hidden"))) int pthread_atfork(void (*pre)(void), void (*par)(void),
							 void (*ch)(void))
{
	heap.prepare = pre;
	heap.parent = par;
	heap.child = ch;
	return register_once();
}

void gmp_process_init(void)
{
	register_once();
}
