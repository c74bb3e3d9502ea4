/*
 * sim_int.h - inside the driver of the simulated device: the host's side, part of libgmem.so.
 *
 *	sim_profile, sim_model   what it is, how long things take on it
 *	sim_cost                 what a launch takes, and what that is known from
 *	sim_time                 virtual time: what waits for what, what runs beside what
 *	sim_driver               struct gm_mmu: page-table changes go into the ring or a reply
 *	sim_open                 opening, closing, fork
 *	sim_process              the process: start, loss, restart
 *	sim_service              the thread that serves the device's faults
 *	sim_peer                 links to other devices
 *	sim_outside              shared memory outside every window: the device maps it, too
 *	sim_foreign              other memory there: copied to the device and back
 *	sim_trust                what the device says, checked: one place for each message
 *	sim_launch               launches and modules
 *	sim_stream               streams and fences: work in the order of queueing, own threads
 *	sim_record               GMEM_RECORD: a recording of what is touched
 *	sim_chaos                GMEM_CHAOS: the thread that takes pages away at random
 *
 * Runs inside foreign programs: the rules of core hold (raw system calls, gmi_alloc, no malloc,
 * no stdio).
 *
 * Locks, in this order, with signals blocked: sims (the table) < core's registry < process <
 * spaces < core's region and block < cmd. Nobody waits for the device while holding cmd; while
 * holding a block's lock one may wait for the device's MMU thread, which depends on nobody. The
 * cmd lock makes 'idle: queue only; running: wait' one decision with a launch.
 */
#ifndef GM_DEVSIM_SIM_INT_H
#define GM_DEVSIM_SIM_INT_H

#include "devsim/driver/sim.h"
#include "devsim/driver/sim_model.h"
#include "devsim/wire.h"
#include "core/page/registry.h"

/* whoever waits for the device looks so often whether it lives */
#define SIM_TICK_NS    ((int64_t)20000000)
#define SIM_SILENCE_NS ((uint64_t)5000000000)

struct sim_space {
	struct gm_sim *sim;
	struct gm_as *as; /* NULL: unused */
};
/* What launches of a kernel were seen to touch since the device's mappings over the bus last
 * changed (sim_cost.c). */
struct sim_seen {
	/* pages of 4 KiB: all, over the bus, over links to other devices */
	_Atomic uint64_t samples, pages, remote, peer;
	_Atomic uint64_t mapped; /* what it had mapped so then, plus one; 0: never looked */
};
struct sim_object {	   /* that the device's process has a descriptor of */
	uint64_t dev, ino; /* ino 0: none */
	bool write;
};
enum sim_way { SIM_TO_DEVICE, SIM_HOME, SIM_FROM_PEER, SIM_WAYS };
struct sim_time { /* ns of virtual time; under the lock (sim_time.c) */
	struct gm_lock lock;
	uint64_t host, background, launch[DS_LAUNCHES]; /* lines; a stream's is its own */
	uint64_t link[SIM_WAYS], compute;		/* busy until */
	uint64_t latest;
};
struct gm_sim {
	unsigned number; /* "device N" in messages */
	struct sim_model model;
	struct gm_mmu mmu;
	struct gm_dev *dev; /* NULL in a fork child until it uses the device */

	int ctl_fd, mem_fd, journal_fd; /* raised */
	struct ds_ctl *ctl;
	char *aperture, *aperture_room;
	char modules[DS_MODULES][DS_NAME_MAX];

	struct gm_lock process_lock; /* starting */
	int pid;

	struct gm_lock cmd_lock;
	int sock;		     /* raised; its hang-up is the process's end */
	_Atomic bool alive;	     /* from before it is spawned until it is found dead */
	_Atomic uint32_t generation; /* counts processes */
	_Atomic uint32_t distrusted; /* the last generation that was ended for what it did */
	unsigned active;	     /* launches queued or running */
	uint64_t next_seq;
	_Atomic uint32_t cmd_head; /* ctl's is a copy: the device can write there */
	/* the newest command is kept back: its neighbours may join it. Never while active */
	bool has_pending;
	struct ds_cmd pending;

