/* vectors.c - how large the processor's registers are. See vectors.h. */
#include "core/sys/vectors.h"

#include <cpuid.h>

#define LEGACY_BYTES 576u /* x87, SSE, the header */
#define XSAVE_LEAF   0xd

/* Of what vectors_x86_64.S saves; 0: this processor or system has no xsave. */
uint32_t gmc_xsave_bytes __attribute__((visibility("hidden")));

void (*gmi_aside)(void (*fn)(void *), void *arg) = gmi_keep_vectors;

static uint32_t enabled(void)
{
	uint32_t lo, hi;

	__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return lo;
}

__attribute__((constructor(101))) static void measure(void)
{
	static const unsigned parts[] = {2, 5, 6, 7}; /* AVX, opmask, ZMM_Hi256, Hi16_ZMM */
	uint32_t a, b, c, d, bytes = LEGACY_BYTES;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return;
	const uint32_t on = enabled();
	for (unsigned i = 0; i < GM_ARRAY_LEN(parts); i++)
		if ((on >> parts[i] & 1) && __get_cpuid_count(XSAVE_LEAF, parts[i], &a, &b, &c, &d))
			bytes = gm_max(bytes, a + b);
	gmc_xsave_bytes = (uint32_t)gm_align_up(bytes, 64);
}
