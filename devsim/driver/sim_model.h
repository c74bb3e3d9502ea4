/*
 * sim_model.h - what a device is modelled to be, and how long things take on it. Pure functions;
 * no locks.
 *
 * Virtual time stands beside measured time and never mixes with it: kernels take max(flops /
 * peak, bytes / bandwidth) plus a launch, far faults a fixed latency each, transfers what was
 * measured for their size.
 */
#ifndef GM_DEVSIM_SIM_MODEL_H
#define GM_DEVSIM_SIM_MODEL_H

#include "core/rules/policy.h"
#include "core/sys/sys.h"

#define SIM_LINK_POINTS 8
#define SIM_MAX_WORKERS 64

struct sim_point { /* a transfer of so many bytes takes so long */
	double bytes, ns;
};
/* One side's accesses to memory of the other, in place: pipelined at the bandwidth, in sectors. */
struct sim_remote {
	double latency_ns, bw; /* bytes per ns */
	unsigned sector;       /* bytes */
};
struct sim_model {
	char name[32];
	uint64_t mem_bytes, page_bytes; /* mem_bytes 0: it works on the host's memory */
	uint64_t l2_bytes;
	uint64_t reserve_bytes; /* at the start of every window: taken by the device itself */
	bool cannot_fault;	/* only what gm_as_map mapped is reachable */
	bool shared_table;	/* it walks the CPU's page table: no far faults (ATS) */
	unsigned workers;
	double fault_ns, launch_ns;
	/* faults that one look of the host at the fault buffer serves at most */
	unsigned fault_batch;
	double gflops[4]; /* s, d, c, z; equal to flops per ns */
	double mem_bw;	  /* bytes per ns, i.e. GB/s */
	struct sim_point link[SIM_LINK_POINTS];
	unsigned nlink;
	double home_scale;	       /* transfers home take so many times the time */
	bool duplex;		       /* both directions of the link at once */
	struct sim_remote remote, cpu; /* the device at host memory, the CPU at device memory */
	/* the link to devices that name the same one: copies, and single accesses if peer_map */
	char peer_name[16]; /* "": none */
	struct sim_remote peer;
	bool peer_map;
	unsigned counter_threshold; /* accesses that make a granule hot */
	uint64_t counter_granule_bytes;
	char policy[GM_POLICY_KINDS][24]; /* by enum gm_policy_kind; "": as the environment says */
};

/*
 * sim_profile.c: "profile[,key=value]..." into *m; "custom,key=value..." begins with nothing
 * (gmem-profile writes it from a file). 0, or -EINVAL with one line in err that says what would
 * be valid.
 */
int sim_model_parse(const char *spec, struct sim_model *m, char *err, size_t err_bytes);

/* sim_model.c */
uint64_t sim_transfer_ns(const struct sim_model *m, uint64_t bytes);
/* type: 's', 'd', 'c', 'z'; anything else counts as 'd'. */
uint64_t sim_kernel_ns(const struct sim_model *m, char type, uint64_t flops, uint64_t bytes);
/* So many bytes over the bus in place, in a stream of accesses. */
uint64_t sim_remote_ns(const struct sim_remote *r, uint64_t bytes);
/* Waits in real time (GMEM_THROTTLE). Signal-safe; short waits spin, for the scheduler's
 * granularity is coarser. */
void sim_wait_ns(uint64_t ns);

#endif
