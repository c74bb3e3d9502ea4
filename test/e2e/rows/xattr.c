/* xattr.c - rows of extended attributes, and of the attributes that file systems have of their
 * own. */
#include <sys/xattr.h>

#include "rows.h"

#define CWD    AT_FDCWD
#define BYTES  200 /* of a value: what every file system takes */
#define NAME   "file-with-attributes"
#define ATTR   "user.name-of-the-attribute"
#define ATTR_2 "user.another"

static int new_file(void)
{
	unlink(NAME);
	return file_with(NAME, 10);
}

static void show(void)
{
	char b[2 * PAGE];
	ssize_t n = getxattr(NAME, ATTR, b, sizeof(b));

	say("value: %ld bytes %08x", (long)n, n > 0 ? sum_of(b, (size_t)n) : 0);
}

/* file: how the call names the file. */
#define SET(call, file)                                                                            \
	do {                                                                                       \
		int fd = new_file();                                                               \
		char *name = str(NAME), *attr = str(ATTR), *value = out(BYTES);                    \
		(void)name;                                                                        \
		CALL(call, file, attr, value, BYTES, XATTR_CREATE);                                \
		show();                                                                            \
		CALL(call, file, attr, value, BYTES, XATTR_CREATE);                                \
		CALL(call, file, attr, value, 0x100000, 0);                                        \
		FAULTS(call, file, attr, value, BYTES, 0);                                         \
		show();                                                                            \
		close(fd);                                                                         \
	} while (0)
#define GET(call, file)                                                                            \
	do {                                                                                       \
		int fd = new_file();                                                               \
		char *name = str(NAME), *attr = str(ATTR), *value = out(BYTES);                    \
		(void)name;                                                                        \
		fsetxattr(fd, ATTR, value, BYTES, 0);                                              \
		char *b = out(PAGE + 8);                                                           \
		CALL(call, file, attr, b, PAGE + 8);                                               \
		CALL(call, file, attr, b, 10);                                                     \
		CALL(call, file, attr, NULL, 0);                                                   \
		FAULTS(call, file, attr, b, 250);                                                  \
		CALL(call, file, str("user.none"), b, 10);                                         \
		close(fd);                                                                         \
	} while (0)
#define LIST(call, ...)                                                                            \
	do {                                                                                       \
		int fd = new_file();                                                               \
		char *name = str(NAME), *b = out(300);                                             \
		(void)name;                                                                        \
		fsetxattr(fd, ATTR, "1", 1, 0);                                                    \
		fsetxattr(fd, ATTR_2, "2", 1, 0);                                                  \
		CALL(call, __VA_ARGS__, b, 300);                                                   \
		CALL(call, __VA_ARGS__, b, 5);                                                     \
		FAULTS(call, __VA_ARGS__, b, 300);                                                 \
		close(fd);                                                                         \
	} while (0)
#define REMOVE(call, ...)                                                                          \
	do {                                                                                       \
		int fd = new_file();                                                               \
		char *name = str(NAME), *attr = str(ATTR);                                         \
		(void)name;                                                                        \
		fsetxattr(fd, ATTR, "1", 1, 0);                                                    \
		FAULTS(call, __VA_ARGS__, attr);                                                   \
		CALL(call, __VA_ARGS__, attr);                                                     \
		show();                                                                            \
		CALL(call, __VA_ARGS__, attr);                                                     \
		close(fd);                                                                         \
	} while (0)

ROW(setxattr)
{
	SET(setxattr, name);
}

ROW(lsetxattr)
{
	SET(lsetxattr, name);
}

ROW(fsetxattr)
{
	SET(fsetxattr, fd);
}

ROW(getxattr)
{
	GET(getxattr, name);
}

ROW(lgetxattr)
{
	GET(lgetxattr, name);
}

ROW(fgetxattr)
{
	GET(fgetxattr, fd);
}

ROW(listxattr)
{
	LIST(listxattr, name);
}

ROW(llistxattr)
{
	LIST(llistxattr, name);
}

ROW(flistxattr)
{
	LIST(flistxattr, fd);
}

ROW(listxattrat)
{
	LIST(listxattrat, CWD, name, 0);
}

ROW(removexattr)
{
	REMOVE(removexattr, name);
}

ROW(lremovexattr)
{
	REMOVE(lremovexattr, name);
}

ROW(fremovexattr)
{
	REMOVE(fremovexattr, fd);
}

ROW(removexattrat)
{
	REMOVE(removexattrat, CWD, name, 0);
}

struct xattr {
	uint64_t value;
	uint32_t size, flags;
};

ROW(setxattrat)
{
	int fd = new_file();
	char *name = str(NAME), *attr = str(ATTR), *value = out(BYTES);
	struct xattr *x = OPAQUE(struct xattr, (uintptr_t)value, BYTES, XATTR_CREATE);

	CALL(setxattrat, CWD, name, 0, attr, x, sizeof(*x));
	show();
	FAULTS(setxattrat, CWD, name, 0, attr, x, sizeof(*x));
	x->value = 8, x->flags = 0;
	CALL(setxattrat, CWD, name, 0, attr, x, sizeof(*x));
	show();
	close(fd);
}

ROW(getxattrat)
{
	int fd = new_file();
	char *name = str(NAME), *attr = str(ATTR), *value = out(BYTES), *b = out(PAGE);
	struct xattr *x = OPAQUE(struct xattr, (uintptr_t)b, PAGE, 0);

	fsetxattr(fd, ATTR, value, BYTES, 0);
	CALL(getxattrat, CWD, name, 0, attr, x, sizeof(*x));
	FAULTS(getxattrat, CWD, name, 0, attr, x, sizeof(*x));
	x->value = 8;
	CALL(getxattrat, CWD, name, 0, attr, x, sizeof(*x));
	close(fd);
}

struct attr { /* struct file_attr */
	uint64_t flags;
	uint32_t extent, nextents, project, cow;
};

ROW(file_getattr)
{
	char *name = str(NAME);
	struct attr *a = OUT(struct attr);

	close(new_file());
	CALL(file_getattr, CWD, name, a, sizeof(*a), 0);
	FAULTS(file_getattr, CWD, name, a, sizeof(*a), 0);
	CALL(file_getattr, CWD, name, a, 4, 0);
}

ROW(file_setattr)
{
	char *name = str(NAME);
	struct attr *a = IN(struct attr, .flags = 0x80 /* FS_XFLAG_NODUMP */), now = {0};

	close(new_file());
	CALL(file_setattr, CWD, name, a, sizeof(*a), 0);
	FAULTS(file_setattr, CWD, name, a, sizeof(*a), 0);
	syscall(SYS_file_getattr, CWD, NAME, &now, sizeof(now), 0);
	say("flags %lx", (unsigned long)now.flags & 0xff);
	CALL(file_setattr, CWD, name, a, 4, 0);
}

const struct row xattr_rows[] = {
	R(setxattr),
	R(lsetxattr),
	R(fsetxattr),
	R(setxattrat),
	R(getxattr),
	R(lgetxattr),
	R(fgetxattr),
	R(getxattrat),
	R(listxattr),
	R(llistxattr),
	R(flistxattr),
	R(listxattrat),
	R(removexattr),
	R(lremovexattr),
	R(fremovexattr),
	R(removexattrat),
	R(file_getattr),
	R(file_setattr),
	{0},
};
