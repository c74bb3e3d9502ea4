/*
 * stop.c - every other thread of the process waits, for core/entry/outside_adopt.c.
 *
 * Each gets the signal of activation (33, which no program can block through libc) with the number
 * of this stop and a slot of its own, and waits in its handler, in gate.S, until the number has
 * passed. What holds, and is asserted where the world is stopped:
 *
 * - A thread whose slot is marked runs nothing but gmp_park and has every signal blocked: nothing
 *   of the program's memory is written, not even its stack or its altstack. It marks the slot by
 *   compare-exchange of this stop's number, so a signal of an earlier stop, come late, marks none.
 * - Who marked its slot is in no system call, and inside no lock of core (these are held with 33
 *   blocked, as is every change of mappings: gmi_outside_begin). Threads of ours wait too.
 * - A thread is born of one that is not marked, so all are marked when, after all that were known
 *   were, a look at /proc/self/task finds nobody new. One that ended is left out only when the
 *   kernel has done with its memory: it is gone, or a zombie (the first thread of a process is
 *   one when it has called pthread_exit).
 * - Who does not come (it has all signals blocked for a moment, waits for a vfork child, which
 *   works on its memory, or has more signals queued than its limit allows) makes the stop fail:
 *   then everybody goes on. A process that shares our memory and is no thread cannot be stopped:
 *   from then on nothing is (gmp_stop_never).
 *
 * Calls that a signal ends with EINTR whatever SA_RESTART says are made again: by held.c where
 * they are made for the program, here where a thread was in one since before dispatch was on.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "core/entry/outside.h"
#include "preload/dispatch/stop.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"

#define MAX_THREADS 4096 /* below 2^16: a slot's number has 16 bits */
#define PATIENCE_NS ((uint64_t)500000000)
#define SPINS	    64
#define TAG	    ((uint64_t)0x676d << 48) /* in si_value, over the slot and the number */
#define STACK_BYTES ((size_t)64 << 10)

/* Even; those that wait wait for its end. */
static _Atomic uint32_t generation = 2;
/* Of the stop now: whom it asked, and its number; with GMP_PARKED: waits. World locked, but for
 * the mark. */
static struct {
	int tid;		/* 0: gone */
	_Atomic uint32_t state; /* 0: it ended */
} slots[MAX_THREADS];
static unsigned nslots;
static _Atomic bool never;

bool gmp_stop_asked(const siginfo_t *info)
{
	return (uint64_t)info->si_value.sival_ptr >> 48 == TAG >> 48;
}

/* Both in front of a call and in its stub: mov $number, %eax. */
#define MOVE_EAX 0xb8
#define JUMP	 0xe9

static void rewind_call(ucontext_t *uc, uint32_t nr)
{
	greg_t *g = uc->uc_mcontext.gregs;

	g[REG_RAX] = nr;
	g[REG_RIP] -= 2;
	if (gmp_tls) {
		gmp_tls->again_at = g[REG_RIP];
		gmp_tls->again_nr = nr;
	}
}

/* Where a call was rewritten after the thread had gone into it, the instruction is in the stub. */
void gmp_call_again(ucontext_t *uc)
{
	const unsigned char *pc = (const unsigned char *)uc->uc_mcontext.gregs[REG_RIP];
	unsigned char move[5];
	uint32_t nr;
	int32_t to;

	if (uc->uc_mcontext.gregs[REG_RAX] != -EINTR)
		return;
	if (pc == gmp_site_called || pc == gmp_site_called_held) {
		memcpy(&nr,
		       (char *)uc->uc_mcontext.gregs[REG_RBP] - (pc == gmp_site_called ? 8 : 64),
		       sizeof(nr));
		rewind_call(uc, nr);
		return;
	}
	if ((uintptr_t)pc % GM_PAGE_BYTES < 7 || pc[-2] != 0x0f || pc[-1] != 0x05)
		return;
	memcpy(move, pc - 7, sizeof(move));
	memcpy(&to, move + 1, sizeof(to));
	if (move[0] == JUMP && gmp_copy(move, pc - 2 + to, sizeof(move)))
		return;
	if (move[0] != MOVE_EAX)
		return;
	memcpy(&nr, move + 1, sizeof(nr));
	rewind_call(uc, nr);
}

void gmp_stop_wait(const siginfo_t *info, ucontext_t *uc)
{
	uint64_t asked = (uint64_t)info->si_value.sival_ptr, all = ~0ull;

	if (gmp_tls) {
		gmp_tls->stops++;
		gmp_tls->kept_out = true; /* no reason to end (sigwait.c) */
	}
	/* also those that an instruction raises: somebody may send one (until the handler ends) */
	gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	gmp_park(&generation, (uint32_t)asked, &slots[asked >> 32 & 0xffff].state);
	gmp_call_again(uc);
}

/* ---- who stops ---- */

