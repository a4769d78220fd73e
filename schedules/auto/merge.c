#include "schedules/auto/merge.h"

#include <math.h>

#include "base/arena.h"
#include "schedules/auto/bound.h"
#include "schedules/kinds/builder.h"
#include "schedules/simulate/cost_tables.h"

struct rank {
    const struct weir_action *forwards, *backwards; /* [n]: the queues */
    size_t n, f, i, w;                              /* how many there are of each, and have been taken */
    struct weir_action *inputs;                     /* [n]: the I in the order in which they were taken: that of W */
    struct weir_action forward, input;              /* what comes next */
    double time;                                    /* it decides next at this time; infinity: when something arrives */
    double free;                                    /* end of its last action */
    double held;
    size_t most_ahead; /* of the order */
    const struct weir_action *given; /* the order itself, and how much of it has been done */
    size_t n_done;
};

struct state {
    const struct weir_merge *merge;
    struct weir_arena work;
    struct rank *ranks;
    struct weir_stage_costs *costs; /* [n_stages] */
    double *transfer[2];            /* [n_stages]: to the stage, from below and from above */
    double *arrival[2];             /* [n_stages][n_microbatches]: of input and gradient */
    int *next[2];                   /* [n_stages]: micro-batch that comes next, when a rank chooses */
    struct weir_builder builder;
};

static double *arrival(struct state *s, int direction, int stage, int mb)
{
    return &s->arrival[direction][(size_t)stage * (size_t)s->merge->order->n_microbatches + (size_t)mb];
}

/* ---- queues ------------------------------------------------------------------------------------------------------ */

static weir_status queues_make(struct state *s, int r)
{
    const struct weir_schedule_rank *list = &s->merge->order->ranks[r];
    struct rank *rank = &s->ranks[r];
    struct weir_action *f, *b;
    size_t nf = 0, nb = 0;
    weir_status status = weir_arena_alloc(&s->work, list->n_actions, sizeof *f, &f);
    if (!status)
        status = weir_arena_alloc(&s->work, list->n_actions, sizeof *b, &b);
    for (size_t k = 0; !status && k < list->n_actions; k++) {
        const struct weir_action *a = &list->actions[k];
        if (a->type == WEIR_F)
            f[nf++] = *a;
        else if (a->type == WEIR_I || a->type == WEIR_B)
            b[nb++] = *a;
        if (nf > nb && nf - nb > rank->most_ahead)
            rank->most_ahead = nf - nb;
    }
    rank->forwards = f;
    rank->backwards = b;
    if (!status)
        status = weir_arena_alloc(&s->work, nf, sizeof *rank->inputs, &rank->inputs);
    rank->n = nf;
    rank->given = list->actions;
    return status;
}

static weir_status tables_make(struct state *s)
{
    const struct weir_schedule *order = s->merge->order;
    size_t n = (size_t)order->n_stages, cells = n * (size_t)order->n_microbatches;
    weir_status status = weir_arena_alloc(&s->work, n, sizeof *s->costs, &s->costs);
    for (int d = 0; !status && d < 2; d++) {
        status = weir_arena_alloc(&s->work, n, sizeof *s->transfer[d], &s->transfer[d]);
        if (!status)
            status = weir_arena_alloc(&s->work, n, sizeof *s->next[d], &s->next[d]);
        if (!status)
            status = weir_arena_alloc(&s->work, cells, sizeof *s->arrival[d], &s->arrival[d]);
        for (size_t c = 0; !status && c < cells; c++)
            s->arrival[d][c] = INFINITY;
    }
    for (int st = 0; !status && st < order->n_stages; st++) {
        s->costs[st] = weir_costs_stage(s->merge->request->costs, st);
        if (st)
            s->transfer[0][st] =
                weir_auto_transfer(s->merge->request->costs, order->stage_rank[st - 1], order->stage_rank[st]);
        if (st)
            s->transfer[1][st - 1] =
                weir_auto_transfer(s->merge->request->costs, order->stage_rank[st], order->stage_rank[st - 1]);
    }
    for (int mb = 0; !status && mb < order->n_microbatches; mb++)
        *arrival(s, 0, 0, mb) = 0;
    return status;
}

