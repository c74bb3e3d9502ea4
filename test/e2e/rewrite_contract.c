/*
 * rewrite_contract.c - system calls of the program's own code, of libc and of a library that is
 * opened late, as they are rewritten under way: registers, the red zone, cancellation, children,
 * threads that have every signal blocked. With a device, pages leave before and meanwhile.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "away.h"

#define ROUNDS 100

/* ---- registers ---- */

struct regs {
	uint64_t in[16], out[16];
	uint8_t xin[16][16], xout[16][16];
	uint64_t red[16];
};
/* write(fd, buf, n) with everything set. */
long regs_call(struct regs *r);
__asm__(".text\n.globl regs_call\n.type regs_call,@function\nregs_call: .cfi_startproc\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n mov %rdi,%rbx\n"
	".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"movdqu 256+\\i*16(%rbx),%xmm\\i\n mov $\\i+77,%rax\n mov %rax,-8-8*\\i(%rsp)\n .endr\n"
	"mov 8(%rbx),%rdi\n mov 16(%rbx),%rsi\n mov 24(%rbx),%rdx\n mov 32(%rbx),%r10\n"
	"mov 40(%rbx),%r8\n mov 48(%rbx),%r9\n mov 56(%rbx),%rbp\n mov 64(%rbx),%r12\n"
	"mov 72(%rbx),%r13\n mov 80(%rbx),%r14\n mov 88(%rbx),%r15\n"
	"mov $1,%eax\n syscall\n"
	"mov %rdi,128+8(%rbx)\n mov %rsi,128+16(%rbx)\n mov %rdx,128+24(%rbx)\n"
	"mov %r10,128+32(%rbx)\n mov %r8,128+40(%rbx)\n mov %r9,128+48(%rbx)\n"
	"mov %rbp,128+56(%rbx)\n mov %r12,128+64(%rbx)\n mov %r13,128+72(%rbx)\n"
	"mov %r14,128+80(%rbx)\n mov %r15,128+88(%rbx)\n"
	".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n movdqu %xmm\\i,512+\\i*16(%rbx)\n .endr\n"
	".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"mov -8-8*\\i(%rsp),%rcx\n mov %rcx,768+8*\\i(%rbx)\n .endr\n"
	"pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
	".cfi_endproc\n.size regs_call,.-regs_call\n");

static void registers(void)
{
	int kept = 0, fd = open("/dev/null", O_WRONLY);

	for (int round = 0; round < ROUNDS; round++) {
		struct regs r;
		char *buf = absent(2, round);
		memset(&r, 0, sizeof(r));
		for (unsigned i = 0; i < sizeof(r.xin); i++)
			((uint8_t *)r.xin)[i] = (uint8_t)(i * 7 + (unsigned)round);
		for (unsigned i = 4; i < 12; i++)
			r.in[i] = i * 0x0101010101010101ul + (unsigned)round;
		r.in[1] = (uint64_t)fd;
		r.in[2] = (uint64_t)buf;
		r.in[3] = 2 * PAGE;
		bool ok = regs_call(&r) == (long)(2 * PAGE) &&
			  !memcmp(r.in + 1, r.out + 1, 11 * 8) &&
			  !memcmp(r.xin, r.xout, sizeof(r.xin));
		for (unsigned i = 0; i < 16; i++)
			ok = ok && r.red[i] == i + 77;
		kept += ok;
		free(buf);
	}
	close(fd);
	printf("registers kept %d\n", kept);
}

/* ---- threads that call all the time ---- */

static _Atomic int stop, bad;
static int pid, zero, image;

static void check(bool ok, const char *what)
{
	if (!ok) {
		atomic_fetch_add(&bad, 1);
		dprintf(2, "%s: errno %d\n", what, errno);
	}
}

static void *plain_calls(void *unused)
{
	char *b = malloc(64);
	struct stat *st = malloc(sizeof(*st));

	while (!stop) {
		memset(b, 1, 64);
		check(getpid() == pid, "getpid");
		check(syscall(SYS_getpid) == pid, "syscall");
		check(read(zero, b, 64) == 64 && b[63] == 0, "read");
		check(pread(image, b, 64, 0) == 64 && b[1] == 'E', "pread");
		check(!stat("/bin/sh", st) && st->st_size > 1000, "stat");
		check(close(-1) == -1 && errno == EBADF, "close");
	}
	return NULL;
}

static void *all_blocked(void *unused)
{
	unsigned long full = ~0ul;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &full, NULL, 8);
	return plain_calls(NULL);
}

static void cleaned(void *p)
{
	++*(int *)p;
}

static void *to_cancel(void *p)
{
	char b;

	pthread_cleanup_push(cleaned, p);
	while (read(((int *)p)[1], &b, 1) != 5)
		;
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel_one(int never)
{
	int arg[2] = {0, never};
	pthread_t t;
	void *r = NULL;

	check(!pthread_create(&t, NULL, to_cancel, arg), "create");
	poll(NULL, 0, 1);
	pthread_cancel(t);
	pthread_join(t, &r);
	check(r == PTHREAD_CANCELED && arg[0] == 1, "cancel");
}

static void one_child(int how)
{
	char *const argv[] = {"sh", "-c", "exit 7", NULL};
	int st = 1;
	pid_t p = how ? vfork() : fork();

	if (!p && how)
		execv("/bin/sh", argv);
	if (!p)
		_exit(getppid() == pid ? 7 : 8);
	check(p > 0 && waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 7, how ? "vfork" : "fork");
}

static void under_load(void)
{
	void *(*const run[])(void *) = {plain_calls, plain_calls, all_blocked};
	pthread_t t[3];
	int never[2];

	check(!pipe(never), "pipe");
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, run[i], NULL);
	for (int i = 0; i < 10; i++) {
		free(absent(4, i));
		cancel_one(never[0]);
		one_child(i % 2);
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	printf("threads, children, cancellation: %d wrong\n", bad);
}

/* ---- libraries that come and go ---- */

static void libraries(void)
{
	int right = 0;

	for (int i = 0; i < 8; i++) {
		void *lib = dlopen(getenv("REWRITE_LIB"), RTLD_NOW);
		long (*get)(int, void *, unsigned long) =
			lib ? (long (*)(int, void *, unsigned long))dlsym(lib, "raw_read") : NULL;
		char *p = absent(1, i);
		if (get)
			right += get(image, p, 64) == 64 && p[1] == 'E';
		for (int k = 0; get && k < 50; k++)
			right += get(zero, p, 64) == 64 && !p[63];
		free(p);
		if (lib)
			dlclose(lib);
	}
	printf("libraries %d\n", right);
}

int main(void)
{
	pid = getpid();
	zero = open("/dev/zero", O_RDONLY);
	image = open("/bin/sh", O_RDONLY);
	registers();
	libraries();
	under_load();
	return 0;
}
