/* interleaved: 1F1B over several chunks per rank, which shortens the pipeline's filling and draining.
 *
 * Source: Narayanan et al., "Efficient large-scale language model training on GPU clusters", arXiv 2104.04473, section
 * 2.2.2; the flexible group is that of PyTorch's ScheduleInterleaved1F1B, the group size parameter Megatron-LM's
 * microbatch_group_size_per_vp_stage.
 *
 *     2 ranks, 4 micro-batches; small letters are the second chunk
 *       r0  F0 F1 f0 f1 F2 .  b0 b0 F3 b1 b1 f2 B0 B0 f3 B1 B1 .  b2 b2 .  b3 b3 B2 B2 B3 B3
 *       r1  .  F0 F1 f0 b0 b0 f1 b1 b1 F2 B0 B0 F3 B1 B1 f2 b2 b2 f3 b3 b3 B2 B2 B3 B3 .  .
 *
 * Stage c·p+r is chunk c of rank r.  With groups of g micro-batches rank r warms up with w = 2(p-1-r) + (v-1)g
 * forwards. Constraints: m mod max(1, m div p) = 0; or p <= g <= m and m mod g = 0 or >= p. Bubble:
 * (p-1)(F+B)/v.   Peak in flight: w + 1 chunks, on rank 0 p + (p-1)/v ranks' worth. */
#include "schedules/kinds/interleave.h"
#include "schedules/kinds/kinds.h"

static size_t warm_up(const struct weir_interleave *table, int rank)
{
    size_t w = 2 * (size_t)(table->p - 1 - rank) + (size_t)(table->v - 1) * (size_t)table->group;
    size_t all = (size_t)table->m * (size_t)table->v;
    return w < all ? w : all;
}

static void rank_build(struct weir_builder *builder, const struct weir_interleave *table, int rank)
{
    size_t all = (size_t)table->m * (size_t)table->v, w = warm_up(table, rank);
    for (size_t i = 0; i < all + w; i++) {
        if (i < all) {
            struct weir_interleave_op f = weir_interleave_at(table, rank, i, false);
            weir_builder_add(builder, rank, WEIR_F, f.stage, f.mb);
        }
        if (i >= w) {
            struct weir_interleave_op b = weir_interleave_at(table, rank, i - w, true);
            weir_builder_add(builder, rank, WEIR_B, b.stage, b.mb);
        }
    }
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_interleave table;
    struct weir_builder builder;
    weir_status status = weir_interleave_open(params, params->n_ranks, &table);
    if (!status)
        status =
            weir_builder_open(&builder, params, table.p * table.v, 1, 2 * (size_t)table.m * (size_t)table.v, arena);
    if (status)
        return status;
    for (int r = 0; r < table.p; r++)
        rank_build(&builder, &table, r);
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    struct weir_interleave table;
    if (weir_interleave_open(params, params->n_ranks, &table))
        return -1;
    return weir_int_min((int)warm_up(&table, rank) + 1, table.m * table.v);
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return m < p ? -1 : 3.0 * (m * params->n_chunks + p - 1);
}

const struct weir_schedule_kind weir_kind_interleaved = {
    .name = "interleaved",
    .summary = "1F1B with several chunks per rank; a bubble v times smaller, v times the transfers",
    .default_chunks = 2,
    .takes_group_size = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
