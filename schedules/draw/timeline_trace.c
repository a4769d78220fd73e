/* A timeline out of a trace.
 *
 * The trace says who waited for whom; from that the critical path follows.  It is walked backwards from what ended last: what had
 * to wait with a cause comes after the event that was awaited, anything else after the event before it on its rank.
 *
 * A trace does not say what ranks hold: activations are counted, as a schedule holds them, over the times of the trace. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "schedules/draw/timeline.h"

struct build {
    const struct weir_traced *trace;
    const struct weir_traced_event *from; /* the step's, by rank, stream and time */
    size_t n;
    double origin;
    struct weir_arena *arena;
    struct weir_timeline *out;
    struct weir_timeline_rank *ranks;
    struct weir_timeline_event *events; /* of all ranks */
    struct weir_timeline_wait *waits;
    struct weir_timeline_level *levels;
    bool trainable;
};

/* ---- events and waits ---------------------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *word)
{
    return !strncmp(text, word, strlen(word));
}

static enum weir_timeline_kind kind_of(const struct weir_traced_event *e)
{
    static const enum weir_timeline_kind kinds[] = {WEIR_TIMELINE_F, WEIR_TIMELINE_I, WEIR_TIMELINE_W, WEIR_TIMELINE_B,
                                                    WEIR_TIMELINE_OVERLAP};
    if (e->kind <= WEIR_TRACED_OVERLAP)
        return kinds[e->kind];
    if (e->kind == WEIR_TRACED_OPTIMIZER && !starts_with(e->name, "reduce") && !starts_with(e->name, "tied"))
        return starts_with(e->name, "gather") ? WEIR_TIMELINE_OTHER : WEIR_TIMELINE_OPTIMIZER;
    return starts_with(e->name, "parameters") ? WEIR_TIMELINE_OTHER : WEIR_TIMELINE_REDUCE;
}

/* Transfers are drawn as waits, where somebody waits for them. */
static bool is_drawn(const struct weir_traced_event *e)
{
    return e->kind < WEIR_TRACED_COPY || e->kind == WEIR_TRACED_OPTIMIZER ||
           (e->kind == WEIR_TRACED_COPY && !strstr(e->name, "RECV_") && !strstr(e->name, "SEND_"));
}

static void event_add(struct build *b, const struct weir_traced_event *e)
{
    struct weir_timeline_rank *rank = &b->ranks[e->rank];
    struct weir_timeline_event *event = &b->events[rank->n_events++];
    bool whole = e->kind <= WEIR_TRACED_OVERLAP && !strchr(e->name, '(');
    *event = (struct weir_timeline_event){.start = e->start - b->origin, .end = e->end - b->origin, .stage = e->stage, .mb = e->mb,
                                          .partner_stage = e->partner_stage, .partner_mb = e->partner_mb,
                                          .name = whole ? NULL : e->name, .kind = (uint8_t)kind_of(e), .beside = e->stream > 0};
    if (!event->beside)
        rank->busy += event->end - event->start;
}

static void wait_add(struct build *b, const struct weir_traced_event *e)
{
    struct weir_timeline_rank *rank = &b->ranks[e->rank];
    b->waits[rank->n_waits++] = (struct weir_timeline_wait){
        .start = e->start - b->origin, .made = e->end - e->way - b->origin, .end = e->end - b->origin, .held = e->held, .cause = e->cause,
        .held_by = e->held_by, .awaited = e->awaited, .peer = e->peer};
}

/* A rank that is done before the last one: nobody is awaited. */
static void end_add(struct build *b, struct weir_timeline_rank *rank)
{
    double end = 0, length = b->out->length;
    for (size_t i = 0; i < rank->n_events; i++)
        end = fmax(end, rank->events[i].end);
    for (size_t i = 0; i < rank->n_waits; i++)
        end = fmax(end, rank->waits[i].end);
    if (end < length)
        b->waits[rank->n_waits++] = (struct weir_timeline_wait){.start = end, .made = length, .end = length, .peer = -1};
}

