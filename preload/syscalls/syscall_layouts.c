/* syscall_layouts.c - structures of the kernel's interface that hold pointers. See
 * syscall_table.h. */
#include "preload/syscalls/syscall_table.h"

#include <linux/io_uring.h>

/* of something behind a pointer of which only the kernel knows the size */
#define UNKNOWN_BYTES 65536

/* Offset of the pointer, of the number of elements, bytes of that number, and what one element
 * is. */
#define P(at_, count_at_, count_len_, kind_, size_)                                                \
	{                                                                                          \
		.at = (at_), .count_at = (count_at_), .count_len = (count_len_), .kind = (kind_),  \
		.size = (size_)                                                                    \
	}
#define PL(at_, count_at_, count_len_, id)                                                         \
	{                                                                                          \
		.at = (at_), .count_at = (count_at_), .count_len = (count_len_),                   \
		.kind = GMP_LAYOUT, .layout = GMP_LAYOUT_##id                                      \
	}
/* Only where the tag says so. */
#define T(tag_, at_, count_at_, count_len_, kind_, size_)                                          \
	{                                                                                          \
		.tag = (tag_), .at = (at_), .count_at = (count_at_), .count_len = (count_len_),    \
		.kind = (kind_), .size = (size_)                                                   \
	}
/* Two paths; two calls that take the same at `addr`. */
#define PATHS(tag_) T(tag_, 16, 0, 0, GMP_CSTR, 4096), T(tag_, 8, 0, 0, GMP_CSTR, 4096)
#define BOTH(a, b, len_at_, len_, kind_, size_)                                                    \
	T(a, 16, len_at_, len_, kind_, size_), T(b, 16, len_at_, len_, kind_, size_)
#define LAYOUT(id, bytes_, tag_at_, pin_, ...)                                                     \
	[GMP_LAYOUT_##id] = {.bytes = (bytes_),                                                    \
			     .tag_at = (tag_at_),                                                  \
			     .pin = (pin_),                                                        \
			     .fields = (const struct gmp_field[]){__VA_ARGS__, {0}}}
#define ALL GMP_NO_TAG

enum {
	OP_FUTEX_WAIT = 51,
	OP_FUTEX_WAKE,
	OP_FUTEX_WAITV,
	OP_BIND = 56,
	OP_READV_FIXED = 60,
	OP_WRITEV_FIXED,
	OP_PIPE
};

