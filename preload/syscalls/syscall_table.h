/*
 * syscall_table.h - which user memory each x86-64 system call reads and writes: the single
 * source for dispatch, for the symbol hooks of calls with nested buffers, for activation (what
 * is a blocked thread waiting with?) and for tests.
 *
 * Every call that Linux has up to 6.18 is in it, also those that take no memory: a number that
 * is not listed is one that nobody has looked at. Calls that are many in one (ioctl, prctl,
 * keyctl, ...) have a table of their commands; structures that hold pointers have a layout.
 *
 *	what  a call's arguments become ranges of managed memory, those are held (held.h)
 *	who   dispatch, signals, heap; exec and spawn, which copy instead (execcopy.h)
 *	may   what arguments point to, by gmp_copy() only; the lists of rings (uring.h)
 *	must  a range may be too wide, never too narrow; signal-safe
 *	parts descriptors.h: ours among the program's; uring.h: memory in use after the call
 *
 * The tables are constant. gmp_syscall_ranges() reads only what the arguments point to (iovecs,
 * message headers), by gmp_copy(): a bad pointer is left for the kernel to find. Signal-safe, no
 * locks.
 */
#ifndef GMP_SYSCALL_TABLE_H
#define GMP_SYSCALL_TABLE_H

#include "core/sys/sys.h"

enum gmp_arg_kind {
	GMP_VALUE, /* not a pointer */
	GMP_IN,	   /* the kernel reads the buffer */
	GMP_OUT,   /* writes it */
	GMP_INOUT,
	GMP_CSTR,   /* string, at most PATH_MAX bytes */
	GMP_STRV,   /* NULL-terminated vector of strings (execve): copied by exec.c, never pinned */
	GMP_IOV_IN, /* array of struct iovec whose buffers are read */
	GMP_IOV_OUT,
	GMP_MSG_IN, /* struct msghdr */
	GMP_MSG_OUT,
	GMP_MMSG_IN, /* array of struct mmsghdr */
	GMP_MMSG_OUT,
	GMP_IOCTL, /* of a command that has no row: by the direction and size that it encodes */
	/* mask put in place for the duration of the call: SIGSEGV and SIGSYS must be taken out */
	GMP_SIGSET,
	GMP_SIGSET6, /* the same behind a {pointer, size} pair */
	GMP_LAYOUT,  /* array of structures with pointers, read and written */
	/* read and written, and each word in it may be a pointer to something of unknown size */
	GMP_SCAN,
	GMP_PIN,   /* the kernel keeps using it after the call: pinned for good */
	GMP_LEAVE, /* the same for memory whose mapping must stay what it is (userfaultfd) */
};
enum gmp_unit {
	GMP_BYTES,  /* size * count + extra */
	GMP_BITS,   /* count bits, in longs */
	GMP_LENPTR, /* *(unsigned *)count bytes; the length itself is an INOUT argument */
};
struct gmp_arg {
	uint8_t kind, unit;
	uint8_t count;	/* 1 + number of the argument that gives the count; 0: constant 1 */
	uint8_t layout; /* enum gmp_layout_id */
	uint32_t size;	/* bytes of one element */
	uint8_t extra;	/* bytes beside them */
};

/* A pointer within a structure. */
struct gmp_field {
	uint8_t at;	   /* of the pointer */
	uint8_t count_at;  /* of the number of elements */
	uint8_t count_len; /* its bytes; 0: constant 1 */
	/* IN, OUT, CSTR, IOV_*, MSG_*, SCAN, LAYOUT, PIN, LEAVE; 0: no more fields */
	uint8_t kind;
	uint8_t layout;
	uint8_t tag;	  /* only in structures with this tag */
	uint8_t times_at; /* of a 4-byte number of such arrays, one after the other; 0: one */
	uint32_t size;	  /* bytes of one element */
};
#define GMP_NO_TAG 0xff
struct gmp_layout {
	uint16_t bytes; /* of the structure */
	/* of a byte that tells which fields count; GMP_NO_TAG: all do */
	uint8_t tag_at;
	bool pin;			/* what it points to is in use after the call */
	const struct gmp_field *fields; /* up to the first without a kind */
};
enum gmp_layout_id {
	GMP_LAYOUT_NONE,
	GMP_LAYOUT_IOVEC,
	GMP_LAYOUT_HELD_IOVEC,
	GMP_LAYOUT_FPROG,
	GMP_LAYOUT_WAITER,
	GMP_LAYOUT_XATTR_GET,
	GMP_LAYOUT_XATTR_SET,
	GMP_LAYOUT_SEGMENT,
	GMP_LAYOUT_IOCB,
	GMP_LAYOUT_IOCBP,
	GMP_LAYOUT_SQE,
	GMP_LAYOUT_URING_ARG,
	GMP_LAYOUT_RSRC,
	GMP_LAYOUT_RSRC_BUFFERS,
	GMP_LAYOUT_RSRC_UPDATE,
	GMP_LAYOUT_RSRC_UPDATE_BUFFERS,
	GMP_LAYOUT_FILES_UPDATE,
	GMP_LAYOUT_PBUF_RING,
	GMP_LAYOUT_PBUF,
	GMP_LAYOUT_REGION,
	GMP_LAYOUT_REGION_DESC,
	GMP_LAYOUT_MQ_NOTIFY,
	GMP_LAYOUT_KDF,
	GMP_LAYOUT_BPF_PROG,
	GMP_LAYOUT_BPF_INFO,
	GMP_LAYOUT_BPF_BTF,
	GMP_LAYOUT_IFCONF,
	GMP_LAYOUT_SG_IO,
	GMP_LAYOUT_I2C,
	GMP_LAYOUT_I2C_MSG,
	GMP_LAYOUT_UFFD_REGISTER,
	GMP_LAYOUT_UFFD_COPY,
	GMP_LAYOUT_KVM_REGION,
	GMP_LAYOUT_VFIO_MAP,
	GMP_LAYOUT_UMEM,
	GMP_LAYOUTS,
};
extern const struct gmp_layout gmp_layouts[GMP_LAYOUTS];