	struct gm_lock accessed_lock; /* one reader of the access counters at a time; before cmd */
	struct gm_lock spaces_lock;
	struct sim_space space[DS_WINDOWS];
	struct {
		struct gm_as *as;
		enum gm_mmu_mode mode;
	} again[DS_WINDOWS]; /* in a fork child: to be attached again at first use */

	const struct gm_sim *peer[GM_MAX_DEV]; /* that it has a link to (sim_peer.c) */
	struct sim_object object[DS_OBJECTS];  /* by number; under the spaces lock */
	uint32_t nobjects;
	_Atomic bool outside_mapped; /* something outside the windows is, or was, mapped there */

	struct sim_seen seen[GM_KERNELS];
	_Atomic uint8_t kernel_row[DS_LAUNCHES]; /* gmi_stats->kernel[] of the slot's launch */
	/* who fills or awaits a slot: a thread, or SIM_OWNER_* */
	_Atomic int32_t owner[DS_LAUNCHES];
	_Atomic uint32_t slot_freed;	    /* futex */
	_Atomic uint32_t slot_waiters;	    /* threads that may sleep on it */
	bool submitted[DS_LAUNCHES];	    /* queued or running: in `active`; cmd lock */
	struct ds_launch told[DS_LAUNCHES]; /* what the device said of a launch, checked */
	_Atomic uint32_t waiters;	    /* that ctl->cmd_waiting counts */
	_Atomic uint64_t silent_ns;	    /* since when it is silent, if that was said; else 0 */
	bool region[DS_LAUNCHES];	    /* counted in regions */
	_Atomic uint32_t regions;	    /* launches that may reach memory outside the windows */
	void *journal_at[DS_LAUNCHES];

	struct gm_stream *streams; /* under the cmd lock */
	bool rests;		   /* no process is started, its end is no loss; process lock */
	bool foreign;		   /* gmi_sim_expect_foreign() */
	unsigned char
		*message; /* of DS_FOREIGN_BYTES, for the service thread; NULL: no region yet */

	_Atomic uint32_t service; /* futex, enum sim_thread_state */
	struct sim_time time;
};
enum { SIM_OWNER_NONE = 0, SIM_OWNER_GONE = -1 /* left by longjmp */, SIM_OWNER_JOURNAL = -2 };
/* A thread of the driver: a futex. QUIT: it is asked to end. */
enum sim_thread_state { SIM_THREAD_NONE, SIM_THREAD_RUNS, SIM_THREAD_QUIT };

