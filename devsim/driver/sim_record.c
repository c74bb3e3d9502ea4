/*
 * sim_record.c - GMEM_RECORD: the host's part of a recording (devsim/record.h): what the program
 * does to its memory (core tells), and which launch begins and ends when.
 *
 * One file for a process, of its first device. Any thread, signal handlers, any locks: a record
 * takes its place by one atomic add, into memory that is there.
 */
#include "devsim/driver/sim_int.h"
#include "devsim/record.h"
#include "core/count/record.h"
#include "core/count/report.h"
#include "core/space/vm_int.h"
#include <errno.h>
#include <fcntl.h>

static struct ds_record_head *file;
static const struct gm_sim *recorded; /* the device; NULL: none yet */
static const struct gm_as *space;
static int file_fd = -1;
static bool forked;
static _Atomic uint64_t named; /* rows of kernels whose names are told: a bit each */
_Static_assert(GM_KERNELS <= 64, "a bit each");

static void put_record(struct ds_record r, const void *more, unsigned n)
{
	struct ds_record *at = ds_record_take(file, 1 + n);

	if (!at)
		return;
	r.time_us = (uint32_t)((gmi_now_ns() - file->start_ns) / 1000);
	gm_copy(at + 1, more, n * sizeof *at);
	*at = r;
}

static void put_more(struct ds_record r, uint64_t a, uint64_t b)
{
	put_record(r, &(struct ds_record_more){a, b}, 1);
}

/* What core tells. */
static void put_told(const struct gm_record *r)
{
	static const struct {
		uint8_t kind;
		bool more;
	} of[] = {
		[GM_RECORD_CPU] = {DS_R_CPU, false},
		[GM_RECORD_REGION] = {DS_R_REGION, true},
		[GM_RECORD_DROP] = {DS_R_DROP, true},
		[GM_RECORD_PRESENT] = {DS_R_PRESENT, false},
		[GM_RECORD_SITE] = {DS_R_SITE, false},
		[GM_RECORD_COPY] = {DS_R_COPY, true},
		[GM_RECORD_ADVICE] = {DS_R_ADVICE, true},
	};
	struct ds_record is = {.addr = r->addr, .kind = of[r->kind].kind, .arg = (uint16_t)r->site};

	if (r->addr - space->base >= space->bytes)
		return;
	if (r->kind == GM_RECORD_CPU)
		is.flags = (uint8_t)r->b;
	if (r->kind == GM_RECORD_PRESENT)
		is.arg = (uint16_t)r->a;
	if (of[r->kind].more)
		put_more(is, r->a, r->b);
	else
		put_record(is, NULL, 0);
}

/* ---- launches ---- */

void sim_record_launch(const struct gm_sim *sim, unsigned slot, unsigned row)
{
	if (gm_likely(sim != recorded))
		return;
	struct ds_record launch = {.kind = DS_R_LAUNCH, .arg = (uint16_t)slot, .addr = row};
	uint64_t bit = (uint64_t)1 << row;
	if (!(atomic_fetch_or(&named, bit) & bit)) {
		const char *name = gmi_stats->kernel[row].name;
		struct ds_record_more text[sizeof gmi_stats->kernel[row].name / 16] = {{0}};
		gmi_snprintf((char *)text, sizeof text, "%s", name);
		put_record((struct ds_record){.kind = DS_R_NAME,
					      .arg = (uint16_t)row,
					      .addr = GM_ARRAY_LEN(text)},
			   text, GM_ARRAY_LEN(text));
	}
	put_record(launch, NULL, 0);
}

void sim_record_end(const struct gm_sim *sim, unsigned slot, const struct ds_launch *l, int err)
{
	if (gm_likely(sim != recorded))
		return;
	unsigned width = l->access_bytes ? 32 - (unsigned)__builtin_clz(l->access_bytes) : 0;
	struct ds_record end = {
		.kind = DS_R_END,
		.arg = (uint16_t)(slot | (unsigned)l->flop_type << 8),
		.addr = l->local_pages + l->remote_pages,
		.flags = (uint8_t)((err ? DS_R_FAILED : 0) | width << DS_R_ACCESS_SHIFT)};
	put_more(end, l->flops, l->bytes);
}

bool sim_recording(const struct gm_sim *sim)
{
	return sim == recorded;
}

int sim_record_fd(const struct gm_sim *sim)
{
	return sim == recorded ? file_fd : -1;
}

/* ---- the file ---- */

static void complete_record(void)
{
	if (file)
		file->complete = 1;
}

/* All of it has its place on the disk before anything is written there. */
static int open_record(const char *path)
{
	int fd = (int)gm_sys4(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
			      0644);
	if (fd < 0)
		return fd;
	int err = (int)gm_sys4(SYS_fallocate, fd, 0, 0, DS_RECORD_BYTES);
	void *p =
		err ? NULL
		    : gm_sys_mmap(NULL, DS_RECORD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = err ? err : gm_is_err(p) ? gm_err(p) : 0;
	if (err) {
		gm_sys1(SYS_close, fd);
		return err;
	}
	file = p;
	file_fd = gmi_fd_raise(fd);
	return 0;
}

static void put_regions(struct gm_as *as)
{
	struct gm_range r;

	gm_sigmask mask = gmc_vm_enter(as);
	gm_vm_for_each_range (as, as->base, as->base + as->bytes, &r)
		gmc_vm_record(r.start, r.end, &r.val);
	gmc_vm_leave(as, mask);
}

static void name_record(char *path, size_t bytes)
{
	int self = (int)gm_sys0(SYS_getpid);

	if (forked || (gmi_opt.main_pid && gmi_opt.main_pid != self))
		gmi_snprintf(path, bytes, "%s.%d", gmi_opt.record_file, self);
	else
		gmi_snprintf(path, bytes, "%s", gmi_opt.record_file);
}

void sim_record_start(struct gm_sim *sim, struct gm_as *as)
{
	char path[sizeof gmi_opt.record_file + 16];

	if (gm_likely(!*gmi_opt.record_file) || recorded)
		return;
	name_record(path, sizeof path);
	int err = open_record(path);
	if (err) {
		gm_log(GM_LOG_WARN, "cannot record in %s: error %d", path, -err);
		return;
	}
	file->version = DS_RECORD_VERSION;
	file->page_bytes = (uint32_t)sim->model.page_bytes;
	file->base = as->base;
	file->bytes = as->bytes;
	file->start_ns = gmi_now_ns();
	gm_copy(file->magic, DS_RECORD_MAGIC, sizeof file->magic);
	recorded = sim;
	space = as;
	gmc_report_collect(complete_record);
	atomic_store(&gmi_stats->recorded, 1);
	/* From here on changes are told; those that come between are in both. */
	atomic_store(&gmc_recorder, put_told);
	put_regions(as);
}

/* The child has a recording of its own, once it has a device. */
void sim_record_forked(void)
{
	atomic_store(&gmc_recorder, NULL);
	if (file)
		gm_sys_munmap(file, DS_RECORD_BYTES);
	gmi_fd_close(file_fd);
	file = NULL;
	recorded = NULL;
	file_fd = -1;
	forked = true;
	atomic_store(&named, 0);
}
