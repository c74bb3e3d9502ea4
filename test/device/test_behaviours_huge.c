/* A device and mappings of 2 MiB and more: empty, zero, given back, split. */
#include "behaviour.h"

Behaviour(huge_empty)
{
	unsigned char *p = managed(2 * MIB);

	to_device(p, 2 * MIB);
	expect_all(p, 2 * MIB, GM_DEVICE);
	cr_expect(all_bytes(p, 0, 2 * MIB));
}

Behaviour(huge_zero)
{
	unsigned char *p = managed(2 * MIB);

	cr_assert(all_bytes(p, 0, 2 * MIB)); /* read: the kernel's zero page */
	to_device(p, 2 * MIB);
	expect_all(p, 2 * MIB, GM_DEVICE);
	cr_assert_eq(device_write(sim, p, 1, PAGE), 0);
	cr_expect(all_bytes(p, 1, PAGE));
	cr_expect(all_bytes(p + PAGE, 0, 2 * MIB - PAGE));
}

Behaviour(huge_free)
{
	unsigned char *p = managed(4 * MIB);

	memset(p, 5, 4 * MIB);
	to_device(p, 2 * MIB); /* one block away, one not */
	cr_assert_eq(gmi_vm_advise(gm_as_default(), p, 4 * MIB, MADV_FREE), 0);
	p[0] = 1;
	p[2 * MIB] = 1;
	to_device(p, 4 * MIB);
	cr_expect_eq(p[0], 1);
	cr_expect_eq(p[2 * MIB], 1);
	for (size_t i = PAGE; i < 4 * MIB; i += PAGE)
		cr_assert(p[i] == 0 || p[i] == 5 || i == 2 * MIB, "byte %zu is %u", i, p[i]);
}

Behaviour(huge_fault)
{
	unsigned char *p = managed(2 * MIB);

	fill(p, 0, 512, 0);
	cr_assert_eq(device_read(sim, p, 2 * MIB), 0);
	expect_device_sees(sim, p, 512, 0);
	expect_filled(p, 0, 512, 0);
}

Behaviour(partial_unmap_fault)
{
	static const size_t offset[] = {0, MIB / 2, MIB};

	for (int k = 0; k < 3; k++) {
		unsigned char *p = managed(2 * MIB);
		size_t first = offset[k] / PAGE, end = first + 256;
		fill(p, 0, 512, k);
		to_device(p, 2 * MIB);
		cr_assert_eq(gm_munmap(p + offset[k], MIB), 0);
		expect_filled(p, 0, first, k);
		expect_filled(p, end, 512, k);
		cr_expect_eq(device_read(sim, p + offset[k], PAGE), -EFAULT);
	}
}

Behaviour(remap_fault)
{
	static const size_t offset[] = {0, MIB / 2, MIB};
	static const int flags[] = {MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED,
				    MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */};
	struct gm_as *as = gm_as_default();

	for (int k = 0; k < 18; k++) {
		size_t off = offset[k % 3];
		int flag = flags[k / 3 % 3];
		bool before = k >= 9;
		unsigned char *p = managed(2 * MIB), *q = managed(2 * MIB),
			      *to = q + off % (2 * MIB);
		fill(p, 0, 512, k);
		if (before)
			to_device(p, 2 * MIB);
		size_t fixed = flag & MREMAP_FIXED ? MIB : 0;
		unsigned char *r = gmi_vm_remap(as, p + off, MIB, MIB, flag, fixed ? to : NULL);
		cr_assert_eq((uintptr_t)r >> 12 >> 50, 0, "case %d: error %ld", k, (long)r);
		if (!before)
			to_device(r, MIB);
		for (size_t i = 0; i < 256; i++)
			cr_assert(all_bytes(r + i * PAGE, (int)(off / PAGE + i + (size_t)k) & 255,
					    PAGE),
				  "case %d, page %zu", k, i);
		expect_filled(p, 0, off / PAGE, k);
		expect_filled(p, off / PAGE + 256, 512, k);
		cr_assert_eq(device_write(sim, r, 1, MIB), 0);
		cr_assert(all_bytes(r, 1, MIB));
	}
}
