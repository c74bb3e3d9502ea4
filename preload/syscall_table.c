/*
 * syscall_table.c - the table. See syscall_table.h.
 *
 * A count may be larger than what the call uses (epoll_wait's maxevents): a hull too wide costs a little, one
 * too narrow loses data. Arguments that are a pointer only for some commands (fcntl, prctl, futex) are listed
 * as if always: no small integer lies in a managed window.
 */
#include "syscall_table.h"

#include <linux/aio_abi.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <poll.h>
#include <termios.h>
#include <time.h>
#include <ucontext.h>
#include <utime.h>

/* Buffers whose length is argument n (0-based), arrays of T with argument n elements, and single objects. */
#define IN(n)                                                                                                \
	{                                                                                                    \
		GMP_IN, GMP_BYTES, 1 + (n), 1                                                                \
	}
#define OUT(n)                                                                                               \
	{                                                                                                    \
		GMP_OUT, GMP_BYTES, 1 + (n), 1                                                               \
	}
#define INS(n, T)                                                                                            \
	{                                                                                                    \
		GMP_IN, GMP_BYTES, 1 + (n), sizeof(T)                                                        \
	}
#define OUTS(n, T)                                                                                           \
	{                                                                                                    \
		GMP_OUT, GMP_BYTES, 1 + (n), sizeof(T)                                                       \
	}
#define IOS(n, T)                                                                                            \
	{                                                                                                    \
		GMP_INOUT, GMP_BYTES, 1 + (n), sizeof(T)                                                     \
	}
#define IN1(T)                                                                                               \
	{                                                                                                    \
		GMP_IN, GMP_BYTES, 0, sizeof(T)                                                              \
	}
#define OUT1(T)                                                                                              \
	{                                                                                                    \
		GMP_OUT, GMP_BYTES, 0, sizeof(T)                                                             \
	}
#define IO1(T)                                                                                               \
	{                                                                                                    \
		GMP_INOUT, GMP_BYTES, 0, sizeof(T)                                                           \
	}
#define INC(bytes)                                                                                           \
	{                                                                                                    \
		GMP_IN, GMP_BYTES, 0, bytes                                                                  \
	}
#define OUTC(bytes)                                                                                          \
	{                                                                                                    \
		GMP_OUT, GMP_BYTES, 0, bytes                                                                 \
	}
#define IOC(bytes)                                                                                           \
	{                                                                                                    \
		GMP_INOUT, GMP_BYTES, 0, bytes                                                               \
	}
#define OUTL(n)                                                                                              \
	{                                                                                                    \
		GMP_OUT, GMP_LENPTR, 1 + (n), 1                                                              \
	}
#define FDSET(n)                                                                                             \
	{                                                                                                    \
		GMP_INOUT, GMP_BITS, 1 + (n), 1                                                              \
	}
#define STR                                                                                                  \
	{                                                                                                    \
		GMP_CSTR, GMP_BYTES, 0, 4096                                                                 \
	}
#define STRV                                                                                                 \
	{                                                                                                    \
		GMP_STRV, GMP_BYTES, 0, 0                                                                    \
	}
#define IOVIN(n)                                                                                             \
	{                                                                                                    \
		GMP_IOV_IN, GMP_BYTES, 1 + (n), 16                                                           \
	}
#define IOVOUT(n)                                                                                            \
	{                                                                                                    \
		GMP_IOV_OUT, GMP_BYTES, 1 + (n), 16                                                          \
	}
#define MSGIN                                                                                                \
	{                                                                                                    \
		GMP_MSG_IN, GMP_BYTES, 0, sizeof(struct msghdr)                                              \
	}
#define MSGOUT                                                                                               \
	{                                                                                                    \
		GMP_MSG_OUT, GMP_BYTES, 0, sizeof(struct msghdr)                                             \
	}
#define MMSGIN(n)                                                                                            \
	{                                                                                                    \
		GMP_MMSG_IN, GMP_BYTES, 1 + (n), sizeof(struct mmsghdr)                                      \
	}
#define MMSGOUT(n)                                                                                           \
	{                                                                                                    \
		GMP_MMSG_OUT, GMP_BYTES, 1 + (n), sizeof(struct mmsghdr)                                     \
	}
#define IOCTL                                                                                                \
	{                                                                                                    \
		GMP_IOCTL, GMP_BYTES, 0, 0                                                                   \
	}
