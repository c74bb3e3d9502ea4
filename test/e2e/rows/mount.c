/* mount.c - rows of mounts and what belongs to file systems as a whole. Nothing is mounted,
 * swapped on or accounted: the names exist nowhere, or what is made is thrown away before
 * anybody can see it. */
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/stat.h>

#include "rows.h"

#define CWD  AT_FDCWD
#define NONE "no-such-folder/and-none-in-it-either"

ROW(mount)
{
	char *source = str("no-such-source"), *target = str(NONE), *type = str("tmpfs"),
	     *data = out(PAGE);

	CALL(mount, source, target, type, MS_RDONLY, data);
	FAULTS(mount, source, target, type, MS_RDONLY, data);
}

ROW(umount2)
{
	REFUSED(umount2, str(NONE), 0);
}

ROW(pivot_root)
{
	char *a = str(NONE), *b = str(NONE);

	REFUSED(pivot_root, a, b);
}

ROW(swapon)
{
	char *name = str(NONE);

	REFUSED(swapon, name, 0);
}

ROW(swapoff)
{
	char *name = str(NONE);

	REFUSED(swapoff, name);
}

ROW(acct)
{
	char *name = str(NONE);

	REFUSED(acct, name);
}

ROW(open_tree)
{
	char *name = str("././././.");
	int fd = (int)DONE(open_tree, CWD, name, O_CLOEXEC);
	struct stat st;

	say("%d", fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
	FAULTS(open_tree, CWD, name, O_CLOEXEC);
	close(fd);
}

/* struct mount_attr */
#define MOUNT_ATTR in((uint64_t[4]){0}, 32)

ROW(open_tree_attr)
{
	char *name = str("././././.");
	uint64_t *attr = MOUNT_ATTR;
	int fd = (int)DONE(open_tree_attr, CWD, name, O_CLOEXEC, attr, 32);

	FAULTS(open_tree_attr, CWD, name, O_CLOEXEC, attr, 32);
	close(fd);
}

ROW(mount_setattr)
{
	char *name = str("././././.");
	uint64_t *attr = MOUNT_ATTR; /* changes nothing */

	CALL(mount_setattr, CWD, name, 0, attr, 32);
	FAULTS(mount_setattr, CWD, name, 0, attr, 32);
	attr[0] = 1ul << 60;
	CALL(mount_setattr, CWD, name, 0, attr, 32);
}

ROW(move_mount)
{
	char *from = str(NONE), *to = str(NONE);

	REFUSED(move_mount, CWD, from, CWD, to, 0);
}

ROW(fsopen)
{
	char *name = str("tmpfs");
	int fd = (int)DONE(fsopen, name, 0);

	FAULTS(fsopen, name, 0);
	CALL(fsopen, str("no-such-file-system"), 0);
	close(fd);
}

ROW(fspick)
{
	char *name = str("./././."); /* no mount's root */

	REFUSED(fspick, CWD, name, 0);
}

ROW(fsconfig)
{
	int fd = (int)syscall(SYS_fsopen, "tmpfs", 0);
	char *key = str("size"), *value = str("1000000"), *data = out(100);

	CALL(fsconfig, fd, 1 /* FSCONFIG_SET_STRING */, key, value, 0);
	FAULTS(fsconfig, fd, 1, key, value, 0);
	CALL(fsconfig, fd, 0 /* FSCONFIG_SET_FLAG */, str("no-such-flag"), NULL, 0);
	CALL(fsconfig, fd, 2 /* FSCONFIG_SET_BINARY */, key, data, 100);
	FAULTS(fsconfig, fd, 2, key, data, 100);
	CALL(fsconfig, -1, 1, key, value, 0);
	close(fd);
}

struct request { /* struct mnt_id_req */
	uint32_t size, spare;
	uint64_t id, param, ns;
};

static uint64_t id_of_root(void)
{
	struct statx st = {0};

	statx(CWD, "/", 0, 0x4000 /* STATX_MNT_ID_UNIQUE */, &st);
	return st.stx_mnt_id;
}

ROW(statmount)
{
	struct request *r = OPAQUE(struct request, 32, 0, id_of_root(),
				   1 | 2 | 8 /* SB_BASIC, MNT_BASIC, MNT_ROOT */, 0);
	char *b = opaque(PAGE);

	CALL(statmount, r, b, PAGE, 0);
	say("of the root: %d", *(uint64_t *)(b + 40) == id_of_root());
	FAULTS(statmount, r, b, 500, 0);
	CALL(statmount, r, b, 20, 0);
	r->id = 5;
	CALL(statmount, r, b, PAGE, 0);
}

ROW(listmount)
{
	struct request *r = OPAQUE(struct request, 32, 0, ~0ul /* LSMT_ROOT */, 0, 0);
	uint64_t *ids = opaque(1000 * sizeof(*ids));

	ids[0] = 0;
	DONE(listmount, r, ids, 1000, 0);
	say("some: %d", ids[0] != 0);
	CALL(listmount, r, ids, 1, 0);
	FAULTS(listmount, r, ids, 1, 0);
	r->id = 5;
	CALL(listmount, r, ids, 1000, 0);
}

ROW(quotactl)
{
	char *name = str(NONE), *b = out(256);

	REFUSED(quotactl, QCMD(Q_GETINFO, USRQUOTA), name, 0, b);
}

ROW(quotactl_fd)
{
	int fd = file_with("file", 10);
	char *b = out(256);

	REFUSED(quotactl_fd, fd, QCMD(Q_GETINFO, USRQUOTA), 0, b);
	close(fd);
}

const struct row mount_rows[] = {
	R(mount),     R(umount2),	 R(pivot_root),	   R(swapon),	  R(swapoff),	  R(acct),
	R(open_tree), R(open_tree_attr), R(mount_setattr), R(move_mount), R(fsopen),	  R(fspick),
	R(fsconfig),  R(statmount),	 R(listmount),	   R(quotactl),	  R(quotactl_fd), {0},
};
