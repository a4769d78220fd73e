/* Which solver for which graph, and how much work each may do (partitioner/contiguous/contiguous.h).
 *
 *     one path of blocks              path_split.c, exact
 *     at most MOST_DOWNSETS           order_search.c for a first plan, then exact.c below rising limits
 *     more                            part_bound.c and cut_bound.c for the bound, order_search.c for the plan
 *
 * The limit of the exact search starts 1 % above the bound and the slack doubles: a search below a small limit is
 * quick, and the first one that finds anything has found the optimum.  The work of the order-based search follows from
 * the seconds asked for and not from the clock, so that a seed means one plan. */
#include "partitioner/contiguous/contiguous.h"

#include <string.h>

#include "base/clock.h"
#include "partitioner/contiguous/cut_bound.h"
#include "partitioner/contiguous/exact.h"
#include "partitioner/contiguous/order_search.h"
#include "partitioner/contiguous/part_bound.h"
#include "partitioner/contiguous/path_split.h"

enum {
    MOST_DOWNSETS = 500000,
    MOST_DOWNSET_BYTES = 200000000, /* of bit sets */
    MOST_CELLS = 24000000,          /* of a search table */
    QUICK_ROUNDS = 12,              /* orders tried before the exact search */
};

static const double default_seconds = 60, default_search_seconds = 4.5;

struct run {
    const struct weir_contiguous_job *job;
    struct weir_downsets downsets;
    bool counted; /* the downsets are there */
    struct weir_split_table table;
    int64_t deadline_ns;
};

static int64_t seconds_after(const struct weir_contiguous_job *job, double seconds)
{
    double ns = seconds * 1e9;
    return ns > 9e18 - (double)job->start_ns ? INT64_MAX : job->start_ns + (int64_t)ns;
}

/* More devices than blocks cannot be used. */
static struct weir_split_problem problem_for(const struct run *run, int devices)
{
    devices = devices < run->job->blocks->n ? devices : run->job->blocks->n;
    return (struct weir_split_problem){.blocks = run->job->blocks,
                                       .devices = devices,
                                       .cpus = run->job->cpus,
                                       .memory = run->job->memory,
                                       .deadline_ns = run->deadline_ns};
}

static weir_status downsets_count(struct run *run)
{
    int words = (run->job->blocks->n + 63) / 64;
    int limit = MOST_DOWNSET_BYTES / 8 / words < MOST_DOWNSETS ? MOST_DOWNSET_BYTES / 8 / words : MOST_DOWNSETS;
    return weir_downsets_build(run->job->blocks, limit, run->deadline_ns, &run->downsets, &run->counted);
}

/* Raise the limit from the bound to the known value; the first success below a limit is the optimum. */
static weir_status value_prove(struct run *run, const struct weir_split_problem *problem,
                               struct weir_contiguous_answer *answer)
{
    double slack = 0.01;
    while (answer->bound < answer->split.value) {
        int64_t known = answer->split.value;
        double raised = (double)answer->bound * (1 + slack) + 1;
        int64_t limit = raised * 1.05 < (double)known ? (int64_t)raised : known;
        if (limit <= answer->bound)
            limit = answer->bound + 1;
        bool complete;
        weir_status status =
            weir_exact_search(problem, &run->downsets, answer->bound, limit, &run->table, &answer->split, &complete);
        if (status || !complete)
            return status;
        answer->bound = answer->split.value < known ? answer->split.value : limit;
        slack *= 2;
    }
    return WEIR_OK;
}

/* How many orders to try where only the search can help: work, not time, so that a seed means one result. */
static int search_rounds(const struct run *run, int n_counts)
{
    double seconds = run->job->seconds > 0 ? run->job->seconds : default_search_seconds;
    double work = 1.5e5 * seconds / n_counts; /* blocks ordered: two thirds of what one core of 2024 does */
    double rounds = work / (run->job->blocks->n + 1);
    return rounds > 1e6 ? 1000000 : rounds < 20 ? 20 : (int)rounds;
}

