/* Traces for programs: include/weir/trace.h. */
#include "base/arena.h"
#include "base/grown.h"
#include "schedules/io/trace_file.h"

/* From a file (text NULL), or from text. */
static weir_status traced_make(const char *name, const char *text, size_t bytes, struct weir_arena *arena,
                               const struct weir_traced **trace_out)
{
    struct weir_traced *trace;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *trace, &trace);
    if (!status)
        status = text ? weir_traced_parse(text, bytes, name, arena, trace) : weir_traced_load(name, arena, trace);
    if (!status)
        *trace_out = trace;
    return status;
}

weir_status weir_traced_read(const char *path, struct weir_arena *arena, const struct weir_traced **trace_out)
{
    return traced_make(path, NULL, 0, arena, trace_out);
}

weir_status weir_traced_read_text(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                  const struct weir_traced **trace_out)
{
    return traced_make(name, text, bytes, arena, trace_out);
}

void weir_traced_info_sized(const struct weir_traced *trace, struct weir_traced_info *info_out, size_t info_bytes)
{
    const struct weir_traced_info own = {
        .simulated = trace->simulated, .n_replicas = trace->n_replicas, .n_ranks = trace->n_ranks, .n_events = trace->n_events,
        .n_lost = trace->n_lost, .first_step = trace->first_step, .last_step = trace->last_step, .typical_step = trace->typical_step};
    weir_grown_give(&own, sizeof own, info_out, info_bytes);
}

const struct weir_schedule *weir_traced_schedule(const struct weir_traced *trace)
{
    return &trace->schedule;
}

weir_status weir_traced_event_get_sized(const struct weir_traced *trace, size_t index, struct weir_traced_event *event_out,
                                        size_t event_bytes)
{
    if (index >= trace->n_events)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %zu events, there is no event %zu", trace->name, trace->n_events, index);
    weir_grown_give(&trace->events[index], sizeof *trace->events, event_out, event_bytes);
    return WEIR_OK;
}
