/* zbv: two chunks per rank in a V, backward split; as much in flight as 1F1B, without its bubble.
 *
 * Source: Qi et al., "Zero bubble pipeline parallelism", arXiv 2401.10241, section 6; PyTorch's ScheduleZBVZeroBubble.
 *
 *     2 ranks, 4 micro-batches; small letters are the second chunk
 *       r0  F0 F1 F2 f0 i0 w0 f1 i1 w1 F3 I0 W0 f2 i2 w2 I1 W1 f3 i3 w3 I2 W2 I3 W3 .
 *       r1  .  F0 f0 F1 f1 i0 w0 F2 I0 W0 f2 i1 w1 F3 I1 W1 f3 i2 w2 I2 i3 I3 W2 w3 W3
 *
 * Rank r holds stages r and 2p-1-r, so that the loss is on rank 0 and the turn at rank p-1 crosses no rank.  Lists are
 * built for max(m, 2p-1) micro-batches; those beyond m are left out.
 * Constraints: -v 2; any m.   Bubble: (p-1)F/2 of a rank's F with F = I = W and a synchronous optimizer, 0 in span.
 * Peak in flight: 2p chunks, p ranks' worth, when m >= 2p-1. */
#include "schedules/kinds/builder.h"
#include "schedules/kinds/kinds.h"

struct v_rank {
    struct weir_builder *builder;
    int rank, m;
    int stage[2];
    int forwards[2], inputs[2], weights[2]; /* per chunk */
};

static void add(struct v_rank *v, enum weir_action_type type, int chunk)
{
    int mb = type == WEIR_F ? v->forwards[chunk]++ : type == WEIR_I ? v->inputs[chunk]++ : v->weights[chunk]++;
    if (mb < v->m)
        weir_builder_add(v->builder, v->rank, type, v->stage[chunk], mb);
}

static void warm_up(struct v_rank *v, int p, int r)
{
    for (int i = 0; i < 2 * (p - r) - 1; i++)
        add(v, WEIR_F, 0);
    for (int i = 0; i < r; i++) {
        add(v, WEIR_F, 1);
        add(v, WEIR_F, 0);
    }
    for (int i = 0; i < p - r; i++) {
        add(v, WEIR_F, 1);
        add(v, WEIR_I, 1);
        add(v, WEIR_W, 1);
    }
}

static void steady(struct v_rank *v, int n)
{
    while (v->forwards[1] < v->forwards[0] || v->forwards[0] < n) {
        if (v->forwards[0] < n)
            add(v, WEIR_F, 0);
        add(v, WEIR_I, 0);
        add(v, WEIR_W, 0);
        add(v, WEIR_F, 1);
        add(v, WEIR_I, 1);
        add(v, WEIR_W, 1);
    }
}

static void cool_down(struct v_rank *v, int p, int r)
{
    for (int i = 0; i < r; i++) {
        add(v, WEIR_I, 0);
        add(v, WEIR_I, 1);
    }
    for (int i = 0; i < p - r; i++) {
        add(v, WEIR_I, 0);
        add(v, WEIR_W, 0);
    }
    for (int chunk = 1; chunk >= 0; chunk--)
        while (v->weights[chunk] < v->inputs[chunk])
            add(v, WEIR_W, chunk);
}

static weir_status build(const struct weir_schedule_params *params, struct weir_arena *arena, struct weir_schedule *out)
{
    int p = params->n_ranks, m = params->n_microbatches;
    struct weir_builder builder;
    weir_status status = weir_builder_open(&builder, params, 2 * p, 1, 6 * (size_t)m, arena);
    if (status)
        return status;
    for (int r = 0; r < p; r++) {
        struct v_rank v = {.builder = &builder, .rank = r, .m = m, .stage = {r, 2 * p - 1 - r}};
        warm_up(&v, p, r);
        steady(&v, weir_int_max(2 * p - 1, m));
        cool_down(&v, p, r);
    }
    weir_builder_close(&builder, out);
    return WEIR_OK;
}

static int peak_in_flight(const struct weir_schedule_params *params, int rank)
{
    (void)rank;
    return params->n_microbatches < 2 * params->n_ranks - 1 ? -1 : 2 * params->n_ranks;
}

static double makespan(const struct weir_schedule_params *params)
{
    int p = params->n_ranks, m = params->n_microbatches;
    return m < 2 * p ? -1 : 6.0 * m + p - 1;
}

const struct weir_schedule_kind weir_kind_zbv = {
    .name = "zbv",
    .summary = "two chunks in a V, backward split; as much in flight as 1F1B, half the bubble of zb-h1",
    .n_chunks = 2,
    .splits_backward = true,
    .build = build,
    .peak_in_flight = peak_in_flight,
    .makespan = makespan,
};
