/*
 * signal.c - SIGSEGV and SIGSYS at kernel level, and how what is not ours reaches the program.
 *
 * A forwarded signal is delivered as the kernel does it: a signal frame on the stack that the
 * program's action asks for, its mask, then the handler; it returns through
 * gmp_restore_forwarded. To get there our handler throws its own frame away: the frame may lie
 * where the program's must go (the top of the program's altstack). So two frames are put
 * together in the thread's scratch: R, a bare ucontext that continues in the program's handler,
 * and P, the frame that handler sees. gmp_sigreturn_with() moves the stack pointer to R, copies
 * P into place, and returns from the signal by R.
 *
 *      P, on the program's stack (addresses grow upwards)
 *      +------------------+ <- rsp in the handler, (rsp + 8) % 16 == 0
 *      | return address   |    gmp_restore_forwarded
 *      | ucontext (304)   | <- rdx
 *      | siginfo (128)    | <- rsi
 *      | padding, FP state|    64-byte aligned, as large as the interrupted one
 *      +------------------+ <- red zone of the interrupted code, or top of the altstack
 */
#include "preload/signals/signals.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/ucontext.h>
#include <ucontext.h>

#include "core/entry/fault.h"
#include "core/entry/leave.h"
#include "core/entry/pin.h"
#include "core/page/driver.h"
#include "core/page/thread.h"
#include "core/space/vm.h"
#include "preload/dispatch/dispatch.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"
#include "preload/signals/altstack.h"
#include "preload/signals/sighold.h"
#include "preload/signals/sigmask.h"
#include "preload/signals/sigwait.h"
#include "core/count/trace.h"

#define UC_BYTES     304 /* the kernel's struct ucontext; glibc's is longer */
#define FP_MAGIC     0x46505853u
#define EFLAGS_CLEAR 0x10500ul /* RF, DF, TF */

struct frame {
	void *restorer;
	char uc[UC_BYTES];
	siginfo_t info;
};
_Static_assert(offsetof(ucontext_t, uc_sigmask) == UC_BYTES - 8, "kernel ucontext");
_Static_assert(sizeof(struct frame) == 8 + UC_BYTES + 128, "kernel signal frame");

static uint64_t get_mask(const ucontext_t *uc)
{
	uint64_t m;
	memcpy(&m, &uc->uc_sigmask, sizeof(m));
	return m;
}

static void set_mask(void *uc, uint64_t m)
{
	memcpy((char *)uc + UC_BYTES - 8, &m, sizeof(m));
}

static size_t fp_bytes(const char *fp)
{
	uint32_t sw[2];

	if (!fp)
		return 0;
	memcpy(sw, fp + 464, sizeof(sw)); /* struct _fpx_sw_bytes: magic1, extended_size */
	return sw[0] == FP_MAGIC ? sw[1] : 512;
}

static void send_self(int sig, const siginfo_t *info)
{
	long pid = gm_sys0(SYS_getpid);

	/* What kill() or tgkill() made is for the main thread alone to send again. */
	if (gm_sys4(SYS_rt_tgsigqueueinfo, pid, gmi_gettid(), sig, info) == -EPERM)
		gm_sys3(SYS_tgkill, pid, gmi_gettid(), sig);
}

/* Is anybody going to look at a core of ours? */
static bool leaves_core(void)
{
	struct {
		uint64_t cur, max;
	} lim = {0};
	char first = 0;

	if (gm_sys2(SYS_prctl, PR_GET_DUMPABLE, 0) != 1)
		return false;
	gm_sys4(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &lim);
	if (lim.cur)
		return true;
	long fd = gm_sys3(SYS_open, "/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) { /* a program gets it whatever the limit is */
		gm_sys3(SYS_read, fd, &first, 1);
		gm_sys1(SYS_close, fd);
	}
	return first == '|';
}

