/*
 * More than one: devices in a space, spaces of a process, one device in several spaces; and the
 * three modes of attachment.
 */
#include "core/space/vm.h"
#include "core/page/activate.h"
#include "fake_dev.h"
#include <sched.h>
#include <sys/wait.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)

static struct gm_as *as;

static unsigned char *map(struct gm_as *in, size_t bytes)
{
	void *p = gm_mmap(in, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static struct gm_page_info query(void *p)
{
	struct gm_page_info info;
	cr_assert_eq(gm_query(p, PAGE, &info), 0);
	return info;
}

static unsigned char device_read(struct fake_dev *f, void *p)
{
	unsigned char c = 0;

	cr_assert_eq(fake_read(f, p, &c), 0);
	return c;
}

static void setup(void)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	gmi_opt.retain_bytes = MIB;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
}

Test(devices, a_page_migrates_between_two_devices, .init = setup)
{
	struct fake_dev a, b;
	fake_open(&a, as, 8 * MIB, 65536, true);
	fake_open(&b, as, 8 * MIB, 4096, false); /* another page size, no aperture */
	unsigned char *p = map(as, MIB);
	for (size_t i = 0; i < MIB; i += PAGE)
		p[i] = (unsigned char)(i / PAGE);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < MIB; i += PAGE) {
			unsigned char v = (unsigned char)(i / PAGE + 2 * (size_t)round);
			cr_assert_eq(device_read(&a, p + i), v);
			cr_assert_eq(query(p + i).hnid, gm_dev_hnid(a.dev));
			cr_assert_eq(fake_write(&a, p + i, (unsigned char)(v + 1)), 0);
			cr_assert_eq(device_read(&b, p + i), (unsigned char)(v + 1));
			cr_assert_eq(query(p + i).hnid, gm_dev_hnid(b.dev));
			cr_assert_eq(query(p + i).where, GM_DEVICE);
			cr_assert_eq(fake_write(&b, p + i, (unsigned char)(v + 2)), 0);
		}
	for (size_t i = 0; i < MIB; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(i / PAGE + 6));
	fake_close(&a);
	fake_close(&b);
	cr_assert_eq(gm_as_destroy(as), 0);
}

Test(devices, double_map, .init = setup)
{
	struct fake_dev a, b;
	fake_open(&a, as, 8 * MIB, 65536, true);
	fake_open(&b, as, 8 * MIB, 65536, true);
	unsigned char *p = map(as, MIB);
	memset(p, 3, MIB);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_READ_MOSTLY), 0);
	cr_assert_eq(device_read(&a, p), 3);
	cr_assert_eq(device_read(&b, p), 3);
	cr_assert_eq(query(p).where, GM_DUP);
	unsigned faults = a.faults + b.faults;
	cr_assert_eq(device_read(&a, p), 3);
	cr_assert_eq(device_read(&b, p), 3);
	cr_assert_eq(a.faults + b.faults, faults, "both read their own copies");
	cr_assert_eq(fake_write(&a, p, 4), 0);
	cr_assert_eq(query(p).where, GM_DEVICE);
	cr_assert_eq(device_read(&b, p), 4);
	cr_assert_eq(p[0], 4);
	fake_close(&a);
	fake_close(&b);
}

/* A page that a device in this mode has read, and was in that place then, and has written. */
static unsigned char *read_then_written(struct fake_dev *f, enum gm_mmu_mode mode,
					enum gm_where place)
{
	fake_open_mode(f, as, 8 * MIB, 65536, true, mode);
	unsigned char *p = map(as, MIB);
	p[0] = 1;
	cr_assert_eq(device_read(f, p), 1);
	cr_assert_eq(query(p).where, place);
	cr_assert_eq(fake_write(f, p, 2), 0);
	return p;
}

Test(devices, mode_share_leaves_pages_on_the_host, .init = setup)
{
	struct fake_dev f;
	unsigned char *p = read_then_written(&f, GM_MMU_MODE_SHARE, GM_REMOTE);
	uint64_t faults = gmi_stats->cpu_faults;
	cr_assert_eq(p[0], 2);
	p[0] = 3;
	cr_assert_eq(gmi_stats->cpu_faults, faults);
	cr_assert_eq(device_read(&f, p), 3);
	fake_close(&f);
}

