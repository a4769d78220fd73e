/* How auto.h's three parts follow each other.
 *
 * The pool is every kind in one copy that trains at this size, the interleaved ones with every sensible group.  Each that
 * fits is a candidate as it is.  Those that do not fit may still lend their order: merged under the cap it can fit.
 * Merges come in three kinds, each with a grid of rules: the given order with a new end, chunks chosen by what is there,
 * and the queues of the given order.  The best rule is then refined one number at a time, and the best schedule of all is
 * improved.  Work is counted, so that the same request takes the same steps everywhere. */
#include "include/weir/auto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/grown.h"
#include "base/text.h"
#include "schedules/auto/bound.h"
#include "schedules/auto/improve.h"
#include "schedules/auto/merge.h"
#include "schedules/auto/trial.h"
#include "schedules/schedule_kinds.h"
#include "schedules/simulate/cost_tables.h"

enum { MOST_ORDERS = 64, STEPS = 12000, MERGES = 4000, MOST_ACTIONS = 16000000 };

struct order {
    struct weir_schedule schedule;
    const struct weir_schedule_kind *kind;
    int group;
};

struct maker {
    const struct weir_auto_request *request;
    struct weir_trial trial;
    struct weir_arena work;
    struct order orders[MOST_ORDERS];
    int n_orders;
    struct weir_auto_result result;
    struct weir_merge best_merge;
    double best_merged;
    size_t n_merges, most_merges;
};

weir_status weir_auto_objective_find(const char *name, enum weir_auto_objective *objective_out)
{
    static const char *const names[] = {"makespan", "span", NULL};
    int index;
    weir_status status = weir_name_find("objective", name, names, &index);
    if (!status)
        *objective_out = (enum weir_auto_objective)index;
    return status;
}

/* ---- the pool ---------------------------------------------------------------------------------------------------- */

/* A schedule that needs another size is no part of the pool. */
static weir_status order_add(struct maker *k, const struct weir_schedule_kind *kind, int group)
{
    struct order *order = &k->orders[k->n_orders];
    struct weir_schedule_params params = {.n_ranks = k->request->n_ranks, .n_chunks = k->request->n_chunks,
                                          .n_microbatches = k->request->n_microbatches, .group_size = group};
    double value;
    if (k->n_orders == MOST_ORDERS)
        return WEIR_OK;
    weir_status status = weir_schedule_build(kind, &params, &k->work, &order->schedule);
    if (status == WEIR_ERR_INVALID)
        return WEIR_OK;
    if (!status)
        status = weir_trial_offer(&k->trial, &order->schedule, &value);
    if (status)
        return status;
    order->kind = kind;
    order->group = group;
    k->n_orders++;
    if (!k->result.best || value < k->result.best_value) {
        k->result.best = isfinite(value) ? kind : k->result.best;
        k->result.best_value = value;
        k->result.best_group = group;
    }
    return WEIR_OK;
}

static weir_status pool_make(struct maker *k)
{
    int p = k->request->n_ranks, m = k->request->n_microbatches, v = k->request->n_chunks;
    weir_status status = WEIR_OK;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; !status && *kind; kind++) {
        if ((*kind)->n_copies > 1 || !strcmp((*kind)->name, "inference"))
            continue;
        status = order_add(k, *kind, 0);
        for (int g = (p + 1) / 2; !status && (*kind)->takes_group_size && v > 1 && g <= 2 * p && g <= m; g++)
            if (k->n_orders < MOST_ORDERS - 16)
                status = order_add(k, *kind, g);
    }
    return status;
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

static weir_status merge_try(struct maker *k, const struct weir_schedule *order, const struct weir_merge_rule *rule)
{
    struct weir_merge merge = {order, k->request, k->trial.caps, *rule};
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    double value = INFINITY;
    bool done;
    if (k->n_merges >= k->most_merges || k->trial.value <= k->trial.bound * (1 + 1e-12))
        return WEIR_OK;
    k->n_merges++;
    weir_status status = weir_merge_run(&merge, &arena, &schedule, &done);
    if (!status && done)
        status = weir_trial_offer(&k->trial, &schedule, &value);
    if (value < k->best_merged) {
        k->best_merged = value;
        k->best_merge = merge;
    }
    weir_arena_release(&arena);
    return status;
}

