/* fork_wait.c - see fork_wait.h. Raw calls only: it runs between fork's halves. */
#include "core/entry/fork_wait.h"
#include "core/sys/inject.h"
#include "core/sys/sys.h"
#include <errno.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define FIRST_LOOK_NS 1000000 /* at whether the child is still there; then twice as long */
#define LAST_LOOK_NS  50000000

static struct {
	int id;
	_Atomic uint32_t *copied; /* NULL: no segment yet */
} shared;

/* Processes that see the segment; -errno: it is in an IPC namespace that we have left. */
static long attached(void)
{
	struct shmid_ds ds;
	long r = gm_sys3(SYS_shmctl, shared.id, IPC_STAT, &ds);

	return r < 0 ? r : (long)ds.shm_nattch;
}

static void detach(void)
{
	if (shared.copied)
		gm_sys1(SYS_shmdt, shared.copied);
	shared.copied = NULL;
}

int gmc_fork_wait_begin(void)
{
	if (gm_inject(GM_INJ_FORKWAIT))
		return -ENOSPC;
	if (shared.copied && attached() != 1)
		detach();
	if (!shared.copied) {
		long id = gm_sys3(SYS_shmget, IPC_PRIVATE, GM_PAGE_BYTES, 0600);
		if (id < 0)
			return (int)id;
		void *p = (void *)gm_sys3(SYS_shmat, id, NULL, 0);
		gm_sys3(SYS_shmctl, id, IPC_RMID, NULL); /* gone with the last who sees it */
		if (gm_is_err(p))
			return gm_err(p);
		shared.id = (int)id;
		shared.copied = p;
	}
	atomic_store(shared.copied, 0);
	return 0;
}

void gmc_fork_wait_parent(void)
{
	for (int64_t ns = FIRST_LOOK_NS; !atomic_load(shared.copied) && attached() > 1;
	     ns = gm_min(2 * ns, (int64_t)LAST_LOOK_NS))
		gmi_futex_wait(shared.copied, 0, ns);
}

void gmc_fork_wait_child(void)
{
	if (!shared.copied)
		return;
	atomic_store(shared.copied, 1);
	gmi_futex_wake(shared.copied, 1);
	detach();
}
