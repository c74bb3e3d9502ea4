/*
 * children_contract.c - what children inherit and how they end: actions and masks of SIGSEGV
 * across exec and spawn, what a vfork child may change, spawn attributes, daemon, deaths, and
 * what a core dump tells. Started again with an argument it tells what it was given.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "named.h"
#include "away.h"
#include "child.h"
#include "masks.h"

extern char **environ;
static const char *self = "/proc/self/exe";

static char *far(const char *s)
{
	char *p = aligned_alloc(PAGE, PAGE);
	strcpy(p, s);
	away(p, PAGE);
	return p;
}

/* ---- SIGSEGV's action and mask, as a child finds them ---- */

static int tell(const char *what)
{
	static const int sigs[] = {SIGSEGV, SIGSYS, SIGUSR1, SIGUSR2};
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("%s: ", what);
	for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		struct sigaction sa;
		sigaction(sigs[i], NULL, &sa);
		printf("%c%c",
		       sa.sa_handler == SIG_IGN	  ? 'i'
		       : sa.sa_handler == SIG_DFL ? 'd'
						  : 'h',
		       sigismember(&mask, sigs[i]) ? 'b' : '-');
	}
	printf("\n");
	return 0;
}

static void by_execve(const char *what)
{
	char *argv[] = {far("x"), far("tell"), far(what), NULL};
	pid_t pid = fork();

	if (!pid) {
		execve(self, argv, environ);
		_exit(99);
	}
	status_of(pid);
}

static void by_vfork(const char *what)
{
	char *argv[] = {far("x"), far("tell"), far(what), NULL};
	pid_t pid = vfork();

	if (!pid) {
		execv(self, argv);
		_exit(99);
	}
	status_of(pid);
}

static void spawn_with(const char *what, const posix_spawnattr_t *attr)
{
	char *argv[] = {far("x"), far("tell"), far(what), NULL};
	pid_t pid;

	if (!posix_spawn(&pid, self, NULL, attr, argv, environ))
		status_of(pid);
}

static void by_spawn(const char *what)
{
	spawn_with(what, NULL);
}

static void by_system(const char *what)
{
	char *command = aligned_alloc(PAGE, PAGE), exe[1024];

	exe[readlink(self, exe, sizeof(exe) - 1)] = 0;
	snprintf(command, PAGE, "exec %s tell '%s'", exe, what);
	away(command, PAGE);
	if (system(command))
		printf("system failed\n");
}

static const struct {
	const char *name;
	void (*start)(const char *what);
} starts[] = {{"execve", by_execve},
	      {"vfork+execv", by_vfork},
	      {"posix_spawn", by_spawn},
	      {"system", by_system}};

static void inherited(void)
{
	char what[100];

	for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		signal(SIGSEGV, SIG_IGN);
		signal(SIGUSR1, SIG_IGN);
		snprintf(what, sizeof(what), "inherited ignored, %s", starts[i].name);
		starts[i].start(what);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGUSR1, SIG_DFL);
		set_mask(SIGSEGV);
		snprintf(what, sizeof(what), "inherited blocked, %s", starts[i].name);
		starts[i].start(what);
		set_mask(0);
	}
}

/* ---- posix_spawn's attributes ---- */

static void attributes(void)
{
	posix_spawnattr_t *attr = aligned_alloc(PAGE, PAGE);
	sigset_t segv = only(SIGSEGV), none = only(0), both = only(SIGSEGV);

	sigaddset(&both, SIGUSR1);
	posix_spawnattr_init(attr);
	posix_spawnattr_setsigmask(attr, &both);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK);
	away(attr, PAGE);
	spawn_with("spawn SETSIGMASK with SIGSEGV", attr);
	set_mask(SIGSEGV);
	posix_spawnattr_setsigmask(attr, &none);
	away(attr, PAGE);
	spawn_with("spawn SETSIGMASK without", attr);
	set_mask(0);
	posix_spawnattr_setsigdefault(attr, &segv);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF);
	signal(SIGSEGV, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	away(attr, PAGE);
	spawn_with("spawn SETSIGDEF with SIGSEGV", attr);
	struct sigaction sa;
	sigaction(SIGSEGV, NULL, &sa);
	printf("spawn leaves the parent: ignored %d\n", sa.sa_handler == SIG_IGN);
	signal(SIGSEGV, SIG_DFL), signal(SIGUSR2, SIG_DFL);
	posix_spawnattr_destroy(attr);
}

/* ---- a vfork child shares our memory, but not our signals ---- */

