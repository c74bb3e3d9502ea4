/*
 * Closed forms against the model: what simple kernels must cost on simple links, worked out by hand
 * from the link's figures, beside what a run of them is charged. Prints rows of docs/validate.md's
 * table: what, placement, link, by hand, modelled (ms), error in percent. Exit status 1: a row that
 * must agree is off by more than 15 %, or an access in place costs less than one pass over the
 * link.
 */
#include "gmem.h"

#include "devsim/mem_wire.h"

#define BYTES	   (8 * (size_t)MIB)
#define PAGE	   ((size_t)65536)
#define LATENCY_NS 1000.0
#define FAULT_NS   20000.0
#define LAUNCH_NS  4000.0
#define MEM_GBS	   1000.0
#define PASSES	   4
#define BLOCK	   (2 * (size_t)MIB)

static const double links_gbs[] = {1, 12, 50};
static bool failed;

struct place {
	const char *name;
	double (*by_hand)(double gbs, size_t touched, unsigned launches); /* ns */
};

static double copy_ns(double gbs, double bytes)
{
	return LATENCY_NS + bytes / gbs;
}

/* Every 64 KiB faults once to be mapped; each launch passes over the sectors that it needs. */
static double by_hand_remote(double gbs, size_t moved, unsigned launches)
{
	return (double)BYTES / PAGE * FAULT_NS +
	       launches * (LAUNCH_NS + LATENCY_NS + (double)moved / gbs);
}

/* Every 64 KiB faults once and moves once; every launch reads device memory. */
static double by_hand_migrate(double gbs, size_t touched, unsigned launches)
{
	double pages = (double)touched / PAGE;

	return pages * (FAULT_NS + copy_ns(gbs, PAGE)) +
	       launches * (LAUNCH_NS + (double)touched / MEM_GBS);
}

/* Every launch: faults and moves in, 2 MiB at a time home. */
static double by_hand_copy(double gbs, size_t touched, unsigned launches)
{
	double pages = (double)touched / PAGE, blocks = (double)touched / BLOCK;

	return launches * (pages * (FAULT_NS + copy_ns(gbs, PAGE)) + blocks * copy_ns(gbs, BLOCK) +
			   LAUNCH_NS + (double)touched / MEM_GBS);
}

static const struct place places[] = {
	{"remote", by_hand_remote}, {"migrate", by_hand_migrate}, {"copy", by_hand_copy}};

/* Adds a device with a link and a placement, and takes it away again. */
static struct gm_sim *device(const char *placement, double gbs)
{
	char spec[320];
	struct gm_sim *sim;

	snprintf(spec, sizeof spec,
		 "pcie4-gpu,mem=64M,page=64K,workers=1,prefetch=none,placement=%s,latency=1us,bw=%."
		 "0fG,rlatency=1us,rbw=%.0fG,rsector=32,fault=20us,batch=1,launch=4us,membw=1000G",
		 placement, gbs, gbs);
	bench_check(gm_sim_open(spec, &sim));
	bench_check(gm_sim_attach(sim, gm_as_default()));
	return sim;
}

static uint64_t modelled(void)
{
	uint64_t sum = 0;

	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		sum += gmi_stats->dev[d].modelled_ns;
	return sum;
}

static void row(const char *what, const char *placement, double gbs, double hand, double got,
		bool must)
{
	double error = 100 * (got - hand) / hand;

	printf("| %s | %s | %.0f GB/s | %.3f | %.3f | %+.1f %% |\n", what, placement, gbs,
	       hand / 1e6, got / 1e6, error);
	if (must && (error > 15 || error < -15)) {
		fprintf(stderr, "%s, %s, %.0f GB/s: off by %.1f %%\n", what, placement, gbs, error);
		failed = true;
	}
}

static void launch(struct gm_sim *sim, const char *kernel, struct ds_mem_args a)
{
	bench_check(gm_sim_launch(sim, 0, kernel, 1, &a, sizeof a, NULL));
}

/*
 * A kernel that writes one word every `stride` bytes; `moves`: bytes that such a pass must bring
 * over the bus.
 */
static void passes(const char *what, size_t stride, size_t moves, bool must)
{
	for (unsigned l = 0; l < sizeof links_gbs / sizeof links_gbs[0]; l++)
		for (unsigned p = 0; p < sizeof places / sizeof places[0]; p++) {
			struct gm_sim *sim = device(places[p].name, links_gbs[l]);
			char *at = bench_managed(BYTES);
			uint64_t before = modelled();
			for (unsigned i = 0; i < PASSES; i++)
				launch(sim, "touch_write",
				       (struct ds_mem_args){.dst = at,
							    .bytes = BYTES,
							    .stride = stride,
							    .value = 1});
			bool remote = places[p].by_hand == by_hand_remote;
			double got = (double)(modelled() - before);
			row(what, places[p].name, links_gbs[l],
			    places[p].by_hand(links_gbs[l], remote ? moves : BYTES, PASSES), got,
			    must || !remote);
			if (remote && got < PASSES * (double)moves / links_gbs[l])
				failed = true;
			bench_check(gm_sim_close(sim));
			gm_munmap(at, BYTES);
		}
}

int main(void)
{
	passes("stream, 32 B apart", 32, BYTES, true);
	passes("strided, 256 B apart", 256, BYTES / 256 * 32, true);
	passes("strided, 4 KiB apart", 4096, BYTES / 4096 * 32, true);
	return failed;
}
