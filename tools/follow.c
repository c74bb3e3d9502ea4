/*
 * follow.c - the reporter: waits for the end of one process, then renders its counters.
 *
 * Started by core/count/report.c with the descriptors of core/count/report.h and nothing else
 * open, in a session of its own.
 */
#include "tools/idle.h"
#include "tools/notice.h"
#include "tools/progress.h"
#include "tools/trace_file.h"
#include "core/count/report.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PF_EXITING 4 /* linux/sched.h */

/* /proc/PID/NAME, with a final NUL; the length or 0. */
static size_t read_proc(int pid, const char *name, char *buf, size_t bytes)
{
	char path[64];
	ssize_t n = 0;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, bytes - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

#define SAME_TRIES 64

/*
 * The counters as they are at one time: while a program ends its other threads may go on counting,
 * and names take long to find. Two copies that agree saw nobody count.
 */
static const struct gm_stats *counters_now(const struct gm_stats *s)
{
	static struct gm_stats copy[2];

	memcpy(&copy[1], s, sizeof *s);
	for (int i = 0; i < SAME_TRIES; i++) {
		memcpy(&copy[i % 2], s, sizeof *s);
		if (!memcmp(&copy[0], &copy[1], sizeof *s))
			break;
	}
	return &copy[0];
}

/* Between looks into the rings, when nothing was there; a little; more. */
#define TRACE_IDLE_MS 20
#define TRACE_MUCH    (GM_TRACE_SLOTS / 8)

/* Until the process ends, taking its events meanwhile. True when it said so, false when the socket
 * only hung up. */
static bool wait_for_end(struct trace_file *t, const struct gm_stats *s)
{
	char byte = 0;
	struct pollfd p = {.fd = GM_REPORT_FD_SOCK, .events = POLLIN};

	for (;;) {
		size_t n = t ? trace_drain(t) : 0;
		int wait_ms = !t ? -1 : n > TRACE_MUCH ? 0 : n ? 1 : TRACE_IDLE_MS;
		int show_ms = progress_show(s, GM_REPORT_FD_STDERR);
		wait_ms = wait_ms < 0 || (show_ms >= 0 && show_ms < wait_ms) ? show_ms : wait_ms;
		if (poll(&p, 1, wait_ms) <= 0)
			continue;
		ssize_t got = read(GM_REPORT_FD_SOCK, &byte, 1);
		if (got == 1 && byte == GM_REPORT_NOTICE) {
			notice_show(counters_now(s), GM_REPORT_FD_STDERR);
			continue;
		}
		if (got >= 0 || errno != EINTR)
			return got == 1 && byte == GM_REPORT_DONE;
	}
}

/*
 * Linux 6.15: a pidfd still knows the exit code when the parent has fetched it. Older headers
 * lack the names.
 */
struct gm_pidfd_info {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define GM_PIDFD_GET_INFO  _IOWR(0xFF, 11, struct gm_pidfd_info)
#define GM_PIDFD_INFO_EXIT (1u << 3)
/* it has closed its descriptors: only a core dump may come between */
#define DEATH_TIMEOUT_MS 1000

/* The wait status, or -1. */
static int status_of_pidfd(void)
{
	struct gm_pidfd_info info = {.mask = GM_PIDFD_INFO_EXIT};
	struct pollfd p = {.fd = GM_REPORT_FD_PID, .events = POLLIN};

	poll(&p, 1, DEATH_TIMEOUT_MS);
	if (ioctl(GM_REPORT_FD_PID, GM_PIDFD_GET_INFO, &info) != 0 ||
	    !(info.mask & GM_PIDFD_INFO_EXIT))
		return -1;
	return info.exit_code;
}

/* Fields 9 and 52 of /proc/PID/stat; false when the process is gone. */
static bool read_stat(int pid, unsigned long *flags, int *status)
{
	char stat[2048];
	int field = 3;

	if (!read_proc(pid, "stat", stat, sizeof stat))
		return false;
	char *at = strrchr(stat, ')');
	for (char *word = at ? strtok(at + 1, " \n") : NULL; word;
	     word = strtok(NULL, " \n"), field++) {
		if (field == 9)
			*flags = strtoul(word, NULL, 10);
		if (field == 52)
			*status = atoi(word);
	}
	return field > 52;
}

/*
 * How a process that said nothing has ended. Its descriptors are closed after its exit code is
 * set and before its parent hears of it, so that /proc may still know; afterwards only the pidfd
 * does, if the kernel is new enough.
 */
static void find_cause(int pid, struct view *v)
{
	unsigned long flags = PF_EXITING;
	int status = -1;

	strcpy(v->ended, "unknown");
	if (read_stat(pid, &flags, &status) && !(flags & PF_EXITING)) {
		strcpy(v->ended, "exec"); /* close-on-exec */
		return;
	}
	int from_pidfd = status_of_pidfd();
	if (from_pidfd >= 0)
		status = from_pidfd;
	if (status < 0)
		return;
	strcpy(v->ended, WIFSIGNALED(status) ? "signal" : "exit");
	v->signal = WIFSIGNALED(status) ? (uint64_t)WTERMSIG(status) : 0;
}

/* In one write, so that lines of others do not come between. */
static void print_report(const struct view *v)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *mem = open_memstream(&text, &bytes);

	if (!mem)
		return;
	view_text(v, mem);
	if (fclose(mem) == 0)
		for (size_t done = 0; done < bytes;) {
			ssize_t n = write(GM_REPORT_FD_STDERR, text + done, bytes - done);
			if (n > 0)
				done += (size_t)n;
			else if (n == 0 || errno == EAGAIN) {
				/* the program made its stderr non-blocking */
				struct pollfd p = {.fd = GM_REPORT_FD_STDERR, .events = POLLOUT};
				poll(&p, 1, -1);
			} else if (errno != EINTR)
				break;
		}
	free(text);
}

static void remove_lock(const char *file)
{
	char lock[4096];
	struct stat ours, there;

	snprintf(lock, sizeof lock, "%s.lock", file);
	if (fstat(GM_REPORT_FD_LOCK, &ours) == 0 && S_ISREG(ours.st_mode) &&
	    lstat(lock, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		unlink(lock);
}

/* What cannot be written there is not lost. */
static void save_report(const struct view *v, const char *file)
{
	int err = view_write_json(v, file);

	if (err) {
		dprintf(GM_REPORT_FD_STDERR,
			"gmem: cannot write the report %s: %s; it comes here as text\n", file,
			strerror(-err));
		print_report(v);
	}
	remove_lock(file);
}

int follow(int pid, const char *report, const char *trace)
{
	static struct view v;
	struct idle idle = {0};
	struct trace_file *t = NULL;
	size_t bytes = trace ? GM_REPORT_TRACED_BYTES : sizeof(struct gm_stats);

	signal(SIGPIPE, SIG_IGN);
	struct gm_stats *s =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, GM_REPORT_FD_STATS, 0);
	if (s == MAP_FAILED || chdir("/") != 0) /* hold no file system busy */
		return 1;
	if (trace)
		t = trace_open(trace, (struct gm_trace *)((char *)s + GM_REPORT_TRACE_OFFSET));
	idle_look(&idle, pid);
	bool said = wait_for_end(t, s);
	progress_end(s, GM_REPORT_FD_STDERR);
	if (said) {
		strcpy(v.ended, "exit");
		idle_look(&idle, pid); /* it waits for us */
	} else {
		find_cause(pid, &v);
	}
	if (s->magic != GM_STATS_MAGIC || s->version != GM_STATS_VERSION) {
		if (s->magic) /* 0: it died before it had begun to count */
			dprintf(GM_REPORT_FD_STDERR,
				"gmem: gmem-report and libgmem are of different builds\n");
		return 1;
	}
	if (!atomic_load(&s->final))
		atomic_store(&s->end_ns, gmi_now_ns());
	const struct gm_stats *now = counters_now(s);
	view_from_stats(&v, now);
	idle_explain(&idle, now, &v);
	if (t)
		trace_close(t, &v, now);
	if (!strcmp(report, "text") && (v.ndev || strcmp(v.ended, "exec") != 0))
		print_report(&v);
	else if (*report == '/')
		save_report(&v, report);
	return 0;
}
