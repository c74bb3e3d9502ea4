/*
 * calls.c - coupled or decoupled: the calls that a driver gets for a fault and for a page that
 * comes home, when it takes batches (the RFC's peer_map) and when it takes single steps; its copies
 * its own.
 */
#include "debate.h"
#include <gmem/policy.h>

static char *dram;
static volatile unsigned calls; /* changes where memory is read */

static int step(void *pmap, const struct gm_op *op)
{
	(void)pmap;
	calls++;
	if (op->kind == GM_OP_COPY_IN)
		memcpy(dram + op->pa, op->host, op->len);
	else if (op->kind == GM_OP_COPY_OUT)
		memcpy(op->host, dram + op->pa, op->len);
	else if (op->kind == GM_OP_ZERO)
		memset(dram + op->pa, 0, op->len);
	return 0;
}

static int batch(void *pmap, const struct gm_op *ops, unsigned n)
{
	unsigned before = calls;

	for (unsigned i = 0; i < n; i++)
		step(pmap, &ops[i]);
	calls = before + 1;
	return 0;
}

static void run(const char *name, struct gm_mmu *mmu)
{
	enum { N = 64 };
	struct gm_dev *dev;
	char *p = managed(NULL, N * 65536);

	memset(p, 5, N * 65536);
	check(gm_dev_create(mmu, NULL, GM_DEV_CAP_REPLAYABLE | GM_DEV_CAP_PEER, &dev));
	check(gm_dev_register_physmem(dev, 0, 16 * MIB));
	check(gm_as_attach(gm_as_default(), dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL));
	check(gm_policy_set(NULL, dev, GM_POLICY_PREFETCH, "none"));
	calls = 0;
	for (int i = 0; i < N; i++)
		check(gm_dev_fault(gm_as_default(), (uint64_t)p + i * 65536, dev, GM_HINT_WRITE));
	printf("calls.%s_fault: %.1f\n", name, (double)calls / N);
	calls = 0;
	int bad = 0;
	for (int i = 0; i < N; i++)
		bad += p[i * 65536] != 5;
	printf("calls.%s_home: %.1f%s\n", name, (double)calls / N, bad ? ", wrong bytes" : "");
	check(gm_as_detach(gm_as_default(), dev));
	check(gm_dev_destroy(dev));
	check(gm_munmap(p, N * 65536));
}

int main(void)
{
	struct gm_mmu small = {.name = "steps",
			       .page_bytes = 65536,
			       .pmap_enter = step,
			       .pmap_release = step,
			       .pmap_protect = step,
			       .peer_hmemcpy = step},
		      coupled = {.name = "batches", .page_bytes = 65536, .batch = batch};

	dram = mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	run("decoupled", &small);
	run("coupled", &coupled);
	return 0;
}