static weir_status state_open(struct state *s, struct weir_arena *arena)
{
    const struct weir_schedule *order = s->merge->order;
    struct weir_schedule_params params = {.n_ranks = order->n_ranks, .n_microbatches = order->n_microbatches};
    size_t capacity = 0;
    weir_status status = weir_arena_alloc(&s->work, (size_t)order->n_ranks, sizeof *s->ranks, &s->ranks);
    for (int r = 0; !status && r < order->n_ranks; r++) {
        status = queues_make(s, r);
        capacity = 3 * s->ranks[r].n > capacity ? 3 * s->ranks[r].n : capacity;
    }
    if (!status)
        status = tables_make(s);
    return status ? status : weir_builder_open(&s->builder, &params, order->n_stages, 1, capacity, arena);
}

/* ---- doing ------------------------------------------------------------------------------------------------------- */

static void arrive(struct state *s, int direction, int stage, int mb, double made)
{
    double at = made + s->transfer[direction][stage];
    struct rank *to = &s->ranks[s->merge->order->stage_rank[stage]];
    *arrival(s, direction, stage, mb) = at;
    to->time = fmin(to->time, fmax(at, to->free));
}

static void forward_do(struct state *s, int r, double t)
{
    struct rank *rank = &s->ranks[r];
    const struct weir_action *a = &rank->forward;
    rank->f++;
    s->next[0][a->stage]++;
    weir_builder_add(&s->builder, r, WEIR_F, a->stage, a->mb);
    rank->held += s->costs[a->stage].mem_backward;
    rank->time = rank->free = t + s->costs[a->stage].forward;
    arrive(s, a->stage + 1 < s->merge->order->n_stages ? 0 : 1, weir_int_min(a->stage + 1, s->merge->order->n_stages - 1),
           a->mb, rank->free);
}

static void input_do(struct state *s, int r, double t)
{
    struct rank *rank = &s->ranks[r];
    const struct weir_action *a = &rank->input;
    rank->inputs[rank->i++] = *a;
    s->next[1][a->stage]++;
    const struct weir_stage_costs *c = &s->costs[a->stage];
    weir_builder_add(&s->builder, r, WEIR_I, a->stage, a->mb);
    rank->held += c->mem_weight - c->mem_backward;
    rank->time = rank->free = t + c->input;
    if (a->stage)
        arrive(s, 1, a->stage - 1, a->mb, rank->free);
}

static void weight_do(struct state *s, int r, double t)
{
    struct rank *rank = &s->ranks[r];
    const struct weir_action *a = &rank->inputs[rank->w++];
    weir_builder_add(&s->builder, r, WEIR_W, a->stage, a->mb);
    rank->held -= s->costs[a->stage].mem_weight;
    rank->time = rank->free = t + s->costs[a->stage].weight;
}

/* ---- deciding ---------------------------------------------------------------------------------------------------- */

static bool holds(const struct state *s, int r, double more)
{
    return s->ranks[r].held + more <= s->merge->caps[r] * (1 + 1e-9);
}

/* Of two that could come next: what is there before what is not, of these `first`, else the earlier one. */
static bool comes_before(double a, double b, double t, bool first)
{
    if (a <= t && b <= t)
        return first;
    return a < b;
}

/* The chunk whose next micro-batch comes first; infinity: none is known to come. */
static double choose(struct state *s, int r, int d, double t, struct weir_action *out)
{
    const struct weir_schedule *order = s->merge->order;
    double best = INFINITY;
    for (int st = order->n_stages - 1; st >= 0; st--) {
        int mb = s->next[d][st];
        if (order->stage_rank[st] != r || mb == order->n_microbatches)
            continue;
        if (!d && !st && mb >= s->next[1][0] + s->merge->rule.admitted)
            continue;
        double at = *arrival(s, d, st, mb);
        if (isfinite(at) && (!isfinite(best) || comes_before(at, best, t, d && mb < out->mb))) {
            best = at;
            *out = (struct weir_action){.stage = st, .mb = mb};
        }
    }
    return best;
}

