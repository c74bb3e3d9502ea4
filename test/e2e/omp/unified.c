/* unified_shared_memory: lists, trees and graphs on the heap are walked where they are; stack and global variables by
 * reference, and the bytes beside them that the CPU changes meanwhile stay. */
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma omp requires unified_shared_memory

struct node {
	struct node *left, *right;
	long key;
};
struct list {
	struct list *next;
	long v;
};
static double global_array[200000];
static struct {
	int cpu[512], device[512];
} page __attribute__((aligned(4096)));
static int interleaved[8192] __attribute__((aligned(4096)));
static volatile int started, stop;

#pragma omp declare target
static void insert(struct node **at, struct node *n)
{
	while (*at)
		at = n->key < (*at)->key ? &(*at)->left : &(*at)->right;
	*at = n;
}
static long total(const struct node *t)
{
	return t ? t->key + total(t->left) + total(t->right) : 0;
}
#pragma omp end declare target

static void linked_structures(void)
{
	struct list *head = NULL;
	struct node *nodes = calloc(5000, sizeof *nodes), **root = calloc(1, sizeof *root);
	long sum = 0;

	for (int i = 0; i < 20000; i++) {
		struct list *n = malloc(sizeof *n);
		*n = (struct list){head, i};
		head = n;
	}
#pragma omp target map(tofrom : sum)
	for (struct list *n = head; n; n = n->next)
		sum += n->v++;
	printf("list %ld, then %ld\n", sum, head->v);
	for (int i = 0; i < 5000; i++)
		nodes[i].key = i * 7919L % 5003;
#pragma omp target map(tofrom : sum) /* built by the device, walked by both */
	{
		for (int i = 0; i < 5000; i++)
			insert(root, &nodes[i]);
		sum = total(*root);
	}
	printf("tree %ld %ld\n", sum, total(*root));
	free(nodes);
	free(root);
}

static void by_reference(void)
{
	double stack[4000], r = 0, big = 0;

	for (int i = 0; i < 4000; i++)
		stack[i] = i;
	for (int i = 0; i < 200000; i++)
		global_array[i] = 1;
#pragma omp target teams distribute parallel for reduction(+ : r) map(tofrom : stack)
	for (int i = 0; i < 4000; i++) {
		r += stack[i];
		stack[i] = 2 * stack[i];
	}
	printf("stack %.1f %.1f\n", r, stack[3999]);
#pragma omp target teams distribute parallel for reduction(+ : big) map(tofrom : global_array)
	for (int i = 0; i < 200000; i++) {
		global_array[i] += i;
		big += global_array[i];
	}
	printf("global %.1f %.1f\n", big, global_array[199999]);
	global_array[5] = -1; /* each region sees what the CPU wrote since */
	double five = 0;
#pragma omp target map(tofrom : global_array, five)
	five = global_array[5];
	printf("again %.1f\n", five);
}

static void *cpu_side(void *arg)
{
	for (int i = 0; !stop; i = (i + 1) % 512) {
		page.cpu[i]++;
		interleaved[2 * i]++;
		if (i == 511)
			started = 1;
	}
	return arg;
}

/* The CPU writes its ints all the time, the device writes those between them, in one region after the other. */
static void beside_each_other(void)
{
	pthread_t thread;
	long lost = 0, wrong = 0;
	static int last[512];

	pthread_create(&thread, NULL, cpu_side, NULL);
	while (!started)
		;
	for (int k = 1; k <= 50; k++) {
#pragma omp target map(tofrom : page, interleaved)
		for (int i = 0; i < 512; i++) {
			page.device[i] = k;
			interleaved[2 * i + 1] = 3 * k;
		}
		for (int i = 0; i < 512; i++) {
			int now = *(volatile int *)&page.cpu[i];
			lost += now < last[i];
			last[i] = now;
			wrong += page.device[i] != k || interleaved[2 * i + 1] != 3 * k;
		}
	}
	stop = 1;
	pthread_join(thread, NULL);
	for (int i = 0; i < 512; i++)
		lost += page.cpu[i] < last[i] || abs(page.cpu[i] - interleaved[2 * i]) > 0;
	printf("beside: %ld of the CPU's lost, %ld of the device's wrong\n", lost, wrong);
}

static void at_the_same_time(void)
{
	static int out[64];
	int sum = 0;

#pragma omp parallel for num_threads(4)
	for (int i = 0; i < 64; i++) {
		int in = i, result = 0;
#pragma omp target map(to : in) map(from : result)
		result = in * in;
		out[i] = result;
	}
	for (int i = 0; i < 64; i++)
		sum += out[i];
	printf("sixty-four regions of four threads %d\n", sum);
}

int main(void)
{
	linked_structures();
	by_reference();
	beside_each_other();
	at_the_same_time();
	return 0;
}