/* clang-format off */
const struct gmp_layout gmp_layouts[GMP_LAYOUTS] = {
	LAYOUT(IOVEC, 16, ALL, false, P(0, 8, 8, GMP_OUT, 1)),
	LAYOUT(HELD_IOVEC, 16, ALL, true, P(0, 8, 8, GMP_OUT, 1)),
	LAYOUT(FPROG, 16, ALL, false, P(8, 0, 2, GMP_IN, 8)), /* struct sock_fprog */
	/* struct futex_waitv; written: see futex_requeue */
	LAYOUT(WAITER, 24, ALL, false, P(8, 0, 0, GMP_OUT, 8)),
	LAYOUT(XATTR_GET, 16, ALL, false, P(0, 8, 4, GMP_OUT, 1)),
	LAYOUT(XATTR_SET, 16, ALL, false, P(0, 8, 4, GMP_IN, 1)),
	LAYOUT(SEGMENT, 32, ALL, false, P(0, 8, 8, GMP_IN, 1)), /* struct kexec_segment */
	/* struct sigevent: the cookie of SIGEV_THREAD */
	LAYOUT(MQ_NOTIFY, 64, ALL, false, P(0, 0, 0, GMP_IN, 32)),
	/* struct keyctl_kdf_params */
	LAYOUT(KDF, 24, ALL, false, P(0, 0, 0, GMP_CSTR, 256), P(8, 16, 4, GMP_IN, 1)),

	/* struct iocb, by opcode: pread, pwrite, preadv, pwritev. Offsets: aio_buf 24,
	 * aio_nbytes 32. */
	LAYOUT(IOCB, 64, 16, true, T(0, 24, 32, 8, GMP_OUT, 1), T(1, 24, 32, 8, GMP_OUT, 1),
	       T(7, 24, 32, 8, GMP_IOV_OUT, 16), T(8, 24, 32, 8, GMP_IOV_OUT, 16)),
	LAYOUT(IOCBP, 8, ALL, true, PL(0, 0, 0, IOCB)), /* an array of pointers to them */

	/* struct io_uring_sqe. Offsets: fd 4, off 8, addr 16, len 24, addr3 48. */
	LAYOUT(SQE, 64, 0, true,
	       BOTH(IORING_OP_READV, IORING_OP_WRITEV, 24, 4, GMP_IOV_OUT, 16),
	       BOTH(OP_READV_FIXED, OP_WRITEV_FIXED, 24, 4, GMP_IOV_OUT, 16),
	       BOTH(IORING_OP_READ, IORING_OP_WRITE, 24, 4, GMP_OUT, 1),
	       BOTH(IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED, 24, 4, GMP_OUT, 1),
	       BOTH(IORING_OP_SENDMSG, IORING_OP_RECVMSG, 0, 0, GMP_MSG_OUT, 56),
	       T(48 /* SENDMSG_ZC */, 16, 0, 0, GMP_MSG_OUT, 56),
	       BOTH(IORING_OP_SEND, IORING_OP_RECV, 24, 4, GMP_OUT, 1),
	       T(47 /* SEND_ZC */, 16, 24, 4, GMP_OUT, 1),
	       /* where to */
	       T(IORING_OP_SEND, 8, 0, 0, GMP_OUT, 128), T(47, 8, 0, 0, GMP_OUT, 128),
	       BOTH(IORING_OP_TIMEOUT, IORING_OP_LINK_TIMEOUT, 0, 0, GMP_OUT, 16),
	       T(IORING_OP_TIMEOUT_REMOVE, 8, 0, 0, GMP_OUT, 16),
	       T(IORING_OP_ACCEPT, 16, 0, 0, GMP_OUT, 128),
	       T(IORING_OP_ACCEPT, 8, 0, 0, GMP_OUT, 4),
	       T(IORING_OP_CONNECT, 16, 8, 8, GMP_OUT, 1), T(OP_BIND, 16, 8, 8, GMP_OUT, 1),
	       T(IORING_OP_FILES_UPDATE, 16, 24, 4, GMP_OUT, 4),
	       T(IORING_OP_EPOLL_CTL, 8, 0, 0, GMP_OUT, 12),
	       T(59 /* EPOLL_WAIT */, 16, 24, 4, GMP_OUT, 12),
	       {.tag = IORING_OP_PROVIDE_BUFFERS, .at = 16, .count_at = 24, .count_len = 4,
		.times_at = 4, .kind = GMP_OUT, .size = 1},
	       T(IORING_OP_OPENAT, 16, 0, 0, GMP_CSTR, 4096),
	       T(IORING_OP_OPENAT2, 16, 0, 0, GMP_CSTR, 4096),
	       T(IORING_OP_OPENAT2, 8, 24, 4, GMP_OUT, 1),
	       T(IORING_OP_STATX, 16, 0, 0, GMP_CSTR, 4096),
	       T(IORING_OP_STATX, 8, 0, 0, GMP_OUT, 256),
	       PATHS(IORING_OP_RENAMEAT),
	       PATHS(IORING_OP_LINKAT),
	       PATHS(IORING_OP_SYMLINKAT),
	       T(IORING_OP_UNLINKAT, 16, 0, 0, GMP_CSTR, 4096),
	       T(IORING_OP_MKDIRAT, 16, 0, 0, GMP_CSTR, 4096),
	       T(41 /* FSETXATTR */, 16, 0, 0, GMP_CSTR, 256), T(41, 8, 24, 4, GMP_OUT, 1),
	       T(42 /* SETXATTR */, 16, 0, 0, GMP_CSTR, 256), T(42, 8, 24, 4, GMP_OUT, 1),
	       T(42, 48, 0, 0, GMP_CSTR, 4096),
	       T(43 /* FGETXATTR */, 16, 0, 0, GMP_CSTR, 256), T(43, 8, 24, 4, GMP_OUT, 1),
	       T(44 /* GETXATTR */, 16, 0, 0, GMP_CSTR, 256), T(44, 8, 24, 4, GMP_OUT, 1),
	       T(44, 48, 0, 0, GMP_CSTR, 4096),
	       T(50 /* WAITID */, 8, 0, 0, GMP_OUT, 128),
	       T(OP_FUTEX_WAIT, 16, 0, 0, GMP_OUT, 8), T(OP_FUTEX_WAKE, 16, 0, 0, GMP_OUT, 8),
	       {.tag = OP_FUTEX_WAITV, .at = 16, .count_at = 24, .count_len = 4,
		.kind = GMP_LAYOUT, .layout = GMP_LAYOUT_WAITER},
	       T(OP_PIPE, 16, 0, 0, GMP_OUT, 8)),

	/* getevents_arg */
	LAYOUT(URING_ARG, 24, ALL, false, P(0, 0, 0, GMP_IN, 8), P(16, 0, 0, GMP_IN, 16)),
	/* rsrc_register */
	LAYOUT(RSRC, 32, ALL, false, P(16, 0, 4, GMP_IN, 4), P(24, 0, 4, GMP_IN, 8)),
	LAYOUT(RSRC_BUFFERS, 32, ALL, false, PL(16, 0, 4, HELD_IOVEC), P(24, 0, 4, GMP_IN, 8)),
	/* rsrc_update2 */
	LAYOUT(RSRC_UPDATE, 32, ALL, false, P(8, 24, 4, GMP_IN, 4), P(16, 24, 4, GMP_IN, 8)),
	LAYOUT(RSRC_UPDATE_BUFFERS, 32, ALL, false, PL(8, 24, 4, HELD_IOVEC),
	       P(16, 24, 4, GMP_IN, 8)),
	LAYOUT(FILES_UPDATE, 16, ALL, false, P(8, 0, 0, GMP_IN, UNKNOWN_BYTES)),
	LAYOUT(PBUF_RING, 40, ALL, true, P(0, 8, 4, GMP_OUT, 16)), /* io_uring_buf_reg */
	LAYOUT(PBUF, 16, ALL, true, P(0, 8, 4, GMP_OUT, 1)), /* io_uring_buf */
	LAYOUT(REGION, 64, ALL, false, PL(0, 0, 0, REGION_DESC)), /* io_uring_mem_region_reg */
	LAYOUT(REGION_DESC, 64, ALL, true, P(0, 8, 8, GMP_OUT, 1)),

	/* union bpf_attr of some commands */
	LAYOUT(BPF_PROG, 128, ALL, false, P(8, 4, 4, GMP_IN, 8), P(16, 0, 0, GMP_CSTR, 128),
	       P(32, 28, 4, GMP_OUT, 1), P(88, 0, 0, GMP_IN, UNKNOWN_BYTES),
	       P(104, 0, 0, GMP_IN, UNKNOWN_BYTES), P(120, 0, 0, GMP_IN, UNKNOWN_BYTES)),
	LAYOUT(BPF_INFO, 16, ALL, false, P(8, 4, 4, GMP_SCAN, 1)),
	LAYOUT(BPF_BTF, 32, ALL, false, P(0, 16, 4, GMP_IN, 1), P(8, 20, 4, GMP_OUT, 1)),

	/* of ioctls */
	LAYOUT(IFCONF, 16, ALL, false, P(8, 0, 4, GMP_OUT, 1)),
	LAYOUT(SG_IO, 88, ALL, false, P(16, 12, 4, GMP_OUT, 1), P(24, 8, 1, GMP_IN, 1),
	       P(32, 9, 1, GMP_OUT, 1)),
	LAYOUT(I2C, 16, ALL, false, PL(0, 8, 4, I2C_MSG)),
	LAYOUT(I2C_MSG, 16, ALL, false, P(8, 4, 2, GMP_OUT, 1)),
	LAYOUT(UFFD_REGISTER, 32, ALL, true, P(0, 8, 8, GMP_LEAVE, 1)),
	LAYOUT(UFFD_COPY, 40, ALL, false, P(8, 16, 8, GMP_IN, 1)),
	LAYOUT(KVM_REGION, 32, ALL, true, P(24, 16, 8, GMP_OUT, 1)),
	LAYOUT(VFIO_MAP, 32, ALL, true, P(8, 24, 8, GMP_OUT, 1)),
	LAYOUT(UMEM, 32, ALL, true, P(0, 8, 8, GMP_OUT, 1)), /* struct xdp_umem_reg */
};
/* clang-format on */
