/* The memory of one device among processes. See share.h. */
#include "core/page/share.h"
#include "core/page/driver.h"
#include "core/page/evict.h"
#include "core/page/jobs.h"
#include "core/sys/at_fork.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MAGIC	0x53484d47u /* GMHS */
#define VERSION 1
#define MEMBERS 64
#define SETUP	MEMBERS /* the byte whose lock is held while the file is set up */

#define WAIT_NS	     200000000u /* for another process's eviction, at most */
#define SETUP_NS     ((uint64_t)1000000000)
#define ASK_MOST     GM_BLOCK_BYTES
#define MARGIN_SHARE 16 /* of the memory: who has less than that more is not asked */
#define MARGIN_MOST  4	/* what one eviction sends home is left out, up to so much of the memory */

struct member {
	_Atomic uint32_t jobs; /* enum gm_job: futex of its background thread (jobs.h) */
	_Atomic uint32_t pid;  /* 0: nobody's row */
	_Atomic uint32_t answers;
	uint32_t pad;
	/* bytes: what it has; what it is to give; what it ever gave */
	_Atomic uint64_t held[GM_MAX_DEV], wanted[GM_MAX_DEV], gave[GM_MAX_DEV];
};
struct share_file {
	uint32_t magic, version;
	_Atomic uint32_t given; /* futex: somebody has given what was asked for, or could not */
	uint32_t pad;
	uint64_t mem_bytes[GM_MAX_DEV]; /* 0: nobody has it yet */
	struct member member[MEMBERS];
};

static int fd = -1; /* raised */
static struct share_file *file;
static struct member *me;
static struct gm_lock join_lock, reap_lock;
/* What those had answered when they last gave nothing, plus one: 0: they were not asked. */
static _Atomic uint32_t futile[MEMBERS];

/* ---- locks of the file's bytes, which say who lives ---- */

/* The lock is the process's own: fork does not hand it on, and its end, or exec, drops it. */
static long file_lock(int cmd, short type, off_t byte, struct flock *l)
{
	*l = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	return gm_sys3(SYS_fcntl, fd, cmd, l);
}

static bool lock_row(unsigned i)
{
	struct flock l;

	return file_lock(F_SETLK, F_WRLCK, i, &l) == 0;
}

static void unlock_row(unsigned i)
{
	struct flock l;

	file_lock(F_SETLK, F_UNLCK, i, &l);
}

/* Rows of processes that are gone are nobody's. True: some had frames. (A lock of the file holds
 * off other processes, not other threads.) */
static bool reap_rows(void)
{
	bool any = false;

	gmi_lock(&reap_lock);
	for (unsigned i = 0; i < MEMBERS; i++) {
		struct member *m = &file->member[i];
		if (m == me || !atomic_load(&m->pid) || !lock_row(i))
			continue;
		for (unsigned d = 0; d < GM_MAX_DEV; d++) {
			any |= atomic_exchange(&m->held[d], 0) != 0;
			atomic_store(&m->wanted[d], 0);
		}
		atomic_store(&m->pid, 0);
		unlock_row(i);
	}
	gmi_unlock(&reap_lock);
	return any;
}

/* ---- joining; join lock held ---- */

