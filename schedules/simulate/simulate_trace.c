/* A simulation as a Chrome trace: a process per rank, thread 0 its compute stream, one thread per edge that arrives
 * and one for its reductions. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "include/weir/simulate.h"
#include "schedules/simulate/simulated_waits.h"

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

/* An event; the caller goes on with its arguments and closes it. */
static void event_begin(struct weir_text *text, int rank, int track, double start, double duration, const char *category,
                        const char *colour)
{
    weir_text_append(text, ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.15g,\"dur\":%.15g,\"cat\":\"%s\",", rank, track,
                     start * 1000, duration * 1000, category);
    if (colour)
        weir_text_append(text, "\"cname\":\"%s\",", colour);
}

static void compute_put(struct weir_text *text, const struct weir_simulation *simulation, int rank, size_t index)
{
    static const char *const categories[] = {[WEIR_F] = "forward", [WEIR_I] = "backward", [WEIR_W] = "weight", [WEIR_B] = "backward"};
    const struct weir_action *a = &simulation->lowered.ranks[rank].actions[index];
    char first[WEIR_ACTION_TEXT], second[WEIR_ACTION_TEXT];
    double start = simulation->start[rank][index], end = simulation->end[rank][index];
    event_begin(text, rank, 0, start, end - start, a->fused ? "overlap" : categories[a->type], colours[a->type]);
    weir_text_append(text, "\"name\":\"%s%s%s\",\"args\":{\"stage\":%d,\"mb\":%d,\"step\":1", weir_action_str(a, first),
                     a->fused ? " & " : "", a->fused ? weir_action_str(a + 1, second) : "", a->stage, a->mb);
    if (a->fused)
        weir_text_append(text, ",\"partner_stage\":%d,\"partner_mb\":%d", a[1].stage, a[1].mb);
    weir_text_append(text, "}}");
}

static void slice_put(struct weir_text *text, int rank, int track, double start, double duration, const char *category,
                      const char *name)
{
    if (duration <= 0)
        return;
    event_begin(text, rank, track, start, duration, category, NULL);
    weir_text_append(text, "\"name\":\"%s\",\"args\":{\"step\":1}}", name);
}

static void reduction_put(struct weir_text *text, const struct weir_simulation *simulation, int rank, size_t index)
{
    char name[WEIR_ACTION_TEXT];
    double start = simulation->start[rank][index];
    slice_put(text, rank, reduce_track(simulation), start, simulation->end[rank][index] - start, "copy",
              weir_action_str(&simulation->lowered.ranks[rank].actions[index], name));
}

static void wait_put(struct weir_text *text, const struct weir_simulated_wait *w)
{
    char next[WEIR_ACTION_TEXT], awaited[WEIR_ACTION_TEXT];
    bool acts = w->action.type != WEIR_ACTION_TYPES;
    event_begin(text, w->rank, 0, w->start, w->end - w->start, "wait", "grey");
    weir_text_append(text, "\"name\":\"wait %s\",\"args\":{\"step\":1", acts ? weir_action_str(&w->action, next) : "optimizer");
    if (w->cause)
        weir_text_append(text, ",\"cause\":\"%s\",\"peer\":%d,\"way_us\":%.15g", w->cause, w->peer, (w->end - w->made) * 1000);
    if (w->cause && acts && w->awaited.type != WEIR_ACTION_TYPES)
        weir_text_append(text, ",\"awaited\":\"%s\"", weir_action_str(&w->awaited, awaited));
    if (w->held_by)
        weir_text_append(text, ",\"held_by\":\"%s\",\"held_us\":%.15g", w->held_by, w->held * 1000);
    weir_text_append(text, "}}");
}

/* The reduction of a rank without REDUCE_GRAD in its list comes when that is done. */
static double list_end(const struct weir_simulation *simulation, int rank)
{
    double end = 0;
    for (size_t i = 0; i < simulation->lowered.ranks[rank].n_actions; i++)
        end = fmax(end, simulation->end[rank][i]);
    return end;
}

static bool has_reductions(const struct weir_simulation *simulation, int rank)
{
    for (size_t i = 0; i < simulation->lowered.ranks[rank].n_actions; i++)
        if (simulation->lowered.ranks[rank].actions[i].type == WEIR_REDUCE_GRAD)
            return true;
    return false;
}

/* What follows the lists. */
static void optimizer_put(struct weir_text *text, const struct weir_simulation *simulation, int rank)
{
    double start = simulation->optimizer_start, end = start + simulation->optimizer;
    if (!has_reductions(simulation, rank))
        slice_put(text, rank, 0, list_end(simulation, rank), simulation->reduction[rank], "optimizer", "reduce");
    slice_put(text, rank, 0, start, simulation->optimizer, "optimizer", "optimizer");
    slice_put(text, rank, reduce_track(simulation), end, simulation->gather[rank], "copy", "parameters");
}

static void transfers_put(struct weir_text *text, const struct weir_simulation *simulation)
{
    char name[WEIR_ACTION_TEXT];
    for (size_t i = 0; i < simulation->n_transfers; i++) {
        const struct weir_transfer_time *t = &simulation->transfers[i];
        event_begin(text, t->to, t->from + 1, t->start, t->end - t->start, "copy", NULL);
        weir_text_append(text, "\"name\":\"%s\",\"args\":{\"step\":1}}", weir_action_str(&t->receive, name));
    }
}

/* What reading it back needs (schedules/io/trace_file.h).  A schedule has no character that JSON escapes but its newlines. */
static void about_put(struct weir_text *text, const struct weir_simulation *simulation, const char *schedule)
{
    weir_text_append(text, "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"unit\":\"1 ms\",\"ranks\":%d,\"replicas\":1,\"schedule\":\"",
                     simulation->lowered.n_ranks);
    for (const char *line = schedule; *line;) {
        size_t n = strcspn(line, "\n");
        weir_text_append(text, "%.*s%s", (int)n, line, line[n] ? "\\n" : "");
        line += n + (line[n] == '\n');
    }
    weir_text_append(text, "\"},\"traceEvents\":[\n");
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
    const struct weir_simulated_wait *waits = NULL;
    const char *schedule;
    size_t n_waits = 0;
    weir_status status = weir_schedule_csv_print(&simulation->lowered, arena, &schedule);
    if (!status)
        status = weir_simulation_waits(simulation, arena, &waits, &n_waits);
    if (status)
        return status;
    about_put(&text, simulation, schedule);
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
    for (size_t i = 0; i < n_waits; i++)
        wait_put(&text, &waits[i]);
    transfers_put(&text, simulation);
    weir_text_append(&text, "\n]}\n");
    status = text.status ? text.status : weir_arena_strdup(arena, text.data, text_out);
    weir_text_release(&text);
    return status;
}
