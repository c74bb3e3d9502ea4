/*
 * dev_outside.c - files and shared memory of the program, outside every window: mapped here from
 * the same object, at the program's address. Both sides have the same pages then: nothing is
 * copied, and a store of one is seen by the other.
 *
 * What is mapped so is noted; nothing else of this process is ever taken away, and where something
 * of its own lies nothing is mapped. As in the windows, entries are a cache: they can all go, and
 * fault again.
 */
#include "devsim/device/dev.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE   ((uint64_t)4096)
#define RANGES 4096

static struct {
	uint32_t number; /* the object's */
	int fd;		 /* 0: none has come yet */
} objects[DS_OBJECTS];
static struct range {
	uint64_t va, len;
} ranges[RANGES]; /* ascending, disjoint */
static unsigned nranges;

void dev_outside_object(uint32_t number, int fd)
{
	unsigned i = number % DS_OBJECTS;

	if (objects[i].fd > 0)
		close(objects[i].fd); /* what is mapped of it stays */
	objects[i].number = number;
	objects[i].fd = fd;
}

bool dev_outside_known(uint32_t number)
{
	return objects[number % DS_OBJECTS].fd && objects[number % DS_OBJECTS].number == number;
}

/* The first range that ends behind va. */
static unsigned first_behind(uint64_t va)
{
	unsigned lo = 0, hi = nranges;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (ranges[mid].va + ranges[mid].len <= va)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool dev_outside_has(uint64_t va)
{
	unsigned i = first_behind(va);

	return i < nranges && ranges[i].va <= va;
}

static void insert(unsigned at, uint64_t va, uint64_t len)
{
	memmove(&ranges[at + 1], &ranges[at], (nranges - at) * sizeof ranges[0]);
	ranges[at] = (struct range){va, len};
	nranges++;
}

void dev_outside_each(void (*fn)(uint64_t va, uint64_t len))
{
	for (unsigned i = 0; i < nranges; i++)
		fn(ranges[i].va, ranges[i].len);
}

static void drop_all(void)
{
	dev_outside_each(dev_touch_outside_goes);
	while (nranges) {
		nranges--;
		munmap((void *)ranges[nranges].va, ranges[nranges].len);
	}
}

void dev_outside_drop(uint64_t va, uint64_t len)
{
	uint64_t end = va + len;
	unsigned first = first_behind(va), last = first;

	if (nranges == RANGES) { /* a range may become two */
		drop_all();
		return;
	}
	while (last < nranges && ranges[last].va < end)
		last++;
	if (first == last)
		return;
	struct range head = ranges[first], tail = ranges[last - 1];
	for (unsigned i = first; i < last; i++) {
		uint64_t lo = ranges[i].va > va ? ranges[i].va : va,
			 hi = ranges[i].va + ranges[i].len;
		hi = hi < end ? hi : end;
		dev_touch_outside_goes(lo, hi - lo);
		munmap((void *)lo, hi - lo);
	}
	memmove(&ranges[first], &ranges[last], (nranges - last) * sizeof ranges[0]);
	nranges -= last - first;
	if (tail.va + tail.len > end)
		insert(first, end, tail.va + tail.len - end);
	if (head.va < va)
		insert(first, head.va, va - head.va);
}

bool dev_outside_keep(uint64_t va, uint64_t len)
{
	unsigned i = first_behind(va);

	if (i == nranges || ranges[i].va > va || ranges[i].va + ranges[i].len < va + len)
		return false;
	struct range r = ranges[i];
	memmove(&ranges[i], &ranges[i + 1], (nranges - i - 1) * sizeof ranges[0]);
	nranges--;
	if (r.va + r.len > va + len)
		insert(i, va + len, r.va + r.len - va - len);
	if (r.va < va)
		insert(i, r.va, va - r.va);
	return true;
}

static bool map_part(const struct ds_map *m, int fd, uint64_t lo, uint64_t hi)
{
	void *p = mmap((void *)lo, hi - lo, dev_prot(m), MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
		       (off_t)(m->off + (lo - m->va)));

	if (p != MAP_FAILED && p != (void *)lo) { /* a kernel that takes the address for a hint */
		munmap(p, hi - lo);
		errno = EEXIST;
	}
	return p == (void *)lo;
}

/* As much around va as nothing of this process is in the way of. */
int dev_outside_map(const struct ds_map *m, uint64_t va)
{
	static const uint64_t spans[] = {UINT64_MAX, (uint64_t)2 << 20, (uint64_t)64 << 10, PAGE};
	int fd = objects[m->object % DS_OBJECTS].fd;

	if (!dev_outside_known(m->object) || va - m->va >= m->len)
		return 0; /* an answer from before: it faults again */
	dev_outside_drop(m->va, m->len);
	if (nranges == RANGES)
		drop_all();
	for (unsigned i = 0; i < DEV_ARRAY_LEN(spans); i++) {
		uint64_t lo = i ? va / spans[i] * spans[i] : m->va,
			 hi = i ? lo + spans[i] : m->va + m->len;
		lo = lo > m->va ? lo : m->va;
		hi = hi < m->va + m->len ? hi : m->va + m->len;
		if (map_part(m, fd, lo, hi)) {
			insert(first_behind(lo), lo, hi - lo);
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EBUSY;
}
