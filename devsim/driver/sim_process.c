/*
 * sim_process.c - the device's process: what it is given, its start at first use, and what
 * happens when it is gone.
 *
 * Everything that must survive it lies in descriptors that the host holds: the control page, the
 * device's memory, the journal. So losing the process loses computations, never bytes; the next
 * launch starts another one.
 */
#include "devsim/driver/sim_int.h"
#include "core/sys/text.h"
#include "core/sys/inject.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* a window may be taken by chance in the new process: another layout, another chance */
#define START_TRIES 3

static char blas_path[DS_NAME_MAX];

void gmi_sim_set_blas(const char *path)
{
	gmi_snprintf(blas_path, sizeof blas_path, "%s", path ? path : "");
}

/* ---- environment ---- */

struct start_args {
	char path[4096];
	char *argv[3];
	char environ[32768];
	char *envp[1024];
};

/* The device is nobody's preload target and reads none of our options. */
static bool env_kept(const char *s)
{
	static const char *const dropped[] = {"LD_PRELOAD=", "LD_AUDIT=", "GMEM_"};
	bool variable = false;

	for (unsigned i = 0; i < GM_ARRAY_LEN(dropped); i++)
		if (gm_text_after(s, dropped[i]))
			return false;
	for (const char *c = s; *c && !variable; c++)
		variable = *c == '=';
	return variable;
}

/*
 * The environment that this process was started with, from the kernel: the program's own
 * `environ` may lie in managed memory or be changing.
 */
static void fill_env(struct start_args *a)
{
	int fd = (int)gm_sys4(SYS_openat, AT_FDCWD, "/proc/self/environ", O_RDONLY | O_CLOEXEC, 0);
	size_t len = 0;
	unsigned n = 0;
	long r;

	while (fd >= 0 && len < sizeof a->environ - 1 &&
	       (r = gm_sys3(SYS_read, fd, a->environ + len, sizeof a->environ - 1 - len)) > 0)
		len += (size_t)r;
	if (fd >= 0)
		gm_sys1(SYS_close, fd);
	while (len && a->environ[len - 1]) /* cut off: the last one is not whole */
		len--;
	for (size_t at = 0; at < len && n < GM_ARRAY_LEN(a->envp) - 1;
	     at += sim_strlen(a->environ + at) + 1)
		if (env_kept(a->environ + at))
			a->envp[n++] = a->environ + at;
	a->envp[n] = NULL;
}

/* ---- sending descriptors ---- */

int sim_send(int sock, uint32_t index, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {{.cmsg_len = CMSG_LEN(sizeof fd),
		      .cmsg_level = SOL_SOCKET,
		      .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {&index, sizeof index};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof control};

	__builtin_memcpy(CMSG_DATA(&control.h), &fd, sizeof fd);
	long r = gm_sys3(SYS_sendmsg, sock, &msg, MSG_NOSIGNAL);
	return r < 0 ? (int)r : 0;
}

/* Process and spaces lock held, the process does not run. */
static int send_windows(struct gm_sim *sim, int sock)
{
	int err = 0;

	for (unsigned i = 0; i < DS_WINDOWS && !err; i++) {
		int fd;
		atomic_store(&sim->ctl->window[i].state, DS_W_NONE);
		if (!sim->space[i].as)
			continue;
		gm_as_window(sim->space[i].as, NULL, &fd);
		err = sim_send(sock, i, fd);
	}
	return err;
}

int sim_window_add(struct gm_sim *sim, unsigned i)
{
	struct ds_ctl *ctl = sim->ctl;
	uint64_t bytes;
	int fd, err = 0;

	ctl->window[i].base = gm_as_window(sim->space[i].as, &bytes, &fd);
	ctl->window[i].bytes = bytes;
	if (!sim->alive)
		return 0;
	err = sim_send(sim->sock, i, fd);
	if (!err) {
		sim_command(sim, &(struct ds_cmd){.kind = DS_CMD_WINDOW, .map.va = i}, true);
		err = sim->alive && atomic_load(&ctl->window[i].state) == DS_W_TAKEN ? -EBUSY : 0;
	} else if (sim_lost(sim, sim->generation)) {
		err = 0; /* the next process learns of it at its start */
	}
	if (err)
		ctl->window[i].bytes = 0;
	return err;
}

void sim_window_remove(struct gm_sim *sim, unsigned i)
{
	if (sim->alive)
		sim_command(sim, &(struct ds_cmd){.kind = DS_CMD_UNWINDOW, .map.va = i}, true);
	sim->ctl->window[i].bytes = 0;
}

/* ---- loss ---- */

/* Not by poll(2), which fails when the program's limit for descriptors is 0. */
static bool hung_up(int sock)
{
	char byte;
	long r = gm_sys6(SYS_recvfrom, sock, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT, NULL,
			 NULL);

	return r == 0 || (r < 0 && r != -EAGAIN && r != -EINTR);
}

/* cmd lock held. */
static unsigned forget_process(struct gm_sim *sim)
{
	struct ds_ctl *ctl = sim->ctl;

	sim->alive = false;
	sim->has_pending = false;
	atomic_store(&ctl->cmd_tail, atomic_load(&sim->cmd_head));
	gmi_futex_wake(&ctl->cmd_tail, INT32_MAX);
	gmi_futex_wake(&ctl->ready, INT32_MAX);
	return sim_launches_lost(sim);
}

/* Every thread of the process has left user mode before its descriptors are closed: after the
 * hang-up nothing of it writes. */
bool sim_lost(struct gm_sim *sim, uint32_t generation)
{
	unsigned failed = 0;
	bool first = false;

	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sim->cmd_lock);
	bool lost = !sim->alive || sim->generation != generation;
	if (!lost && hung_up(sim->sock)) {
		failed = forget_process(sim);
		lost = first = true;
	}
	gmi_unlock(&sim->cmd_lock);
	gmi_restore_signals(mask);
	if (first && !sim->rests && atomic_load(&sim->ctl->ready) == DS_READY) {
		atomic_fetch_add_explicit(&gmi_stats->dev[sim->dev->index].restarts, 1,
					  memory_order_relaxed);
		gm_log(GM_LOG_WARN,
		       "device %u (%s): process lost, %u kernel%s failed; its memory is kept",
		       sim->number, sim->model.name, failed, failed == 1 ? "" : "s");
	}
	return lost;
}

