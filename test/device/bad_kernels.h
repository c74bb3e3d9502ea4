/*
 * bad_kernels.h - what the kernel in bad_kernels.c does to the control page and to the system;
 * shared by both sides.
 */
#ifndef GM_TEST_BAD_KERNELS_H
#define GM_TEST_BAD_KERNELS_H

#include <stdint.h>

#define BAD_DEEDS(X)                                                                               \
	X(NOTHING)                                                                                 \
	X(LONG_RUN_IN_LAUNCH) /* a run of 4 GiB in what a launch wrote */                          \
	X(WRITE_IN_LAUNCH)    /* the program's memory, though no region runs */                    \
	X(LONG_RUN_IN_FAULT)  /* the same by a fault's slot */                                     \
	X(WRITE_IN_FAULT)                                                                          \
	X(READ_IN_FAULT)                                                                           \
	X(UNKNOWN_FAULT) /* a kind that there is not */                                            \
	X(MANY_ENTRIES)	 /* a slot's count of entries, while it is served */                       \
	X(TAIL_AHEAD)	 /* commands applied that were never given */                              \
	X(ONES)		 /* all of the control page */                                             \
	X(ZEROS)                                                                                   \
	X(ALL_DONE) /* every launch has ended */                                                   \
	X(SPIN)	    /* has an entry for the first page, for `bytes` us */                          \
	X(HUGE_JOURNAL)                                                                            \
	X(TRUNCATE_MEMORY)                                                                         \
	X(TRUNCATE_CONTROL)                                                                        \
	X(TRUNCATE_JOURNAL)                                                                        \
	X(KILL_HOST)                                                                               \
	X(OPEN_FOR_WRITING)                                                                        \
	X(EXECUTE)                                                                                 \
	X(WRITE_TO_HOST) /* process_vm_writev */

enum bad_deed {
#define DEED(name) BAD_##name,
	BAD_DEEDS(DEED)
#undef DEED
		BAD_DEEDS_END
};

struct bad_args {
	uint64_t deed;
	volatile unsigned char *data;
	uint64_t bytes;
	char *secret; /* of the program, outside every window */
	const char *file;
};

#endif