Test(devices, mode_replicate_gives_readers_copies, .init = setup)
{
	struct fake_dev f;
	unsigned char *p = read_then_written(&f, GM_MMU_MODE_REPLICATE, GM_DUP);
	cr_assert_eq(query(p).where, GM_DEVICE);
	cr_assert_eq(*(volatile unsigned char *)p, 2);
	cr_assert_eq(query(p).where, GM_DUP, "the CPU's read is a reader's too");
	p[0] = 3;
	cr_assert_eq(query(p).where, GM_HOST);
	cr_assert_eq(device_read(&f, p), 3);
	fake_close(&f);
}

Test(devices, spaces_are_independent)
{
	struct gm_as *one, *two;
	struct fake_dev a, b;
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &one), 0);
	cr_assert_eq(gm_as_create(0, 64 * MIB, &two), 0);
	fake_open(&a, one, 8 * MIB, 65536, true);
	fake_open(&b, two, 8 * MIB, 65536, true);
	unsigned char *p = map(one, MIB), *q = map(two, MIB), c;
	cr_assert_eq(gm_as_of(p), one);
	cr_assert_eq(gm_as_of(q), two);
	memset(p, 1, MIB);
	memset(q, 2, MIB);
	cr_assert_eq(device_read(&a, p), 1);
	cr_assert_eq(device_read(&b, q), 2);
	cr_assert_eq(gm_dev_fault(one, (uintptr_t)q, a.dev, GM_HINT_READ), -EFAULT);
	cr_assert_eq(gm_dev_fault(two, (uintptr_t)q, a.dev, GM_HINT_READ), -EINVAL,
		     "not attached there");
	(void)c;
	cr_assert_eq(p[1], 1);
	cr_assert_eq(q[1], 2);
	fake_close(&a);
	cr_assert_eq(gm_as_destroy(one), 0);
	cr_assert_eq(device_read(&b, q), 2, "the other space lives on");
	fake_close(&b);
	cr_assert_eq(gm_as_destroy(two), 0);
}

/* ---- addresses ---- */

static void open_with_addresses(struct fake_dev *f, uint64_t lo, uint64_t hi)
{
	fake_open(f, as, 8 * MIB, 4096, true);
	cr_assert_eq(gm_as_detach(as, f->dev), 0);
	f->reserved = calloc(as->bytes / PAGE, 1);
	f->taken_lo = lo;
	f->taken_hi = hi;
	f->mmu.peer_va_alloc_fixed = fake_va_alloc;
	f->mmu.peer_va_free = fake_va_free;
}

static size_t reserved(const struct fake_dev *f)
{
	size_t n = 0;

	for (size_t i = 0; i < as->bytes / PAGE; i++)
		n += f->reserved[i];
	return n;
}

