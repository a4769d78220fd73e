/* Timelines and drawings for programs: include/weir/draw.h. */
#include "include/weir/draw.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/grown.h"
#include "schedules/draw/timeline.h"

weir_status weir_timeline_of_simulation(const struct weir_simulation *simulation, const struct weir_schedule_costs *costs,
                                        const char *title, const char *unit, struct weir_arena *arena,
                                        const struct weir_timeline **timeline_out)
{
    struct weir_timeline *timeline;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *timeline, &timeline);
    if (!status)
        status = weir_timeline_simulated(simulation, costs, title ? title : "", unit ? unit : "", arena, timeline);
    if (!status)
        *timeline_out = timeline;
    return status;
}

weir_status weir_timeline_of_trace(const struct weir_traced *trace, int64_t step, const char *title, struct weir_arena *arena,
                                   const struct weir_timeline **timeline_out)
{
    struct weir_timeline *timeline;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *timeline, &timeline);
    if (!status)
        status = weir_timeline_traced(trace, step ? step : trace->typical_step, title ? title : "", arena, timeline);
    if (!status)
        *timeline_out = timeline;
    return status;
}

const char *weir_timeline_title(const struct weir_timeline *timeline)
{
    return timeline->title;
}

const char *weir_timeline_unit(const struct weir_timeline *timeline)
{
    return timeline->unit;
}

/* ---- of a step ------------------------------------------------------------------------------------------------------- */

/* A step as the trace that it would be: as step 1, in milliseconds. */
struct step {
    const char *events, *waits; /* of the program, whose structs have other sizes than these */
    size_t event_bytes, wait_bytes, n_events, n_waits;
    struct weir_traced_event *traced; /* [n_events + n_waits] */
    size_t n_traced;
    int64_t origin;
};

static struct weir_step_event event_at(const struct step *s, size_t i)
{
    struct weir_step_event own;
    weir_grown_give(s->events + i * s->event_bytes, s->event_bytes, &own, sizeof own);
    return own;
}

static enum weir_traced_kind kind_of(const struct weir_step_event *event)
{
    static const char letters[] = "FIWB";
    const char *letter = strchr(letters, event->category[0]);
    return letter && *letter && !event->category[1] ? (enum weir_traced_kind)(letter - letters) : WEIR_TRACED_OPTIMIZER;
}

static weir_status event_take(struct step *s, size_t i, struct weir_arena *arena)
{
    struct weir_step_event e = event_at(s, i);
    s->traced[s->n_traced] = (struct weir_traced_event){
        .kind = kind_of(&e), .rank = e.rank, .stage = e.stage, .mb = e.mb, .partner_stage = -1, .partner_mb = -1, .step = 1,
        .start = (double)(e.start_ns - s->origin) / 1e6, .end = (double)(e.end_ns - s->origin) / 1e6, .peer = -1};
    return weir_arena_strdup(arena, e.name, &s->traced[s->n_traced++].name);
}

