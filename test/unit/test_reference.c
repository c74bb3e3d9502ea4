/*
 * The whole of core against memory that is nothing but an array: random reads, writes, mappings,
 * protections, moves, hints, copies, pins, forks, evictions, failing drivers and four devices,
 * one step at a time, everything compared. One device has the variant's pages and an aperture,
 * one 4 KiB pages and copies by its driver, one no memory, and one cannot fault either: it
 * reaches what is mapped for it.
 *
 * Once more where the two with memory have links: what one has the other copies, or uses in place.
 *
 * TEST_SEED repeats a run, TEST_STEPS makes it longer or shorter, TEST_TRACE=1 prints every
 * step.
 */
#include "core/entry/hold.h"
#include "core/space/vm.h"
#include "expect_fault.h"
#include "fake_dev.h"
#include "random.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#define PAGE  GM_PAGE_BYTES
#define MIB   ((size_t)1 << 20)
#define RW    (PROT_READ | PROT_WRITE)
#define ANON  (MAP_PRIVATE | MAP_ANONYMOUS)
#define N     1300 /* pages: parts of four blocks; more than either device has */
#define STEPS 350000
#define LOOK  64 /* bytes that one access of a device covers */

static struct gm_as *as;
static struct fake_dev dev[4];
/* the first so many; the one that cannot fault */
enum { FAULTING = 3, WITH_MEMORY = 2, HOLDER = 3 };
static unsigned char *at; /* of page 0 */
static const char *step_name;
static unsigned long step;
static bool trace, linked;

/* ---- the reference ---- */

static struct page {
	bool mapped, foreign;
	/* held: GM_PROT_* that gm_as_map gave to the device that cannot fault */
	unsigned char prot, held;
	unsigned nheld; /* how often */
} page[N], was[N];
static unsigned char bytes[N][GM_PAGE_BYTES], moved[N][GM_PAGE_BYTES];

struct span {
	unsigned lo, hi;
};

