/*
 * rows.h - golden tests of system calls: one function for each row of
 * preload/syscalls/syscall_table.c that takes memory. It makes the call raw, with every pointer
 * in memory that is away, and prints what it saw: the result, errno, a checksum of each buffer,
 * and what the call has changed. test/e2e/rows_test.sh compares that with a plain run.
 *
 * Each row runs three times (see `passes` in main.c): buffers away as a whole, all but their
 * last page, all but their first. What is printed must not depend on the run: no addresses,
 * process ids, times; print relations instead.
 */
#ifndef E2E_ROWS_H
#define E2E_ROWS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload/syscalls/syscall_numbers.h"

#define PAGE 4096ul

struct row {
	const char *name;
	void (*run)(void);
};
#define ROW(call) static void call##_row(void)
#define R(call)                                                                                    \
	{                                                                                          \
#call, call##_row                                                                  \
	}
extern const struct row async_rows[], file_rows[], ioctl_rows[], ipc_rows[], memory_rows[],
	mount_rows[], path_rows[], process_rows[], sched_rows[], signal_rows[], socket_rows[],
	system_rows[], thread_rows[], time_rows[], wait_rows[], xattr_rows[];

/*
 * Buffers of the row, freed at its end. They straddle pages where their size allows, and what
 * lies beside them in their pages is looked at after each call. in(): a copy; out(): a pattern;
 * both are shown after each call. opaque_*: for contents that differ from run to run (addresses,
 * times): not shown.
 */
void *in(const void *data, size_t n);
void *out(size_t n);
void *opaque_in(const void *data, size_t n);
void *opaque(size_t n);
char *str(const char *s);
/* n iovecs of these buffers: opaque. */
struct iovec *iovs(const struct iovec *v, size_t n);
#define IN(type, ...)	  ((type *)in(&(type){__VA_ARGS__}, sizeof(type)))
#define OPAQUE(type, ...) ((type *)opaque_in(&(type){__VA_ARGS__}, sizeof(type)))
#define OUT(type)	  ((type *)out(sizeof(type)))
#define IOVS(...)                                                                                  \
	iovs((const struct iovec[]){__VA_ARGS__},                                                  \
	     sizeof((struct iovec[]){__VA_ARGS__}) / sizeof(struct iovec))

/* The buffers are sent away, the call is made, everything is shown. DONE shows success only, not
 * the result. TRY shows nothing. FAULTS makes the call again for each buffer among its
 * arguments, with the second half of that buffer in memory that the program may not access. All
 * but FAULTS give the result. */
long rows_call(long nr, const char *name, const long a[6]);
long rows_done(long nr, const char *name, const long a[6]);
long rows_try(long nr, const char *name, const long a[6]);
void rows_faults(long nr, const char *name, const long a[6]);
#define CALL(call, ...)	  rows_call(SYS_##call, #call, LONGS(__VA_ARGS__))
#define DONE(call, ...)	  rows_done(SYS_##call, #call, LONGS(__VA_ARGS__))
#define TRY(call, ...)	  rows_try(SYS_##call, #call, LONGS(__VA_ARGS__))
#define FAULTS(call, ...) rows_faults(SYS_##call, #call, LONGS(__VA_ARGS__))

#define LONGS(...)                                                                                 \
	(const long[6])                                                                            \
	{                                                                                          \
		LONGS_(__VA_ARGS__, 6, 5, 4, 3, 2, 1)(__VA_ARGS__)                                 \
	}
#define LONGS_(a, b, c, d, e, f, n, ...) LONGS##n
#define LONGS1(a)			 (long)(a)
#define LONGS2(a, ...)			 (long)(a), LONGS1(__VA_ARGS__)
#define LONGS3(a, ...)			 (long)(a), LONGS2(__VA_ARGS__)
#define LONGS4(a, ...)			 (long)(a), LONGS3(__VA_ARGS__)
#define LONGS5(a, ...)			 (long)(a), LONGS4(__VA_ARGS__)
#define LONGS6(a, ...)			 (long)(a), LONGS5(__VA_ARGS__)

/* What is done before and after each call: the buffers are sent away; they are shown. */
void send_away(void);
void show_all(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
unsigned sum_of(const void *p, size_t n);

/* A new file (or the old one, emptied) with n bytes of a pattern; its contents; what is left in
 * a pipe or socket. */
int file_with(const char *name, size_t n);
void show_file(int fd);
void show_left(int fd);
/* A pipe with n bytes of a pattern in it. */
void pipe_with(int p[2], size_t n);
void close_all(int n, const int *fds);
/* A child that runs f and exits with its result; -1 or its exit status. */
int in_child(int (*f)(void *), void *arg);

/* A call that fails with good pointers, too. */
#define REFUSED(call, ...)                                                                         \
	do {                                                                                       \
		CALL(call, __VA_ARGS__);                                                           \
		FAULTS(call, __VA_ARGS__);                                                         \
	} while (0)

#endif