/* ---- start ---- */

/*
 * All that the process reads of the control page, anew: the one before may have written anything
 * there. Spaces and cmd lock held. Launch slots that somebody fills are filled again before they
 * are submitted to this process.
 */
static void reset_ctl(struct gm_sim *sim)
{
	struct ds_ctl *ctl = sim->ctl;

	ctl->magic = DS_MAGIC;
	ctl->version = DS_VERSION;
	ctl->mem_bytes = sim->model.mem_bytes;
	ctl->workers = sim->model.workers;
	ctl->record = sim_recording(sim);
	gmi_snprintf(ctl->name, sizeof ctl->name, "%s", sim->model.name);
	gm_copy(ctl->module, sim->modules, sizeof sim->modules);
	for (unsigned i = 0; i < DS_WINDOWS; i++) {
		uint64_t bytes = 0;
		struct gm_as *as = sim->space[i].as;
		ctl->window[i].base = as ? gm_as_window(as, &bytes, NULL) : 0;
		ctl->window[i].bytes = bytes;
	}
	for (unsigned i = 0; i < DS_LAUNCHES; i++)
		atomic_store(&ctl->launch[i].state,
			     atomic_load(&sim->owner[i]) ? DS_L_FILLING : DS_L_FREE);
	for (unsigned i = 0; i < DS_SLOTS; i++) {
		atomic_store(&ctl->fault[i].waiting, 0);
		atomic_store(&ctl->fault[i].state, DS_FREE);
	}
	atomic_store(&ctl->posted, 0);
	atomic_store(&ctl->mmu_sleeping, 0);
	/* the service thread may sleep: whoever rings wakes it */
	atomic_store(&ctl->host_sleeping, 1);
	atomic_store(&ctl->cmd_waiting, atomic_load(&sim->waiters));
	atomic_store(&ctl->worker_awake, 0);
	atomic_store(&ctl->workers_asleep, 0);
	atomic_store(&ctl->ready, DS_STARTING);
	atomic_store(&ctl->cmd_head, atomic_load(&sim->cmd_head));
	atomic_store(&ctl->cmd_tail, atomic_load(&sim->cmd_head));
	for (unsigned i = 0; i < DS_PEERS; i++)
		ctl->peer[i] = sim->peer[i] != NULL;
	ctl->keep_away = sim->foreign || gmi_opt.foreign >= GM_FOREIGN_SHARED;
	gm_zero(sim->object, sizeof sim->object);
	ctl->host_pid = (int32_t)gm_sys0(SYS_getpid);
	gmi_snprintf(ctl->blas, sizeof ctl->blas, "%s", blas_path);
}

static int wait_ready(struct gm_sim *sim)
{
	for (;;) {
		uint32_t state = atomic_load(&sim->ctl->ready);
		if (state != DS_STARTING)
			return state == DS_READY ? 0 : -EBUSY;
		if (gmi_futex_wait(&sim->ctl->ready, DS_STARTING, SIM_TICK_NS) == -ETIMEDOUT &&
		    sim_lost(sim, sim->generation))
			return -EIO;
	}
}

static int spawn(struct gm_sim *sim, struct start_args *a, int peer)
{
	int err_fd = gm_sys2(SYS_fcntl, 2, F_GETFD) < 0 ? -1 : 2;
	int fds[DS_FDS] = {-1, -1, err_fd};

	fds[DS_FD_CTL] = sim->ctl_fd;
	fds[DS_FD_DEVMEM] = sim->mem_fd;
	fds[DS_FD_SOCK] = peer;
	fds[DS_FD_JOURNAL] = sim->journal_fd;
	fds[DS_FD_RECORD] = sim_record_fd(sim);
	return gmi_spawn(a->path, a->argv, a->envp, fds, DS_FDS);
}

