/* interleaved-zb: interleaved 1F1B whose backward is split, with the weight gradients held back to fill the gaps.
 *
 * Source: Qi et al., "Zero bubble pipeline parallelism", arXiv 2401.10241, and PyTorch's ScheduleInterleavedZeroBubble.
 *
 *     2 ranks, 4 micro-batches; small letters are the second chunk
 *       r0  F0 F1 f0 f1 .  i0 w0 F2 i1 w1 F3 I0 W0 f2 I1 W1 f3 i2 w2 i3 w3 I2 W2 I3 W3
 *       r1  .  F0 F1 f0 i0 f1 i1 w0 F2 I0 w1 F3 I1 W0 f2 i2 W1 f3 i3 w2 I2 w3 I3 W2 W3
 *
 * Rank r warms up with (v-1)g + (p-1-r) forwards; a W follows each I from the r-th pair on; the rest of W comes last.
 * Constraints: as interleaved, but p/2 <= g, and m mod g = 0 or >= p/2.   Bubble: (p-1)(F+I-W)/v for g >= p.   Peak in
 * flight: (v-1)g + p chunks on every rank when m >= p.  With fewer than p micro-batches in a group less is held and
 * more is waited for: with F = I = W of a chunk as the unit, (v-1)(p-g) + max(0, 2p-3g-1) more than with g = p.
 *
 *     3 ranks, 4 micro-batches in groups of 2
 *       r0  F0 F1 .  f0 f1 F2 .  .  i0 w0 F3 i1 w1 f2 I0 W0 f3 I1 W1 i2 w2 i3 w3 I2 W2 I3 W3
 *       r1  .  F0 F1 .  f0 f1 .  i0 F2 i1 w0 F3 I0 w1 f2 I1 W0 f3 i2 W1 i3 w2 I2 w3 I3 W2 W3
 *       r2  .  .  F0 F1 .  f0 i0 f1 i1 F2 I0 w0 F3 I1 w1 f2 i2 W0 f3 i3 W1 I2 w2 I3 w3 W2 W3
 */
#include "schedules/kinds/interleave.h"
#include "schedules/kinds/kinds.h"

/* Below half of the ranks the next group would have to start before the backwards that free its memory. */
static int least_group(const struct weir_schedule_params *params)
{
    return (params->n_ranks + 1) / 2;
}

struct cursor {
    struct weir_builder *builder;
    const struct weir_interleave *table;
    int rank;
    size_t forwards, inputs, weights;
};

static void forward_add(struct cursor *c)
{
    struct weir_interleave_op f = weir_interleave_at(c->table, c->rank, c->forwards++, false);
    weir_builder_add(c->builder, c->rank, WEIR_F, f.stage, f.mb);
}

static void backward_add(struct cursor *c, enum weir_action_type type)
{
    size_t index = type == WEIR_I ? c->inputs++ : c->weights++;
    struct weir_interleave_op b = weir_interleave_at(c->table, c->rank, index, true);
    weir_builder_add(c->builder, c->rank, type, b.stage, b.mb);
}

static void rank_build(struct weir_builder *builder, const struct weir_interleave *table, int rank)
{
    struct cursor c = {.builder = builder, .table = table, .rank = rank};
    size_t all = (size_t)table->m * (size_t)table->v;
    size_t w = (size_t)(table->v - 1) * (size_t)table->group + (size_t)(table->p - 1 - rank);
    while (c.forwards < all && c.forwards < w)
        forward_add(&c);
    while (c.inputs < all) {
        if (c.forwards < all)
            forward_add(&c);
        backward_add(&c, WEIR_I);
        if (c.inputs > (size_t)rank)
            backward_add(&c, WEIR_W);
    }
    while (c.weights < all)
        backward_add(&c, WEIR_W);
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_interleave table;
    struct weir_builder builder;
    weir_status status = weir_interleave_open(params, least_group(params), &table);
    if (!status)
        status =
            weir_builder_open(&builder, params, table.p * table.v, 1, 3 * (size_t)table.m * (size_t)table.v, arena);
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
    (void)rank;
    if (weir_interleave_open(params, least_group(params), &table))
        return -1;
    return weir_int_min((table.v - 1) * table.group + table.p, table.m * table.v);
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, v = params->n_chunks, m = params->n_microbatches, g = params->group_size;
    double longer = 0;
    if (m < p || (g && g < p && m % g))
        return -1;
    if (g && g < p && v > 1)
        longer = (v - 1.0) * (p - g) + weir_int_max(0, 2 * p - 3 * g - 1);
    return 3.0 * m * v + p - 1 + longer;
}

const struct weir_schedule_kind weir_kind_interleaved_zb = {
    .name = "interleaved-zb",
    .summary = "interleaved with weight gradients held back; a third of its bubble, p micro-batches",
    .default_chunks = 2,
    .splits_backward = true,
    .takes_group_size = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
