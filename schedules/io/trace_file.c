#include "schedules/io/trace_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/printable.h"
#include "base/text.h"

enum { LONGEST_NAME = 128, MOST_STREAMS = 1 << 20 };

static const size_t LARGEST_TRACE = (size_t)256 << 20; /* its document takes some ten times as much */

struct reader {
    struct weir_arena *arena;
    struct weir_traced *out;
    struct weir_traced_event *events;
    size_t n_events, index; /* in traceEvents */
    char where[320];        /* "'t.json': traceEvents[17]" */
};

/* ---- members ------------------------------------------------------------------------------------------------------- */

static weir_status integer_take(const struct reader *r, const json_t *object, const char *key, int64_t low, int64_t high,
                                int64_t *value_out)
{
    weir_status status = weir_json_integer(object, r->where, key, value_out);
    if (!status && (*value_out < low || *value_out > high))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is %lld, which its schedule has not: it is %lld to %lld", r->where, key,
                           (long long)*value_out, (long long)low, (long long)high);
    return status;
}

/* A time in microseconds, in the unit of the result. */
static weir_status time_take(const struct reader *r, const json_t *object, const char *key, double *value_out)
{
    double value = 0;
    weir_status status = weir_json_number(object, r->where, key, &value);
    if (!status && !(value >= 0))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is %g, which is no time", r->where, key, value);
    *value_out = value / 1000;
    return status;
}

static weir_status optional_time_take(const struct reader *r, const json_t *object, const char *key, double *value_out)
{
    return json_object_get(object, key) ? time_take(r, object, key, value_out) : WEIR_OK;
}

static weir_status string_take(const struct reader *r, const json_t *object, const char *key, const char **value_out)
{
    char shown[LONGEST_NAME];
    const char *text = json_string_value(json_object_get(object, key));
    if (!text)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is no string", r->where, key);
    return weir_arena_strdup(r->arena, weir_printable(text, shown, sizeof shown), value_out);
}

static weir_status optional_string_take(const struct reader *r, const json_t *object, const char *key, const char **value_out)
{
    return json_object_get(object, key) ? string_take(r, object, key, value_out) : WEIR_OK;
}

/* ---- one event ----------------------------------------------------------------------------------------------------- */

static weir_status kind_find(const struct reader *r, const json_t *event, const char *name, enum weir_traced_kind *out)
{
    static const char *const names[] = {"forward", "weight", "overlap", "copy", "optimizer", "wait", "backward", NULL};
    static const enum weir_traced_kind kinds[] = {WEIR_TRACED_F,    WEIR_TRACED_W,         WEIR_TRACED_OVERLAP,
                                                  WEIR_TRACED_COPY, WEIR_TRACED_OPTIMIZER, WEIR_TRACED_WAIT};
    const char *category = json_string_value(json_object_get(event, "cat"));
    int i = 0;
    while (names[i] && (!category || strcmp(category, names[i]) != 0))
        i++;
    if (!names[i])
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: its category is none of forward, backward, weight, overlap, copy, optimizer and wait",
                         r->where);
    if (!strcmp(names[i], "backward"))
        *out = name[strspn(name, "0123456789")] == 'I' ? WEIR_TRACED_I : WEIR_TRACED_B;
    else
        *out = kinds[i];
    return WEIR_OK;
}

static bool acts(const struct weir_traced_event *e)
{
    return e->kind <= WEIR_TRACED_OVERLAP;
}

/* "1F0", or "1F0 (start)" of an action in parts. */
static weir_status name_check(const struct reader *r, const struct weir_traced_event *e)
{
    static const uint8_t types[] = {WEIR_F, WEIR_I, WEIR_W, WEIR_B, WEIR_F};
    char action[WEIR_ACTION_TEXT];
    weir_action_str(&(struct weir_action){e->stage, e->mb, types[e->kind], 0}, action);
    size_t n = strlen(action);
    if (strncmp(e->name, action, n) != 0 || (e->name[n] && e->name[n] != ' '))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: it is called '%s', its arguments are those of %s", r->where, e->name, action);
    return WEIR_OK;
}

static weir_status place_take(const struct reader *r, const json_t *args, const char *stage_key, const char *mb_key, int *stage_out,
                              int *mb_out)
{
    int64_t stage = -1, mb = -1;
    weir_status status = integer_take(r, args, stage_key, 0, r->out->schedule.n_stages - 1, &stage);
    if (!status)
        status = integer_take(r, args, mb_key, 0, r->out->schedule.n_microbatches - 1, &mb);
    *stage_out = (int)stage;
    *mb_out = (int)mb;
    return status;
}

static weir_status action_take(const struct reader *r, const json_t *args, struct weir_traced_event *e)
{
    weir_status status = place_take(r, args, "stage", "mb", &e->stage, &e->mb);
    if (!status && e->kind == WEIR_TRACED_OVERLAP)
        status = place_take(r, args, "partner_stage", "partner_mb", &e->partner_stage, &e->partner_mb);
    return status ? status : name_check(r, e);
}

