// C++ in regions: templates, lambdas, classes with virtual functions made there, exceptions caught there, the library.
#pragma clang diagnostic ignored "-Wopenmp-mapping"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

template <class T> struct Range {
	T *data;
	int n;
	T &operator[](int i) { return data[i]; }
};

template <class T, class F> void for_each(Range<T> r, F f)
{
	T *data = r.data;
	int n = r.n;
#pragma omp target teams distribute parallel for map(tofrom : data[:n]) firstprivate(f)
	for (int i = 0; i < n; i++)
		f(i, data[i]);
}

#pragma omp declare target
struct Shape {
	virtual double area() const = 0;
	virtual ~Shape() {}
};
struct Circle : Shape {
	double r;
	Circle(double r) : r(r) {}
	double area() const override { return M_PI * r * r; }
};
struct Square : Shape {
	double a;
	Square(double a) : a(a) {}
	double area() const override { return a * a; }
};
#pragma omp end declare target

class Particles
{
	std::vector<double> x, v;

      public:
	Particles(int n) : x(n), v(n, 0.5) {}
	void step(double dt)
	{
		double *px = x.data(), *pv = v.data();
		int n = (int)x.size();
#pragma omp target teams distribute parallel for simd map(tofrom : px[:n]) map(to : pv[:n])
		for (int i = 0; i < n; i++)
			px[i] += dt * pv[i] * i;
	}
	double last() const { return x.back(); }
};

struct Complex {
	double re = 0, im = 0;
	Complex &operator+=(const Complex &o)
	{
		re += o.re;
		im += o.im;
		return *this;
	}
};
#pragma omp declare reduction(+ : Complex : omp_out += omp_in)

int main()
{
	std::vector<double> d(10000);
	std::vector<int> k(777, 1);
	double scale = 3;

	for_each(Range<double>{d.data(), (int)d.size()}, [scale](int i, double &x) { x = scale * i; });
	for_each(Range<int>{k.data(), (int)k.size()}, [](int i, int &x) { x += i; });
	printf("lambdas %.1f %d\n", d.back(), k.back());
	double areas = 0;
#pragma omp target map(from : areas)
	{
		Circle c(2);
		Square s(3);
		const Shape *shapes[] = {&c, &s};
		areas = 0;
		for (const Shape *p : shapes)
			areas += p->area();
	}
	printf("virtual functions %.6f\n", areas);
	Particles p(1000);
	for (int i = 0; i < 10; i++)
		p.step(0.1);
	printf("class %.3f\n", p.last());
	Complex sum;
#pragma omp target teams distribute parallel for reduction(+ : sum)
	for (int i = 0; i < 1000; i++) {
		Complex c;
		c.re = i;
		c.im = -i;
		sum += c;
	}
	printf("reduction %.1f %.1f\n", sum.re, sum.im);
	int caught = 0, sorted = 0;
#pragma omp target map(from : caught, sorted)
	{
		try {
			throw 42;
		} catch (int e) {
			caught = e;
		}
		std::vector<int> v;
		for (int i = 0; i < 1000; i++)
			v.push_back(i * 7919 % 1000);
		std::sort(v.begin(), v.end());
		sorted = v[1] - v[0] + v[999];
	}
	printf("exception %d, sorted %d\n", caught, sorted);
	return 0;
}
