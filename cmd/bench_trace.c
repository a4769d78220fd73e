#include "cmd/bench_trace.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

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

static enum weir_traced_kind kind_of(const struct weir_step_event *event)
{
    static const char letters[] = "FIWB";
    const char *letter = strchr(letters, event->category[0]);
    return letter && *letter && !event->category[1] ? (enum weir_traced_kind)(letter - letters) : WEIR_TRACED_OPTIMIZER;
}

static struct weir_traced_event event_of(const struct weir_step_event *e, int64_t origin)
{
    return (struct weir_traced_event){.kind = kind_of(e), .rank = e->rank, .stage = e->stage, .mb = e->mb, .partner_stage = -1,
                                      .partner_mb = -1, .step = 1, .start = (double)(e->start_ns - origin) / 1e6,
                                      .end = (double)(e->end_ns - origin) / 1e6, .name = e->name, .peer = -1};
}

static struct weir_traced_event wait_of(const struct bench_step *step, const struct weir_step_wait *w, int64_t origin)
{
    return (struct weir_traced_event){.kind = WEIR_TRACED_WAIT, .rank = w->rank, .stage = -1, .mb = -1, .partner_stage = -1,
                                      .partner_mb = -1, .step = 1, .start = (double)(w->start_ns - origin) / 1e6,
                                      .end = (double)(w->end_ns - origin) / 1e6, .name = "wait", .cause = w->cause,
                                      .awaited = w->cause ? step->events[w->peer_event].name : NULL,
                                      .peer = w->cause ? w->peer : -1, .way = (double)(w->end_ns - w->made_ns) / 1e6};
}

/* By rank and time; a wait stands before what it ends with. */
static int by_place(const void *a, const void *b)
{
    const struct weir_traced_event *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->start < y->start || x->start > y->start)
        return x->start < y->start ? -1 : 1;
    return (y->kind == WEIR_TRACED_WAIT) - (x->kind == WEIR_TRACED_WAIT);
}

weir_status bench_step_trace(const struct bench_step *step, const struct weir_schedule *schedule,
                             struct weir_arena *arena, struct weir_traced *out)
{
    struct weir_traced_event *events;
    int64_t origin = INT64_MAX;
    size_t n = 0;
    weir_status status = weir_arena_alloc(arena, step->n_events + step->n_waits, sizeof *events, &events);
    if (status)
        return status;
    for (size_t i = 0; i < step->n_events; i++)
        origin = step->events[i].start_ns < origin ? step->events[i].start_ns : origin;
    for (size_t i = 0; i < step->n_events; i++)
        events[n++] = event_of(&step->events[i], origin);
    for (size_t i = 0; i < step->n_waits; i++)
        if (step->waits[i].event >= 0 && step->waits[i].start_ns >= origin)
            events[n++] = wait_of(step, &step->waits[i], origin);
    qsort(events, n, sizeof *events, by_place);
    *out = (struct weir_traced){.name = "this machine", .schedule = *schedule, .n_replicas = 1, .n_ranks = schedule->n_ranks,
                                .events = events, .n_events = n, .first_step = 1, .last_step = 1, .typical_step = 1};
    return WEIR_OK;
}