/* In tmpfs, of this user alone. */
static int file_open(void)
{
	char path[96];
	struct stat st;

	gmi_snprintf(path, sizeof path, "/dev/shm/gmem-%lu-%s", (unsigned long)gm_sys0(SYS_geteuid),
		     gmi_opt.share);
	int opened = gmi_fd_raise((int)gm_sys4(SYS_openat, AT_FDCWD, path,
					       O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (opened < 0)
		return opened;
	int err = (int)gm_sys2(SYS_fstat, opened, &st);
	if (!err && st.st_uid != (uid_t)gm_sys0(SYS_geteuid))
		err = -EPERM;
	if (!err && (uint64_t)st.st_size < sizeof *file)
		err = gmc_limit(RLIMIT_FSIZE) < sizeof *file
			      ? -EFBIG
			      : (int)gm_sys2(SYS_ftruncate, opened, sizeof *file);
	void *p = err ? NULL
		      : gm_sys_mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, opened,
				    0);
	if (!err && gm_is_err(p))
		err = gm_err(p);
	if (err) {
		gmi_fd_close(opened);
		return err;
	}
	file = p;
	fd = opened;
	return 0;
}

static void file_close(void)
{
	if (file)
		gm_sys_munmap(file, sizeof *file);
	gmi_fd_close(fd);
	file = NULL;
	me = NULL;
	fd = -1;
}

/* While others live the file is theirs; else it begins anew. */
static int file_begin(void)
{
	bool ours = file->magic == MAGIC && file->version == VERSION, used = false;

	if (ours)
		reap_rows();
	for (unsigned i = 0; i < MEMBERS; i++) {
		struct flock l;
		used |= !file_lock(F_GETLK, F_WRLCK, i, &l) && l.l_type != F_UNLCK;
	}
	if (used)
		return ours ? 0 : -EPROTO;
	gm_zero(file, sizeof *file);
	file->magic = MAGIC;
	file->version = VERSION;
	return 0;
}

static int take_row(void)
{
	for (unsigned i = 0; i < MEMBERS; i++) {
		struct member *m = &file->member[i];
		if (atomic_load(&m->pid) || !lock_row(i))
			continue;
		atomic_store(&m->jobs, 0);
		atomic_store(&m->pid, (uint32_t)gm_sys0(SYS_getpid));
		me = m;
		gmc_jobs_from(&m->jobs);
		return 0;
	}
	return -ENOSPC;
}

/* The child has the parent's mapping and descriptor, but is no member. */
static void share_forked(void)
{
	gmc_jobs_from(NULL);
	file_close();
	gm_zero(futile, sizeof futile);
	join_lock = reap_lock = (struct gm_lock){0};
}

/* Alone: who else joins waits. */
static int setup_lock(void)
{
	uint64_t until = gmi_now_ns() + SETUP_NS;

	while (!lock_row(SETUP)) {
		if (gmi_now_ns() > until)
			return -ETIMEDOUT;
		gm_sys0(SYS_sched_yield);
	}
	return 0;
}

static int become_member(void)
{
	int err = file_open();

	if (err)
		return err;
	gmi_at_fork_child(share_forked);
	err = setup_lock();
	if (!err) {
		err = file_begin();
		err = err ? err : take_row();
		unlock_row(SETUP);
	}
	if (err)
		file_close();
	return err;
}

/* The first one's size is that of all. */
static int check_size(const struct gm_dev *dev, unsigned number, uint64_t bytes)
{
	uint64_t none = 0;

	if (__atomic_compare_exchange_n(&file->mem_bytes[number], &none, bytes, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
	    none == bytes)
		return 0;
	gm_log(GM_LOG_ERROR,
	       "device %u has %lu MiB here, %lu MiB in the other processes of GMEM_SHARE=%s",
	       number, (unsigned long)(bytes >> 20), (unsigned long)(none >> 20), gmi_opt.share);
	return -EINVAL;
}

int gmc_share_join(struct gm_dev *dev, unsigned number)
{
	gmi_lock(&join_lock);
	int err = me ? 0 : become_member();
	if (err)
		gm_log(GM_LOG_ERROR, "cannot share devices as %s: %s (error %d)", gmi_opt.share,
		       err == -ENOSPC ? "64 processes do already"
				      : "/dev/shm/gmem-UID-NAME cannot be used",
		       -err);
	else
		err = check_size(dev, number, gmi_phys_total_bytes(dev->phys));
	if (!err)
		dev->share = number + 1;
	gmi_unlock(&join_lock);
	return err;
}

/* ---- taking and giving ---- */

static unsigned number_of(const struct gm_dev *dev)
{
	return dev->share - 1;
}

static uint64_t held_by_all(unsigned number)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MEMBERS; i++)
		sum += atomic_load(&file->member[i].held[number]);
	return sum;
}

/* Two that take the last frame at once may both find that there is none: they ask, or evict. */
bool gmc_share_take(struct gm_dev *dev)
{
	if (gm_likely(!dev->share))
		return true;
	unsigned n = number_of(dev);
	atomic_fetch_add(&me->held[n], gm_dev_page_bytes(dev));
	if (held_by_all(n) <= gmi_phys_total_bytes(dev->phys))
		return true;
	atomic_fetch_sub(&me->held[n], gm_dev_page_bytes(dev));
	return false;
}

