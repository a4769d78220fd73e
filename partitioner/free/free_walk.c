#include "partitioner/free/free_walk.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/free/free_search.h"
#include "partitioner/free/free_state.h"

struct walk {
    const struct weir_split_problem *problem;
    struct weir_free_state state;
    struct weir_dice dice;
    int64_t best; /* value of best_part */
    int *best_part;
    double scale; /* 1 / load that counts as 1 */
    double heat;
    bool ordered; /* parts must stay contiguous: no block goes before a predecessor or behind a successor */
};

/* Sum of 12th powers: close to the maximum, but every part that is nearly busiest counts. */
static double energy(const struct walk *w, int64_t load)
{
    double x = (double)load * w->scale, x2 = x * x, x4 = x2 * x2;
    return x4 * x4 * x4;
}

static void best_note(struct walk *w)
{
    const struct weir_free_state *s = &w->state;
    for (int p = 0; p < s->n_parts; p++)
        if (s->load[p] >= w->best)
            return;
    w->best = weir_free_state_value(s);
    memcpy(w->best_part, s->part, sizeof *s->part * (size_t)s->blocks->n);
}

static bool accept(struct walk *w, double change)
{
    return change <= 0 || (change < 30 * w->heat && weir_rng_unit(weir_dice_word(&w->dice)) < exp(-change / w->heat));
}

/* The part of a block that shares a net with `block`, or any part. */
static int target_choose(struct walk *w, int block)
{
    const struct weir_blocks *b = w->state.blocks;
    int degree = b->block_first[block + 1] - b->block_first[block];
    if (!degree || (weir_dice_word(&w->dice) & 7) == 0)
        return weir_dice_below(&w->dice, w->state.n_parts);
    int e = b->block_net[b->block_first[block] + weir_dice_below(&w->dice, degree)];
    int pin = b->net_first[e] + weir_dice_below(&w->dice, b->net_first[e + 1] - b->net_first[e]);
    return w->state.part[b->net_block[pin]];
}

/* A neighbouring part that keeps the forward order, or the block's own. */
static int ordered_target(struct walk *w, int block)
{
    const struct weir_blocks *b = w->state.blocks;
    int from = w->state.part[block], to = weir_dice_word(&w->dice) & 1 ? from + 1 : from - 1;
    if (to < 0 || to >= w->state.devices)
        return from;
    if (to < from) {
        for (int i = b->pred_first[block]; i < b->pred_first[block + 1]; i++)
            if (w->state.part[b->pred[i]] > to)
                return from;
    } else {
        for (int i = b->succ_first[block]; i < b->succ_first[block + 1]; i++)
            if (w->state.part[b->succ[i]] < to)
                return from;
    }
    return to;
}

static void single_try(struct walk *w)
{
    struct weir_free_state *s = &w->state;
    int block = weir_dice_below(&w->dice, s->blocks->n), from = s->part[block];
    int to = w->ordered ? ordered_target(w, block) : target_choose(w, block);
    if (from == to || !weir_free_state_allows(s, block, to))
        return;
    int64_t leave, enter;
    weir_free_state_change(s, block, to, &leave, &enter);
    double change = energy(w, s->load[from] + leave) + energy(w, s->load[to] + enter) - energy(w, s->load[from]) -
                    energy(w, s->load[to]);
    if (!accept(w, change))
        return;
    weir_free_state_move(s, block, to, leave, enter);
    if (change < 0)
        best_note(w);
}

/* Exchange two blocks: the first move is undone when the pair is not accepted. */
static void exchange_try(struct walk *w)
{
    struct weir_free_state *s = &w->state;
    int a = weir_dice_below(&w->dice, s->blocks->n), b = weir_dice_below(&w->dice, s->blocks->n), p = s->part[a],
        q = s->part[b];
    if (p == q || !weir_free_state_allows(s, a, q))
        return;
    int64_t leave, enter, load_p = s->load[p], load_q = s->load[q];
    weir_free_state_change(s, a, q, &leave, &enter);
    weir_free_state_move(s, a, q, leave, enter);
    bool good = weir_free_state_allows(s, b, p);
    if (good) {
        weir_free_state_change(s, b, p, &leave, &enter);
        double change =
            energy(w, s->load[q] + leave) + energy(w, s->load[p] + enter) - energy(w, load_p) - energy(w, load_q);
        good = accept(w, change);
    }
    if (good) {
        weir_free_state_move(s, b, p, leave, enter);
        best_note(w);
    } else {
        weir_free_state_move(s, a, p, load_q - s->load[q], load_p - s->load[p]);
        /* the change of the part that is left comes first: q is left again, p entered again */
    }
}