static weir_status wait_take(const struct reader *r, const json_t *args, struct weir_traced_event *e)
{
    int64_t peer = -1;
    weir_status status = optional_string_take(r, args, "cause", &e->cause);
    if (!status && e->cause)
        status = integer_take(r, args, "peer", 0, r->out->n_ranks - 1, &peer);
    if (!status && e->cause)
        status = optional_string_take(r, args, "awaited", &e->awaited);
    if (!status && e->cause)
        status = optional_time_take(r, args, "way_us", &e->way);
    if (!status && e->cause)
        status = optional_string_take(r, args, "held_by", &e->held_by);
    if (!status && e->held_by)
        status = time_take(r, args, "held_us", &e->held);
    e->peer = (int)peer;
    e->way = fmin(e->way, e->end - e->start);
    e->held = fmin(e->held, e->way);
    return status;
}

static weir_status times_take(const struct reader *r, const json_t *event, struct weir_traced_event *e)
{
    double length = 0;
    weir_status status = time_take(r, event, "ts", &e->start);
    if (!status)
        status = time_take(r, event, "dur", &length);
    e->end = e->start + length;
    if (!status && !isfinite(e->end))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: it ends at no number", r->where);
    return status;
}

static weir_status event_take(struct reader *r, const json_t *event)
{
    struct weir_traced_event e = {.stage = -1, .mb = -1, .partner_stage = -1, .partner_mb = -1, .peer = -1};
    const json_t *args = json_object_get(event, "args");
    int64_t rank = 0, stream = 0;
    weir_status status = integer_take(r, event, "pid", 0, r->out->n_ranks - 1, &rank);
    if (!status)
        status = integer_take(r, event, "tid", 0, MOST_STREAMS, &stream);
    if (!status)
        status = string_take(r, event, "name", &e.name);
    if (!status)
        status = kind_find(r, event, e.name, &e.kind);
    if (!status)
        status = times_take(r, event, &e);
    if (!status)
        status = integer_take(r, args, "step", 1, INT64_MAX, &e.step);
    e.rank = (int)rank;
    e.stream = (int)stream;
    if (!status && acts(&e))
        status = action_take(r, args, &e);
    if (!status && e.kind == WEIR_TRACED_WAIT)
        status = wait_take(r, args, &e);
    if (!status)
        r->events[r->n_events++] = e;
    return status;
}

/* ---- the document -------------------------------------------------------------------------------------------------- */

static weir_status no_trace(const struct reader *r, const char *what)
{
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no trace of Weir: %s", r->out->name, what);
}

static weir_status about_take(struct reader *r, const json_t *root)
{
    const json_t *about = json_object_get(root, "otherData"), *lost = json_object_get(root, "lostEvents");
    const char *schedule = json_string_value(json_object_get(about, "schedule"));
    int64_t ranks = json_integer_value(json_object_get(about, "ranks"));
    int64_t replicas = json_integer_value(json_object_get(about, "replicas"));
    if (!schedule)
        return no_trace(r, "it does not say which schedule was run");
    weir_status status = weir_schedule_csv_parse(schedule, strlen(schedule), r->out->name, WEIR_CSV_TORCH, r->arena,
                                                 &r->out->schedule);
    if (status)
        return status;
    if (ranks != r->out->schedule.n_ranks || replicas < 1 || replicas > 65536)
        return no_trace(r, "ranks and replicas are not those of its schedule");
    if (lost && (!json_is_integer(lost) || json_integer_value(lost) < 0))
        return no_trace(r, "'lostEvents' is no number of events");
    r->out->n_lost = (size_t)json_integer_value(lost);
    r->out->simulated = json_object_get(about, "unit") != NULL;
    r->out->n_replicas = (int)replicas;
    r->out->n_ranks = (int)(ranks * replicas);
    return WEIR_OK;
}

static weir_status events_take(struct reader *r, const json_t *root)
{
    const json_t *events = json_object_get(root, "traceEvents");
    size_t n = json_array_size(events);
    weir_status status = n ? weir_arena_alloc(r->arena, n, sizeof *r->events, &r->events) : no_trace(r, "it has no events");
    for (r->index = 0; r->index < n && !status; r->index++) {
        const json_t *event = json_array_get(events, r->index);
        const char *phase = json_string_value(json_object_get(event, "ph"));
        snprintf(r->where, sizeof r->where, "'%.255s': traceEvents[%zu]", r->out->name, r->index);
        if (!phase)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'ph' is no string", r->where);
        else if (!strcmp(phase, "X"))
            status = event_take(r, event);
    }
    if (!status && !r->n_events)
        status = no_trace(r, "it has no events of instructions");
    return status;
}

