/*
 * mmap, munmap, mprotect, mremap and madvise on pages that a device may hold: named behaviours, and a
 * randomized comparison with a model that has neither devices nor blocks, only pages with a byte and rights.
 * (Without a device the same functions are compared with the kernel itself: test/e2e/mmap_contract.c.)
 */
#include "fake_dev.h"
#include "random.h"
#include "../../core/vm.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static struct gm_as *as;
static struct fake_dev dev;
static sigjmp_buf fault_env;
static volatile sig_atomic_t fault_expected;

static void on_fault(int sig)
{
	if (fault_expected)
		siglongjmp(fault_env, 1);
	signal(sig, SIG_DFL);
}

static void open_all(size_t page_bytes)
{
	struct sigaction sa = {.sa_handler = on_fault};
	if (!atomic_load(&gmi_active))
		sigaction(SIGSEGV, &sa, NULL); /* before a page leaves: core's handler chains to it */
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	gmi_opt.retain_bytes = 4 * MIB;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&dev, as, 32 * MIB, page_bytes, true);
}

static void close_all(void)
{
	fake_close(&dev);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static unsigned char *map(size_t bytes, int prot)
{
	void *p = gmi_vm_map(as, bytes, 0, prot, ANON, GM_REGION_ANON, 0);
	cr_assert(!gm_is_err(p));
	return p;
}

/* Pages first..first+n-1 of p, each with its number in the first byte, on the device. */
static unsigned char *away(size_t pages)
{
	unsigned char *p = map(pages * PAGE, RW);
	for (size_t i = 0; i < pages; i++)
		p[i * PAGE] = (unsigned char)(i + 1);
	cr_assert_eq(hmadvise(gm_dev_hnid(dev.dev), p, pages * PAGE, MADV_PREFETCH), 0);
	return p;
}

/* What the CPU may do with a page: -1 nothing, 0 read, 1 write. */
static int cpu_rights(volatile unsigned char *p)
{
	volatile int rights = -1;
	fault_expected = 1;
	if (sigsetjmp(fault_env, 1) == 0) {
		unsigned char c = *p;
		rights = 0;
		*p = c;
		rights = 1;
	}
	fault_expected = 0;
	return rights;
}

static void expect_bytes(unsigned char *p, size_t first, size_t end, int add)
{
	for (size_t i = first; i < end; i++)
		cr_assert_eq(p[i * PAGE], (unsigned char)(i + (size_t)add), "page %zu: %d", i, p[i * PAGE]);
}

Test(vm, partial_unmap_fault)
{
	for (size_t at = 0; at <= MIB; at += MIB / 2) {
		unsigned char c = 0;
		open_all(65536);
		unsigned char *p = away(512);
		size_t lo = at / PAGE, hi = lo + MIB / PAGE;
		cr_assert_eq(gmi_vm_unmap(as, p + at, MIB), 0);
		for (size_t i = 0; i < 512; i++) {
			bool gone = i >= lo && i < hi;
			cr_assert_eq(fake_read(&dev, p + i * PAGE, &c), gone ? -EFAULT : 0);
			cr_assert(gone || c == (unsigned char)(i + 1));
			cr_assert_eq(cpu_rights(p + i * PAGE), gone ? -1 : 1);
		}
		expect_bytes(p, 0, lo, 1);
		expect_bytes(p, hi, 512, 1);
		close_all();
	}
}

Test(vm, remap_fault)
{
	for (int flags = MREMAP_MAYMOVE; flags <= 7; flags += MREMAP_DONTUNMAP) {
		unsigned char c = 0;
		open_all(65536);
		unsigned char *p = away(700), *to = map(1000 * PAGE, PROT_NONE) + 3 * PAGE;
		cr_assert_eq(
			gmi_vm_remap(as, p + 50 * PAGE, 600 * PAGE, 600 * PAGE, flags | MREMAP_FIXED, to),
			to);
		for (size_t i = 0; i < 600; i += 7) {
			cr_assert_eq(fake_read(&dev, to + i * PAGE, &c), 0);
			cr_assert_eq(c, (unsigned char)(i + 51));
			cr_assert_eq(fake_read(&dev, p + (i + 50) * PAGE, &c),
				     flags & MREMAP_DONTUNMAP ? 0 : -EFAULT);
			cr_assert(!(flags & MREMAP_DONTUNMAP) || c == 0);
		}
		expect_bytes(p, 0, 50, 1);
		expect_bytes(p, 650, 700, 1);
		expect_bytes(to, 0, 600, 51);
		close_all();
	}
}

Test(vm, grow_and_shrink_on_the_device)
{
	open_all(65536);
	unsigned char *p = away(600);
	cr_assert_eq(gmi_vm_remap(as, p, 600 * PAGE, 1000 * PAGE, 0, NULL), p);
	unsigned char *q = map(PAGE, RW);
	expect_bytes(p, 0, 600, 1);
	cr_assert_eq(p[999 * PAGE], 0);
	cr_assert_eq(hmadvise(gm_dev_hnid(dev.dev), p, 1000 * PAGE, MADV_PREFETCH), 0);
	unsigned char *moved = gmi_vm_remap(as, p, 1000 * PAGE, 20000 * PAGE, MREMAP_MAYMOVE, NULL);
	cr_assert(!gm_is_err(moved));
	expect_bytes(moved, 0, 600, 1);
	cr_assert_eq(gmi_vm_remap(as, moved, 20000 * PAGE, 10 * PAGE, 0, NULL), moved);
	expect_bytes(moved, 0, 10, 1);
	cr_assert_eq(cpu_rights(moved + 10 * PAGE), -1);
	cr_assert_eq(q[0], 0);
	close_all();
}

Test(vm, huge_free)
{
	static const int advice[] = {MADV_DONTNEED, MADV_FREE};
	unsigned char c = 0;

	open_all(65536);
	for (int k = 0; k < 2; k++) {
		unsigned char *p = away(512);
		cr_assert_eq(gmi_vm_advise(as, p + PAGE, 510 * PAGE, advice[k]), 0);
		cr_assert_eq(fake_read(&dev, p + 100 * PAGE, &c), 0);
		cr_assert_eq(c, 0);
		cr_assert_eq(p[0], 1);
		cr_assert_eq(p[511 * PAGE], 0, "512 as a byte");
		for (size_t i = 1; i < 511; i++)
			cr_assert_eq(p[i * PAGE], 0);
	}
	close_all();
}

Test(vm, a_freed_block_leaves_the_device_without_a_copy)
{
	open_all(65536);
	unsigned char *p = away(512);
	uint64_t copied = gmi_stats->d2h_bytes, faults = gmi_stats->cpu_faults;
	gmi_vm_forget(as, p + 16 * PAGE + 1, 256 * PAGE);
	p[20 * PAGE] = 1;
	cr_assert_eq(gmi_stats->d2h_bytes, copied);
	cr_assert_eq(gmi_stats->cpu_faults, faults, "no fault: fresh memory");
	cr_assert_eq(p[16 * PAGE], 17, "a page that is only partly covered keeps its bytes");
	cr_assert_eq(p[17 * PAGE], 0);
	close_all();
}

Test(vm, foreign_memory_in_the_window_is_never_taken)
{
	unsigned char c = 0;

	open_all(65536);
	unsigned char *p = away(64);
	int fd = memfd_create("file", 0);
	cr_assert_eq(ftruncate(fd, (off_t)PAGE), 0);
	cr_assert_eq(gmi_vm_map_fixed(as, p + PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0, 0), p + PAGE);
	cr_assert_eq(fake_read(&dev, p + PAGE, &c), -EFAULT);
	cr_assert_eq(fake_read(&dev, p + 2 * PAGE, &c), 0);
	p[PAGE] = 77;
	cr_assert_eq(pread(fd, &c, 1, 0), 1);
	cr_assert_eq(c, 77);
	cr_assert_eq(gmi_vm_protect(as, p + 4 * PAGE, PAGE, RW | PROT_EXEC), 0);
	cr_assert_eq(p[4 * PAGE], 5);
	cr_assert_eq(fake_read(&dev, p + 4 * PAGE, &c), -EFAULT);
	cr_assert_eq(gmi_vm_protect(as, p + 4 * PAGE, PAGE, RW), 0);
	cr_assert_eq(fake_read(&dev, p + 4 * PAGE, &c), 0);
	cr_assert_eq(c, 5);
	cr_assert_eq(gmi_vm_advise(as, p + 6 * PAGE, PAGE, MADV_DONTFORK), 0);
	cr_assert_eq(fake_read(&dev, p + 6 * PAGE, &c), -EFAULT);
	cr_assert_eq(p[6 * PAGE], 7);
	close(fd);
	close_all();
}

Test(vm, failures_change_nothing)
{
	open_all(65536);
	unsigned char *p = away(64);
	cr_assert_eq(gm_err(gmi_vm_map_fixed(as, p + PAGE, PAGE, RW, MAP_PRIVATE | MAP_FIXED, 999, 0, 0)),
		     -EBADF);
	cr_assert_eq(gm_err(gmi_vm_map_fixed(as, p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0, 0)),
		     -EEXIST);
	cr_assert_eq(gm_err(gmi_vm_map(as, 300 * MIB, 0, RW, ANON, GM_REGION_ANON, 0)), -ENOMEM);
	cr_assert_eq(gm_err(gmi_vm_remap(as, p, 64 * PAGE, 80000 * PAGE, MREMAP_MAYMOVE, NULL)), -ENOMEM);
	cr_assert_eq(gm_err(gmi_vm_remap(as, p, 0, PAGE, MREMAP_MAYMOVE, NULL)), -EINVAL);
	cr_assert_eq(gmi_vm_advise(as, p, 64 * PAGE, MADV_REMOVE), -EINVAL);
	cr_assert_eq(gmi_vm_advise(as, p, 64 * PAGE, 9999), -EINVAL);
	expect_bytes(p, 0, 64, 1);
	close_all();
}

Test(vm, mincore_sees_pages_that_are_away)
{
	unsigned char vec[8];

	open_all(65536);
	unsigned char *p = map(32 * PAGE, RW);
	p[2 * PAGE] = 1;
	cr_assert_eq(gmi_vm_mincore(as, p, 8 * PAGE, vec), 0);
	cr_assert(!(vec[1] & 1) && (vec[2] & 1));
	cr_assert_eq(fake_write(&dev, p + 2 * PAGE, 4), 0);
	cr_assert_eq(gmi_vm_mincore(as, p, 8 * PAGE, vec), 0);
	cr_assert(vec[2] & 1);
	cr_assert_eq(gmi_vm_unmap(as, p + 4 * PAGE, PAGE), 0);
	cr_assert_eq(gmi_vm_mincore(as, p, 8 * PAGE, vec), -ENOMEM);
	cr_assert(!gmi_vm_covered(as, p, 8 * PAGE) && gmi_vm_covered(as, p, 4 * PAGE));
	close_all();
}

Test(vm, straddling_the_edge_of_the_window)
{
	open_all(65536);
	unsigned char *edge = (unsigned char *)as->base + as->bytes, *p = edge - 2 * PAGE;
	cr_assert_eq(gmi_vm_map_fixed(as, p, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0, 0), p);
	for (size_t i = 0; i < 4; i++)
		p[i * PAGE] = (unsigned char)(i + 1);
	cr_assert_eq(hmadvise(gm_dev_hnid(dev.dev), p, 2 * PAGE, MADV_PREFETCH), 0);
	cr_assert_eq(gm_err(gmi_vm_map_fixed(as, p, 4 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0, 0)),
		     -EEXIST);
	expect_bytes(p, 0, 4, 1);
	cr_assert_eq(gmi_vm_protect(as, p, 4 * PAGE, PROT_READ), 0);
	cr_assert_eq(cpu_rights(p + PAGE), 0);
	cr_assert_eq(cpu_rights(p + 2 * PAGE), 0);
	cr_assert_eq(gmi_vm_advise(as, p + PAGE, 2 * PAGE, MADV_DONTNEED), 0);
	cr_assert(p[0] == 1 && p[PAGE] == 0 && p[2 * PAGE] == 0 && p[3 * PAGE] == 4);
	cr_assert_eq(gmi_vm_unmap(as, p, 4 * PAGE), 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(cpu_rights(p + i * PAGE), -1);
	close_all();
}

static int taken_on_device;
static int refuse_some(void *pmap, uint64_t va, uint64_t len, int prot)
{
	return taken_on_device-- > 0 ? -EBUSY : 0;
}

Test(vm, an_address_taken_on_a_device_is_not_used)
{
	open_all(65536);
	unsigned char *first = map(PAGE, RW);
	dev.mmu.peer_va_alloc_fixed = refuse_some;
	taken_on_device = 9;
	unsigned char *p = map(PAGE, RW);
	cr_assert_gt(p, first + 8 * PAGE);
	taken_on_device = 10;
	cr_assert_eq(gm_err(gmi_vm_map(as, PAGE, 0, RW, ANON, GM_REGION_ANON, 0)), -EBUSY);
	taken_on_device = 0;
	close_all();
}

/* ---- the model ---- */

#define N 1500 /* pages: three blocks, the edges in the middle of one */
struct model_page {
	bool mapped, foreign;
	unsigned char prot, byte;
};
static struct model_page model[N], was[N];
static unsigned char *at;

struct span {
	unsigned lo, hi;
};
static struct span any_span(void)
{
	unsigned lo = rng_below(N), n = 1 + rng_below(rng_below(4) ? 20 : N);
	return (struct span){lo, gm_min(lo + n, (unsigned)N)};
}
static unsigned char *va(unsigned i)
{
	return at + i * PAGE;
}
static size_t bytes(struct span s)
{
	return (s.hi - s.lo) * PAGE;
}
static int any_prot(void)
{
	static const int prots[] = {PROT_NONE, PROT_READ, RW, RW, RW};
	return prots[rng_below(5)];
}
static bool hole_in(struct span s)
{
	for (unsigned i = s.lo; i < s.hi; i++)
		if (!model[i].mapped)
			return true;
	return false;
}

static void op_map(struct span s)
{
	bool foreign = rng_below(8) == 0;
	int prot = any_prot(), flags = foreign ? MAP_SHARED | MAP_ANONYMOUS : ANON;
	cr_assert_eq(gmi_vm_map_fixed(as, va(s.lo), bytes(s), prot, flags | MAP_FIXED, -1, 0, rng_below(2)),
		     va(s.lo));
	for (unsigned i = s.lo; i < s.hi; i++)
		model[i] =
			(struct model_page){.mapped = true, .foreign = foreign, .prot = (unsigned char)prot};
}

static void op_unmap(struct span s)
{
	cr_assert_eq(gmi_vm_unmap(as, va(s.lo), bytes(s)), 0);
	memset(&model[s.lo], 0, (s.hi - s.lo) * sizeof model[0]);
}

static void op_protect(struct span s)
{
	int prot = any_prot(), err = gmi_vm_protect(as, va(s.lo), bytes(s), prot);
	cr_assert_eq(err, hole_in(s) ? -ENOMEM : 0);
	for (unsigned i = s.lo; i < s.hi && model[i].mapped; i++)
		model[i].prot = (unsigned char)prot;
}

static void op_discard(struct span s)
{
	int err = gmi_vm_advise(as, va(s.lo), bytes(s), MADV_DONTNEED);
	cr_assert_eq(err, hole_in(s) ? -ENOMEM : 0);
	for (unsigned i = s.lo; i < s.hi; i++)
		if (!model[i].foreign) /* shared memory keeps its bytes */
			model[i].byte = 0;
}

static void op_hint(struct span s)
{
	static const int advice[] = {MADV_COLD, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_WILLNEED, MADV_PAGEOUT};
	gmi_vm_advise(as, va(s.lo), bytes(s), advice[rng_below(5)]);
}

static void op_remap(struct span s)
{
	struct span to = any_span();
	bool same = true, keep = rng_below(4) == 0;
	to.hi = to.lo + (s.hi - s.lo);
	if (to.hi > N || (to.lo < s.hi && s.lo < to.hi))
		return;
	for (unsigned i = s.lo; i < s.hi; i++)
		same &= model[i].mapped && !model[i].foreign && model[i].prot == model[s.lo].prot;
	if (!same)
		return;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);
	void *p = gmi_vm_remap(as, va(s.lo), bytes(s), bytes(s), flags, va(to.lo));
	cr_assert_eq(p, va(to.lo), "%d", gm_err(p));
	memcpy(was, model, sizeof was);
	memcpy(&model[to.lo], &was[s.lo], (s.hi - s.lo) * sizeof model[0]);
	for (unsigned i = s.lo; i < s.hi; i++)
		model[i] = keep ? (struct model_page){.mapped = true, .prot = was[i].prot}
				: (struct model_page){0};
}

static void op_prefetch(struct span s)
{
	hmadvise(rng_below(3) ? gm_dev_hnid(dev.dev) : -1, va(s.lo), bytes(s), MADV_PREFETCH);
}

static void op_device(struct span s)
{
	unsigned i = s.lo;
	unsigned char c = 0, v = (unsigned char)rng();
	bool read = model[i].mapped && !model[i].foreign && model[i].prot;
	int err = fake_read(&dev, va(i), &c);
	cr_assert_eq(err, read ? 0 : -EFAULT, "page %u: %d", i, err);
	cr_assert(!read || c == model[i].byte, "page %u: device sees %u, not %u", i, c, model[i].byte);
	err = fake_write(&dev, va(i), v);
	if (!err)
		model[i].byte = v;
	cr_assert_eq(err, !read ? -EFAULT : model[i].prot & PROT_WRITE ? 0 : -EPERM);
}

static void op_cpu(struct span s)
{
	for (unsigned i = s.lo; i < s.hi; i += 1 + rng_below(5))
		if (model[i].mapped && model[i].prot & PROT_WRITE)
			*va(i) = model[i].byte = (unsigned char)rng();
}

static void op_forget(struct span s)
{
	gmi_vm_forget(as, va(s.lo), bytes(s));
	for (unsigned i = s.lo; i < s.hi; i++) { /* old bytes or zeros: look which */
		unsigned char c = 0;
		if (!model[i].mapped || model[i].foreign || !model[i].prot) {
			continue;
		}
		cr_assert_eq(fake_read(&dev, va(i), &c), 0);
		cr_assert(c == 0 || c == model[i].byte);
		model[i].byte = c;
	}
}

static void check_all(void)
{
	for (unsigned i = 0; i < N; i++) {
		struct model_page *m = &model[i];
		int want = !m->mapped || !m->prot ? -1 : m->prot & PROT_WRITE ? 1 : 0;
		int have = cpu_rights(va(i));
		cr_assert_eq(have, want, "page %u: CPU rights %d, not %d", i, have, want);
		cr_assert(want < 0 || *va(i) == m->byte, "page %u: CPU sees %u, not %u", i, *va(i), m->byte);
	}
}

static void run_model(size_t page_bytes, int steps)
{
	static void (*const ops[])(struct span) = {op_map,    op_unmap,	 op_protect,  op_protect,  op_discard,
						   op_hint,   op_remap,	 op_prefetch, op_prefetch, op_device,
						   op_device, op_device, op_cpu,      op_cpu};
	rng_seed("vm");
	open_all(page_bytes);
	memset(model, 0, sizeof model);
	at = (unsigned char *)as->base + 8 * MIB + 100 * PAGE;
	op_map((struct span){0, N});
	for (int i = 0; i < steps; i++) {
		ops[rng_below(GM_ARRAY_LEN(ops))](any_span());
		if (rng_below(40) == 0)
			check_all();
	}
	check_all();
	close_all();
}

Test(vm, like_a_model_4k_pages)
{
	run_model(4096, 4000);
}
Test(vm, like_a_model_64k_pages)
{
	run_model(65536, 4000);
}
Test(vm, like_a_model_2m_pages)
{
	run_model(2 * MIB, 3000);
}

/* forget leaves PROT_NONE pages undefined until they are looked at; so it has a model run of its own, all
 * readable. */
Test(vm, forget_like_a_model)
{
	rng_seed("forget");
	open_all(65536);
	memset(model, 0, sizeof model);
	at = (unsigned char *)as->base + 8 * MIB + 100 * PAGE;
	cr_assert_eq(gmi_vm_map_fixed(as, at, N * PAGE, RW, ANON | MAP_FIXED, -1, 0, 0), at);
	for (unsigned i = 0; i < N; i++)
		model[i] = (struct model_page){.mapped = true, .prot = RW};
	static void (*const ops[])(struct span) = {op_forget, op_prefetch, op_device, op_cpu};
	for (int i = 0; i < 2000; i++)
		ops[rng_below(4)](any_span());
	check_all();
	close_all();
}
