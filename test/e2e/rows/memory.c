/* memory.c - rows of calls about memory whose results go to memory. */
#include <sys/mman.h>
#include <sys/uio.h>

#include "rows.h"

#define PAGES 6000 /* their vector needs more than a page */

static void in_core(int flags, size_t step)
{
	char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0),
	     *vec = out(PAGES);

	for (size_t i = 0; i < PAGES; i += step)
		p[i * PAGE] = 1;
	CALL(mincore, p, PAGES * PAGE, vec);
	FAULTS(mincore, p, PAGES * PAGE, opaque(PAGES));
	CALL(mincore, p + 1, PAGE, vec);
	munmap(p + PAGE, PAGE);
	CALL(mincore, p, 4 * PAGE, vec);
	munmap(p, PAGES * PAGE);
}

/* Managed memory, all of it in use: what is not, a device may touch at any time. And memory that
 * is the kernel's only. */
ROW(mincore)
{
	in_core(MAP_PRIVATE, 1);
	in_core(MAP_SHARED, 3);
}

ROW(mbind)
{
	void *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long *mask = in((unsigned long[16]){1}, 128);

	CALL(mbind, p, 4 * PAGE, 2 /* MPOL_BIND */, mask, 1024, 0);
	FAULTS(mbind, p, 4 * PAGE, 2, mask, 1024, 0);
	CALL(mbind, p, 4 * PAGE, 77, mask, 1024, 0);
	munmap(p, 4 * PAGE);
}

ROW(set_mempolicy)
{
	unsigned long *mask = in((unsigned long[16]){1}, 128);

	CALL(set_mempolicy, 1 /* MPOL_PREFERRED */, mask, 1024);
	FAULTS(set_mempolicy, 1, mask, 1024);
	CALL(set_mempolicy, 0, NULL, 0);
}

ROW(get_mempolicy)
{
	int *mode = OUT(int);
	unsigned long *mask = out(128);

	CALL(get_mempolicy, mode, mask, 1024, NULL, 0);
	FAULTS(get_mempolicy, mode, mask, 1024, NULL, 0);
}

ROW(migrate_pages)
{
	unsigned long *from = in((unsigned long[16]){1}, 128),
		      *to = in((unsigned long[16]){1}, 128);

	CALL(migrate_pages, 0, 1024, from, to);
	FAULTS(migrate_pages, 0, 1024, from, to);
}

ROW(move_pages)
{
	enum { N = 700 };
	char *p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void **pages = opaque(N * sizeof(*pages));
	int *status = out(N * sizeof(*status)),
	    *nodes = memset(out(N * sizeof(*nodes)), 0, N * sizeof(*nodes));

	memset(p, 1, (N - 5) * PAGE);
	for (size_t i = 0; i < N; i++)
		pages[i] = p + i * PAGE;
	CALL(move_pages, 0, N, pages, NULL, status, 0);
	CALL(move_pages, 0, N, pages, nodes, status, 2);
	FAULTS(move_pages, 0, N, pages, NULL, status, 0);
	munmap(p, N * PAGE);
}

/* Both sides are this process. */
#define VM(call)                                                                                   \
	do {                                                                                       \
		char *a = out(3 * PAGE), *b = memset(out(3 * PAGE), 1, 3 * PAGE);                  \
		struct iovec *here = IOVS({a, PAGE}, {a + PAGE, 2 * PAGE});                        \
		struct iovec *there = IOVS({b, 2 * PAGE}, {b + 2 * PAGE, PAGE});                   \
		CALL(call, getpid(), here, 2, there, 2, 0);                                        \
		FAULTS(call, getpid(), here, 2, there, 2, 0);                                      \
		there[1].iov_base = (void *)8;                                                     \
		CALL(call, getpid(), here, 2, there, 2, 0);                                        \
	} while (0)

ROW(process_vm_readv)
{
	VM(process_vm_readv);
}

ROW(process_vm_writev)
{
	VM(process_vm_writev);
}

ROW(process_madvise)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct iovec *v = IOVS({p, PAGE}, {p + 2 * PAGE, PAGE});
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	CALL(process_madvise, fd, v, 2, MADV_COLD, 0);
	FAULTS(process_madvise, fd, v, 2, MADV_COLD, 0);
	CALL(process_madvise, fd, v, 2, 12345, 0);
	munmap(p, 4 * PAGE);
	close(fd);
}

const struct row memory_rows[] = {
	R(mincore),	    R(mbind),	   R(set_mempolicy),	R(get_mempolicy),
	R(migrate_pages),   R(move_pages), R(process_vm_readv), R(process_vm_writev),
	R(process_madvise), {0},
};
