#include "include/weir/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/grown.h"
#include "base/json.h"
#include "base/replace.h"
#include "base/utf8.h"

static const int64_t MOST_NS = INT64_C(100) * 366 * 24 * 3600 * 1000000000;

struct weir_trace {
    struct weir_arena arena; /* names, rows, events */
    const char *path;
    struct weir_replacement file; /* open from the start where `path` is written in place */
    struct weir_trace_row *rows;
    int n_rows;
    struct weir_trace_event *events;
    size_t n_events, max_events, n_lost;
    const char *about; /* JSON; NULL: nothing */
};

/* Names and reserved colours of the Chrome trace format. */
static const struct {
    const char *name, *colour;
} categories[WEIR_TRACE_CATEGORIES] = {
    [WEIR_TRACE_FORWARD] = {"forward", "rail_response"}, [WEIR_TRACE_BACKWARD] = {"backward", "rail_animate"},
    [WEIR_TRACE_WEIGHT] = {"weight", "good"},            [WEIR_TRACE_COPY] = {"copy", "rail_load"},
    [WEIR_TRACE_OPTIMIZER] = {"optimizer", "olive"},     [WEIR_TRACE_WAIT] = {"wait", "grey"},
};

/* ---- open and close ------------------------------------------------------------------------------------------------ */

/* Can it be written?  What has a place of its own, a pipe, is kept open; a file is made when there is something for it. */
static weir_status file_open(weir_trace *trace)
{
    weir_status status = weir_replace_open(trace->path, NULL, &trace->file);
    if (!status && !trace->file.in_place)
        weir_replace_abort(&trace->file);
    return status ? weir_error_prefix(status, "trace: ") : WEIR_OK;
}

static bool is_text(const char *text)
{
    return text && weir_utf8_length((const unsigned char *)text, strlen(text)) == strlen(text);
}

static weir_status rows_check(const struct weir_trace_row *rows, int n_rows)
{
    if (n_rows < 0 || (n_rows && !rows))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a trace cannot have %d rows%s", n_rows, rows ? "" : " at NULL");
    for (int i = 0; i < n_rows; i++)
        if (!is_text(rows[i].name))
            return WEIR_FAIL(WEIR_ERR_INVALID, "row %d of the trace has %s", i, rows[i].name ? "a name that is no UTF-8" : "no name");
    return WEIR_OK;
}

static weir_status memory_take(weir_trace *trace, const char *path, const struct weir_trace_row *rows)
{
    weir_status status = weir_arena_strdup(&trace->arena, path, &trace->path);
    if (!status)
        status = weir_arena_alloc(&trace->arena, trace->max_events, sizeof *trace->events, &trace->events);
    if (!status)
        status = weir_arena_alloc(&trace->arena, (size_t)trace->n_rows, sizeof *trace->rows, &trace->rows);
    for (int i = 0; !status && i < trace->n_rows; i++) {
        trace->rows[i] = rows[i];
        status = weir_arena_strdup(&trace->arena, rows[i].name, &trace->rows[i].name);
    }
    return status;
}

weir_status weir_trace_open(const char *path, const struct weir_trace_row *rows, int n_rows, size_t max_events,
                            weir_trace **trace_out)
{
    weir_trace *trace;
    weir_status status = rows_check(rows, n_rows);
    if (!status)
        status = weir_alloc(1, sizeof *trace, &trace);
    if (status)
        return status;
    trace->n_rows = n_rows;
    trace->max_events = max_events;
    status = memory_take(trace, path, rows);
    if (!status)
        status = file_open(trace);
    if (status) {
        weir_trace_close(trace);
        return status;
    }
    *trace_out = trace;
    return WEIR_OK;
}

void weir_trace_close(weir_trace *trace)
{
    if (!trace)
        return;
    weir_replace_abort(&trace->file);
    weir_arena_release(&trace->arena);
    weir_free(trace);
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

void weir_trace_add_sized(weir_trace *trace, const struct weir_trace_event *events, size_t event_bytes, size_t n)
{
    size_t room = trace->max_events - trace->n_events, taken = n < room ? n : room;
    for (size_t i = 0; i < taken; i++)
        weir_grown_give((const char *)events + i * event_bytes, event_bytes, &trace->events[trace->n_events + i], sizeof *trace->events);
    trace->n_events += taken;
    trace->n_lost += n - taken;
}

weir_status weir_trace_about(weir_trace *trace, const char *json)
{
    json_t *root;
    if (!json)
        return WEIR_FAIL(WEIR_ERR_INVALID, "what a trace is about is a JSON object, not NULL");
    weir_status status = weir_json_parse(json, strlen(json), "what the trace is about", &root);
    if (status)
        return status;
    if (!json_is_object(root))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "what a trace is about is a JSON object, not '%.40s'", json);
    json_decref(root);
    return status ? status : weir_arena_strdup(&trace->arena, json, &trace->about);
}

