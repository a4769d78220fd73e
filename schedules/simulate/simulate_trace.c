/* A simulation as a Chrome trace: a process per rank, thread 0 its compute stream, one thread per edge that arrives
 * and one for its reductions. */
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "schedules/simulate/simulate.h"

static const char *const colours[] = {
    [WEIR_F] = "thread_state_running",
    [WEIR_I] = "thread_state_iowait",
    [WEIR_W] = "thread_state_runnable",
    [WEIR_B] = "thread_state_iowait",
};

static void name_put(struct weir_text *text, int rank, int thread, const char *kind, const char *name)
{
    if (text->status)
        return;
    weir_text_append(text, "%s{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"name\":\"%s\",\"args\":{\"name\":\"%s\"}}",
                     text->data[text->length - 1] == '\n' ? "" : ",\n", rank, thread, kind, name);
}

/* The track of reductions stands behind those of the edges. */
static int reduce_track(const struct weir_simulation *simulation)
{
    return simulation->lowered.n_ranks + 1;
}

static bool reduces(const struct weir_simulation *simulation, int rank)
{
    return simulation->reduction[rank] > 0 || simulation->gather[rank] > 0;
}

static void ranks_name(struct weir_text *text, const struct weir_simulation *simulation)
{
    char name[48];
    for (int r = 0; r < simulation->lowered.n_ranks; r++) {
        snprintf(name, sizeof name, "rank %d", r);
        name_put(text, r, 0, "process_name", name);
        name_put(text, r, 0, "thread_name", "compute");
    }
    for (int r = 0; r < simulation->lowered.n_ranks; r++)
        if (reduces(simulation, r))
            name_put(text, r, reduce_track(simulation), "thread_name", "reduce");
    for (size_t i = 0; i < simulation->n_transfers; i++) {
        const struct weir_transfer_time *t = &simulation->transfers[i];
        if (i && t[-1].from == t->from && t[-1].to == t->to)
            continue;
        snprintf(name, sizeof name, "from rank %d", t->from);
        name_put(text, t->to, t->from + 1, "thread_name", name);
    }
}

static void compute_put(struct weir_text *text, const struct weir_simulation *simulation, int rank, size_t index)
{
    const struct weir_action *a = &simulation->lowered.ranks[rank].actions[index];
    char first[WEIR_ACTION_TEXT], second[WEIR_ACTION_TEXT];
    double start = simulation->start[rank][index], end = simulation->end[rank][index];
    weir_action_str(a, first);
    weir_text_append(
        text, ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":0,\"ts\":%.15g,\"dur\":%.15g,\"cname\":\"%s\",\"name\":\"%s%s%s\",",
        rank, start * 1000, (end - start) * 1000, colours[a->type], first, a->fused ? " & " : "",
        a->fused ? weir_action_str(a + 1, second) : "");
    weir_text_append(text, "\"args\":{\"stage\":%d,\"microbatch\":%d}}", a->stage, a->mb);
}

static void slice_put(struct weir_text *text, int rank, int track, double start, double duration, const char *name)
{
    if (duration > 0)
        weir_text_append(text, ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.15g,\"dur\":%.15g,\"name\":\"%s\"}", rank,
                         track, start * 1000, duration * 1000, name);
}

static void reduction_put(struct weir_text *text, const struct weir_simulation *simulation, int rank, size_t index)
{
    char name[WEIR_ACTION_TEXT];
    double start = simulation->start[rank][index];
    slice_put(text, rank, reduce_track(simulation), start, simulation->end[rank][index] - start,
              weir_action_str(&simulation->lowered.ranks[rank].actions[index], name));
}

/* What follows the lists. */
static void optimizer_put(struct weir_text *text, const struct weir_simulation *simulation, int rank)
{
    double start = simulation->optimizer_start, end = start + simulation->optimizer;
    slice_put(text, rank, 0, start, simulation->optimizer, "optimizer");
    slice_put(text, rank, reduce_track(simulation), end, simulation->gather[rank], "parameters");
}

static void transfers_put(struct weir_text *text, const struct weir_simulation *simulation)
{
    char name[WEIR_ACTION_TEXT];
    for (size_t i = 0; i < simulation->n_transfers; i++) {
        const struct weir_transfer_time *t = &simulation->transfers[i];
        weir_text_append(text, ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.15g,\"dur\":%.15g,\"name\":\"%s\"}",
                         t->to, t->from + 1, t->start * 1000, (t->end - t->start) * 1000,
                         weir_action_str(&t->receive, name));
    }
}

weir_status weir_simulation_trace(const struct weir_simulation *simulation, struct weir_arena *arena,
                                  const char **text_out)
{
    if (!simulation->start)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a trace needs a simulation that kept its times");
    if (!isfinite(simulation->makespan * 1000)) /* the unit is shown as a millisecond, times are in microseconds */
        return WEIR_FAIL(WEIR_ERR_INVALID, "a makespan of %g is too long for a trace: use a larger unit of time",
                         simulation->makespan);
    struct weir_text text = {0};
    weir_text_append(&text, "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"unit\":\"1 ms\"},\"traceEvents\":[\n");
    ranks_name(&text, simulation);
    for (int r = 0; r < simulation->lowered.n_ranks; r++) {
        const struct weir_schedule_rank *list = &simulation->lowered.ranks[r];
        for (size_t i = 0; i < list->n_actions; i += list->actions[i].fused ? 2 : 1)
            if (weir_action_is_compute((enum weir_action_type)list->actions[i].type))
                compute_put(&text, simulation, r, i);
            else if (list->actions[i].type == WEIR_REDUCE_GRAD)
                reduction_put(&text, simulation, r, i);
        optimizer_put(&text, simulation, r);
    }
    transfers_put(&text, simulation);
    weir_text_append(&text, "\n]}\n");
    weir_status status = text.status ? text.status : weir_arena_strdup(arena, text.data, text_out);
    weir_text_release(&text);
    return status;
}
