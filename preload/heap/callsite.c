/*
 * callsite.c - which line of the program a big block of memory belongs to: the report names
 * those that move.
 *
 * Blocks of 2 MiB and more, about what one array is: jemalloc's entries for large sizes are
 * wrapped at link time, above its locks. A walk up the stack costs some microseconds there, less
 * than the block's first page faults. libgcc's unwinder takes no lock and no memory
 * (_dl_find_object); libunwind's would take the loader's (decisions.md).
 */

#include <dlfcn.h>
#include <jemalloc/jemalloc.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <unwind.h>

#include "core/count/site.h"
#include "core/rules/opt.h"
#include "core/space/vm.h"
#include "preload/ground/ground.h"
#include "preload/heap/gmp_malloc.h"
#include "preload/heap/python.h"

#define MAX_FRAMES   32
#define SAMPLE_BYTES (512 << 10) /* of small blocks' memory, between two looks at the stack */

/* Whoever calls malloc on somebody's behalf is not the one we look for. */
static const char *const go_between[] = {"libc.so", "libstdc++.so", "ld-linux"};

static bool is_go_between(const struct link_map *module)
{
	const char *path = module->l_name, *slash = strrchr(path, '/'),
		   *name = slash ? slash + 1 : path;

	if (gmi_site_is_ours(module))
		return true;
	for (unsigned i = 0; i < GM_ARRAY_LEN(go_between); i++)
		if (!strncmp(name, go_between[i], strlen(go_between[i])))
			return true;
	return false;
}

#define MAX_BELOW_PYTHON 3 /* frames of an extension that Python has called: the innermost */
struct walk {
	uintptr_t pc[GM_SITE_FRAMES];
	unsigned n, seen;
};

/* Whether it pays to look for an interpreter above the frames that are kept: the program is one, or
 * has been seen to hold one. */
static bool has_python(bool seen)
{
	static _Atomic int has; /* 1: yes, -1: not so far */
	struct dl_find_object found;

	if (seen)
		atomic_store_explicit(&has, 1, memory_order_relaxed);
	if (!atomic_load_explicit(&has, memory_order_relaxed)) {
		bool is = !_dl_find_object((void *)getauxval(AT_ENTRY), &found) &&
			  gmp_python_is(found.dlfo_link_map);
		atomic_store_explicit(&has, is ? 1 : -1, memory_order_relaxed);
	}
	return atomic_load_explicit(&has, memory_order_relaxed) > 0;
}

/* An interpreter's own frames say nothing: what it interprets does. (The kernel is asked for them:
 * not in a process that has left.) */
static void add_python(struct walk *w, const struct link_map *interpreter)
{
	if (!gmp_on)
		return;
	unsigned below = gm_min(w->n, (unsigned)MAX_BELOW_PYTHON);
	unsigned n = gmp_python_frames(interpreter, &w->pc[below], GM_SITE_FRAMES - below);

	w->n = n ? below + n : w->n;
}

/* From the first frame that is nobody's go-between, up to what has called main. */
static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;
	struct dl_find_object found;
	uintptr_t pc = _Unwind_GetIP(context);

	if (!pc || ++w->seen > MAX_FRAMES)
		return _URC_END_OF_STACK;
	bool known = !_dl_find_object((void *)pc, &found);
	if (known && is_go_between(found.dlfo_link_map))
		return w->n ? _URC_END_OF_STACK : _URC_NO_REASON;
	if (known && gmp_python_is(found.dlfo_link_map)) {
		has_python(true);
		add_python(w, found.dlfo_link_map);
		if (w->n)
			return _URC_END_OF_STACK;
	}
	if (w->n < GM_SITE_FRAMES)
		w->pc[w->n++] = pc;
	return w->n < GM_SITE_FRAMES || has_python(false) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static unsigned call_site(void)
{
	struct walk w = {.n = 0};

	_Unwind_Backtrace(look_at_frame, &w);
	return gmi_site(w.pc, w.n);
}

unsigned gmp_callsite_of(const void *pc)
{
	struct walk w = {.pc = {(uintptr_t)pc}, .n = 1};
	struct dl_find_object found;

	if (gm_opt_reports() && !_dl_find_object((void *)w.pc[0], &found) &&
	    gmp_python_is(found.dlfo_link_map)) {
		w.n = 0;
		add_python(&w, found.dlfo_link_map);
		if (!w.n)
			w.n = 1;
	}
	return gmi_site(w.pc, w.n);
}

/* jemalloc 5.3's internal entries; it asserts the sizes itself. Returns p. */
static void *note_site(void *p, size_t bytes)
{
	if (p && gmp_on && bytes >= GM_BLOCK_BYTES && gm_opt_reports() && gmi_vm_contains(p))
		/* not noted: counted as "other" */
		gmi_vm_note_site(gmi_vm_space(), p, bytes, call_site());
	return p;
}

/*
 * Smaller blocks: the pages that jemalloc takes for them (slabs, and single blocks from 16 KiB on)
 * come through here, far off malloc's fast path. Locks of jemalloc may be held: the walk takes
 * none and allocates nothing.
 */
void gmp_callsite_sample(const void *p, size_t bytes)
{
	static __thread size_t since = SAMPLE_BYTES; /* the first one, too */

	since += bytes;
	if (since < SAMPLE_BYTES || !gmp_on || !gm_opt_reports() || !gmi_vm_contains(p))
		return;
	since = 0;
	gmi_vm_sample_site(gmi_vm_space(), p, call_site());
}

void *__real_je_large_malloc(void *tsdn, void *arena, size_t bytes, bool zero);
void *__wrap_je_large_malloc(void *tsdn, void *arena, size_t bytes, bool zero);
void *__wrap_je_large_malloc(void *tsdn, void *arena, size_t bytes, bool zero)
{
	return note_site(__real_je_large_malloc(tsdn, arena, bytes, zero), bytes);
}

void *__real_je_large_palloc(void *tsdn, void *arena, size_t bytes, size_t align, bool zero);
void *__wrap_je_large_palloc(void *tsdn, void *arena, size_t bytes, size_t align, bool zero);
void *__wrap_je_large_palloc(void *tsdn, void *arena, size_t bytes, size_t align, bool zero)
{
	return note_site(__real_je_large_palloc(tsdn, arena, bytes, align, zero), bytes);
}

void *__real_je_large_ralloc(void *tsdn, void *arena, void *p, size_t bytes, size_t align,
			     bool zero, void *tcache, void *hook);
void *__wrap_je_large_ralloc(void *tsdn, void *arena, void *p, size_t bytes, size_t align,
			     bool zero, void *tcache, void *hook);
void *__wrap_je_large_ralloc(void *tsdn, void *arena, void *p, size_t bytes, size_t align,
			     bool zero, void *tcache, void *hook)
{
	return note_site(__real_je_large_ralloc(tsdn, arena, p, bytes, align, zero, tcache, hook),
			 bytes);
}