/* ---- in order ------------------------------------------------------------------------------------------------------ */

static int by_place(const void *a, const void *b)
{
    const struct weir_traced_event *x = a, *y = b;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank - y->rank;
    if (x->stream != y->stream)
        return x->stream - y->stream;
    return x->start != y->start ? (x->start > y->start) - (x->start < y->start) : (x->end > y->end) - (x->end < y->end);
}

/* Rounding of ts + dur; both have at most some fifteen digits. */
static double slack(double time)
{
    return 1e-12 * time;
}

/* What touches its neighbour in the file ends where that starts; nothing overlaps on a compute stream. */
static weir_status neighbours_join(const struct reader *r)
{
    for (size_t i = 1; i < r->n_events; i++) {
        struct weir_traced_event *a = &r->events[i - 1];
        const struct weir_traced_event *b = &r->events[i];
        if (a->step != b->step || a->rank != b->rank || a->stream || b->stream)
            continue;
        if (fabs(a->end - b->start) <= slack(b->start))
            a->end = b->start;
        if (a->end > b->start)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': rank %d does '%s' until %.6f ms, and '%s' from %.6f ms on", r->out->name,
                             a->rank, a->name, a->end, b->name, b->start);
    }
    return WEIR_OK;
}

struct step_length {
    double length;
    int64_t step;
};

static int by_length(const void *a, const void *b)
{
    const struct step_length *x = a, *y = b;
    return x->length != y->length ? (x->length > y->length) - (x->length < y->length) : (x->step > y->step) - (x->step < y->step);
}

/* The median of the steps behind the first. */
static weir_status typical_find(const struct reader *r)
{
    const struct weir_traced_event *events = r->events;
    struct step_length *lengths;
    size_t n = 0, first = weir_traced_step(r->out, r->out->first_step, &events);
    weir_status status = weir_arena_alloc(r->arena, r->n_events, sizeof *lengths, &lengths);
    for (size_t i = first; !status && i < r->n_events; n++) {
        lengths[n] = (struct step_length){weir_traced_length(r->out, r->events[i].step), r->events[i].step};
        i += weir_traced_step(r->out, r->events[i].step, &events);
    }
    if (!status && n)
        qsort(lengths, n, sizeof *lengths, by_length);
    r->out->typical_step = n && !status ? lengths[(n - 1) / 2].step : r->out->first_step;
    return status;
}

static weir_status root_read(struct reader *r, const json_t *root)
{
    weir_status status = about_take(r, root);
    if (!status)
        status = events_take(r, root);
    if (status)
        return status;
    qsort(r->events, r->n_events, sizeof *r->events, by_place);
    r->out->events = r->events;
    r->out->n_events = r->n_events;
    r->out->first_step = r->events[0].step;
    r->out->last_step = r->events[r->n_events - 1].step;
    status = neighbours_join(r);
    return status ? status : typical_find(r);
}

bool weir_traced_is(const char *text, size_t bytes)
{
    size_t i = 0;
    while (i < bytes && text[i] && strchr(" \t\r\n", text[i]))
        i++;
    return i < bytes && text[i] == '{';
}

weir_status weir_traced_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena, struct weir_traced *out)
{
    struct weir_traced trace = {0};
    struct reader r = {.arena = arena, .out = &trace};
    json_t *root;
    weir_status status = bytes > LARGEST_TRACE ? WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is larger than the %zu bytes read of a trace", name,
                                                           LARGEST_TRACE)
                                               : weir_json_parse(text, bytes, name, &root);
    if (status)
        return status;
    status = weir_arena_strdup(arena, name, &trace.name);
    if (!status)
        status = root_read(&r, root);
    json_decref(root);
    if (!status)
        *out = trace;
    return status;
}

weir_status weir_traced_load(const char *path, struct weir_arena *arena, struct weir_traced *out)
{
    char *text;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_TRACE, &text, &bytes);
    if (status)
        return status;
    status = weir_traced_parse(text, bytes, path, arena, out);
    weir_free(text);
    return status;
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

/* The first event of a step at or behind `step`. */
static size_t step_find(const struct weir_traced *trace, int64_t step)
{
    size_t low = 0, high = trace->n_events;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (trace->events[middle].step < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t weir_traced_step(const struct weir_traced *trace, int64_t step, const struct weir_traced_event **events_out)
{
    size_t from = step_find(trace, step), to = step < INT64_MAX ? step_find(trace, step + 1) : trace->n_events;
    *events_out = trace->events + from;
    return to - from;
}

double weir_traced_length(const struct weir_traced *trace, int64_t step)
{
    const struct weir_traced_event *events;
    size_t n = weir_traced_step(trace, step, &events);
    double first = INFINITY, last = 0;
    for (size_t i = 0; i < n; i++) {
        first = fmin(first, events[i].start);
        last = fmax(last, events[i].end);
    }
    return n ? last - first : 0;
}
