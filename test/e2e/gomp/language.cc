// What a region of the host's code may do beyond arithmetic: exceptions, virtual calls, function
// pointers of the program and of libraries, memory of its own, printing, globals, atomics.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <omp.h>
#include <stdexcept>
#include <vector>

static double twice(double x)
{
	return 2 * x;
}
double (*volatile own_pointer)(double) = twice;
double (*volatile library_pointer)(double) = std::cbrt;
struct Base {
	virtual double f(double x)
	{
		return x;
	}
	virtual ~Base()
	{
	}
};
struct Derived : Base {
	double k = 3;
	double f(double x) override
	{
		return k * x;
	}
};
int counter;

int main()
{
	std::vector<double> v(1000);
	Base *b = new Derived;
	int caught = 0, threads = 0;
	double s = 0;

#pragma omp target map(tofrom : caught, s)
	{
		for (auto &x : v)
			x = own_pointer(1.5) + library_pointer(8) + b->f(1);
		try {
			throw std::runtime_error("boom");
		} catch (const std::exception &e) {
			caught = e.what()[0];
		}
		try {
			std::vector<int> few;
			few.at(5) = 3;
		} catch (const std::out_of_range &) {
			caught += 1000;
		}
		std::vector<int> w(100);
		for (int i = 0; i < 100; i++)
			w[(size_t)i] = (i * 37) % 101;
		std::sort(w.begin(), w.end());
		s = w[50];
		printf("printf %g\n", v[3]);
		fprintf(stdout, "fprintf\n");
		fputs("fputs\n", stdout);
		puts("puts");
		counter++;
	}
#pragma omp target teams distribute parallel for reduction(+ : s) reduction(max : threads)
	for (int i = 0; i < 1000; i++) {
		s += std::floor(v[(size_t)i]);
		threads = std::max(threads, omp_get_num_threads());
#pragma omp atomic
		counter++;
	}
	printf("%d %.1f counter %d several threads %d\n", caught, s, counter, threads > 1);
	delete b;
	return 0;
}
