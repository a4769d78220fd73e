/* hanayo: 1F1B over chunks that run down the ranks and back up again, wave after wave.
 *
 * Source: Liu et al., "Hanayo: harnessing wave-like pipeline parallelism for enhanced large model training efficiency",
 * arXiv 2308.15762.
 *
 *     2 ranks, 3 micro-batches; small letters are the second chunk
 *       r0  F0 F1 .  f0 b0 b0 f1 b1 b1 .  B0 B0 F2 .  B1 B1 f2 b2 b2 .  .  .  .  B2 B2
 *       r1  .  F0 f0 F1 f1 .  b0 b0 B0 B0 b1 b1 B1 B1 F2 f2 .  .  .  b2 b2 B2 B2 .  .
 *
 * Chunk c of rank r is stage c·p + r when c is even and c·p + p-1-r when it is odd, so that the turns cross no rank and
 * the weights stand once.  The order is greedy: backwards first, then forwards of the latest chunk, p micro-batches at
 * a time.   Constraints: an even number of chunks (2 per wave); any m. */
#include "base/arena.h"
#include "schedules/kinds/greedy.h"
#include "schedules/kinds/kinds.h"

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    int p = params->n_ranks, v = params->n_chunks, m = params->n_microbatches, *rank;
    struct weir_builder builder;
    if (v % 2)
        return WEIR_FAIL(
            WEIR_ERR_INVALID,
            "hanayo needs an even number of chunks per rank, 2 for each wave, not %d: use " WEIR_OPTION("chunks=%d"), v,
            v + 1);
    weir_status status = weir_arena_alloc(arena, (size_t)p * (size_t)v, sizeof *rank, &rank);
    if (!status)
        status = weir_builder_open(&builder, params, p * v, 1, 2 * (size_t)m * (size_t)v, arena);
    if (status)
        return status;
    for (int s = 0; s < p * v; s++)
        rank[s] = s / p % 2 ? p - 1 - s % p : s % p;
    struct weir_greedy greedy = {.n_stages = p * v, .n_microbatches = m, .rank = rank, .admitted = p};
    status = weir_greedy_run(&greedy, &builder);
    if (!status)
        weir_builder_close(&builder, out);
    return status;
}

const struct weir_schedule_kind weir_kind_hanayo = {
    .name = "hanayo",
    .summary = "1F1B in waves down and up the ranks, 2 chunks per wave; one copy of the weights",
    .default_chunks = 2,
    .build = build,
};
