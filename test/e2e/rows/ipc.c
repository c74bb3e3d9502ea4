/* ipc.c - rows of System V's and POSIX's semaphores, messages and shared memory. */
#include <mqueue.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <time.h>

#include "rows.h"

#define SEMS 3000 /* their values need more than a page */

static void show_sems(int id)
{
	say("values %d %d %d", semctl(id, 0, GETVAL), semctl(id, 1, GETVAL),
	    semctl(id, SEMS - 1, GETVAL));
}

ROW(semop)
{
	int id = semget(IPC_PRIVATE, SEMS, 0600);
	struct sembuf *ops =
		in((struct sembuf[]){{0, 5, 0}, {1, 6, 0}, {SEMS - 1, 7, 0}}, 3 * sizeof(*ops));

	CALL(semop, id, ops, 3);
	show_sems(id);
	FAULTS(semop, id, ops, 3);
	ops[2].sem_op = -8, ops[2].sem_flg = IPC_NOWAIT;
	CALL(semop, id, ops, 3);
	show_sems(id);
	semctl(id, 0, IPC_RMID);
}

ROW(semtimedop)
{
	int id = semget(IPC_PRIVATE, SEMS, 0600);
	struct sembuf *ops = in((struct sembuf[]){{0, 5, 0}, {1, -1, 0}}, 2 * sizeof(*ops));
	struct timespec *ts = IN(struct timespec, 0, 1000);

	CALL(semtimedop, id, ops, 1, ts);
	CALL(semtimedop, id, ops, 2, ts);
	show_sems(id);
	FAULTS(semtimedop, id, ops, 2, ts);
	semctl(id, 0, IPC_RMID);
}

ROW(semctl)
{
	int id = semget(IPC_PRIVATE, SEMS, 0600);
	unsigned short *all = memset(out(2 * SEMS), 0, 2 * SEMS), *got = out(2 * SEMS);
	struct semid_ds *ds = opaque(sizeof(*ds));

	all[0] = 3, all[1] = 4, all[SEMS - 1] = 5;
	CALL(semctl, id, 0, SETALL, all);
	show_sems(id);
	CALL(semctl, id, 0, GETALL, got);
	FAULTS(semctl, id, 0, SETALL, all);
	FAULTS(semctl, id, 0, GETALL, got);
	CALL(semctl, id, 0, IPC_STAT, ds);
	say("%lu semaphores, mode %o", (unsigned long)ds->sem_nsems, ds->sem_perm.mode);
	ds->sem_perm.mode = 0640;
	CALL(semctl, id, 0, IPC_SET, ds);
	FAULTS(semctl, id, 0, IPC_SET, ds);
	semctl(id, 0, IPC_RMID);
}

#define TEXT 5000

ROW(msgsnd)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct msqid_ds ds;
	long *m = out(8 + TEXT);

	*m = 7;
	CALL(msgsnd, id, m, TEXT, 0);
	FAULTS(msgsnd, id, m, TEXT, 0);
	*m = -1;
	CALL(msgsnd, id, m, TEXT, 0);
	msgctl(id, IPC_STAT, &ds);
	say("%lu messages", (unsigned long)ds.msg_qnum);
	msgctl(id, IPC_RMID, NULL);
}

ROW(msgrcv)
{
	int id = msgget(IPC_PRIVATE, 0600);
	long *m = out(8 + TEXT);

	*m = 7;
	for (int i = 0; i < 3; i++, ++*m)
		msgsnd(id, m, TEXT, 0);
	CALL(msgrcv, id, m, 100, 0, IPC_NOWAIT); /* too large: stays */
	CALL(msgrcv, id, m, TEXT, 8, IPC_NOWAIT);
	FAULTS(msgrcv, id, m, TEXT, 0, IPC_NOWAIT);
	CALL(msgrcv, id, m, TEXT, 0, IPC_NOWAIT);
	CALL(msgrcv, id, m, TEXT, 0, IPC_NOWAIT);
	msgctl(id, IPC_RMID, NULL);
}

ROW(msgctl)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct msqid_ds *ds = opaque(sizeof(*ds));

	CALL(msgctl, id, IPC_STAT, ds);
	say("mode %o, %lu messages", ds->msg_perm.mode, (unsigned long)ds->msg_qnum);
	ds->msg_qbytes /= 2, ds->msg_perm.mode = 0640;
	CALL(msgctl, id, IPC_SET, ds);
	FAULTS(msgctl, id, IPC_STAT, ds);
	FAULTS(msgctl, id, IPC_SET, ds);
	msgctl(id, IPC_RMID, NULL);
}