void gmp_before_core(int sig)
{
	const uint64_t cores = gmp_bit(SIGQUIT) | gmp_bit(SIGILL) | gmp_bit(SIGTRAP) |
			       gmp_bit(SIGABRT) | gmp_bit(SIGBUS) | gmp_bit(SIGFPE) |
			       gmp_bit(SIGSEGV) | gmp_bit(SIGXCPU) | gmp_bit(SIGXFSZ) |
			       gmp_bit(SIGSYS);

	if (sig < 1 || sig > 64 || !(cores & gmp_bit(sig)) || !gmp_is_active() || !leaves_core())
		return;
	if (!gmi_all_home(true))
		gm_log(GM_LOG_WARN, "the core lacks pages that a device had: they did not come "
				    "home within a second");
}

/* The default action, with the true registers: a fault happens again, anything else is sent
 * again. */
static void die(int sig, const siginfo_t *info, ucontext_t *uc, bool synchronous)
{
	struct gm_ksigaction dfl = {.flags = GM_SA_RESTORER, .restorer = gmp_restore_own};

	if (!(get_mask(uc) & GMI_IN_CORE)) /* else we might hold what that waits for */
		gmp_before_core(sig);
	gm_sys4(SYS_rt_sigaction, sig, &dfl, NULL, 8);
	if (synchronous && sig == SIGSEGV)
		return;
	set_mask(uc, get_mask(uc) & ~gmp_bit(sig));
	send_self(sig, info);
}

/* Where a frame goes. */
struct place {
	uintptr_t at, fp_at, top;
	bool fits; /* on the altstack, if that is where it goes: the kernel sees to it, too */
};

/* Go takes the altstack that it finds on a thread for its own: ours, then. */
static struct place place_for(const struct gmp_thread *t, const struct gm_ksigaction *act,
			      const ucontext_t *uc)
{
	const bool ours = gmp_small_stacks && !t->alt.ss_size;
	const stack_t alt = ours ? gmp_altstack_in_use(t) : t->alt;
	const uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP], low = (uintptr_t)alt.ss_sp;
	const bool there = alt.ss_size && sp - low < alt.ss_size;
	const bool enters = alt.ss_size && (act->flags & SA_ONSTACK) && !there;
	struct place p = {.top = enters ? low + alt.ss_size : sp - GMP_REDZONE};

	p.fp_at = gm_align_down(p.top - fp_bytes((const char *)uc->uc_mcontext.fpregs), 64);
	p.at = gm_align_down(p.fp_at - sizeof(struct frame), 16) - 8;
	p.fits = !(enters || there) || p.at - low < alt.ss_size;
	return p;
}

/* What the program set is not what the kernel has: a handler that the kernel would have disarmed
 * it for. */
static void disarm(struct gmp_thread *t, const struct gm_ksigaction *act)
{
	if ((act->flags & SA_ONSTACK) && ((unsigned)t->alt.ss_flags & SS_AUTODISARM))
		t->alt = (stack_t){.ss_flags = SS_DISABLE};
}

void gmp_deliver(int sig, const siginfo_t *info, ucontext_t *uc, const struct gm_ksigaction *act,
		 uint64_t blocked)
{
	struct gmp_thread *t = gmp_self();
	greg_t *g = uc->uc_mcontext.gregs;
	const char *fp = (const char *)uc->uc_mcontext.fpregs;
	size_t fpn = fp_bytes(fp);
	gmp_altstack_seen(t, &uc->uc_stack);
	const struct place to = place_for(t, act, uc);
	uintptr_t fp_at = to.fp_at, at = to.at;
	uint64_t now = blocked;
	uint64_t view = (get_mask(uc) & ~GMP_VIRTUAL) | gmp_end_wait(t, g, &now);
	uint64_t in_handler = now | act->mask | (act->flags & SA_NODEFER ? 0 : gmp_bit(sig));
	char *r = t->scratch, *p = r + gm_align_up(UC_BYTES, 64);

	struct frame *f = (struct frame *)p;
	f->restorer = gmp_restore_forwarded;
	memcpy(f->uc, uc, UC_BYTES);
	f->info = *info;
	set_mask(f->uc, view);
	gmp_altstack_show(t, (ucontext_t *)f->uc);
	if (fp) {
		memcpy(p + (fp_at - at), fp, fpn);
		((ucontext_t *)f->uc)->uc_mcontext.fpregs = (void *)fp_at;
	}

	memcpy(r, uc, UC_BYTES);
	greg_t *rg = ((ucontext_t *)r)->uc_mcontext.gregs;
	rg[REG_RIP] = (greg_t)act->handler;
	rg[REG_RSP] = (greg_t)at;
	rg[REG_RDI] = sig;
	rg[REG_RSI] = (greg_t)(at + offsetof(struct frame, info));
	rg[REG_RDX] = (greg_t)(at + offsetof(struct frame, uc));
	rg[REG_RAX] = 0;
	rg[REG_EFL] &= ~(greg_t)EFLAGS_CLEAR;
	((ucontext_t *)r)->uc_mcontext.fpregs = NULL; /* handlers start with a fresh FPU */
	((ucontext_t *)r)->uc_stack = gmp_altstack_below(t, uc);
	set_mask(r, in_handler & ~GMP_VIRTUAL);
	disarm(t, act);
	t->vmask = in_handler & GMP_VIRTUAL;
	t->beside = 0;

	if (gmp_managed((void *)at, to.top - at))
		gmi_pin_range((void *)at, to.top - at, true);
	gmp_sigreturn_with(r, (void *)at, p, fp_at + fpn - at);
}

