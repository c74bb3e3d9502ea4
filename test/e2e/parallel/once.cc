// std::call_once, which hands its function over in libstdc++'s own thread-local variables; also an
// exception in it, after which the next thread tries.
#include <cstdio>
#include <mutex>
#include <stdexcept>
int main()
{
	std::once_flag flag, thrown;
	int calls = 0, tries = 0, caught = 0;
#pragma omp parallel
	std::call_once(flag, [&] { calls++; });
#pragma omp parallel
	{
#pragma omp critical
		std::call_once(flag, [&] { calls += 100; });
	}
#pragma omp parallel reduction(+ : caught)
	{
#pragma omp critical
		try {
			std::call_once(thrown, [&] {
				if (++tries < 3)
					throw std::runtime_error("again");
			});
		} catch (const std::exception &) {
			caught++;
		}
	}
	std::printf("calls %d, tries %d, caught %d\n", calls, tries, caught);
}