enum gmp_special { /* what dispatch does instead of hold, call, unhold */
		   GMP_PLAIN,
		   GMP_STUB, /* must be made from the program's own stack: exit, exit_group */
		   GMP_CLONE,
		   GMP_EXIT, /* of a thread */
		   GMP_CLONE3,
		   GMP_FORK,
		   GMP_VFORK,
		   GMP_EXECVE,
		   GMP_EXECVEAT,
		   GMP_SIGRETURN,
		   GMP_SIGACTION,
		   GMP_SIGPROCMASK,
		   GMP_SIGALTSTACK,
		   GMP_SIGTIMEDWAIT,
		   GMP_SIGPENDING,
		   GMP_PRCTL,
		   GMP_CONFINE, /* may confine the process, or have it traced, or needs it alone */
		   GMP_PROCESS_VM,
		   GMP_LIMIT,
		   GMP_KILL,
		   GMP_CLOSE,
		   GMP_CLOSE_RANGE,
		   GMP_DUP2,
		   GMP_DUP3,
		   GMP_MUNMAP,
		   GMP_REMAPPING,
		   GMP_BRK,
		   GMP_MPROTECT,
		   GMP_MADVISE,
		   GMP_MREMAP,
		   GMP_MMAP,
		   GMP_MINCORE,
		   GMP_MLOCK,
		   GMP_MLOCKALL,
		   GMP_MUNLOCK,
		   GMP_MSYNC,
		   GMP_URING_SETUP,
		   GMP_URING_ENTER,
		   GMP_URING_REGISTER,
		   GMP_SPECIALS,
};

/* One of the calls that a call is: its arguments instead of the row's. */
struct gmp_command {
	uint32_t cmd;
	struct gmp_arg arg[6];
};
struct gmp_commands {
	/* the command is in; arg2 != arg: together with this one, shifted by 16 */
	uint8_t arg, arg2;
	uint16_t n;
	uint32_t ignore; /* bits that do not matter */
	const struct gmp_command *rows;
};
struct gmp_syscall {
	const char *name; /* NULL: unknown: passed through */
	struct gmp_arg arg[6];
	uint8_t special;
	bool memory;	/* some argument is a pointer */
	bool norestart; /* a signal handler ends it with EINTR even with SA_RESTART */
	/* 1 + number of the argument with flags; 0: none. With a flag of pin_flags: */
	uint8_t pin;
	uint32_t pin_flags; /* ... what the call takes is in use after it */
	const struct gmp_commands *commands;
};
#define GMP_NSYSCALLS 512
extern const struct gmp_syscall gmp_syscalls[GMP_NSYSCALLS];
extern const struct gmp_commands gmp_bpf_commands, gmp_fsconfig_commands, gmp_getsockopt_commands,
	gmp_ioctl_commands, gmp_keyctl_commands, gmp_prctl_commands, gmp_ptrace_commands,
	gmp_setsockopt_commands, gmp_uring_commands;

/* Is it a call on a descriptor of ours? The program has never opened it: EBADF. */
bool gmp_names_our_fd(long nr, long first);

/* The managed buffers of one call, joined into at most GMP_RANGES hulls. */
#define GMP_RANGES 8
struct gmp_range {
	uintptr_t lo, hi;
	bool write;
};
struct gmp_ranges {
	unsigned n;
	struct gmp_range r[GMP_RANGES];
	/* Takes what the kernel goes on using, instead of the hulls. */
	void (*pin)(const void *p, size_t n, bool movable);
	bool pins; /* there was something to pin */
};
/* out->pin (or NULL) and pins (false) are set by the caller. */
void gmp_syscall_ranges(long nr, const long args[6], struct gmp_ranges *out);
/* Adds [p, p+n) if it is managed. */
void gmp_ranges_add(struct gmp_ranges *rs, const void *p, size_t n, bool write);
/* Adds n structures and what they point to. */
void gmp_ranges_layout(struct gmp_ranges *rs, enum gmp_layout_id id, const void *p, size_t n);

#endif
