/*
 * What both sides of the device protocol must agree on: layout, overlap, and what a BLAS journal
 * holds.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "devsim/blas_wire.h"
#include "devsim/wire.h"
#include <gmem/device.h>

Test(wire, slots_do_not_share_cache_lines)
{
	cr_expect_eq(sizeof(struct ds_fault) % 64, 0);
	cr_expect_eq(sizeof(struct ds_launch) % 64, 0);
	cr_expect_eq(offsetof(struct ds_ctl, fault) % 64, 0);
	cr_expect_eq(offsetof(struct ds_launch, args) % 16, 0);
	cr_expect_eq(DS_CMDS & (DS_CMDS - 1), 0);
	cr_expect_eq(DS_SLOTS, 64, "one bit each of ds_ctl.posted");
	cr_expect_leq(sizeof(struct ds_blas_args), DS_ARGS_MAX);
	cr_expect_eq(GM_LAUNCH_ARGS_MAX, DS_ARGS_MAX);
}

Test(wire, overlap)
{
	cr_expect(ds_overlap(0, 2, 1, 2));
	cr_expect(ds_overlap(1, 2, 0, 2));
	cr_expect(ds_overlap(0, 9, 3, 1));
	cr_expect(ds_overlap(3, 1, 0, 9));
	cr_expect_not(ds_overlap(0, 2, 2, 2));
	cr_expect_not(ds_overlap(2, 2, 0, 2));
	cr_expect_not(ds_overlap(5, 0, 5, 0));
}

enum { LD = 16, ROOM = LD * LD };

/* Saves by the journal's lines, clobbers everything that the call may write, restores, and
 * compares. */
static void round_trip(struct ds_blas_args a)
{
	unsigned char matrix[ROOM], was[ROOM], journal[ROOM];
	uint64_t off;
	size_t bytes, total = 0;
	char *at;

	a.type = 's';
	a.lda = a.ldb = a.ldc = LD / 4;
	a.b = a.c = matrix;
	for (int i = 0; i < ROOM; i++)
		was[i] = matrix[i] = (unsigned char)(i + 1);
	memset(journal, 0, sizeof journal);
	for (int32_t i = 0; ds_blas_journal_line(&a, i, &at, &bytes, &off); i++) {
		cr_assert(at >= (char *)matrix && at + bytes <= (char *)matrix + ROOM &&
			  off + bytes <= ROOM);
		memcpy(journal + off, at, bytes);
		memset(at, 0, bytes);
		total += bytes;
	}
	bool triangle = a.op >= DS_SYRK && a.op <= DS_HER2K;
	int32_t m = triangle ? a.n : a.m;
	size_t want = (size_t)(triangle ? a.n * (a.n + 1) / 2 : m * a.n) * 4;
	cr_expect_eq(total, want, "op %d: %zu of %zu bytes", a.op, total, want);
	for (int32_t i = 0; i < m; i++) /* the written part is gone now */
		for (int32_t j = 0; j < a.n; j++) {
			bool upper = !triangle || (a.uplo == DS_UPPER ? j >= i : j <= i);
			int32_t k = a.layout == DS_ROW_MAJOR ? i * a.ldc + j : j * a.ldc + i;
			cr_assert_eq(matrix[k * 4] == 0, upper, "op %d (%d, %d)", a.op, i, j);
		}
	for (int32_t i = 0; ds_blas_journal_line(&a, i, &at, &bytes, &off); i++)
		memcpy(at, journal + off, bytes);
	cr_assert_eq(memcmp(matrix, was, ROOM), 0);
}

Test(wire, the_journal_holds_exactly_what_is_written)
{
	static const int layouts[] = {DS_ROW_MAJOR, DS_COL_MAJOR}, uplos[] = {DS_UPPER, DS_LOWER};

	for (int op = 0; op < DS_BLAS_OPS; op++)
		for (int l = 0; l < 2; l++)
			for (int u = 0; u < 2; u++)
				round_trip((struct ds_blas_args){.op = (uint8_t)op,
								 .layout = layouts[l],
								 .uplo = uplos[u],
								 .m = 3,
								 .n = 4,
								 .k = 2});
}

Test(wire, what_can_be_repeated_needs_no_journal)
{
	struct ds_blas_args a = {.op = DS_GEMM};

	cr_expect_not(ds_blas_in_place(&a));
	a.beta[1] = 1;
	cr_expect(ds_blas_in_place(&a));
	a = (struct ds_blas_args){.op = DS_TRSM};
	cr_expect(ds_blas_in_place(&a));
}
