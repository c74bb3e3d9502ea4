/*
 * The rings of the trace: nothing is lost unless a ring is full, then it is counted; nothing comes
 * twice or torn, and each thread's events come in their order, also when a signal handler puts
 * events while its thread is putting one.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/count/trace.h"

#define THREADS	   4
#define PER_THREAD 40000

static struct gm_trace *rings;

static void setup(void)
{
	rings = aligned_alloc(64, sizeof *rings);
	cr_assert(rings);
	memset(rings, 0, sizeof *rings);
	atomic_store(&gmi_trace, rings);
}

static void teardown(void)
{
	atomic_store(&gmi_trace, NULL);
	free(rings);
}

TestSuite(trace, .init = setup, .fini = teardown, .timeout = 60);

/* addr and pages say the same, so that half an event shows. */
static void put(uint64_t who, uint32_t n)
{
	GM_TRACE(GM_EV_EVICT, .addr = who << 32 | n, .pages = n, .device = (uint8_t)who);
}

struct seen {
	uint64_t tail[GM_TRACE_RINGS], events;
	int64_t last[256];
};

static void take_all(struct seen *s)
{
	struct gm_event e;

	for (unsigned i = 0; i < GM_TRACE_RINGS; i++)
		while (gmc_trace_take(&rings->ring[i], &s->tail[i], &e)) {
			cr_assert_eq(e.addr, (uint64_t)e.device << 32 | e.pages, "torn event");
			cr_assert_gt((int64_t)e.pages, s->last[e.device], "out of order or twice");
			s->last[e.device] = e.pages;
			s->events++;
		}
}

static uint64_t lost(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GM_TRACE_RINGS; i++)
		n += atomic_load(&rings->ring[i].lost);
	return n;
}

static void *produce(void *arg)
{
	for (uint32_t n = 0; n < PER_THREAD; n++)
		put((uintptr_t)arg, n);
	return NULL;
}

Test(trace, every_event_of_every_thread_arrives_or_is_counted_as_lost)
{
	static struct seen s;
	pthread_t t[THREADS];

	memset(s.last, -1, sizeof s.last);
	for (uintptr_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&t[i], NULL, produce, (void *)(i + 1)), 0);
	for (int i = 0; i < 200; i++)
		take_all(&s);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	take_all(&s);
	cr_assert_eq(s.events + lost(), THREADS * PER_THREAD);
}

Test(trace, a_full_ring_loses_what_is_new_and_goes_on_when_there_is_room)
{
	static struct seen s;

	memset(s.last, -1, sizeof s.last);
	for (uint32_t n = 0; n < GM_TRACE_SLOTS + 100; n++)
		put(1, n);
	cr_assert_eq(lost(), 100);
	take_all(&s);
	cr_assert_eq(s.events, GM_TRACE_SLOTS);
	cr_assert_eq(s.last[1], GM_TRACE_SLOTS - 1);
	put(1, GM_TRACE_SLOTS + 100);
	take_all(&s);
	cr_assert_eq(s.events, GM_TRACE_SLOTS + 1);
	cr_assert_eq(lost(), 100);
}

static _Atomic uint32_t by_handler;

static void on_alarm(int sig)
{
	(void)sig;
	put(9, by_handler);
	by_handler++;
}

Test(trace, a_signal_handler_may_put_an_event_in_the_middle_of_one)
{
	static struct seen s;
	struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
	uint32_t n = 0;

	memset(s.last, -1, sizeof s.last);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	while (by_handler < 300) {
		for (int i = 0; i < 1000; i++)
			put(1, n++);
		take_all(&s);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	take_all(&s);
	cr_assert_eq(s.events + lost(), n + by_handler);
	cr_assert_geq(s.last[9], 0);
}

Test(trace, it_is_off_in_a_fork_child)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		gmc_trace_forked();
		put(1, 1);
		_exit(gm_tracing());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_assert_eq(atomic_load(&rings->ring[0].head), 0);
}