/* When the next forward can start; infinity: not known, or not as long as memory is so full. */
static double forward_at(struct state *s, int r)
{
    struct rank *rank = &s->ranks[r];
    double at = INFINITY;
    if (rank->f == rank->n)
        return INFINITY;
    if (s->merge->rule.admitted) {
        at = choose(s, r, 0, rank->time, &rank->forward);
    } else {
        rank->forward = rank->forwards[rank->f];
        at = *arrival(s, 0, rank->forward.stage, rank->forward.mb);
    }
    if (!isfinite(at) || !holds(s, r, s->costs[rank->forward.stage].mem_backward))
        return INFINITY;
    return (double)(rank->f - rank->i) < (double)rank->most_ahead + s->merge->rule.ahead ? at : INFINITY;
}

static double input_at(struct state *s, int r)
{
    struct rank *rank = &s->ranks[r];
    double at = INFINITY;
    if (rank->i == rank->n)
        return INFINITY;
    if (s->merge->rule.admitted) {
        at = choose(s, r, 1, rank->time, &rank->input);
    } else {
        rank->input = rank->backwards[rank->i];
        at = *arrival(s, 1, rank->input.stage, rank->input.mb);
    }
    return isfinite(at) && holds(s, r, s->costs[rank->input.stage].mem_made) ? at : INFINITY;
}

static bool weight_fits(const struct state *s, const struct rank *rank, double t, double until)
{
    if (rank->w == rank->i)
        return false;
    return t + s->costs[rank->inputs[rank->w].stage].weight * (1 - s->merge->rule.overrun) <= until + 1e-12;
}

static void decide(struct state *s, int r)
{
    struct rank *rank = &s->ranks[r];
    const struct weir_merge_rule *rule = &s->merge->rule;
    double t = rank->time, input = input_at(s, r), forward = forward_at(s, r);
    double duration = isfinite(forward) ? s->costs[rank->forward.stage].forward : 0;
    double patience = rank->i ? rule->patience : rule->first;
    bool many = rank->f < rank->n && rank->i > rank->w && (double)(rank->i - rank->w) > rule->hold + rule->slope * r;
    if (input <= t) {
        input_do(s, r, t);
    } else if (many) {
        weight_do(s, r, t);
    } else if (forward <= t && (input - t > patience * duration || t + duration <= input)) {
        forward_do(s, r, t);
    } else if (weight_fits(s, rank, t, fmin(input, fmax(forward, t)))) {
        weight_do(s, r, t);
    } else {
        rank->time = fmin(input, forward > t ? forward : INFINITY);
    }
}

/* The next action of the given order, when it can start. */
static void follow(struct state *s, int r)
{
    struct rank *rank = &s->ranks[r];
    const struct weir_action *a = &rank->given[rank->n_done];
    double t = rank->time, at = a->type == WEIR_F ? forward_at(s, r) : a->type == WEIR_W ? t : input_at(s, r);
    if (at > t) {
        rank->time = at;
        return;
    }
    rank->n_done++;
    if (a->type == WEIR_F)
        forward_do(s, r, t);
    else if (a->type == WEIR_W)
        weight_do(s, r, t);
    else
        input_do(s, r, t);
    if (a->type == WEIR_B)
        weight_do(s, r, rank->time);
}

static int earliest(const struct state *s)
{
    int first = 0;
    for (int r = 1; r < s->merge->order->n_ranks; r++)
        if (s->ranks[r].time < s->ranks[first].time)
            first = r;
    return first;
}

weir_status weir_merge_run(const struct weir_merge *merge, struct weir_arena *arena, struct weir_schedule *out,
                           bool *done_out)
{
    struct state s = {.merge = merge};
    weir_status status = state_open(&s, arena);
    *done_out = !status;
    if (!status) {
        int r;
        while (isfinite(s.ranks[r = earliest(&s)].time)) {
            if (merge->rule.follow && s.ranks[r].f < s.ranks[r].n)
                follow(&s, r);
            else
                decide(&s, r);
        }
        for (r = 0; r < merge->order->n_ranks; r++)
            *done_out &= s.ranks[r].w == s.ranks[r].n;
        weir_builder_close(&s.builder, out);
    }
    weir_arena_release(&s.work);
    return status;
}
