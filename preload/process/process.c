/*
 * process.c - fork, and the descriptors that are ours.
 *
 * The heap's fork handlers and core's are one set, in an order of our own: jemalloc's locks are
 * taken before core's, as everywhere (its extent hooks call core), and core's part comes next to
 * the fork itself.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "preload/preload.h"
#include "preload/real.h"
#include "devsim/driver/sim.h"

__thread bool gmp_in_fork;

static struct {
	void (*prepare)(void), (*parent)(void), (*child)(void);
} heap;

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
	gmp_in_fork = false;
}

void gmp_fork_child(void)
{
	gmi_fork_child();
	if (gmp_armed) {
		gmp_activate_forked();
		gmp_dispatch_forked();
		gmp_sig_forget(gmp_self()); /* the parent's, as all that is pending */
		gmp_self()->stack_block = 0;
	}
	gmp_in_fork = false;
}

static void prepare(void)
{
	if (heap.prepare)
		heap.prepare();
	if (gmp_on)
		gmp_fork_prepare();
}

static void parent(void)
{
	if (gmp_on)
		gmp_fork_parent();
	if (heap.parent)
		heap.parent();
}

static void child(void)
{
	if (gmp_on)
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

/* ---- descriptors ---- */

long gmp_close(int fd)
{
	return gmi_fd_is_ours(fd) ? -EBADF : gm_sys1(SYS_close, fd);
}

void gmp_each_fd(void (*each)(unsigned fd, void *arg), void *arg)
{
	char buf[1024] __attribute__((aligned(8)));
	long n, dir = gm_sys3(SYS_open, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	while (dir >= 0 && (n = gm_sys3(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64 *d = (struct dirent64 *)(buf + at);
			unsigned fd = 0;
			for (const char *s = d->d_name; *s >= '0' && *s <= '9'; s++)
				fd = fd * 10 + (unsigned)(*s - '0');
			if (d->d_name[0] != '.' && fd != (unsigned)dir)
				each(fd, arg);
			at += d->d_reclen;
		}
	}
	if (dir >= 0)
		gm_sys1(SYS_close, dir);
}

struct lowest {
	unsigned first, best;
};

static void lower(unsigned fd, void *arg)
{
	struct lowest *l = arg;

	if (fd >= l->first && fd < l->best && gmi_fd_is_ours((int)fd))
		l->best = fd;
}

/* The lowest of our descriptors at or above `first`, or UINT_MAX. */
static unsigned next_ours(unsigned first)
{
	struct lowest l = {first, UINT_MAX};

	gmp_each_fd(lower, &l);
	return l.best;
}

long gmp_close_range(unsigned first, unsigned last, int flags)
{
	if (first > last)
		return -EINVAL;
	for (;;) {
		unsigned ours = next_ours(first);
		if (ours > last)
			return gm_sys3(SYS_close_range, first, last, flags);
		if (ours > first) {
			long r = gm_sys3(SYS_close_range, first, ours - 1, flags);
			if (r)
				return r;
		}
		if (ours == last)
			return 0;
		first = ours + 1;
	}
}

long gmp_dup3(int oldfd, int newfd, int flags, bool dup2)
{
	if (gmi_fd_is_ours(oldfd) || gmi_fd_is_ours(newfd))
		return -EBADF; /* as above RLIMIT_NOFILE: a number that the program cannot have */
	return dup2 ? gm_sys2(SYS_dup2, oldfd, newfd) : gm_sys3(SYS_dup3, oldfd, newfd, flags);
}

GMP_HOOK int close(int fd)
{
	if (!gmp_on)
		return GMP_REAL(close)(fd);
	if (gmi_fd_is_ours(fd) || gmp_is_active())
		return (int)gmp_ret(gmp_close(fd));
	return GMP_REAL(close)(fd);
}

/* What looks through all numbers finds none of ours, also before calls are dispatched. */
#define FSTAT(name, type)                                                                          \
	GMP_HOOK int name(int fd, struct type *st)                                                 \
	{                                                                                          \
		return gmi_fd_is_ours(fd) ? (int)gmp_ret(-EBADF) : GMP_REAL(name)(fd, st);         \
	}
FSTAT(fstat, stat)
FSTAT(fstat64, stat64)

GMP_HOOK int dup2(int oldfd, int newfd)
{
	return gmp_on ? (int)gmp_ret(gmp_dup3(oldfd, newfd, 0, true))
		      : GMP_REAL(dup2)(oldfd, newfd);
}

GMP_HOOK int dup3(int oldfd, int newfd, int flags)
{
	return gmp_on ? (int)gmp_ret(gmp_dup3(oldfd, newfd, flags, false))
		      : GMP_REAL(dup3)(oldfd, newfd, flags);
}

GMP_HOOK int close_range(unsigned first, unsigned last, int flags)
{
	return gmp_on ? (int)gmp_ret(gmp_close_range(first, last, flags))
		      : GMP_REAL(close_range)(first, last, flags);
}

GMP_HOOK void closefrom(int first)
{
	if (gmp_on)
		gmp_close_range((unsigned)gm_max(first, 0), UINT_MAX, 0);
	else
		GMP_REAL(closefrom)(first);
}

/*
 * Runs no destructors: the report is written before the process is gone, as after exit(). A
 * vfork child's is its parent's (gmi_report_finish looks at the pid). Signal-safe, as _exit must
 * be: raw calls and no lock.
 */
GMP_HOOK __attribute__((noreturn)) void _exit(int status)
{
	if (gmp_on)
		gmi_report_finish();
	for (;;)
		gm_sys1(SYS_exit_group, status);
}

GMP_HOOK __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}