const char *sim_why(int err)
{
	static const struct gm_error_words whys[] = {
		{-ENOENT, "gmem-devsim is not beside libgmem.so"},
		{-ENOSPC, "there are no more places for devices"},
		{-EBUSY, "it refused"},
		{-EIO, "it ended at once"},
	};

	const char *why = gm_words_of(whys, GM_ARRAY_LEN(whys), err);
	const char *limit = why ? why : gmi_limit_behind(err);
	return limit ? limit : "the system refuses";
}

/* Process lock held. */
static int try_start(struct gm_sim *sim, struct start_args *a)
{
	int pair[2];
	int err = (int)gm_sys4(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);

	if (err)
		return err;
	int sock = gmi_fd_raise(pair[0]);
	if (sock < 0) {
		gm_sys1(SYS_close, pair[1]);
		return sock;
	}
	gmi_lock(&sim->spaces_lock);
	gmi_lock(&sim->cmd_lock);
	int old = sim->sock;
	reset_ctl(sim);
	sim->sock = sock;
	sim->generation++;
	sim->alive = true;
	gmi_unlock(&sim->cmd_lock);
	err = send_windows(sim, sock);
	err = err ? err : sim_send_peers(sim, sock);
	gmi_unlock(&sim->spaces_lock);
	gmi_fd_close(old);
	if (!err) {
		int pid = gm_inject(GM_INJ_SPAWN) ? -EAGAIN : spawn(sim, a, pair[1]);
		err = pid < 0 ? pid : 0;
		sim->pid = err ? 0 : pid;
	}
	gm_sys1(SYS_close, pair[1]); /* ours gone: the hang-up now means the process */
	if (!err)
		err = wait_ready(sim);
	if (err) {
		gmi_lock(&sim->cmd_lock);
		forget_process(sim);
		gmi_unlock(&sim->cmd_lock);
	}
	return err;
}

/* We may have become somebody who may not kill it (setuid): then it is asked to go. */
void sim_end_process(struct gm_sim *sim)
{
	if (gm_sys2(SYS_kill, sim->pid, SIGKILL) == -EPERM)
		gm_sys2(SYS_shutdown, sim->sock, SHUT_WR);
}

void sim_maybe_kill(struct gm_sim *sim)
{
	if (gm_inject(GM_INJ_DEVICE) && sim->alive && sim->pid > 0)
		sim_end_process(sim);
}

static int start_device(struct gm_sim *sim)
{
	struct start_args *a = gmi_alloc(sizeof *a);
	int err = a ? gmi_find_helper("gmem-devsim", a->path, sizeof a->path) : -ENOMEM;

	if (!err) {
		a->argv[0] = a->path;
		a->argv[1] = sim->model.name;
		fill_env(a);
	}
	for (int i = 0; i < START_TRIES && (i == 0 || err == -EBUSY || err == -EIO); i++)
		if (a && a->argv[0])
			err = try_start(sim, a);
	gmi_free(a, sizeof *a);
	return err;
}

int sim_process_start(struct gm_sim *sim, uint32_t *generation)
{
	int err = 0;

	/* A guess: who submits looks again, with the lock. */
	*generation = atomic_load(&sim->generation);
	if (gm_likely(atomic_load(&sim->alive) && (sim->ctl->blas[0] || !blas_path[0])))
		return 0;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sim->process_lock);
	if (!sim->alive)
		err = sim->rests ? -ENODEV : start_device(sim);
	/* told after the start, before the first call: the library is opened then */
	if (!sim->ctl->blas[0])
		gmi_snprintf(sim->ctl->blas, sizeof sim->ctl->blas, "%s", blas_path);
	*generation = sim->generation;
	gmi_unlock(&sim->process_lock);
	gmi_restore_signals(mask);
	if (err && err != -ENODEV)
		gm_log(GM_LOG_ERROR, "device %u (%s): cannot start gmem-devsim: %s (error %d)",
		       sim->number, sim->model.name, sim_why(err), -err);
	return err;
}

void gmi_sim_expect_foreign(struct gm_sim *sim)
{
	sim->foreign = true;
}

void gmi_sim_kill(struct gm_sim *sim)
{
	uint32_t generation = sim->generation;

	if (!sim->alive || sim->pid <= 0)
		return;
	sim_end_process(sim);
	while (!sim_lost(sim, generation))
		sim_wait_ns(100000);
}

unsigned gmi_sim_workers(const struct gm_sim *sim)
{
	return sim->model.workers;
}

const char *gmi_sim_name(const struct gm_sim *sim)
{
	return sim->model.name;
}

uint64_t gmi_sim_bytes(const struct gm_sim *sim)
{
	return sim->model.mem_bytes;
}

int gmi_sim_pid(struct gm_sim *sim)
{
	return sim && sim->alive ? sim->pid : 0;
}
