/*
 * sys.h - the narrow port to the operating system: raw system calls, private memory, locks, log,
 * time.
 *
 * Everything here works inside a SIGSEGV handler of a foreign process: no malloc, no stdio, no
 * errno, no libc symbol that anybody can interpose, no managed memory. All functions are
 * thread-safe and async-signal-safe.
 *
 * sys/, the ground floor: what every other room stands on, and what knows none of them.
 *    here     raw system calls, private memory, locks, log, own threads, fork hooks, injection;
 *             sets and maps
 *    come in  everybody: core, preload, the driver; also in signal handlers, before main, in a fork
 *             child
 *    touch    the kernel and memory of ours; never libc's malloc, stdio or errno, never managed
 *             memory
 *    locks    phys (innermost); alloc has none
 */
#ifndef GM_CORE_SYS_H
#define GM_CORE_SYS_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#define GM_EXPORT __attribute__((visibility("default")))
/* For functions whose unsynchronised reads are meant, as their comments say. */
#define GM_RACY __attribute__((no_sanitize_thread))

#define GM_PAGE_SHIFT	   12
#define GM_PAGE_BYTES	   ((size_t)1 << GM_PAGE_SHIFT)
#define GM_BLOCK_SHIFT	   21
#define GM_BLOCK_BYTES	   ((size_t)1 << GM_BLOCK_SHIFT)
#define GM_PAGES_PER_BLOCK 512u

#define gm_align_down(x, a) ((x) & ~((uintptr_t)(a)-1))
#define gm_align_up(x, a)   (((x) + (uintptr_t)(a)-1) & ~((uintptr_t)(a)-1))
#define gm_min(a, b)	    ((a) < (b) ? (a) : (b))
#define gm_max(a, b)	    ((a) > (b) ? (a) : (b))
#define gm_likely(x)	    __builtin_expect(!!(x), 1)
#define gm_unlikely(x)	    __builtin_expect(!!(x), 0)
#define GM_ARRAY_LEN(a)	    (sizeof(a) / sizeof((a)[0]))

/* Debug builds check the invariants of docs/architecture.md; release builds cost nothing. */
#ifdef GM_DEBUG
#define gm_assert(c) ((c) ? (void)0 : gmi_assert_fail(#c, __FILE__, __LINE__))
#else
#define gm_assert(c) ((void)sizeof(c))
#endif
GM_EXPORT void gmi_assert_fail(const char *what, const char *file, int line)
	__attribute__((noreturn));

/*
 * The one way core and preload enter the kernel. Returns the result or -errno; never touches
 * errno. It jumps through gmi_gate ("syscall; ret"), so that Syscall User Dispatch can move all
 * of our own calls into its always-allowed range by changing this one pointer
 * (preload/ground/gate.S).
 */
GM_EXPORT long gmi_syscall(long nr, ...); /* up to six arguments, each passed as a long */
GM_EXPORT extern void *gmi_gate;

#define gm_sys0(n)	       gmi_syscall((n), 0L, 0L, 0L, 0L, 0L, 0L)
#define gm_sys1(n, a)	       gmi_syscall((n), (long)(a), 0L, 0L, 0L, 0L, 0L)
#define gm_sys2(n, a, b)       gmi_syscall((n), (long)(a), (long)(b), 0L, 0L, 0L, 0L)
#define gm_sys3(n, a, b, c)    gmi_syscall((n), (long)(a), (long)(b), (long)(c), 0L, 0L, 0L)
#define gm_sys4(n, a, b, c, d) gmi_syscall((n), (long)(a), (long)(b), (long)(c), (long)(d), 0L, 0L)
#define gm_sys5(n, a, b, c, d, e)                                                                  \
	gmi_syscall((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0L)
#define gm_sys6(n, a, b, c, d, e, f)                                                               \
	gmi_syscall((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* mmap and friends on raw addresses. gm_sys_mmap returns an address, or (void *)-errno: test it
 * with gm_is_err. */
static inline void *gm_sys_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t off)
{
	return (void *)gm_sys6(SYS_mmap, addr, len, prot, flags, fd, off);
}
static inline bool gm_is_err(const void *p)
{
	return (uintptr_t)p >= (uintptr_t)-4095;
}
static inline int gm_err(const void *p)
{
	return (int)(intptr_t)p;
}
static inline int gm_sys_munmap(void *addr, size_t len)
{
	return (int)gm_sys2(SYS_munmap, addr, len);
}
static inline int gm_sys_mprotect(void *addr, size_t len, int prot)
{
	return (int)gm_sys3(SYS_mprotect, addr, len, prot);
}

/*
 * Copies and zeroes alias memory: inline, because memcpy is a symbol that a program may replace.
 * From 16 KiB on whole pages go by what is fastest on this processor (copy.c).
 */
#define GM_STREAM_BYTES ((size_t)4 * GM_PAGE_BYTES)
/* page-aligned, a multiple of GM_STREAM_BYTES */
void gmc_copy_stream(void *dst, const void *src, size_t bytes);
void gmc_copy_pages(void *dst, const void *src, size_t bytes);
static inline void gm_copy_cached(void *dst, const void *src, size_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(bytes) : : "memory");
}
static inline void gm_copy(void *dst, const void *src, size_t bytes)
{
	if (bytes >= GM_STREAM_BYTES && !(((uintptr_t)dst | (uintptr_t)src) % GM_PAGE_BYTES)) {
		size_t n = gm_align_down(bytes, GM_STREAM_BYTES);
		gmc_copy_pages(dst, src, n);
		dst = (char *)dst + n, src = (const char *)src + n, bytes -= n;
	}
	gm_copy_cached(dst, src, bytes);
}
static inline void gm_zero(void *dst, size_t bytes)
{
	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(bytes) : "a"(0) : "memory");
}

