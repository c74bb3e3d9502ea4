/* held.c - a call between hold and unhold of its user buffers. See held.h. */
#include "preload/syscalls/held.h"

#include <pthread.h>

#include "core/entry/hold.h"
#include "core/entry/pin.h"
#include "core/space/vm.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"
#include "preload/syscalls/syscall_table.h"

void gmp_keep(const void *p, size_t n, bool movable)
{
	if (movable)
		gmi_pin_range(p, n, true);
	else
		gmi_vm_stay(gmi_vm_space(), (void *)p, n);
}

long gmp_held_call(long nr, const long a[6], long (*make)(long nr, const long a[6], void *arg),
		   void *arg)
{
	unsigned token[GMP_RANGES];
	struct gmp_ranges rs = {.pin = gmp_keep};

	if (gmp_names_our_fd(nr, a[0]))
		return -EBADF;
	gmp_syscall_ranges(nr, a, &rs);
	for (unsigned i = 0; i < rs.n; i++)
		token[i] = gmi_hold((void *)rs.r[i].lo, rs.r[i].hi - rs.r[i].lo, rs.r[i].write);
	long r = make(nr, a, arg);
	for (unsigned i = rs.n; i-- > 0;)
		gmi_unhold(token[i]);
	return r;
}

/* A stop of the world is no signal of the program's: what it ended is made again. (Time that has
 * passed is waited for once more.) */
long gmp_call_through_stops(long nr, const long a[6])
{
	const struct gmp_thread *t = gmp_tls;
	uint32_t stops = t ? t->stops : 0, handlers = t ? t->handlers : 0;
	long r = gm_sys6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);

	while (gm_unlikely(r == -EINTR) && t && t->stops != stops && t->handlers == handlers) {
		stops = t->stops;
		r = gm_sys6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	return r;
}

static long make_it(long nr, const long a[6], void *arg)
{
	return gmp_call_through_stops(nr, a);
}

long gmp_held_syscall(long nr, const long a[6])
{
	return gmp_held_call(nr, a, make_it, NULL);
}

int gmp_cancel_open(void)
{
	int type = PTHREAD_CANCEL_DEFERRED;

	if (gmp_threaded)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	return type;
}

void gmp_cancel_close(int type)
{
	if (gmp_threaded)
		pthread_setcanceltype(type, NULL);
}