__attribute__((format(printf, 2, 3))) static void wrong(const char *what, const char *fmt, ...)
{
	char why[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	cr_assert_fail("step %lu, %s: not %s: %s", step, step_name, what, why);
}
#define expect(cond, ...) ((cond) ? (void)0 : wrong(#cond, __VA_ARGS__))

static unsigned char *va(unsigned i)
{
	return at + i * PAGE;
}
static size_t length(struct span s)
{
	return (s.hi - s.lo) * PAGE;
}
/* Short as a rule; long enough to cross blocks now and then. */
static struct span any_span(void)
{
	unsigned lo = rng_below(N), n = 1 + rng_below(rng_below(64) ? rng_below(4) ? 6 : 40 : N);

	return (struct span){lo, gm_min(lo + n, (unsigned)N)};
}
static bool readable(unsigned i)
{
	return page[i].mapped && page[i].prot;
}
static bool all(struct span s, bool (*test)(unsigned i))
{
	for (unsigned i = s.lo; i < s.hi; i++)
		if (!test(i))
			return false;
	return true;
}
static bool mapped(unsigned i)
{
	return page[i].mapped;
}
static bool ours(unsigned i)
{
	return page[i].mapped && !page[i].foreign;
}
static bool ours_readable(unsigned i)
{
	return ours(i) && page[i].prot;
}
static bool ours_writable(unsigned i)
{
	return ours(i) && page[i].prot & PROT_WRITE;
}
static void clear(struct span s)
{
	memset(bytes[s.lo], 0, length(s));
}

/* ---- what the CPU may do ---- */

/* -1 nothing, 0 read, 1 write. */
static int cpu_rights(volatile unsigned char *p)
{
	volatile int rights = -1;

	fault_expected = 1;
	if (!sigsetjmp(fault_env, 1)) {
		unsigned char c = *p;
		rights = 0;
		*p = c;
		rights = 1;
	}
	fault_expected = 0;
	return rights;
}

static void compare(unsigned i)
{
	expect(!memcmp(va(i), bytes[i], PAGE), "the CPU sees other bytes in page %u", i);
}

static void check_all(void)
{
	for (unsigned i = 0; i < N; i++) {
		int want = !readable(i)		       ? -1
			   : page[i].prot & PROT_WRITE ? 1
						       : 0,
		    have = cpu_rights(va(i));
		expect(have == want, "page %u: rights %d, not %d", i, have, want);
		if (want >= 0)
			compare(i);
	}
}

/* ---- steps: accesses ---- */

static void fill_random(unsigned char *p, size_t n)
{
	unsigned char v = (unsigned char)rng();

	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(v + i);
}

static void cpu_write(struct span s)
{
	for (unsigned i = s.lo; i < s.hi && i < s.lo + 8; i++) {
		unsigned first = rng_below(PAGE),
			 n = 1 + rng_below(gm_min(200u, (unsigned)PAGE - first));
		if (!(page[i].mapped && page[i].prot & PROT_WRITE))
			continue;
		fill_random(&bytes[i][first], n);
		memcpy(va(i) + first, &bytes[i][first], n);
	}
}

static void cpu_read(struct span s)
{
	for (unsigned i = s.lo; i < s.hi && i < s.lo + 8; i++)
		if (readable(i))
			compare(i);
}

static void cpu_touch(struct span s)
{
	int want = !readable(s.lo)		  ? -1
		   : page[s.lo].prot & PROT_WRITE ? 1
						  : 0,
	    have = cpu_rights(va(s.lo));

	expect(have == want, "page %u: rights %d, not %d", s.lo, have, want);
}

static void load(unsigned char *from, void *to)
{
	memcpy(to, from, LOOK);
}
static void store(unsigned char *to, void *from)
{
	memcpy(to, from, LOOK);
}

static void device_read(struct span s)
{
	struct fake_dev *d = &dev[rng_below(FAULTING)];

	for (unsigned i = s.lo; i < s.hi && i < s.lo + 8; i++) {
		unsigned char got[LOOK] = {0};
		unsigned first = rng_below(PAGE / LOOK) * LOOK;
		int err = fake_touch(d, va(i) + first, false, load, got);
		expect(err == (ours_readable(i) ? 0 : -EFAULT), "page %u: %d", i, err);
		expect(err || !memcmp(got, &bytes[i][first], LOOK),
		       "the device sees other bytes in page %u", i);
	}
}

static void device_write(struct span s)
{
	struct fake_dev *d = &dev[rng_below(FAULTING)];

	for (unsigned i = s.lo; i < s.hi && i < s.lo + 8; i++) {
		unsigned char put[LOOK];
		unsigned first = rng_below(PAGE / LOOK) * LOOK;
		fill_random(put, LOOK);
		int err = fake_touch(d, va(i) + first, true, store, put);
		expect(err == (ours_writable(i)	  ? 0
			       : ours_readable(i) ? -EPERM
						  : -EFAULT),
		       "page %u: %d", i, err);
		if (!err)
			memcpy(&bytes[i][first], put, LOOK);
	}
}

/* A system call is using the pages: they stay under the CPU's hands while a device comes to
 * them. */
static void pin_for_a_call(struct span s)
{
	unsigned i = s.lo;
	unsigned char put[LOOK];

	if (!ours_writable(i))
		return;
	fill_random(put, LOOK);
	unsigned token = gmi_hold(va(i), PAGE, true);
	expect(!fake_touch(&dev[rng_below(FAULTING)], va(i), true, store, put), "a pinned page");
	struct gm_page_info info;
	expect(!gm_query(va(i), PAGE, &info) && info.cpu == (GM_PROT_READ | GM_PROT_WRITE), "%u",
	       info.cpu);
	gmi_unhold(token);
	memcpy(bytes[i], put, LOOK);
	compare(i);
}

/* ---- steps: mappings ---- */

static int any_prot(void)
{
	static const int prots[] = {PROT_NONE, PROT_READ, RW, RW, RW, RW};

	return prots[rng_below(6)];
}

static void do_map(struct span s)
{
	bool foreign = rng_below(8) == 0;
	int prot = any_prot(), flags = (foreign ? MAP_SHARED | MAP_ANONYMOUS : ANON) | MAP_FIXED;
	void *p = gmi_vm_map_fixed(as, va(s.lo), length(s), prot, flags, -1, 0, rng_below(2));

	expect(p == va(s.lo), "%d", gm_err(p));
	clear(s);
	for (unsigned i = s.lo; i < s.hi; i++)
		page[i] = (struct page){
			.mapped = true, .foreign = foreign, .prot = (unsigned char)prot};
}

static void do_unmap(struct span s)
{
	expect(!gmi_vm_unmap(as, va(s.lo), length(s)), "it failed");
	clear(s);
	memset(&page[s.lo], 0, (s.hi - s.lo) * sizeof page[0]);
}

static void do_protect(struct span s)
{
	int prot = any_prot(), err = gmi_vm_protect(as, va(s.lo), length(s), prot);

	expect(err == (all(s, mapped) ? 0 : -ENOMEM), "%d", err);
	for (unsigned i = s.lo; i < s.hi && page[i].mapped; i++)
		page[i].prot = (unsigned char)prot;
}

static void do_remap(struct span s)
{
	struct span to = any_span();
	bool same = true, keep = rng_below(4) == 0;

	to.hi = to.lo + (s.hi - s.lo);
	for (unsigned i = s.lo; i < s.hi; i++)
		same &= ours(i) && page[i].prot == page[s.lo].prot;
	if (!same || to.hi > N || (to.lo < s.hi && s.lo < to.hi))
		return;
	if (trace)
		fprintf(stderr, "\tto %u, keep %d\n", to.lo, keep);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);
	void *p = gmi_vm_remap(as, va(s.lo), length(s), length(s), flags, va(to.lo));
	expect(p == va(to.lo), "%d", gm_err(p));
	memcpy(&was[s.lo], &page[s.lo], (s.hi - s.lo) * sizeof page[0]);
	memcpy(moved[s.lo], bytes[s.lo], length(s));
	clear(s);
	for (unsigned i = s.lo; i < s.hi; i++)
		page[i] = keep ? was[i] : (struct page){0};
	memcpy(&page[to.lo], &was[s.lo], (s.hi - s.lo) * sizeof page[0]);
	for (unsigned i = to.lo; i < to.hi; i++)
		page[i].held = page[i].nheld = 0;
	memcpy(bytes[to.lo], moved[s.lo], length(s));
}

