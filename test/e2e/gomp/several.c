/*
 * Several devices by OpenACC: each has its own copy, and a region gets the values of its variables
 * as they are when it is asked for, also in a queue.
 */
#include <openacc.h>
#include <stdio.h>

enum { N = 4 };

int main(void)
{
	int n = acc_get_num_devices(acc_device_nvidia), x[N], turn = 0;

	printf("devices %d\n", n);
	for (int d = 0; d < n; d++) {
		acc_set_device_num(d, acc_device_nvidia);
		for (int i = 0; i < N; i++)
			x[i] = i;
		acc_copyin(x, sizeof x);
	}
	for (int d = 0; d < n; d++) {
		acc_set_device_num(d, acc_device_nvidia);
#pragma acc parallel loop present(x) async(1)
		for (int i = 0; i < N; i++)
			x[i] += 100 * (d + 1);
	}
	for (int d = n - 1; d >= 0; d--) {
		acc_set_device_num(d, acc_device_nvidia);
#pragma acc wait
		acc_copyout(x, sizeof x);
		printf("device %d: %d %d %d %d\n", acc_get_device_num(acc_device_nvidia), x[0],
		       x[1], x[2], x[3]);
	}
	/* there and back in one queue: what goes there is what has come */
	acc_copyin(x, sizeof x);
	for (; turn < 20; turn++) {
#pragma acc parallel loop present(x) async(1)
		for (int i = 0; i < N; i++)
			x[i] += turn;
#pragma acc update self(x) async(1)
#pragma acc update device(x) async(1)
	}
#pragma acc wait
	printf("in turn: %d %d\n", x[0], x[N - 1]);
	return 0;
}
