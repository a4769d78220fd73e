#include "schedules/kinds/v_block.h"

#include "base/arena.h"

static const struct {
    enum weir_action_type type;
    int chunk;
} cell_kinds[WEIR_V_CELLS] = {
    [WEIR_V_F0] = {WEIR_F, 0},
    [WEIR_V_F1] = {WEIR_F, 1},
    [WEIR_V_I1] = {WEIR_I, 1},
    [WEIR_V_I0] = {WEIR_I, 0},
};

struct v_rank {
    int cells[WEIR_V_CELLS];
    struct weir_action *order; /* [4m]: F and I in the order of their cells */
    int n_order, next;
    int queued, taken;   /* I and W so far: W takes the I actions in order */
    int queue_at;        /* where the I of the next W stands in `order` */
    int in_flight, most; /* and how much the repeating part of the drawing holds */
};

struct v_build {
    struct weir_builder *builder;
    int p, m;
    struct v_rank *ranks;
    int *done[2]; /* [2p][m]: tick at which F or I ends, 0: not run */
};

/* Which cell of which micro-batch falls on `time`; false when it is empty. */
static bool cell_at(const struct v_rank *v, int m, int time, int *kind_out, int *mb_out)
{
    for (int kind = 0; kind < WEIR_V_CELLS; kind++) {
        int after = time - v->cells[kind];
        if (after >= 0 && after % 6 == 0 && after / 6 < m) {
            *kind_out = kind;
            *mb_out = after / 6;
            return true;
        }
    }
    return false;
}

/* Read the drawing of one rank cell by cell: the order of F and I, and what is held when W fills the empty cells. */
static void drawing_read(const struct v_build *b, int rank)
{
    struct v_rank *v = &b->ranks[rank];
    int weights = 0, inputs = 0, in_flight = 0;
    for (int time = 0; weights < 2 * b->m; time++) {
        int kind, mb;
        if (cell_at(v, b->m, time, &kind, &mb)) {
            int stage = cell_kinds[kind].chunk ? 2 * b->p - 1 - rank : rank;
            v->order[v->n_order++] =
                (struct weir_action){.stage = stage, .mb = mb, .type = (uint8_t)cell_kinds[kind].type};
            inputs += cell_kinds[kind].type == WEIR_I;
            in_flight += cell_kinds[kind].type == WEIR_F;
            v->most = weir_int_max(v->most, in_flight);
        } else if (weights < inputs) {
            weights++;
            in_flight--;
        }
    }
}

static int *done_at(const struct v_build *b, enum weir_action_type type, int stage, int mb)
{
    return &b->done[type == WEIR_I][(size_t)stage * (size_t)b->m + (size_t)mb];
}

static bool is_ready(const struct v_build *b, const struct weir_action *a, int now)
{
    int from = a->type == WEIR_F ? a->stage - 1 : a->stage + 1;
    if (from < 0 || from == 2 * b->p)
        return true;
    int done = *done_at(b, (enum weir_action_type)a->type, from, a->mb);
    return done && done <= now;
}

static void weight_run(const struct v_build *b, int rank)
{
    struct v_rank *v = &b->ranks[rank];
    while (v->order[v->queue_at].type != WEIR_I)
        v->queue_at++;
    const struct weir_action *a = &v->order[v->queue_at++];
    weir_builder_add(b->builder, rank, WEIR_W, a->stage, a->mb);
    v->taken++;
    v->in_flight--;
}

/* One tick of one rank: the next F or I; a W when that must wait, or would hold more than the drawing does. */
static void rank_tick(const struct v_build *b, int rank, int now)
{
    struct v_rank *v = &b->ranks[rank];
    const struct weir_action *a = v->next < v->n_order ? &v->order[v->next] : NULL;
    bool full = a && a->type == WEIR_F && v->in_flight >= v->most;
    if (a && is_ready(b, a, now) && !(full && v->taken < v->queued)) {
        weir_builder_add(b->builder, rank, (enum weir_action_type)a->type, a->stage, a->mb);
        *done_at(b, (enum weir_action_type)a->type, a->stage, a->mb) = now + 1;
        v->in_flight += a->type == WEIR_F;
        v->queued += a->type == WEIR_I;
        v->next++;
    } else if (v->taken < v->queued) {
        weight_run(b, rank);
    }
}

static weir_status build_open(struct v_build *b, weir_v_block_fn block, struct weir_arena *work)
{
    weir_status status = weir_arena_alloc(work, (size_t)b->p, sizeof *b->ranks, &b->ranks);
    for (int i = 0; !status && i < 2; i++)
        status = weir_arena_alloc(work, 2 * (size_t)b->p * (size_t)b->m, sizeof *b->done[i], &b->done[i]);
    for (int r = 0; !status && r < b->p; r++) {
        status = weir_arena_alloc(work, 4 * (size_t)b->m, sizeof *b->ranks[r].order, &b->ranks[r].order);
        block(b->p, r, b->ranks[r].cells);
        if (!status)
            drawing_read(b, r);
    }
    return status;
}

weir_status weir_v_block_build(const struct weir_schedule_params *params, weir_v_block_fn block,
                               struct weir_arena *arena, struct weir_schedule *out)
{
    int p = params->n_ranks, m = params->n_microbatches;
    struct weir_builder builder;
    struct v_build b = {.builder = &builder, .p = p, .m = m};
    struct weir_arena work = {0};
    weir_status status = weir_builder_open(&builder, params, 2 * p, 1, 6 * (size_t)m, arena);
    if (!status)
        status = build_open(&b, block, &work);
    int64_t left = status ? 0 : 6ll * p * m;
    for (int now = 0; left > 0; now++)
        for (int r = 0; r < p; r++) {
            size_t before = builder.ranks[r].n_actions;
            rank_tick(&b, r, now);
            left -= (int64_t)(builder.ranks[r].n_actions - before);
        }
    if (!status)
        weir_builder_close(&builder, out);
    weir_arena_release(&work);
    return status;
}
