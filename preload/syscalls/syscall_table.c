/*
 * syscall_table.c - the table. See syscall_table.h.
 *
 * A count may be larger than what the call uses (epoll_wait's maxevents): a hull too wide costs
 * a little, one too narrow loses data. Arguments that are a pointer only for some commands
 * (fcntl, prctl, futex) are listed as if always: no small integer lies in a managed window.
 */
#include "preload/syscalls/syscall_args.h"

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

#include "preload/syscalls/syscall_numbers.h"

/* clang-format off */
#define ROW(n, ...)	     [SYS_##n] = {.name = #n, .memory = true, .arg = {__VA_ARGS__}
#define CALL(n, ...)	     ROW(n, __VA_ARGS__)}
#define CALL_NR(n, ...)	     ROW(n, __VA_ARGS__), .norestart = true}
#define CALL_PIN(n, i, f, ...) ROW(n, __VA_ARGS__), .pin = 1 + (i), .pin_flags = (f)}
#define SPECIAL(n, how, ...) ROW(n, __VA_ARGS__), .special = (how)}
#define SPECIAL_NR(n, how, ...) ROW(n, __VA_ARGS__), .special = (how), .norestart = true}
#define MANY(n, table, ...)  ROW(n, __VA_ARGS__), .commands = &(table)}
#define MANY_BUT(n, how, table, ...)                                                              \
	ROW(n, __VA_ARGS__), .commands = &(table), .special = (how)}
#define NONE(n)		     [SYS_##n] = {.name = #n}
#define NONE_BUT(n, how)     [SYS_##n] = {.name = #n, .special = (how)}
/* clang-format on */

