/*
 * peer.c - process_vm_readv and process_vm_writev of another managed process (MPI's single copy,
 * UCX). The kernel finds pages that are away there without rights, and fails at the first; then
 * that process is asked to bring them home, by the reserved signal with the address in its value,
 * and the call is made again. Pages that do not stay (a busy device) are pinned there at last.
 *
 * Asked is only who has a store and a handler for the signal: others would die of it. The first
 * thread answers: ours may hold the driver's locks.
 */
#include "preload/dispatch/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "core/entry/fault.h"
#include "core/entry/pin.h"
#include "core/sys/sys.h"
#include "preload/dispatch/stop.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"
#include "preload/syscalls/held.h"

/* The value: tag, pin, write, pages (18 bits), page number (36 bits). */
#define ASK_TAG	  (0x9eull << 56)
#define ASK_PIN	  (1ull << 55)
#define ASK_WRITE (1ull << 54)
#define MOST	  ((1ull << 18) - 1)

#define ASKED_MOST 40 /* requests for one place; the last few pin */
#define PIN_FROM   20
#define ANSWER_NS  50000 /* between looks whether it has come */
#define LOOKS	   400	 /* 20 ms, then it is asked again */

bool gmp_peer_asks(const siginfo_t *info)
{
	return (uint64_t)info->si_value.sival_ptr >> 56 == ASK_TAG >> 56;
}

/* In the handler, all blocked. */
void gmp_peer_answer(const siginfo_t *info, ucontext_t *uc)
{
	const uint64_t ask = (uint64_t)info->si_value.sival_ptr;
	const uintptr_t at = (ask & ((1ull << 36) - 1)) << GM_PAGE_SHIFT;
	const size_t bytes = (ask >> 36 & MOST) << GM_PAGE_SHIFT;

	if (gmp_tls) { /* no reason for a call to end */
		gmp_tls->stops++;
		gmp_tls->kept_out = true;
	}
	if (ask & ASK_PIN)
		gmi_pin_range((void *)at, bytes, true);
	else
		gmi_cpu_make_resident(at, bytes, ask & ASK_WRITE);
	gmp_call_again(uc);
}

/* ---- who asks ---- */

/* Does the file have the word? In pieces, which overlap by more than its length. */
static bool file_has(const char *path, const char *word, size_t len)
{
	char buf[4096 + 64];
	size_t kept = 0;
	bool found = false;
	long fd = gm_sys3(SYS_open, path, O_RDONLY | O_CLOEXEC, 0), n;

	if (fd < 0)
		return false;
	while (!found && (n = gm_sys3(SYS_read, fd, buf + kept, 4096)) > 0) {
		const size_t all = kept + (size_t)n;
		for (size_t i = 0; !found && i + len <= all; i++) {
			size_t k = 0;
			while (k < len && buf[i + k] == word[k])
				k++;
			found = k == len;
		}
		kept = gm_min(len - 1, all);
		for (size_t k = 0; k < kept; k++)
			buf[k] = buf[all - kept + k];
	}
	gm_sys1(SYS_close, fd);
	return found;
}

/* The eight digits of "SigCgt:" from the left have signal 33 as the last bit of the first eight. */
static bool catches_signal(int pid)
{
	char path[64], text[2048];

	gmi_snprintf(path, sizeof(path), "/proc/%d/status", pid);
	long fd = gm_sys3(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);
	long n = fd < 0 ? -1 : gm_sys3(SYS_read, fd, text, sizeof(text) - 1);
	if (fd >= 0)
		gm_sys1(SYS_close, fd);
	for (long i = 0; i + 24 < n; i++) {
		const char *word = "\nSigCgt:\t";
		long k = 0;
		while (word[k] && text[i + k] == word[k])
			k++;
		if (word[k])
			continue;
		const char digit = text[i + k + 7];
		return (digit >= 'a' ? digit - 'a' + 10 : digit - '0') & 1;
	}
	return false;
}

static bool is_managed_peer(int pid)
{
	static const char store[] = "/memfd:gmem-store";
	char path[64];

	gmi_snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	return catches_signal(pid) && file_has(path, store, sizeof(store) - 1);
}

