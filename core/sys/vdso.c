/*
 * vdso.c - the clock, read through the vDSO found by hand.
 *
 * libc's clock_gettime would do the same, but it is a symbol that programs and other preloads
 * (libfaketime) replace, and the fault path reads the clock. Before the constructor ran, and
 * where there is no vDSO, a system call serves.
 */
#include "core/sys/dynamic.h"
#include "core/sys/sys.h"
#include "core/sys/text.h"
#include <sys/auxv.h>
#include <time.h>

typedef int clock_fn(clockid_t clock, struct timespec *ts);
static clock_fn *_Atomic vdso_clock;

static uint32_t count_symbols(const uint32_t *hash, const uint32_t *gnu)
{
	if (hash)
		return hash[1];
	if (!gnu)
		return 0;
	uint32_t nbucket = gnu[0], base = gnu[1], last = 0;
	const uint32_t *bucket = gnu + 4 + gnu[2] * 2,
		       *chain = bucket + nbucket; /* bloom words are 64 bits */
	for (uint32_t i = 0; i < nbucket; i++)
		last = gm_max(last, bucket[i]);
	if (last < base)
		return base;
	while (!(chain[last - base] & 1))
		last++;
	return last + 1;
}

static clock_fn *find_clock(uintptr_t image)
{
	const ElfW(Ehdr) *eh = (const void *)image;
	const ElfW(Phdr) *ph = (const void *)(image + eh->e_phoff);
	const ElfW(Dyn) *dyn = NULL;
	uintptr_t bias = 0;

	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && !bias)
			bias = image + ph[i].p_offset - ph[i].p_vaddr;
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(image + ph[i].p_offset);
	}
	struct gm_dynamic m = gm_dynamic_of(dyn, bias);
	uint32_t n = m.symbols && m.names ? count_symbols(m.hash, m.gnu) : 0;
	for (uint32_t k = 0; k < n; k++)
		if (m.symbols[k].st_shndx != SHN_UNDEF &&
		    gm_text_same(m.names + m.symbols[k].st_name, "__vdso_clock_gettime"))
			return (clock_fn *)(bias + m.symbols[k].st_value);
	return NULL;
}

__attribute__((constructor)) static void init(void)
{
	uintptr_t image = getauxval(AT_SYSINFO_EHDR);

	if (image)
		atomic_store_explicit(&vdso_clock, find_clock(image), memory_order_release);
}

uint64_t gmi_now_ns(void)
{
	struct timespec ts = {0, 0};
	clock_fn *clock = atomic_load_explicit(&vdso_clock, memory_order_acquire);

	if (!clock || clock(CLOCK_MONOTONIC, &ts) != 0)
		gm_sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
