/* chimera-doubled: chimera for m > p by forward doubling, so that units follow each other without the bubble that B = 2F leaves.
 *
 * Source: Li and Hoefler, "Chimera: efficiently training large-scale neural networks with bidirectional pipelines",
 * arXiv 2107.06925, section 3.5: where B = 2F, a cell of the drawing with F = B has two forwards or one backward.
 *
 *     2 ranks, 4 micro-batches; small letters enter at the last rank
 *       r0  F0 F1 f2 f3 b2 b2 B0 B0 b3 b3 B1 B1
 *       r1  f2 f3 F0 F1 B0 B0 b2 b2 B1 B1 b3 b3
 *
 * The ranks pass on waves, which enter two cells apart at either end.  Forwards of one direction and backwards of the other go the
 * same way, so of three waves of p/2 cells one is forwards, of two micro-batches each, and two are backwards.  The two
 * micro-batches of a cell are p/2 apart, so that backwards come in ascending order.
 *
 * Constraints: one chunk per rank and copy; p even, m even.
 * Bubble at a multiple of 2p: 3(p/2-1) with B = 2F, whatever m.   Peak in flight: 3p/2 + 1 + min(r, p-1-r), p more than chimera's. */
#include "schedules/kinds/both_ends.h"
#include "schedules/kinds/kinds.h"

/* What enters a rank from one end: forwards of the stage that this direction has there, backwards of the other direction's. */
struct lane {
    int delay;                  /* cells from the end to the rank */
    int f_stage, f_first;       /* the first micro-batch of each direction */
    int b_stage, b_first;
};

static void action_add(struct weir_builder *builder, int rank, enum weir_action_type type, const struct lane *lane, int mb)
{
    bool forward = type == WEIR_F;
    if (mb < builder->schedule.n_microbatches / 2) /* the last unit may be short */
        weir_builder_add(builder, rank, type, forward ? lane->f_stage : lane->b_stage,
                         (forward ? lane->f_first : lane->b_first) + mb);
}

static void cell_build(struct weir_builder *builder, int rank, const struct lane *lane, int time)
{
    int p = builder->schedule.n_ranks, wave = time - lane->delay, half = p / 2;
    if (wave < 0 || wave % 2)
        return;
    int third = wave / p % 3, mb = wave / (3 * p) * p + wave / 2 % half;
    if (third > 0) {
        action_add(builder, rank, WEIR_B, lane, mb + (third - 1) * half);
        return;
    }
    action_add(builder, rank, WEIR_F, lane, mb);
    action_add(builder, rank, WEIR_F, lane, mb + half);
}

static void rank_build(struct weir_builder *builder, int p, int n, int r)
{
    const struct lane down = {r, r, 0, p - 1 - r, n}, up = {p - 1 - r, p - 1 - r, n, r, 0};
    for (int time = 0; builder->ranks[r].n_actions < 4 * (size_t)n; time++) {
        cell_build(builder, r, &down, time);
        cell_build(builder, r, &up, time);
    }
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    return weir_both_ends_build("chimera-doubled", params, rank_build, arena, out);
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    int p = params->n_ranks;
    return params->n_microbatches % (2 * p) ? -1 : 3 * p / 2 + 1 + weir_int_min(rank, p - 1 - rank);
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return m % (2 * p) ? -1 : 3.0 * m + 3.0 * (p / 2 - 1);
}

const struct weir_schedule_kind weir_kind_chimera_doubled = {
    .name = "chimera-doubled",
    .summary = "chimera with two forwards to a backward: its bubble once, not once per p micro-batches; two copies of the weights",
    .n_chunks = 1,
    .n_copies = 2,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