static void ask_peer(int pid, uintptr_t at, size_t bytes, bool write, bool pin)
{
	const uintptr_t first = at >> GM_PAGE_SHIFT;
	const uintptr_t pages = gm_min(((at + bytes - 1) >> GM_PAGE_SHIFT) - first + 1, MOST);
	siginfo_t info = {.si_signo = GMP_KICK_SIGNAL, .si_code = SI_QUEUE};

	info.si_pid = (int)gm_sys0(SYS_getpid);
	info.si_uid = (unsigned)gm_sys0(SYS_getuid);
	info.si_value.sival_ptr = (void *)(ASK_TAG | (pin ? ASK_PIN : 0) | (write ? ASK_WRITE : 0) |
					   pages << 36 | first);
	gm_sys4(SYS_rt_tgsigqueueinfo, pid, pid, GMP_KICK_SIGNAL, &info);
}

/* Where the call stopped after `done` bytes: the rest of that part. False: it had all. */
static bool place_after(const struct iovec *v, unsigned long n, size_t done, struct iovec *rest)
{
	for (unsigned long i = 0; i < n; i++) {
		struct iovec one;
		if (gmp_copy(&one, &v[i], sizeof(one)))
			return false;
		if (done < one.iov_len) {
			*rest = (struct iovec){(char *)one.iov_base + done, one.iov_len - done};
			return true;
		}
		done -= one.iov_len;
	}
	return false;
}

static size_t vector_bytes(const struct iovec *v, unsigned long n)
{
	struct iovec one;
	size_t all = 0;

	for (unsigned long i = 0; i < n && !gmp_copy(&one, &v[i], sizeof(one)); i++)
		all += one.iov_len;
	return all;
}

static size_t done_of(long r)
{
	return r == -EFAULT ? 0 : (size_t)r;
}

/* Buffers and vectors of this process are held. */
static long call_until_all(long nr, const long a[6], void *unused)
{
	const struct iovec *remote = (const struct iovec *)a[3];
	const unsigned long n = gm_min((unsigned long)a[4], 1024ul);
	const struct timespec step = {.tv_nsec = ANSWER_NS};
	const int pid = (int)a[0];
	long r = gm_sys6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	const size_t want =
		gm_min(vector_bytes(remote, n), vector_bytes((const struct iovec *)a[1],
							     gm_min((unsigned long)a[2], 1024ul)));
	struct iovec rest;
	bool known = false;

	for (unsigned asked = 0; asked < ASKED_MOST && (r == -EFAULT || r >= 0) &&
				 done_of(r) < want && place_after(remote, n, done_of(r), &rest);
	     asked++) {
		if (!known && !(known = is_managed_peer(pid)))
			break;
		const size_t had = done_of(r);
		ask_peer(pid, (uintptr_t)rest.iov_base, rest.iov_len, nr == SYS_process_vm_writev,
			 asked >= PIN_FROM);
		for (unsigned i = 0; i < LOOKS; i++) {
			gm_sys2(SYS_nanosleep, &step, NULL);
			r = gm_sys6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
			if ((r < 0 && r != -EFAULT) || done_of(r) > had)
				break;
		}
	}
	return r;
}

long gmp_process_vm(long nr, const long a[6])
{
	if (a[0] == gm_sys0(SYS_getpid))
		return gmp_held_syscall(nr, a);
	return gmp_held_call(nr, a, call_until_all, NULL);
}

#define PEER_HOOK(name)                                                                            \
	GMP_HOOK ssize_t name(pid_t pid, const struct iovec *local, unsigned long nlocal,          \
			      const struct iovec *remote, unsigned long nremote,                   \
			      unsigned long flags)                                                 \
	{                                                                                          \
		const long a[6] = {pid,		 (long)local,	(long)nlocal,                      \
				   (long)remote, (long)nremote, (long)flags};                      \
                                                                                                   \
		return gmp_ret(gmp_process_vm(SYS_##name, a));                                     \
	}
PEER_HOOK(process_vm_readv)
PEER_HOOK(process_vm_writev)
