/* time.c - rows of clocks and timers. */
#include <signal.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <time.h>

#include "rows.h"

static int near_now(time_t t)
{
	time_t now = time(NULL);
	return t > now - 100 && t < now + 100;
}

ROW(time)
{
	time_t *t = opaque(sizeof(*t)), r = (time_t)TRY(time, t);

	say("%d %d", near_now(r), r == *t);
	FAULTS(time, OUT(time_t));
}

ROW(gettimeofday)
{
	struct timeval *tv = opaque(sizeof(*tv));
	int *zone = out(8);

	CALL(gettimeofday, tv, zone);
	say("%d %d", near_now(tv->tv_sec), tv->tv_usec < 1000000);
	FAULTS(gettimeofday, tv, zone);
}

/* Clocks are never set: the values are refused after they have been read. */
ROW(settimeofday)
{
	struct timeval *tv = IN(struct timeval, 1000000000, 1000001);
	int *zone = IN(int, 100000, );

	CALL(settimeofday, tv, NULL);
	CALL(settimeofday, tv, in((int[2]){100000, 0}, 8));
	FAULTS(settimeofday, tv, zone);
}

ROW(clock_gettime)
{
	struct timespec *ts = opaque(sizeof(*ts));

	CALL(clock_gettime, CLOCK_REALTIME, ts);
	say("%d", near_now(ts->tv_sec));
	FAULTS(clock_gettime, CLOCK_MONOTONIC, ts);
	CALL(clock_gettime, 1000, ts);
}

ROW(clock_settime)
{
	struct timespec *ts = IN(struct timespec, 1000000000, 1000000001);

	CALL(clock_settime, CLOCK_REALTIME, ts);
	FAULTS(clock_settime, CLOCK_REALTIME, ts);
}

ROW(clock_getres)
{
	struct timespec *ts = OUT(struct timespec);

	CALL(clock_getres, CLOCK_MONOTONIC, ts);
	FAULTS(clock_getres, CLOCK_MONOTONIC, ts);
}

ROW(clock_adjtime)
{
	struct timex *t = OPAQUE(struct timex, 0); /* no modes: only read */

	CALL(clock_adjtime, CLOCK_REALTIME, t);
	say("%d", near_now(t->time.tv_sec));
	FAULTS(clock_adjtime, CLOCK_REALTIME, t);
}

ROW(adjtimex)
{
	struct timex *t = OPAQUE(struct timex, 0);

	CALL(adjtimex, t);
	say("%d", near_now(t->time.tv_sec));
	FAULTS(adjtimex, t);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	alarms++;
}

/* SIGALRM again and again, without a restart of calls: one comes during the call. */
static void alarm_often(long us)
{
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
	alarms = 0;
	setitimer(ITIMER_REAL, &(struct itimerval){{0, us}, {0, us}}, NULL);
}

#define SLEEP(call, ...)                                                                           \
	do {                                                                                       \
		struct timespec *ts = IN(struct timespec, 0, 100000),                              \
				*left = opaque(sizeof(*left));                                     \
		CALL(call, __VA_ARGS__);                                                           \
		FAULTS(call, __VA_ARGS__);                                                         \
		ts->tv_sec = 100;                                                                  \
		alarm_often(30000);                                                                \
		CALL(call, __VA_ARGS__);                                                           \
		alarm_often(0);                                                                    \
		say("left %d", left->tv_sec >= 90 && left->tv_sec <= 100);                         \
		ts->tv_nsec = 1000000000;                                                          \
		CALL(call, __VA_ARGS__);                                                           \
	} while (0)

ROW(nanosleep)
{
	SLEEP(nanosleep, ts, left);
}

ROW(clock_nanosleep)
{
	SLEEP(clock_nanosleep, CLOCK_MONOTONIC, 0, ts, left);
}

ROW(getitimer)
{
	struct itimerval *got = opaque(sizeof(*got));

	setitimer(ITIMER_VIRTUAL, &(struct itimerval){{7, 8}, {1000, 5}}, NULL);
	CALL(getitimer, ITIMER_VIRTUAL, got);
	say("%d %ld", got->it_value.tv_sec > 900, (long)got->it_interval.tv_sec);
	FAULTS(getitimer, ITIMER_VIRTUAL, got);
	setitimer(ITIMER_VIRTUAL, &(struct itimerval){0}, NULL);
}

ROW(setitimer)
{
	struct itimerval *set = IN(struct itimerval, {7, 8}, {1000, 5}),
			 *old = opaque(sizeof(*old)), now;

	CALL(setitimer, ITIMER_VIRTUAL, set, old);
	FAULTS(setitimer, ITIMER_VIRTUAL, set, old);
	set->it_value = (struct timeval){0};
	CALL(setitimer, ITIMER_VIRTUAL, set, old);
	getitimer(ITIMER_VIRTUAL, &now);
	say("was %d %ld, now %ld", old->it_value.tv_sec > 900, (long)old->it_interval.tv_sec,
	    (long)now.it_value.tv_sec);
}

static int new_timer(void)
{
	int id = -1;

	syscall(SYS_timer_create, CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE},
		&id);
	return id;
}

ROW(timer_create)
{
	struct sigevent *ev = OPAQUE(struct sigevent, .sigev_notify = SIGEV_NONE);
	int *id = OPAQUE(int, -1);

	CALL(timer_create, CLOCK_MONOTONIC, ev, id);
	say("a timer: %d, deleted: %ld", *id >= 0, syscall(SYS_timer_delete, *id));
	FAULTS(timer_create, CLOCK_MONOTONIC, ev, id);
	ev->sigev_notify = 77;
	CALL(timer_create, CLOCK_MONOTONIC, ev, id);
}

ROW(timer_settime)
{
	int id = new_timer();
	struct itimerspec *set = IN(struct itimerspec, {7, 8}, {1000, 5}),
			  *old = opaque(sizeof(*old));

	CALL(timer_settime, id, 0, set, old);
	FAULTS(timer_settime, id, 0, set, old);
	CALL(timer_settime, id, 0, set, old);
	say("was %d %ld", old->it_value.tv_sec > 900, (long)old->it_interval.tv_sec);
	syscall(SYS_timer_delete, id);
}

ROW(timer_gettime)
{
	int id = new_timer();
	struct itimerspec *got = opaque(sizeof(*got));

	syscall(SYS_timer_settime, id, 0, &(struct itimerspec){{7, 8}, {1000, 5}}, NULL);
	CALL(timer_gettime, id, got);
	say("%d %ld", got->it_value.tv_sec > 900, (long)got->it_interval.tv_sec);
	FAULTS(timer_gettime, id, got);
	syscall(SYS_timer_delete, id);
}

ROW(times)
{
	struct tms *t = opaque(sizeof(*t));

	t->tms_cutime = -1;
	DONE(times, t);
	say("%d", t->tms_cutime >= 0);
	long r = TRY(times, (void *)8);
	say("%ld %d", r, errno);
}

const struct row time_rows[] = {
	R(time),
	R(gettimeofday),
	R(settimeofday),
	R(clock_gettime),
	R(clock_settime),
	R(clock_getres),
	R(clock_adjtime),
	R(adjtimex),
	R(nanosleep),
	R(clock_nanosleep),
	R(getitimer),
	R(setitimer),
	R(timer_create),
	R(timer_settime),
	R(timer_gettime),
	R(times),
	{0},
};