static inline size_t sim_strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}
static inline bool sim_streq(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* ---- sim_open.c ---- */
/* The device has its memory and is known to core (again, in a fork child). 0 or -errno. */
int sim_up(struct gm_sim *sim);
void sim_each(void (*fn)(struct gm_sim *sim, void *arg), void *arg); /* that is up */
/* ---- sim_process.c ---- */
/* What keeps a device from starting, in words. */
const char *sim_why(int err);
/* Starts the process unless it runs. *generation: for sim_lost(). 0 or -errno (said). */
int sim_process_start(struct gm_sim *sim, uint32_t *generation);
/*
 * Is the process of that generation gone? Whoever notices first reports it, ends its launches
 * with -EIO and clears the ring: without a process there are no entries. Takes only the cmd
 * lock; any thread that waits for the device.
 */
bool sim_lost(struct gm_sim *sim, uint32_t generation);
/* It is about to be gone, which sim_lost() will say. */
void sim_end_process(struct gm_sim *sim);
/* Fault injection: a place where the process may be killed. */
void sim_maybe_kill(struct gm_sim *sim);
/* The process learns of a window (space i) or forgets it. Process and spaces lock held. 0,
 * -EBUSY: taken there. */
int sim_window_add(struct gm_sim *sim, unsigned i);
void sim_window_remove(struct gm_sim *sim, unsigned i);

/* A descriptor goes to the process, for the command that names it. 0 or -errno. */
int sim_send(int sock, uint32_t index, int fd);

/* ---- sim_driver.c ---- */
extern const struct gm_mmu sim_mmu; /* page_bytes is filled in per device */
/* cmd lock held: everything queued is visible to the device; returns cmd_head. */
uint32_t sim_publish(struct gm_sim *sim);
/* Queues a command; `wait`: the device has applied it on return, if it runs something. For
 * windows. */
void sim_command(struct gm_sim *sim, const struct ds_cmd *cmd, bool wait);
/* Queues a command that takes entries away: applied on return, if the device runs something. */
void sim_tell(struct gm_sim *sim, const struct ds_cmd *cmd);
/* Asks for a sign of life; sim_applied() of the result: it came. */
uint32_t sim_ping(struct gm_sim *sim);
bool sim_applied(struct gm_sim *sim, uint32_t pos);

/* ---- sim_time.c ---- */
/* Signals blocked, but for sim_time_now() and _join(). A far fault; a transfer over the link; the
 * CPU's accesses over the bus (it waits for them at its next launch). They really wait with
 * GMEM_THROTTLE, the service thread in sim_pay(). */
void sim_time_fault(struct gm_sim *sim);
void sim_time_transfer(struct gm_sim *sim, enum sim_way way, uint64_t ns);
void sim_time_cpu(struct gm_sim *sim, uint64_t ns);
/* The service thread looks for faults. */
void sim_time_faults_seen(void);
/* A launch is submitted; it has ended, and its kernel took so long. The caller's line waits for
 * it. */
void sim_time_launch(struct gm_sim *sim, unsigned slot);
void sim_time_launched(struct gm_sim *sim, unsigned slot, uint64_t ns);
/* The calling thread's line: where it is; it waits until then. */
uint64_t sim_time_now(struct gm_sim *sim);
void sim_time_join(struct gm_sim *sim, uint64_t when);
/* The calling thread is a stream's. */
void sim_time_stream(const struct gm_sim *sim, uint64_t *line);
/* The service thread waits for what it owes, less the time since. */
void sim_pay(uint64_t since_ns);

/* What a faulting thread asks, copied out of its slot before anything is done about it. */
struct sim_asked {
	uint64_t va;
	uint32_t kind, write, bytes, launch;
};
/* False: no device asks that. */
bool sim_fault_asked(const struct ds_fault *f, struct sim_asked *asked);

/* ---- sim_service.c ---- */
/* A fault in slot f, which is BUSY, is served, in the time of its launch. as NULL: outside every
 * space. Spaces lock held. 0 or the errors of gm_dev_fault(). */
int sim_serve(struct gm_sim *sim, struct gm_as *as, struct ds_fault *f,
	      const struct sim_asked *asked);
int sim_service_start(struct gm_sim *sim);
/* Starts fn(arg) unless it runs. 0 or -errno. */
int sim_start_once(_Atomic uint32_t *state, void *(*fn)(void *), void *arg);
void sim_service_stop(struct gm_sim *sim);
/* The fault that the calling thread serves for this device, and the entries it has put into its
 * slot; NULL: none. */
struct sim_reply {
	struct ds_fault *fault;
	uint32_t nmaps;
	uint32_t launch; /* whose thread faulted, as in sim_asked */
};
struct sim_reply *sim_current_reply(const struct gm_sim *sim);
/* Adds an entry to it. False: no room, use the ring. */
bool sim_reply_add(struct sim_reply *reply, const struct ds_map *map);
bool sim_is_service_thread(void);

/* ---- sim_peer.c ---- */
/* Of a device that is up now, or is about to go, with each other one. Sims lock held. */
void sim_peers_meet(struct gm_sim *sim, struct gm_sim *other);
void sim_peers_part(struct gm_sim *sim, struct gm_sim *other);
/* To a process that is about to start. Process and spaces lock held. 0 or -errno */
int sim_send_peers(struct gm_sim *sim, int sock);
/* GM_OP_COPY_PEER. What that takes on the modelled device */
uint64_t sim_peer_copy(struct gm_sim *sim, const struct gm_op *op);

/* ---- sim_outside.c ---- */
/* The service thread's answer to a fault outside every window, into the reply. 0; -EFAULT, -EPERM;
 * -ENOTSUP: it cannot be mapped, only copied. Spaces lock held. */
int sim_outside(struct gm_sim *sim, struct sim_reply *reply, const struct sim_asked *asked);
/* Before: private memory there becomes memory that the device can map. No lock held. 0; -EAGAIN:
 * later; -EFAULT. */
int sim_outside_adopt(const struct sim_asked *asked);
/* Can the device map what is mapped there? Spaces lock held. */
struct gm_vma;
bool sim_outside_maps(struct gm_sim *sim, const struct gm_vma *vma);
/* All that is mapped in [lo, hi) may be something else now. */
void sim_outside_forget(struct gm_sim *sim, uint64_t lo, uint64_t hi);
/* A launch begins: without somebody who tells of changes nothing is known to be as it was. */
void sim_outside_begin(struct gm_sim *sim);
/* Pages of the 2 MiB at block that a launch touched over the bus: for the report. */
void sim_outside_touched(uint64_t block, const uint64_t *pages);

/* ---- sim_foreign.c ---- */
/* The service thread's answer to DS_F_FOREIGN_*. 0; -EFAULT, -EPERM (f->va says where). */
int sim_foreign(struct gm_sim *sim, struct ds_fault *f, const struct sim_asked *asked);
/* Runs of bytes that the device wrote (struct ds_foreign_run), into the program; `runs` is our
 * own copy. 0; -EPERM: it may not write at *failed; -EFAULT: nonsense. */
int sim_foreign_write(const unsigned char *runs, uint32_t bytes, uint64_t *failed);

/* ---- sim_trust.c ---- */
/* The device broke the protocol (`how`), or has been silent too long: said once, and the process
 * ends; who waits for it finds it lost. */
void sim_distrust(struct gm_sim *sim, const char *how);
/* How many commands the device has applied; never more than there are. */
uint32_t sim_cmd_tail(struct gm_sim *sim);
/* For who has waited for a tick, cmd lock not held: is the ring as this process left it? Else the
 * device's process ends. Wakes its threads whatever they say of their sleep. */
void sim_ring_check(struct gm_sim *sim);
/* A launch has ended: sim->told[slot] is what the device says of it. */
void sim_launch_told(struct gm_sim *sim, unsigned slot);
/* Can a launch that was submitted be in that state? */
bool sim_launch_state_ok(uint32_t state);
/*
 * Somebody waits since `since_ns` for a command to be applied: at each SIM_TICK_NS. One message
 * after SIM_SILENCE_NS; after GMEM_WATCHDOG seconds the process ends. True: it has been silent so
 * long that who can do something else should.
 */
bool sim_silent(struct gm_sim *sim, uint64_t since_ns);
void sim_answers(struct gm_sim *sim); /* it was not silent for good */

/* ---- sim_record.c ---- */
/* The device comes into the space: a recording begins, if one is asked for and none runs. */
void sim_record_start(struct gm_sim *sim, struct gm_as *as);
bool sim_recording(const struct gm_sim *sim);
int sim_record_fd(const struct gm_sim *sim); /* for its process; -1: it is not recorded */
void sim_record_launch(const struct gm_sim *sim, unsigned slot, unsigned row);
void sim_record_end(const struct gm_sim *sim, unsigned slot, const struct ds_launch *l, int err);
void sim_record_forked(void);

/* ---- sim_chaos.c ---- */
void sim_chaos_rest(void); /* its thread ends before it touches anything again */

/* ---- sim_launch.c ---- */
/* cmd lock held, the process is gone: what was launched ends. Returns how many had begun. */
unsigned sim_launches_lost(struct gm_sim *sim);
/* The launch in the slot has ended, as sim->told says: what it took is counted and charged. */
void sim_account_launch(struct gm_sim *sim, unsigned slot, int err, struct gm_launch_result *out);

/* ---- sim_cost.c ---- */
/* Shall it be found out which pages this launch of the kernel touches? */
bool sim_cost_sample(struct gm_sim *sim, unsigned row);
/* The modelled time of a launch that ended, which is also entered in the kernel's and the
 * device's counts. */
uint64_t sim_cost(struct gm_sim *sim, const struct ds_launch *l, unsigned row,
		  enum gm_time_basis *basis);

/* ---- sim_stream.c ---- */
/* What is queued is done (at rest, launches fail), and the streams' threads have ended; the next
 * work starts them again. */
void sim_streams_rest(struct gm_sim *sim);
/* In a fork child: what was queued is given up. */
void sim_streams_forked(struct gm_sim *sim);

#endif
