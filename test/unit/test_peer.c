/*
 * Devices with a link: what one has comes to the other by one copy that the host's store sees
 * nothing of, or stays, and the other works on it there.
 */
#include "core/space/vm.h"
#include "core/sys/inject.h"
#include "fake_dev.h"

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define BOTH (GM_PEER_COPY | GM_PEER_MAP)

static struct gm_as *as;
static struct fake_dev a, b;
static unsigned char *p;

/* 2 MiB of random bytes are on device a, dirty; b has nothing. */
static void open_two(size_t a_page, size_t b_page, bool apertures, unsigned how)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	fake_open(&a, as, 8 * MIB, a_page, apertures);
	fake_open(&b, as, 8 * MIB, b_page, apertures);
	if (how) {
		cr_assert_eq(gm_dev_link(a.dev, b.dev, how), 0, "%s", gm_last_error());
		cr_assert_eq(gm_dev_link(b.dev, a.dev, how), 0, "%s", gm_last_error());
	}
	p = gm_mmap(as, NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		cr_assert_eq(fake_write(&a, p + i, (unsigned char)(i / PAGE)), 0);
}

static void close_two(void)
{
	fake_close(&a);
	fake_close(&b);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static struct gm_page_info query(const void *at)
{
	struct gm_page_info info;

	cr_assert_eq(gm_query(at, PAGE, &info), 0);
	return info;
}

static unsigned char device_read(struct fake_dev *f, const void *at)
{
	unsigned char c = 0;

	cr_assert_eq(fake_read(f, at, &c), 0);
	return c;
}

static struct gm_counters counters(void)
{
	struct gm_counters c;

	cr_assert_eq(gm_query_counters(&c, sizeof c), 0);
	return c;
}

/* All of it by b, which gets it; what crossed which link. */
static struct gm_counters taken_by_b(void)
{
	struct gm_counters was = counters();

	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		cr_assert_eq(device_read(&b, p + i), (unsigned char)(i / PAGE));
	cr_assert_eq(query(p).hnid, gm_dev_hnid(b.dev));
	struct gm_counters now = counters();
	now.to_device_bytes -= was.to_device_bytes;
	now.to_host_bytes -= was.to_host_bytes;
	now.peer_bytes -= was.peer_bytes;
	return now;
}

static void one_copy(size_t a_page, size_t b_page, bool apertures)
{
	open_two(a_page, b_page, apertures, GM_PEER_COPY);
	struct gm_counters moved = taken_by_b();
	cr_assert_eq(moved.to_host_bytes, 0);
	cr_assert_eq(moved.to_device_bytes, 0);
	cr_assert_eq(moved.peer_bytes, 2 * MIB);
	cr_assert_eq(b.peer_bytes, 2 * MIB, "the driver copied it");
	/* (where the driver copies, pages were taken into it before they first left) */
	cr_assert(!apertures || gm_bm_empty(gm_block_find(as, (uintptr_t)p)->backed),
		  "no store was used");
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(i / PAGE));
	close_two();
}

Test(peer, what_a_device_has_comes_by_one_copy)
{
	one_copy(65536, 65536, true);
}

Test(peer, what_a_device_has_comes_by_one_copy_where_drivers_copy)
{
	one_copy(65536, 65536, false);
}

Test(peer, what_a_device_has_comes_by_one_copy_whatever_pages_are)
{
	one_copy(2 * MIB, 4096, true);
	one_copy(4096, 2 * MIB, false);
}

Test(peer, without_a_link_it_goes_through_the_host)
{
	open_two(65536, 65536, true, 0);
	struct gm_counters moved = taken_by_b();
	cr_assert_eq(moved.to_host_bytes, 2 * MIB);
	cr_assert_eq(moved.to_device_bytes, 2 * MIB);
	cr_assert_eq(moved.peer_bytes, 0);
	close_two();
}

Test(peer, a_link_is_one_way_and_ends_with_either_device)
{
	open_two(65536, 65536, true, 0);
	cr_assert_eq(gm_dev_link(a.dev, b.dev, GM_PEER_COPY), 0);
	struct gm_counters moved = taken_by_b();
	cr_assert_eq(moved.peer_bytes, 0, "that was the way from b to a");
	cr_assert_eq(device_read(&a, p), 0);
	cr_assert_eq(counters().peer_bytes, 65536);
	fake_close(&b);
	fake_open(&b, as, 8 * MIB, 65536, true); /* another one in its place */
	cr_assert_eq(fake_write(&b, p, 9), 0);
	cr_assert_eq(device_read(&a, p), 9);
	cr_assert_eq(counters().peer_bytes, 65536);
	close_two();
}

