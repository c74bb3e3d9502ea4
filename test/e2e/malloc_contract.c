/*
 * malloc_contract.c - everything that BEHAVIOURS' "malloc contract" promises, printed. Run plain
 * and under GMEM: the output must be the same. Prints properties, never addresses or sizes that
 * an allocator may choose.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The compiler must not see through the calls. */
static void *(*volatile v_malloc)(size_t) = malloc;
static void *(*volatile v_calloc)(size_t, size_t) = calloc;
static void *(*volatile v_realloc)(void *, size_t) = realloc;
static void *(*volatile v_reallocarray)(void *, size_t, size_t) = reallocarray;
static void *(*volatile v_memalign)(size_t, size_t) = memalign;
static void *(*volatile v_aligned_alloc)(size_t, size_t) = aligned_alloc;
static void *(*volatile v_valloc)(size_t) = valloc;
static void *(*volatile v_pvalloc)(size_t) = pvalloc;
static int (*volatile v_posix_memalign)(void **, size_t, size_t) = posix_memalign;

#define SHOW(what, ok) printf("%s: %s\n", (what), (ok) ? "yes" : "no")

static const char *err_name(int e)
{
	return e == 0	     ? "0"
	       : e == ENOMEM ? "ENOMEM"
	       : e == EINVAL ? "EINVAL"
	       : e == 77     ? "kept"
			     : "other";
}

static int aligned(const void *p, size_t a)
{
	return p && (uintptr_t)p % a == 0;
}

static int constructors;
static char *before_main;
static char before_main_text[16];
__attribute__((constructor)) static void early(void)
{
	before_main = strdup("from constructor");
	snprintf(before_main_text, sizeof before_main_text, "%.4s", before_main);
}

