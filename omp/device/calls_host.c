/*
 * calls_host.c - parallel regions of the program are its own code, and what they call is the
 * program's own business: malloc, files, what libraries remember. So such calls are made in the
 * program's process (region.h: arena), by a thread that stands for the one that calls.
 *
 * Only what depends on nothing but its arguments, or on the team, is answered by this process's
 * own libraries: the OpenMP runtime, mathematics, strings, locks. The table below names it;
 * everything else, known or not, goes to the host, which is slower and never wrong.
 *
 * Before the host is called, what regions have written outside the windows goes there, and after
 * it all of it is read anew; but for the calls that touch nothing but the heap.
 */
#include "omp/device/module.h"
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STUBS	 8192 /* as in stubs_x86_64.S */
#define SPIN	 2000
#define ON_HOST	 1 /* of stub.own */
#define PATTERNS 80

static const struct {
	const char *library;	       /* how its file's name begins */
	const char *own[PATTERNS];     /* fnmatch(3) */
	const char *not_own[PATTERNS]; /* of these */
} libraries[] = {
	{"libgomp.so",
	 {"*"},
	 {"omp_*_device", "omp_*_device_", "omp_get_num_devices*", "omp_get_device_num*",
	  "omp_target_*", "omp_*alloc*", "omp_free*", "omp_display_env*", "GOMP_target*",
	  "GOMP_teams*", "GOACC_*", "acc_*"}},
	/* but: an allocation is the program's; a team of teams is the host's */
	{"libomp.so",
	 {"*"},
	 {"omp_*_device", "omp_*_device_", "omp_get_num_devices*", "omp_get_device_num*",
	  "omp_target_*", "omp_*alloc*", "omp_free*", "omp_display_env*", "GOMP_target*",
	  "GOMP_teams*", "kmp_*alloc*", "kmp_free*", "__kmpc_fork_teams", "__tgt_*"}},
	{"libm.so", {"*"}, {NULL}},
	{"libmvec.so", {"*"}, {NULL}},
	{"libgcc_s.so", {"*"}, {NULL}},
	{"libquadmath.so", {"*"}, {NULL}},
	{"libc.so",
	 {"mem[!a]*",
	  "__mem*_chk",
	  "bcmp",
	  "bzero",
	  "strlen",
	  "strnlen",
	  "strcpy",
	  "strncpy",
	  "strcat",
	  "strncat",
	  "stpcpy",
	  "stpncpy",
	  "strcmp",
	  "strncmp",
	  "strcasecmp",
	  "strncasecmp",
	  "strchr*",
	  "strrchr",
	  "strstr",
	  "strpbrk",
	  "strspn",
	  "strcspn",
	  "strsep",
	  "*strtok_r",
	  "__st*_chk",
	  "strto[dfl]",
	  "strtoll",
	  "strtoul*",
	  "strtold",
	  "ato[filq]",
	  "atoll",
	  "*abs",
	  "*div",
	  "qsort*",
	  "bsearch",
	  "rand_r",
	  "*setjmp",
	  "*longjmp*",
	  "__stack_chk_*",
	  "__errno_location",
	  "clock_*time",
	  "gettimeofday",
	  "time",
	  "sched_yield",
	  "sched_getcpu",
	  "nanosleep",
	  "usleep",
	  "clock_nanosleep",
	  "pthread_mutex_*",
	  "pthread_spin_*",
	  "pthread_cond_*",
	  "pthread_rwlock_*",
	  "pthread_barrier_*",
	  "pthread_once",
	  "pthread_self",
	  "pthread_equal",
	  "sem_*",
	  "mtx_*",
	  "cnd_*",
	  "call_once"},
	 {"memfd_create", "sem_open", "sem_close", "sem_unlink", "clock_settime"}},
	{"libstdc++.so",
	 {"__cxa_*", "__gxx_*", "__dynamic_cast", "_ZSt*__throw_*", "_ZSt*_Rb_tree_*",
	  "_ZSt*_Hash_bytes*", "_ZNKSt8__detail20_Prime*", "_ZN*St*_error*", "_ZN*St9exception*",
	  "_ZN*St9bad_alloc*", "_ZN*St8bad_cast*", "_ZN*St12out_of_range*",
	  "_ZN*St16invalid_argument*", "_ZSt*exception*", "_ZNSt15__exception_ptr*",
	  "_ZN*__cxxabiv1*", "_ZN*St9type_info*"},
	 {"__cxa_thread_atexit*", "__cxa_demangle"}},
	{"libgfortran.so",
	 {"_gfortran_pow_*", "_gfortran_compare_string*", "_gfortran_string_len_trim*",
	  "_gfortran_string_index*", "_gfortran_string_scan*", "_gfortran_string_verify*",
	  "_gfortran_concat_string*", "_gfortran_select_string*", "_gfortran_selected_*",
	  "_gfortran_adjust[lr]*", "_gfortran_system_clock_*"},
	 {NULL}},
};
/* They touch nothing but the heap, which both sides have. */
static const char *const quiet[] = {
	"malloc",	 "calloc", "realloc", "reallocarray", "free",	"memalign",
	"aligned_alloc", "valloc", "_Znw*",   "_Zna*",	      "_Zdl*",	"_Zda*",
	"rand",		 "random", "drand48", "getpid",	      "gettid",
};

