#include "partitioner/free_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "partitioner/block_contract.h"
#include "partitioner/free_state.h"
#include "partitioner/union_find.h"

static const double moves_per_second = 8e6; /* half of what one core of 2024 does */

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
    bool ordered;  /* parts must stay contiguous: no block goes before a predecessor or behind a successor */
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

/* A neighbouring part that keeps the forward order, or the block's own. */
static int ordered_target(struct walk *w, int block)
{
    const struct weir_blocks *b = w->state.blocks;
    int from = w->state.part[block], to = dice_word(&w->dice) & 1 ? from + 1 : from - 1;
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
    int block = dice_below(&w->dice, s->blocks->n), from = s->part[block];
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

struct joining {
    const struct weir_blocks *blocks;
    int *parent;
    int64_t *time; /* of each root's group */
    int *pin;
    int n_groups;
};

/* Join the blocks of net e when no group grows beyond `most`. */
static void net_join(struct joining *j, int e, int64_t most)
{
    const struct weir_blocks *b = j->blocks;
    for (int i = b->net_first[e] + 1; i < b->net_first[e + 1]; i++) {
        int x = weir_union_root(j->parent, b->net_block[i - 1]), y = weir_union_root(j->parent, b->net_block[i]);
        if (x == y || j->time[x] > most - j->time[y] || (j->pin[x] >= 0 && j->pin[y] >= 0))
            continue;
        weir_union_join(j->parent, x, y);
        j->n_groups--;
        int root = x < y ? x : y;
        j->time[root] = j->time[x] + j->time[y];
        j->pin[root] = j->pin[x] >= 0 ? j->pin[x] : j->pin[y];
    }
}

static weir_status groups_contract(const struct weir_blocks *blocks, int *parent, struct weir_arena *arena,
                                   struct weir_blocks *out)
{
    int *group, n = 0;
    weir_status status = weir_alloc((size_t)blocks->n, sizeof *group, &group);
    if (status)
        return status;
    for (int b = 0; b < blocks->n; b++) {
        int root = weir_union_root(parent, b);
        group[b] = root == b ? n++ : group[root];
    }
    status = weir_blocks_contract(blocks, group, n, arena, out);
    weir_free(group);
    return status;
}

static weir_status joining_init(const struct weir_blocks *blocks, struct joining *j)
{
    size_t n = (size_t)blocks->n;
    j->blocks = blocks;
    weir_status status = weir_alloc(n, sizeof *j->parent, &j->parent);
    if (!status)
        status = weir_alloc(n, sizeof *j->time, &j->time);
    if (!status)
        status = weir_alloc(n, sizeof *j->pin, &j->pin);
    for (int b = 0; !status && b < blocks->n; b++) {
        j->parent[b] = b;
        j->time[b] = blocks->time[b];
        j->pin[b] = blocks->pin[b];
    }
    j->n_groups = blocks->n;
    return status;
}

static void joining_release(struct joining *j)
{
    weir_free(j->parent);
    weir_free(j->time);
    weir_free(j->pin);
}

/* Join the blocks of nets that no plan better than `limit` can cut: whoever touches one and does not hold it whole has
 * reached the limit already. */
static weir_status uncuttable_join(const struct weir_blocks *blocks, int64_t limit, struct weir_arena *arena,
                                   struct weir_blocks *out)
{
    struct joining j = {0};
    weir_status status = joining_init(blocks, &j);
    for (int e = 0; !status && e < blocks->n_nets; e++)
        if (blocks->net_cost[e] >= limit)
            net_join(&j, e, WEIR_NEVER);
    if (!status)
        status = groups_contract(blocks, j.parent, arena, out);
    joining_release(&j);
    return status;
}

struct rated {
    double rating;
    int net;
};

static int rated_compare(const void *a, const void *b)
{
    const struct rated *x = a, *y = b;
    if (x->rating != y->rating)
        return x->rating > y->rating ? -1 : 1;
    return x->net - y->net;
}

/* Join the blocks of dear nets with few blocks until about `target` groups are left; dice vary the order, groups stay below
 * `most` ticks. */
static weir_status dear_nets_join(const struct weir_blocks *blocks, int target, int64_t most, struct dice *dice,
                                  struct weir_arena *arena, struct weir_blocks *out)
{
    struct joining j = {0};
    struct rated *nets = NULL;
    weir_status status = joining_init(blocks, &j);
    if (!status)
        status = weir_alloc((size_t)blocks->n_nets, sizeof *nets, &nets);
    for (int e = 0; !status && e < blocks->n_nets; e++) {
        double noise = 0.5 + weir_rng_unit(dice_word(dice));
        nets[e] = (struct rated){noise * (double)blocks->net_cost[e] / (blocks->net_first[e + 1] - blocks->net_first[e] - 1), e};
    }
    if (!status)
        qsort(nets, (size_t)blocks->n_nets, sizeof *nets, rated_compare);
    for (int i = 0; !status && i < blocks->n_nets && j.n_groups > target; i++)
        net_join(&j, nets[i].net, most);
    if (!status)
        status = groups_contract(blocks, j.parent, arena, out);
    weir_free(nets);
    joining_release(&j);
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

/* Anneal on `small`, from `part` when given, else from chance; the best placement goes to part_out[blocks of small]. */
static weir_status level_search(const struct weir_split_problem *problem, const struct weir_blocks *small, const int *part,
                                int64_t known, int64_t moves, double hot, struct dice *dice, int64_t bound, int *part_out,
                                int64_t *value_out)
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

struct rounds {
    const struct weir_split_problem *problem;
    int64_t bound;
    struct dice dice;
    struct weir_split *split;
    int *coarse_part, *part; /* [blocks] scratch */
};

/* Keep a placement of the blocks of `small` when it is the best so far. */
static void result_keep(struct rounds *r, const struct weir_blocks *small, const int *part, int64_t value)
{
    if (value >= r->split->value)
        return;
    r->split->value = value;
    for (int b = 0; b < r->problem->blocks->n; b++)
        r->split->part[b] = part[small->of_node[b]];
}

enum { MOST_LEVELS = 6 };

/* levels[0] is `fine`; each further one has a third of the groups, the last few more than there are parts. */
static weir_status levels_build(struct rounds *r, int round, int64_t known, struct weir_arena *arena,
                                struct weir_blocks levels[MOST_LEVELS], int *n_levels_out)
{
    int n = 1, least = 4 * (r->problem->devices + r->problem->cpus);
    weir_status status = WEIR_OK;
    while (!status && n < MOST_LEVELS && levels[n - 1].n > least + least / 2) {
        int target = levels[n - 1].n / 3;
        status = dear_nets_join(&levels[n - 1], target > least ? target : least, known >> (1 + round % 4), &r->dice, arena,
                                &levels[n]);
        if (status || levels[n].n == levels[n - 1].n)
            break;
        n++;
    }
    *n_levels_out = n;
    return status;
}

/* A round anneals from chance on the coarsest level and carries the result down to all blocks, annealing less on each.
 * Every fourth works on the best plan instead. */
static weir_status round_run(struct rounds *r, int round, int64_t moves)
{
    const struct weir_blocks *blocks = r->problem->blocks;
    int64_t known = r->split->value < WEIR_NEVER ? r->split->value : blocks->total_time + 1, value = WEIR_NEVER;
    struct weir_arena arena = {0};
    struct weir_blocks levels[MOST_LEVELS];
    int n_levels = 1;
    weir_status status = uncuttable_join(blocks, known, &arena, &levels[0]);
    bool polish = round % 4 == 3 && r->split->value < WEIR_NEVER;
    for (int b = 0; !status && polish && b < blocks->n; b++)
        r->part[levels[0].of_node[b]] = r->split->part[b];
    if (!status && !polish)
        status = levels_build(r, round, known, &arena, levels, &n_levels);
    for (int l = n_levels - 1; !status && l >= 0; l--) {
        bool first = l == n_levels - 1 && !polish;
        status = level_search(r->problem, &levels[l], first ? NULL : r->part, known, moves / n_levels, first ? 1.0 : 0.05,
                              &r->dice, r->bound, r->coarse_part, &value);
        for (int b = 0; !status && l > 0 && b < levels[l - 1].n; b++)
            r->part[b] = r->coarse_part[levels[l].of_node[b]];
    }
    if (!status)
        result_keep(r, &levels[0], r->coarse_part, value);
    weir_arena_release(&arena);
    return status;
}

static weir_status rounds_run(struct rounds *r, double moves)
{
    double share = 40000;
    weir_status status = WEIR_OK;
    for (int round = 0; !status && moves > 0 && r->split->value > r->bound; round++) {
        if (r->problem->deadline_ns && weir_clock_ns() > r->problem->deadline_ns)
            break;
        status = round_run(r, round, (int64_t)share);
        moves -= share;
        if (round % 16 == 15)
            share *= 1.5;
    }
    return status;
}

static weir_status start_value(const struct weir_split_problem *problem, struct weir_split *split)
{
    struct weir_free_state state;
    weir_status status = weir_free_state_init(problem, &state);
    if (status)
        return status;
    weir_free_state_set(&state, split->part);
    split->value = weir_free_state_value(&state);
    weir_free_state_release(&state);
    return WEIR_OK;
}

weir_status weir_free_search(const struct weir_split_problem *problem, int64_t bound, double seconds, uint64_t seed,
                             struct weir_split *split)
{
    size_t n = (size_t)problem->blocks->n;
    struct rounds r = {.problem = problem, .bound = bound, .dice.key = seed, .split = split};
    weir_status status = split->n_parts ? start_value(problem, split) : WEIR_OK;
    if (!status)
        status = weir_alloc(n, sizeof *r.part, &r.part);
    if (!status)
        status = weir_alloc(n, sizeof *r.coarse_part, &r.coarse_part);
    if (!status)
        status = rounds_run(&r, seconds * moves_per_second);
    if (split->value < WEIR_NEVER)
        split->n_parts = problem->devices + problem->cpus;
    weir_free(r.part);
    weir_free(r.coarse_part);
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