static weir_status grid_try(struct maker *k)
{
    static const double patience[] = {0, 0.4, 0.8}, overrun[] = {0, 0.5, 1}, ahead[] = {INFINITY, 0, 2};
    static const struct {
        double hold, slope;
    } holds[] = {{INFINITY, 0}, {0, 1}, {0, 0}, {0, 2}};
    weir_status status = WEIR_OK;
    for (int i = 0; !status && i < 2 * 3 * 3 * 3 * 4; i++) /* all orders with one rule before the next rule */
        for (int o = 0; !status && o < k->n_orders; o++) {
            struct weir_merge_rule rule = {.patience = patience[i / 12 % 3],
                                           .first = i / 36 % 2,
                                           .overrun = overrun[i / 72],
                                           .hold = holds[i % 4].hold,
                                           .slope = holds[i % 4].slope,
                                           .ahead = ahead[i / 4 % 3]};
            status = merge_try(k, &k->orders[o].schedule, &rule);
        }
    return status;
}

/* The orders as they are, but for what follows a rank's last F. */
static weir_status ends_try(struct maker *k)
{
    static const double overrun[] = {0, 0.3, 0.6, 1};
    weir_status status = WEIR_OK;
    for (int i = 0; !status && i < 4; i++)
        for (int o = 0; !status && o < k->n_orders; o++) {
            struct weir_merge_rule rule = {.follow = true, .overrun = overrun[i], .hold = INFINITY, .ahead = INFINITY};
            status = merge_try(k, &k->orders[o].schedule, &rule);
        }
    return status;
}

static bool placed_before(const struct maker *k, int o)
{
    const struct weir_schedule *s = &k->orders[o].schedule;
    for (int i = 0; i < o; i++)
        if (!memcmp(k->orders[i].schedule.stage_rank, s->stage_rank, (size_t)s->n_stages * sizeof *s->stage_rank))
            return true;
    return false;
}

/* Chunks chosen by what is there, once for every way to deal out stages. */
static weir_status choices_try(struct maker *k)
{
    static const double overrun[] = {0, 0.5, 1}, patience[] = {0, 0.5};
    static const struct {
        double hold, slope;
    } holds[] = {{INFINITY, 0}, {0, 1}, {0, 0}};
    int p = k->request->n_ranks, admitted[] = {p, p + 1, p + 2, p + p / 2, 2 * p};
    weir_status status = WEIR_OK;
    for (int i = 0; !status && i < 3 * 2 * 3 * 5 * 2; i++)
        for (int o = 0; !status && o < k->n_orders; o++) {
            struct weir_merge_rule rule = {.patience = patience[i / 15 % 2],
                                           .first = i / 30 % 2,
                                           .overrun = overrun[i / 60],
                                           .hold = holds[i % 3].hold,
                                           .slope = holds[i % 3].slope,
                                           .admitted = admitted[i / 3 % 5],
                                           .ahead = INFINITY};
            if (k->request->n_chunks > 1 && !placed_before(k, o))
                status = merge_try(k, &k->orders[o].schedule, &rule);
        }
    return status;
}

static weir_status refine(struct maker *k)
{
    static const double reals[] = {0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1, 1.3}, counts[] = {-2, -1, 0, 1, 2, 3, 4, 6};
    weir_status status = WEIR_OK;
    for (int round = 0; !status && round < 2 && isfinite(k->best_merged); round++)
        for (int i = 0; !status && i < 9 * 6; i++) {
            struct weir_merge_rule rule = k->best_merge.rule;
            double *fields[] = {&rule.patience, &rule.first, &rule.overrun, &rule.hold, &rule.slope, &rule.ahead};
            *fields[i / 9] = i / 9 < 3 || i / 9 == 4 ? reals[i % 9] : counts[i % 8];
            status = merge_try(k, k->best_merge.order, &rule);
        }
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static weir_status caps_make(struct maker *k)
{
    double *caps;
    weir_status status = weir_arena_alloc(&k->work, (size_t)k->request->n_ranks, sizeof *caps, &caps);
    for (int r = 0; !status && r < k->request->n_ranks; r++) {
        double cap = k->request->memory_caps ? k->request->memory_caps[r] : k->request->memory_cap;
        caps[r] = cap > 0 ? cap : INFINITY;
    }
    k->trial.caps = caps;
    return status;
}

/* Over all placements of the pool: every order has one of a few. */
static void bound_find(struct maker *k)
{
    double bound = INFINITY;
    for (int o = 0; o < k->n_orders; o++) {
        const struct weir_schedule *s = &k->orders[o].schedule;
        bound = fmin(bound, weir_auto_bound(k->request, k->trial.caps, s->stage_rank, s->n_stages));
    }
    k->trial.bound = k->result.bound = bound;
}

static bool hands_on(const struct weir_auto_request *q, int stage)
{
    for (int b = 0; b < q->n_boundaries; b++)
        if (q->boundaries[b].from == stage && q->boundaries[b].to == stage + 1)
            return true;
    return !q->boundaries;
}

static weir_status boundaries_check(const struct weir_auto_request *q)
{
    for (int s = 0; s + 1 < q->n_ranks * q->n_chunks; s++)
        if (!hands_on(q, s))
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "stage %d hands nothing to stage %d, and auto makes orders for stages that each hand to "
                             "the next: use another schedule or cut", s, s + 1);
    return WEIR_OK;
}

