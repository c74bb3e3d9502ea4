/*
 * A kernel module that breaks every rule (built as bad_kernels.so beside the tests).
 */
#include "bad_kernels.h"
#include <gmem/kernel.h>
#include "devsim/wire.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct ds_ctl *control_page(void)
{
	char line[600];
	void *at = NULL;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (!at && maps && fgets(line, sizeof line, maps))
		if (strstr(line, "gmem-ctl"))
			at = (void *)strtoul(line, NULL, 16);
	if (maps)
		fclose(maps);
	return at;
}

static struct ds_launch *running(struct ds_ctl *ctl)
{
	for (int i = 0; i < DS_LAUNCHES; i++)
		if (ctl->launch[i].state == DS_L_RUNNING)
			return &ctl->launch[i];
	return NULL;
}

static void written(struct ds_launch *l, const struct ds_foreign_run *run, uint32_t bytes)
{
	memcpy(l->written, run, sizeof *run);
	memcpy(l->written + sizeof *run, "theirs", 7);
	l->written_bytes = bytes;
}

/* Posts a fault of its own making in a slot that no worker has; 0 when it was answered well. */
static int post(struct ds_ctl *ctl, uint32_t kind, uint64_t va, const struct ds_foreign_run *run,
		uint32_t bytes)
{
	enum { SLOT = DS_SLOTS - 1 };
	struct ds_fault *f = &ctl->fault[SLOT];

	f->state = DS_CLAIMED;
	f->kind = kind;
	f->va = va;
	f->launch = DS_LAUNCHES;
	f->bytes = bytes;
	memcpy(ctl->foreign[SLOT], run, sizeof *run);
	memcpy(ctl->foreign[SLOT] + sizeof *run, "theirs", 7);
	f->state = DS_POSTED;
	ctl->posted |= 1ull << SLOT;
	ctl->fault_bell++;
	syscall(SYS_futex, &ctl->fault_bell, FUTEX_WAKE, 9, NULL, NULL, 0);
	for (int i = 0; i < 100000 && f->state != DS_REPLIED && f->state != DS_FAILED; i++)
		usleep(10);
	int ok = f->state == DS_REPLIED;
	f->state = DS_FREE;
	return !ok;
}

static _Atomic int stop;

static void *count_for_them(void *arg)
{
	struct ds_ctl *ctl = arg;

	while (!stop)
		for (int i = 0; i < DS_SLOTS; i++)
			if (ctl->fault[i].state == DS_BUSY || ctl->fault[i].state == DS_FILLED)
				ctl->fault[i].nmaps = 0x7fffffff;
	return NULL;
}

static int many_entries(struct ds_ctl *ctl, const struct bad_args *a)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, count_for_them, ctl))
		return 1;
	for (uint64_t i = 0; i < a->bytes; i += 4096)
		a->data[i] = 1;
	stop = 1;
	pthread_join(thread, NULL);
	stop = 0;
	return 0;
}

static int spin(const struct bad_args *a)
{
	a->data[0] = 8;
	a->data[4096] = 1;
	for (uint64_t i = 0; i < a->bytes; i += 100)
		usleep(100);
	return 0;
}

static int write_to_host(struct ds_ctl *ctl, char *secret)
{
	struct iovec ours = {"theirs", 7}, theirs = {secret, 7};

	return process_vm_writev(ctl->host_pid, &ours, 1, &theirs, 1, 0) != 7;
}

/* Calls of the system that a device has no business with. Non-zero: it was refused. */
static int try_call(struct ds_ctl *ctl, const struct bad_args *a)
{
	switch ((enum bad_deed)a->deed) {
	case BAD_TRUNCATE_MEMORY:
		return ftruncate(DS_FD_DEVMEM, 0) != 0;
	case BAD_TRUNCATE_CONTROL:
		return ftruncate(DS_FD_CTL, 0) != 0;
	case BAD_TRUNCATE_JOURNAL:
		return ftruncate(DS_FD_JOURNAL, 0) != 0;
	case BAD_KILL_HOST:
		return kill(ctl->host_pid, SIGTERM) != 0;
	case BAD_OPEN_FOR_WRITING:
		return open(a->file, O_CREAT | O_WRONLY, 0600) < 0;
	case BAD_EXECUTE:
		return execl("/bin/true", "true", NULL) != 0;
	case BAD_WRITE_TO_HOST:
		return write_to_host(ctl, a->secret);
	default:
		return 0;
	}
}

/* Non-zero: it was refused. */
GM_KERNEL misbehave(struct gm_kctx *ctx, const void *args)
{
	const struct bad_args *a = args;
	struct ds_ctl *ctl = control_page();
	struct ds_launch *l = running(ctl);
	size_t page = offsetof(struct ds_ctl, foreign);
	struct ds_foreign_run run = {.va = (uint64_t)(uintptr_t)a->secret, .bytes = 7};
	struct ds_foreign_run long_run = {.va = run.va, .bytes = 0xfffffff0u};

	switch ((enum bad_deed)a->deed) {
	case BAD_LONG_RUN_IN_LAUNCH:
		written(l, &long_run, 0xffffffffu);
		return 0;
	case BAD_WRITE_IN_LAUNCH:
		written(l, &run, sizeof run + 7);
		return 0;
	case BAD_LONG_RUN_IN_FAULT:
		return post(ctl, DS_F_FOREIGN_WRITE, run.va, &long_run, 0xfffffff0u);
	case BAD_WRITE_IN_FAULT:
		return post(ctl, DS_F_FOREIGN_WRITE, run.va, &run, sizeof run + 7);
	case BAD_READ_IN_FAULT:
		return post(ctl, DS_F_FOREIGN_READ, run.va, &run, 0);
	case BAD_UNKNOWN_FAULT:
		return post(ctl, 77, run.va, &run, 0);
	case BAD_MANY_ENTRIES:
		return many_entries(ctl, a);
	case BAD_TAIL_AHEAD:
		ctl->cmd_tail = ctl->cmd_head + 5000;
		return 0;
	case BAD_ONES:
		memset(ctl, 0xff, page);
		return 0;
	case BAD_ZEROS:
		memset(ctl, 0, page);
		return 0;
	case BAD_ALL_DONE:
		for (int i = 0; i < DS_LAUNCHES; i++)
			ctl->launch[i].state = DS_L_DONE;
		return 0;
	case BAD_SPIN:
		return spin(a);
	case BAD_HUGE_JOURNAL:
		l->journal_bytes = 1ull << 50;
		l->journal_valid = 1;
		return 5;
	default:
		return try_call(ctl, a);
	}
}