static void rank_fill(struct build *b, size_t *at, int r)
{
    struct weir_timeline_rank *rank = &b->ranks[r];
    rank->events = b->events;
    rank->waits = b->waits;
    for (; *at < b->n && b->from[*at].rank == r; ++*at)
        if (b->from[*at].kind == WEIR_TRACED_WAIT)
            wait_add(b, &b->from[*at]);
        else if (is_drawn(&b->from[*at]))
            event_add(b, &b->from[*at]);
    b->events += rank->n_events;
    end_add(b, rank);
    b->waits += rank->n_waits;
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

/* "1B0 (start)" holds on; the last part gives back. */
static bool ends_here(const struct weir_timeline_event *e)
{
    const char *part = e->name ? strchr(e->name, '(') : NULL;
    return !part || starts_with(part, "(end");
}

static bool starts_here(const struct weir_timeline_event *e)
{
    const char *part = e->name ? strchr(e->name, '(') : NULL;
    return !part || starts_with(part, "(start");
}

static void level_add(struct build *b, struct weir_timeline_rank *rank, double time, double change)
{
    double held = rank->n_levels ? b->levels[rank->n_levels - 1].held : 0;
    b->levels[rank->n_levels++] = (struct weir_timeline_level){time, held + change};
    rank->peak = fmax(rank->peak, held + change);
}

static void levels_fill(struct build *b, int r)
{
    struct weir_timeline_rank *rank = &b->ranks[r];
    rank->levels = b->levels;
    for (size_t i = 0; i < rank->n_events; i++) {
        const struct weir_timeline_event *e = &rank->events[i];
        bool forward = e->kind == WEIR_TIMELINE_F || e->kind == WEIR_TIMELINE_OVERLAP;
        bool back = e->kind == WEIR_TIMELINE_W || e->kind == WEIR_TIMELINE_B || e->kind == WEIR_TIMELINE_OVERLAP;
        if (forward && starts_here(e))
            level_add(b, rank, e->start, 1);
        if ((back || (forward && !b->trainable)) && ends_here(e))
            level_add(b, rank, e->end, -1);
    }
    b->levels += rank->n_levels;
}

/* ---- the critical path --------------------------------------------------------------------------------------------- */

/* The last event of a rank's compute stream that has ended at `time`; -1: none. */
static long event_before(const struct weir_timeline_rank *rank, double time)
{
    size_t low = 0, high = rank->n_events;
    while (low < high) { /* those of the compute stream come first */
        size_t middle = low + (high - low) / 2;
        if (!rank->events[middle].beside && rank->events[middle].end <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return (long)low - 1;
}

/* The wait with a cause that ends where an event starts; NULL: it did not wait for another. */
static const struct weir_timeline_wait *wait_before(const struct weir_timeline_rank *rank, double start)
{
    size_t low = 0, high = rank->n_waits;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rank->waits[middle].end < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < rank->n_waits && rank->waits[low].end == start && rank->waits[low].cause ? &rank->waits[low] : NULL;
}

static struct weir_timeline_place last_place(const struct build *b)
{
    struct weir_timeline_place last = {-1, 0};
    double end = -1;
    for (int r = 0; r < b->out->n_ranks; r++)
        for (size_t i = 0; i < b->ranks[r].n_events && !b->ranks[r].events[i].beside; i++)
            if (b->ranks[r].events[i].end > end) {
                end = b->ranks[r].events[i].end;
                last = (struct weir_timeline_place){r, i};
            }
    return last;
}

/* What came before: true, and where, as long as the path goes back in time. */
static bool step_back(const struct build *b, struct weir_timeline_place *at)
{
    const struct weir_timeline_rank *rank = &b->ranks[at->rank];
    double start = rank->events[at->event].start;
    const struct weir_timeline_wait *wait = wait_before(rank, start);
    if (wait && wait->peer != at->rank) {
        long awaited = event_before(&b->ranks[wait->peer], wait->made * (1 + 1e-12));
        if (awaited >= 0 && b->ranks[wait->peer].events[awaited].start < start) {
            *at = (struct weir_timeline_place){wait->peer, (size_t)awaited};
            return true;
        }
    }
    if (at->event == 0)
        return false;
    at->event--;
    return true;
}

static weir_status path_make(struct build *b, struct weir_timeline_event *events)
{
    struct weir_timeline_place *path, at = last_place(b);
    size_t n = 0;
    weir_status status = weir_arena_alloc(b->arena, b->n, sizeof *path, &path);
    if (status || at.rank < 0)
        return status;
    do {
        path[b->n - ++n] = at;
        events[b->ranks[at.rank].events - events + (ptrdiff_t)at.event].critical = true;
    } while (n < b->n && step_back(b, &at));
    b->out->path = path + b->n - n;
    b->out->n_path = n;
    return WEIR_OK;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static void bubbles_find(struct weir_timeline *t)
{
    double busiest = 0, longest = 0, busy = 0;
    for (int r = 0; r < t->n_ranks; r++) {
        const struct weir_timeline_rank *rank = &t->ranks[r];
        double first = t->length, last = 0;
        for (size_t i = 0; i < rank->n_events; i++) {
            first = fmin(first, rank->events[i].start);
            last = fmax(last, rank->events[i].end);
        }
        longest = fmax(longest, last - first);
        busiest = fmax(busiest, rank->busy);
        busy += rank->busy;
    }
    t->bubble = t->length > 0 ? 1 - busiest / t->length : 0;
    t->bubble_span = longest > 0 ? 1 - busiest / longest : 0;
    t->idle_mean = t->length > 0 ? 1 - busy / (t->n_ranks * t->length) : 0;
}

static weir_status memory_take(struct build *b)
{
    weir_status status = weir_arena_alloc(b->arena, (size_t)b->out->n_ranks, sizeof *b->ranks, &b->ranks);
    if (!status)
        status = weir_arena_alloc(b->arena, b->n, sizeof *b->events, &b->events);
    if (!status)
        status = weir_arena_alloc(b->arena, b->n + (size_t)b->out->n_ranks, sizeof *b->waits, &b->waits);
    return status ? status : weir_arena_alloc(b->arena, 2 * b->n, sizeof *b->levels, &b->levels);
}

static void step_look(struct build *b)
{
    b->origin = INFINITY;
    for (size_t i = 0; i < b->n; i++) {
        b->origin = fmin(b->origin, b->from[i].start);
        b->trainable |= b->from[i].kind == WEIR_TRACED_I || b->from[i].kind == WEIR_TRACED_B;
    }
}

weir_status weir_timeline_traced(const struct weir_traced *trace, int64_t step, const char *title, struct weir_arena *arena,
                                 struct weir_timeline *out)
{
    struct weir_timeline timeline = {.unit = trace->simulated ? "" : "ms", .held_unit = "activations", .n_ranks = trace->n_ranks,
                                     .n_stages = trace->schedule.n_stages, .n_microbatches = trace->schedule.n_microbatches};
    struct build b = {.trace = trace, .arena = arena, .out = &timeline};
    b.n = weir_traced_step(trace, step, &b.from);
    if (!b.n)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has no step %lld: it has %lld to %lld", trace->name, (long long)step,
                         (long long)trace->first_step, (long long)trace->last_step);
    weir_status status = memory_take(&b);
    if (status)
        return status;
    struct weir_timeline_event *events = b.events;
    timeline.length = weir_traced_length(trace, step);
    step_look(&b);
    size_t at = 0;
    for (int r = 0; r < timeline.n_ranks; r++) {
        rank_fill(&b, &at, r);
        levels_fill(&b, r);
    }
    timeline.ranks = b.ranks;
    bubbles_find(&timeline);
    status = path_make(&b, events);
    if (!status)
        status = weir_arena_strdup(arena, title, &timeline.title);
    if (!status)
        *out = timeline;
    return status;
}