#define ZEROCOPY 0x4000000 /* MSG_ZEROCOPY */

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
	CALL(vmsplice, VAL, LAYS(2, HELD_IOVEC)),
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
	CALL(fchmodat2, VAL, STR),
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
	MANY(ioctl, gmp_ioctl_commands, VAL, VAL, IOCTL),
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
	CALL(setxattrat, VAL, STR, VAL, STR, LAY1(XATTR_SET)),
	CALL(getxattrat, VAL, STR, VAL, STR, LAY1(XATTR_GET)),
	CALL(listxattrat, VAL, STR, VAL, OUT(4)),
	CALL(removexattrat, VAL, STR, VAL, STR),
	CALL(file_getattr, VAL, STR, OUT(3)),
	CALL(file_setattr, VAL, STR, IN(3)),
	CALL(cachestat, VAL, INC(16), OUTC(40)),
	CALL(inotify_add_watch, VAL, STR),
	CALL(fanotify_mark, VAL, VAL, VAL, VAL, STR),
	NONE_BUT(close, GMP_CLOSE),
	NONE_BUT(close_range, GMP_CLOSE_RANGE),
	NONE_BUT(dup2, GMP_DUP2),
	NONE_BUT(dup3, GMP_DUP3),

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
	MANY(setsockopt, gmp_setsockopt_commands, VAL, VAL, VAL, SCAN(4)),
	MANY(getsockopt, gmp_getsockopt_commands, VAL, VAL, VAL, SCANL(4), IO1(socklen_t)),
	CALL_PIN(sendto, 3, ZEROCOPY, VAL, IN(2), VAL, VAL, IN(5)),
	CALL(recvfrom, VAL, OUT(2), VAL, VAL, OUTL(5), IO1(socklen_t)),
	CALL_PIN(sendmsg, 2, ZEROCOPY, VAL, MSGIN),
	CALL(recvmsg, VAL, MSGOUT),
	CALL_PIN(sendmmsg, 3, ZEROCOPY, VAL, MMSGIN(2)),
	CALL(recvmmsg, VAL, MMSGOUT(2), VAL, VAL, IO1(TS)),

	/* memory: calls on addresses in the window go to core */
	NONE_BUT(mmap, GMP_MMAP),
	NONE_BUT(munmap, GMP_MUNMAP),
	NONE_BUT(brk, GMP_BRK),
	NONE_BUT(shmat, GMP_REMAPPING),
	NONE_BUT(shmdt, GMP_REMAPPING),
	NONE_BUT(remap_file_pages, GMP_REMAPPING),
	NONE_BUT(mprotect, GMP_MPROTECT),
	NONE_BUT(pkey_mprotect, GMP_MPROTECT),
	NONE_BUT(madvise, GMP_MADVISE),
	NONE_BUT(mremap, GMP_MREMAP),
	SPECIAL(mincore, GMP_MINCORE, VAL, VAL, OUT(1)),
	NONE_BUT(mlock, GMP_MLOCK),
	NONE_BUT(mlock2, GMP_MLOCK),
	NONE_BUT(munlock, GMP_MUNLOCK),
	NONE_BUT(msync, GMP_MSYNC),
	CALL(mbind, VAL, VAL, VAL, INC(128)),
	CALL(set_mempolicy, VAL, INC(128)),
	CALL(get_mempolicy, OUT1(int), OUTC(128)),
	CALL(migrate_pages, VAL, VAL, INC(128), INC(128)),
	CALL(move_pages, VAL, VAL, INS(1, void *), INS(1, int), OUTS(1, int)),
	/* the other side is often this process */
	SPECIAL(process_vm_readv, GMP_PROCESS_VM, VAL, IOVOUT(2), VAL, IOVIN(4)),
	SPECIAL(process_vm_writev, GMP_PROCESS_VM, VAL, IOVIN(2), VAL, IOVOUT(4)),
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
	SPECIAL(clone, GMP_CLONE, VAL, VAL, PINC(4), PINC(4)),
	SPECIAL(clone3, GMP_CLONE3, IN(1)),
	NONE_BUT(fork, GMP_FORK),
	NONE_BUT(vfork, GMP_VFORK),
	SPECIAL(execve, GMP_EXECVE, STR, STRV, STRV),
	SPECIAL(execveat, GMP_EXECVEAT, VAL, STR, STRV, STRV),
	NONE_BUT(exit, GMP_EXIT),
	NONE_BUT(exit_group, GMP_STUB),
	ROW(prctl, VAL, IOC(128), IOC(128), IOC(128), IOC(128)), .special = GMP_PRCTL,
		.commands = &gmp_prctl_commands},
	CALL(arch_prctl, VAL, OUTC(8)),
	CALL(wait4, VAL, OUT1(int), VAL, OUT1(RU)),
	CALL(waitid, VAL, VAL, OUTC(128), VAL, OUT1(RU)),
	CALL(getrusage, VAL, OUT1(RU)),
	SPECIAL(getrlimit, GMP_LIMIT, VAL, OUT1(struct rlimit)),
	SPECIAL(setrlimit, GMP_LIMIT, VAL, IN1(struct rlimit)),
	SPECIAL(prlimit64, GMP_LIMIT, VAL, VAL, IN1(struct rlimit), OUT1(struct rlimit)),
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
	MANY_BUT(ptrace, GMP_CONFINE, gmp_ptrace_commands, VAL, VAL, IOC(16), IOC(32768)),
	SPECIAL(seccomp, GMP_CONFINE, VAL, VAL, LAY1(FPROG)),
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
	CALL(open_tree, VAL, STR),
	CALL(open_tree_attr, VAL, STR, VAL, IN(4)),
	CALL(move_mount, VAL, STR, VAL, STR),
	CALL(fsopen, STR),
	CALL(fspick, VAL, STR),
	MANY(fsconfig, gmp_fsconfig_commands, VAL, VAL, STR, STR),
	CALL(mount_setattr, VAL, STR, VAL, IN(4)),
	CALL(statmount, INC(64), OUT(2)),
	CALL(listmount, INC(64), OUTS(2, uint64_t)),
	CALL(quotactl, VAL, STR, VAL, IOC(256)),
	MANY(bpf, gmp_bpf_commands, VAL, SCAN(2)),
	CALL(perf_event_open, SCANC(256)),
	CALL(add_key, STR, STR, IN(3)),
	CALL(request_key, STR, STR, STR),
	MANY(keyctl, gmp_keyctl_commands, VAL, IOC(4096), IOC(4096), IOC(4096), IOC(4096)),
	CALL(landlock_create_ruleset, IN(1)),
	CALL(landlock_add_rule, VAL, VAL, INC(16)),
	CALL(init_module, IN(1), VAL, STR),
	CALL(delete_module, STR),
	CALL(kexec_load, VAL, VAL, LAYS(1, SEGMENT)),
	CALL(kexec_file_load, VAL, VAL, VAL, IN(2)),
	CALL(quotactl_fd, VAL, VAL, VAL, IOC(256)),
	CALL(reboot, VAL, VAL, VAL, STR),
	CALL(modify_ldt, VAL, IO(2)),
	CALL(sysfs, VAL, STR, OUTC(256)),
	CALL(uselib, STR),
	CALL(lsm_get_self_attr, VAL, OUTL(2), IOC(4)),
	CALL(lsm_set_self_attr, VAL, IN(2)),
	CALL(lsm_list_modules, OUTL(1), IOC(4)),
	CALL(finit_module, VAL, STR),

	/* threads */
	CALL_NR(futex, IOC(4), VAL, VAL, IN1(TS), IOC(4)),
	CALL_NR(futex_waitv, LAYS(1, WAITER), VAL, VAL, IN1(TS)),
	CALL(get_robust_list, VAL, OUTC(8), OUTC(8)),
	CALL(set_robust_list, PINC(24)), /* the mutexes in it: dispatch.c, when the thread ends */
	CALL(set_tid_address, PINC(4)),
	CALL(rseq, PIN(1)),
	CALL(futex_wake, IOC(8)),
	CALL_NR(futex_wait, IOC(8), VAL, VAL, VAL, IN1(TS)),
	CALL(futex_requeue, {.kind = GMP_LAYOUT, .layout = GMP_LAYOUT_WAITER, .size = 2}),

	/* signals */
	SPECIAL(rt_sigaction, GMP_SIGACTION, VAL, INC(32), OUTC(32)),
	SPECIAL(rt_sigprocmask, GMP_SIGPROCMASK, VAL, INC(8), OUTC(8)),
	NONE_BUT(rt_sigreturn, GMP_SIGRETURN),
	SPECIAL(sigaltstack, GMP_SIGALTSTACK, IN1(stack_t), OUT1(stack_t)),
	CALL_NR(rt_sigsuspend, SIGSET),
	SPECIAL(rt_sigpending, GMP_SIGPENDING, OUTC(8)),
	SPECIAL_NR(rt_sigtimedwait, GMP_SIGTIMEDWAIT, INC(8), OUTC(128), IN1(TS)),
	CALL(rt_sigqueueinfo, VAL, VAL, INC(128)),
	CALL(rt_tgsigqueueinfo, VAL, VAL, VAL, INC(128)),
	CALL(pidfd_send_signal, VAL, VAL, INC(128)),

	/* System V and POSIX messages */
	CALL_NR(semop, VAL, INS(2, struct sembuf)),
	CALL_NR(semtimedop, VAL, INS(2, struct sembuf), VAL, IN1(TS)),
	CALL(semctl, VAL, VAL, VAL, IOC(131072)), /* SETALL: SEMMSL shorts */
	CALL_NR(msgsnd, VAL, IN_AND(2, 8)),
	CALL_NR(msgrcv, VAL, OUT_AND(2, 8)),
	CALL(msgctl, VAL, VAL, IO1(struct msqid_ds)),
	CALL(shmctl, VAL, VAL, IO1(struct shmid_ds)),
	CALL(mq_open, STR, VAL, VAL, IN1(struct mq_attr)),
	CALL(mq_unlink, STR),
	CALL(mq_timedsend, VAL, IN(2), VAL, VAL, IN1(TS)),
	CALL(mq_timedreceive, VAL, OUT(2), VAL, OUTC(4), IN1(TS)),
	CALL(mq_notify, VAL, LAY1(MQ_NOTIFY)),
	CALL(mq_getsetattr, VAL, IN1(struct mq_attr), OUT1(struct mq_attr)),

	/* asynchronous I/O: what is submitted is pinned (uring.c sees to the rings) */
	CALL(io_setup, VAL, IOC(8)),
	CALL_NR(io_getevents, VAL, VAL, VAL, OUTS(2, struct io_event), IN1(TS)),
	CALL_NR(io_pgetevents, VAL, VAL, VAL, OUTS(2, struct io_event), IN1(TS), SIGSET6),
	CALL(io_submit, VAL, VAL, LAYS(1, IOCBP)),
	CALL(io_cancel, VAL, INC(64), OUT1(struct io_event)),
	SPECIAL(io_uring_setup, GMP_URING_SETUP, VAL, IOC(120)),
	ROW(io_uring_enter, VAL, VAL, VAL, VAL, LAY1(URING_ARG)), .special = GMP_URING_ENTER,
		.norestart = true},
	ROW(io_uring_register, VAL, VAL, SCANC(256)), .special = GMP_URING_REGISTER,
		.commands = &gmp_uring_commands},

	/* no user memory, or only addresses of it */
	NONE(lseek), NONE(ftruncate), NONE(fchdir), NONE(fchmod), NONE(fchown),
	NONE(umask), NONE(fsync), NONE(fdatasync), NONE(sync), NONE(syncfs), NONE(sync_file_range),
	NONE(flock), NONE(fallocate), NONE(fadvise64), NONE(readahead), NONE(tee), NONE(dup),
	NONE(epoll_create), NONE(epoll_create1), NONE(eventfd), NONE(eventfd2),
	NONE(timerfd_create), NONE(inotify_init), NONE(inotify_init1), NONE(inotify_rm_watch),
	NONE(fanotify_init), NONE(socket), NONE(shutdown), NONE(listen), NONE(fsmount),
	NONE(vhangup), NONE(memfd_secret), NONE(userfaultfd), NONE_BUT(mlockall, GMP_MLOCKALL),
	 NONE(munlockall),
	NONE(pkey_alloc), NONE(pkey_free), NONE(membarrier), NONE(mseal),
	NONE(map_shadow_stack), NONE(set_mempolicy_home_node), NONE(process_mrelease), NONE(shmget),
	NONE(semget), NONE(msgget), NONE(pause), NONE(alarm),
	NONE(timer_getoverrun), NONE(timer_delete), NONE(getpid), NONE(getppid), NONE(gettid),
	NONE(getpgrp), NONE(getpgid), NONE(setpgid), NONE(getsid), NONE(setsid), NONE(getuid),
	NONE(geteuid), NONE(getgid), NONE(getegid), NONE(setuid), NONE(setgid), NONE(setreuid),
	NONE(setregid), NONE(setresuid), NONE(setresgid), NONE(setfsuid), NONE(setfsgid),
	NONE(personality), NONE(getpriority), NONE(setpriority), NONE(ioprio_get), NONE(ioprio_set),
	NONE(sched_yield), NONE(sched_getscheduler), NONE(sched_get_priority_max),
	NONE(sched_get_priority_min), NONE(iopl), NONE(ioperm), NONE_BUT(kill, GMP_KILL),
	NONE_BUT(tkill, GMP_KILL), NONE_BUT(tgkill, GMP_KILL), NONE(restart_syscall),
	NONE(kcmp), NONE_BUT(unshare, GMP_CONFINE),
	NONE_BUT(setns, GMP_CONFINE),
	NONE(pidfd_open), NONE(pidfd_getfd), NONE_BUT(landlock_restrict_self, GMP_CONFINE),
	NONE(uretprobe),
	NONE(uprobe), NONE(io_destroy),

	/* ENOSYS in every kernel that has Syscall User Dispatch: their memory is not looked at */
	NONE(_sysctl), NONE(create_module), NONE(get_kernel_syms), NONE(query_module),
	NONE(nfsservctl), NONE(getpmsg), NONE(putpmsg), NONE(afs_syscall), NONE(tuxcall),
	NONE(security), NONE(set_thread_area), NONE(get_thread_area), NONE(epoll_ctl_old),
	NONE(epoll_wait_old), NONE(vserver),
};
/* clang-format on */

