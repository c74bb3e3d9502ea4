/* What runtimes of the device keep, handed to functions of the host: arguments of tasks, texts of
 * exceptions. */
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

static int tasks()
{
	char text[64];
	int n = 0;

#pragma omp parallel num_threads(2)
#pragma omp single
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "%d of text", i);
#pragma omp task firstprivate(text) shared(n)
		{
			char longer[100];
			snprintf(longer, sizeof longer, "%s!", text);
#pragma omp atomic
			n += (int)strlen(longer);
		}
	}
	return n;
}

static int exceptions()
{
	std::vector<int> none;
	int n = 0;

#pragma omp parallel for reduction(+ : n)
	for (int i = 0; i < 64; i++) {
		char text[200];
		try {
			if (i % 2)
				throw std::runtime_error("number " + std::to_string(i));
			none.at(1000);
		} catch (const std::exception &e) {
			snprintf(text, sizeof text, "%s.", e.what());
			n += (int)(std::string(e.what()).size() + strlen(text));
		}
	}
	return n;
}

int main()
{
	int n = tasks();

	printf("%d %d\n", n, exceptions());
}