#define SIGSET                                                                                               \
	{                                                                                                    \
		GMP_SIGSET, GMP_BYTES, 0, 8                                                                  \
	}
#define SIGSET6                                                                                              \
	{                                                                                                    \
		GMP_SIGSET6, GMP_BYTES, 0, 16                                                                \
	}
#define VAL                                                                                                  \
	{                                                                                                    \
		GMP_VALUE, GMP_BYTES, 0, 0                                                                   \
	}

#define CALL(n, ...)	     [SYS_##n] = {.name = #n, .arg = {__VA_ARGS__}}
#define CALL_NR(n, ...)	     [SYS_##n] = {.name = #n, .arg = {__VA_ARGS__}, .norestart = true}
#define SPECIAL(n, how, ...) [SYS_##n] = {.name = #n, .special = (how), .arg = {__VA_ARGS__}}

typedef struct timespec TS;
typedef struct timeval TV;
typedef struct stat ST;
typedef struct rusage RU;

/* clang-format off */
const struct gmp_syscall gmp_syscalls[GMP_NSYSCALLS] = {
	/* files */
	CALL(read, VAL, OUT(2)),
	CALL(write, VAL, IN(2)),
	CALL(pread64, VAL, OUT(2)),
	CALL(pwrite64, VAL, IN(2)),
	CALL(readv, VAL, IOVOUT(2)),
	CALL(writev, VAL, IOVIN(2)),
	CALL(preadv, VAL, IOVOUT(2)),
	CALL(pwritev, VAL, IOVIN(2)),
	CALL(preadv2, VAL, IOVOUT(2)),
	CALL(pwritev2, VAL, IOVIN(2)),
	CALL(vmsplice, VAL, IOVIN(2)),
	CALL(splice, VAL, IO1(loff_t), VAL, IO1(loff_t)),
	CALL(copy_file_range, VAL, IO1(loff_t), VAL, IO1(loff_t)),
	CALL(sendfile, VAL, VAL, IO1(off_t)),
	CALL(open, STR),
	CALL(creat, STR),
	CALL(openat, VAL, STR),
	CALL(openat2, VAL, STR, IN(3)),
	CALL(name_to_handle_at, VAL, STR, IOC(8 + 128), OUT1(int)),
	CALL(open_by_handle_at, VAL, INC(8 + 128)),
	CALL(stat, STR, OUT1(ST)),
	CALL(lstat, STR, OUT1(ST)),
	CALL(fstat, VAL, OUT1(ST)),
	CALL(newfstatat, VAL, STR, OUT1(ST)),
	CALL(statx, VAL, STR, VAL, VAL, OUTC(256)),
	CALL(statfs, STR, OUT1(struct statfs)),
	CALL(fstatfs, VAL, OUT1(struct statfs)),
	CALL(ustat, VAL, OUTC(32)),
	CALL(access, STR),
	CALL(faccessat, VAL, STR),
	CALL(faccessat2, VAL, STR),
	CALL(getcwd, OUT(1)),
	CALL(chdir, STR),
	CALL(chroot, STR),
	CALL(rename, STR, STR),
	CALL(renameat, VAL, STR, VAL, STR),
	CALL(renameat2, VAL, STR, VAL, STR),
	CALL(mkdir, STR),
	CALL(mkdirat, VAL, STR),
	CALL(mknod, STR),
	CALL(mknodat, VAL, STR),
	CALL(rmdir, STR),
	CALL(link, STR, STR),
	CALL(linkat, VAL, STR, VAL, STR),
	CALL(unlink, STR),
	CALL(unlinkat, VAL, STR),
	CALL(symlink, STR, STR),
	CALL(symlinkat, STR, VAL, STR),
	CALL(readlink, STR, OUT(2)),
	CALL(readlinkat, VAL, STR, OUT(3)),
	CALL(chmod, STR),
	CALL(fchmodat, VAL, STR),
	CALL(chown, STR),
	CALL(lchown, STR),
	CALL(fchownat, VAL, STR),
	CALL(truncate, STR),
	CALL(utime, STR, IN1(struct utimbuf)),
	CALL(utimes, STR, INC(2 * sizeof(TV))),
	CALL(futimesat, VAL, STR, INC(2 * sizeof(TV))),
	CALL(utimensat, VAL, STR, INC(2 * sizeof(TS))),
	CALL(getdents, VAL, OUT(2)),
	CALL(getdents64, VAL, OUT(2)),
	CALL(lookup_dcookie, VAL, OUT(2)),
	CALL(memfd_create, STR),
	CALL(pipe, OUTC(8)),
	CALL(pipe2, OUTC(8)),
	CALL(fcntl, VAL, VAL, IOC(32)),
	CALL(ioctl, VAL, VAL, IOCTL),
	CALL(setxattr, STR, STR, IN(3)),
	CALL(lsetxattr, STR, STR, IN(3)),
	CALL(fsetxattr, VAL, STR, IN(3)),
	CALL(getxattr, STR, STR, OUT(3)),
	CALL(lgetxattr, STR, STR, OUT(3)),
	CALL(fgetxattr, VAL, STR, OUT(3)),
	CALL(listxattr, STR, OUT(2)),
	CALL(llistxattr, STR, OUT(2)),
	CALL(flistxattr, VAL, OUT(2)),
	CALL(removexattr, STR, STR),
	CALL(lremovexattr, STR, STR),
	CALL(fremovexattr, VAL, STR),
	CALL(inotify_add_watch, VAL, STR),
	CALL(fanotify_mark, VAL, VAL, VAL, VAL, STR),
	SPECIAL(close, GMP_CLOSE, VAL),
	SPECIAL(close_range, GMP_CLOSE_RANGE, VAL),
	SPECIAL(dup2, GMP_DUP2, VAL),
	SPECIAL(dup3, GMP_DUP3, VAL),

	/* waiting for descriptors */
	CALL_NR(poll, IOS(1, struct pollfd)),
	CALL_NR(ppoll, IOS(1, struct pollfd), VAL, IO1(TS), SIGSET),
	CALL_NR(select, VAL, FDSET(0), FDSET(0), FDSET(0), IO1(TV)),
	CALL_NR(pselect6, VAL, FDSET(0), FDSET(0), FDSET(0), IO1(TS), SIGSET6),
	CALL(epoll_ctl, VAL, VAL, VAL, IN1(struct epoll_event)),
	CALL_NR(epoll_wait, VAL, OUTS(2, struct epoll_event)),
	CALL_NR(epoll_pwait, VAL, OUTS(2, struct epoll_event), VAL, VAL, SIGSET),
	CALL_NR(epoll_pwait2, VAL, OUTS(2, struct epoll_event), VAL, IN1(TS), SIGSET),
	CALL(signalfd, VAL, INC(8)),
	CALL(signalfd4, VAL, INC(8)),
	CALL(timerfd_settime, VAL, VAL, IN1(struct itimerspec), OUT1(struct itimerspec)),
	CALL(timerfd_gettime, VAL, OUT1(struct itimerspec)),

	/* sockets */
	CALL(bind, VAL, IN(2)),
	CALL(connect, VAL, IN(2)),
	CALL(accept, VAL, OUTL(2), IO1(socklen_t)),
	CALL(accept4, VAL, OUTL(2), IO1(socklen_t)),
	CALL(getsockname, VAL, OUTL(2), IO1(socklen_t)),
	CALL(getpeername, VAL, OUTL(2), IO1(socklen_t)),
	CALL(socketpair, VAL, VAL, VAL, OUTC(8)),
	CALL(setsockopt, VAL, VAL, VAL, IN(4)),
	CALL(getsockopt, VAL, VAL, VAL, OUTL(4), IO1(socklen_t)),
	CALL(sendto, VAL, IN(2), VAL, VAL, IN(5)),
	CALL(recvfrom, VAL, OUT(2), VAL, VAL, OUTL(5), IO1(socklen_t)),
	CALL(sendmsg, VAL, MSGIN),
	CALL(recvmsg, VAL, MSGOUT),
	CALL(sendmmsg, VAL, MMSGIN(2)),
	CALL(recvmmsg, VAL, MMSGOUT(2), VAL, VAL, IO1(TS)),

	/* memory: calls on addresses in the window go to core */
	SPECIAL(mmap, GMP_MMAP, VAL),
	SPECIAL(munmap, GMP_MUNMAP, VAL),
	SPECIAL(mprotect, GMP_MPROTECT, VAL),
	SPECIAL(pkey_mprotect, GMP_MPROTECT, VAL),
	SPECIAL(madvise, GMP_MADVISE, VAL),
	SPECIAL(mremap, GMP_MREMAP, VAL),
	CALL(mincore, VAL, VAL, OUT(1)),
	CALL(mbind, VAL, VAL, VAL, INC(128)),
	CALL(set_mempolicy, VAL, INC(128)),
	CALL(get_mempolicy, OUT1(int), OUTC(128)),
	CALL(migrate_pages, VAL, VAL, INC(128), INC(128)),
	CALL(move_pages, VAL, VAL, INS(1, void *), INS(1, int), OUTS(1, int)),
	CALL(process_vm_readv, VAL, IOVOUT(2), VAL, INS(4, struct iovec)),
	CALL(process_vm_writev, VAL, IOVIN(2), VAL, INS(4, struct iovec)),
	CALL(process_madvise, VAL, INS(2, struct iovec)),

	/* time */
	CALL(time, OUT1(time_t)),
	CALL(gettimeofday, OUT1(TV), OUTC(8)),
	CALL(settimeofday, IN1(TV), INC(8)),
	CALL(clock_gettime, VAL, OUT1(TS)),
	CALL(clock_settime, VAL, IN1(TS)),
	CALL(clock_getres, VAL, OUT1(TS)),
	CALL(clock_adjtime, VAL, IO1(struct timex)),
	CALL(adjtimex, IO1(struct timex)),
	CALL_NR(nanosleep, IN1(TS), OUT1(TS)),
	CALL_NR(clock_nanosleep, VAL, VAL, IN1(TS), OUT1(TS)),
	CALL(getitimer, VAL, OUT1(struct itimerval)),
	CALL(setitimer, VAL, IN1(struct itimerval), OUT1(struct itimerval)),
	CALL(timer_create, VAL, INC(64), OUT1(int)),
	CALL(timer_settime, VAL, VAL, IN1(struct itimerspec), OUT1(struct itimerspec)),
	CALL(timer_gettime, VAL, OUT1(struct itimerspec)),
	CALL(times, OUT1(struct tms)),

	/* processes */
	SPECIAL(clone, GMP_CLONE, VAL),
	SPECIAL(clone3, GMP_CLONE3, VAL),
	SPECIAL(fork, GMP_FORK, VAL),
	SPECIAL(vfork, GMP_VFORK, VAL),
	SPECIAL(execve, GMP_EXECVE, STR, STRV, STRV),
	SPECIAL(execveat, GMP_EXECVEAT, VAL, STR, STRV, STRV),
	SPECIAL(exit, GMP_EXIT, VAL),
	SPECIAL(exit_group, GMP_STUB, VAL),
	SPECIAL(prctl, GMP_PRCTL, VAL, IOC(128), IOC(128), IOC(128), IOC(128)),
	CALL(arch_prctl, VAL, OUTC(8)),
	CALL(wait4, VAL, OUT1(int), VAL, OUT1(RU)),
	CALL(waitid, VAL, VAL, OUTC(128), VAL, OUT1(RU)),
	CALL(getrusage, VAL, OUT1(RU)),
	CALL(getrlimit, VAL, OUT1(struct rlimit)),
	CALL(setrlimit, VAL, IN1(struct rlimit)),
	CALL(prlimit64, VAL, VAL, IN1(struct rlimit), OUT1(struct rlimit)),
	CALL(getgroups, VAL, OUTS(0, gid_t)),
	CALL(setgroups, VAL, INS(0, gid_t)),
	CALL(getresuid, OUTC(4), OUTC(4), OUTC(4)),
	CALL(getresgid, OUTC(4), OUTC(4), OUTC(4)),
	CALL(capget, IOC(8), OUTC(24)),
	CALL(capset, IOC(8), INC(24)),
	CALL(sched_setparam, VAL, IN1(struct sched_param)),
	CALL(sched_getparam, VAL, OUT1(struct sched_param)),
	CALL(sched_setscheduler, VAL, VAL, IN1(struct sched_param)),
	CALL(sched_setaffinity, VAL, VAL, IN(1)),
	CALL(sched_getaffinity, VAL, VAL, OUT(1)),
	CALL(sched_rr_get_interval, VAL, OUT1(TS)),
	CALL(sched_setattr, VAL, IOC(64)),
	CALL(sched_getattr, VAL, OUT(2)),
	CALL(getcpu, OUTC(4), OUTC(4), OUTC(24)),
	CALL(ptrace, VAL, VAL, IOC(16), IOC(512)),
	CALL(seccomp, VAL, VAL, IOC(16)),
	CALL(uname, OUT1(struct utsname)),
	CALL(sysinfo, OUT1(struct sysinfo)),
	CALL(syslog, VAL, OUT(2)),
	CALL(sethostname, IN(1)),
	CALL(setdomainname, IN(1)),
	CALL(getrandom, OUT(1)),
	CALL(acct, STR),
	CALL(swapon, STR),
	CALL(swapoff, STR),
	CALL(mount, STR, STR, STR, VAL, INC(4096)),
	CALL(umount2, STR),
	CALL(pivot_root, STR, STR),
	CALL(quotactl, VAL, STR, VAL, IOC(256)),
	CALL(bpf, VAL, IO1(char[128])),
	CALL(perf_event_open, IOC(128)),
	CALL(add_key, STR, STR, IN(3)),
	CALL(request_key, STR, STR, STR),
	CALL(keyctl, VAL, IOC(4096), IOC(4096), IOC(4096)),
	CALL(landlock_create_ruleset, IN(1)),
	CALL(landlock_add_rule, VAL, VAL, INC(16)),
	CALL(init_module, IN(1), VAL, STR),
	CALL(finit_module, VAL, STR),

	/* threads */
	CALL_NR(futex, IOC(4), VAL, VAL, IN1(TS), IOC(4)),
	CALL(futex_waitv, INS(1, char[24]), VAL, VAL, IN1(TS)),
	CALL(get_robust_list, VAL, OUTC(8), OUTC(8)),

	/* signals */
	SPECIAL(rt_sigaction, GMP_SIGACTION, VAL, INC(32), OUTC(32)),
	SPECIAL(rt_sigprocmask, GMP_SIGPROCMASK, VAL, INC(8), OUTC(8)),
	SPECIAL(rt_sigreturn, GMP_SIGRETURN, VAL),
	SPECIAL(sigaltstack, GMP_SIGALTSTACK, IN1(stack_t), OUT1(stack_t)),
	CALL_NR(rt_sigsuspend, SIGSET),
	CALL(rt_sigpending, OUTC(8)),
	CALL_NR(rt_sigtimedwait, INC(8), OUTC(128), IN1(TS)),
	CALL(rt_sigqueueinfo, VAL, VAL, INC(128)),
	CALL(rt_tgsigqueueinfo, VAL, VAL, VAL, INC(128)),
	CALL(pidfd_send_signal, VAL, VAL, INC(128)),

	/* System V and POSIX messages */
	CALL_NR(semop, VAL, INS(2, struct sembuf)),
	CALL_NR(semtimedop, VAL, INS(2, struct sembuf), VAL, IN1(TS)),
	CALL(semctl, VAL, VAL, VAL, IOC(1024)),
	CALL_NR(msgsnd, VAL, {GMP_IN, GMP_BYTES, 1 + 2, 2}),
	CALL_NR(msgrcv, VAL, {GMP_OUT, GMP_BYTES, 1 + 2, 2}),
	CALL(msgctl, VAL, VAL, IO1(struct msqid_ds)),
	CALL(shmctl, VAL, VAL, IO1(struct shmid_ds)),
	CALL(mq_open, STR, VAL, VAL, IN1(struct mq_attr)),
	CALL(mq_unlink, STR),
	CALL(mq_timedsend, VAL, IN(2), VAL, VAL, IN1(TS)),
	CALL(mq_timedreceive, VAL, OUT(2), VAL, OUTC(4), IN1(TS)),
	CALL(mq_notify, VAL, INC(64)),
	CALL(mq_getsetattr, VAL, IN1(struct mq_attr), OUT1(struct mq_attr)),

	/* asynchronous I/O: the control structures; data buffers need pins of their own (a later issue) */
	CALL(io_setup, VAL, IOC(8)),
	CALL_NR(io_getevents, VAL, VAL, VAL, OUTS(2, struct io_event), IN1(TS)),
	CALL_NR(io_pgetevents, VAL, VAL, VAL, OUTS(2, struct io_event), IN1(TS), SIGSET6),
	CALL(io_submit, VAL, VAL, INS(1, void *)),
	CALL(io_cancel, VAL, INC(64), OUT1(struct io_event)),
	CALL(io_uring_setup, VAL, IOC(120)),
	CALL_NR(io_uring_enter, VAL, VAL, VAL, VAL, INC(24)),
	CALL(io_uring_register, VAL, VAL, INS(3, struct iovec)),
};
/* clang-format on */
