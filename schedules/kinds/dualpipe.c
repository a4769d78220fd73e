/* dualpipe: two pipelines through the same ranks from both ends, forwards overlapped with backwards of the other one.
 *
 * Source: DeepSeek-AI, "DeepSeek-V3 technical report", arXiv 2412.19437, section 3.2.1, and its DualPipe repository.
 *
 *     4 ranks, 8 micro-batches; small letters enter at the last rank, & joins an OVERLAP_F_B
 *       r0  F0  F1  F2  f4  i4  w4  f5  F3& b5  b5  .   f6& B0  B0  b6  b6  .   f7& B1  B1  b7  b7  I2  W2  I3  W3
 *       r1  .   F0  f4  F1  f5  F2  b4  b4  f6& B0  B0  F3& b5  b5  f7& B1  B1  b6  b6  B2  B2  .   i7  I3  w7  W3
 *       r2  .   f4  F0  f5  F1  f6  B0  B0  F2& b4  b4  f7& B1  B1  F3& b5  b5  B2  B2  b6  b6  .   I3  i7  W3  w7
 *       r3  f4  f5  f6  F0  I0  W0  F1  f7& B1  B1  .   F2& b4  b4  B2  B2  .   F3& b5  b5  B3  B3  i6  w6  i7  w7
 *
 * Each stage stands on two ranks, s and p-1-s, with a copy of its weights on each: the first m/2 micro-batches enter at
 * rank 0, the others at rank p-1.  The steps are in dual.h with half = p/2, depth = the distance to the nearer end.
 * Constraints: one chunk per rank and copy; p even, m even, m >= 2p.   Bubble: (p/2-1)(F&B + B - 3W).
 * Peak in flight: p+1 micro-batches. */
#include "base/arena.h"
#include "schedules/kinds/dual.h"
#include "schedules/kinds/kinds.h"

static weir_status bounds_check(int p, int m)
{
    if (p % 2)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "dualpipe needs an even number of ranks, not %d: use " WEIR_OPTION("ranks=%d"), p, p + 1);
    if (m < 2 * p || m % 2)
        return WEIR_FAIL(
            WEIR_ERR_INVALID,
            "dualpipe on %d ranks needs an even number of micro-batches from %d up, not %d: use " WEIR_OPTION(
                "microbatches=%d"),
            p, 2 * p, m, weir_int_max(2 * p, m + m % 2));
    return WEIR_OK;
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    int p = params->n_ranks, m = params->n_microbatches;
    struct weir_builder builder;
    struct weir_action *queue;
    weir_status status = bounds_check(p, m);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)m, sizeof *queue, &queue);
    if (!status)
        status = weir_builder_open(&builder, params, p, 2, 3 * (size_t)m, arena);
    if (status)
        return status;
    for (int r = 0; r < p; r++) {
        bool second = r >= p / 2; /* chunk 0 is the one near its entry */
        struct weir_dual_rank rank = {.builder = &builder, .rank = r, .half = p / 2, .n = m / 2};
        rank.depth = second ? p - 1 - r : r;
        rank.stage[second] = r;
        rank.stage[!second] = p - 1 - r;
        rank.first[!second] = m / 2;
        weir_dual_rank_build(&rank, queue);
    }
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    (void)rank;
    return params->n_ranks + 1;
}

static double makespan(const struct weir_schedule_params *params)
{
    return 3.0 * params->n_microbatches + 2.0 * (params->n_ranks / 2 - 1);
}

const struct weir_schedule_kind weir_kind_dualpipe = {
    .name = "dualpipe",
    .summary = "two pipelines from both ends, forwards overlapped with backwards; two copies of the weights",
    .n_chunks = 1,
    .n_copies = 2,
    .splits_backward = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
