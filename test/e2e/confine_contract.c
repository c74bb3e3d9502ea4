/*
 * Processes that confine themselves: seccomp in all its ways, landlock, namespaces. Each works in a
 * child, on memory that was away; filters kill for what a plain run does not call.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "away.h"

#define PAGES 512

/* ---- filters: everything else is allowed ---- */

static const int never[] = {SYS_prctl,	      SYS_sigaltstack, SYS_tgkill,  SYS_rt_tgsigqueueinfo,
			    SYS_sendto,	      SYS_gettid,      SYS_getpid,  SYS_memfd_create,
			    SYS_prlimit64,    SYS_shmget,      SYS_madvise, SYS_kill,
			    SYS_rt_sigaction, SYS_socketpair,  SYS_ioctl,   SYS_rt_sigprocmask};

struct filter {
	struct sock_filter code[64];
	struct sock_fprog prog;
};

static void forbid(struct filter *f, const int *nr, unsigned n)
{
	struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	struct sock_filter kill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	unsigned at = 0;

	f->code[at++] = load;
	for (unsigned i = 0; i < n; i++) {
		struct sock_filter is = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr[i], 0, 1);
		f->code[at++] = is;
		f->code[at++] = kill;
	}
	f->code[at++] = allow;
	f->prog = (struct sock_fprog){.len = (unsigned short)at, .filter = f->code};
}

static long raw(long nr, long a, long b, long c)
{
	long r;
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

enum way { BY_PRCTL, BY_SYSCALL, BY_RAW };
static int confine(enum way way, const int *nr, unsigned n)
{
	struct filter *f = malloc(sizeof(*f)); /* away, perhaps */

	forbid(f, nr, n);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	away(f, sizeof(*f));
	switch (way) {
	case BY_PRCTL:
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f->prog);
	case BY_SYSCALL:
		return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &f->prog);
	default:
		raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&f->prog);
		return 0;
	}
}

#define CONFINE(way) confine(way, never, sizeof(never) / sizeof(never[0]))

/* ---- what goes on then ---- */

static volatile sig_atomic_t came;
static sigjmp_buf out;

static void on_signal(int sig)
{
	came += sig;
}

static void on_fault(int sig)
{
	siglongjmp(out, sig);
}

static void *works(void *arg)
{
	char *p = malloc(3 << 20);

	memset(p, 5, 3 << 20);
	unsigned s = sum(p, 3 << 20) + sum(arg, PAGES * PAGE);
	free(p);
	return (void *)(uintptr_t)s;
}

static unsigned goes_on(const char *p)
{
	unsigned s = 0;

	for (int i = 0; i < 200; i++) {
		char *q = malloc((size_t)i * 9000 + 1);
		memset(q, i, (size_t)i * 9000 + 1);
		s = s * 31 + sum(q, (size_t)i * 9000 + 1);
		if (i % 3)
			free(q);
	}
	return s + sum(p, PAGES * PAGE);
}

static int filtered(enum way way)
{
	char *p = absent(PAGES, 1);

	if (CONFINE(way))
		return 90;
	return goes_on(p) % 89;
}

static int by_prctl(void)
{
	return filtered(BY_PRCTL);
}

static int by_syscall(void)
{
	return filtered(BY_SYSCALL);
}

/* Threads call for masks and memory, so only what nothing needs is forbidden. */
static int then_threads(void)
{
	static const int few[] = {SYS_prctl, SYS_sigaltstack, SYS_tgkill, SYS_gettid, SYS_getpid};
	char *p = absent(PAGES, 2);
	unsigned s = 0;

	if (confine(BY_SYSCALL, few, 5))
		return 90;
	for (int i = 0; i < 8; i++) {
		pthread_t t[2];
		void *r;
		for (int k = 0; k < 2; k++)
			pthread_create(&t[k], NULL, works, p);
		for (int k = 0; k < 2; k++) {
			pthread_join(t[k], &r);
			s = s * 31 + (unsigned)(uintptr_t)r;
		}
	}
	return s % 89;
}

static int then_signals(void)
{
	static const int few[] = {SYS_prctl, SYS_sigaltstack, SYS_rt_sigaction, SYS_gettid};
	char *p = absent(PAGES, 3);
	sigset_t set, pending;

	signal(SIGUSR1, on_signal);
	signal(SIGSYS, on_signal);
	signal(SIGSEGV, on_fault);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGSYS);
	if (confine(BY_PRCTL, few, 4))
		return 90;
	sigpending(&pending);
	int r = sigismember(&pending, SIGSYS) ? 0 : 40;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	int sig = sigsetjmp(out, 1);
	if (!sig)
		*(volatile char *)16 = 1;
	sum(p, PAGES * PAGE);
	return r + sig + came - SIGSYS;
}

/* As sshd: then we may not even kill our own device. */
static int as_somebody_else(void)
{
	char *p = absent(PAGES, 13);

	static const struct rlimit none = {0, 0};

	usleep(20000);
	setrlimit(RLIMIT_FSIZE, &none);
	setrlimit(RLIMIT_NOFILE, &none);
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 6;
	return CONFINE(BY_PRCTL) ? 90 : (goes_on(p), 6);
}

static int strict(void)
{
	char *p = absent(PAGES, 4);

	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	raw(SYS_exit, sum(p, PAGES * PAGE) % 89, 0, 0);
	return 0;
}

static int probes(void)
{
	int a = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) ? errno : 0;
	int b = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) ? errno : 0;

	return a == EFAULT && b == EFAULT ? 3 : 90;
}

