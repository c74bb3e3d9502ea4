/*
 * syscall_commands.c - the calls that are many: what their commands take instead of what the row
 * says. See syscall_table.h. Only commands that take something else, or more, than the row are
 * listed.
 */
#include "preload/syscalls/syscall_args.h"

#include <linux/bpf.h>
#include <linux/i2c-dev.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <linux/socket.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <asm/socket.h>
#include <termios.h>

#define SOL_SOCKET_	    1
#define SOL_XDP_	    283
#define XDP_UMEM_REG_	    4
#define OPTION(level, name) ((unsigned)(level) | (unsigned)(name) << 16)
#define TABLE(name, a, b, mask, rows_)                                                             \
	const struct gmp_commands name = {.arg = (a),                                              \
					  .arg2 = (b),                                             \
					  .ignore = (mask),                                        \
					  .n = GM_ARRAY_LEN(rows_),                                \
					  .rows = (rows_)}

/* Of drivers whose headers are not always there. */
#define KVM_SET_USER_MEMORY_REGION_  0x4020ae46u
#define KVM_SET_USER_MEMORY_REGION2_ 0x40a0ae49u
#define VFIO_IOMMU_MAP_DMA_	     0x3b71u
#define FS_IOC_FIEMAP_		     0xc020660bu
#define FIDEDUPERANGE_		     0xc0189436u
#define RNDADDENTROPY_		     0x40085203u
#define PERF_EVENT_IOC_SET_FILTER_   0x40082406u

/* clang-format off */
static const struct gmp_command ioctls[] = {
	/* from before sizes were encoded; those that are not listed get 256 bytes, which covers
	 * all that the kernel has */
	{TCGETS, {VAL, VAL, OUTC(60)}},
	{TCSETS, {VAL, VAL, INC(60)}},
	{TCSETSW, {VAL, VAL, INC(60)}},
	{TCSETSF, {VAL, VAL, INC(60)}},
	{TIOCGWINSZ, {VAL, VAL, OUTC(8)}},
	{TIOCSWINSZ, {VAL, VAL, INC(8)}},
	{TIOCGPGRP, {VAL, VAL, OUTC(4)}},
	{TIOCSPGRP, {VAL, VAL, INC(4)}},
	{TIOCGSID, {VAL, VAL, OUTC(4)}},
	{TIOCSTI, {VAL, VAL, INC(1)}},
	{TIOCMGET, {VAL, VAL, OUTC(4)}},
	{TIOCOUTQ, {VAL, VAL, OUTC(4)}},
	{FIONREAD, {VAL, VAL, OUTC(4)}},
	{FIONBIO, {VAL, VAL, INC(4)}},
	{FIOASYNC, {VAL, VAL, INC(4)}},
	/* more than the encoded size: arrays at the end, strings, pointers */
	{FS_IOC_FIEMAP_, {VAL, VAL, IOC(1u << 20)}},
	{FIDEDUPERANGE_, {VAL, VAL, IOC(4096)}},
	{RNDADDENTROPY_, {VAL, VAL, IOC(1u << 16)}},
	{PERF_EVENT_IOC_SET_FILTER_, {VAL, VAL, STR}},
	{SIOCGIFCONF, {VAL, VAL, LAY1(IFCONF)}},
	{SIOCETHTOOL, {VAL, VAL, SCANC(40)}},
	{SG_IO, {VAL, VAL, LAY1(SG_IO)}},
	{I2C_RDWR, {VAL, VAL, LAY1(I2C)}},
	{UFFDIO_REGISTER, {VAL, VAL, LAY1(UFFD_REGISTER)}},
	{UFFDIO_COPY, {VAL, VAL, LAY1(UFFD_COPY)}},
	{KVM_SET_USER_MEMORY_REGION_, {VAL, VAL, LAY1(KVM_REGION)}},
	{KVM_SET_USER_MEMORY_REGION2_, {VAL, VAL, LAY1(KVM_REGION)}},
	{VFIO_IOMMU_MAP_DMA_, {VAL, VAL, LAY1(VFIO_MAP)}},
};

static const struct gmp_command prctls[] = {
	{PR_SET_SECCOMP, {VAL, VAL, LAY1(FPROG)}},
	{PR_SET_MM, {VAL, VAL, SCAN(3)}},
	{0x41555856 /* PR_GET_AUXV */, {VAL, OUT(2)}},
};

