/* The thread that serves GMEM_FAULT=uffd. See page/cpu_uffd.c. */
#include "core/entry/fault.h"
#include "core/entry/offer.h"
#include "core/sys/sys.h"
#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static void serve_message(int uffd, const struct uffd_msg *m)
{
	uintptr_t page = gm_align_down((uintptr_t)m->arg.pagefault.address, GM_PAGE_BYTES);
	struct uffdio_range range = {page, GM_PAGE_BYTES};
	bool write = m->arg.pagefault.flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP);

	/* Not ours: the mapping has changed meanwhile, the touch finds what is there now. Lost:
	 * it becomes a signal, whose handler asks once more and then says SIGBUS. */
	if (gmi_cpu_fault(page, write) == GM_CPU_LOST)
		gm_sys_mprotect((void *)page, GM_PAGE_BYTES, PROT_NONE);
	gm_sys3(SYS_ioctl, uffd, UFFDIO_WAKE, &range);
}

void gmc_uffd_thread(int fd, int wake)
{
	struct uffd_msg m[16];

	for (;;) {
		struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = wake, .events = POLLIN}};
		gm_sys5(SYS_ppoll, p, GM_ARRAY_LEN(p), NULL, NULL, 8);
		if (p[1].revents)
			return;
		if (!p[0].revents)
			continue;
		long n = gm_sys3(SYS_read, fd, m, sizeof m);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			return;
		gm_sigmask mask = gmi_block_signals();
		for (size_t i = 0; i < (size_t)n / sizeof m[0]; i++)
			if (m[i].event == UFFD_EVENT_PAGEFAULT)
				serve_message(fd, &m[i]);
		gmi_restore_signals(mask);
	}
}
