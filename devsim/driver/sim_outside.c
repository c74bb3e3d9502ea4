/*
 * sim_outside.c - memory of the program outside every window that it shares: files, memfds, POSIX
 * and System V shared memory, shared anonymous mappings. The device maps the same object at the
 * same address; the pages stay where they are, and both sides and other processes see each
 * other's stores.
 *
 * The object behind a mapping is found and opened by a short-lived process on our memory with a
 * descriptor table of its own: closing a descriptor of a file in ours would drop the locks that
 * the program has on it (fcntl).
 */
#include "devsim/driver/sim_int.h"
#include "core/entry/outside.h"
#include "core/sys/vma.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* (As in spawn.c: a frame on a borrowed stack.) */
#define BORROWED_STACK __attribute__((no_sanitize_address, noinline))

struct search {
	const struct gm_vma *vma;
	bool write;
	int sock, err;
	int fd; /* what it is is known; else -1 */
	uint32_t index;
};

/* ---- in the short-lived process ---- */

static BORROWED_STACK bool is_it(const struct search *s, long fd)
{
	struct stat st;

	return fd >= 0 && gm_sys2(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_dev == s->vma->dev && st.st_ino == s->vma->ino;
}

static BORROWED_STACK long open_path(const struct search *s, const char *path)
{
	long fd = gm_sys4(SYS_openat, AT_FDCWD, path,
			  (s->write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);

	if (fd >= 0 && !is_it(s, fd)) {
		gm_sys1(SYS_close, fd);
		return -ENOENT;
	}
	return fd;
}

/* Needs a privilege; then it finds whatever it is. */
static BORROWED_STACK long open_mapped(const struct search *s)
{
	char path[80];

	gmi_snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)s->vma->lo,
		     (unsigned long)s->vma->hi);
	return open_path(s, path);
}

static BORROWED_STACK bool may_serve(const struct search *s, int fd)
{
	long flags = gm_sys2(SYS_fcntl, fd, F_GETFL);

	if (flags < 0 || (flags & O_PATH))
		return false;
	return ((flags & O_ACCMODE) == O_RDWR || (!s->write && (flags & O_ACCMODE) == O_RDONLY)) &&
	       is_it(s, fd);
}