/* ---- other threads, in the middle of something ---- */

static int pipe_fds[2];
static _Atomic int begun, stop;

static void *reads(void *arg)
{
	begun++;
	return (void *)read(pipe_fds[0], arg, PAGE);
}

static void *computes(void *arg)
{
	unsigned s = 0;

	begun++;
	while (!stop)
		s += sum(arg, PAGES * PAGE);
	return NULL;
}

static int beside_threads(void)
{
	static const int few[] = {SYS_prctl, SYS_sigaltstack, SYS_tgkill};
	char *p = absent(PAGES, 5), *q = absent(1, 6);
	pthread_t t[2];
	void *n;

	if (pipe(pipe_fds))
		return 91;
	pthread_create(&t[0], NULL, reads, q);
	pthread_create(&t[1], NULL, computes, p);
	while (begun < 2)
		usleep(1000);
	usleep(20000);
	away(p, PAGES * PAGE);
	if (confine(BY_SYSCALL, few, 3))
		return 90;
	if (write(pipe_fds[1], "what was written", 16) != 16)
		return 92;
	pthread_join(t[0], &n);
	stop = 1;
	pthread_join(t[1], NULL);
	return (long)n == 16 && !memcmp(q, "what was written", 16) ? 4 : 93;
}

/* ---- memory is private, and children are plain ---- */

static int then_fork(void)
{
	char *p = absent(PAGES, 7);
	unsigned before = sum(p, PAGES * PAGE);
	int st;

	if (confine(BY_PRCTL, never, 1))
		return 90;
	pid_t pid = fork();
	if (!pid) {
		memset(p, 9, PAGES * PAGE);
		_exit(7);
	}
	if (waitpid(pid, &st, 0) != pid || st != 7 << 8)
		return 91;
	return sum(p, PAGES * PAGE) == before ? 5 : 92;
}

static int then_exec(void)
{
	absent(PAGES, 8);
	if (confine(BY_PRCTL, never, 1))
		return 90;
	if (dlsym(RTLD_DEFAULT, "e2e_hnid")) /* that library needs ours */
		return 6;
	execl("/bin/sh", "sh", "-c", "case $LD_PRELOAD in *gmem_preload*) exit 1;; esac; exit 6",
	      NULL);
	return 91;
}

static int landlocked(void)
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs =
							   LANDLOCK_ACCESS_FS_WRITE_FILE};
	char *p = absent(PAGES, 9);
	long fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (fd < 0)
		return 2;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_landlock_restrict_self, fd, 0))
		return 90;
	return open("/dev/null", O_WRONLY) >= 0 ? 91 : (goes_on(p), 2);
}

/* ---- alone for a moment; then it goes on as before ---- */

static int again_away(char *p, unsigned s)
{
	away(p, PAGES * PAGE);
	return sum(p, PAGES * PAGE) == s;
}

static int user_namespace(void)
{
	char *p = absent(PAGES, 10);
	unsigned s = sum(p, PAGES * PAGE);

	away(p, PAGES * PAGE);
	if (unshare(CLONE_NEWUSER))
		return errno == EPERM || errno == ENOSPC ? 89 : 90;
	return again_away(p, s) && again_away(p, s) ? 1 : 91;
}

static int shares_nothing(void)
{
	char *p = absent(PAGES, 11);
	unsigned s = sum(p, PAGES * PAGE);

	away(p, PAGES * PAGE);
	if (syscall(SYS_unshare, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD))
		return 90;
	return again_away(p, s) ? 2 : 91;
}

static int other_namespace(void)
{
	char *p = absent(PAGES, 12);
	unsigned s = sum(p, PAGES * PAGE);
	int fd = open("/proc/self/ns/mnt", O_RDONLY);

	away(p, PAGES * PAGE);
	int r = setns(fd, CLONE_NEWNS) ? errno : 0;
	return again_away(p, s) ? r : 91;
}

static void run(const char *what, int (*fn)(void))
{
	int st;

	fflush(stdout);
	pid_t pid = fork();
	if (!pid)
		_exit(fn());
	for (int i = 0; i < 6000; i++) {
		if (waitpid(pid, &st, WNOHANG) == pid) {
			printf("%s: %x\n", what, st);
			return;
		}
		usleep(5000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	printf("%s: it hangs\n", what);
}

int main(void)
{
	char *p = absent(PAGES, 20);

	/* every thread makes this call, with the same list */
	gid_t *groups = aligned_alloc(PAGE, 16 * PAGE);
	memset(groups, 0, 16 * PAGE);
	away(groups, 16 * PAGE);
	printf("setgroups: %d\n", setgroups(1, groups));

	run("seccomp by prctl", by_prctl);
	run("seccomp by syscall", by_syscall);
	run("seccomp by somebody else", as_somebody_else);
	run("seccomp strict", strict);
	run("seccomp is only asked for", probes);
	run("seccomp, then threads", then_threads);
	run("seccomp, then signals", then_signals);
	run("seccomp beside threads", beside_threads);
	run("seccomp, then fork", then_fork);
	run("seccomp, then exec", then_exec);
	run("landlock", landlocked);
	run("unshare a user namespace", user_namespace);
	run("unshare memory", shares_nothing);
	run("setns", other_namespace);
	sum(p, PAGES * PAGE);
	/* active now, if ever: then even a bare instruction is seen */
	int r = CONFINE(away_hnid() < 0 ? BY_PRCTL : BY_RAW);
	printf("in this process: %d %d\n", r, (int)(goes_on(p) % 89));
	return 0;
}