static void anneal(struct walk *w, int64_t moves, double hot, double cold, int64_t bound)
{
    double factor = pow(cold / hot, 1.0 / (double)(moves / 256 + 1));
    w->heat = hot;
    for (int64_t i = 0; i < moves && w->best > bound; i++) {
        if ((i & 255) == 0) {
            w->heat *= factor;
            if ((i & 16383) == 0 && w->problem->deadline_ns && weir_clock_ns() > w->problem->deadline_ns)
                return;
        }
        if ((i & 3) == 3 && !w->ordered)
            exchange_try(w);
        else
            single_try(w);
    }
}

static weir_status walk_init(const struct weir_split_problem *problem, struct walk *w)
{
    w->problem = problem;
    weir_status status = weir_free_state_init(problem, &w->state);
    if (!status)
        status = weir_alloc((size_t)problem->blocks->n, sizeof *w->best_part, &w->best_part);
    return status;
}

static void walk_release(struct walk *w)
{
    weir_free_state_release(&w->state);
    weir_free(w->best_part);
}

static weir_status start_random(struct walk *w)
{
    const struct weir_blocks *b = w->state.blocks;
    int *part;
    weir_status status = weir_alloc((size_t)b->n, sizeof *part, &part);
    if (status)
        return status;
    for (int v = 0; v < b->n; v++)
        part[v] = b->pin[v] >= 0 ? b->pin[v]
                  : b->time[v] >= WEIR_NEVER
                      ? w->state.devices + weir_dice_below(&w->dice, w->state.n_parts - w->state.devices)
                      : weir_dice_below(&w->dice, w->state.devices);
    weir_free_state_set(&w->state, part);
    weir_free(part);
    return WEIR_OK;
}

weir_status weir_free_walk(const struct weir_split_problem *problem, const struct weir_blocks *small, const int *part,
                           int64_t known, int64_t moves, double hot, struct weir_dice *dice, int64_t bound,
                           int *part_out, int64_t *value_out)
{
    struct weir_split_problem local = *problem;
    local.blocks = small;
    struct walk w = {.dice = *dice, .best = WEIR_NEVER, .scale = 1 / ((double)known + 1)};
    weir_status status = walk_init(&local, &w);
    if (!status && part)
        weir_free_state_set(&w.state, part);
    else if (!status)
        status = start_random(&w);
    if (!status) {
        w.best = weir_free_state_value(&w.state);
        memcpy(w.best_part, w.state.part, sizeof *part_out * (size_t)small->n);
        anneal(&w, moves, hot, 2e-4, bound);
        memcpy(part_out, w.best_part, sizeof *part_out * (size_t)small->n);
        *value_out = w.best;
        *dice = w.dice;
    }
    walk_release(&w);
    return status;
}

weir_status weir_ordered_anneal(const struct weir_split_problem *problem, int64_t bound, int64_t moves, double hot,
                                uint64_t seed, struct weir_split *split)
{
    const struct weir_blocks *blocks = problem->blocks;
    struct walk w = {.dice.key = seed, .best = split->value, .scale = 1 / ((double)split->value + 1), .ordered = true};
    weir_status status = walk_init(problem, &w);
    if (!status) {
        weir_free_state_set(&w.state, split->part);
        memcpy(w.best_part, split->part, sizeof *w.best_part * (size_t)blocks->n);
        anneal(&w, moves, hot, hot * 1e-3, bound);
        split->value = w.best;
        memcpy(split->part, w.best_part, sizeof *w.best_part * (size_t)blocks->n);
        split->n_parts = problem->devices;
        memset(split->on_cpu, 0, (size_t)blocks->n + 1);
    }
    walk_release(&w);
    return status;
}