static const struct gmp_command keyctls[] = {
	{KEYCTL_JOIN_SESSION_KEYRING, {VAL, STR}},
	{KEYCTL_UPDATE, {VAL, VAL, IN(3)}},
	{KEYCTL_DESCRIBE, {VAL, VAL, OUT(3)}},
	{KEYCTL_SEARCH, {VAL, VAL, STR, STR}},
	{KEYCTL_READ, {VAL, VAL, OUT(3)}},
	{KEYCTL_INSTANTIATE, {VAL, VAL, IN(3)}},
	{KEYCTL_GET_SECURITY, {VAL, VAL, OUT(3)}},
	{KEYCTL_INSTANTIATE_IOV, {VAL, VAL, IOVIN(3)}},
	{KEYCTL_DH_COMPUTE, {VAL, INC(12), OUT(3), VAL, LAY1(KDF)}},
	{KEYCTL_RESTRICT_KEYRING, {VAL, VAL, STR, STR}},
	{KEYCTL_CAPABILITIES, {VAL, OUT(2)}},
};

static const struct gmp_command ptraces[] = {
	{PTRACE_GETREGSET, {VAL, VAL, VAL, LAY1(IOVEC)}},
	{PTRACE_SETREGSET, {VAL, VAL, VAL, LAY1(IOVEC)}},
	{PTRACE_PEEKSIGINFO, {VAL, VAL, INC(16), IOC(1u << 17)}},
	{PTRACE_GET_SYSCALL_INFO, {VAL, VAL, VAL, OUT(2)}},
	{PTRACE_GET_RSEQ_CONFIGURATION, {VAL, VAL, VAL, OUT(2)}},
};

static const struct gmp_command bpfs[] = {
	{BPF_PROG_LOAD, {VAL, LAY1(BPF_PROG)}},
	{BPF_OBJ_GET_INFO_BY_FD, {VAL, LAY1(BPF_INFO)}},
	{BPF_BTF_LOAD, {VAL, LAY1(BPF_BTF)}},
};

static const struct gmp_command fsconfigs[] = {
	{FSCONFIG_SET_BINARY, {VAL, VAL, STR, IN(4)}},
};

static const struct gmp_command options_set[] = {
	{OPTION(SOL_SOCKET_, SO_ATTACH_FILTER), {VAL, VAL, VAL, LAY1(FPROG)}},
	{OPTION(SOL_SOCKET_, SO_ATTACH_REUSEPORT_CBPF), {VAL, VAL, VAL, LAY1(FPROG)}},
	{OPTION(SOL_XDP_, XDP_UMEM_REG_), {VAL, VAL, VAL, LAY1(UMEM)}},
};
static const struct gmp_command options_got[] = { /* the length counts instructions */
	{OPTION(SOL_SOCKET_, SO_GET_FILTER), {VAL, VAL, VAL, OUTC(32768), IOC(4)}},
};

static const struct gmp_command urings[] = {
	{IORING_REGISTER_BUFFERS, {VAL, VAL, LAYS(3, HELD_IOVEC)}},
	{IORING_REGISTER_FILES, {VAL, VAL, INS(3, int)}},
	{IORING_REGISTER_FILES_UPDATE, {VAL, VAL, LAY1(FILES_UPDATE)}},
	{IORING_REGISTER_PROBE, {VAL, VAL, OUTS_AND(3, char[8], 16)}},
	{IORING_REGISTER_RESTRICTIONS, {VAL, VAL, INS(3, char[16])}},
	{IORING_REGISTER_FILES2, {VAL, VAL, LAY1(RSRC)}},
	{IORING_REGISTER_FILES_UPDATE2, {VAL, VAL, LAY1(RSRC_UPDATE)}},
	{IORING_REGISTER_BUFFERS2, {VAL, VAL, LAY1(RSRC_BUFFERS)}},
	{IORING_REGISTER_BUFFERS_UPDATE, {VAL, VAL, LAY1(RSRC_UPDATE_BUFFERS)}},
	{IORING_REGISTER_IOWQ_AFF, {VAL, VAL, IN(3)}},
	{20 /* IORING_REGISTER_RING_FDS */, {VAL, VAL, IOS(3, char[16])}},
	{21 /* IORING_UNREGISTER_RING_FDS */, {VAL, VAL, IOS(3, char[16])}},
	{22 /* IORING_REGISTER_PBUF_RING */, {VAL, VAL, LAY1(PBUF_RING)}},
	{34 /* IORING_REGISTER_MEM_REGION */, {VAL, VAL, LAY1(REGION)}},
};
/* clang-format on */

TABLE(gmp_ioctl_commands, 1, 1, 0, ioctls);
TABLE(gmp_prctl_commands, 0, 0, 0, prctls);
TABLE(gmp_keyctl_commands, 0, 0, 0, keyctls);
TABLE(gmp_ptrace_commands, 0, 0, 0, ptraces);
TABLE(gmp_bpf_commands, 0, 0, 0, bpfs);
TABLE(gmp_fsconfig_commands, 1, 1, 0, fsconfigs);
TABLE(gmp_setsockopt_commands, 1, 2, 0, options_set);
TABLE(gmp_getsockopt_commands, 1, 2, 0, options_got);
TABLE(gmp_uring_commands, 1, 1, 1u << 31 /* the ring's number instead of its descriptor */, urings);