Test(peer, readers_get_copies_over_the_link)
{
	open_two(65536, 65536, true, BOTH);
	cr_assert_eq(hmadvise(-1, p, 2 * MIB, GM_MADV_READ_MOSTLY), 0);
	uint64_t home = counters().to_host_bytes;
	cr_assert_eq(device_read(&b, p + PAGE), 1);
	cr_assert_eq(query(p).where, GM_DUP);
	cr_assert_eq(device_read(&a, p + PAGE), 1);
	cr_assert_eq(counters().to_host_bytes, home);
	cr_assert_eq(counters().peer_bytes, 65536);
	cr_assert_eq(fake_write(&b, p + PAGE, 7), 0);
	cr_assert_eq(device_read(&a, p + PAGE), 7);
	close_two();
}

/* b works on what a has, in place; nothing moves. */
static void used_in_place(void)
{
	struct gm_counters was = counters(), now;

	for (size_t i = 0; i < 2 * MIB; i += PAGE) {
		cr_assert_eq(device_read(&b, p + i), (unsigned char)(i / PAGE));
		cr_assert_eq(fake_write(&b, p + i, (unsigned char)(i / PAGE + 1)), 0);
		cr_assert_eq(device_read(&a, p + i), (unsigned char)(i / PAGE + 1));
		cr_assert_eq(fake_write(&a, p + i, (unsigned char)(i / PAGE)), 0);
		cr_assert_eq(device_read(&b, p + i), (unsigned char)(i / PAGE));
	}
	now = counters();
	cr_assert_eq(now.peer_bytes + now.to_host_bytes + now.to_device_bytes,
		     was.peer_bytes + was.to_host_bytes + was.to_device_bytes);
	cr_assert_eq(query(p).where, GM_DEVICE);
	cr_assert_eq(query(p).hnid, gm_dev_hnid(a.dev));
}

static void in_place_for(size_t a_page, size_t b_page, bool apertures)
{
	open_two(a_page, b_page, apertures, BOTH);
	cr_assert_eq(hmadvise(gm_dev_hnid(b.dev), p, 2 * MIB, GM_MADV_ACCESSED_BY), 0);
	unsigned faults = b.faults;
	used_in_place();
	cr_assert_eq(b.faults, faults, "entries were there before it asked");
	p[5 * PAGE] = 77; /* comes home; b reaches it over the bus from now on */
	cr_assert_eq(device_read(&b, p + 5 * PAGE), 77);
	cr_assert_eq(fake_write(&a, p + 5 * PAGE, 78), 0);
	cr_assert_eq(device_read(&b, p + 5 * PAGE), 78);
	close_two();
}

Test(peer, accessed_by_maps_what_another_device_has)
{
	in_place_for(65536, 65536, true);
	in_place_for(65536, 4096, false);
	in_place_for(2 * MIB, 65536, true);
}

/* With what `hint` says of the first MiB b's touch takes the page; beyond, it stays. */
static void only_there_it_comes(int hint, const char *beyond)
{
	used_in_place();
	cr_assert_eq(hmadvise(-1, p, MIB, hint), 0);
	cr_assert_eq(device_read(&b, p), 0);
	cr_assert_eq(query(p).hnid, gm_dev_hnid(b.dev));
	cr_assert_eq(device_read(&b, p + MIB), 0);
	cr_assert_eq(query(p + MIB).hnid, gm_dev_hnid(a.dev), "%s", beyond);
	close_two();
}

Test(peer, a_preferred_location_is_used_in_place_by_others)
{
	open_two(65536, 65536, true, BOTH);
	cr_assert_eq(hmadvise(gm_dev_hnid(a.dev), p, 2 * MIB, GM_MADV_PREFERRED_LOCATION), 0);
	/* where it is taken back: as if nothing had been said */
	only_there_it_comes(GM_MADV_UNSET_PREFERRED_LOCATION, "it is said there");
}

Test(peer, where_only_the_hosts_pages_move_others_are_used_in_place)
{
	open_two(65536, 65536, true, BOTH);
	cr_assert_eq(hmadvise(gm_dev_hnid(b.dev), p, 2 * MIB, GM_MADV_PREFERRED_LOCATION_SYSTEM),
		     0);
	used_in_place();
	p[0] = 8;
	cr_assert_eq(device_read(&b, p), 8);
	cr_assert_eq(query(p).hnid, gm_dev_hnid(b.dev));
	cr_assert_eq(query(p).where, GM_DEVICE);
	close_two();
}

Test(peer, for_atomic_access_the_page_comes)
{
	open_two(65536, 65536, true, BOTH);
	cr_assert_eq(hmadvise(gm_dev_hnid(b.dev), p, 2 * MIB, GM_MADV_ACCESSED_BY), 0);
	only_there_it_comes(GM_MADV_ATOMIC_DEVICE, "nothing was said there");
}