static volatile int count;
static void on_signal(int sig)
{
	count++;
}

static void vfork_changes(void)
{
	sigset_t segv = only(SIGSEGV), now;
	struct sigaction sa;

	signal(SIGSEGV, on_signal);
	signal(SIGUSR1, on_signal);
	pid_t pid = vfork();
	if (!pid) {
		signal(SIGSEGV, SIG_IGN);
		signal(SIGUSR1, SIG_DFL);
		sigprocmask(SIG_BLOCK, &segv, NULL);
		_exit(3);
	}
	status_of(pid);
	sigaction(SIGSEGV, NULL, &sa);
	sigprocmask(SIG_BLOCK, NULL, &now);
	printf("vfork child's changes: handler %d blocked %d", sa.sa_handler == on_signal,
	       sigismember(&now, SIGSEGV));
	sigaction(SIGUSR1, NULL, &sa);
	raise(SIGSEGV), raise(SIGUSR1);
	printf(" other %d count %d\n", sa.sa_handler == on_signal, count);
	signal(SIGSEGV, SIG_DFL), signal(SIGUSR1, SIG_DFL);
}

/* ---- daemon ---- */

static void daemons(void)
{
	char *p = absent(16, 3),
	     *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned want = sum(p, 16 * PAGE);
	int fd[2];
	char c = 0;

	away(p, 16 * PAGE);
	if (pipe(fd))
		return;
	pid_t pid = fork();
	if (!pid) {
		close(fd[0]);
		int r = daemon(0, 0);
		struct stat st;
		word[0] = (char)(r == 0);
		word[1] = (char)(sum(p, 16 * PAGE) == want);
		word[2] = (char)(fstat(1, &st) == 0 && S_ISCHR(st.st_mode));
		word[3] = (char)(getsid(0) != getpid() || getppid() != 0);
		char *q = malloc(1 << 20);
		memset(q, 1, 1 << 20);
		away(q, PAGE);
		word[4] = q[5];
		_exit(write(fd[1], "x", 1) != 1);
	}
	close(fd[1]);
	printf("daemon: parent ends %d", status_of(pid));
	printf(" told %zd", read(fd[0], &c, 1));
	printf(" state %d%d%d%d%d\n", word[0], word[1], word[2], word[3], word[4]);
	close(fd[0]);
}

/* ---- wait sees the program's own children, and only them ---- */

static void waits(void)
{
	siginfo_t *info = (siginfo_t *)absent(1, 0);
	struct rusage *usage = (struct rusage *)absent(1, 0);
	int *status = (int *)absent(1, 0), seen = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(21);
	away(info, PAGE);
	int r = waitid(P_ALL, 0, info, WEXITED | WNOWAIT);
	printf("waitid %d own %d status %d\n", r, info->si_pid == pid, info->si_status);
	away(status, PAGE), away(usage, PAGE);
	r = wait4(-1, status, 0, usage);
	printf("wait4 own %d status %d\n", r == pid, WEXITSTATUS(*status));
	errno = 0;
	while (wait(status) > 0)
		seen++;
	printf("wait: other children %d errno %d\n", seen, errno);
	errno = 0;
	r = waitpid(-1, status, WNOHANG | __WALL);
	printf("waitpid __WALL %d errno %d\n", r, errno);
	errno = 0;
	r = waitpid(-1, status, WNOHANG | __WCLONE);
	printf("waitpid __WCLONE %d errno %d\n", r, errno);
	errno = 0;
	r = waitid(P_ALL, 0, info, WEXITED | WNOHANG | __WALL);
	printf("waitid __WALL %d errno %d\n", r, errno);
}

static void prctls(void)
{
	char *name = absent(1, 0);
	int *sig = (int *)absent(1, 0);

	printf("prctl PR_SET_NAME %d", prctl(PR_SET_NAME, far("contract")));
	printf(" PR_GET_NAME %d", prctl(PR_GET_NAME, name));
	printf(" %s", name);
	printf(" PR_SET_PDEATHSIG %d", prctl(PR_SET_PDEATHSIG, SIGTERM));
	away(sig, PAGE);
	printf(" PR_GET_PDEATHSIG %d", prctl(PR_GET_PDEATHSIG, sig));
	printf(" %d dumpable %d", *sig, prctl(PR_GET_DUMPABLE));
	prctl(PR_SET_PDEATHSIG, 0);
	errno = 0;
	int r = prctl(9999);
	printf(" unknown %d errno %d\n", r, errno);
}

