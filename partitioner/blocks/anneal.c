/* The walk of partitioner/blocks/anneal.h.
 *
 * Energy.  The objective, the largest load, is flat: most moves do not touch the busiest part and would all look
 * alike.  So the walk follows Σ (load / scale)^12 over the parts.  A high power is close to the maximum (of two parts
 * at 100 % and 90 % the second counts 28 %), yet every nearly busiest part pulls; a power above some 20 is as flat as
 * the maximum again.  12 takes four multiplications.  A move changes two loads, so its change of energy is known in
 * O(nets of the block) from partitioner/blocks/part_loads.h, and the best placement is remembered by the true
 * objective.
 *
 * Heat is geometric: each step of HEAT_STEP tries multiplies it by the same factor.  At heat h a change that adds h is
 * taken with probability 1/e.  A part at `scale` has energy 1, and its load grown by a share x adds 12 x: heat 1 takes
 * nearly anything, heat 2e-4 a busiest load that grows by 1/60,000.
 *
 * Candidates.  A block goes where a block that shares a net with it lives, since that is what can save a transfer; one
 * try in eight goes anywhere, so that no part is out of reach.  An exchange does what two moves cannot when memory or
 * balance forbids the state between them.
 *
 * Kirkpatrick, Gelatt, Vecchi, "Optimization by simulated annealing", Science 220 (1983). */
#include "partitioner/blocks/anneal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/blocks/part_loads.h"

enum {
    HEAT_STEP = 256,       /* tries at one heat: a power of two, often enough that the steps do not show */
    CLOCK_STEP = 16384,    /* tries between looks at the clock: about a millisecond */
    EXCHANGE_EVERY = 4,    /* tries per exchange */
    ANYWHERE_ONE_IN = 8,   /* tries whose target is any part */
};

static const double hopeless = 30; /* heats: exp(-30) is far below 2^-24, the finest step of a draw */

struct walk {
    const struct weir_anneal *task;
    struct weir_part_loads state;
    struct weir_dice *dice;
    int64_t best; /* value of best_part */
    int *best_part;
    double per_tick; /* 1 / load that counts as 1 */
    double heat;
};

/* What one part adds: the 12th power of its load. */
static double energy(const struct walk *w, int64_t load)
{
    double x = (double)load * w->per_tick, x2 = x * x, x4 = x2 * x2;
    return x4 * x4 * x4;
}

static void best_note(struct walk *w)
{
    const struct weir_part_loads *s = &w->state;
    for (int p = 0; p < s->n_parts; p++)
        if (s->load[p] >= w->best)
            return;
    w->best = weir_part_loads_value(s);
    memcpy(w->best_part, s->part, sizeof *s->part * (size_t)s->blocks->n);
}

static bool accept(struct walk *w, double change)
{
    return change <= 0 ||
           (change < hopeless * w->heat && weir_rng_unit(weir_dice_word(w->dice)) < exp(-change / w->heat));
}

/* The part of a block that shares a net with `block`, or any part. */
static int target_choose(struct walk *w, int block)
{
    const struct weir_blocks *b = w->state.blocks;
    int degree = b->block_first[block + 1] - b->block_first[block];
    if (!degree || weir_dice_word(w->dice) % ANYWHERE_ONE_IN == 0)
        return weir_dice_below(w->dice, w->state.n_parts);
    int e = b->block_net[b->block_first[block] + weir_dice_below(w->dice, degree)];
    int at = b->net_first[e] + weir_dice_below(w->dice, b->net_first[e + 1] - b->net_first[e]);
    return w->state.part[b->net_block[at]];
}

/* A neighbouring part that keeps the forward order, or the block's own. */
static int ordered_target(struct walk *w, int block)
{
    const struct weir_blocks *b = w->state.blocks;
    int from = w->state.part[block], to = weir_dice_word(w->dice) & 1 ? from + 1 : from - 1;
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
    struct weir_part_loads *s = &w->state;
    int block = weir_dice_below(w->dice, s->blocks->n), from = s->part[block];
    int to = w->task->ordered ? ordered_target(w, block) : target_choose(w, block);
    if (from == to || !weir_part_loads_allows(s, block, to))
        return;
    int64_t leave, enter;
    weir_part_loads_change(s, block, to, &leave, &enter);
    double change = energy(w, s->load[from] + leave) + energy(w, s->load[to] + enter) - energy(w, s->load[from]) -
                    energy(w, s->load[to]);
    if (!accept(w, change))
        return;
    weir_part_loads_move(s, block, to, leave, enter);
    if (change < 0)
        best_note(w);
}

/* Exchange two blocks: the first move is undone when the pair is not accepted. */
static void exchange_try(struct walk *w)
{
    struct weir_part_loads *s = &w->state;
    int a = weir_dice_below(w->dice, s->blocks->n), b = weir_dice_below(w->dice, s->blocks->n), p = s->part[a],
        q = s->part[b];
    if (p == q || !weir_part_loads_allows(s, a, q))
        return;
    int64_t leave, enter, load_p = s->load[p], load_q = s->load[q];
    weir_part_loads_change(s, a, q, &leave, &enter);
    weir_part_loads_move(s, a, q, leave, enter);
    bool good = weir_part_loads_allows(s, b, p);
    if (good) {
        weir_part_loads_change(s, b, p, &leave, &enter);
        double change =
            energy(w, s->load[q] + leave) + energy(w, s->load[p] + enter) - energy(w, load_p) - energy(w, load_q);
        good = accept(w, change);
    }
    if (good) {
        weir_part_loads_move(s, b, p, leave, enter);
        best_note(w);
    } else {
        weir_part_loads_move(s, a, p, load_q - s->load[q], load_p - s->load[p]);
        /* the change of the part that is left comes first: q is left again, p entered again */
    }
}

static void tries_run(struct walk *w)
{
    const struct weir_anneal *task = w->task;
    int64_t deadline_ns = task->problem->deadline_ns;
    double factor = pow(task->cold / task->hot, 1.0 / (double)(task->moves / HEAT_STEP + 1));
    w->heat = task->hot;
    for (int64_t i = 0; i < task->moves && w->best > task->bound; i++) {
        if (i % HEAT_STEP == 0)
            w->heat *= factor;
        if (i % CLOCK_STEP == 0 && deadline_ns && weir_clock_ns() > deadline_ns)
            return;
        if (i % EXCHANGE_EVERY == EXCHANGE_EVERY - 1 && !task->ordered)
            exchange_try(w);
        else
            single_try(w);
    }
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
                      ? w->state.devices + weir_dice_below(w->dice, w->state.n_parts - w->state.devices)
                      : weir_dice_below(w->dice, w->state.devices);
    weir_part_loads_set(&w->state, part);
    weir_free(part);
    return WEIR_OK;
}

weir_status weir_anneal(const struct weir_anneal *walk, const int *part, struct weir_dice *dice, int *best_part_out,
                        int64_t *value_out)
{
    struct walk w = {.task = walk, .dice = dice, .per_tick = 1 / ((double)walk->scale + 1), .best_part = best_part_out};
    weir_status status = weir_part_loads_init(walk->problem, &w.state);
    if (!status && part)
        weir_part_loads_set(&w.state, part);
    else if (!status)
        status = start_random(&w);
    if (!status) {
        w.best = weir_part_loads_value(&w.state);
        memcpy(best_part_out, w.state.part, sizeof *best_part_out * (size_t)w.state.blocks->n);
        tries_run(&w);
        *value_out = w.best;
    }
    weir_part_loads_release(&w.state);
    return status;
}
