/*
 * report.c - hands the counters to a reporter process that outlives this one.
 *
 *	this process ── memfd: the counters ──────────> gmem-report --follow
 *	             ── socket: final word, or hang-up >
 *
 * The reporter renders when the socket hangs up, whatever the reason; at a normal end this
 * process says so first and waits, so that the report stands before the shell's prompt. How the
 * reporter sees its descriptors: GM_REPORT_FD_*.
 */
#include "core/count/report.h"
#include "core/count/site.h"
#include "core/sys/hook.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* a reporter that is stuck on its output must not hold the program for ever */
#define FINISH_TIMEOUT_MS 10000

static struct gm_lock start_lock;
static _Atomic int sock = -1; /* our end; >= 0: this process has a reporter */
static _Atomic bool tried;    /* started, or failed to: never again in this process */
static gm_hook collectors[4];
static struct gm_stats *shared; /* the mapping that gmi_stats points at, or NULL */
static size_t shared_bytes;

/* ---- who this is ---- */

/* /proc/self/cmdline has a NUL behind each argument. */
static void read_command(char *to, size_t bytes)
{
	long fd = gm_sys4(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
	long n = fd < 0 ? 0 : gm_sys3(SYS_read, fd, to, bytes - 1);

	if (fd >= 0)
		gm_sys1(SYS_close, fd);
	while (n > 0 && !to[n - 1])
		n--;
	for (long i = 0; i < n; i++)
		if ((unsigned char)to[i] < ' ' || to[i] == 127)
			to[i] = ' ';
	to[n > 0 ? n : 0] = 0;
}

static void describe_process(struct gm_stats *s)
{
	s->magic = GM_STATS_MAGIC;
	s->version = GM_STATS_VERSION;
	atomic_store(&s->pid, (int32_t)gm_sys0(SYS_getpid));
	long n = gm_sys3(SYS_readlink, "/proc/self/exe", s->program, sizeof s->program - 1);
	s->program[n > 0 ? n : 0] = 0;
	read_command(s->command, sizeof s->command);
	gmi_snprintf(s->rank, sizeof s->rank, "%s", gmi_opt.rank);
}

/* ---- where the JSON goes ---- */

/* FILE.json -> FILE.<pid>.json */
static void name_by_pid(char *path, size_t bytes, const char *file)
{
	int stem = gmi_snprintf(path, bytes, "%s", file) - 5;

	gmi_snprintf(path + stem, bytes - (size_t)stem, ".%d.json", (int)gm_sys0(SYS_getpid));
}

/* Is the file behind fd still the one at path? The last holder removes it when it is done. */
static bool still_there(int fd, const char *path)
{
	struct stat by_fd, by_path;

	return gm_sys2(SYS_fstat, fd, &by_fd) == 0 && gm_sys2(SYS_stat, path, &by_path) == 0 &&
	       by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev;
}

/* The lock file holds the pid of the process whose report it guards, and nothing else. 0: it is
 * empty; -EEXIST: a file of somebody's that has the name by chance. */
static int holder(int fd)
{
	char text[16] = "";
	struct stat st;
	int pid = 0;

	if (gm_sys2(SYS_fstat, fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink > 1 ||
	    st.st_uid != (uid_t)gm_sys0(SYS_geteuid))
		return -EEXIST;
	long n = gm_sys4(SYS_pread64, fd, text, sizeof text - 1, 0);
	for (const char *c = text; c < text + n; c++) {
		if (*c == '\n' && c == text + n - 1)
			return pid;
		if (*c < '0' || *c > '9')
			return -EEXIST;
		pid = pid * 10 + (*c - '0');
	}
	return n ? -EEXIST : 0;
}

/*
 * FILE.json belongs to the first process of a run: it (then its reporter) holds a lock on
 * FILE.json.lock. Returns the locked descriptor, -EWOULDBLOCK when another process has it, or
 * -errno. After execve the lock is still with the reporter of the old image, which is about to
 * end: wait for it.
 */
static int claim_file(const char *file)
{
	char path[sizeof gmi_opt.report_file + 8], text[16];

	gmi_snprintf(path, sizeof path, "%s.lock", file);
	for (;;) {
		int self = (int)gm_sys0(SYS_getpid);
		int fd = (int)gm_sys4(SYS_openat, AT_FDCWD, path,
				      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
		if (fd < 0)
			return fd;
		long r = holder(fd) < 0 ? -EEXIST : gm_sys2(SYS_flock, fd, LOCK_EX | LOCK_NB);
		if (r == -EWOULDBLOCK && holder(fd) == self)
			while ((r = gm_sys2(SYS_flock, fd, LOCK_EX)) == -EINTR)
				;
		if (r == 0 && still_there(fd, path)) {
			size_t n = (size_t)gmi_snprintf(text, sizeof text, "%d\n", self);
			gm_sys2(SYS_ftruncate, fd, 0);
			gm_sys4(SYS_pwrite64, fd, text, n, 0);
			return fd;
		}
		gm_sys1(SYS_close, fd);
		if (r < 0)
			return (int)r;
	}
}

/* Is the file, by whose name all processes of the run would write, another's? `named`: the pid in
 * its name, which makes it the file of that process alone. */
static bool is_mains_file(int named)
{
	int self = (int)gm_sys0(SYS_getpid);

	return gmi_opt.main_pid && gmi_opt.main_pid != self && named != self;
}

/* Fills path; *lock: the claim's descriptor, or -1 when the name is this process's alone. */
static int choose_file(char *path, size_t bytes, int *lock)
{
	gmi_snprintf(path, bytes, "%s", gmi_opt.report_file);
	*lock = is_mains_file(gmi_opt.report_pid) ? -EWOULDBLOCK : claim_file(gmi_opt.report_file);
	if (*lock >= 0)
		return 0;
	if (*lock != -EWOULDBLOCK)
		return *lock;
	*lock = -1;
	name_by_pid(path, bytes, gmi_opt.report_file);
	return 0;
}

/* A report is not lost for want of a place for it. */
static void choose_file_or_text(char *path, size_t bytes, int *lock)
{
	int err = choose_file(path, bytes, lock);

	if (!err)
		return;
	gm_log(GM_LOG_WARN, "%s.lock cannot be used (error %d): the report comes here as text",
	       gmi_opt.report_file, -err);
	gmi_opt.report = GM_REPORT_TEXT;
	*lock = -1;
}

/* FILE of the main process, FILE.<pid> of its children. */
static void name_trace(char *path, size_t bytes)
{
	if (is_mains_file(gmi_opt.trace_pid))
		gmi_snprintf(path, bytes, "%s.%d", gmi_opt.trace_file, (int)gm_sys0(SYS_getpid));
	else
		gmi_snprintf(path, bytes, "%s", gmi_opt.trace_file);
	if (!*gmi_opt.trace_file)
		*path = 0;
}

/* ---- start ---- */

struct channel {
	int memfd, ours, theirs, lock, pidfd;
};

static void close_channel(struct channel *c)
{
	const int fds[] = {c->ours, c->theirs, c->lock, c->pidfd};

	gmi_fd_close(c->memfd);
	for (unsigned i = 0; i < GM_ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			gm_sys1(SYS_close, fds[i]);
}

static int open_channel(struct channel *c, struct gm_stats **map)
{
	int pair[2];
	long r;

	shared_bytes = *gmi_opt.trace_file ? GM_REPORT_TRACED_BYTES : sizeof **map;
	c->memfd = gmc_memfd_surely("gmem-stats", shared_bytes);
	if (c->memfd < 0)
		return c->memfd;
	if ((r = gm_sys4(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) < 0)
		return (int)r;
	c->ours = pair[0];
	c->theirs = pair[1];
	void *p = gm_sys_mmap(NULL, shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->memfd, 0);
	if (gm_is_err(p))
		return gm_err(p);
	*map = p;
	c->pidfd = (int)gm_sys2(SYS_pidfd_open, gm_sys0(SYS_getpid), 0); /* none before Linux 5.3 */
	return 0;
}

static int spawn_reporter(const struct channel *c, char *file, char *trace)
{
	char path[4096], pid[16];
	char none[] = "none", text[] = "text";
	char verb[] = "--follow", *env[] = {(char[]){"LC_ALL=C"}, NULL};
	char *report = gmi_opt.report == GM_REPORT_JSON	  ? file
		       : gmi_opt.report == GM_REPORT_TEXT ? text
							  : none;
	char *argv[] = {path, verb, pid, report, *trace ? trace : NULL, NULL};
	const int fds[] = {
		[GM_REPORT_FD_SOCK] = c->theirs, [GM_REPORT_FD_STATS] = c->memfd,
		[GM_REPORT_FD_STDERR] = 2,	 [GM_REPORT_FD_LOCK] = c->lock,
		[GM_REPORT_FD_PID] = c->pidfd,
	};
	int r = gmi_find_helper("gmem-report", path, sizeof path);

	if (r)
		return r;
	gmi_snprintf(pid, sizeof pid, "%d", (int)gm_sys0(SYS_getpid));
	r = gmi_spawn(path, argv, env, fds, GM_ARRAY_LEN(fds));
	return r < 0 ? r : 0;
}

/*
 * From here on everybody counts in the shared struct. A thread that read the pointer before may
 * still add to the private one: gmi_report_finish() collects that.
 */
static void switch_to(struct gm_stats *map)
{
	describe_process(map);
	atomic_store(&map->progress, gmi_opt.progress);
	shared = map;
	atomic_store((struct gm_stats * _Atomic *)&gmi_stats, map);
	gmc_stats_move(map, &gmc_stats_private);
	if (*gmi_opt.trace_file)
		atomic_store(&gmi_trace, (struct gm_trace *)((char *)map + GM_REPORT_TRACE_OFFSET));
}

static int start_reporter(void)
{
	struct channel c = {-1, -1, -1, -1, -1};
	struct gm_stats *map = NULL;
	char file[sizeof gmi_opt.report_file + 16] = "", trace[sizeof gmi_opt.trace_file + 16];
	int r = open_channel(&c, &map);

	if (r == 0 && gmi_opt.report == GM_REPORT_JSON)
		choose_file_or_text(file, sizeof file, &c.lock);
	if (r == 0)
		name_trace(trace, sizeof trace);
	if (r == 0)
		r = spawn_reporter(&c, file, trace);
	if (r) {
		if (map)
			gm_sys_munmap(map, shared_bytes);
		close_channel(&c);
		const char *why =
			r == -ENOENT ? "gmem-report is not beside libgmem.so" : gmi_limit_behind(r);
		gm_log(GM_LOG_WARN, "no report%s%s: %s (error %d)", *file ? " in " : "", file,
		       why ? why : "the system refuses", -r);
		return r;
	}
	switch_to(map);
	atomic_store(&sock, gmi_fd_raise(c.ours));
	c.ours = -1;
	close_channel(&c);
	return 0;
}

int gmi_report_start(void)
{
	int r = 0;

	if (!gm_opt_reports() || atomic_load(&tried))
		return 0;
	gm_sigmask old = gm_lock_masked(&start_lock);
	if (!atomic_load(&tried)) {
		r = start_reporter();
		atomic_store(&tried, true);
	}
	gm_unlock_masked(&start_lock, old);
	return r;
}

/* ---- end ---- */

/* The reporter closes its end when the report is written. */
static void wait_for_reporter(int fd)
{
	uint64_t deadline = gmi_now_ns() + (uint64_t)FINISH_TIMEOUT_MS * 1000000u;
	char byte;

	for (;;) {
		uint64_t now = gmi_now_ns();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (now >= deadline)
			return;
		long r = gm_sys3(SYS_poll, &p, 1, (deadline - now) / 1000000u + 1);
		if (r == -EINTR)
			continue;
		if (r <= 0 || gm_sys3(SYS_read, fd, &byte, 1) <= 0)
			return;
	}
}

/* Core's private memory is not counted as it changes. It hardly ever shrinks: its end is about
 * its peak. */
static void note_metadata(void)
{
	uint64_t now = gmi_private_bytes(), before = atomic_load(&gmi_stats->metadata_bytes);

	gmi_gauge_add(&gmi_stats->metadata_bytes, &gmi_stats->metadata_peak_bytes,
		      (int64_t)(now - before));
}

void gmc_report_collect(void (*fn)(void))
{
	gmc_hook_add(collectors, GM_ARRAY_LEN(collectors), fn);
}

static void collect(void)
{
	gmc_stats_move(gmi_stats, &gmc_stats_private);
	gmc_hooks_run(collectors, GM_ARRAY_LEN(collectors));
	note_metadata();
}

void gmi_report_finish(void)
{
	if (atomic_load(&sock) < 0)
		return;
	if (atomic_load(&gmi_stats->pid) != (int32_t)gm_sys0(SYS_getpid))
		return; /* a child that no hook told of its birth: the report is its parent's */
	int fd = atomic_exchange(&sock, -1);
	if (fd < 0)
		return;
	collect();
	atomic_store(&gmi_stats->end_ns, gmi_now_ns());
	atomic_store(&gmi_stats->final, 1);
	gm_sigmask old = gmi_block_signals();
	char done = GM_REPORT_DONE;
	if (gm_sys6(SYS_sendto, fd, &done, 1, MSG_NOSIGNAL, NULL, 0) == 1)
		wait_for_reporter(fd);
	gmi_fd_close(fd);
	gmi_restore_signals(old);
}

bool gmc_report_notice(void)
{
	const char notice = GM_REPORT_NOTICE;
	int fd = atomic_load(&sock);

	return fd >= 0 &&
	       gm_sys6(SYS_sendto, fd, &notice, 1, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) == 1;
}

/* The socket stays open: its hang-up is the end of the process. */
void gmi_report_leave(const char *by)
{
	collect();
	gmi_snprintf(gmi_stats->left_by, sizeof gmi_stats->left_by, "%s", by);
	atomic_store(&gmi_stats->left_ns, gmi_now_ns());
	atomic_store(&sock, -1);
}

/* After the destructors of the preload, which needs libgmem: the last word of the process. */
__attribute__((destructor)) static void finish_at_exit(void)
{
	gmi_report_finish();
}

void gmi_report_forked(void)
{
	struct gm_stats *parent = gmi_stats, *own = &gmc_stats_private;
	uint64_t managed = atomic_load(&parent->managed_bytes),
		 metadata = atomic_load(&parent->metadata_bytes);

	gmc_trace_forked();
	gm_zero(own, sizeof *own);
	describe_process(own);
	atomic_store(&own->start_ns, gmi_now_ns());
	gmi_gauge_add(&own->managed_bytes, &own->managed_peak_bytes, (int64_t)managed);
	gmi_gauge_add(&own->metadata_bytes, &own->metadata_peak_bytes, (int64_t)metadata);
	gmc_sites_inherit(own, parent);
	gmi_stats = own;
	if (shared)
		gm_sys_munmap(shared, shared_bytes);
	shared = NULL;
	gmi_fd_close(atomic_exchange(&sock, -1));
	atomic_store(&start_lock.v, 0); /* a thread that held it has stayed with the parent */
	atomic_store(&tried, false);
	if (gmi_opt.main_pid) /* only the main process reports whatever it did */
		gmi_opt.report_given = false;
}
