/* hints.c - hints by range, cut by mprotect and by other hints: are they still told, and what do
 * they cost? */
#include "debate.h"

int main(void)
{
	enum { N = 10000 };
	size_t bytes = (size_t)N * 2 * PAGE;
	char *p = managed(NULL, bytes);
	struct gm_hints_info h;
	int kept = 0;

	uint64_t before = counted().metadata_bytes;
	check(hmadvise(-1, p, bytes, GM_MADV_READ_MOSTLY));
	printf("hints.whole_bytes: %lu\n", (unsigned long)(counted().metadata_bytes - before));
	for (int i = 0; i < N; i++) /* each cuts the mapping */
		check(gm_mprotect(p + (size_t)i * 2 * PAGE, PAGE, PROT_READ));
	for (int i = 0; i < 2 * N; i++) {
		check(gm_query_hints(p + (size_t)i * PAGE, &h));
		kept += h.read_mostly;
	}
	printf("hints.kept_by_mprotect: %d of %d pages\n", kept, 2 * N);
	before = counted().metadata_bytes;
	double start = now();
	for (int i = 0; i < N; i++) /* and each of these cuts the hint */
		check(hmadvise(-1, p + (size_t)i * 2 * PAGE, PAGE, GM_MADV_PREFERRED_LOCATION));
	printf("hints.per_second: %.0f\n", N / (now() - start));
	printf("hints.bytes_a_cut: %.0f\n", (double)(counted().metadata_bytes - before) / (2 * N));
	return kept != 2 * N;
}
