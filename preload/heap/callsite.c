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
#include <unwind.h>

#include "core/rules/opt.h"
#include "core/space/vm.h"
#include "preload/ground/ground.h"
#include "preload/heap/gmp_malloc.h"

#define MAX_FRAMES 24

/* Whoever calls malloc on somebody's behalf is not the one we look for. */
static const char *const go_between[] = {"libgmem_preload.so", "libc.so", "libstdc++.so"};

static bool is_go_between(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	for (unsigned i = 0; i < GM_ARRAY_LEN(go_between); i++)
		if (!strncmp(name, go_between[i], strlen(go_between[i])))
			return true;
	return false;
}

struct walk {
	uintptr_t pc;
	unsigned frames;
};

static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;
	struct dl_find_object found;
	uintptr_t pc = _Unwind_GetIP(context);

	if (!pc || ++w->frames > MAX_FRAMES)
		return _URC_END_OF_STACK;
	if (!_dl_find_object((void *)pc, &found) && is_go_between(found.dlfo_link_map->l_name))
		return _URC_NO_REASON;
	w->pc = pc;
	return _URC_END_OF_STACK;
}

static uintptr_t call_site(void)
{
	struct walk w = {0};

	_Unwind_Backtrace(look_at_frame, &w);
	return w.pc;
}

/* jemalloc 5.3's internal entries; it asserts the sizes itself. Returns p. */
static void *note_site(void *p, size_t bytes)
{
	if (p && gmp_on && bytes >= GM_BLOCK_BYTES && gmi_opt.report != GM_REPORT_NONE &&
	    gmi_vm_contains(p))
		/* not noted: counted as "other" */
		gmi_vm_note_site(gmi_vm_space(), p, bytes, call_site());
	return p;
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
