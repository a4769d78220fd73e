/* dualpipev: DualPipe cut in half; two chunks in a V, forwards overlapped with backwards of the other chunk.
 *
 * Source: DeepSeek-AI, "DeepSeek-V3 technical report", arXiv 2412.19437, section 3.2.1, and its DualPipe repository
 * (dualpipev); PyTorch's ScheduleDualPipeV.
 *
 *     2 ranks, 4 micro-batches; small letters are the second chunk, & joins an OVERLAP_F_B
 *       r0  F0  F1  F2  f0  i0  w0  f1  F3& b1  b1  .   f2& B0  B0  b2  b2  .   f3& B1  B1  b3  b3  I2  W2  I3  W3
 *       r1  .   F0  f0  F1  f1  F2  b0  b0  f2& B0  B0  F3& b1  b1  f3& B1  B1  b2  b2  B2  B2  .   i3  I3  w3  W3
 *
 * Rank r holds stages r and 2p-1-r.  The steps are in dual.h with half = p, depth = r.
 * Constraints: -v 2; m >= 2p.   Bubble: (p-1)(F&B + B - 3W) in chunk units, F&B the time of an overlapped pair.
 * Peak in flight: 2p+1 chunks. */
#include "base/arena.h"
#include "schedules/kinds/dual.h"
#include "schedules/kinds/kinds.h"

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    int p = params->n_ranks, m = params->n_microbatches;
    if (m < 2 * p)
        return WEIR_FAIL(
            WEIR_ERR_INVALID,
            "dualpipev on %d ranks needs at least %d micro-batches, not %d: use " WEIR_OPTION("microbatches=%d"), p,
            2 * p, m, 2 * p);
    struct weir_builder builder;
    struct weir_action *queue;
    weir_status status = weir_arena_alloc(arena, 2 * (size_t)m, sizeof *queue, &queue);
    if (!status)
        status = weir_builder_open(&builder, params, 2 * p, 1, 6 * (size_t)m, arena);
    if (status)
        return status;
    for (int r = 0; r < p; r++)
        weir_dual_rank_build(
            &(struct weir_dual_rank){
                .builder = &builder, .rank = r, .half = p, .depth = r, .n = m, .stage = {r, 2 * p - 1 - r}},
            queue);
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    (void)rank;
    return 2 * params->n_ranks + 1;
}

static double makespan(const struct weir_schedule_params *params)
{
    return 6.0 * params->n_microbatches + 2.0 * (params->n_ranks - 1);
}

const struct weir_schedule_kind weir_kind_dualpipev = {
    .name = "dualpipev",
    .summary = "two chunks in a V, each forward overlapped with a backward; for m >= 2p",
    .n_chunks = 2,
    .splits_backward = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