Test(devices, va_conflict_tries_another_address_and_rolls_back, .init = setup)
{
	struct fake_dev a, b;
	open_with_addresses(&a, 0, 0);
	/* all but the first page of 8 MiB */
	open_with_addresses(&b, as->base + PAGE, as->base + 8 * MIB);
	cr_assert_eq(gm_as_attach(as, a.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_assert_eq(gm_as_attach(as, b.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	unsigned char *p = map(as, PAGE);
	cr_assert_eq((uintptr_t)p, as->base);
	unsigned char *q = map(as, PAGE);
	cr_assert_geq((uintptr_t)q, as->base + 8 * MIB);
	cr_assert_gt(b.asked, 2, "it was asked again");
	cr_assert_leq(b.asked, 11, "at most ten times");
	cr_assert_eq(reserved(&a), 2, "what b refused was given back by a");
	cr_assert_eq(reserved(&b), 2);
	q[0] = 1;
	cr_assert_eq(device_read(&b, q), 1);

	/* A fixed address has no other one. */
	void *r = gm_mmap(as, p + MIB, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			  0);
	cr_assert_eq(r, MAP_FAILED);
	cr_assert_eq(errno, EBUSY);
	cr_assert_eq(reserved(&a), 2);
	/* In place of what is there, and with a gap between: only the gap is new. */
	unsigned char *s = map(as, 4 * PAGE);
	cr_assert_eq(gm_munmap(s + PAGE, PAGE), 0);
	cr_assert_eq(reserved(&b), 5);
	r = gm_mmap(as, s, 4 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	cr_assert_eq(r, s);
	cr_assert_eq(reserved(&b), 6);
	/* mremap: to a place that all have, not into b's. */
	r = gm_mremap(s, 4 * PAGE, 6 * MIB, MREMAP_MAYMOVE, NULL);
	cr_assert_neq(r, MAP_FAILED);
	cr_assert_geq((uintptr_t)r, as->base + 8 * MIB);
	cr_assert_eq(reserved(&b), 2 + 6 * MIB / PAGE);
	cr_assert_eq(gm_mremap(r, 6 * MIB, 6 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, p + MIB),
		     MAP_FAILED);
	cr_assert_eq(errno, EBUSY);
	cr_assert_eq(reserved(&a), 2 + 6 * MIB / PAGE);
	/* munmap over everything, holes included. */
	cr_assert_eq(gm_munmap((void *)as->base, as->bytes), 0);
	cr_assert_eq(reserved(&a) + reserved(&b), 0);
	fake_close(&a);
	fake_close(&b);
}

Test(devices, va_conflict_everywhere_is_an_error, .init = setup)
{
	struct fake_dev a, b;
	open_with_addresses(&a, 0, 0);
	open_with_addresses(&b, as->base, as->base + as->bytes);
	cr_assert_eq(gm_as_attach(as, a.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_assert_eq(gm_as_attach(as, b.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_assert_eq(gm_mmap(as, NULL, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		     MAP_FAILED);
	cr_assert_eq(errno, ENOMEM);
	cr_assert_eq(b.asked, 10);
	cr_assert_eq(reserved(&a), 0);
	fake_close(&a);
	fake_close(&b);
}

Test(devices, a_device_joins_only_where_it_has_nothing_else, .init = setup)
{
	struct fake_dev a;
	unsigned char *p = map(as, MIB), *q = map(as, 3 * MIB);
	open_with_addresses(&a, (uintptr_t)q + MIB, (uintptr_t)q + MIB + PAGE);
	cr_assert_eq(gm_as_attach(as, a.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), -EBUSY);
	cr_assert_eq(reserved(&a), 0, "rolled back");
	cr_assert_eq(gm_as_detach(as, a.dev), -ENOENT);
	cr_assert_eq(gm_munmap(q + MIB, PAGE), 0);
	cr_assert_eq(gm_as_attach(as, a.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_assert_eq(reserved(&a), 4 * MIB / PAGE - 1);
	p[0] = 1;
	cr_assert_eq(device_read(&a, p), 1);
	fake_close(&a);
}

/* ---- leaving ---- */

struct toucher {
	struct fake_dev *dev;
	unsigned char *p;
	_Atomic unsigned done;
};

/* Writes to random pages until the device is gone from the space. */
static void *keep_touching(void *arg)
{
	struct toucher *t = arg;
	uint64_t x = 88172645463325252u;

	for (;;) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		uintptr_t va = (uintptr_t)t->p + x % (4 * MIB);
		int err = gm_dev_fault(as, va, t->dev->dev,
				       x >> 60 & 1 ? GM_HINT_WRITE : GM_HINT_READ);
		if (err && err != -EAGAIN) {
			cr_assert(err == -EINVAL || err == -ENODEV, "%d", err);
			return NULL;
		}
		t->done++;
	}
}

/* ---- the first page leaves ---- */

static _Atomic int hook_calls;
static _Atomic bool hook_runs, hook_done, too_early;
static int slow_hook(void)
{
	hook_calls++;
	hook_runs = true;
	usleep(20000); /* what is too early has time to happen */
	hook_done = true;
	return 0;
}

static void *second_fault(void *arg)
{
	struct toucher *t = arg;

	while (!hook_runs)
		sched_yield();
	gm_dev_fault(as, (uintptr_t)t->p + PAGE, t->dev->dev, GM_HINT_WRITE);
	too_early = !hook_done;
	return NULL;
}

Test(devices, no_page_leaves_before_every_thread_is_ready, .init = setup)
{
	struct fake_dev a;
	unsigned char *p = map(as, MIB);
	struct toucher t = {.dev = &a, .p = p};
	pthread_t thread;
	fake_open(&a, as, 8 * MIB, 4096, true);
	gmi_activate_hook = slow_hook;
	gmi_active = GM_INACTIVE;
	pthread_create(&thread, NULL, second_fault, &t);
	cr_assert_eq(gm_dev_fault(as, (uintptr_t)p, a.dev, GM_HINT_WRITE), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(hook_calls, 1);
	cr_assert_not(too_early);
	cr_assert_eq(gm_as_detach(as, a.dev), 0);
	cr_assert_eq(gm_dev_destroy(a.dev), 0);
}

/* Pinning moves pages into the host store: a CPU thread that writes meanwhile must find a
 * handler. */
Test(devices, pinning_is_not_before_every_thread_is_ready, .init = setup)
{
	struct fake_dev a;
	unsigned char *p = map(as, MIB);
	fake_open(&a, as, 8 * MIB, 4096, true);
	memset(p, 3, MIB);
	cr_assert_eq(gmi_active, GM_INACTIVE);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_PINNED), 0);
	cr_assert_eq(gmi_active, GM_ACTIVE);
	cr_assert_eq(p[MIB - 1], 3);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_UNPINNED), 0);
	fake_close(&a);
}

/* ---- a device goes while it is in use ---- */

Test(devices, detach_while_in_use, .init = setup, .timeout = 60)
{
	struct fake_dev a, b;
	unsigned char *p = map(as, 4 * MIB);
	fake_open(&b, as, 8 * MIB, 4096, false);
	for (int round = 0; round < 20; round++) {
		struct toucher t[2] = {{.dev = &a, .p = p}, {.dev = &a, .p = p}};
		pthread_t thread[2];
		fake_open(&a, as, 2 * MIB, 4096, true); /* half of what is touched: evictions too */
		for (size_t i = 0; i < 4 * MIB; i += PAGE)
			*(size_t *)(p + i) = i + (size_t)round;
		for (int i = 0; i < 2; i++)
			pthread_create(&thread[i], NULL, keep_touching, &t[i]);
		while (t[0].done < 100u * (unsigned)round || t[1].done < 10)
			sched_yield();
		cr_assert_eq(gm_as_detach(as, a.dev), 0);
		for (int i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		for (size_t i = 0; i < 4 * MIB; i += PAGE)
			cr_assert_eq(*(size_t *)(p + i), i + (size_t)round, "nothing is lost");
		cr_assert_eq(gm_dev_unregister_physmem(a.dev, gm_dev_hnid(a.dev)), 0);
		cr_assert_eq(gm_dev_destroy(a.dev), 0);
		munmap(a.mem, a.mem_bytes);
	}
	fake_close(&b);
}

Test(devices, memory_taken_back_while_in_use, .init = setup, .timeout = 60)
{
	struct fake_dev a;
	unsigned char *p = map(as, 4 * MIB);
	struct toucher t = {.dev = &a, .p = p};
	pthread_t thread;
	fake_open(&a, as, 8 * MIB, 65536, true);
	for (size_t i = 0; i < 4 * MIB; i += PAGE)
		*(size_t *)(p + i) = i;
	pthread_create(&thread, NULL, keep_touching, &t);
	while (t.done < 1000)
		sched_yield();
	int hnid = gm_dev_hnid(a.dev);
	cr_assert_eq(gm_is_hnode(hnid), 1);
	cr_assert_eq(gm_get_hnode(hnid), a.dev);
	cr_assert_eq(gm_dev_unregister_physmem(a.dev, hnid), 0);
	cr_assert_eq(gm_is_hnode(hnid), 0);
	cr_assert_null(gm_get_hnode(hnid));
	unsigned then = t.done;
	while (t.done < then + 1000) /* it goes on with the host's memory */
		sched_yield();
	unsigned char c = 0;
	cr_assert_eq(fake_read(&a, p + 3 * PAGE, &c), 0);
	cr_assert_eq(query(p + 3 * PAGE).where, GM_REMOTE);
	cr_assert_eq(gm_as_detach(as, a.dev), 0);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < 4 * MIB; i += PAGE)
		cr_assert_eq(*(size_t *)(p + i), i);
	cr_assert_eq(gm_dev_destroy(a.dev), 0);
}

/* ---- one device in several spaces ---- */

/* fake_dev has one page table; a second space gets a second one over the same memory. */
static struct fake_dev *two_tables;
static int fake_pmap_two(void *data, struct gm_as *space, void **pmap)
{
	return fake_pmap_create(two_tables++, space, pmap);
}

Test(devices, one_device_in_several_spaces, .init = setup)
{
	struct gm_as *two;
	struct fake_dev a;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &two), 0);
	fake_open(&a, as, 4 * MIB, 4096, true);
	struct fake_dev first = a; /* the table of the first space */
	unsigned char *p = map(as, 3 * MIB), *q = map(two, 3 * MIB);
	cr_assert_eq(gm_as_detach(as, a.dev), 0);

	struct fake_dev table[2] = {first, first};
	struct gm_mmu mmu = a.mmu;
	mmu.pmap_create = fake_pmap_two;
	two_tables = table;
	struct gm_dev *dev;
	cr_assert_eq(gm_dev_create(&mmu, &a, GM_DEV_CAP_REPLAYABLE | GM_DEV_CAP_PEER, &dev), 0);
	cr_assert_eq(gm_dev_register_physmem(dev, 0, 4 * MIB), 0);
	cr_assert_eq(gm_as_attach(as, dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_assert_eq(gm_as_attach(two, dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	table[0].dev = table[1].dev = dev;
	/* Together more than its memory: one space's pages make room for the other's. */
	for (size_t i = 0; i < 3 * MIB; i += PAGE) {
		cr_assert_eq(fake_write(&table[0], p + i, (unsigned char)(i / PAGE)), 0);
		cr_assert_eq(fake_write(&table[1], q + i, (unsigned char)(i / PAGE + 1)), 0);
	}
	struct gm_hnode_info info;
	cr_assert_eq(gm_query_hnode(gm_dev_hnid(dev), &info), 0);
	cr_assert_eq(info.attached, 2);
	cr_assert_eq(info.total_bytes, 4 * MIB);
	cr_assert_gt(info.evicted_bytes, 0);
	cr_assert_gt(info.used_bytes, 0);
	cr_assert_eq(gm_query_hnode(4711, &info), -ENODEV);
	for (size_t i = 0; i < 3 * MIB; i += PAGE) {
		cr_assert_eq(device_read(&table[0], p + i), (unsigned char)(i / PAGE));
		cr_assert_eq(device_read(&table[1], q + i), (unsigned char)(i / PAGE + 1));
	}
	cr_assert_eq(gm_as_detach(as, dev), 0);
	for (size_t i = 0; i < 3 * MIB; i += PAGE) {
		cr_assert_eq(p[i], (unsigned char)(i / PAGE));
		cr_assert_eq(device_read(&table[1], q + i), (unsigned char)(i / PAGE + 1));
	}
	cr_assert_eq(gm_dev_destroy(dev), -EBUSY);
	cr_assert_eq(gm_as_destroy(two), -EBUSY);
	cr_assert_eq(gm_as_detach(two, dev), 0);
	for (size_t i = 0; i < 3 * MIB; i += PAGE)
		cr_assert_eq(q[i], (unsigned char)(i / PAGE + 1));
	cr_assert_eq(gm_as_destroy(two), 0);
	cr_assert_eq(gm_dev_destroy(dev), 0);
}

/* ---- devices that work on the host's memory ---- */

Test(devices, a_device_without_memory_works_remotely, .init = setup)
{
	struct fake_dev f, g;
	fake_open_without(&f, as, GM_DEV_CAP_REPLAYABLE);
	fake_open(&g, as, 2 * MIB, 4096, false);
	unsigned char *p = map(as, MIB);
	for (size_t i = 0; i < MIB; i += PAGE)
		p[i] = (unsigned char)(i / PAGE);
	for (size_t i = 0; i < MIB; i += PAGE) {
		cr_assert_eq(device_read(&f, p + i), (unsigned char)(i / PAGE));
		cr_assert_eq(fake_write(&f, p + i, (unsigned char)(i / PAGE + 1)), 0);
		cr_assert_eq(query(p + i).where, GM_REMOTE);
		cr_assert_eq(p[i], (unsigned char)(i / PAGE + 1));
	}
	/* away to a device that has memory, and asked for again */
	cr_assert_eq(fake_write(&g, p, 99), 0);
	cr_assert_eq(query(p).where, GM_DEVICE);
	cr_assert_eq(device_read(&f, p), 99);
	cr_assert_eq(query(p).where, GM_REMOTE);
	fake_close(&f);
	fake_close(&g);
}

/* A device that cannot fault, and one that can; 3 MiB of 4 are mapped to the first. */
static struct fake_dev cannot, can;
static unsigned char *premapped;

static void premap(void)
{
	setup();
	fake_open_without(&cannot, as, 0);
	fake_open(&can, as, 2 * MIB, 4096, false);
	unsigned char *p = premapped = map(as, 4 * MIB), c = 0;
	for (size_t i = 0; i < 4 * MIB; i += PAGE)
		p[i] = (unsigned char)(i / PAGE);
	cr_assert_eq(fake_read(&cannot, p, &c), -EFAULT);
	cr_assert_eq(fake_write(&can, p + PAGE, 7), 0); /* one page is away */
	cr_assert_eq(gm_as_map(as, cannot.dev, p, 2 * MIB, GM_PROT_READ | GM_PROT_WRITE), 0);
	cr_assert_eq(gm_as_map(as, cannot.dev, p + 2 * MIB, MIB, GM_PROT_READ), 0);
}

static void close_both(void)
{
	fake_close(&cannot);
	fake_close(&can);
}

Test(devices, a_device_that_cannot_fault_reaches_what_is_mapped, .init = premap, .fini = close_both)
{
	unsigned char *p = premapped, c = 0;
	unsigned faults = cannot.faults;

	for (size_t i = 0; i < 3 * MIB; i += PAGE)
		cr_assert_eq(device_read(&cannot, p + i),
			     i == PAGE ? 7 : (unsigned char)(i / PAGE));
	cr_assert_eq(cannot.faults, faults, "nothing had to be asked for");
	cr_assert_eq(fake_write(&cannot, p, 5), 0);
	cr_assert_eq(p[0], 5);
	cr_assert_eq(fake_write(&cannot, p + 2 * MIB, 5), -EPERM);
	cr_assert_eq(fake_read(&cannot, p + 3 * MIB, &c), -EFAULT);
}

/* Another device's touch, an explicit prefetch, fork, lost rights and back. */
Test(devices, nothing_takes_premapped_entries_away, .init = premap, .fini = close_both)
{
	unsigned char *p = premapped;

	cr_assert_eq(fake_write(&cannot, p, 5), 0);
	cr_assert_eq(fake_write(&can, p, 6), 0);
	cr_assert_eq(query(p).where, GM_REMOTE);
	cr_assert_eq(hmadvise(gm_dev_hnid(can.dev), p, MIB, MADV_PREFETCH), -EBUSY);
	cr_assert_eq(query(p + 5 * PAGE).where, GM_REMOTE);
	pid_t child = fork();
	if (child == 0)
		_exit(p[0] == 6 ? 0 : 1);
	int status;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(gm_mprotect(p, MIB, PROT_NONE), 0);
	cr_assert_eq(cannot.pte[((uintptr_t)p - as->base) / PAGE].prot, 0);
	cr_assert_eq(gm_mprotect(p, MIB, PROT_READ | PROT_WRITE), 0);
	cr_assert_eq(hmadvise(-1, p + 8 * PAGE, PAGE, MADV_DONTNEED), 0);
	unsigned faults = cannot.faults;
	cr_assert_eq(device_read(&cannot, p), 6);
	cr_assert_eq(device_read(&cannot, p + 8 * PAGE), 0);
	cr_assert_eq(cannot.faults, faults);
}

Test(devices, pins_of_the_program_and_of_a_premapping_are_two_things, .init = premap,
     .fini = close_both)
{
	unsigned char *p = premapped, c = 0;

	cr_assert_eq(hmadvise(-1, p, 2 * PAGE, GM_MADV_PINNED), 0);
	cr_assert_eq(hmadvise(-1, p + PAGE, 2 * PAGE, GM_MADV_UNPINNED), 0);
	cr_assert(query(p + PAGE).pinned && query(p + 2 * PAGE).pinned, "the device has them");
	cr_assert_eq(gm_as_unmap(as, cannot.dev, p, 4 * MIB), 0);
	cr_assert(query(p).pinned && !query(p + PAGE).pinned && !query(p + 2 * PAGE).pinned);
	cr_assert_eq(fake_read(&cannot, p, &c), -EFAULT);
	cr_assert_eq(fake_write(&can, p + PAGE, 8), 0);
	cr_assert_eq(query(p + PAGE).where, GM_DEVICE);
}

Test(devices, two_devices_have_a_page_premapped_until_it_is_unmapped, .init = premap,
     .fini = close_both)
{
	unsigned char *p = premapped, c = 0;

	cr_assert_eq(gm_as_unmap(as, cannot.dev, p, 4 * MIB), 0);
	cr_assert_eq(gm_as_map(as, cannot.dev, p + PAGE, PAGE, GM_PROT_READ), 0);
	cr_assert_eq(gm_as_map(as, can.dev, p + PAGE, PAGE, GM_PROT_READ), 0);
	cr_assert_eq(gm_as_unmap(as, cannot.dev, p + PAGE, PAGE), 0);
	cr_assert(query(p + PAGE).pinned);
	cr_assert_eq(gm_as_unmap(as, can.dev, p + PAGE, PAGE), 0);
	cr_assert(!query(p + PAGE).pinned);
	cr_assert_eq(gm_as_map(as, cannot.dev, p + PAGE, PAGE, GM_PROT_READ), 0);
	cr_assert_eq(gm_munmap(p, MIB), 0);
	cr_assert_eq(fake_read(&cannot, p + PAGE, &c), -EFAULT);
}

Test(devices, premapping_refuses_what_it_cannot_give, .init = premap, .fini = close_both)
{
	unsigned char *p = premapped;
	struct gm_dev *dev = cannot.dev;

	cr_assert_eq(gm_munmap(p, MIB), 0);
	cr_assert_eq(gm_as_map(as, dev, p, MIB, GM_PROT_READ), -EFAULT);
	cr_assert_eq(gm_as_map(as, dev, p + 3 * MIB, 2 * MIB, GM_PROT_READ), -EFAULT);
	cr_assert(!query(p + 3 * MIB).pinned, "none of it is mapped");
	cr_assert_eq(gm_as_map(as, dev, p + 3 * MIB, PAGE, GM_PROT_WRITE), -EINVAL);
	cr_assert_eq(gm_mprotect(p + 3 * MIB, MIB, PROT_READ), 0);
	cr_assert_eq(gm_as_map(as, dev, p + 3 * MIB, PAGE, GM_PROT_READ | GM_PROT_WRITE), -EPERM);
	cr_assert_eq(gm_as_unmap(as, dev, NULL, PAGE), -EINVAL);
}

Test(devices, a_mapping_that_fails_half_way_gives_no_right, .init = premap, .fini = close_both)
{
	unsigned char *p = premapped, c = 0;
	struct gm_dev *dev = cannot.dev;

	cr_assert_eq(gm_as_unmap(as, dev, p, 4 * MIB), 0);
	cr_assert_eq(gm_as_map(as, dev, p, 4 * MIB, GM_PROT_READ), 0);
	cr_assert_eq(gm_as_map(as, dev, p + PAGE, PAGE, GM_PROT_READ | GM_PROT_WRITE), 0);
	cr_assert_eq(gm_mprotect(p + 3 * MIB, MIB, PROT_READ), 0);
	cr_assert_eq(gm_as_map(as, dev, p, 4 * MIB, GM_PROT_READ | GM_PROT_WRITE), -EPERM);
	cr_expect_eq(fake_write(&cannot, p, 8), -EPERM, "what came before the error");
	cr_expect_eq(fake_write(&cannot, p + PAGE, 8), 0, "it had the right before");
	cr_expect_eq(fake_read(&cannot, p, &c), 0);
}

/* The CPU works on a page in one device's memory; then another device takes the page. */
Test(devices, the_cpu_follows_a_page_from_device_to_device, .init = setup)
{
	struct fake_dev f, g;
	fake_open(&f, as, 2 * MIB, 4096, true);
	fake_open(&g, as, 2 * MIB, 4096, true);
	unsigned char *p = map(as, MIB);
	cr_assert_eq(gm_policy_set(NULL, f.dev, GM_POLICY_PLACEMENT, "first-use"), 0);
	cr_assert_eq(fake_write(&f, p, 5), 0);
	uint64_t home = gmi_stats->d2h_bytes;
	p[1] = 4;
	cr_assert_eq(p[0], 5);
	cr_assert_eq(gmi_stats->d2h_bytes, home, "over the bus");
	cr_assert_eq(fake_write(&g, p, 6), 0);
	cr_assert_eq(device_read(&g, p + 1), 4);
	cr_expect_eq(p[0], 6);
	fake_close(&f);
	fake_close(&g);
}

/* As network buffers lie: side by side in pages, each mapped and unmapped on its own. */
Test(devices, explicit_mappings_are_of_bytes_and_are_counted, .init = setup)
{
	struct fake_dev f;
	unsigned char c;
	enum { BUFFERS = 100, BYTES = 1500 };

	fake_open_without(&f, as, 0);
	unsigned char *p = map(as, MIB), *last = p + BUFFERS * BYTES;
	memset(p, 3, MIB);
	for (int i = 0; i < BUFFERS; i++)
		cr_assert_eq(gm_as_map(as, f.dev, p + i * BYTES, BYTES,
				       GM_PROT_READ | (i ? 0 : GM_PROT_WRITE)),
			     0);
	cr_assert_eq(fake_read(&f, last - 1, &c), 0);
	cr_assert_eq(fake_read(&f, (void *)(((uintptr_t)last + PAGE - 1) & ~(PAGE - 1)), &c),
		     -EFAULT);
	/* Every second one goes: pages that others lie in stay. */
	for (int i = 0; i < BUFFERS; i += 2)
		cr_assert_eq(gm_as_unmap(as, f.dev, p + i * BYTES, BYTES), 0);
	for (int i = 1; i < BUFFERS; i += 2) {
		cr_assert_eq(fake_read(&f, p + i * BYTES, &c), 0, "buffer %d", i);
		cr_assert_eq(fake_read(&f, p + i * BYTES + BYTES - 1, &c), 0, "buffer %d", i);
	}
	for (int i = 1; i < BUFFERS; i += 2)
		cr_assert_eq(gm_as_unmap(as, f.dev, p + i * BYTES, BYTES), 0);
	for (size_t i = 0; i < MIB; i += PAGE) {
		cr_assert_eq(fake_read(&f, p + i, &c), -EFAULT);
		cr_assert(!query(p + i).pinned);
	}
	/* One page twice; what is unmapped more often than it was mapped is skipped. */
	cr_assert_eq(gm_as_map(as, f.dev, p, PAGE, GM_PROT_READ), 0);
	cr_assert_eq(gm_as_map(as, f.dev, p, PAGE, GM_PROT_READ | GM_PROT_WRITE), 0);
	cr_assert_eq(gm_as_unmap(as, f.dev, p, PAGE), 0);
	cr_assert_eq(fake_write(&f, p, 9), 0, "still mapped");
	cr_assert_eq(gm_as_unmap(as, f.dev, p, 1), 0);
	cr_assert_eq(fake_read(&f, p, &c), -EFAULT);
	cr_assert_eq(gm_as_unmap(as, f.dev, p, PAGE), 0);
	cr_assert_eq(gm_as_map(as, f.dev, p, PAGE, GM_PROT_READ), 0);
	cr_assert_eq(fake_write(&f, p, 9), -EPERM, "rights begin anew");
	/* A failure leaves counts as they were. */
	cr_assert_eq(gm_munmap(p + 3 * PAGE, PAGE), 0);
	cr_assert_eq(gm_as_map(as, f.dev, p, MIB, GM_PROT_READ), -EFAULT);
	cr_assert_eq(gm_as_unmap(as, f.dev, p, PAGE), 0);
	cr_assert_eq(fake_read(&f, p, &c), -EFAULT);
	fake_close(&f);
}

static unsigned coalesced_calls, coalesced_ranges, single_calls;
static int count_coalesced(void *pmap, const struct gm_va_range *ranges, unsigned n)
{
	coalesced_calls++;
	coalesced_ranges += n;
	return 0;
}
static int count_single(void *pmap, uint64_t va, uint64_t len)
{
	single_calls++;
	return 0;
}

Test(devices, tlb_invalidations_are_coalesced, .init = setup)
{
	struct fake_dev f;
	fake_open(&f, as, 2 * MIB, 4096, true);
	f.mmu.tlb_invl = count_single;
	unsigned char *p = map(as, MIB);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < MIB; i += 16 * PAGE)
			cr_assert_eq(fake_write(&f, p + i, 1), 0);
		cr_assert_eq(hmadvise(-1, p, MIB, MADV_PREFETCH), 0);
		f.mmu.tlb_invl_coalesced = count_coalesced;
	}
	cr_assert_eq(single_calls, 16);
	cr_assert_eq(coalesced_calls, 1);
	cr_assert_eq(coalesced_ranges, 16);
	fake_close(&f);
}
