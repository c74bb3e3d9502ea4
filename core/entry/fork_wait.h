/*
 * fork_wait.h - how a parent waits for its child to have copied what both see.
 *
 * fork.c is the only caller. No descriptor is needed (programs fork with a full table), no name
 * of the child (libc does not tell it): the word that the two share lies in a segment of System
 * V shared memory, whose count of attachments is that of the processes that can still see it.
 * A child that has copied detaches; so does one that dies, and one that never came to be was
 * never attached.
 */
#ifndef GM_CORE_ENTRY_FORK_WAIT_H
#define GM_CORE_ENTRY_FORK_WAIT_H

/* Before the fork, signals blocked. 0 or -errno: then nobody can be waited for. */
int gmc_fork_wait_begin(void);
/* In the parent: until the child has copied, is dead, or was never made. */
void gmc_fork_wait_parent(void);
/* In the child, also when there was no begin. */
void gmc_fork_wait_child(void);

#endif