/*
 * Private memory of core: raw anonymous pages outside every window, zeroed. NULL when the host
 * is out of memory. Lock-free: callers need not block signals, and a fork child finds it
 * consistent whatever the other threads were doing.
 */
GM_EXPORT void *gmi_alloc(size_t bytes);	/* any size; 16-byte aligned, 64 when bytes >= 64 */
GM_EXPORT void gmi_free(void *p, size_t bytes); /* bytes as given to gmi_alloc; NULL is ignored */
/* what gmi_alloc holds from the kernel now: metadata_bytes */
GM_EXPORT size_t gmi_private_bytes(void);

/*
 * A futex mutex of four bytes. Not recursive. All zeros: free. Code outside our signal handlers
 * must hold gmi_block_signals() while it holds one (rule 3). The debug build asserts, of locks
 * that were given a rank, that a thread takes them in ascending order, one of each rank (a
 * second only by gmi_trylock), and with signals blocked.
 */
enum gm_rank {
	GM_RANK_NONE,
	GM_RANK_REGISTRY,
	GM_RANK_REGION,
	GM_RANK_BLOCK,
	GM_RANK_POLICY,
	GM_RANK_DEVICE,
	GM_RANK_PHYS,
	GM_RANKS
};
struct gm_lock {
	_Atomic uint32_t v; /* 0 free, 1 held, 2 held with waiters */
#ifdef GM_DEBUG
	uint32_t rank; /* enum gm_rank */
#endif
};
#ifdef GM_DEBUG
#define GM_LOCK_INIT(r)                                                                            \
	{                                                                                          \
		.rank = (r)                                                                        \
	}
#define gm_lock_rank(l, r) ((void)((l)->rank = (r)))
#else
#define GM_LOCK_INIT(r)                                                                            \
	{                                                                                          \
		0                                                                                  \
	}
#define gm_lock_rank(l, r) ((void)(l))
#endif
GM_EXPORT void gmi_lock(struct gm_lock *l);
GM_EXPORT bool gmi_trylock(struct gm_lock *l);
GM_EXPORT void gmi_unlock(struct gm_lock *l);

/* Futex on shared memory (between processes) and private; timeout_ns < 0 waits for ever. 0,
 * -EAGAIN, -EINTR, -ETIMEDOUT */
GM_EXPORT int gmi_futex_wait(_Atomic uint32_t *w, uint32_t seen, int64_t timeout_ns);
GM_EXPORT void gmi_futex_wake(_Atomic uint32_t *w, int n);
/* All that wait by FUTEX_WAIT_BITSET for one of the bits. */
GM_EXPORT void gmi_futex_wake_bits(_Atomic uint32_t *w, uint32_t bits);

/*
 * Blocks every signal of this thread and returns the old mask; restore gives it back. Two raw
 * calls, 0.1 us each. SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP and SIGSYS keep their state:
 * blocked, a synchronous one kills the process without a word.
 */
typedef uint64_t gm_sigmask;
GM_EXPORT gm_sigmask gmi_block_signals(void);
GM_EXPORT void gmi_restore_signals(gm_sigmask old);
/* Both, as a call from outside begins and ends that holds one lock. */
static inline gm_sigmask gm_lock_masked(struct gm_lock *l)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(l);
	return mask;
}
static inline void gm_unlock_masked(struct gm_lock *l, gm_sigmask mask)
{
	gmi_unlock(l);
	gmi_restore_signals(mask);
}
/* The mask that our own threads live with: as gmi_block_signals(), but for the signal that
 * setuid() and its like send to every thread and wait for; and with those that faults raise:
 * they take none, and what somebody sends is the program's. */
GM_EXPORT void gmi_thread_signals(void);
/*
 * SIGSEGV and its like stay open, so one that somebody sends may arrive while locks are held.
 * Whose mask has this bit (signal 33, which libc lets no program block) is inside core: the
 * handler keeps the signal, calls gmi_signal_hold(), and gmi_restore_signals() calls the hook when
 * the thread is outside again.
 */
