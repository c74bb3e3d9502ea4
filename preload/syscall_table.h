/*
 * syscall_table.h - which user memory each x86-64 system call reads and writes: the single source for
 * dispatch, for the symbol hooks of calls with nested buffers, for activation (what is a blocked thread
 * waiting with?) and for tests.
 *
 * The table is constant. gmp_syscall_ranges() reads only what the arguments point to (iovecs, message
 * headers), by gmp_copy(): a bad pointer is left for the kernel to find. Signal-safe, no locks.
 */
#ifndef GMP_SYSCALL_TABLE_H
#define GMP_SYSCALL_TABLE_H

#include "../core/sys.h"

enum gmp_arg_kind {
	GMP_VALUE, /* not a pointer */
	GMP_IN,	   /* the kernel reads the buffer */
	GMP_OUT,   /* writes it */
	GMP_INOUT,
	GMP_CSTR,   /* string, at most PATH_MAX bytes */
	GMP_STRV,   /* NULL-terminated vector of strings (execve): copied by process.c, never pinned */
	GMP_IOV_IN, /* array of struct iovec whose buffers are read */
	GMP_IOV_OUT,
	GMP_MSG_IN, /* struct msghdr */
	GMP_MSG_OUT,
	GMP_MMSG_IN, /* array of struct mmsghdr */
	GMP_MMSG_OUT,
	GMP_IOCTL,  /* by the command in the argument before */
	GMP_SIGSET, /* mask put in place for the duration of the call: SIGSEGV and SIGSYS must be taken out */
	GMP_SIGSET6, /* the same behind a {pointer, size} pair */
};
enum gmp_unit {
	GMP_BYTES,  /* size * count */
	GMP_BITS,   /* count bits, in longs */
	GMP_LENPTR, /* *(unsigned *)count bytes; the length itself is an INOUT argument */
};
struct gmp_arg {
	uint8_t kind, unit;
	uint8_t count; /* 1 + number of the argument that gives the count; 0: constant 1 */
	uint16_t size; /* bytes of one element */
};

enum gmp_special { /* what dispatch does instead of pin, call, unpin */
		   GMP_PLAIN,
		   GMP_STUB, /* must be made from the program's own stack: exit, exit_group */
		   GMP_CLONE,
		   GMP_EXIT,
		   GMP_CLONE3,
		   GMP_FORK,
		   GMP_VFORK,
		   GMP_EXECVE,
		   GMP_EXECVEAT,
		   GMP_SIGRETURN,
		   GMP_SIGACTION,
		   GMP_SIGPROCMASK,
		   GMP_SIGALTSTACK,
		   GMP_PRCTL,
		   GMP_CLOSE,
		   GMP_CLOSE_RANGE,
		   GMP_DUP2,
		   GMP_DUP3,
		   GMP_MUNMAP,
		   GMP_MPROTECT,
		   GMP_MADVISE,
		   GMP_MREMAP,
		   GMP_MMAP,
		   GMP_SPECIALS,
};
struct gmp_syscall {
	const char *name; /* NULL: no user memory, or unknown: passed through */
	struct gmp_arg arg[6];
	uint8_t special;
	bool norestart; /* a signal handler ends it with EINTR even with SA_RESTART */
};
#define GMP_NSYSCALLS 512
extern const struct gmp_syscall gmp_syscalls[GMP_NSYSCALLS];

/* The managed buffers of one call, joined into at most GMP_RANGES hulls. */
#define GMP_RANGES 3
struct gmp_range {
	uintptr_t lo, hi;
	bool write;
};
struct gmp_ranges {
	unsigned n;
	struct gmp_range r[GMP_RANGES];
};
void gmp_syscall_ranges(long nr, const long args[6], struct gmp_ranges *out);
/* Adds [p, p+n) if it is managed. */
void gmp_ranges_add(struct gmp_ranges *rs, const void *p, size_t n, bool write);

#endif