static void do_dontneed(struct span s)
{
	int err = gmi_vm_advise(as, va(s.lo), length(s), MADV_DONTNEED);

	expect(err == (all(s, mapped) ? 0 : -ENOMEM), "%d", err);
	for (unsigned i = s.lo; i < s.hi; i++)
		if (!page[i].foreign) /* shared memory keeps its bytes */
			memset(bytes[i], 0, PAGE);
}

static void do_advise(struct span s)
{
	static const int advice[] = {MADV_COLD, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_WILLNEED,
				     MADV_PAGEOUT};

	gmi_vm_advise(as, va(s.lo), length(s), advice[rng_below(5)]);
}

/* A freed heap block: old bytes or zeros, and from the first look on only these. */
static void do_forget(struct span s)
{
	if (!all(s, ours_readable))
		return;
	gmi_vm_forget(as, va(s.lo), length(s));
	for (unsigned i = s.lo; i < s.hi; i++) {
		bool old = !memcmp(va(i), bytes[i], PAGE);
		if (!old)
			memset(bytes[i], 0, PAGE);
		compare(i);
	}
}

/* ---- steps: what GMEM adds ---- */

static int any_node(void)
{
	unsigned k = rng_below(3);

	return k == 2 ? -1 : gm_dev_hnid(dev[k].dev);
}

static void do_prefetch(struct span s)
{
	int err = hmadvise(any_node(), va(s.lo), length(s), MADV_PREFETCH);

	/* -EBUSY: some of it is pinned */
	expect(err == (all(s, mapped) ? 0 : -EFAULT) || err == -ENOSPC || err == -EBUSY, "%d", err);
}