#define GMI_IN_CORE (1ull << 32)
GM_EXPORT void gmi_signal_hold(void);
GM_EXPORT extern void (*gmi_release_hook)(void);
/* for assertions: as gmi_block_signals() leaves it, or stricter */
GM_EXPORT bool gmi_signals_blocked(void);

GM_EXPORT uint64_t gmi_now_ns(void); /* CLOCK_MONOTONIC through the vDSO */
GM_EXPORT int gmi_gettid(void);
/* Memory of this process that may go at any time, or be no memory: the kernel copies, no fault is
 * taken. False: not all of it is there. */
GM_EXPORT bool gmi_read_own(void *to, uintptr_t from, size_t bytes);

/*
 * One line to stderr, "gmem: ...", in one write, when the level is enabled (GMEM_LOG). Formats
 * %s %d %u %x %c %p %%, with l, ll and z, 0 and a width (%04x), a precision for %s; anything
 * else appears as it stands. A closed pipe raises no SIGPIPE.
 */
enum gm_log_level { GM_LOG_NONE, GM_LOG_ERROR, GM_LOG_WARN, GM_LOG_INFO, GM_LOG_DEBUG };
GM_EXPORT extern int gmi_log_level;
GM_EXPORT void gmi_log(enum gm_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
#define gm_log(level, ...) ((int)(level) <= gmi_log_level ? gmi_log(level, __VA_ARGS__) : (void)0)
/*
 * snprintf with the same small format language; always terminates; returns the length that it
 * would have had.
 */
GM_EXPORT int gmi_snprintf(char *buf, size_t bytes, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
GM_EXPORT int gmi_vsnprintf(char *buf, size_t bytes, const char *fmt, va_list ap);

/*
 * Moves fd to a high number, close-on-exec, where programs do not look. Returns the new fd, or
 * -errno (a negative fd comes back as it is). The old one is closed in any case.
 */
GM_EXPORT int gmi_fd_raise(int fd);
/* A memfd made with MFD_ALLOW_SEALING keeps its size, whoever else has it. */
void gmc_fd_seal(int fd);
/* Is fd one of ours (raised)? Hooks of close/dup2/close_range leave those alone. */
GM_EXPORT bool gmi_fd_is_ours(int fd);
GM_EXPORT void gmi_fd_close(int fd); /* closes a raised fd */

/* A limit of this process, RLIMIT_*; and as high as it may be set, for a process of ours. */
uint64_t gmc_limit(int resource);
/* Which limit made it fail to start a process, or to make its memory, with this -errno; NULL: none
 * that is known. */
GM_EXPORT const char *gmi_limit_behind(int err);
/* What a table says of an error; NULL: nothing. */
struct gm_error_words {
	int err;
	const char *words;
};
static inline const char *gm_words_of(const struct gm_error_words *table, size_t n, int err)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].err == err)
			return table[i].words;
	return NULL;
}
void gmc_limit_raise(int resource);
/* clone(); the child calls fn(arg) on that stack, 16-byte aligned, and ends with its result. */
long gmc_clone_call(unsigned long flags, void *stack_top, int (*fn)(void *), void *arg);
/* fn(arg) in a process that has our memory, and what else flags (CLONE_FILES...) say: what it does
 * to itself stays with it. Returns when it has ended; nobody is told of it. 0, -errno: there was
 * none. fn must not return from a sanitizer's frame (spawn.c). */
GM_EXPORT int gmi_in_child(unsigned long flags, int (*fn)(void *), void *arg);

/* A memfd of that size, raised; RLIMIT_FSIZE does not count for it where it can be had without.
 * -EFBIG: it cannot. Else -errno. */
GM_EXPORT int gmi_memfd(const char *name, uint64_t bytes);
int gmc_memfd_surely(const char *name, uint64_t bytes); /* no injected fault */
/* Was the file with that device and inode (st_dev, st_ino) made by gmi_memfd()? */
GM_EXPORT bool gmi_memfd_is_ours(uint64_t dev, uint64_t ino);

/*
 * Starts a helper program that the process will never see as its child: not in wait(), not by
 * SIGCHLD, in its own session. argv and envp must be resident. fds[i] becomes descriptor i of
 * the child for each i < nfds (-1: /dev/null); everything else is closed. Returns the pid or
 * -errno (also when exec failed). At most GM_SPAWN_FDS descriptors (-EINVAL). Process 1 of a pid
 * namespace inherits every orphan, so there the helper does become its child.
 */
#define GM_SPAWN_FDS 16
GM_EXPORT int gmi_spawn(const char *path, char *const argv[], char *const envp[], const int *fds,
			int nfds);
/* Full path of a program installed with libgmem ("gmem-devsim"); looked up beside libgmem.so, in
 * gmem/, ../bin. 0 or -ENOENT */
GM_EXPORT int gmi_find_helper(const char *name, char *path, size_t bytes);

#endif
