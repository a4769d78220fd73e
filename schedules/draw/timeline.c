#include "schedules/draw/timeline.h"

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "schedules/simulate/cost_tables.h"
#include "schedules/simulate/held.h"
#include "schedules/simulate/simulated_waits.h"

struct build {
    const struct weir_simulation *simulation;
    const struct weir_schedule_costs *costs;
    struct weir_arena *arena;
    struct weir_timeline_rank *ranks;
    struct weir_timeline_event **events; /* [n_ranks]: those of ranks, to be written */
    bool trainable;
};

const char *weir_timeline_name(const struct weir_timeline_event *event, char text[WEIR_TIMELINE_NAME])
{
    static const uint8_t types[] = {WEIR_F, WEIR_I, WEIR_W, WEIR_B, WEIR_F, WEIR_REDUCE_GRAD};
    char first[WEIR_ACTION_TEXT], second[WEIR_ACTION_TEXT];
    if (event->name)
        return event->name;
    struct weir_action action = {event->stage, event->mb, types[event->kind], 0};
    weir_action_str(&action, first);
    if (event->kind != WEIR_TIMELINE_OVERLAP) {
        snprintf(text, WEIR_TIMELINE_NAME, "%s", first);
        return text;
    }
    action = (struct weir_action){event->partner_stage, event->partner_mb, WEIR_B, 0};
    snprintf(text, WEIR_TIMELINE_NAME, "%s & %s", first, weir_action_str(&action, second));
    return text;
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

static struct weir_timeline_event action_event(const struct build *b, int r, size_t a)
{
    const struct weir_action *action = &b->simulation->lowered.ranks[r].actions[a];
    struct weir_timeline_event event = {.start = b->simulation->start[r][a], .end = b->simulation->end[r][a],
                                        .stage = action->stage, .mb = action->mb, .partner_stage = -1, .partner_mb = -1,
                                        .kind = (uint8_t)(action->type == WEIR_REDUCE_GRAD ? WEIR_TIMELINE_REDUCE : action->type),
                                        .beside = action->type == WEIR_REDUCE_GRAD};
    if (action->fused) {
        event.kind = WEIR_TIMELINE_OVERLAP;
        event.partner_stage = action[1].stage;
        event.partner_mb = action[1].mb;
    }
    return event;
}

static struct weir_timeline_event named_event(const char *name, enum weir_timeline_kind kind, double start, double length)
{
    return (struct weir_timeline_event){.start = start, .end = start + length, .stage = -1, .mb = -1, .partner_stage = -1,
                                        .partner_mb = -1, .name = name, .kind = (uint8_t)kind};
}

/* What a rank does behind its list. */
static size_t tail_add(const struct build *b, int r, double end, bool reduced, struct weir_timeline_event *events)
{
    const struct weir_simulation *s = b->simulation;
    size_t n = 0;
    if (!reduced && s->reduction[r] > 0)
        events[n++] = named_event("reduce", WEIR_TIMELINE_REDUCE, end, s->reduction[r]);
    if (s->optimizer > 0)
        events[n++] = named_event("optimizer", WEIR_TIMELINE_OPTIMIZER, s->optimizer_start, s->optimizer);
    if (s->gather[r] > 0) {
        events[n] = named_event("parameters", WEIR_TIMELINE_OTHER, s->optimizer_start + s->optimizer, s->gather[r]);
        events[n++].beside = true;
    }
    return n;
}

static weir_status events_make(const struct build *b, int r)
{
    const struct weir_schedule_rank *list = &b->simulation->lowered.ranks[r];
    struct weir_timeline_event *events;
    double end = 0;
    bool reduced = false;
    size_t n = 0;
    weir_status status = weir_arena_alloc(b->arena, list->n_actions + 3, sizeof *events, &events);
    for (size_t a = 0; !status && a < list->n_actions; a += list->actions[a].fused ? 2 : 1) {
        unsigned type = list->actions[a].type;
        if (type > WEIR_B && type != WEIR_REDUCE_GRAD)
            continue;
        events[n] = action_event(b, r, a);
        end = type <= WEIR_B ? events[n].end : end;
        reduced |= type == WEIR_REDUCE_GRAD;
        n++;
    }
    if (status)
        return status;
    n += tail_add(b, r, end, reduced, events + n);
    b->ranks[r].events = b->events[r] = events;
    b->ranks[r].n_events = n;
    b->ranks[r].busy = b->simulation->busy[r];
    return WEIR_OK;
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

/* What one action changes: held while it runs from its start on, and what it leaves at its end. */
static void action_levels(const struct build *b, int stage, unsigned type, double start, double end, double *held,
                          struct weir_timeline_level *levels)
{
    struct weir_stage_costs costs = weir_costs_slice(b->costs, stage, weir_schedule_slices(&b->simulation->lowered));
    struct weir_held step = weir_held_step(&costs, type, b->trainable);
    levels[0] = (struct weir_timeline_level){start, *held + step.during};
    *held += step.after;
    levels[1] = (struct weir_timeline_level){end, *held};
}

static weir_status levels_make(const struct build *b, int r)
{
    struct weir_timeline_rank *rank = &b->ranks[r];
    struct weir_timeline_level *levels;
    double held = 0;
    size_t n = 0;
    weir_status status = weir_arena_alloc(b->arena, 4 * rank->n_events, sizeof *levels, &levels);
    for (size_t i = 0; !status && i < rank->n_events; i++) {
        const struct weir_timeline_event *e = &rank->events[i];
        bool pair = e->kind == WEIR_TIMELINE_OVERLAP;
        if (e->kind > WEIR_TIMELINE_OVERLAP)
            continue;
        action_levels(b, e->stage, pair ? WEIR_F : e->kind, e->start, pair ? e->start : e->end, &held, levels + n);
        n += 2;
        if (pair) {
            action_levels(b, e->partner_stage, WEIR_B, e->start, e->end, &held, levels + n);
            n += 2;
        }
    }
    for (size_t i = 0; i < n; i++)
        rank->peak = fmax(rank->peak, levels[i].held);
    rank->levels = levels;
    rank->n_levels = n;
    return status;
}

/* ---- waits --------------------------------------------------------------------------------------------------------- */

static weir_status waits_make(const struct build *b)
{
    const struct weir_simulated_wait *from;
    struct weir_timeline_wait *waits;
    char name[WEIR_ACTION_TEXT];
    size_t n;
    weir_status status = weir_simulation_waits(b->simulation, b->arena, &from, &n);
    if (!status)
        status = weir_arena_alloc(b->arena, n, sizeof *waits, &waits);
    for (size_t i = 0; !status && i < n; i++) {
        struct weir_timeline_rank *rank = &b->ranks[from[i].rank];
        waits[i] = (struct weir_timeline_wait){.start = from[i].start, .made = from[i].made, .end = from[i].end, .held = from[i].held,
                                               .cause = from[i].cause, .held_by = from[i].held_by, .peer = from[i].peer};
        rank->waits = rank->n_waits++ ? rank->waits : &waits[i];
        if (from[i].cause && from[i].action.type != WEIR_ACTION_TYPES && from[i].awaited.type != WEIR_ACTION_TYPES)
            status = weir_arena_strdup(b->arena, weir_action_str(&from[i].awaited, name), &waits[i].awaited);
    }
    return status;
}

/* ---- the critical path --------------------------------------------------------------------------------------------- */

static bool is_step(const struct weir_timeline_event *event, const struct weir_path_step *step)
{
    unsigned kind = step->action.type == WEIR_REDUCE_GRAD ? WEIR_TIMELINE_REDUCE
                    : step->action.fused                  ? WEIR_TIMELINE_OVERLAP
                                                          : step->action.type;
    return event->kind == kind && event->stage == step->action.stage && event->mb == step->action.mb;
}

/* Both the path and each rank's events are in order, so one walk finds all; transfers are the gaps between ranks. */
static weir_status path_make(const struct build *b, struct weir_timeline *out)
{
    const struct weir_simulation *s = b->simulation;
    struct weir_timeline_place *path;
    size_t *next, n = 0;
    weir_status status = weir_arena_alloc(b->arena, s->n_path, sizeof *path, &path);
    if (!status)
        status = weir_arena_alloc(b->arena, (size_t)s->lowered.n_ranks, sizeof *next, &next);
    for (size_t i = 0; !status && i < s->n_path; i++) {
        const struct weir_path_step *step = &s->critical_path[i];
        const struct weir_timeline_rank *rank = &b->ranks[step->rank];
        struct weir_timeline_event *events = b->events[step->rank];
        size_t at = next[step->rank];
        if (step->action.type > WEIR_B && step->action.type != WEIR_REDUCE_GRAD)
            continue;
        while (at < rank->n_events && !is_step(&events[at], step))
            at++;
        if (at == rank->n_events)
            continue;
        events[at].critical = true;
        path[n++] = (struct weir_timeline_place){step->rank, at};
        next[step->rank] = at + 1;
    }
    out->path = path;
    out->n_path = n;
    return status;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static bool has_backwards(const struct weir_schedule *schedule)
{
    for (int r = 0; r < schedule->n_ranks; r++)
        for (size_t a = 0; a < schedule->ranks[r].n_actions; a++)
            if (schedule->ranks[r].actions[a].type == WEIR_I || schedule->ranks[r].actions[a].type == WEIR_B)
                return true;
    return false;
}

/* Chunks in flight, unless somebody said what they hold. */
static bool is_counted(const struct weir_schedule_costs *costs)
{
    bool counted = costs->mem_backward == 1 && costs->mem_weight == 1 && costs->mem_made == 0;
    for (int i = 0; i < costs->n_stages; i++)
        counted &= costs->stages[i].mem_backward == 1 && costs->stages[i].mem_weight == 1;
    return counted;
}

static double idle_mean(const struct weir_simulation *s)
{
    double busy = 0;
    for (int r = 0; r < s->lowered.n_ranks; r++)
        busy += s->busy[r];
    return s->makespan > 0 ? 1 - busy / (s->lowered.n_ranks * s->makespan) : 0;
}

weir_status weir_timeline_simulated(const struct weir_simulation *simulation, const struct weir_schedule_costs *costs,
                                    const char *title, const char *unit, struct weir_arena *arena,
                                    struct weir_timeline *out)
{
    struct build b = {.simulation = simulation, .costs = costs, .arena = arena};
    const struct weir_schedule *schedule = &simulation->lowered;
    struct weir_timeline timeline = {
        .held_unit = is_counted(costs) ? "activations" : "",
        .n_ranks = schedule->n_ranks, .n_stages = schedule->n_stages, .n_microbatches = schedule->n_microbatches,
        .length = simulation->makespan, .bubble = simulation->bubble, .bubble_span = simulation->bubble_span,
        .idle_mean = idle_mean(simulation)};
    if (!simulation->start)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a drawing needs a simulation that kept its times");
    b.trainable = has_backwards(schedule);
    weir_status status = weir_arena_alloc(arena, (size_t)schedule->n_ranks, sizeof *b.ranks, &b.ranks);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)schedule->n_ranks, sizeof *b.events, &b.events);
    for (int r = 0; !status && r < schedule->n_ranks; r++) {
        status = events_make(&b, r);
        if (!status)
            status = levels_make(&b, r);
    }
    if (!status)
        status = waits_make(&b);
    if (!status)
        status = path_make(&b, &timeline);
    if (!status)
        status = weir_arena_strdup(arena, title, &timeline.title);
    if (!status)
        status = weir_arena_strdup(arena, unit, &timeline.unit);
    timeline.ranks = b.ranks;
    if (!status)
        *out = timeline;
    return status;
}
