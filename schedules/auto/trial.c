#include "schedules/auto/trial.h"

#include "base/arena.h"

#include <math.h>
#include <string.h>

/* 1 is the cap itself; sums of sizes are rounded. */
static double fullness(const struct weir_trial *trial, const struct weir_simulation *s)
{
    double most = 0;
    for (int r = 0; r < trial->request->n_ranks; r++)
        most = fmax(most, s->peak_memory[r] / trial->caps[r]);
    return most;
}

static double value_of(const struct weir_trial *trial, const struct weir_simulation *s)
{
    if (trial->request->objective == WEIR_AUTO_MAKESPAN)
        return s->makespan;
    return s->makespan * (1 - s->bubble) / (1 - s->bubble_span); /* both are work of the busiest rank over a time */
}

weir_status weir_trial_time(struct weir_trial *trial, const struct weir_schedule *schedule, struct weir_arena *arena,
                            struct weir_simulation *simulation_out, double *value_out)
{
    struct weir_simulation_options options = {.keep_path = true, .keep_times = true};
    struct weir_schedule handing = *schedule;
    handing.boundaries = trial->request->boundaries;
    handing.n_boundaries = trial->request->n_boundaries;
    weir_status status = weir_schedule_simulate(&handing, trial->request->costs, &options, arena, simulation_out);
    *value_out = INFINITY;
    trial->n_tried++;
    if (status == WEIR_ERR_INVALID) /* a circle: the costs have been checked with the first schedule */
        return WEIR_OK;
    if (status)
        return status;
    double full = fullness(trial, simulation_out);
    if (full > 1 + 1e-9)
        trial->least_over = fmin(trial->least_over, full);
    else
        *value_out = value_of(trial, simulation_out);
    return WEIR_OK;
}

weir_status weir_trial_copy(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_schedule *out,
                            struct weir_action *const **lists_out)
{
    int p = schedule->n_ranks;
    struct weir_schedule_rank *ranks;
    struct weir_action **lists;
    int *stage_rank;
    weir_status status = weir_arena_alloc(arena, (size_t)p, sizeof *ranks, &ranks);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)p, sizeof *lists, &lists);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)schedule->n_stages, sizeof *stage_rank, &stage_rank);
    for (int r = 0; !status && r < p; r++) {
        size_t n = schedule->ranks[r].n_actions;
        status = weir_arena_alloc(arena, n, sizeof **lists, &lists[r]);
        if (!status)
            memcpy(lists[r], schedule->ranks[r].actions, n * sizeof **lists);
        ranks[r] = (struct weir_schedule_rank){.actions = lists[r], .n_actions = n};
    }
    if (status)
        return status;
    memcpy(stage_rank, schedule->stage_rank, (size_t)schedule->n_stages * sizeof *stage_rank);
    *out = *schedule;
    out->ranks = ranks;
    out->stage_rank = stage_rank;
    if (lists_out)
        *lists_out = lists;
    return WEIR_OK;
}

weir_status weir_trial_offer(struct weir_trial *trial, const struct weir_schedule *schedule, double *value_out)
{
    struct weir_arena work = {0}, fresh = {0};
    struct weir_simulation simulation;
    struct weir_schedule copy;
    weir_status status = weir_trial_time(trial, schedule, &work, &simulation, value_out);
    weir_arena_release(&work);
    if (status || !(*value_out < trial->value))
        return status;
    status = weir_trial_copy(schedule, &fresh, &copy, NULL);
    if (status) {
        weir_arena_release(&fresh);
        return status;
    }
    weir_arena_release(&trial->best_arena);
    trial->best_arena = fresh;
    trial->best = copy;
    trial->value = *value_out;
    return WEIR_OK;
}

void weir_trial_release(struct weir_trial *trial)
{
    weir_arena_release(&trial->best_arena);
}