static void do_hint(struct span s)
{
	static const int hints[] = {GM_MADV_READ_MOSTLY,	GM_MADV_UNSET_READ_MOSTLY,
				    GM_MADV_PREFERRED_LOCATION, GM_MADV_UNSET_PREFERRED_LOCATION,
				    GM_MADV_ACCESSED_BY,	GM_MADV_UNSET_ACCESSED_BY};

	hmadvise(any_node(), va(s.lo), length(s), hints[rng_below(6)]);
}

static void do_pin(struct span s)
{
	bool pin = rng_below(3) == 0;
	int err = hmadvise(-1, va(s.lo), length(s), pin ? GM_MADV_PINNED : GM_MADV_UNPINNED);

	expect(err == (all(s, mapped) ? 0 : -EFAULT), "%d", err);
}

static void do_discard(struct span s)
{
	int err = hmadvise(-1, va(s.lo), length(s), rng_below(2) ? GM_MADV_DISCARD : MADV_DONTNEED);

	expect(err == (all(s, mapped) ? 0 : -EFAULT), "%d", err);
	if (!err)
		for (unsigned i = s.lo; i < s.hi; i++)
			if (!page[i].foreign)
				memset(bytes[i], 0, PAGE);
}

static void do_copy(struct span s)
{
	struct span to = any_span();
	size_t skip = rng_below(PAGE), put = rng_below(PAGE), n = 1 + rng_below(3 * PAGE);

	s.hi = s.lo + (unsigned)((skip + n - 1) / PAGE) + 1;
	to.hi = to.lo + (unsigned)((put + n - 1) / PAGE) + 1;
	if (s.hi > N || to.hi > N || !all(s, ours_readable) || !all(to, ours_writable))
		return;
	if (trace)
		fprintf(stderr, "\t%u+%zu to %u+%zu: %zu bytes\n", s.lo, skip, to.lo, put, n);
	int err = hmemcpy(any_node(), va(to.lo) + put, va(s.lo) + skip, n);
	expect(!err, "%d", err);
	memmove(&bytes[to.lo][put], &bytes[s.lo][skip], n);
}

/* The query tells no lies about rights and brings nothing anywhere. */
static void do_query(struct span s)
{
	static struct gm_page_info info[N], again[N];

	expect(!gm_query(va(s.lo), length(s), info) && !gm_query(va(s.lo), length(s), again),
	       "it failed");
	for (unsigned i = s.lo; i < s.hi; i++) {
		struct gm_page_info *p = &info[i - s.lo];
		unsigned may =
			readable(i)
				? GM_PROT_READ | (page[i].prot & PROT_WRITE ? GM_PROT_WRITE : 0u)
				: 0;
		expect(!memcmp(p, &again[i - s.lo], sizeof *p), "page %u", i);
		expect(!ours(i) || (!(p->cpu & ~may) && !(p->device & ~may)), "page %u: %u, %u", i,
		       p->cpu, p->device);
	}
}

/* A driver's operation fails somewhere in a prefetch: whatever that says, no byte is lost. */
static void do_failing_prefetch(struct span s)
{
	static const int kinds[] = {GM_OP_MAP, GM_OP_COPY_IN, GM_OP_COPY_OUT, GM_OP_ZERO,
				    GM_OP_COPY_PEER};
	struct fake_dev *d = &dev[rng_below(WITH_MEMORY)];

	d->fail_after = (int)rng_below(3);
	d->fail_kind = kinds[rng_below(linked ? 5 : 4)];
	hmadvise(any_node(), va(s.lo), length(s), MADV_PREFETCH);
	d->fail_kind = -1;
	cpu_read(s);
}

/* ---- steps: a device that cannot fault ---- */