struct dirent64 { /* the kernel's */
	uint64_t ino, off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/* One that the program has open. */
static BORROWED_STACK long find_open(const struct search *s)
{
	char buf[2048] __attribute__((aligned(8)));
	long n, found = -ENOENT,
		dir = gm_sys4(SYS_openat, AT_FDCWD, "/proc/self/fd",
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	while (dir >= 0 && found < 0 && (n = gm_sys3(SYS_getdents64, dir, buf, sizeof buf)) > 0) {
		for (long at = 0; at < n; at += ((struct dirent64 *)(buf + at))->reclen) {
			int fd = 0;
			const char *c = ((struct dirent64 *)(buf + at))->name;
			for (; *c >= '0' && *c <= '9'; c++)
				fd = fd * 10 + *c - '0';
			if (!*c && may_serve(s, fd))
				found = fd;
		}
	}
	return found;
}

static BORROWED_STACK int search_and_send(void *arg)
{
	struct search *s = arg;
	long fd = s->fd >= 0 ? s->fd : open_mapped(s);

	if (fd < 0 && s->vma->name[0] == '/')
		fd = open_path(s, s->vma->name);
	if (fd < 0)
		fd = find_open(s);
	s->err = fd < 0 ? (int)fd : sim_send(s->sock, s->index, (int)fd);
	return 0;
}

/* ---- objects; spaces lock held ---- */

static int send_object(struct gm_sim *sim, const struct gm_vma *vma, uint32_t number)
{
	struct search s = {
		.vma = vma,
		.write = vma->write,
		.sock = sim->sock,
		.err = -EIO,
		.fd = gmc_outside_store(vma->dev, vma->ino),
		.index = DS_OBJECT_INDEX(number),
	};
	int err = gmi_in_child(0, search_and_send, &s);

	return err ? err : s.err;
}

/* 0, and its number; -errno: it cannot be had. */
static int object_number(struct gm_sim *sim, const struct gm_vma *vma, uint32_t *number)
{
	for (unsigned i = 0; i < DS_OBJECTS; i++) {
		const struct sim_object *o = &sim->object[i];
		if (o->ino != vma->ino || o->dev != vma->dev || (vma->write && !o->write))
			continue;
		*number = sim->nobjects - (sim->nobjects - i - 1) % DS_OBJECTS - 1;
		return 0;
	}
	int err = send_object(sim, vma, sim->nobjects);
	if (err) {
		gm_log(GM_LOG_INFO, "device %u (%s): %s cannot be mapped there (error %d)",
		       sim->number, sim->model.name, vma->name, -err);
		return err;
	}
	*number = sim->nobjects++;
	sim->object[*number % DS_OBJECTS] = (struct sim_object){vma->dev, vma->ino, vma->write};
	sim_command(sim, &(struct ds_cmd){.kind = DS_CMD_OBJECT, .map.object = *number}, false);
	return 0;
}

bool sim_outside_maps(struct gm_sim *sim, const struct gm_vma *vma)
{
	uint32_t number;

	return gmi_opt.foreign >= GM_FOREIGN_SHARED && vma->shared && vma->ino &&
	       !object_number(sim, vma, &number);
}

int sim_outside_adopt(const struct sim_asked *asked)
{
	return gm_as_of((void *)asked->va) ? 0 : gmc_outside_adopt(asked->va);
}

/* Nobody's business but ours. */
static bool is_our_object(const struct gm_vma *vma)
{
	return gmi_memfd_is_ours(vma->dev, vma->ino) && gmc_outside_store(vma->dev, vma->ino) < 0;
}

int sim_outside(struct gm_sim *sim, struct sim_reply *reply, const struct sim_asked *asked)
{
	struct gm_vma vma;
	uint32_t number;

	if (gm_as_of((void *)asked->va))
		return -EFAULT; /* of a space that it is not attached to */
	if (gmi_opt.foreign < GM_FOREIGN_SHARED)
		return -ENOTSUP;
	atomic_store(&gmi_outside_live, true); /* before the look: outside.h */
	int err = gmi_vma_find(asked->va, &vma);
	if (err == -ENOENT || (!err && !vma.read))
		return -EFAULT;
	if (err || !vma.shared || !vma.ino)
		return -ENOTSUP;
	if (gmc_outside_restoring())
		return -EAGAIN;
	if (is_our_object(&vma))
		return -EFAULT;
	if (asked->write && !vma.write)
		return -EPERM;
	if (object_number(sim, &vma, &number))
		return -ENOTSUP;
	sim_time_fault(sim);
	uint64_t end;
	GM_COUNT(object[gmi_outside_object(asked->va, &end)].device_faults, 1);
	atomic_store(&sim->outside_mapped, true);
	sim_reply_add(reply,
		      &(struct ds_map){.va = vma.lo,
				       .len = vma.hi - vma.lo,
				       .off = vma.off,
				       .prot = GM_PROT_READ | (vma.write ? GM_PROT_WRITE : 0),
				       .mem = DS_OBJECT,
				       .object = number});
	return 0;
}

void sim_outside_touched(uint64_t block, const uint64_t *pages)
{
	uint64_t end = 0;
	unsigned row = 0;

	for (unsigned i = 0; i < GM_PAGES_PER_BLOCK; i++) {
		uint64_t va = block + i * GM_PAGE_BYTES;
		if (!(pages[i / 64] >> i % 64 & 1))
			continue;
		if (va >= end)
			row = gmi_outside_object(va, &end);
		GM_COUNT(object[row].bus_bytes, GM_PAGE_BYTES);
	}
}

/* ---- what the program changes ---- */

void sim_outside_forget(struct gm_sim *sim, uint64_t lo, uint64_t hi)
{
	gmi_lock(&sim->spaces_lock); /* no fault is being served */
	sim_tell(sim, &(struct ds_cmd){.kind = DS_CMD_DROP, .map = {.va = lo, .len = hi - lo}});
	gmi_unlock(&sim->spaces_lock);
}

struct range {
	uint64_t lo, hi;
};

static void forget_one(struct gm_sim *sim, void *arg)
{
	const struct range *r = arg;

	sim_outside_forget(sim, r->lo, r->hi);
}

static void forget_everywhere(uint64_t lo, uint64_t hi)
{
	gm_sigmask mask = gmi_block_signals();

	sim_each(forget_one, &(struct range){lo, hi});
	gmi_restore_signals(mask);
}

__attribute__((constructor)) static void set_hook(void)
{
	gmi_outside_forget = forget_everywhere;
	gmi_outside_keep_module(&gmi_outside_forget);
}

void sim_outside_begin(struct gm_sim *sim)
{
	if (gmi_outside_watched || !atomic_load(&gmi_outside_live))
		return;
	gm_sigmask mask = gmi_block_signals();
	sim_outside_forget(sim, 0, (uint64_t)1 << 47);
	gmi_restore_signals(mask);
}