static bool is_known_thread(int tid)
{
	for (unsigned i = 0; i < nslots; i++)
		if (slots[i].tid == tid)
			return true;
	return false;
}

/* True: it cannot be asked. */
static bool ask_thread(int tid, void *unused)
{
	siginfo_t kick = {.si_signo = GMP_KICK_SIGNAL, .si_code = SI_QUEUE};
	uint32_t now = atomic_load(&generation);

	if (is_known_thread(tid))
		return false;
	if (nslots == MAX_THREADS)
		return true;
	slots[nslots].tid = tid;
	atomic_store(&slots[nslots].state, now);
	kick.si_value.sival_ptr = (void *)(TAG | (uint64_t)nslots << 32 | now);
	kick.si_pid = (int)gm_sys0(SYS_getpid);
	long err = gm_sys4(SYS_rt_tgsigqueueinfo, kick.si_pid, tid, GMP_KICK_SIGNAL, &kick);
	nslots += !err;
	return err && err != -ESRCH;
}

static bool is_parked(unsigned slot)
{
	return atomic_load(&slots[slot].state) == (atomic_load(&generation) | GMP_PARKED);
}

/* "TID (name) Z ...": it has ended, and others of its process have not. */
static bool is_zombie(int tid)
{
	char text[160];

	gmi_snprintf(text, sizeof(text), "/proc/self/task/%d/stat", tid);
	long fd = gm_sys4(SYS_openat, AT_FDCWD, text, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	long n = gm_sys3(SYS_read, fd, text, sizeof(text) - 1);
	gm_sys1(SYS_close, fd);
	text[gm_max(n, 0)] = 0;
	const char *behind = strrchr(text, ')');
	return behind && behind[1] == ' ' && behind[2] == 'Z';
}

/* (A zombie keeps its number, whoever is gone does not.) */
static bool has_ended(unsigned slot)
{
	const bool gone = gm_sys3(SYS_tgkill, gm_sys0(SYS_getpid), slots[slot].tid, 0) == -ESRCH;

	if (!gone && !is_zombie(slots[slot].tid))
		return false;
	atomic_store(&slots[slot].state, 0);
	if (gone)
		slots[slot].tid = 0;
	return true;
}

/* It must get a processor first: it is not kept from one by us. */
static bool await_thread(unsigned slot, uint64_t end_ns)
{
	struct timespec nap = {0, 50000};

	for (unsigned i = 1; !is_parked(slot); i++) {
		if (i < SPINS) {
			gm_sys0(SYS_sched_yield);
			continue;
		}
		gm_sys2(SYS_nanosleep, &nap, NULL);
		if (has_ended(slot))
			return true;
		if (gmi_now_ns() > end_ns)
			return false;
	}
	return true;
}

static void world_start(void)
{
	atomic_fetch_add(&generation, 2);
	gm_sys3(SYS_futex, &generation, 128 | 1 /* FUTEX_WAKE_PRIVATE */, INT32_MAX);
}

/* The kernel's number of threads, which a list that is read while they end may fall short of. */
static bool is_all(void)
{
	unsigned n = 1; /* this one */
	struct stat st;

	for (unsigned i = 0; i < nslots; i++)
		n += slots[i].tid != 0;
	return !gm_sys2(SYS_stat, "/proc/self/task", &st) && st.st_nlink == n + 2;
}

static bool stop_all(void)
{
	uint64_t end_ns = gmi_now_ns() + PATIENCE_NS;

	nslots = 0;
	for (unsigned known = 0;; known = nslots) {
		if (!gmp_each_thread(ask_thread, NULL))
			return false;
		if (nslots == known && is_all())
			return true;
		for (unsigned i = 0; i < nslots; i++)
			if (atomic_load(&slots[i].state) && !await_thread(i, end_ns))
				return false;
		if (gmi_now_ns() > end_ns)
			return false;
	}
}

static bool world_stop(void)
{
	if (atomic_load(&never))
		return false;
	gm_assert(gmi_signals_blocked()); /* or another stop could stop us */
	gmp_kick_installed();
	if (!stop_all()) {
		world_start();
		return false;
	}
	for (unsigned i = 0; i < nslots; i++)
		gm_assert(!atomic_load(&slots[i].state) || is_parked(i));
	return true;
}

void gmp_stop_never(void)
{
	if (!atomic_exchange(&never, true))
		gm_log(GM_LOG_WARN, "a process shares this one's memory (clone): private memory "
				    "outside the window is not made coherent from now on");
}

/* ---- where the world is changed from ---- */

static char stack[STACK_BYTES] __attribute__((aligned(64))); /* world locked */

static void world_run(void (*fn)(void *), void *arg)
{
	gmp_call_on(stack + sizeof(stack), fn, arg);
}

void gmp_stop_init(void)
{
	gmi_world_stop = world_stop;
	gmi_world_start = world_start;
	gmi_world_run = world_run;
	gmi_outside_keep_module(stack);
}
