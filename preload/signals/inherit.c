/*
 * inherit.c - what a child is to find of SIGSEGV and SIGSYS: blocked or ignored, if the program
 * believes them to be. The kernel has neither, so it is told for the time of the exec or spawn.
 *
 * A vfork child runs on its parent's memory: what it says of the two signals is its own, and
 * must not be written into the parent's view. It is kept in the thread's record, by process.
 */
#include "preload/signals/inherit.h"

#include <sys/mman.h>

#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/signals/signals.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static const int sigs[] = {SIGSEGV, SIGSYS};

/* The process that this memory belongs to. Zero in a forked child, which is its own; not in one
 * that shares it. */
static int *owner;

void gmp_inherit_init(void)
{
	int *p = gm_sys_mmap(NULL, GM_PAGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (gm_is_err(p) || gm_sys3(SYS_madvise, p, GM_PAGE_BYTES, MADV_WIPEONFORK))
		return;
	*p = (int)gm_sys0(SYS_getpid);
	owner = p;
}

struct gmp_guest *gmp_guest(struct gmp_thread *t)
{
	int pid = owner ? (int)gm_sys0(SYS_getpid) : 0;

	if (!owner || *owner == pid)
		return NULL;
	if (!*owner) {
		*owner = pid;
		return NULL;
	}
	if (t->guest.pid != pid)
		t->guest = (struct gmp_guest){.pid = pid, .vmask = t->vmask};
	return &t->guest;
}

static uint64_t ignored(void)
{
	struct gm_ksigaction act;
	uint64_t set = 0;

	for (unsigned i = 0; i < GM_ARRAY_LEN(sigs); i++)
		if (!gmp_sigaction(sigs[i], NULL, &act) && act.handler == (void *)SIG_IGN)
			set |= gmp_bit(sigs[i]);
	return set;
}

/*
 * Ignored means the whole process: other threads' faults would kill it. So only in one that has
 * no other thread; a threaded program's children find the default. Ours take no faults.
 */
static void ignore(uint64_t set, bool on)
{
	const struct gm_ksigaction ign = {
		.handler = (void *)SIG_IGN, .flags = GM_SA_RESTORER, .restorer = gmp_restore_own};

	for (unsigned i = 0; i < GM_ARRAY_LEN(sigs); i++) {
		struct gm_ksigaction own = gmp_own_action(sigs[i], false);
		if (set & gmp_bit(sigs[i]))
			gm_sys4(SYS_rt_sigaction, sigs[i], on ? &ign : &own, NULL, 8);
	}
}

struct gmp_inherited gmp_inherit_begin(enum gmp_inherit_by by)
{
	struct gmp_thread *t = gmp_self();
	struct gmp_inherited done = {0};

	if (!gmp_armed)
		return done;
	struct gmp_guest *guest = gmp_guest(t);
	done.ignored = guest || !gmp_threaded ? ignored() : 0;
	done.blocked = guest ? guest->vmask : t->vmask;
	if (by == GMP_BY_SPAWN) {
		/* libc goes on making calls, which are dispatched when active: then it reads the
		 * program's mask. */
		done.ignored &= ~gmp_bit(SIGSYS);
		done.blocked = gmp_is_active() ? 0 : done.blocked;
	}
	if (done.blocked)
		gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &done.blocked, NULL, 8);
	if (done.ignored)
		ignore(done.ignored, true);
	return done;
}

void gmp_inherit_end(struct gmp_inherited done)
{
	if (done.ignored)
		ignore(done.ignored, false);
	if (done.blocked)
		gm_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &done.blocked, NULL, 8);
}