static uint64_t blocked_now(const struct gmp_thread *t, const ucontext_t *uc)
{
	return (get_mask(uc) & ~GMP_VIRTUAL) | t->vmask;
}

static bool is_handler(const void *h)
{
	return h != (void *)SIG_DFL && h != (void *)SIG_IGN;
}

static bool is_writable(uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t p = lo; p < hi; p = gm_align_down(p, GM_PAGE_BYTES) + GM_PAGE_BYTES)
		if (gmp_copy((void *)p, (void *)p, 1))
			return false;
	return true;
}

static bool can_go(const struct gmp_thread *t, const ucontext_t *uc,
		   const struct gm_ksigaction *act)
{
	const struct place p = place_for(t, act, uc);

	if (gmp_managed((void *)p.at, p.top - p.at))
		gmi_pin_range((void *)p.at, p.top - p.at, true);
	return p.fits && is_writable(p.at, p.top);
}

bool gmp_has_room(int sig, ucontext_t *uc, const struct gm_ksigaction *act)
{
	siginfo_t info = {.si_signo = SIGSEGV, .si_code = SI_KERNEL};
	struct gmp_thread *t = gmp_self();

	gmp_altstack_seen(t, &uc->uc_stack);
	if (gm_likely(can_go(t, uc, act)))
		return true;
	const uint64_t blocked = blocked_now(t, uc);
	const struct gm_ksigaction segv = gmp_action_take(SIGSEGV);
	if (sig != SIGSEGV && is_handler(segv.handler) && !(blocked & gmp_bit(SIGSEGV)) &&
	    can_go(t, uc, &segv))
		gmp_deliver(SIGSEGV, &info, uc, &segv, blocked);
	die(SIGSEGV, &info, uc, false);
	return false;
}

/* Signals blocked. */
static void act_on(int sig, const siginfo_t *info, ucontext_t *uc, bool synchronous, bool blocked)
{
	struct gm_ksigaction act = gmp_action_take(sig);

	if (is_handler(act.handler) && !blocked)
		gmp_deliver(sig, info, uc, &act, blocked_now(gmp_self(), uc));
	else if (act.handler == (void *)SIG_DFL || synchronous)
		die(sig, info, uc, synchronous);
}

void gmp_forward(int sig, const siginfo_t *info, void *ctx, bool synchronous)
{
	struct gmp_thread *t = gmp_self();
	ucontext_t *uc = ctx;
	gmp_mask_seen(t, get_mask(uc));
	bool blocked = blocked_now(t, uc) & gmp_bit(sig);
	bool in_core = get_mask(uc) & GMI_IN_CORE || gmp_making_own, nudge = gmp_sig_is_nudge(info);
	siginfo_t held;

	if (!synchronous && (blocked || in_core || gmi_self()->internal)) {
		if (t->waiting & gmp_bit(sig))
			gmp_leave_wait(t, uc->uc_mcontext.gregs);
		if (in_core)
			gmi_signal_hold();
		t->kept_out = true;
		if (!nudge)
			gmp_sig_hold(t, sig, info, in_core);
		return;
	}
	gm_sigmask old = gmi_block_signals();
	if (!nudge)
		act_on(sig, info, uc, synchronous, blocked);
	else if (gmp_sig_take(t, sig, &held))
		act_on(sig, &held, uc, false, false);
	else
		t->kept_out = true; /* somebody was faster */
	gmi_restore_signals(old);
}

