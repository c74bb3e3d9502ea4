/*
 * dev_mmu.c - the device's page table: this process's own mappings inside the windows.
 *
 * A window is reserved inaccessible; a page-table entry is a shared mapping of device or host
 * memory over it. Entries are a cache: whatever is not there faults, and the host answers again.
 * So when the kernel runs out of VMAs everything is dropped, and lowering rights is the same as
 * unmapping.
 */
#include "devsim/device/dev.h"
#include "devsim/device/dev_region.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESERVE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static struct window {
	uint64_t base;
	_Atomic uint64_t bytes; /* set last, so that dev_mmu_contains needs no lock; 0: unused */
	int fd;
} windows[DS_WINDOWS];
static int peers[DS_PEERS]; /* descriptors of other devices' memory; 0: none */
static _Atomic uint32_t pt_lock;

static void lock_table(void)
{
	dev_lock(&pt_lock);
}

static void unlock_table(void)
{
	dev_unlock(&pt_lock);
}

static struct window *window_of(uint64_t va)
{
	for (unsigned i = 0; i < DS_WINDOWS; i++)
		if (va - windows[i].base <
		    atomic_load_explicit(&windows[i].bytes, memory_order_acquire))
			return &windows[i];
	return NULL;
}

bool dev_mmu_contains(uint64_t va)
{
	return window_of(va) != NULL;
}

/* ---- windows ---- */

