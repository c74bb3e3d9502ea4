/*
 * hash_join.cc - joins two tables of rows by key, in C++: the device builds a hash table of
 * chained rows and probes it. Nothing is mapped: unified_shared_memory; the rows are in
 * std::vectors, the chains are pointers into them.
 */
#include <vector>
#include "example.h"

#pragma omp requires unified_shared_memory

template <typename Key> struct Row {
	Key key;
	uint64_t value;
	Row *next;
};

template <typename Key> class HashJoin
{
      public:
	using R = Row<Key>;

	HashJoin(int device, size_t rows) : device_(device)
	{
		size_t buckets = 1;

		while (buckets < rows)
			buckets *= 2;
		heads_.resize(buckets);
	}

	void build(std::vector<R> &rows)
	{
		R *row = rows.data(), **head = heads_.data();
		size_t n = rows.size(), buckets = heads_.size(), mask = buckets - 1;

#pragma omp target teams distribute parallel for device(device_)
		for (size_t i = 0; i < buckets; i++)
			head[i] = nullptr;
#pragma omp target teams distribute parallel for device(device_)
		for (size_t i = 0; i < n; i++) {
			R **at = &head[hash(row[i].key) & mask];
			R *old;
			do {
				old = __atomic_load_n(at, __ATOMIC_RELAXED);
				row[i].next = old;
			} while (!__atomic_compare_exchange_n(at, &old, &row[i], true,
							      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
		}
	}

	/* Calls per_match(left, right) for every pair; the sum of what it returns. */
	template <typename F> uint64_t probe(const std::vector<R> &rows, F per_match)
	{
		const R *row = rows.data();
		R **head = heads_.data();
		size_t n = rows.size(), mask = heads_.size() - 1;
		uint64_t sum = 0;

#pragma omp target teams distribute parallel for device(device_) \
	reduction(+ : sum) map(tofrom : sum)
		for (size_t i = 0; i < n; i++)
			for (const R *r = head[hash(row[i].key) & mask]; r; r = r->next)
				if (r->key == row[i].key)
					sum += per_match(*r, row[i]);
		return sum;
	}

      private:
	static size_t hash(Key key)
	{
		uint64_t h = static_cast<uint64_t>(key) * 0x9e3779b97f4a7c15u;
		return h ^ h >> 29;
	}

	int device_;
	std::vector<R *> heads_;
};

using Join = HashJoin<uint32_t>;

static std::vector<Join::R> random_rows(size_t n, uint64_t seed)
{
	std::vector<Join::R> rows(n);

	for (auto &r : rows)
		r = {static_cast<uint32_t>(example_random(&seed) % (2 * n)),
		     example_random(&seed) >> 40, nullptr};
	return rows;
}

static uint64_t join(Join &j, std::vector<Join::R> &left, const std::vector<Join::R> &right,
		     uint64_t factor)
{
	j.build(left);
	return j.probe(right, [factor](const Join::R &l, const Join::R &r) {
		return factor * l.value + r.value;
	});
}

int main(int argc, char **argv)
{
	struct example e = example_begin("hash_join", argc, argv, 3);
	size_t n = e.bytes / (2 * sizeof(Join::R) + 12);
	auto left = random_rows(n, 5), right = random_rows(n, 6);

	Join on_host(omp_get_initial_device(), n), on_device(omp_get_default_device(), n);

	e.host_s = -omp_get_wtime();
	uint64_t want = join(on_host, left, right, 3);
	e.host_s += omp_get_wtime();

	bool equal = want != 0;
	for (int r = 0; r < e.reps; r++) {
		double begin = omp_get_wtime();
		equal &= join(on_device, left, right, 3) == want;
		double seconds = omp_get_wtime() - begin;
		example_step(&e, seconds);
		e.device_s += seconds;
	}
	return example_end(&e, equal);
}