/* ---- before rt_sigreturn: only the kernel must never see the virtual bits ---- */

void gmp_sigreturn_plain(ucontext_t *uc)
{
	uint64_t m = get_mask(uc);

	if (!gmp_armed)
		return;
	gmp_altstack_returns(gmp_self(), uc);
	if (gm_likely(!(m & GMP_VIRTUAL)))
		return;
	gmp_self()->vmask |= m & GMP_VIRTUAL; /* a handler put them there */
	set_mask(uc, m & ~GMP_VIRTUAL);
}

/* Handlers that were forwarded to, or that came in by gmp_handler_enter: their frame has the
 * program's view. */
void gmp_sigreturn_forwarded(ucontext_t *uc)
{
	if (!gmp_armed) /* begun before the process left: the kernel may see all of it now */
		return;
	struct gmp_thread *t = gmp_self();
	uint64_t m = get_mask(uc);

	gmp_set_view(t, m);
	set_mask(uc, m & ~GMP_VIRTUAL);
	gmp_altstack_returns(t, uc);
	gmp_sig_release(t);
}

/* ---- the handler ---- */

/* Our own reading of a bad pointer of the program's ends in gmp_copy's error return. */
static bool fix_copy(greg_t *g)
{
	if (g[REG_RIP] < (greg_t)gmp_copy || g[REG_RIP] >= (greg_t)gmp_copy_end)
		return false;
	g[REG_RIP] = (greg_t)gmp_copy_fail;
	return true;
}

static void on_sigsegv(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;
	greg_t *g = uc->uc_mcontext.gregs;
	bool fault = info->si_code > 0;

	if (gm_unlikely(gmi_guard_left(info, ctx)))
		return;
	if (gm_likely(fault && info->si_code != SI_KERNEL)) {
		gmi_trace_pc((uint64_t)g[REG_RIP]);
		enum gm_cpu_fault_result r =
			gmi_cpu_fault((uintptr_t)info->si_addr, g[REG_ERR] & 2);
		if (gm_unlikely(gmi_vm_contains((void *)g[REG_RSP])))
			gmp_pin_stack((uintptr_t)g[REG_RSP]);
		if (gm_likely(r == GM_CPU_RESOLVED)) {
			gmp_sig_renudge();
			return;
		}
		if (r == GM_CPU_LOST) {
			siginfo_t bus = {.si_signo = SIGBUS, .si_code = BUS_ADRERR};
			bus.si_addr = info->si_addr;
			gmp_forward(SIGBUS, &bus, uc, true);
			return;
		}
	}
	if (fault && fix_copy(g))
		return;
	gmp_forward(sig, info, uc, fault);
}

/*
 * Everything is blocked in the SIGSEGV handler but what the processor itself raises (core holds
 * locks there).
 */
#define SYNCHRONOUS (gmp_bit(SIGILL) | gmp_bit(SIGTRAP) | gmp_bit(SIGBUS) | gmp_bit(SIGFPE))

struct gm_ksigaction gmp_own_action(int sig, unsigned long flags)
{
	struct gm_ksigaction k = {.restorer = gmp_restore_own};

	if (sig == SIGSEGV) {
		k.handler = (void *)on_sigsegv;
		k.mask = ~SYNCHRONOUS;
		k.flags = SA_SIGINFO | SA_ONSTACK | GM_SA_RESTORER | (flags & SA_RESTART);
	} else {
		/*
		 * On the interrupted stack: a dispatched call may block for ever, be interrupted
		 * by handlers, and those may switch to other stacks. With small stacks: on the
		 * altstack.
		 */
		k.handler = (void *)gmp_on_sigsys;
		k.flags = SA_SIGINFO | SA_NODEFER | GM_SA_RESTORER |
			  (flags & (SA_RESTART | SA_ONSTACK));
	}
	return k;
}
