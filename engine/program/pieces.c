/* Pieces: which replica keeps which part of a rank's gradients, and which gradients are reduced together.
 *
 * A bucket's elements are dealt out in runs of whole norm blocks, replica 0 first, so that after each bucket every replica
 * keeps an equal share of all buckets so far, to one block. */
#include "engine/program/compile.h"
#include "engine/program/pack.h"

/* Work on one rank. */
struct deal {
    struct weir_compile *c;
    struct weir_rank_program *rank;
    int index;
    int *order, *ready; /* [n_params]: parameters of a bucket run, by the call that completes them */
    int n;
    int64_t *kept;      /* [n_replicas]: elements dealt so far */
    int64_t total;
    size_t *state_bytes; /* [n_replicas] */
};

size_t weir_bucket_bytes(size_t stage_bytes)
{
    size_t bytes = stage_bytes / 8, least = (size_t)1 << 20, most = (size_t)32 << 20;
    return bytes < least ? least : bytes > most ? most : bytes;
}

static int64_t elements_of(const struct deal *d, int held)
{
    return weir_shape_elements(&d->c->graph->params[d->rank->params[held].param].shape);
}

static bool is_tied(const struct deal *d, int held)
{
    return d->c->graph->params[d->rank->params[held].param].n_uses > 1;
}

/* ---- pieces -------------------------------------------------------------------------------------------------------- */

static void piece_extend(struct deal *d, int held, int replica, int64_t first, int64_t n)
{
    struct weir_piece *last = d->rank->n_pieces ? &d->rank->pieces[d->rank->n_pieces - 1] : NULL;
    if (last && first && last->held == held && last->replica == replica)
        last->n += n;
    else
        d->rank->pieces[d->rank->n_pieces++] = (struct weir_piece){held, replica, first, n, 0};
    d->kept[replica] += n;
}

/* Elements that replicas 0 to `replica` keep so far: their border is the multiple of total / n_replicas nearest to it. */
static int64_t kept_up_to(const struct deal *d, int replica)
{
    int64_t sum = 0;
    for (int i = 0; i <= replica; i++)
        sum += d->kept[i];
    return sum;
}

static void param_deal(struct deal *d, int held, int *replica)
{
    int n_replicas = d->c->n_replicas;
    int64_t n = elements_of(d, held);
    for (int64_t first = 0; first < n; first += WEIR_NORM_BLOCK) {
        int64_t size = n - first < WEIR_NORM_BLOCK ? n - first : WEIR_NORM_BLOCK;
        while (*replica + 1 < n_replicas && (kept_up_to(d, *replica) + size / 2) * n_replicas >= (*replica + 1) * d->total)
            (*replica)++;
        piece_extend(d, held, *replica, first, size);
    }
}

static void bucket_deal(struct deal *d, const int *held, int n, struct weir_bucket *bucket)
{
    int replica = 0;
    bucket->first_piece = d->rank->n_pieces;
    for (int i = 0; i < n; i++)
        d->total += elements_of(d, held[i]);
    for (int i = 0; i < n; i++)
        param_deal(d, held[i], &replica);
    bucket->n_pieces = d->rank->n_pieces - bucket->first_piece;
}

/* m and v of a piece lie where its replica updates it: with ZeRO-1 only there. */
static void states_lay(struct deal *d)
{
    size_t all = 0, most = 0;
    for (int i = 0; i < d->rank->n_pieces; i++) {
        struct weir_piece *piece = &d->rank->pieces[i];
        size_t *end = d->c->program->zero ? &d->state_bytes[piece->replica] : &all;
        piece->state_offset = *end;
        *end += weir_pack_round((size_t)piece->n * d->c->params->state_floats * sizeof(float));
    }
    for (int replica = 0; replica < d->c->n_replicas; replica++)
        most = d->state_bytes[replica] > most ? d->state_bytes[replica] : most;
    d->rank->bytes[WEIR_MEMORY_OPTIMIZER] = d->c->program->zero ? most : all;
}

/* ---- buckets ------------------------------------------------------------------------------------------------------- */

/* The last call of the list that writes the parameter's gradient; -1: none (NO_SPLIT writes it in I). */
static int ready_call(const struct deal *d, const struct weir_call_list *list, int param)
{
    for (int i = list->n_calls - 1; i >= 0; i--) {
        const struct weir_step_call *t = &list->calls[i];
        for (int p = 0; t->fn && p < t->call.n_params; p++)
            if (t->d_params[p].place == WEIR_PLACE_GRAD && d->c->graph->nodes[t->node].params[p] == param)
                return i;
    }
    return -1;
}

static void by_ready_insert(struct deal *d, int held, int ready)
{
    int at = d->n++;
    for (; at > 0 && d->ready[at - 1] > ready; at--) {
        d->ready[at] = d->ready[at - 1];
        d->order[at] = d->order[at - 1];
    }
    d->ready[at] = ready;
    d->order[at] = held;
}

static const struct weir_call_list *last_list(const struct deal *d, int stage)
{
    const struct weir_moments *moments = &d->c->moments;
    int last = weir_moment_last(moments, stage, WEIR_MOMENT_W);
    bool whole = weir_moment_position(moments, stage, last, WEIR_MOMENT_I) ==
                 weir_moment_position(moments, stage, last, WEIR_MOMENT_W);
    return &d->c->program->stages[stage].lists[whole ? WEIR_LIST_B : WEIR_LIST_W];
}

static bool stage_uses(const struct deal *d, int stage, int param)
{
    const struct weir_stage_program *s = &d->c->program->stages[stage];
    int node = d->c->graph->params[param].first_node;
    return node >= s->first_node && node < s->first_node + s->n_nodes;
}

