/*
 * rewrite.c - stubs for a module's system calls, and its text exchanged for one that jumps there.
 * See rewrite.h.
 *
 * A stub is the replaced instructions up to the call, `lea behind-the-call, %rcx`, and a jump to
 * gate.S. Stubs are written into a memfd and mapped executable from there, so that no page is
 * ever both; within a gigabyte of the text, for the jump has 32 bits.
 */
#include "preload/dispatch/rewrite.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/dispatch/sites.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/real.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define MAX_MODULES 64
#define MAX_TEXTS   4
#define MAX_SITES   4096 /* of one segment */
#define STUB_BYTES  64
#define NEAR_STEP   ((uintptr_t)1 << 20)
#define NEAR_STEPS  1000
#define BREAKPOINT  0xcc /* a debugger's, which stays */
#define JMP	    0xe9
#define JMP_SHORT   0xeb
static const uint8_t lea_rcx[] = {0x48, 0x8d, 0x0d}, jmp_next[] = {0xff, 0x25, 0, 0, 0, 0};

static struct module {
	_Atomic uintptr_t lo, hi; /* all of its mappings; lo == hi: free */
} modules[MAX_MODULES];
static _Atomic unsigned nmodules; /* slots that were ever in use */
static struct gm_lock lock;	  /* writers of modules[]; texts being exchanged */

/* ---- stubs ---- */

static void put_distance(void *at, uintptr_t from, uintptr_t to)
{
	int32_t d = (int32_t)(intptr_t)(to - from);

	gm_assert((intptr_t)(to - from) == d);
	memcpy(at, &d, sizeof(d));
}

/* w: where the stub is written; run: where it runs. */
static void write_stub(uint8_t *w, uintptr_t run, const struct gmp_site *x)
{
	const size_t n = x->call - x->at;
	const uintptr_t gate = (uintptr_t)gmp_site_call;

	memcpy(w, (const void *)x->at, n);
	memcpy(w + n, lea_rcx, sizeof(lea_rcx));
	put_distance(w + n + 3, run + n + 7, x->call + 2);
	memcpy(w + n + 7, jmp_next, sizeof(jmp_next));
	memcpy(w + n + 13, &gate, sizeof(gate));
}

/* An executable mapping of fd near the text. */
static void *map_near(const struct gmp_text *t, size_t bytes, int fd)
{
	const uintptr_t below = gm_align_down(t->lo, NEAR_STEP) - gm_align_up(bytes, NEAR_STEP),
			above = gm_align_up(t->hi, NEAR_STEP);

	for (uintptr_t i = 0; i < 2 * NEAR_STEPS; i++) {
		uintptr_t at = i % 2 ? above + i / 2 * NEAR_STEP : below - i / 2 * NEAR_STEP;
		void *p = gm_sys_mmap((void *)at, bytes, PROT_READ | PROT_EXEC,
				      MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
		if (!gm_is_err(p) && (uintptr_t)p == at)
			return p;
		if (!gm_is_err(p)) /* a kernel that takes the address for a wish */
			gm_sys_munmap(p, bytes);
	}
	return NULL;
}

/* All stubs of a segment; NULL: no room, or not allowed. */
static char *make_stubs(const struct gmp_text *t, const struct gmp_site *sites, unsigned n,
			size_t bytes)
{
	int fd = (int)gm_sys2(SYS_memfd_create, "gmem-stubs", MFD_CLOEXEC);
	uint8_t *w = (void *)-1l;
	char *run = NULL;

	if (fd < 0)
		return NULL;
	if (!gm_sys2(SYS_ftruncate, fd, bytes))
		w = gm_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!gm_is_err(w) && (run = map_near(t, bytes, fd)))
		for (unsigned i = 0; i < n; i++)
			write_stub(w + i * STUB_BYTES, (uintptr_t)run + i * STUB_BYTES, &sites[i]);
	if (!gm_is_err(w))
		gm_sys_munmap(w, bytes);
	gm_sys1(SYS_close, fd);
	return run;
}

/* ---- texts ---- */

/* A private mapping of the same part of the same file, to be changed aside; NULL: not the same. */
static uint8_t *map_again(const struct gmp_text *t, const char *path)
{
	const size_t bytes = t->hi - t->lo;
	const uint8_t *live = (const uint8_t *)t->lo;
	int fd = (int)gm_sys3(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return NULL;
	uint8_t *copy =
		gm_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, t->offset);
	gm_sys1(SYS_close, fd);
	if (gm_is_err(copy))
		return NULL;
	if (!memcmp(copy, live, bytes))
		return copy;
	for (size_t i = 0; i < bytes; i++) {
		if (copy[i] == live[i])
			continue;
		if (live[i] != BREAKPOINT) {
			gm_sys_munmap(copy, bytes);
			return NULL;
		}
		copy[i] = BREAKPOINT;
	}
	return copy;
}

