/* sched.c - rows of scheduling. */
#include <sched.h>
#include <time.h>

#include "rows.h"

ROW(sched_setparam)
{
	struct sched_param *p = IN(struct sched_param, 0);

	CALL(sched_setparam, 0, p);
	FAULTS(sched_setparam, 0, p);
	p->sched_priority = 77;
	CALL(sched_setparam, 0, p);
}

ROW(sched_getparam)
{
	struct sched_param *p = OUT(struct sched_param);

	CALL(sched_getparam, 0, p);
	FAULTS(sched_getparam, 0, p);
}

ROW(sched_setscheduler)
{
	struct sched_param *p = IN(struct sched_param, 0);

	CALL(sched_setscheduler, 0, SCHED_BATCH, p);
	say("now %d", sched_getscheduler(0));
	FAULTS(sched_setscheduler, 0, SCHED_OTHER, p);
	CALL(sched_setscheduler, 0, SCHED_OTHER, p);
}

ROW(sched_setaffinity)
{
	unsigned long mask[128] = {0}, *set;

	syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	set = in(mask, sizeof(mask));
	CALL(sched_setaffinity, 0, sizeof(mask), set);
	FAULTS(sched_setaffinity, 0, sizeof(mask), set);
	memset(set, 0, sizeof(mask));
	CALL(sched_setaffinity, 0, sizeof(mask), set);
}

ROW(sched_getaffinity)
{
	unsigned long *mask = out(1024);

	CALL(sched_getaffinity, 0, 1024, mask);
	CALL(sched_getaffinity, 0, 1, mask);
	CALL(sched_getaffinity, 0, 1024, (void *)8);
}

ROW(sched_rr_get_interval)
{
	struct timespec *ts = opaque(sizeof(*ts));

	ts->tv_nsec = -1;
	CALL(sched_rr_get_interval, 0, ts);
	say("%d", ts->tv_nsec >= 0);
	FAULTS(sched_rr_get_interval, 0, ts);
}

struct attr { /* struct sched_attr */
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t min, max;
};

ROW(sched_setattr)
{
	struct attr *a = IN(struct attr, .size = sizeof(*a), .policy = SCHED_BATCH);

	CALL(sched_setattr, 0, a, 0);
	say("now %d", sched_getscheduler(0));
	FAULTS(sched_setattr, 0, a, 0);
	a->size = 5;
	CALL(sched_setattr, 0, a, 0); /* writes the size that it wants */
	a->size = sizeof(*a), a->policy = SCHED_OTHER;
	CALL(sched_setattr, 0, a, 0);
}

ROW(sched_getattr)
{
	struct attr *a = opaque(sizeof(*a));

	CALL(sched_getattr, 0, a, sizeof(*a), 0);
	say("policy %u nice %d", a->policy, a->nice);
	FAULTS(sched_getattr, 0, a, sizeof(*a), 0);
	CALL(sched_getattr, 0, a, 3, 0);
}

const struct row sched_rows[] = {
	R(sched_setparam),    R(sched_getparam),    R(sched_setscheduler),
	R(sched_setaffinity), R(sched_getaffinity), R(sched_rr_get_interval),
	R(sched_setattr),     R(sched_getattr),	    {0},
};