static void hold_map(struct span s)
{
	bool write = rng_below(2);
	int err = gm_as_map(as, dev[HOLDER].dev, va(s.lo), length(s),
			    GM_PROT_READ | (write ? GM_PROT_WRITE : 0));
	bool good = all(s, write ? ours_writable : ours_readable);

	expect(good ? !err : err == -EFAULT || (write && err == -EPERM), "%d", err);
	for (unsigned i = s.lo; i < s.hi && !err; i++) {
		page[i].held |= GM_PROT_READ | (write ? GM_PROT_WRITE : 0);
		page[i].nheld++;
	}
}

static void hold_unmap(struct span s)
{
	int err = gm_as_unmap(as, dev[HOLDER].dev, va(s.lo), length(s));

	expect(!err, "%d", err);
	for (unsigned i = s.lo; i < s.hi; i++)
		if (page[i].nheld && !--page[i].nheld)
			page[i].held = 0;
}

static void holder_read(struct span s)
{
	for (unsigned i = s.lo; i < s.hi && i < s.lo + 8; i++) {
		unsigned char got[LOOK] = {0};
		unsigned first = rng_below(PAGE / LOOK) * LOOK;
		int err = fake_touch(&dev[HOLDER], va(i) + first, false, load, got);
		expect(err == (ours_readable(i) && page[i].held ? 0 : -EFAULT), "page %u: %d", i,
		       err);
		expect(err || !memcmp(got, &bytes[i][first], LOOK),
		       "it sees other bytes in page %u", i);
	}
}

static void holder_write(struct span s)
{
	for (unsigned i = s.lo; i < s.hi && i < s.lo + 8; i++) {
		unsigned char put[LOOK];
		unsigned first = rng_below(PAGE / LOOK) * LOOK;
		fill_random(put, LOOK);
		int err = fake_touch(&dev[HOLDER], va(i) + first, true, store, put);
		int want = !ours_readable(i)		     ? -EFAULT
			   : !ours_writable(i)		     ? -EPERM
			   : !page[i].held		     ? -EFAULT
			   : !(page[i].held & GM_PROT_WRITE) ? -EPERM
							     : 0;
		expect(err == want, "page %u: %d, not %d", i, err, want);
		if (!err)
			memcpy(&bytes[i][first], put, LOOK);
	}
}

static void do_policy(struct span s)
{
	gmi_opt.prefetch = (enum gm_prefetch_kind)rng_below(3);
	gmi_opt.evict = (enum gm_evict_kind)rng_below(4);
	gmi_opt.retain_bytes = rng_below(3) * MIB;
	(void)s;
}

/* ---- steps: processes and devices come and go ---- */

/* The child has the parent's bytes and rights, and keeps what it writes to itself. */
static void do_fork(struct span s)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid) {
		for (unsigned i = 0; i < N; i++) {
			if (readable(i) && memcmp(va(i), bytes[i], PAGE) != 0)
				_exit(1);
			if (ours_writable(i))
				memset(va(i), 0xee, 1 + rng_below(PAGE));
		}
		for (unsigned i = s.lo; i < s.hi; i++)
			if (cpu_rights(va(i)) != (!readable(i)		      ? -1
						  : page[i].prot & PROT_WRITE ? 1
									      : 0))
				_exit(2);
		_exit(0);
	}
	expect(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "the child says %x", status);
	check_all();
}

static void open_device(unsigned k)
{
	if (k < WITH_MEMORY)
		fake_open(&dev[k], as, 4 * MIB, k ? PAGE : variant_page, k == 0);
	else
		fake_open_without(&dev[k], as, k == HOLDER ? 0 : GM_DEV_CAP_REPLAYABLE);
	for (unsigned i = 0; i < N && k == HOLDER; i++)
		page[i].held = page[i].nheld = 0;
	for (unsigned i = 0; linked && k < WITH_MEMORY && i < WITH_MEMORY; i++)
		if (i != k && dev[i].dev) {
			gm_dev_link(dev[k].dev, dev[i].dev, GM_PEER_COPY | GM_PEER_MAP);
			gm_dev_link(dev[i].dev, dev[k].dev, GM_PEER_COPY | GM_PEER_MAP);
		}
}