Test(peer, a_link_for_copies_alone_moves_pages)
{
	open_two(65536, 65536, true, GM_PEER_COPY);
	cr_assert_eq(hmadvise(gm_dev_hnid(a.dev), p, 2 * MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(device_read(&b, p), 0);
	cr_assert_eq(query(p).hnid, gm_dev_hnid(b.dev));
	close_two();
}

Test(peer, what_is_evicted_is_out_of_reach_of_others_before)
{
	open_two(65536, 65536, true, BOTH);
	cr_assert_eq(hmadvise(gm_dev_hnid(a.dev), p, 2 * MIB, GM_MADV_PREFERRED_LOCATION), 0);
	used_in_place();
	unsigned char *q = gm_mmap(as, NULL, 8 * MIB, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < 8 * MIB; i += PAGE)
		cr_assert_eq(fake_write(&a, q + i, 1), 0);
	cr_assert_eq(query(p).where, GM_HOST);
	cr_assert_eq(fake_write(&b, p, 5), 0);
	cr_assert_eq(p[0], 5);
	cr_assert_eq(gm_munmap(q, 8 * MIB), 0);
	close_two();
}

Test(peer, a_device_that_shares_the_cpus_table_uses_them_in_place)
{
	open_two(65536, 65536, true, 0);
	cr_assert_eq(gm_as_detach(as, b.dev), 0);
	cr_assert_eq(gm_as_attach(as, b.dev, GM_MMU_MODE_SHARE, 1, NULL), 0);
	cr_assert_eq(gm_dev_link(b.dev, a.dev, BOTH), 0);
	cr_assert_eq(device_read(&b, p + PAGE), 1);
	cr_assert_eq(query(p).hnid, gm_dev_hnid(a.dev));
	cr_assert_eq(query(p).where, GM_DEVICE);
	close_two();
}

Test(peer, a_copy_that_fails_leaves_the_page_where_it_was)
{
	for (int apertures = 0; apertures < 2; apertures++) {
		unsigned char c = 0;
		open_two(65536, 65536, apertures, GM_PEER_COPY);
		b.fail_kind = GM_OP_COPY_PEER;
		b.fail_after = 0;
		cr_assert_eq(fake_read(&b, p + PAGE, &c), -EIO);
		cr_assert_eq(query(p).hnid, gm_dev_hnid(a.dev));
		cr_assert_eq(device_read(&a, p + PAGE), 1);
		b.fail_kind = -1;
		cr_assert_eq(gmi_inject("copypeer@1"), 0);
		cr_assert_eq(fake_read(&b, p + PAGE, &c), -EIO);
		cr_assert_eq(device_read(&b, p + PAGE), 1, "once");
		close_two();
	}
}

Test(peer, attributes_go_with_entries_in_anothers_memory)
{
	open_two(65536, 65536, true, BOTH);
	cr_assert_eq(hmadvise(gm_dev_hnid(b.dev), p, 2 * MIB, GM_MADV_ACCESSED_BY), 0);
	cr_assert_eq(gm_set_attr(as, b.dev, p + PAGE, PAGE, 42), 0);
	const struct fake_pte *e = &b.pte[((uintptr_t)p - as->base) / PAGE];
	cr_assert_eq(e[1].attr, 42);
	cr_assert_eq(e[1].mem, GM_MEM_PEER);
	cr_assert_eq(e[2].attr, 0);
	used_in_place();
	close_two();
}

static void refused(struct gm_dev *dev, struct gm_dev *peer, unsigned how, const char *why)
{
	cr_assert_eq(gm_dev_link(dev, peer, how), -EINVAL);
	cr_assert(strstr(gm_last_error(), why), "%s", gm_last_error());
}

Test(peer, bad_links_are_told)
{
	struct fake_dev none;

	fake_sizes = 2 * MIB;
	open_two(2 * MIB, 2 * MIB, true, 0);
	fake_close(&b);
	fake_sizes = 0;
	fake_open(&b, as, 8 * MIB, 4096, true);
	fake_open_without(&none, as, GM_DEV_CAP_REPLAYABLE);
	refused(NULL, b.dev, GM_PEER_COPY, "dev is NULL");
	refused(a.dev, NULL, GM_PEER_COPY, "peer is NULL");
	refused(a.dev, a.dev, GM_PEER_COPY, "itself");
	refused(a.dev, b.dev, 0, "how is 0x0");
	refused(a.dev, b.dev, 4, "how is 0x4");
	refused(a.dev, none.dev, GM_PEER_COPY, "no memory");
	refused(a.dev, b.dev, BOTH, "2097152 bytes, is larger than a page of the peer, 4096");
	fake_close(&none);
	close_two();
}
