#include "partitioner/free_search.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "partitioner/block_contract.h"
#include "partitioner/free_state.h"
#include "partitioner/union_find.h"

static const double moves_per_second = 1.2e6; /* half of what one core of 2023 does */

struct dice {
    uint64_t key, count;
    struct weir_rng_block block;
};

static uint32_t dice_word(struct dice *dice)
{
    if ((dice->count & 3) == 0)
        dice->block = weir_rng_philox(dice->key, (uint32_t)(dice->count >> 2), (uint32_t)(dice->count >> 34), 3, 0);
    return dice->block.v[dice->count++ & 3];
}

static int dice_below(struct dice *dice, int n)
{
    return (int)((uint64_t)dice_word(dice) * (uint64_t)n >> 32);
}

struct walk {
    const struct weir_split_problem *problem;
    struct weir_free_state state;
    struct dice dice;
    int64_t best; /* value of best_part */
    int *best_part;
    double scale;  /* 1 / load that counts as 1 */
    double heat;
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
    return change <= 0 || (change < 30 * w->heat && weir_rng_unit(dice_word(&w->dice)) < exp(-change / w->heat));
}

/* The part of a block that shares a net with `block`, or any part. */
static int target_choose(struct walk *w, int block)
{
    const struct weir_blocks *b = w->state.blocks;
    int degree = b->block_first[block + 1] - b->block_first[block];
    if (!degree || (dice_word(&w->dice) & 7) == 0)
        return dice_below(&w->dice, w->state.n_parts);
    int e = b->block_net[b->block_first[block] + dice_below(&w->dice, degree)];
    int pin = b->net_first[e] + dice_below(&w->dice, b->net_first[e + 1] - b->net_first[e]);
    return w->state.part[b->net_block[pin]];
}

static void single_try(struct walk *w)
{
    struct weir_free_state *s = &w->state;
    int block = dice_below(&w->dice, s->blocks->n), from = s->part[block], to = target_choose(w, block);
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
    int a = dice_below(&w->dice, s->blocks->n), b = dice_below(&w->dice, s->blocks->n), p = s->part[a], q = s->part[b];
    if (p == q || !weir_free_state_allows(s, a, q))
        return;
    int64_t leave, enter, load_p = s->load[p], load_q = s->load[q];
    weir_free_state_change(s, a, q, &leave, &enter);
    weir_free_state_move(s, a, q, leave, enter);
    bool good = weir_free_state_allows(s, b, p);
    if (good) {
        weir_free_state_change(s, b, p, &leave, &enter);
        double change = energy(w, s->load[q] + leave) + energy(w, s->load[p] + enter) - energy(w, load_p) - energy(w, load_q);
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
        if ((i & 3) == 3)
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

/* Join the blocks of nets that no plan better than `limit` can cut: whoever touches one pays too much. */
static weir_status uncuttable_join(const struct weir_blocks *blocks, int64_t limit, struct weir_arena *arena,
                                   struct weir_blocks *out)
{
    int *parent;
    weir_status status = weir_alloc((size_t)blocks->n, sizeof *parent, &parent);
    if (status)
        return status;
    for (int b = 0; b < blocks->n; b++)
        parent[b] = b;
    for (int e = 0; e < blocks->n_nets; e++) {
        int64_t least = WEIR_NEVER;
        for (int i = blocks->net_first[e]; i < blocks->net_first[e + 1]; i++)
            least = blocks->time[blocks->net_block[i]] < least ? blocks->time[blocks->net_block[i]] : least;
        if (blocks->net_cost[e] + (least < WEIR_NEVER ? least : 0) < limit)
            continue;
        for (int i = blocks->net_first[e] + 1; i < blocks->net_first[e + 1]; i++)
            weir_union_join(parent, blocks->net_block[i], blocks->net_block[blocks->net_first[e]]);
    }
    int n = 0;
    for (int b = 0; b < blocks->n; b++)
        parent[b] = weir_union_root(parent, b) == b ? b : weir_union_root(parent, b);
    int *group;
    status = weir_alloc((size_t)blocks->n, sizeof *group, &group);
    for (int b = 0; !status && b < blocks->n; b++)
        group[b] = parent[b] == b ? n++ : group[parent[b]];
    if (!status)
        status = weir_blocks_contract(blocks, group, n, arena, out);
    if (!status)
        weir_free(group);
    weir_free(parent);
    return status;
}

static weir_status start_random(struct walk *w)
{
    const struct weir_blocks *b = w->state.blocks;
    int *part;
    weir_status status = weir_alloc((size_t)b->n, sizeof *part, &part);
    if (status)
        return status;
    for (int v = 0; v < b->n; v++)
        part[v] = b->pin[v] >= 0                    ? b->pin[v]
                  : b->time[v] >= WEIR_NEVER        ? w->state.devices + dice_below(&w->dice, w->state.n_parts - w->state.devices)
                                                    : dice_below(&w->dice, w->state.devices);
    weir_free_state_set(&w->state, part);
    weir_free(part);
    return WEIR_OK;
}

/* One problem size: runs from the best plan and from chance in turn. */
static weir_status level_search(const struct weir_split_problem *problem, int64_t bound, int64_t moves, int runs, uint64_t seed,
                                struct weir_split *split, const struct weir_blocks *small)
{
    struct weir_split_problem local = *problem;
    local.blocks = small;
    struct walk w = {.dice.key = seed, .best = split->value};
    weir_status status = walk_init(&local, &w);
    for (int b = 0; !status && b < problem->blocks->n; b++)
        w.best_part[small->of_node[b]] = split->part[b];
    for (int run = 0; !status && run < runs && w.best > bound; run++) {
        w.scale = 1 / ((double)w.best + 1);
        if (run % 2 == 0)
            weir_free_state_set(&w.state, w.best_part);
        else
            status = start_random(&w);
        anneal(&w, moves / runs, run % 2 == 0 ? 0.05 : 1.0, 2e-4, bound);
    }
    if (!status && w.best < split->value) {
        split->value = w.best;
        for (int b = 0; b < problem->blocks->n; b++)
            split->part[b] = w.best_part[small->of_node[b]];
    }
    walk_release(&w);
    return status;
}

weir_status weir_free_search(const struct weir_split_problem *problem, int64_t bound, double seconds, uint64_t seed,
                             struct weir_split *split)
{
    struct weir_free_state state;
    weir_status status = weir_free_state_init(problem, &state);
    if (status)
        return status;
    if (split->n_parts) {
        weir_free_state_set(&state, split->part);
        split->value = weir_free_state_value(&state);
    }
    weir_free_state_release(&state);
    enum { ROUNDS = 4 };
    double moves = seconds * moves_per_second / ROUNDS;
    for (int round = 0; !status && round < ROUNDS && split->value > bound; round++) {
        struct weir_arena arena = {0};
        struct weir_blocks small;
        status = uncuttable_join(problem->blocks, split->value, &arena, &small);
        if (!status)
            status = level_search(problem, bound, (int64_t)moves, 4, seed * 1000 + (uint64_t)round, split, &small);
        weir_arena_release(&arena);
    }
    if (split->value < WEIR_NEVER)
        split->n_parts = problem->devices + problem->cpus;
    return status;
}
