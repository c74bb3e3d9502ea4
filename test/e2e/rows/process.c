/* process.c - rows of processes: making them, waiting for them, what they may and what they use. */
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/user.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "rows.h"

#define NOBODY 0x7ffffff /* no such process */

static int status_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

ROW(clone)
{
	pid_t *parent = OPAQUE(pid_t, 0), *child = OPAQUE(pid_t, 0);
	int flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	pid_t pid = (pid_t)TRY(clone, flags | SIGCHLD, NULL, parent, child, 0);

	if (!pid)
		_exit(*child == (pid_t)syscall(SYS_gettid) ? 7 : 8);
	say("id written %d, not the child's %d", *parent == pid, *child == 0);
	say("status %d", status_of(pid));
	CALL(clone, CLONE_SIGHAND, NULL, parent, child, 0);
}

/* Under dispatch there is no clone3, and libc takes clone. What a program sees of that is a
 * kernel from before 5.3. */
ROW(clone3)
{
	uint64_t *args = opaque(88), none[11] = {[4] = SIGCHLD};
	pid_t pid;

	memcpy(args, none, sizeof(none));
	pid = (pid_t)TRY(clone3, args, 88);
	if (pid < 0 && errno == ENOSYS)
		pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
	if (!pid)
		_exit(7);
	say("status %d", status_of(pid));
}

/* A vfork child, which shares memory, changes its folder and execs: everything that it is given
 * is away. */
static void exec_by(long nr)
{
	int p[2];
	char **argv = opaque(5 * sizeof(*argv)), **envp = opaque(2 * sizeof(*envp));
	char *path = str("././the-program"), *here = str("./././.");

	argv[0] = str("sh"), argv[1] = str("-c"), argv[2] = str("echo $0 $VARIABLE; exit 3");
	argv[3] = str("an argument of some length"), argv[4] = NULL;
	envp[0] = str("VARIABLE=value"), envp[1] = NULL;
	unlink(path);
	if (symlink("/bin/sh", path))
		say("no link");
	pipe_with(p, 0);
	send_away();
	pid_t pid = vfork();
	if (!pid) {
		dup2(p[1], 1);
		if (!syscall(SYS_chdir, here) && nr == SYS_execve)
			syscall(nr, path, argv, envp);
		else
			syscall(nr, AT_FDCWD, path, argv, envp, 0);
		_exit(errno);
	}
	say("status %d", status_of(pid));
	show_left(p[0]);
	close_all(2, p);
}

/* A file that may be run but cannot: the arguments are taken before that is found out. */
static char *no_program(void)
{
	int fd = file_with("bad-program", 1000);

	fchmod(fd, 0700);
	close(fd);
	return str("./bad-program");
}

ROW(execve)
{
	exec_by(SYS_execve);
	char **argv = opaque(16), *bad = no_program();
	argv[0] = str("name"), argv[1] = NULL;
	CALL(execve, bad, argv, argv);
	CALL(execve, str("none"), argv, argv);
	argv[0] = (char *)8;
	CALL(execve, bad, argv, argv);
	CALL(execve, bad, (void *)8, argv);
	FAULTS(execve, bad, NULL, NULL);
}

ROW(execveat)
{
	exec_by(SYS_execveat);
	char **argv = opaque(16), *bad = no_program();
	argv[0] = str("name"), argv[1] = NULL;
	CALL(execveat, AT_FDCWD, bad, argv, argv, 0);
	CALL(execveat, -1, str("none"), argv, argv, 0);
	FAULTS(execveat, AT_FDCWD, bad, NULL, NULL, 0);
}

static int exit_5(void *arg)
{
	return 5;
}

static pid_t child(int (*f)(void *))
{
	pid_t pid = fork();

	if (!pid)
		_exit(f(NULL));
	return pid;
}

ROW(wait4)
{
	int *status = OUT(int);
	struct rusage *ru = opaque(sizeof(*ru));
	pid_t pid = child(exit_5), got = (pid_t)TRY(wait4, pid, status, 0, ru);

	say("%d status %x time %d", got == pid, (unsigned)*status, ru->ru_utime.tv_usec < 1000000);
	pid = child(exit_5);
	CALL(wait4, pid, (void *)8, 0, NULL); /* reaped all the same */
	CALL(wait4, pid, status, 0, ru);
}

ROW(waitid)
{
	siginfo_t *info = opaque(sizeof(*info));
	struct rusage *ru = opaque(sizeof(*ru));
	pid_t pid = child(exit_5);

	CALL(waitid, P_PID, pid, info, WEXITED | WNOWAIT, ru);
	say("%d signal %d code %d status %d", info->si_pid == pid, info->si_signo, info->si_code,
	    info->si_status);
	FAULTS(waitid, P_PID, pid, info, WEXITED, ru);
	CALL(waitid, P_PID, pid, info, WEXITED, ru);
}