/* Before every constructor, also those of libraries. */
static char *first_of_all;
static void very_early(void)
{
	first_of_all = malloc(3000);
	memset(first_of_all, 'e', 3000);
	first_of_all = realloc(first_of_all, 300000);
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = very_early;

__attribute__((constructor(101))) static void first_constructor(void)
{
	char *p = calloc(1000, 1000);
	constructors += p && !p[999999];
	free(p);
}

__attribute__((constructor)) static void last_constructor(void)
{
	void *p = NULL;
	constructors += !posix_memalign(&p, 256, 1000) && p;
	free(p);
}

static void at_exit(void)
{
	char *p = malloc(100);
	memset(p, 1, 100);
	p = realloc(p, 100000);
	SHOW("atexit", p && p[99] == 1);
	free(p);
	free(before_main);
	fflush(stdout);
}

static void zero_sizes(void)
{
	void *a = v_malloc(0), *b = v_malloc(0);
	SHOW("malloc(0) non-null and distinct", a && b && a != b);
	free(a);
	free(b);
	a = v_calloc(0, 8);
	SHOW("calloc(0) non-null", a);
	free(a);
	a = v_realloc(NULL, 0);
	SHOW("realloc(NULL, 0) non-null", a);
	errno = 77;
	b = v_realloc(a, 0);
	printf("realloc(p, 0): %s errno %s\n", b ? "block" : "null", err_name(errno));
	free(b);
	free(NULL);
}

static void alignment(void)
{
	int ok = 1;
	for (size_t n = 0; n < 5000; n++) {
		void *p = v_malloc(n), *q = v_calloc(n, 1), *r = v_realloc(NULL, n);
		ok &= aligned(p, 16) && aligned(q, 16) && aligned(r, 16);
		ok &= malloc_usable_size(p) >= n;
		free(p);
		free(q);
		free(r);
	}
	SHOW("alignment 16 and usable size, 0..4999 bytes", ok);
	ok = 1;
	for (size_t a = 1; a <= 1 << 22; a *= 2)
		for (size_t n = 1; n < 100000; n = n * 7 + 1) {
			void *p = v_memalign(a, n), *q = v_aligned_alloc(a, n);
			ok &= aligned(p, a) && aligned(q, a) && malloc_usable_size(p) >= n;
			if (p && q) {
				memset(p, 1, n);
				memset(q, 1, n);
			}
			free(p);
			free(q);
		}
	SHOW("memalign, aligned_alloc", ok);
	SHOW("memalign(48)", aligned(v_memalign(48, 10), 16));
	SHOW("memalign(0)", v_memalign(0, 10));
	errno = 77;
	void *p = v_memalign(SIZE_MAX, 10);
	printf("memalign(SIZE_MAX): %s %s\n", p ? "block" : "null", err_name(errno));
	SHOW("valloc", aligned(v_valloc(10), 4096));
	p = v_pvalloc(4097);
	SHOW("pvalloc", aligned(p, 4096) && malloc_usable_size(p) >= 8192);
	SHOW("usable size of null is 0", malloc_usable_size(NULL) == 0);
}

static void overflow(void)
{
	void *keep = v_malloc(10);
	memset(keep, 7, 10);
	struct {
		const char *name;
		void *p;
		int err;
	} r[12];
	int n = 0;
#define TRY(name_, call)                                                                           \
	do {                                                                                       \
		errno = 77;                                                                        \
		void *p_ = (call);                                                                 \
		r[n].name = (name_), r[n].p = p_, r[n++].err = errno;                              \
	} while (0)
	TRY("malloc(SIZE_MAX)", v_malloc(SIZE_MAX));
	TRY("malloc(PTRDIFF_MAX)", v_malloc(PTRDIFF_MAX));
	TRY("calloc overflow", v_calloc(SIZE_MAX / 2, 3));
	TRY("calloc(SIZE_MAX, 1)", v_calloc(SIZE_MAX, 1));
	TRY("realloc(SIZE_MAX)", v_realloc(keep, SIZE_MAX - 4096));
	TRY("reallocarray overflow", v_reallocarray(keep, SIZE_MAX / 2, 3));
	TRY("memalign(SIZE_MAX bytes)", v_memalign(64, SIZE_MAX - 64));
	TRY("valloc(SIZE_MAX)", v_valloc(SIZE_MAX));
	TRY("pvalloc(SIZE_MAX)", v_pvalloc(SIZE_MAX));
	for (int i = 0; i < n; i++)
		printf("%s: %s %s\n", r[i].name, r[i].p ? "block" : "null", err_name(r[i].err));
	SHOW("a failed realloc keeps the block", ((char *)keep)[9] == 7);
	free(keep);
}

static void posix(void)
{
	static const size_t align[] = {0, 1, 3, 4, 8, 16, 24, 64, 4096, 1 << 21};
	for (size_t i = 0; i < sizeof align / sizeof align[0]; i++) {
		void *p = (void *)1;
		errno = 77;
		int e = v_posix_memalign(&p, align[i], 100);
		printf("posix_memalign(%zu): %s, errno %s, %s\n", align[i], err_name(e),
		       err_name(errno),
		       e		      ? (p == (void *)1 ? "untouched" : "changed")
		       : aligned(p, align[i]) ? "aligned"
					      : "bad");
		if (!e)
			free(p);
	}
	void *p = NULL;
	printf("posix_memalign huge: %s\n", err_name(v_posix_memalign(&p, 64, SIZE_MAX - 100)));
}

static void errno_kept(void)
{
	int ok = 1;
	for (size_t n = 1; n < 64u << 20; n = n * 3 + 1) {
		errno = 77;
		char *p = v_malloc(n);
		p = v_realloc(p, n * 2);
		p = v_realloc(p, n / 2 + 1);
		char *q = v_calloc(n, 1);
		free(p);
		free(q);
		ok &= errno == 77;
	}
	SHOW("errno kept on success", ok);
}

static void contents(void)
{
	int ok = 1;
	for (size_t n = 1; n < 32u << 20; n = n * 2 + 3) {
		unsigned char *p = v_malloc(n);
		memset(p, 0xa5, n);
		free(p);
		p = v_calloc(1, n);
		for (size_t i = 0; i < n; i++)
			ok &= p[i] == 0;
		for (size_t i = 0; i < n; i++)
			p[i] = (unsigned char)(i * 7);
		p = v_realloc(p, n * 3);
		for (size_t i = 0; i < n; i++)
			ok &= p[i] == (unsigned char)(i * 7);
		p = v_realloc(p, n / 3 + 1);
		for (size_t i = 0; i < n / 3 + 1; i++)
			ok &= p[i] == (unsigned char)(i * 7);
		free(p);
	}
	SHOW("calloc zeroes, realloc keeps", ok);
}

static void *churn(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg;
	unsigned char *p[64] = {0};
	size_t n[64];
	long bad = 0;
	for (int i = 0; i < 20000; i++) {
		x = x * 1103515245 + 12345;
		unsigned k = x >> 16 & 63;
		if (p[k])
			bad += p[k][0] != (unsigned char)k || p[k][n[k] - 1] != (unsigned char)k;
		free(p[k]);
		n[k] = (x >> 8) % (i % 100 ? 2000 : 300000) + 1;
		p[k] = v_malloc(n[k]);
		p[k][0] = p[k][n[k] - 1] = (unsigned char)k;
	}
	for (int k = 0; k < 64; k++)
		free(p[k]);
	return (void *)bad;
}

static void threads(void)
{
	pthread_t t[4];
	long bad = 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn, (void *)(uintptr_t)(i + 1));
	for (int i = 0; i < 4; i++) {
		void *r;
		pthread_join(t[i], &r);
		bad += (long)r;
	}
	SHOW("four threads, own data intact", bad == 0);
}