/* The descriptor that the host sent with that index; they come in the order of the commands. */
static int receive(uint32_t want)
{
	uint32_t index = UINT32_MAX;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {&index, sizeof index};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof control.buf};
	ssize_t n;
	int fd;

	do
		n = recvmsg(DS_FD_SOCK, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *c = n == sizeof index ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!c || index != want || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static bool window_add(unsigned i)
{
	uint64_t base = ctl->window[i].base, bytes = ctl->window[i].bytes;
	int fd = receive(i);
	void *p = MAP_FAILED;

	if (fd >= 0)
		p = mmap((void *)base, bytes, PROT_NONE, RESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	bool ok = p == (void *)base;
	if (ok) {
		windows[i].base = base;
		windows[i].fd = fd;
		dev_touch_window(i, base, bytes);
		dev_record_window(i, base, bytes);
		atomic_store(&windows[i].bytes, bytes);
	} else if (fd >= 0) {
		close(fd);
	}
	atomic_store(&ctl->window[i].state, ok ? DS_W_PRESENT : DS_W_TAKEN);
	dev_futex_wake(&ctl->window[i].state, 1);
	return ok;
}

static void window_remove(unsigned i)
{
	uint64_t bytes = atomic_exchange(&windows[i].bytes, 0);

	if (bytes) {
		dev_touch_window(i, 0, 0);
		dev_record_window(i, 0, 0);
		munmap((void *)windows[i].base, bytes);
		close(windows[i].fd);
	}
	atomic_store(&ctl->window[i].state, DS_W_NONE);
}

static void peer_set(uint32_t n, int fd)
{
	if (n >= DS_PEERS)
		return;
	if (peers[n] > 0)
		close(peers[n]); /* what is mapped of it stays, but nothing is */
	peers[n] = fd;
}

/* The host tries another layout (ASLR) where that fails, then says so. */
bool dev_mmu_init(void)
{
	for (unsigned i = 0; i < DS_WINDOWS; i++)
		if (ctl->window[i].bytes && !window_add(i))
			return false;
	for (uint32_t i = 0; i < DS_PEERS; i++)
		if (ctl->peer[i])
			peer_set(i, receive(DS_PEER_INDEX(i)));
	return true;
}

/* ---- entries; page table locked ---- */

static void reserve_window(uint64_t va, uint64_t len)
{
	if (mmap((void *)va, len, PROT_NONE, RESERVE | MAP_FIXED, -1, 0) != MAP_FAILED)
		return;
	/* Too many VMAs even for that: without them it works, and nobody else maps at these
	 * addresses meanwhile. */
	munmap((void *)va, len);
	if (mmap((void *)va, len, PROT_NONE, RESERVE | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
		_exit(1); /* the host starts another process */
}

static void drop_entries(void)
{
	for (unsigned i = 0; i < DS_WINDOWS; i++) {
		if (!windows[i].bytes)
			continue;
		dev_touch_unmap(windows[i].base, windows[i].bytes);
		dev_record_unmap(windows[i].base, windows[i].bytes);
		reserve_window(windows[i].base, windows[i].bytes);
	}
}

int dev_prot(const struct ds_map *m)
{
	return (m->prot & 1 ? PROT_READ : 0) | (m->prot & 2 ? PROT_WRITE : 0);
}

static bool map_once(const struct ds_map *m, int fd, int flags)
{
	int prot = dev_recording() ? PROT_NONE : dev_prot(m);

	return mmap((void *)m->va, m->len, prot, MAP_SHARED | MAP_FIXED | flags, fd,
		    (off_t)m->off) != MAP_FAILED;
}

/* flags: MAP_POPULATE for what is wanted now; an entry that nobody may ever touch costs a third
 * without. */
static void map_entry(const struct ds_map *m, int flags)
{
	const struct window *w = window_of(m->va);

	if (!w || m->len > w->base + w->bytes - m->va)
		return; /* the window has gone */
	int fd = m->mem == DS_HOST_STORE   ? w->fd
		 : m->mem == DS_PEER_STORE ? peers[m->object % DS_PEERS]
					   : DS_FD_DEVMEM;
	if (fd <= 0)
		return; /* it has gone with its memory */
	if (dev_touch_sampled() || dev_recording())
		flags = 0; /* what is mapped in advance is not touched */
	dev_touch_map(m->va, m->len, (enum ds_mem)m->mem);
	if (!map_once(m, fd, flags) && errno == ENOMEM) {
		drop_entries();
		map_once(m, fd, flags); /* or it faults again */
	}
	dev_record_map(m->va, m->len, dev_prot(m));
}

/* Replies that were given before this range was taken away must not be mapped any more. */
static void cancel_replies(uint64_t va, uint64_t len)
{
	for (unsigned i = 0; i < DS_SLOTS; i++) {
		struct ds_fault *f = &ctl->fault[i];
		uint32_t s = atomic_load(&f->state);
		unsigned n = atomic_load(&f->nmaps), k = 0;

		if (s != DS_FILLED && s != DS_REPLIED)
			continue;
		while (k < n && k < DS_FAULT_MAPS &&
		       !ds_overlap(va, len, f->map[k].va, f->map[k].len))
			k++;
		if (k == n)
			continue;
		while ((s == DS_FILLED || s == DS_REPLIED) &&
		       !atomic_compare_exchange_weak(&f->state, &s, DS_CANCELLED))
			;
		if (atomic_load(&f->waiting))
			dev_futex_wake(&f->state, 1);
	}
}

static void unmap(uint64_t va, uint64_t len)
{
	const struct window *w = window_of(va);

	cancel_replies(va, len);
	if (w && len <= w->base + w->bytes - va) {
		dev_touch_unmap(va, len);
		dev_record_unmap(va, len);
		reserve_window(va, len);
	}
}

/*
 * The accessed bits of the page table: what the kernel has entries for was touched since the
 * entries were last dropped. Dropping them takes nothing away: the mapping stays, the next touch
 * enters them again.
 */
static void accessed(uint64_t va, uint64_t len)
{
	static int pagemap = -1;
	uint64_t entry[512], n = len / 4096;

	memset(ctl->accessed, 0, sizeof ctl->accessed);
	if (pagemap < 0)
		pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (!dev_mmu_contains(va) || n > DEV_ARRAY_LEN(entry) ||
	    pread(pagemap, entry, n * sizeof entry[0], (off_t)(va / 4096 * sizeof entry[0])) !=
		    (ssize_t)(n * sizeof entry[0]))
		return;
	dev_touch_accessed(va, len, ctl->accessed);
	for (uint64_t i = 0; i < n; i++)
		ctl->accessed[i / 64] |= (entry[i] >> 63) << i % 64;
	madvise((void *)va, len, MADV_DONTNEED);
}

static const struct ds_cmd *command(uint32_t i)
{
	return &ctl->cmd[i % DS_CMDS];
}

/* Unmaps of neighbouring ranges are one system call. Returns the next command. */
static uint32_t unmap_merged(uint32_t i, uint32_t head)
{
	uint64_t va = command(i)->map.va, len = command(i)->map.len;

	for (i++; i != head && command(i)->kind == DS_CMD_UNMAP; i++) {
		const struct ds_map *next = &command(i)->map;
		if (next->va + next->len == va)
			va = next->va;
		else if (next->va != va + len)
			break;
		len += next->len;
	}
	unmap(va, len);
	return i;
}

static void apply_one(uint32_t kind, const struct ds_map *m)
{
	switch (kind) {
	case DS_CMD_REMAP:
		cancel_replies(m->va, m->len);
		map_entry(m, 0);
		break;
	case DS_CMD_MAP:
		map_entry(m, MAP_POPULATE);
		break;
	case DS_CMD_ACCESSED:
		accessed(m->va, m->len);
		break;
	case DS_CMD_PING:
		break;
	case DS_CMD_OBJECT:
		dev_outside_object(m->object, receive(DS_OBJECT_INDEX(m->object)));
		break;
	case DS_CMD_DROP:
		cancel_replies(m->va, m->len);
		dev_outside_drop(m->va, m->len);
		break;
	case DS_CMD_PEER:
		peer_set(m->object, receive(DS_PEER_INDEX(m->object)));
		break;
	case DS_CMD_UNPEER:
		peer_set(m->object, 0);
		break;
	case DS_CMD_WINDOW:
		window_add((unsigned)m->va);
		break;
	default:
		window_remove((unsigned)m->va);
	}
}

static void apply_locked(void)
{
	uint32_t head = atomic_load(&ctl->cmd_head), i = atomic_load(&ctl->cmd_tail);

	while (i != head) {
		if (command(i)->kind == DS_CMD_UNMAP) {
			i = unmap_merged(i, head);
		} else {
			apply_one(command(i)->kind, &command(i)->map);
			i++;
		}
		atomic_store(&ctl->cmd_tail, i);
	}
	if (atomic_load(&ctl->cmd_waiting))
		dev_futex_wake(&ctl->cmd_tail, INT32_MAX);
}

void dev_mmu_apply(void)
{
	lock_table();
	apply_locked();
	unlock_table();
}

bool dev_mmu_try_apply(void)
{
	if (atomic_load(&ctl->cmd_head) == atomic_load(&ctl->cmd_tail) || !dev_trylock(&pt_lock))
		return false;
	apply_locked();
	unlock_table();
	return true;
}

void dev_mmu_sample_begin(bool sample)
{
	lock_table();
	dev_touch_begin(sample);
	dev_record_begin();
	unlock_table();
}

void dev_mmu_sample_end(struct ds_launch *l)
{
	lock_table();
	dev_touch_end(l);
	unlock_table();
}

void *dev_mmu_thread(void *arg)
{
	for (;;) {
		uint32_t seen = atomic_load(&ctl->cmd_bell);

		dev_mmu_apply();
		atomic_store(&ctl->mmu_sleeping, 1);
		if (atomic_load(&ctl->cmd_bell) == seen)
			dev_futex_wait(&ctl->cmd_bell, seen);
		atomic_store(&ctl->mmu_sleeping, 0);
	}
	return arg;
}

/* Its object's descriptor is on its way as a command. */
static int map_object(const struct ds_map *m, uint64_t va)
{
	if (!dev_outside_known(m->object))
		apply_locked();
	return dev_outside_map(m, va);
}

/* The descriptor of another device's memory may be on its way as a command. */
static void await_peers(const struct ds_fault *f)
{
	for (unsigned i = 0; i < DS_FAULT_MAPS && i < atomic_load(&f->nmaps); i++)
		if (f->map[i].mem == DS_PEER_STORE && peers[f->map[i].object % DS_PEERS] <= 0) {
			apply_locked();
			return;
		}
}

int dev_mmu_take_reply(struct ds_fault *f)
{
	int err = 0;

	lock_table();
	await_peers(f);
	for (unsigned i = 0; i < DS_FAULT_MAPS && i < atomic_load(&f->nmaps); i++) {
		if (atomic_load(&f->state) != DS_REPLIED)
			break; /* cancelled, perhaps by a command that came with the object */
		if (f->map[i].mem == DS_OBJECT)
			err = map_object(&f->map[i], f->va);
		else
			map_entry(&f->map[i], MAP_POPULATE);
	}
	atomic_store(&f->state, DS_FREE);
	unlock_table();
	return err;
}

int dev_region_keep(void *at, uint64_t bytes)
{
	*(volatile char *)at; /* it comes, with all that is mapped around it */
	lock_table();
	bool kept = dev_outside_keep((uint64_t)at, bytes);
	unlock_table();
	return kept ? 0 : -EBUSY;
}

bool dev_mmu_has_outside(uint64_t va)
{
	lock_table();
	bool has = dev_outside_has(va);
	unlock_table();
	return has;
}

bool dev_mmu_recorded(uint64_t va, bool write)
{
	if (!dev_recording())
		return false;
	lock_table();
	bool was = dev_record_touch(va, write);
	unlock_table();
	return was;
}