/* ---- deaths ---- */

static char *hole;

static void die_by_fault(void)
{
	hole[123] = 1;
}

static void die_by_kill(void)
{
	kill(getpid(), SIGSEGV);
	pause();
}

static void die_by_raise(void)
{
	raise(SIGSEGV);
}

static void *fault(void *arg)
{
	die_by_fault();
	return arg;
}

static void die_in_thread(void)
{
	pthread_t t;
	pthread_create(&t, NULL, fault, NULL);
	pthread_join(t, NULL);
}

static const struct named deaths[] = {{"fault", die_by_fault},
				      {"kill", die_by_kill},
				      {"raise", die_by_raise},
				      {"thread", die_in_thread}};

static Elf64_Nhdr *note_of(char *core, size_t bytes, unsigned type)
{
	Elf64_Ehdr *e = (void *)core;
	Elf64_Phdr *ph = (void *)(core + e->e_phoff);

	for (int i = 0; i < e->e_phnum; i++)
		for (size_t at = ph[i].p_offset;
		     ph[i].p_type == PT_NOTE && at < ph[i].p_offset + ph[i].p_filesz;) {
			Elf64_Nhdr *n = (void *)(core + at);
			if (at + sizeof(*n) > bytes)
				return NULL;
			if (n->n_type == type)
				return n;
			at += sizeof(*n) + ((n->n_namesz + 3) & ~3u) + ((n->n_descsz + 3) & ~3u);
		}
	return NULL;
}

static void *desc_of(Elf64_Nhdr *n)
{
	return n ? (char *)(n + 1) + ((n->n_namesz + 3) & ~3u) : NULL;
}

/* The dying thread's status comes first: its signal; and the siginfo: signal, code, address. */
static void tell_core(const char *name, pid_t pid)
{
	char core_name[64];
	struct stat st;

	snprintf(core_name, sizeof(core_name), "core.%d", pid);
	int fd = open(core_name, O_RDONLY);
	if (fd < 0)
		fd = open(strcpy(core_name, "core"), O_RDONLY);
	if (fd < 0 || fstat(fd, &st)) {
		printf("core of %s: none\n", name);
		return;
	}
	char *core = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	siginfo_t *info = desc_of(note_of(core, (size_t)st.st_size, NT_SIGINFO));
	short *status = desc_of(note_of(core, (size_t)st.st_size, NT_PRSTATUS));
	printf("core of %s: signal %d code %d at the hole %d cursig %d small %d\n", name,
	       info ? info->si_signo : -1, info ? info->si_code : -1,
	       info && info->si_addr == hole + 123, status ? status[6] : -1,
	       st.st_blocks < (1 << 20));
	munmap(core, (size_t)st.st_size);
	close(fd);
	unlink(core_name);
}

/* Do the system's rules leave core dumps in the folder of the process that dies? */
static int cores_are_here(const struct rlimit *wanted)
{
	struct rlimit now;
	char pattern[16] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);

	if (fd < 0 || read(fd, pattern, sizeof(pattern) - 1) < 0)
		return 0;
	close(fd);
	getrlimit(RLIMIT_CORE, &now);
	return !strncmp(pattern, "core", 4) && now.rlim_max >= wanted->rlim_max;
}

static void die(void (*how)(void), int here, const struct rlimit *some)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, here ? some : &none);
	how();
	_exit(1);
}

static void ends(void)
{
	static const struct rlimit some = {256 << 20, 256 << 20};
	char dir[] = "/tmp/children_contract.XXXXXX";
	int here = cores_are_here(&some) && mkdtemp(dir) && !chdir(dir);

	hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	absent(16, 1);
	if (!here)
		printf("core: skipped, the system puts core dumps elsewhere or nowhere\n");
	for (unsigned i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		int status;
		pid_t pid = fork();
		if (!pid)
			die(deaths[i].fn, here, &some);
		waitpid(pid, &status, 0);
		printf("death by %s: signal %d core %d\n", deaths[i].name,
		       WIFSIGNALED(status) ? WTERMSIG(status) : 0, !!WCOREDUMP(status));
		if (here)
			tell_core(deaths[i].name, pid);
	}
	if (here && (chdir("/") || rmdir(dir)))
		printf("%s stays\n", dir);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 && !strcmp(argv[1], "tell"))
		return tell(argv[2]);
	alarm(100);
	inherited();
	attributes();
	vfork_changes();
	daemons();
	waits();
	prctls();
	ends();
	return 0;
}
