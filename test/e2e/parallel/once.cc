// Uses std::call_once, which hands its function over in libstdc++'s own thread-local variables.
#include <cstdio>
#include <mutex>
int main()
{
	std::once_flag flag;
	int calls = 0;
#pragma omp parallel
	std::call_once(flag, [&] { calls++; });
	std::printf("calls %d\n", calls);
}
