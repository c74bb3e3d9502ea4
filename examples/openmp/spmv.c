/*
 * spmv.c - y = A x with a sparse matrix in CSR form. The matrix is entered once (target enter
 * data); x is written by the host before each repetition (target update to) and y read after it
 * (target update from).
 */
#include "example.h"

#define PER_ROW 16

struct csr {
	size_t rows;
	size_t *first;	  /* rows + 1 */
	uint32_t *column; /* first[rows] */
	double *value;
};

static struct csr random_matrix(size_t rows)
{
	struct csr m = {rows, example_alloc((rows + 1) * sizeof *m.first),
			example_alloc(rows * PER_ROW * sizeof *m.column),
			example_alloc(rows * PER_ROW * sizeof *m.value)};
	uint64_t seed = 2;
	size_t n = 0;

	for (size_t r = 0; r < rows; r++) {
		m.first[r] = n;
		size_t entries = 1 + example_random(&seed) % PER_ROW;
		for (size_t k = 0; k < entries; k++, n++) {
			/* mostly near the diagonal, sometimes anywhere */
			uint64_t where = example_random(&seed);
			m.column[n] = (uint32_t)(where % 8 ? (r + where / 8 % 1000) % rows
							   : where / 8 % rows);
			m.value[n] = example_uniform(&seed) - 0.5;
		}
	}
	m.first[rows] = n;
	return m;
}

static void multiply(int device, const struct csr *m, const double *x, double *y)
{
	size_t rows = m->rows, entries = m->first[rows];
	const size_t *first = m->first;
	const uint32_t *column = m->column;
	const double *value = m->value;

#pragma omp target teams distribute parallel for device(device) map(to                             \
								    : first[:rows + 1], column     \
								    [:entries], value              \
								    [:entries], x                  \
								    [:rows]) map(from              \
										 : y[:rows])
	for (size_t r = 0; r < rows; r++) {
		double sum = 0;
		for (size_t k = first[r]; k < first[r + 1]; k++)
			sum += value[k] * x[column[k]];
		y[r] = sum;
	}
}

static void fill(double *x, size_t n, int rep)
{
	for (size_t i = 0; i < n; i++)
		x[i] = (double)((i + (size_t)rep) % 10) - 4.5;
}

int main(int argc, char **argv)
{
	struct example e = example_begin("spmv", argc, argv, 10);
	/* half of the places in a row are taken */
	size_t rows =
		e.bytes / (PER_ROW / 2 * (sizeof(double) + sizeof(uint32_t)) + 3 * sizeof(double));
	struct csr m = random_matrix(rows);
	size_t *first = m.first, entries = first[rows];
	uint32_t *column = m.column;
	double *value = m.value, *x = example_alloc(rows * sizeof *x),
	       *y = example_alloc(rows * sizeof *y);
	double *want = example_alloc(rows * sizeof *want);
	int equal = 1;

	fill(x, rows, 0);
#pragma omp target enter data map(to                                                               \
				  : first[:rows + 1], column                                       \
				  [:entries], value                                                \
				  [:entries], x                                                    \
				  [:rows]) map(alloc                                               \
					       : y[:rows])
	for (int r = 0; r < e.reps; r++) {
		fill(x, rows, r);
		e.host_s -= omp_get_wtime();
		multiply(omp_get_initial_device(), &m, x, want);
		e.host_s += omp_get_wtime();

		double start = omp_get_wtime();
#pragma omp target update to(x[:rows])
		double begin = omp_get_wtime();
		multiply(omp_get_default_device(), &m, x, y);
		example_step(&e, omp_get_wtime() - begin);
#pragma omp target update from(y[:rows])
		e.device_s += omp_get_wtime() - start;
		equal &= !memcmp(y, want, rows * sizeof *y);
	}
#pragma omp target exit data map(release                                                           \
				 : first[:rows + 1], column                                        \
				 [:entries], value                                                 \
				 [:entries], x                                                     \
				 [:rows], y                                                        \
				 [:rows])
	return example_end(&e, equal);
}
