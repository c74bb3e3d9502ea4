/*
 * backprop: forward on the device, the small output layer on the CPU, then the weights on the
 * device. The original keeps the weights twice, because its forward kernel leaves partial sums
 * in the first copy.
 */
#include "reproduce.h"
#include <math.h>
#include <stdlib.h>

#define WEIGHTS ((size_t)(BP_IN + 1) * (BP_HID + 1))

static float *input, *weights, *partial, *delta, *weights2, *old;
static float *start_weights, *start_old;
static float hidden[BP_HID + 1];

static float *copy_of(const float *a, size_t n)
{
	float *c = malloc(n * sizeof *c);

	for (size_t i = 0; i < n; i++)
		c[i] = a[i];
	return c;
}

static void make(struct run *r)
{
	input = run_array(r, (BP_IN + 1) * sizeof(float));
	weights = run_array(r, WEIGHTS * sizeof(float));
	partial = run_array(r, (size_t)BP_BLOCKS * BP_HID * sizeof(float));
	delta = run_array(r, (BP_HID + 1) * sizeof(float));
	weights2 = run_array(r, WEIGHTS * sizeof(float));
	old = run_array(r, WEIGHTS * sizeof(float));
	for (size_t i = 0; i <= BP_IN; i++)
		input[i] = run_random_float(r);
	for (size_t i = 0; i < WEIGHTS; i++) {
		weights[i] = weights2[i] = run_random_float(r) - 0.5f;
		old[i] = 0.1f * run_random_float(r);
	}
	start_weights = copy_of(weights, WEIGHTS);
	start_old = copy_of(old, WEIGHTS);
}

/* The hidden units from the blocks' sums, then an output layer of one unit whose target is 0.1. */
static void output_layer(void)
{
	float out = 0;

	for (int j = 1; j <= BP_HID; j++) {
		float sum = 0;
		for (int k = 0; k < BP_BLOCKS; k++)
			sum += partial[k * BP_HID + j - 1];
		hidden[j] = 1.0f / (1.0f + expf(-(sum + start_weights[j]) / BP_IN));
		out += hidden[j] / BP_HID;
	}
	for (int j = 1; j <= BP_HID; j++)
		delta[j] = hidden[j] * (1.0f - hidden[j]) * (out * (1.0f - out) * (0.1f - out)) /
			   BP_HID;
}

static void compute(struct run *r)
{
	struct forward_args f = {input, weights, partial};
	struct adjust_args a = {delta, input, weights2, old};

	run_launch(r, "layer_forward", BP_BLOCKS, &f, sizeof f);
	output_layer();
	run_launch(r, "adjust_weights", BP_BLOCKS, &a, sizeof a);
}

/* The sums are added in another order here: they may differ in the last bits. */
static size_t wrong_sums(void)
{
	size_t n = 0;

	for (int k = 0; k < BP_BLOCKS; k++)
		for (int j = 1; j <= BP_HID; j++) {
			double sum = 0;
			for (int y = 1; y <= BP_ROWS; y++)
				sum += (double)start_weights[(k * BP_ROWS + y) * (BP_HID + 1) + j] *
				       input[k * BP_ROWS + y];
			n += fabs(sum - partial[k * BP_HID + j - 1]) > 1e-5;
		}
	return n;
}

static size_t wrong(struct run *r)
{
	size_t n = wrong_sums();

	(void)r;
	for (size_t unit = 0; unit <= BP_IN; unit++)
		for (size_t j = 0; j <= BP_HID; j++) {
			size_t at = unit * (BP_HID + 1) + j;
			float change =
				bp_change(delta[j], unit ? input[unit] : 1.0f, start_old[at]);
			n += weights2[at] != (j ? start_weights[at] + change : start_weights[at]);
			n += old[at] != (j ? change : start_old[at]);
		}
	free(start_weights);
	free(start_old);
	return n;
}

const struct workload backprop_workload = {"backprop", make, compute, wrong};
