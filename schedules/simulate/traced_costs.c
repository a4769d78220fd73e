#include "schedules/io/trace_file.h"

#include "base/arena.h"

/* Time and number of actions per type (F, I, W, B) and stage. */
struct sums {
    double *time[4];
    size_t *n[4];
    double optimizer;
    size_t n_steps;
};

static weir_status sums_make(struct sums *sums, int n_stages, struct weir_arena *arena)
{
    weir_status status = WEIR_OK;
    for (int t = 0; t < 4 && !status; t++) {
        status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *sums->time[t], &sums->time[t]);
        if (!status)
            status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *sums->n[t], &sums->n[t]);
    }
    return status;
}

static void action_add(struct sums *sums, unsigned type, int stage, double time)
{
    sums->time[type][stage] += time;
    sums->n[type][stage]++;
}

/* The parts of an action follow each other: only the first of them, which no other of its name precedes, counts as one. */
static bool goes_on(const struct weir_traced_event *e)
{
    for (const char *at = e->name; *at; at++)
        if (*at == '(')
            return at[1] != 's'; /* (start), (part), (end) */
    return false;
}

static void event_add(struct sums *sums, const struct weir_traced_event *e)
{
    double time = e->end - e->start;
    if (e->kind <= WEIR_TRACED_B) {
        action_add(sums, e->kind, e->stage, time);
        sums->n[e->kind][e->stage] -= goes_on(e);
    } else if (e->kind == WEIR_TRACED_OVERLAP) {
        action_add(sums, WEIR_F, e->stage, time / 3);
        action_add(sums, WEIR_B, e->partner_stage, time * 2 / 3);
    } else if (e->kind == WEIR_TRACED_OPTIMIZER) {
        sums->optimizer += time;
    }
}

static void steps_add(struct sums *sums, const struct weir_traced *trace)
{
    const struct weir_traced_event *events = trace->events;
    size_t i = trace->last_step > trace->first_step ? weir_traced_step(trace, trace->first_step, &events) : 0;
    for (int64_t step = 0; i < trace->n_events; i++) {
        sums->n_steps += trace->events[i].step != step;
        step = trace->events[i].step;
        event_add(sums, &trace->events[i]);
    }
}

static bool has_backwards(const struct sums *sums, int n_stages)
{
    for (int s = 0; s < n_stages; s++)
        if (sums->n[WEIR_I][s] || sums->n[WEIR_B][s])
            return true;
    return false;
}

/* I and W as they were run, and half a B as each of them. */
static weir_status stage_costs(const struct weir_traced *trace, const struct sums *sums, int stage, bool trains,
                               struct weir_stage_costs *out)
{
    size_t forwards = sums->n[WEIR_F][stage], both = sums->n[WEIR_B][stage];
    size_t inputs = sums->n[WEIR_I][stage] + both, weights = sums->n[WEIR_W][stage] + both;
    if (!forwards || (trains && (!inputs || !weights)))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no %s of stage %d to take its time from", trace->name,
                         !forwards ? "F" : !inputs ? "I" : "W", stage);
    out->forward = sums->time[WEIR_F][stage] / (double)forwards;
    out->input = trains ? (sums->time[WEIR_I][stage] + sums->time[WEIR_B][stage] / 2) / (double)inputs : 0;
    out->weight = trains ? (sums->time[WEIR_W][stage] + sums->time[WEIR_B][stage] / 2) / (double)weights : 0;
    return WEIR_OK;
}

weir_status weir_traced_costs(const struct weir_traced *trace, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    int n = trace->schedule.n_stages;
    struct sums sums = {0};
    struct weir_stage_costs *stages;
    weir_status status = sums_make(&sums, n, arena);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n, sizeof *stages, &stages);
    if (!status)
        steps_add(&sums, trace);
    for (int s = 0; s < n && !status; s++)
        status = stage_costs(trace, &sums, s, has_backwards(&sums, n), &stages[s]);
    if (status)
        return status;
    for (int s = 0; s < n; s++) {
        stages[s].mem_backward = costs->mem_backward;
        stages[s].mem_weight = costs->mem_weight;
        stages[s].mem_made = costs->mem_made;
        stages[s].param_bytes = costs->param_bytes;
        stages[s].grad_bytes = costs->grad_bytes;
        stages[s].optimizer_bytes = costs->optimizer_bytes;
    }
    costs->stages = stages;
    costs->n_stages = n;
    costs->name = trace->name;
    costs->unit = trace->simulated ? NULL : "ms";
    costs->optimizer = sums.optimizer / (double)sums.n_steps / trace->n_ranks;
    return WEIR_OK;
}
