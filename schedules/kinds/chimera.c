/* chimera: two 1F1B pipelines through the same ranks from both ends, merged so that each fills the gaps of the other.
 *
 * Source: Li and Hoefler, "Chimera: efficiently training large-scale neural networks with bidirectional pipelines",
 * arXiv 2107.06925, section 3.1.  Beyond m = p the units follow each other directly (the paper's direct concatenation).
 *
 *     4 ranks, 4 micro-batches; small letters enter at the last rank
 *       r0  F0 F1 .  f2 b2 b2 f3 b3 b3 .  B0 B0 .  .  B1 B1
 *       r1  .  F0 f2 F1 f3 .  b2 b2 B0 B0 b3 b3 B1 B1 .  .
 *       r2  .  f2 F0 f3 F1 .  B0 B0 b2 b2 B1 B1 b3 b3 .  .
 *       r3  f2 f3 .  F0 B0 B0 F1 B1 B1 .  b2 b2 .  .  b3 b3
 *
 * Each stage stands on two ranks: stage s of the first m/2 micro-batches on rank s, of the others on rank p-1-s.
 * Constraints: one chunk per rank and copy; p even, m even.
 * Bubble at m = p: 2(p-2) of 3m + 2(p-2) with B = 2F; p-2 of 2m + p-2 with B = F.   Peak in flight: p/2 + 1 + min(r,
 * p-1-r). */
#include "schedules/kinds/both_ends.h"
#include "schedules/kinds/kinds.h"

/* Of one rank: in the drawing with F = B, the cells of the first micro-batch of each direction. */
struct lane {
    enum weir_action_type type;
    int stage, cell, first;
};

/* Micro-batches of a direction come in units of p/2, two cells apart; units are 2p cells apart. */
static bool lane_at(const struct lane *lane, int p, int n, int time, int *mb_out)
{
    int after = time - lane->cell;
    if (after < 0 || after % 2 || after % (2 * p) >= p)
        return false;
    int k = after / (2 * p) * (p / 2) + after % (2 * p) / 2;
    *mb_out = lane->first + k;
    return k < n;
}

static void rank_build(struct weir_builder *builder, int p, int n, int r)
{
    const struct lane lanes[] = {
        {WEIR_F, r, r, 0},
        {WEIR_F, p - 1 - r, p - 1 - r, n},
        {WEIR_B, r, 2 * p - 1 - r, 0},
        {WEIR_B, p - 1 - r, p + r, n},
    };
    for (int time = 0; builder->ranks[r].n_actions < 4 * (size_t)n; time++)
        for (int i = 0, mb; i < 4; i++)
            if (lane_at(&lanes[i], p, n, time, &mb))
                weir_builder_add(builder, r, lanes[i].type, lanes[i].stage, mb);
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    return weir_both_ends_build("chimera", params, rank_build, arena, out);
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    int p = params->n_ranks;
    return params->n_microbatches < p ? -1 : p / 2 + 1 + weir_int_min(rank, p - 1 - rank);
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return m == p ? 3.0 * m + 2.0 * (p - 2) : -1;
}

const struct weir_schedule_kind weir_kind_chimera = {
    .name = "chimera",
    .summary = "two 1F1B pipelines from both ends; half the bubble, two copies of the weights",
    .n_chunks = 1,
    .n_copies = 2,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