struct stub {
	uint64_t host;	       /* its address there */
	_Atomic uint64_t here; /* in this process's instance of its library, while not decided */
	_Atomic uint64_t own;  /* 0: not decided; ON_HOST; else who answers here */
	bool quiet;
};
static struct stub stubs[STUBS];
static _Atomic unsigned nstubs;
static uint16_t index_of[4 * STUBS]; /* by address; number + 1. Under gmo_lock */
static struct gmo_arena *arena;
static pthread_key_t caller_key;
static __thread struct gmo_slot *caller;
static __thread struct ds_launch *caller_launch; /* its launching thread answers; NULL: another */

extern const char gmo_stubs[];
uint64_t gmo_route(unsigned number, struct gmo_frame *f, const uint64_t *stack);

/* ---- who answers ---- */

static bool is_one_of(const char *name, const char *const patterns[], size_t n)
{
	for (size_t i = 0; i < n && patterns[i]; i++)
		if (!fnmatch(patterns[i], name, 0))
			return true;
	return false;
}

/* Does this process's own function at `at` do what the program's of that name does? */
static bool is_own(const char *name, const void *at)
{
	Dl_info info;

	if (!dladdr(at, &info))
		return false;
	const char *slash = strrchr(info.dli_fname, '/'),
		   *file = slash ? slash + 1 : info.dli_fname;
	for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
		if (!strncmp(file, libraries[i].library, strlen(libraries[i].library)))
			return is_one_of(name, libraries[i].own, PATTERNS) &&
			       !is_one_of(name, libraries[i].not_own, PATTERNS);
	return false;
}

/* 0: no room. */
static uint64_t make_stub(uint64_t host, uint64_t here, uint64_t own, bool is_quiet)
{
	unsigned n = atomic_load(&nstubs);

	while (n < STUBS && !atomic_compare_exchange_weak(&nstubs, &n, n + 1))
		;
	if (n >= STUBS)
		return 0;
	stubs[n].host = host;
	stubs[n].quiet = is_quiet;
	atomic_store(&stubs[n].here, here);
	atomic_store(&stubs[n].own, own);
	return (uint64_t)gmo_stubs + 16 * n;
}

uint64_t gmo_calls_host_find(uint64_t host, const char *name)
{
	if (!strcmp(name, "__tls_get_addr"))
		return (uint64_t)gmo_local_address;
	if (!strcmp(name, "__once_proxy"))
		return (uint64_t)gmo_local_once;
	void *own = dlsym(RTLD_DEFAULT, name);
	if (own && is_own(name, own))
		return (uint64_t)own;
	unsigned i = (unsigned)((host * 0x9e3779b97f4a7c15u) >> 32) % (4 * STUBS);
	for (; index_of[i]; i = (i + 1) % (4 * STUBS))
		if (stubs[index_of[i] - 1].host == host)
			return (uint64_t)gmo_stubs + 16 * (index_of[i] - 1u);
	uint64_t at =
		make_stub(host, 0, ON_HOST, is_one_of(name, quiet, sizeof quiet / sizeof quiet[0]));
	if (at)
		index_of[i] = (uint16_t)((at - (uint64_t)gmo_stubs) / 16 + 1);
	return at;
}