size_t weir_trace_lost(const weir_trace *trace)
{
    return trace->n_lost;
}

/* ---- what can be written ------------------------------------------------------------------------------------------- */

static bool row_is_there(const weir_trace *trace, const struct weir_trace_event *event)
{
    for (int i = 0; i < trace->n_rows; i++)
        if (trace->rows[i].rank == event->rank && trace->rows[i].stream == event->stream)
            return true;
    return false;
}

static int64_t earliest(const weir_trace *trace)
{
    int64_t ns = trace->n_events ? trace->events[0].start_ns : 0;
    for (size_t i = 0; i < trace->n_events; i++)
        if (trace->events[i].start_ns < ns)
            ns = trace->events[i].start_ns;
    return ns;
}

/* What is wrong with an event, or NULL. */
static const char *event_flaw(const weir_trace *trace, const struct weir_trace_event *event, int64_t origin)
{
    if (!is_text(event->name))
        return event->name ? "has a name that is no UTF-8" : "has no name";
    if ((unsigned)event->category >= WEIR_TRACE_CATEGORIES)
        return "has a category that is not there";
    if (!row_is_there(trace, event))
        return "is of a row that was not given";
    if (event->end_ns < event->start_ns)
        return "ends before it starts";
    if ((uint64_t)event->end_ns - (uint64_t)origin > (uint64_t)MOST_NS || event->way_ns < -MOST_NS || event->way_ns > MOST_NS)
        return "has times beyond 100 years";
    if (event->cause && !is_text(event->cause))
        return "has a cause that is no UTF-8";
    if (event->cause && !is_text(event->awaited))
        return event->awaited ? "waited for a name that is no UTF-8" : "has a cause, and no name of what it waited for";
    return NULL;
}