static void stage_buckets(struct deal *d, int stage)
{
    const struct weir_call_list *list = last_list(d, stage);
    size_t all = 0;
    d->n = 0;
    for (int held = 0; held < d->rank->n_params; held++)
        if (d->rank->params[held].owned && !is_tied(d, held) && stage_uses(d, stage, d->rank->params[held].param)) {
            by_ready_insert(d, held, ready_call(d, list, d->rank->params[held].param));
            all += (size_t)elements_of(d, held) * sizeof(float);
        }
    size_t least = d->c->params->bucket_bytes ? d->c->params->bucket_bytes : weir_bucket_bytes(all);
    for (int i = 0, first = 0; i < d->n; i++) {
        struct weir_bucket *bucket = &d->rank->buckets[d->rank->n_buckets];
        bucket->bytes += (size_t)elements_of(d, d->order[i]) * sizeof(float);
        if (i + 1 < d->n && (bucket->bytes < least || d->ready[i + 1] == d->ready[i]))
            continue;
        bucket->stage = stage;
        /* the last bucket ends with the action, whose end others may await too */
        bucket->end_call = i + 1 == d->n ? list->n_calls : d->ready[i] + 1;
        if (bucket->end_call < 1 && list->n_calls)
            continue; /* complete before the action begins: goes with the next */
        bucket_deal(d, d->order + first, i + 1 - first, bucket);
        first = i + 1;
        d->rank->n_buckets++;
    }
}

static void tied_bucket(struct deal *d)
{
    struct weir_bucket *bucket = &d->rank->buckets[d->rank->n_buckets];
    d->n = 0;
    for (int held = 0; held < d->rank->n_params; held++)
        if (d->rank->params[held].owned && is_tied(d, held)) {
            d->order[d->n++] = held;
            bucket->bytes += (size_t)elements_of(d, held) * sizeof(float);
        }
    if (!d->n)
        return;
    bucket->stage = -1;
    bucket_deal(d, d->order, d->n, bucket);
    d->rank->n_buckets++;
}

/* Stages in the order in which the rank ends them. */
static void rank_buckets(struct deal *d)
{
    struct weir_program *program = d->c->program;
    for (int ended = -1;;) {
        int next = -1, end = 0;
        for (int s = 0; s < program->n_stages; s++) {
            if (program->stages[s].rank != d->index)
                continue;
            int last = weir_moment_last(&d->c->moments, s, WEIR_MOMENT_W);
            int position = weir_moment_position(&d->c->moments, s, last, WEIR_MOMENT_W);
            if (position > ended && (next < 0 || position < end)) {
                next = s;
                end = position;
            }
        }
        if (next < 0)
            break;
        stage_buckets(d, next);
        ended = end;
    }
    tied_bucket(d);
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static weir_status deal_open(struct deal *d)
{
    struct weir_arena *arena = d->c->arena;
    size_t n = (size_t)d->rank->n_params, replicas = (size_t)d->c->n_replicas;
    weir_status status = weir_arena_alloc(arena, n + 1, sizeof *d->order, &d->order);
    if (!status)
        status = weir_arena_alloc(arena, n + 1, sizeof *d->ready, &d->ready);
    if (!status)
        status = weir_arena_alloc(arena, replicas, sizeof *d->kept, &d->kept);
    if (!status)
        status = weir_arena_alloc(arena, replicas, sizeof *d->state_bytes, &d->state_bytes);
    if (!status)
        status = weir_arena_alloc(arena, n + 1, sizeof *d->rank->buckets, &d->rank->buckets);
    return status ? status
                  : weir_arena_alloc(arena, (n + 1) * (1 + replicas), sizeof *d->rank->pieces, &d->rank->pieces);
}

static weir_status rank_deal(struct weir_compile *c, int r)
{
    struct deal d = {.c = c, .rank = &c->program->ranks[r], .index = r};
    struct weir_bucket whole;
    weir_status status = deal_open(&d);
    if (status)
        return status;
    if (c->n_replicas > 1) {
        rank_buckets(&d);
    } else {
        for (int held = 0; held < d.rank->n_params; held++)
            if (d.rank->params[held].owned)
                d.order[d.n++] = held;
        bucket_deal(&d, d.order, d.n, &whole);
    }
    states_lay(&d);
    return weir_compile_row(c, (struct weir_memory_row){r, WEIR_MEMORY_OPTIMIZER,
                                                        c->program->zero ? "state of kept pieces"
                                                                         : "state of owned parameters",
                                                        0, d.rank->bytes[WEIR_MEMORY_OPTIMIZER], 0, -1});
}

static weir_status step_lay(struct weir_compile *c, int r)
{
    struct weir_program *program = c->program;
    size_t norm = weir_pack_round((size_t)program->n_norm_blocks * sizeof(double));
    size_t losses = weir_pack_round((size_t)(c->n_replicas * program->n_microbatches) * sizeof(double));
    program->norm_offset = weir_pack_round(sizeof(struct weir_step_block));
    program->losses_offset = program->norm_offset + norm;
    program->ranks[r].bytes[WEIR_MEMORY_STEP] = program->losses_offset + losses;
    return weir_compile_row(c, (struct weir_memory_row){r, WEIR_MEMORY_STEP, "step values, norm and losses", 0,
                                                        program->losses_offset + losses, 0, -1});
}

weir_status weir_compile_pieces(struct weir_compile *c)
{
    weir_status status = WEIR_OK;
    for (int r = 0; r < c->program->n_ranks && !status && !c->forward_only; r++)
        status = rank_deal(c, r);
    for (int r = 0; r < c->program->n_ranks && !status; r++)
        status = step_lay(c, r);
    return status;
}