ROW(prctl)
{
	char *name = str("a-name-of-fif"), *got = out(16), *long_name = out(200);
	int *n = OUT(int);

	CALL(prctl, PR_SET_NAME, name);
	CALL(prctl, PR_GET_NAME, got);
	FAULTS(prctl, PR_SET_NAME, long_name);
	FAULTS(prctl, PR_GET_NAME, got);
	CALL(prctl, PR_GET_PDEATHSIG, n);
	CALL(prctl, PR_GET_CHILD_SUBREAPER, n);
	CALL(prctl, PR_GET_TSC, n);
	CALL(prctl, PR_GET_UNALIGN, n);
	FAULTS(prctl, PR_GET_TSC, n);
	char *auxv = opaque(PAGE);
	CALL(prctl, 0x41555856 /* PR_GET_AUXV */, auxv, PAGE, 0, 0);
	say("its first word is not nothing: %d", *(long *)auxv != 0);
	struct sock_fprog *none = OPAQUE(struct sock_fprog, .len = 0);
	CALL(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, none);
	FAULTS(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, none);
}

ROW(arch_prctl)
{
	unsigned long *fs = opaque(8);

	CALL(arch_prctl, 0x1003 /* ARCH_GET_FS */, fs);
	say("%d", *fs == (unsigned long)__builtin_thread_pointer());
	FAULTS(arch_prctl, 0x1003, fs);
	CALL(arch_prctl, 0x7777, fs);
}

ROW(getrusage)
{
	struct rusage *ru = opaque(sizeof(*ru));

	CALL(getrusage, RUSAGE_SELF, ru);
	say("%d", ru->ru_maxrss > 0);
	FAULTS(getrusage, RUSAGE_SELF, ru);
	CALL(getrusage, 77, ru);
}

ROW(getrlimit)
{
	struct rlimit *l = OUT(struct rlimit);

	CALL(getrlimit, RLIMIT_NOFILE, l);
	FAULTS(getrlimit, RLIMIT_NOFILE, l);
	CALL(getrlimit, 77, l);
}

ROW(setrlimit)
{
	struct rlimit l, *set, now;

	getrlimit(RLIMIT_SIGPENDING, &l);
	set = in(&l, sizeof(l));
	set->rlim_cur = 100;
	CALL(setrlimit, RLIMIT_SIGPENDING, set);
	FAULTS(setrlimit, RLIMIT_SIGPENDING, set);
	getrlimit(RLIMIT_SIGPENDING, &now);
	say("now %lu", (unsigned long)now.rlim_cur);
	setrlimit(RLIMIT_SIGPENDING, &l);
}

ROW(prlimit64)
{
	struct rlimit l, *set, *old = OUT(struct rlimit);

	getrlimit(RLIMIT_SIGPENDING, &l);
	set = in(&l, sizeof(l));
	set->rlim_cur = 100;
	CALL(prlimit64, 0, RLIMIT_SIGPENDING, set, old);
	FAULTS(prlimit64, 0, RLIMIT_SIGPENDING, set, old);
	CALL(prlimit64, 0, RLIMIT_SIGPENDING, NULL, old);
	CALL(prlimit64, NOBODY, RLIMIT_SIGPENDING, NULL, old);
	setrlimit(RLIMIT_SIGPENDING, &l);
}

#define GROUPS 1500

/* As many as need more than a page; without the right to set them, as few as there are. */
ROW(getgroups)
{
	gid_t were[2000], set[GROUPS], *g = out(2000 * sizeof(*g));
	int n = getgroups(2000, were);

	for (gid_t i = 0; i < GROUPS; i++)
		set[i] = i;
	syscall(SYS_setgroups, GROUPS, set);
	CALL(getgroups, 2000, g);
	CALL(getgroups, 0, g);
	CALL(getgroups, -1, g);
	CALL(getgroups, 2000, (void *)8);
	syscall(SYS_setgroups, n, were);
}

ROW(setgroups)
{
	gid_t were[2000], now[2000] = {0}, *g = out(GROUPS * sizeof(*g));
	int n = getgroups(2000, were);

	for (gid_t i = 0; i < GROUPS; i++)
		g[i] = i;
	CALL(setgroups, GROUPS, g);
	FAULTS(setgroups, GROUPS, g);
	CALL(setgroups, 1000000, g); /* too many */
	say("now %d", getgroups(2000, now));
	say("all: %d", !memcmp(now, g, sizeof(now[0]) * GROUPS));
	syscall(SYS_setgroups, n, were);
}

#define IDS(call)                                                                                  \
	do {                                                                                       \
		unsigned *r = OUT(unsigned), *e = OUT(unsigned), *s = OUT(unsigned);               \
		CALL(call, r, e, s);                                                               \
		FAULTS(call, r, e, s);                                                             \
	} while (0)

ROW(getresuid)
{
	IDS(getresuid);
}

ROW(getresgid)
{
	IDS(getresgid);
}

#define CAPABILITIES(h, d)                                                                         \
	struct __user_cap_header_struct *h =                                                       \
		IN(struct __user_cap_header_struct, _LINUX_CAPABILITY_VERSION_3, 0);               \
	struct __user_cap_data_struct *d = out(2 * sizeof(*d))

