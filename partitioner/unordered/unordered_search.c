/* Multilevel annealing (partitioner/unordered/unordered_search.h), as multilevel graph partitioners do with their local
 * searches: Hendrickson, Leland, "A multilevel algorithm for partitioning graphs", Supercomputing 1995.
 *
 * A round joins blocks of dear nets into fewer and fewer groups (unordered_levels.h), anneals from chance on the
 * coarsest level, where one move shifts a whole group, and takes the result down level by level with less heat.  Every
 * fourth round polishes the best plan on the finest level instead.  Rounds differ by dice alone; each 16th one makes
 * them longer, since what short rounds find they find early.
 *
 * Invariant: r->split is only ever replaced by a better valid plan, so the search is never worse than its start. */
#include "partitioner/unordered/unordered_search.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "partitioner/blocks/anneal.h"
#include "partitioner/blocks/part_loads.h"
#include "partitioner/unordered/unordered_levels.h"

enum {
    MOST_LEVELS = 6,
    SHRINK = 3,         /* groups of a level per group of the next */
    GROUPS_PER_PART = 4, /* the coarsest level keeps so many: with fewer there is nothing to balance */
    POLISH_EVERY = 4,   /* rounds */
    LONGER_EVERY = 16,  /* rounds */
};

static const double moves_per_second = 8e6; /* half of what one core of 2024 does */
static const double first_moves = 40000, longer = 1.5; /* of a round */

/* Heats of a walk, where 1 is the energy of a busiest part: from chance everything may move; what comes from a coarser
 * level or is the best plan is disturbed at its borders only; at the end ties alone are taken. */
static const double hot_from_chance = 1, hot_from_plan = 0.05, cold = 2e-4;

struct rounds {
    const struct weir_split_problem *problem;
    int64_t bound;
    struct weir_dice dice;
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

/* levels[0] is `fine`; each further one has a third of the groups, the last few more than there are parts. */
static weir_status levels_build(struct rounds *r, int round, int64_t known, struct weir_arena *arena,
                                struct weir_blocks levels[MOST_LEVELS], int *n_levels_out)
{
    int n = 1, least = GROUPS_PER_PART * (r->problem->devices + r->problem->cpus);
    weir_status status = WEIR_OK;
    while (!status && n < MOST_LEVELS && levels[n - 1].n > least + least / 2) {
        int target = levels[n - 1].n / SHRINK;
        status = weir_unordered_dear_nets_join(&levels[n - 1], target > least ? target : least,
                                               known >> (1 + round % 4), &r->dice, arena, &levels[n]);
        if (status || levels[n].n == levels[n - 1].n)
            break;
        n++;
    }
    *n_levels_out = n;
    return status;
}

/* From chance or from r->part to r->coarse_part. */
static weir_status level_anneal(struct rounds *r, const struct weir_blocks *level, bool from_chance, int64_t known,
                                int64_t moves, int64_t *value_out)
{
    struct weir_split_problem problem = *r->problem;
    problem.blocks = level;
    struct weir_anneal walk = {.problem = &problem,
                               .scale = known,
                               .moves = moves,
                               .hot = from_chance ? hot_from_chance : hot_from_plan,
                               .cold = cold,
                               .bound = r->bound};
    return weir_anneal(&walk, from_chance ? NULL : r->part, &r->dice, r->coarse_part, value_out);
}

/* A round anneals from chance on the coarsest level and carries the result down to all blocks, annealing less on each.
 * A polishing round works on the best plan instead. */
static weir_status round_run(struct rounds *r, int round, int64_t moves)
{
    const struct weir_blocks *blocks = r->problem->blocks;
    int64_t known = r->split->value < WEIR_NEVER ? r->split->value : blocks->total_time + 1, value = WEIR_NEVER;
    struct weir_arena arena = {0};
    struct weir_blocks levels[MOST_LEVELS];
    int n_levels = 1;
    weir_status status = weir_unordered_uncuttable_join(blocks, known, &arena, &levels[0]);
    bool polish = round % POLISH_EVERY == POLISH_EVERY - 1 && r->split->value < WEIR_NEVER;
    for (int b = 0; !status && polish && b < blocks->n; b++)
        r->part[levels[0].of_node[b]] = r->split->part[b];
    if (!status && !polish)
        status = levels_build(r, round, known, &arena, levels, &n_levels);
    for (int l = n_levels - 1; !status && l >= 0; l--) {
        bool first = l == n_levels - 1 && !polish;
        status = level_anneal(r, &levels[l], first, known, moves / n_levels, &value);
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
    double share = first_moves;
    weir_status status = WEIR_OK;
    for (int round = 0; !status && moves > 0 && r->split->value > r->bound; round++) {
        if (r->problem->deadline_ns && weir_clock_ns() > r->problem->deadline_ns)
            break;
        status = round_run(r, round, (int64_t)share);
        moves -= share;
        if (round % LONGER_EVERY == LONGER_EVERY - 1)
            share *= longer;
    }
    return status;
}

static weir_status start_value(const struct weir_split_problem *problem, struct weir_split *split)
{
    struct weir_part_loads state;
    weir_status status = weir_part_loads_init(problem, &state);
    if (status)
        return status;
    weir_part_loads_set(&state, split->part);
    split->value = weir_part_loads_value(&state);
    weir_part_loads_release(&state);
    return WEIR_OK;
}

weir_status weir_unordered_search(const struct weir_split_problem *problem, int64_t bound, double seconds,
                                  uint64_t seed, struct weir_split *split)
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