static pthread_key_t key;
static int destructor_ok;
static void on_thread_end(void *p)
{
	char *q = v_malloc(5000);
	memset(q, 3, 5000);
	destructor_ok = q[4999] == 3 && *(char *)p == 9;
	free(q);
	free(p);
}
static void *with_key(void *arg)
{
	char *p = v_malloc(1);
	*p = 9;
	pthread_setspecific(key, p);
	return v_malloc(77); /* freed by another thread */
}

static void thread_end(void)
{
	pthread_t t;
	void *r;
	pthread_key_create(&key, on_thread_end);
	pthread_create(&t, NULL, with_key, NULL);
	pthread_join(t, &r);
	free(r);
	SHOW("malloc in a key destructor", destructor_ok);
}

static int in_child(void *block)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int ok = *(char *)block == 5;
		free(block);
		char *p = v_malloc(1 << 20);
		memset(p, 1, 1 << 20);
		free(p);
		_exit(ok ? 0 : 1);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	return status;
}

static void *fork_meanwhile(void *stop)
{
	while (!*(volatile int *)stop)
		churn((void *)1);
	return NULL;
}

static void across_fork(void)
{
	char *p = v_malloc(100000);
	*p = 5;
	SHOW("free after fork in the child", in_child(p) == 0);
	SHOW("and in the parent", *p == 5);
	free(p);
	pthread_t t;
	volatile int stop = 0;
	int bad = 0;
	pthread_create(&t, NULL, fork_meanwhile, (void *)&stop);
	for (int i = 0; i < 20; i++) {
		p = v_malloc(64);
		*p = 5;
		bad |= in_child(p);
		free(p);
	}
	stop = 1;
	pthread_join(t, NULL);
	SHOW("fork while another thread allocates", !bad);
}

static volatile sig_atomic_t ticks;
static void on_tick(int sig)
{
	ticks++;
}

static void interrupted(void)
{
	struct sigaction sa = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &sa, NULL);
	int bad = 0;
	pid_t me = getpid();
	for (int i = 0; i < 2000; i++) {
		if (i % 10 == 0)
			kill(me, SIGUSR1);
		char *p = v_malloc((size_t)i * 50 + 1);
		p[0] = 1;
		bad |= malloc_usable_size(p) < (size_t)i * 50 + 1;
		free(p);
	}
	SHOW("interrupted by signals", !bad && ticks == 200);
}

static void libc_extras(void)
{
	/* Allocations of libc's own that the program frees. */
	char *line = NULL;
	size_t cap = 0;
	FILE *f = fopen("/proc/self/status", "r");
	SHOW("getline", getline(&line, &cap, f) > 0);
	fclose(f);
	free(line);
	char *s = NULL;
	SHOW("asprintf", asprintf(&s, "%d", 42) == 2);
	free(s);
	free(realpath("/", NULL));
	free(getcwd(NULL, 0));
	SHOW("mallopt", mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
	SHOW("malloc_trim is 0 or 1", (unsigned)malloc_trim(0) <= 1);
	char *p = v_malloc(1 << 20);
	struct mallinfo2 m = mallinfo2();
	SHOW("mallinfo2 counts it", m.uordblks + m.hblkhd >= 1 << 20);
	free(p);
}

static void in_dlopen(void)
{
	void *h = dlopen("libm.so.6", RTLD_NOW);
	SHOW("dlopen", h && dlsym(h, "cos"));
	dlsym(RTLD_DEFAULT, "no_such_symbol_at_all");
	char *e = dlerror();
	SHOW("dlerror text", e && strstr(e, "no_such_symbol_at_all"));
	dlclose(h);
	char *(*take)(void);
	const char *lib = getenv("CONSTRUCTOR_LIB");
	h = lib ? dlopen(lib, RTLD_NOW) : NULL;
	take = h ? (char *(*)(void))dlsym(h, "take_small") : NULL;
	e = take ? take() : NULL;
	SHOW("inside dlopen", e && !strcmp(e, "small"));
	free(e);
	if (h)
		dlclose(h);
}

int main(void)
{
	void *brk = sbrk(0);
	atexit(at_exit);
	SHOW("before constructors", first_of_all && first_of_all[2999] == 'e');
	free(first_of_all);
	SHOW("in constructors", constructors == 2);
	printf("before main: %s\n", before_main_text);
	zero_sizes();
	alignment();
	overflow();
	posix();
	errno_kept();
	contents();
	threads();
	thread_end();
	across_fork();
	interrupted();
	libc_extras();
	in_dlopen();
	char *p = sbrk(4096);
	SHOW("sbrk belongs to the program", brk != (void *)-1 && p != (void *)-1);
	p[4095] = 1;
	return 0;
}