uint64_t gmo_calls_host_stray(uint64_t host, uint64_t here)
{
	for (unsigned i = 0; i < atomic_load(&nstubs); i++)
		if (stubs[i].host == host)
			return (uint64_t)gmo_stubs + 16 * i;
	return make_stub(host, here, here ? 0 : ON_HOST, false);
}

/* Of one that was reached by a pointer, the name is asked when it is called: not in a handler. */
static uint64_t decide(struct stub *s)
{
	void *here = (void *)atomic_load(&s->here);
	uint64_t own = ON_HOST;
	Dl_info info;

	if (dladdr(here, &info) && info.dli_saddr == here && info.dli_sname &&
	    is_own(info.dli_sname, here))
		own = (uint64_t)here;
	atomic_store(&s->own, own);
	return own;
}

/* ---- calls ---- */

static void wait_while(_Atomic uint32_t *word, uint32_t is)
{
	for (int i = 0; i < SPIN && atomic_load(word) == is; i++)
		__builtin_ia32_pause();
	while (atomic_load(word) == is)
		syscall(SYS_futex, word, FUTEX_WAIT, is, NULL, NULL, 0);
}

static void wake_word(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void leave_slot(void *slot)
{
	atomic_store(&((struct gmo_slot *)slot)->owner, 0);
}

/* One that nobody has, or a process that is gone: but not while the host still works for that. */
static struct gmo_slot *take_slot(void)
{
	uint32_t me = (uint32_t)getpid();

	for (uint32_t i = 0; i < GMO_CALLERS; i++) {
		struct gmo_slot *s = &arena->slot[i];
		uint32_t owner = atomic_load(&s->owner), n = atomic_load(&arena->callers);
		if (owner == me || atomic_load(&s->state) == GMO_CALL_CALLED ||
		    !atomic_compare_exchange_strong(&s->owner, &owner, me))
			continue;
		while (n <= i && !atomic_compare_exchange_weak(&arena->callers, &n, i + 1))
			;
		wake_word(&arena->callers);
		pthread_setspecific(caller_key, s);
		return s;
	}
	gmo_warn("parallel regions have more threads than can call the host", "128 at a time");
	abort();
}

static void call_host(const struct stub *stub, struct gmo_frame *f, const uint64_t *stack)
{
	int saved = errno;

	if (!caller)
		caller = take_slot();
	if (!stub->quiet)
		dev_region_sync();
	caller->fn = stub->host;
	caller->frame = *f;
	memcpy(caller->stack, stack, sizeof caller->stack);
	caller->error = saved;
	atomic_store(&caller->state, GMO_CALL_CALLED);
	if (caller_launch) {
		dev_launch_call(caller_launch);
	} else {
		wake_word(&caller->state);
		wait_while(&caller->state, GMO_CALL_CALLED);
	}
	*f = caller->frame;
	saved = caller->error;
	atomic_store(&caller->state, GMO_CALL_IDLE);
	if (!stub->quiet)
		dev_region_sync();
	errno = saved;
}

void gmo_calls_host_by(struct gmo_slot *slot, struct ds_launch *l)
{
	static __thread struct gmo_slot *own;

	if (!caller_launch)
		own = caller;
	caller = slot ? slot : own;
	caller_launch = slot ? l : NULL;
}

uint64_t gmo_route(unsigned number, struct gmo_frame *f, const uint64_t *stack)
{
	struct stub *s = &stubs[number];
	uint64_t own = atomic_load(&s->own);

	if (!own)
		own = decide(s);
	if (own != ON_HOST)
		return own;
	call_host(s, f, stack);
	return 0;
}

bool gmo_calls_host_begin(struct gmo_arena *a)
{
	if (arena)
		return true;
	if (dev_region_keep(a, GMO_ARENA_BYTES) || pthread_key_create(&caller_key, leave_slot))
		return false;
	arena = a;
	dev_region_stacks((char *)a + GMO_ARENA_HEAD, GMO_STACK_BYTES, GMO_STACKS);
	dev_region_heap((char *)a + GMO_ARENA_HEAP, GMO_HEAP_BYTES);
	return true;
}
