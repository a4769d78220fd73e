#include "engine/program/moments.h"

static bool action_is(const struct weir_action *action, enum weir_moment moment)
{
    switch (moment) {
    case WEIR_MOMENT_F:
        return action->type == WEIR_F;
    case WEIR_MOMENT_I:
        return action->type == WEIR_I || action->type == WEIR_B;
    case WEIR_MOMENT_W:
        return action->type == WEIR_W || action->type == WEIR_B;
    case WEIR_MOMENTS:
        break;
    }
    return false;
}

static void moment_fill(const struct weir_schedule *schedule, int stage, enum weir_moment moment,
                        struct weir_moments *moments)
{
    const struct weir_schedule_rank *rank = &schedule->ranks[schedule->stage_rank[stage]];
    int at = (stage * WEIR_MOMENTS + (int)moment) * moments->n_microbatches, n = 0;
    for (int mb = 0; mb < moments->n_microbatches; mb++)
        moments->positions[at + mb] = -1;
    for (size_t a = 0; a < rank->n_actions; a++) {
        const struct weir_action *action = &rank->actions[a];
        if (action->stage != stage || !action_is(action, moment))
            continue;
        moments->positions[at + action->mb] = (int)a;
        moments->indices[at + action->mb] = n;
        moments->orders[at + n++] = action->mb;
    }
}

weir_status weir_moments_find(const struct weir_schedule *schedule, struct weir_arena *arena,
                              struct weir_moments *moments_out)
{
    struct weir_moments moments = {.n_microbatches = schedule->n_microbatches};
    size_t n = (size_t)schedule->n_stages * WEIR_MOMENTS * (size_t)schedule->n_microbatches;
    weir_status status = weir_arena_alloc(arena, n, sizeof(int), &moments.orders);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof(int), &moments.indices);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof(int), &moments.positions);
    for (int s = 0; s < schedule->n_stages && !status; s++)
        for (int moment = 0; moment < WEIR_MOMENTS; moment++)
            moment_fill(schedule, s, (enum weir_moment)moment, &moments);
    if (!status)
        *moments_out = moments;
    return status;
}
