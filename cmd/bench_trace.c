#include "cmd/bench_trace.h"

#include "base/arena.h"

weir_status bench_step_keep(const weir_engine *engine, struct weir_arena *arena, struct bench_step *out)
{
    struct bench_step step = {.n_events = weir_engine_events(engine, NULL, 0), .n_waits = weir_engine_waits(engine, NULL, 0)};
    weir_status status = weir_arena_alloc(arena, step.n_events, sizeof *step.events, &step.events);
    if (!status)
        status = weir_arena_alloc(arena, step.n_waits, sizeof *step.waits, &step.waits);
    if (status)
        return status;
    weir_engine_events(engine, step.events, step.n_events);
    weir_engine_waits(engine, step.waits, step.n_waits);
    for (size_t i = 0; !status && i < step.n_events; i++) /* the engine's go with it */
        status = weir_arena_strdup(arena, step.events[i].name, &step.events[i].name);
    if (!status)
        *out = step;
    return status;
}