static weir_status request_check(const struct weir_auto_request *q)
{
    if (!q->costs)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a schedule is made for costs, the request has none");
    if (q->n_ranks < 1 || q->n_microbatches < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a schedule needs at least one rank and one micro-batch");
    int64_t n = 3ll * q->n_ranks * q->n_chunks * q->n_microbatches;
    if (n > MOST_ACTIONS)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "auto times %lld actions over and over, at most %d: use fewer " WEIR_OPTION("microbatches"),
                         (long long)n, MOST_ACTIONS);
    if (q->memory_cap < 0 || isnan(q->memory_cap))
        return WEIR_FAIL(WEIR_ERR_INVALID, "the memory cap is %g, it must be above 0", q->memory_cap);
    return boundaries_check(q);
}

static weir_status costs_check(struct maker *k)
{
    if (!k->n_orders)
        return WEIR_FAIL(WEIR_ERR_INVALID, "no schedule has %d ranks, %d chunks and %d micro-batches",
                         k->request->n_ranks, k->request->n_chunks, k->request->n_microbatches);
    return weir_costs_check(k->request->costs, &k->orders[0].schedule);
}

static weir_status result_give(struct maker *k, struct weir_arena *arena, struct weir_auto_result *out)
{
    if (!k->trial.best.n_ranks)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "no schedule was found that fits the memory cap: the leanest takes %.4g times as much, use a "
                         "greater " WEIR_OPTION("memory-cap"), k->trial.least_over);
    k->result.value = k->trial.value;
    k->result.n_tried = k->trial.n_tried;
    weir_status status = weir_trial_copy(&k->trial.best, arena, &k->result.schedule, NULL);
    if (status)
        return status;
    k->result.schedule.boundaries = k->request->boundaries;
    k->result.schedule.n_boundaries = k->request->n_boundaries;
    *out = k->result;
    return WEIR_OK;
}

static weir_status make(struct maker *k)
{
    size_t per = 3 * (size_t)k->request->n_ranks * (size_t)k->request->n_microbatches * (size_t)k->request->n_chunks;
    double scale = fmin(1, 6e8 / (double)per / (STEPS + MERGES)); /* about a minute at most */
    k->most_merges = (size_t)(MERGES * scale) + 1;
    weir_status status = caps_make(k);
    if (!status)
        status = pool_make(k);
    if (!status)
        status = costs_check(k);
    if (status)
        return status;
    bound_find(k);
    status = ends_try(k);
    if (!status)
        status = choices_try(k);
    if (!status)
        status = grid_try(k);
    k->most_merges += 100;
    if (!status)
        status = refine(k);
    return status ? status : weir_improve_run(&k->trial, (size_t)(STEPS * scale) + 1);
}

weir_status weir_schedule_auto_sized(const struct weir_auto_request *request, size_t request_bytes, struct weir_arena *arena,
                                     struct weir_auto_result *result_out, size_t result_bytes)
{
    struct weir_auto_request q;
    struct weir_auto_result result;
    struct maker k = {.request = &q, .best_merged = INFINITY};
    weir_status status = weir_grown_take("weir_auto_request", "its size is that of the program's struct", request, request_bytes, &q, sizeof q);
    if (status)
        return status;
    q.n_chunks = q.n_chunks ? q.n_chunks : 1;
    k.trial = (struct weir_trial){.request = &q, .value = INFINITY, .least_over = INFINITY};
    status = request_check(&q);
    if (!status)
        status = make(&k);
    if (!status)
        status = result_give(&k, arena, &result);
    if (!status)
        weir_grown_give(&result, sizeof result, result_out, result_bytes);
    weir_trial_release(&k.trial);
    weir_arena_release(&k.work);
    return status;
}
