/*
 * Closed forms against the model: what simple kernels must cost on simple links, worked out by hand
 * from the link's figures, beside what a run of them is charged. Prints rows of docs/validate.md's
 * table: what, placement, link, by hand, modelled (ms), error in percent. Exit status 1: a row that
 * must agree is off by more than 15 %, or an access in place costs less than one pass over the
 * link.
 */
#include "gmem.h"

#include "devsim/mem_wire.h"
#include "kernels.h"

#define BYTES	   (8 * (size_t)MIB)
#define PAGE	   ((size_t)65536)
#define LATENCY_NS 1000.0
#define FAULT_NS   20000.0
#define LAUNCH_NS  4000.0
#define MEM_GBS	   1000.0
#define GFLOPS	   1000.0
#define PASSES	   4
#define BLOCK	   (2 * (size_t)MIB)
#define SECTOR	   32

static const double links_gbs[] = {1, 12, 50};
static bool failed;

/* What a launch does. */
struct work {
	const char *what;
	void (*launch)(const struct bench_device *d, char *at, const struct work *w);
	size_t bytes, stride, reads;
	uint32_t iterations;
	double moves;  /* bytes that it must bring over the bus */
	double memory; /* bytes that it reads and writes in the device's memory */
};
struct place {
	const char *name;
	double (*by_hand)(double gbs, const struct work *w); /* ns, of all passes */
};

static double copy_ns(double gbs, double bytes)
{
	return LATENCY_NS + bytes / gbs;
}

static double pages_of(const struct work *w)
{
	return (double)w->bytes / PAGE;
}

static double work_ns(const struct work *w)
{
	double flops = 2.0 * w->iterations * (double)(w->bytes / sizeof(double));

	return gm_max(w->memory / MEM_GBS, flops / GFLOPS);
}

/* Every 64 KiB faults once to be mapped; each launch passes over the sectors that it needs. */
static double by_hand_remote(double gbs, const struct work *w)
{
	return pages_of(w) * FAULT_NS +
	       PASSES * (LAUNCH_NS + gm_max(work_ns(w), LATENCY_NS + w->moves / gbs));
}

/* Every 64 KiB faults once and moves once; every launch works on device memory. */
static double by_hand_migrate(double gbs, const struct work *w)
{
	return pages_of(w) * (FAULT_NS + copy_ns(gbs, PAGE)) + PASSES * (LAUNCH_NS + work_ns(w));
}

/*
 * Every launch: faults and moves in, and home where it has written, 2 MiB at a time. A page that is
 * read before it is written faults for both: the host has a copy until then.
 */
static double by_hand_copy(double gbs, const struct work *w)
{
	double faults = w->iterations ? 2 : 1,
	       home = w->reads ? 0
			       : copy_ns(gbs, gm_min(w->bytes, BLOCK)) *
					 ((double)w->bytes / (double)gm_min(w->bytes, BLOCK));

	return PASSES * (pages_of(w) * (faults * FAULT_NS + copy_ns(gbs, PAGE)) + home + LAUNCH_NS +
			 work_ns(w));
}

static const struct place places[] = {
	{"remote", by_hand_remote}, {"migrate", by_hand_migrate}, {"copy", by_hand_copy}};

/* Adds a device with a link and a placement, and takes it away again. */
static struct bench_device device(const char *placement, double gbs)
{
	char spec[320];

	snprintf(spec, sizeof spec,
		 "pcie4-gpu,mem=64M,page=64K,workers=1,prefetch=none,placement=%s,latency=1us,bw=%."
		 "0fG,rlatency=1us,rbw=%.0fG,rsector=%d,fault=20us,batch=1,launch=4us,membw=1000G,"
		 "double=1000",
		 placement, gbs, gbs, SECTOR);
	return bench_open_spec(spec);
}

static uint64_t modelled(void)
{
	uint64_t sum = 0;

	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		sum += gmi_stats->dev[d].modelled_ns;
	return sum;
}

static void row(const struct work *w, const char *placement, double gbs, double hand, double got)
{
	double error = 100 * (got - hand) / hand;

	printf("| %s | %s | %.0f GB/s | %.3f | %.3f | %+.1f %% |\n", w->what, placement, gbs,
	       hand / 1e6, got / 1e6, error);
	if (error > 15 || error < -15) {
		fprintf(stderr, "%s, %s, %.0f GB/s: off by %.1f %%\n", w->what, placement, gbs,
			error);
		failed = true;
	}
}

/* A word every `stride` bytes is written. */
static void touch(const struct bench_device *d, char *at, const struct work *w)
{
	struct ds_mem_args a = {.dst = at, .bytes = w->bytes, .stride = w->stride, .value = 1};

	bench_check(gm_sim_launch(d->sim, 0, "touch_write", 1, &a, sizeof a, NULL));
}

static void count(const struct bench_device *d, char *at, const struct work *w)
{
	struct count_args a = {.base = (double *)(void *)at,
			       .words = w->bytes / sizeof(double),
			       .reads = w->reads,
			       .iterations = w->iterations};

	bench_check(gm_sim_launch(d->sim, d->module, w->iterations ? "compute" : "gather", 1, &a,
				  sizeof a, NULL));
}

static const struct work works[] = {
	{"stream, 32 B apart", touch, BYTES, .stride = 32, .moves = BYTES, .memory = BYTES / 32},
	{"strided, 256 B apart", touch, BYTES, .stride = 256, .moves = BYTES / 8,
	 .memory = BYTES / 256},
	{"strided, 4 KiB apart", touch, BYTES, .stride = 4096, .moves = BYTES / 128,
	 .memory = BYTES / 4096},
	{"random gather, a word of each 64 B", count, BYTES, .reads = BYTES / 64,
	 .moves = BYTES / 2, .memory = BYTES / 8},
	{"random gather, a word of each 2 KiB", count, BYTES, .reads = BYTES / 2048,
	 .moves = BYTES / 64, .memory = BYTES / 256},
	{"1 MiB, 1 iteration for each word", count, MIB, .iterations = 1, .moves = MIB,
	 .memory = 2 * MIB},
	{"1 MiB, 50 iterations", count, MIB, .iterations = 50, .moves = MIB, .memory = 2 * MIB},
	{"1 MiB, 2,000 iterations", count, MIB, .iterations = 2000, .moves = MIB,
	 .memory = 2 * MIB},
};

static void all_places(const struct work *w, double gbs)
{
	for (unsigned p = 0; p < sizeof places / sizeof places[0]; p++) {
		struct bench_device d = device(places[p].name, gbs);
		char *at = bench_managed(w->bytes);
		uint64_t before = modelled();
		for (unsigned i = 0; i < PASSES; i++)
			w->launch(&d, at, w);
		double got = (double)(modelled() - before);
		row(w, places[p].name, gbs, places[p].by_hand(gbs, w), got);
		if (places[p].by_hand == by_hand_remote && got < PASSES * w->moves / gbs)
			failed = true;
		bench_check(gm_sim_close(d.sim));
		gm_munmap(at, w->bytes);
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned w = 0; w < sizeof works / sizeof works[0]; w++)
		for (unsigned l = 0; l < sizeof links_gbs / sizeof links_gbs[0]; l++)
			all_places(&works[w], links_gbs[l]);
	return failed;
}