/* When all are known, so that nothing is looked at within a step. */
static weir_status events_check(const weir_trace *trace)
{
    int64_t origin = earliest(trace);
    for (size_t i = 0; i < trace->n_events; i++) {
        const struct weir_trace_event *event = &trace->events[i];
        const char *flaw = event_flaw(trace, event, origin);
        if (flaw)
            return WEIR_FAIL(WEIR_ERR_INVALID, "event %zu, '%s', %s: rank %d, stream %d, category %d, from %lld to %lld ns", i,
                             is_text(event->name) ? event->name : "", flaw, event->rank, event->stream, (int)event->category,
                             (long long)event->start_ns, (long long)event->end_ns);
    }
    return WEIR_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static void string_write(FILE *file, const char *prefix, const char *text)
{
    fprintf(file, "\"%s", prefix);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20)
            fprintf(file, "\\u%04x", *c);
        else
            fprintf(file, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    fputc('"', file);
}

static void microseconds_write(FILE *file, const char *key, int64_t ns)
{
    long long size = ns < 0 ? -ns : ns; /* the clocks of two hosts may put a cause behind its effect */
    fprintf(file, ", \"%s\": %s%lld.%03d", key, ns < 0 ? "-" : "", size / 1000, (int)(size % 1000));
}

/* What the writing of one document carries along. */
struct writer {
    FILE *file;
    const char *separator; /* before the next item */
    int64_t origin;        /* time 0 of the document */
    uint64_t n_arrows;
};

static void item_begin(struct writer *writer, const char *phase, int rank, int stream)
{
    fprintf(writer->file, "%s{\"ph\": \"%s\", \"pid\": %d, \"tid\": %d", writer->separator, phase, rank, stream);
    writer->separator = ",\n";
}

static void metadata_write(struct writer *writer, const char *what, const struct weir_trace_row *row, const char *name,
                           int order)
{
    item_begin(writer, "M", row->rank, row->stream);
    fprintf(writer->file, ", \"name\": \"%s_name\", \"args\": {\"name\": ", what);
    string_write(writer->file, "", name);
    fprintf(writer->file, "}}");
    item_begin(writer, "M", row->rank, row->stream);
    fprintf(writer->file, ", \"name\": \"%s_sort_index\", \"args\": {\"sort_index\": %d}}", what, order);
}

static bool rank_is_new(const weir_trace *trace, int row)
{
    for (int i = 0; i < row; i++)
        if (trace->rows[i].rank == trace->rows[row].rank)
            return false;
    return true;
}

static void rows_write(struct writer *writer, const weir_trace *trace)
{
    for (int i = 0; i < trace->n_rows; i++) {
        const struct weir_trace_row *row = &trace->rows[i];
        char name[32];
        snprintf(name, sizeof name, "rank %d", row->rank);
        if (rank_is_new(trace, i))
            metadata_write(writer, "process", row, name, row->rank);
        metadata_write(writer, "thread", row, row->name, i);
    }
}

static void arguments_write(FILE *file, const struct weir_trace_event *event)
{
    const char *comma = "";
    fprintf(file, ", \"args\": {");
    if (event->stage >= 0) {
        fprintf(file, "\"stage\": %d", event->stage);
        comma = ", ";
    }
    if (event->mb >= 0) {
        fprintf(file, "%s\"mb\": %d", comma, event->mb);
        comma = ", ";
    }
    if (event->step >= 0) {
        fprintf(file, "%s\"step\": %lld", comma, (long long)event->step);
        comma = ", ";
    }
    if (event->cause) {
        fprintf(file, "%s\"cause\": ", comma);
        string_write(file, "", event->cause);
        fprintf(file, ", \"peer\": %d, \"awaited\": ", event->peer);
        string_write(file, "", event->awaited);
        microseconds_write(file, "way_us", event->way_ns);
    }
    fprintf(file, "}}");
}

static void event_write(struct writer *writer, const struct weir_trace_event *event)
{
    FILE *file = writer->file;
    item_begin(writer, "X", event->rank, event->stream);
    fprintf(file, ", \"name\": ");
    string_write(file, event->category == WEIR_TRACE_WAIT ? "wait " : "", event->name);
    fprintf(file, ", \"cat\": \"%s\", \"cname\": \"%s\"", categories[event->category].name,
            categories[event->category].colour);
    microseconds_write(file, "ts", event->start_ns - writer->origin);
    microseconds_write(file, "dur", event->end_ns - event->start_ns);
    arguments_write(file, event);
}

/* One end of an arrow. */
static void arrow_end_write(struct writer *writer, const char *phase, int rank, int stream, int64_t ns)
{
    item_begin(writer, phase, rank, stream);
    fprintf(writer->file, ", \"bp\": \"e\", \"name\": \"awaited\", \"cat\": \"flow\", \"id\": %llu",
            (unsigned long long)writer->n_arrows);
    microseconds_write(writer->file, "ts", ns - writer->origin);
    fprintf(writer->file, "}");
}

/* It leaves within the event that was awaited and arrives where the wait ends and the next event starts. */
static void arrow_write(struct writer *writer, const struct weir_trace_event *wait)
{
    int64_t made_ns = wait->end_ns - wait->way_ns;
    if (!wait->cause)
        return;
    writer->n_arrows++;
    arrow_end_write(writer, "s", wait->peer, 0, made_ns > writer->origin ? made_ns - 1 : made_ns);
    arrow_end_write(writer, "f", wait->rank, wait->stream, wait->end_ns);
}

static void document_write(const weir_trace *trace, FILE *file)
{
    struct writer writer = {file, "", earliest(trace), 0};
    fprintf(file, "{\"displayTimeUnit\": \"ns\", \"lostEvents\": %zu,", trace->n_lost);
    if (trace->about)
        fprintf(file, " \"otherData\": %s,", trace->about);
    fprintf(file, " \"traceEvents\": [\n");
    rows_write(&writer, trace);
    for (size_t i = 0; i < trace->n_events; i++) {
        const struct weir_trace_event *event = &trace->events[i];
        event_write(&writer, event);
        arrow_write(&writer, event);
    }
    fprintf(file, "\n]}\n");
}

/* 0, or the errno of what failed. */
static int stream_write(const weir_trace *trace)
{
    int fd = fcntl(trace->file.fd, F_DUPFD_CLOEXEC, 0);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        return errno;
    errno = 0;
    document_write(trace, file);
    bool bad = fflush(file) != 0 || ferror(file);
    int reason = errno;
    if (fclose(file) != 0 && !bad) {
        bad = true;
        reason = errno;
    }
    return !bad ? 0 : reason ? reason : EIO;
}

weir_status weir_trace_write(weir_trace *trace)
{
    weir_status status = events_check(trace);
    if (!status && !trace->file.in_place)
        status = weir_replace_open(trace->path, NULL, &trace->file);
    int reason = status ? 0 : stream_write(trace);
    if (reason)
        status = WEIR_FAIL(WEIR_ERR_IO, "cannot write '%s': %s", trace->path, strerror(reason));
    if (!status)
        status = weir_replace_commit(&trace->file);
    else
        weir_replace_abort(&trace->file);
    return status ? weir_error_prefix(status, "trace: ") : WEIR_OK;
}
