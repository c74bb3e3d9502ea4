#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>
#include <omp.h>
struct shape {
	virtual double area() const = 0;
	virtual ~shape()
	{
	}
};
struct square : shape {
	double a;
	square(double a) : a(a)
	{
	}
	double area() const override
	{
		return a * a;
	}
};
struct disc : shape {
	double r;
	disc(double r) : r(r)
	{
	}
	double area() const override
	{
		return 3 * r * r;
	}
};
struct late {
	~late()
	{
		std::puts("late gone");
	}
};
static std::vector<std::string> words;
int main()
{
	std::vector<std::unique_ptr<shape>> shapes(1000);
	std::map<int, std::string> names;
	std::unordered_map<int, int> counts;
	double total = 0;
	int caught = 0;
#pragma omp parallel for
	for (int i = 0; i < 1000; i++)
		if (i % 2)
			shapes[i].reset(new square(i));
		else
			shapes[i] = std::make_unique<disc>(i);
#pragma omp parallel for reduction(+ : total)
	for (int i = 0; i < 1000; i++)
		total += shapes[i]->area();
	std::cout << total << std::endl;
#pragma omp parallel for
	for (int i = 0; i < 200; i++) {
		std::string s = "a longer string than fits in place, number " + std::to_string(i);
#pragma omp critical
		{
			names[i] = s;
			counts[i % 10]++;
			words.push_back(s.substr(2));
		}
	}
	std::sort(words.begin(), words.end());
	std::cout << names.size() << " " << names[77] << " " << counts[3] << " " << words[5]
		  << std::endl;
#pragma omp parallel for reduction(+ : caught)
	for (int i = 0; i < 64; i++) {
		try {
			if (i % 2)
				throw std::runtime_error("number " + std::to_string(i));
			if (i % 4 == 0)
				throw i;
			words.at(1000000);
		} catch (const std::out_of_range &) {
			caught += 100;
		} catch (const std::exception &e) {
			caught += std::string(e.what()).size() > 7;
		} catch (int n) {
			caught += n;
		}
	}
	std::cout << caught << std::endl;
#pragma omp parallel
	{
		static late once;
#pragma omp for ordered schedule(static, 1)
		for (int i = 0; i < 4; i++) {
			std::ostringstream o;
			o << "i=" << i << " " << 1.5 * i;
#pragma omp ordered
			std::cout << o.str() << '\n';
		}
	}
	std::cout << "end" << std::endl;
}
