/* peer.h - memory of another managed process (peer.c). */
#ifndef GMP_PEER_H
#define GMP_PEER_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

/* process_vm_readv or process_vm_writev of the program: bytes or -errno. */
long gmp_process_vm(long nr, const long a[6]);
/* Of a reserved signal: is it such a question? The handler answers it. */
bool gmp_peer_asks(const siginfo_t *info);
void gmp_peer_answer(const siginfo_t *info, ucontext_t *uc);

#endif
