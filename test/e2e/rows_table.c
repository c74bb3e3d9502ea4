/* table.c - names the rows of preload/syscalls/syscall_table.c that take memory: each must have
 * a test (rows_test.sh). */
#include <stdio.h>

#include "preload/syscalls/syscall_table.h"

int main(void)
{
	for (int nr = 0; nr < GMP_NSYSCALLS; nr++)
		if (gmp_syscalls[nr].memory)
			puts(gmp_syscalls[nr].name);
	return 0;
}