ROW(shmctl)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE, 0600);
	struct shmid_ds *ds = opaque(sizeof(*ds));

	CALL(shmctl, id, IPC_STAT, ds);
	say("mode %o, %zu bytes", ds->shm_perm.mode, ds->shm_segsz);
	ds->shm_perm.mode = 0640;
	CALL(shmctl, id, IPC_SET, ds);
	FAULTS(shmctl, id, IPC_STAT, ds);
	FAULTS(shmctl, id, IPC_SET, ds);
	shmctl(id, IPC_RMID, NULL);
}

/* The name is that of the program's folder: two runs may go on at once. */
static char *queue_name(void)
{
	char cwd[256], name[300];

	snprintf(name, sizeof(name), "rows%s", strrchr(getcwd(cwd, sizeof(cwd)), '.'));
	return opaque_in(name, strlen(name) + 1);
}

static int queue(int messages)
{
	struct mq_attr a = {.mq_maxmsg = 5, .mq_msgsize = 6000};
	char *name = queue_name(), b[6000];
	int fd = (int)syscall(SYS_mq_open, name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &a);

	syscall(SYS_mq_unlink, name);
	memset(b, 'm', sizeof(b));
	for (int i = 0; i < messages; i++)
		syscall(SYS_mq_timedsend, fd, b, 5000 + i, i, NULL);
	return fd;
}

static void show_queue(int fd)
{
	struct mq_attr a = {0};

	syscall(SYS_mq_getsetattr, fd, NULL, &a);
	say("%ld messages of %ld, %ld bytes", a.mq_curmsgs, a.mq_maxmsg, a.mq_msgsize);
}

ROW(mq_open)
{
	char *name = queue_name();
	struct mq_attr *a = IN(struct mq_attr, .mq_maxmsg = 5, .mq_msgsize = 6000);
	int fd = (int)DONE(mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, a);

	show_queue(fd);
	CALL(mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, a);
	FAULTS(mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, a);
	close(fd);
	syscall(SYS_mq_unlink, name);
}

ROW(mq_unlink)
{
	char *name = queue_name();

	close((int)syscall(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, NULL));
	FAULTS(mq_unlink, name);
	CALL(mq_unlink, name);
	CALL(mq_unlink, name);
}

ROW(mq_timedsend)
{
	int fd = queue(0);
	char *b = out(5000);
	struct timespec *ts = IN(struct timespec, 1, 0);

	CALL(mq_timedsend, fd, b, 5000, 3, ts);
	FAULTS(mq_timedsend, fd, b, 5000, 3, ts);
	CALL(mq_timedsend, fd, b, 7000, 3, ts);
	show_queue(fd);
	close(fd);
}

ROW(mq_timedreceive)
{
	int fd = queue(5);
	char *b = out(6000);
	unsigned *priority = OUT(unsigned);
	struct timespec *ts = IN(struct timespec, 1, 0);

	CALL(mq_timedreceive, fd, b, 6000, priority, ts);
	CALL(mq_timedreceive, fd, b, 100, priority, ts);
	FAULTS(mq_timedreceive, fd, b, 6000, priority, ts);
	show_queue(fd);
	CALL(mq_timedreceive, fd, b, 6000, priority, ts);
	close(fd);
}

ROW(mq_notify)
{
	int fd = queue(0), sock = socket(AF_NETLINK, SOCK_RAW, 0);
	char *cookie = out(32);
	struct sigevent *ev = OPAQUE(struct sigevent, .sigev_notify = SIGEV_NONE);

	CALL(mq_notify, fd, ev);
	CALL(mq_notify, fd, ev);
	CALL(mq_notify, fd, NULL);
	FAULTS(mq_notify, fd, ev);
	ev->sigev_notify = SIGEV_THREAD, ev->sigev_signo = sock, ev->sigev_value.sival_ptr = cookie;
	CALL(mq_notify, fd, ev);
	syscall(SYS_mq_timedsend, fd, "x", 1, 0, NULL);
	show_left(sock); /* the cookie comes back */
	ev->sigev_value.sival_ptr = (void *)8;
	CALL(mq_notify, fd, ev);
	close_all(2, (int[]){fd, sock});
}

ROW(mq_getsetattr)
{
	int fd = queue(2);
	struct mq_attr *set = IN(struct mq_attr, .mq_flags = 0), *old = OUT(struct mq_attr);

	CALL(mq_getsetattr, fd, set, old);
	CALL(mq_getsetattr, fd, NULL, old);
	set->mq_flags = O_NONBLOCK;
	FAULTS(mq_getsetattr, fd, set, old);
	show_queue(fd);
	close(fd);
}

const struct row ipc_rows[] = {
	R(semop),	    R(semtimedop), R(semctl),	     R(msgsnd),	   R(msgrcv),
	R(msgctl),	    R(shmctl),	   R(mq_open),	     R(mq_unlink), R(mq_timedsend),
	R(mq_timedreceive), R(mq_notify),  R(mq_getsetattr), {0},
};