static void write_site(uint8_t *copy, const struct gmp_text *t, const struct gmp_site *x,
		       uintptr_t stub)
{
	const uintptr_t jump = x->pad ? x->pad : x->at;
	uint8_t *to = copy + (jump - t->lo), *at = copy + (x->at - t->lo);

	to[0] = JMP;
	put_distance(to + 1, jump + 5, stub);
	if (!x->pad)
		return;
	at[0] = JMP_SHORT;
	at[1] = (uint8_t)(x->pad - (x->at + 2));
}

/* In one step: other threads fetch from the old page or from the new one. */
static bool exchange(const struct gmp_text *t, uint8_t *copy)
{
	const size_t bytes = t->hi - t->lo;

	return !gm_sys_mprotect(copy, bytes, PROT_READ | PROT_EXEC) &&
	       gm_sys5(SYS_mremap, copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, t->lo) ==
		       (long)t->lo;
}

static unsigned rewrite_text(const struct gmp_text *t, const char *path, struct gmp_site *sites)
{
	const unsigned n = gmp_sites_of(t, sites, MAX_SITES);
	const size_t bytes = gm_align_up(n * STUB_BYTES, GM_PAGE_BYTES);
	uint8_t *copy = n ? map_again(t, path) : NULL;

	if (!copy)
		return 0;
	char *stubs = make_stubs(t, sites, n, bytes);
	for (unsigned i = 0; stubs && i < n; i++)
		write_site(copy, t, &sites[i], (uintptr_t)stubs + i * STUB_BYTES);
	if (stubs && exchange(t, copy))
		return n;
	gm_sys_munmap(copy, t->hi - t->lo);
	if (stubs)
		gm_sys_munmap(stubs, bytes);
	return 0;
}

/* ---- modules ---- */

static struct module *module_at(uintptr_t pc)
{
	for (unsigned i = 0; i < atomic_load_explicit(&nmodules, memory_order_acquire); i++)
		if (pc >= modules[i].lo && pc < modules[i].hi)
			return &modules[i];
	return NULL;
}

bool gmp_rewrite_covers(uintptr_t lo, size_t bytes)
{
	for (unsigned i = 0; i < atomic_load_explicit(&nmodules, memory_order_acquire); i++)
		if (lo < modules[i].hi && lo + bytes > modules[i].lo)
			return true;
	return false;
}

static bool note_module(uintptr_t lo, uintptr_t hi)
{
	unsigned n = atomic_load(&nmodules), i = 0;

	while (i < n && modules[i].lo != modules[i].hi)
		i++;
	if (i == MAX_MODULES)
		return false;
	modules[i].lo = lo;
	modules[i].hi = hi;
	atomic_store_explicit(&nmodules, gm_max(n, i + 1), memory_order_release);
	return true;
}

/* Is the preload itself, or libgmem.so? Their calls go by the gate. */
static bool is_our_module(uintptr_t lo, uintptr_t hi)
{
	const uintptr_t ours[] = {(uintptr_t)gmp_gate, (uintptr_t)&gmi_syscall};

	return (ours[0] >= lo && ours[0] < hi) || (ours[1] >= lo && ours[1] < hi);
}

/* Lock held. */
static void rewrite_module(const struct dl_find_object *o)
{
	const uintptr_t lo = (uintptr_t)o->dlfo_map_start, hi = (uintptr_t)o->dlfo_map_end;
	const char *path = o->dlfo_link_map->l_name;
	struct gmp_site *sites = gmi_alloc(MAX_SITES * sizeof(*sites));
	struct gmp_text texts[MAX_TEXTS];
	unsigned n = 0;

	if (!sites || is_our_module(lo, hi) || !note_module(lo, hi))
		goto out;
	unsigned ntexts = gmp_texts_of(lo, o->dlfo_link_map->l_addr, texts, MAX_TEXTS);
	if (!*path)
		path = "/proc/self/exe";
	for (unsigned i = 0; i < ntexts; i++)
		n += rewrite_text(&texts[i], path, sites);
	gm_log(GM_LOG_INFO, "%s: %u system calls are made without a signal", path, n);
out:
	gmi_free(sites, MAX_SITES * sizeof(*sites));
}

void gmp_rewrite_seen(uintptr_t pc)
{
	struct dl_find_object o;

	if (module_at(pc) || _dl_find_object((void *)pc, &o))
		return;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&lock);
	if (!module_at(pc))
		rewrite_module(&o);
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
}

void gmp_rewrite_start(void)
{
	gmp_rewrite_seen((uintptr_t)GMP_REAL(close));
	gmp_rewrite_seen(_r_debug.r_ldbase);
}

void gmp_rewrite_unmapped(uintptr_t lo, size_t bytes)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&lock);
	for (unsigned i = 0; i < atomic_load(&nmodules); i++)
		if (lo < modules[i].hi && lo + bytes > modules[i].lo)
			modules[i].hi = modules[i].lo;
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
}

void gmp_rewrite_forked(void)
{
	lock = (struct gm_lock){0};
}
