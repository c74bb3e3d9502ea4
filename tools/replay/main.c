/*
 * gmem-replay RECORDING [SECONDS]: for each line of standard input, FILE.json and behind it, each
 * after a tab, variables of the environment (GMEM_DEVICE=..., GMEM_EVICT=...): replays the
 * recording under that configuration and writes the report into the file. Prints for each, as it
 * is done, the file and, after a tab, "done", "cut" (it took longer than SECONDS), "least" (it
 * moves so much or more: docs/replay.md) or "failed"; where several threads of the device touched
 * pages side by side, after another tab "turns", which these took.
 */
#include "tools/replay/replay.h"
#include "tools/view.h"
#include "core/rules/opt.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLES 32

static const char *what_is_wrong(const struct ds_record_head *h, size_t bytes)
{
	if (bytes < sizeof *h || memcmp(h->magic, DS_RECORD_MAGIC, sizeof h->magic) != 0)
		return "is not a recording of gmem";
	static char text[96];
	if (h->version > DS_RECORD_VERSION) {
		snprintf(text, sizeof text, "has version %u; this gmem-replay reads up to %d",
			 h->version, DS_RECORD_VERSION);
		return text;
	}
	if (!h->version || h->page_bytes < 4096 || h->page_bytes > GM_BLOCK_BYTES || !h->bytes ||
	    (h->base | h->bytes) % GM_BLOCK_BYTES)
		return "is damaged";
	return NULL;
}

static bool open_recording(const char *path, struct recording *rec)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0)
		p = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0)
			       : NULL;
	if (p == MAP_FAILED) {
		fprintf(stderr, "gmem-replay: %s: %s\n", path, strerror(errno));
		return false;
	}
	close(fd);
	const char *wrong = what_is_wrong(p, (size_t)st.st_size);
	if (wrong) {
		fprintf(stderr, "gmem-replay: %s %s\n", path, wrong);
		return false;
	}
	uint64_t room = ((uint64_t)st.st_size - sizeof *rec->head) / sizeof(struct ds_record);
	rec->head = p;
	rec->n = gm_min((uint64_t)atomic_load(&rec->head->head), room);
	rec->lost = rec->n < atomic_load(&rec->head->head);
	return true;
}

/* In a child process. Returns its exit status, an enum replay_end. */
static int replay_line(const struct recording *rec, double limit_s, char *line)
{
	static struct view v;
	char *env[VARIABLES + 1], err[1024];
	int n = 0;
	char *file = strtok(line, "\t\n");

	for (char *word; n < VARIABLES && (word = strtok(NULL, "\t\n"));)
		env[n++] = word;
	env[n] = NULL;
	if (!file || gmi_opt_parse(env, err, sizeof err)) {
		fprintf(stderr, "gmem-replay: %s\n", file ? err : "a line without a file");
		return REPLAY_FAILED;
	}
	gmi_opt.report = GM_REPORT_NONE;
	enum replay_end end = replay_run(rec, limit_s);
	if (end == REPLAY_FAILED)
		return end;
	view_from_stats(&v, gmi_stats);
	strcpy(v.ended, "exit");
	int bad = view_write_json(&v, file);
	if (bad)
		fprintf(stderr, "gmem-replay: %s: %s\n", file, strerror(-bad));
	return bad ? REPLAY_FAILED : (int)end;
}

/* ---- side by side ---- */

struct child {
	pid_t pid;
	char file[4096];
};

static int await_one(struct child *all, unsigned n, bool turns)
{
	static const char *const words[] = {[REPLAY_DONE] = "done",
					    [REPLAY_CUT] = "cut",
					    [REPLAY_LEAST] = "least",
					    [REPLAY_FAILED] = "failed"};
	int status, end = REPLAY_FAILED;
	pid_t pid = wait(&status);

	if (pid < 0)
		return -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) <= REPLAY_FAILED)
		end = WEXITSTATUS(status);
	for (unsigned i = 0; i < n; i++)
		if (all[i].pid == pid) {
			printf("%s\t%s%s\n", all[i].file, words[end], turns ? "\tturns" : "");
			fflush(stdout);
			all[i].pid = 0;
		}
	return end;
}

static unsigned processors(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
}

int main(int argc, char **argv)
{
	struct recording rec;
	char line[8192];
	unsigned n = processors(), running = 0, bad = 0;

	if (argc < 2) {
		fputs("usage: gmem-replay RECORDING [SECONDS] <CONFIGURATIONS\n", stderr);
		return 2;
	}
	if (!open_recording(argv[1], &rec))
		return 1;
	struct child *all = calloc(n, sizeof *all);
	if (!all) {
		fputs("gmem-replay: no memory\n", stderr);
		return 1;
	}
	bool turns = replay_has_threads(&rec);
	if (rec.lost)
		fprintf(stderr, "gmem-replay: %s was full: what came later is not in it\n",
			argv[1]);
	while (fgets(line, sizeof line, stdin)) {
		if (running == n)
			bad += await_one(all, n, turns) == REPLAY_FAILED, running--;
		unsigned i = 0;
		while (all[i].pid)
			i++;
		snprintf(all[i].file, sizeof all[i].file, "%.*s", (int)strcspn(line, "\t\n"), line);
		fflush(stdout);
		all[i].pid = fork();
		if (!all[i].pid)
			_exit(replay_line(&rec, argc > 2 ? atof(argv[2]) : 0, line));
		running++;
	}
	for (; running; running--)
		bad += await_one(all, n, turns) == REPLAY_FAILED;
	return bad ? 1 : 0;
}