void gmc_share_give(struct gm_dev *dev)
{
	if (gm_unlikely(dev->share))
		atomic_fetch_sub(&me->held[number_of(dev)], gm_dev_page_bytes(dev));
}

/* ---- asking ---- */

static uint64_t margin(const struct gm_dev *dev)
{
	uint64_t total = gmi_phys_total_bytes(dev->phys);

	return gm_max(total / MARGIN_SHARE, gm_min((uint64_t)GM_BLOCK_BYTES, total / MARGIN_MOST));
}

/* Who has the most, if that is more than this process has by the margin, and who answers. */
static struct member *richest(const struct gm_dev *dev, uint64_t *more)
{
	unsigned n = number_of(dev);
	uint64_t mine = atomic_load(&me->held[n]), most = mine + margin(dev);
	struct member *rich = NULL;

	for (unsigned i = 0; i < MEMBERS; i++) {
		struct member *m = &file->member[i];
		uint64_t its = atomic_load(&m->held[n]);
		if (m == me || its <= most || atomic_load(&m->answers) + 1 == futile[i])
			continue;
		most = its;
		rich = m;
	}
	*more = most - mine;
	return rich;
}

/* It is asked, and has answered or is not waited for any longer. Did it give any? */
static bool give_to_me(struct member *m, unsigned n, uint64_t bytes)
{
	uint32_t answers = atomic_load(&m->answers);
	uint64_t gave = atomic_load(&m->gave[n]), until = gmi_now_ns() + WAIT_NS, now;

	atomic_fetch_add(&m->wanted[n], bytes);
	atomic_fetch_or(&m->jobs, GM_JOB_SHARE);
	gmi_futex_wake(&m->jobs, 1);
	do {
		uint32_t seen = atomic_load(&file->given);
		if (atomic_load(&m->answers) != answers)
			break;
		now = gmi_now_ns();
		gmi_futex_wait(&file->given, seen, now < until ? (int64_t)(until - now) : 0);
	} while (now < until);
	bool any = atomic_load(&m->gave[n]) != gave;
	futile[m - file->member] = any ? 0 : atomic_load(&m->answers) + 1;
	return any;
}

bool gmc_share_ask(struct gm_dev *dev)
{
	uint64_t more;

	if (gm_likely(!dev->share) ||
	    held_by_all(number_of(dev)) + gm_dev_page_bytes(dev) <= gmi_phys_total_bytes(dev->phys))
		return false;
	if (reap_rows())
		return true;
	struct member *m = richest(dev, &more);
	if (!m)
		return false;
	return give_to_me(m, number_of(dev),
			  gm_max(gm_min(more / 2, (uint64_t)ASK_MOST), gm_dev_page_bytes(dev)));
}

/* ---- being asked ---- */

/* What of `want` could not be given yet. Registry locked. */
static uint64_t serve_one(struct gm_dev *dev, uint64_t want)
{
	unsigned n = number_of(dev);
	uint64_t before = atomic_load(&me->held[n]), now = before;
	int err = 0;

	while (!err && before - now < want && now) {
		err = gmc_evict_ahead(dev);
		now = gm_min(atomic_load(&me->held[n]), before);
	}
	atomic_fetch_add(&me->gave[n], before - now);
	atomic_fetch_add_explicit(&gmi_stats->dev[dev->index].given_bytes, before - now,
				  memory_order_relaxed);
	return err == -EAGAIN && before - now < want ? want - (before - now) : 0;
}

bool gmc_share_serve(void)
{
	bool more = false;

	if (!me)
		return false;
	gmi_lock(&gmc_registry_lock);
	for (unsigned i = 0; i < GM_MAX_DEV; i++) {
		struct gm_dev *dev = gmc_devs[i];
		if (!dev || !dev->share || !dev->phys)
			continue;
		uint64_t want = atomic_exchange(&me->wanted[number_of(dev)], 0);
		uint64_t left = want ? serve_one(dev, want) : 0;
		if (left)
			atomic_fetch_add(&me->wanted[number_of(dev)], left);
		more |= left != 0;
	}
	gmi_unlock(&gmc_registry_lock);
	atomic_fetch_add(&me->answers, 1);
	atomic_fetch_add(&file->given, 1);
	gmi_futex_wake(&file->given, INT32_MAX);
	return more;
}