/* Calls whose first argument is a descriptor, or may be one (a folder's, or AT_FDCWD). */
#define F(call) [SYS_##call] = true,
/* clang-format off */
static const bool first_is_fd[GMP_NSYSCALLS] = {
	F(read) F(write) F(close) F(fstat) F(lseek) F(pread64) F(pwrite64) F(readv) F(writev)
	F(ioctl)
	F(fcntl) F(dup) F(flock) F(fsync) F(fdatasync) F(ftruncate) F(getdents) F(getdents64)
	F(fchdir) F(fchmod) F(fchown) F(fstatfs) F(accept) F(accept4) F(bind) F(connect) F(listen)
	F(getsockname) F(getpeername) F(getsockopt) F(setsockopt) F(sendto) F(recvfrom) F(sendmsg)
	F(recvmsg) F(sendmmsg) F(recvmmsg) F(shutdown) F(epoll_wait) F(epoll_pwait) F(epoll_pwait2)
	F(epoll_ctl) F(fsetxattr) F(fgetxattr) F(flistxattr) F(fremovexattr) F(fadvise64)
	F(readahead) F(fallocate) F(sync_file_range) F(splice) F(tee) F(vmsplice) F(preadv)
	F(pwritev) F(preadv2) F(pwritev2) F(timerfd_settime) F(timerfd_gettime) F(syncfs)
	F(newfstatat) F(statx) F(openat) F(faccessat) F(faccessat2) F(fchmodat) F(fchownat)
	F(mkdirat) F(mknodat) F(unlinkat) F(renameat) F(renameat2) F(linkat) F(readlinkat)
	F(utimensat) F(execveat) F(copy_file_range) F(sendfile) F(pidfd_send_signal) F(pidfd_getfd)
	F(setns) F(finit_module) F(inotify_add_watch) F(inotify_rm_watch) F(signalfd) F(signalfd4)
	F(name_to_handle_at) F(open_by_handle_at)
};
/* clang-format on */
#undef F

bool gmp_names_our_fd(long nr, long first)
{
	return gm_unlikely(gmi_fd_is_ours((int)first)) && nr >= 0 && nr < GMP_NSYSCALLS &&
	       first_is_fd[nr];
}