static void do_reopen(struct span s)
{
	unsigned k = rng_below(GM_ARRAY_LEN(dev));

	fake_close(&dev[k]); /* asserts that no entry is left */
	open_device(k);
	(void)s;
}

static void do_check_all(struct span s)
{
	check_all();
	(void)s;
}

/* Of so many steps in all, so many are of this kind. */
static const struct kind {
	const char *name;
	void (*fn)(struct span s);
	unsigned weight;
} kinds[] = {
	{"cpu write", cpu_write, 1200},
	{"cpu read", cpu_read, 1200},
	{"cpu touch", cpu_touch, 600},
	{"device read", device_read, 1200},
	{"device write", device_write, 1200},
	{"pin for a call", pin_for_a_call, 200},
	{"map", do_map, 300},
	{"unmap", do_unmap, 100},
	{"protect", do_protect, 500},
	{"remap", do_remap, 300},
	{"dontneed", do_dontneed, 200},
	{"advise", do_advise, 200},
	{"forget", do_forget, 200},
	{"prefetch", do_prefetch, 800},
	{"failing prefetch", do_failing_prefetch, 200},
	{"hint", do_hint, 300},
	{"pin", do_pin, 300},
	{"discard", do_discard, 200},
	{"copy", do_copy, 400},
	{"query", do_query, 200},
	{"hold", hold_map, 300},
	{"let go", hold_unmap, 200},
	{"holder reads", holder_read, 400},
	{"holder writes", holder_write, 400},
	{"policy", do_policy, 50},
	{"fork", do_fork, 4},
	{"reopen", do_reopen, 4},
	{"check all", do_check_all, 4},
};

static const struct kind *any_kind(void)
{
	unsigned total = 0, i = 0;

	for (unsigned k = 0; k < GM_ARRAY_LEN(kinds); k++)
		total += kinds[k].weight;
	for (unsigned n = rng_below(total); n >= kinds[i].weight; i++)
		n -= kinds[i].weight;
	return &kinds[i];
}

static unsigned long steps_to_do(void)
{
	const char *given = getenv("TEST_STEPS");

	return given ? strtoul(given, NULL, 0) : linked ? STEPS / 4 : STEPS;
}

static void run_steps(void)
{
	struct sigaction sa = {.sa_handler = on_fault};

	trace = getenv("TEST_TRACE") != NULL;
	rng_seed("reference");
	sigaction(SIGSEGV, &sa, NULL); /* before a page leaves: core's handler chains to it */
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	for (unsigned k = 0; k < GM_ARRAY_LEN(dev); k++)
		open_device(k);
	at = (unsigned char *)as->base + 8 * MIB + 100 * PAGE;
	step_name = "start";
	do_policy((struct span){0, 0});
	do_map((struct span){0, N});
	int err = hmadvise(gm_dev_hnid(dev[0].dev), at, N * PAGE, MADV_PREFETCH);
	/* before that pins are for nothing; the last pages are no whole device page */
	expect(!err || err == -EBUSY, "activation");
	for (step = 1; step <= steps_to_do(); step++) {
		const struct kind *k = any_kind();
		struct span s = any_span();
		step_name = k->name;
		if (trace)
			fprintf(stderr, "%lu %s %u..%u\n", step, k->name, s.lo, s.hi);
		k->fn(s);
	}
	check_all();
	for (unsigned k = 0; k < GM_ARRAY_LEN(dev); k++)
		fake_close(&dev[k]);
	cr_assert_eq(gm_as_destroy(as), 0);
}

Test(reference, memory_behaves_like_an_array)
{
	run_steps();
}

Test(reference, also_where_devices_have_links)
{
	linked = true;
	run_steps();
	if (variant_page == 2 * MIB)
		return; /* of which these spans have few or none */
	cr_assert_gt(gmi_stats->peer_bytes, 0);
	cr_assert_gt(gmi_stats->dev[0].peer_mapped_bytes + gmi_stats->dev[1].peer_mapped_bytes, 0);
}