/* Names of events were copied before, in their order. */
static void wait_take(struct step *s, size_t i)
{
    struct weir_step_wait w;
    weir_grown_give(s->waits + i * s->wait_bytes, s->wait_bytes, &w, sizeof w);
    if (w.event < 0 || w.start_ns < s->origin)
        return;
    bool awaits = w.cause && w.peer_event >= 0 && (size_t)w.peer_event < s->n_events;
    s->traced[s->n_traced++] = (struct weir_traced_event){
        .kind = WEIR_TRACED_WAIT, .rank = w.rank, .stage = -1, .mb = -1, .partner_stage = -1, .partner_mb = -1, .step = 1,
        .start = (double)(w.start_ns - s->origin) / 1e6, .end = (double)(w.end_ns - s->origin) / 1e6, .name = "wait",
        .cause = w.cause, .awaited = awaits ? s->traced[w.peer_event].name : NULL, .peer = w.cause ? w.peer : -1,
        .way = (double)(w.end_ns - w.made_ns) / 1e6};
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

static weir_status step_take(struct step *s, struct weir_arena *arena)
{
    weir_status status = weir_arena_alloc(arena, s->n_events + s->n_waits, sizeof *s->traced, &s->traced);
    for (size_t i = 0; i < s->n_events && !status; i++) {
        struct weir_step_event e = event_at(s, i);
        s->origin = e.start_ns < s->origin ? e.start_ns : s->origin;
    }
    for (size_t i = 0; i < s->n_events && !status; i++)
        status = event_take(s, i, arena);
    for (size_t i = 0; i < s->n_waits && !status; i++)
        wait_take(s, i);
    if (!status)
        qsort(s->traced, s->n_traced, sizeof *s->traced, by_place);
    return status;
}

static int ranks_of(const struct step *s)
{
    int n = 0;
    for (size_t i = 0; i < s->n_traced; i++)
        n = s->traced[i].rank >= n ? s->traced[i].rank + 1 : n;
    return n;
}

weir_status weir_timeline_of_step_sized(const struct weir_schedule *schedule, const struct weir_step_event *events, size_t event_bytes,
                                        size_t n_events, const struct weir_step_wait *waits, size_t wait_bytes, size_t n_waits,
                                        const char *title, struct weir_arena *arena, const struct weir_timeline **timeline_out)
{
    struct step s = {.events = (const char *)events, .waits = (const char *)waits, .event_bytes = event_bytes, .wait_bytes = wait_bytes,
                     .n_events = n_events, .n_waits = n_waits, .origin = INT64_MAX};
    if (!n_events)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no event to draw: no step has run, or the events of others were not gathered");
    weir_status status = step_take(&s, arena);
    if (status)
        return status;
    int n_ranks = ranks_of(&s), n_replicas = n_ranks / schedule->n_ranks;
    const struct weir_traced trace = {.name = "the last step", .schedule = *schedule, .n_replicas = n_replicas ? n_replicas : 1,
                                      .n_ranks = n_ranks > schedule->n_ranks ? n_ranks : schedule->n_ranks, .events = s.traced,
                                      .n_events = s.n_traced, .first_step = 1, .last_step = 1, .typical_step = 1};
    return weir_timeline_of_trace(&trace, 1, title, arena, timeline_out);
}

/* ---- drawing --------------------------------------------------------------------------------------------------------- */

static weir_status timelines_check(const struct weir_timeline *const *timelines, int n, weir_text_fn say)
{
    if (!say || !timelines)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a drawing needs %s, which is NULL", say ? "timelines" : "a function that takes it");
    for (int i = 0; i < n; i++)
        if (!timelines[i])
            return WEIR_FAIL(WEIR_ERR_INVALID, "timeline %d of %d is NULL", i, n);
    return WEIR_OK;
}

/* The width of a page is not used. */
static weir_status width_check(enum weir_draw_form form, int width)
{
    static const int most[WEIR_DRAW_FORMS] = {WEIR_DRAW_MOST_COLUMNS, WEIR_DRAW_MOST_PIXELS, INT_MAX};
    if (width > most[form])
        return WEIR_FAIL(WEIR_ERR_INVALID, "a drawing cannot be %d %s wide: at most %d", width,
                         form == WEIR_DRAW_TEXT ? "columns" : "pixels", most[form]);
    return WEIR_OK;
}

weir_status weir_timelines_draw_sized(const struct weir_timeline *const *timelines, int n, enum weir_draw_form form,
                                      const struct weir_draw_options *options, size_t option_bytes, weir_text_fn say, void *context)
{
    static weir_status (*const writers[WEIR_DRAW_FORMS])(const struct weir_timeline *const *, int, const struct weir_draw_options *,
                                                         struct weir_text *) = {
        [WEIR_DRAW_TEXT] = weir_timeline_text, [WEIR_DRAW_SVG] = weir_timeline_svg, [WEIR_DRAW_HTML] = weir_timeline_html};
    struct weir_draw_options own;
    struct weir_text text = {0};
    weir_status status = weir_grown_take("weir_draw_options", "its size is that of the program's struct", options, option_bytes, &own, sizeof own);
    if (!status && ((unsigned)form >= WEIR_DRAW_FORMS || n < 1))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%d timelines cannot be drawn in form %d", n, (int)form);
    if (!status)
        status = timelines_check(timelines, n, say);
    if (!status)
        status = width_check(form, own.width);
    if (!status)
        status = writers[form](timelines, n, &own, &text);
    if (!status)
        say(context, text.data, text.length);
    weir_text_release(&text);
    return status;
}