ROW(capget)
{
	CAPABILITIES(h, d);

	CALL(capget, h, d);
	FAULTS(capget, h, d);
	h->version = 77;
	CALL(capget, h, d); /* writes the version that it has */
}

ROW(capset)
{
	CAPABILITIES(h, d);

	syscall(SYS_capget, h, d);
	CALL(capset, h, d);
	FAULTS(capset, h, d);
	h->version = 77;
	CALL(capset, h, d);
}

/* A program that waits, without GMEM: what is stopped by each SIGSYS cannot be looked at. */
static pid_t sleeper(void)
{
	pid_t pid = -1;

	posix_spawn(&pid, "/bin/sleep", NULL, NULL, (char *[]){"sleep", "100", NULL},
		    (char *[]){NULL});
	return pid;
}

ROW(ptrace)
{
	pid_t pid = sleeper();
	struct user_regs_struct *regs = opaque(sizeof(*regs));
	siginfo_t *info = opaque(sizeof(*info));
	long *word = opaque(sizeof(*word));
	uint64_t *mask = OUT(uint64_t);
	char *call = opaque(88);

	CALL(ptrace, PTRACE_ATTACH, pid, 0, 0);
	for (int status;
	     waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP;)
		ptrace(PTRACE_CONT, pid, 0, 0); /* it was still on its way through execve */
	memset(regs, 1, sizeof(*regs));
	CALL(ptrace, PTRACE_GETREGS, pid, 0, regs);
	say("stack %d", regs->rsp != 0x0101010101010101ul);
	CALL(ptrace, PTRACE_SETREGS, pid, 0, regs);
	memset(regs, 1, sizeof(*regs));
	struct iovec *v = IOVS({regs, sizeof(*regs)});
	CALL(ptrace, PTRACE_GETREGSET, pid, 1 /* NT_PRSTATUS */, v);
	say("%zu bytes, stack %d", v->iov_len, regs->rsp != 0x0101010101010101ul);
	CALL(ptrace, PTRACE_SETREGSET, pid, 1, v);
	FAULTS(ptrace, PTRACE_GETREGSET, pid, 1, v);
	CALL(ptrace, PTRACE_GETSIGINFO, pid, 0, info);
	say("signal %d", info->si_signo);
	CALL(ptrace, PTRACE_PEEKDATA, pid, regs->rsp, word);
	CALL(ptrace, PTRACE_GETSIGMASK, pid, 8, mask);
	DONE(ptrace, PTRACE_GET_SYSCALL_INFO, pid, 88, call);
	say("call %d", *(uint64_t *)(call + 16) == regs->rsp);
	FAULTS(ptrace, PTRACE_GETREGS, pid, 0, regs);
	kill(pid, SIGKILL);
	say("status %d", status_of(pid));
	CALL(ptrace, PTRACE_GETREGS, NOBODY, 0, regs);
}

/* Never a filter that counts: only what is refused after it was read. */
ROW(seccomp)
{
	uint32_t *action = IN(uint32_t, SECCOMP_RET_ALLOW);
	struct sock_filter *code =
		in((struct sock_filter[]){{0x00, 0, 0, 5}}, 8); /* does not end in a return */
	struct sock_fprog *prog = OPAQUE(struct sock_fprog, .len = 1, .filter = code);
	uint16_t *sizes = out(6);

	CALL(seccomp, SECCOMP_GET_ACTION_AVAIL, 0, action);
	*action = 12345;
	CALL(seccomp, SECCOMP_GET_ACTION_AVAIL, 0, action);
	CALL(seccomp, SECCOMP_GET_NOTIF_SIZES, 0, sizes);
	FAULTS(seccomp, SECCOMP_GET_NOTIF_SIZES, 0, sizes);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, prog);
	FAULTS(seccomp, SECCOMP_SET_MODE_FILTER, 0, prog);
	prog->filter = (void *)8;
	CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, prog);
}

ROW(uname)
{
	struct utsname *u = OUT(struct utsname);

	CALL(uname, u);
	FAULTS(uname, u);
}

ROW(sysinfo)
{
	struct sysinfo *si = opaque(sizeof(*si));

	CALL(sysinfo, si);
	say("%d %d", si->totalram > 0, si->procs > 0);
	FAULTS(sysinfo, si);
}

ROW(getcpu)
{
	unsigned *cpu = opaque(4), *node = OUT(unsigned);

	CALL(getcpu, cpu, node, NULL);
	say("%d", *cpu < 100000);
	FAULTS(getcpu, cpu, node, NULL);
}

const struct row process_rows[] = {
	R(clone),     R(clone3),     R(execve),	   R(execveat),	 R(wait4),     R(waitid),
	R(prctl),     R(arch_prctl), R(getrusage), R(getrlimit), R(setrlimit), R(prlimit64),
	R(getgroups), R(setgroups),  R(getresuid), R(getresgid), R(capget),    R(capset),
	R(ptrace),    R(seccomp),    R(uname),	   R(sysinfo),	 R(getcpu),    {0},
};