/* Everything on one accelerator, or on one CPU, is a plan when it fits; it takes no search, so it is there however early the
 * time runs out. */
static void whole_take(const struct weir_split_problem *problem, struct weir_split *split)
{
    const struct weir_blocks *blocks = problem->blocks;
    int64_t cpu = 0;
    int n_pinned = 0;
    for (int b = 0; b < blocks->n; b++) {
        cpu = cpu >= WEIR_NEVER || blocks->cpu[b] >= WEIR_NEVER ? WEIR_NEVER : cpu + blocks->cpu[b];
        n_pinned += blocks->pin[b] >= 0;
    }
    bool device = problem->devices && n_pinned <= 1 && !blocks->unsupported && blocks->total_memory <= problem->memory;
    int64_t load = device ? blocks->total_time : WEIR_NEVER;
    bool on_cpu = problem->cpus && !n_pinned && cpu < load;
    load = on_cpu ? cpu : load;
    if (load >= split->value)
        return;
    split->value = load;
    split->n_parts = 1;
    split->on_cpu[0] = on_cpu;
    memset(split->part, 0, sizeof *split->part * (size_t)blocks->n);
}

static weir_status count_solve(struct run *run, int devices, int n_left, struct weir_contiguous_answer *answer)
{
    struct weir_split_problem problem = problem_for(run, devices);
    int64_t own = weir_split_bound(&problem, devices);
    answer->bound = own > answer->bound ? own : answer->bound;
    if (answer->bound >= WEIR_NEVER || devices + run->job->cpus == 0)
        return WEIR_OK;
    size_t cells =
        (size_t)(run->counted ? run->downsets.n : 0) * (size_t)(run->job->cpus + 1) * (size_t)(problem.devices + 1);
    bool exact = run->counted && cells <= MOST_CELLS;
    if (!exact && !run->job->seconds && !run->job->unhurried) { /* share what is left of the default among the counts */
        int64_t now = weir_clock_ns(), end = seconds_after(run->job, default_search_seconds);
        problem.deadline_ns = end > now ? now + (end - now) / n_left : now + 100000000 / n_left;
    }
    weir_status status = WEIR_OK;
    if (!exact)
        status = weir_part_bound_raise(&problem, &answer->bound);
    if (!status && !exact)
        status = weir_cut_bound_raise(&problem, answer->bound + answer->bound / 2, &answer->bound);
    if (!status)
        status = weir_order_search(&problem, answer->bound, exact ? QUICK_ROUNDS : search_rounds(run, n_left),
                                   run->job->seed, &run->table, &answer->split);
    if (!status)
        whole_take(&problem, &answer->split);
    if (!status && exact)
        status = value_prove(run, &problem, answer);
    return status;
}

weir_status weir_contiguous_solve(const struct weir_contiguous_job *job, struct weir_arena *arena,
                                  struct weir_contiguous_answer *answers_out, int64_t *downsets_out)
{
    if (weir_path_applies(job->blocks, job->cpus))
        return weir_path_solve(job, arena, answers_out, downsets_out);
    struct run run = {.job = job};
    if (!job->unhurried)
        run.deadline_ns = seconds_after(job, job->seconds > 0 ? job->seconds : default_seconds);
    weir_status status = downsets_count(&run);
    *downsets_out = run.counted ? run.downsets.n : 0;
    int64_t bound = 0;
    for (int devices = job->last; !status && devices >= job->first; devices--) {
        struct weir_contiguous_answer *answer = &answers_out[devices - job->first];
        answer->bound = bound;
        status = weir_split_init(job->blocks, arena, &answer->split);
        if (!status)
            status = count_solve(&run, devices, devices - job->first + 1, answer);
        bound = answer->bound;
    }
    for (int i = 1; !status && i <= job->last - job->first; i++) /* fewer devices are allowed too */
        if (answers_out[i - 1].split.value < answers_out[i].split.value)
            weir_split_copy(job->blocks, &answers_out[i - 1].split, &answers_out[i].split);
    weir_split_table_release(&run.table);
    weir_downsets_release(&run.downsets);
    return status;
}
