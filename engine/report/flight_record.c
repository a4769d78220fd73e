#include "include/weir/trace.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/grown.h"
#include "base/json.h"

struct reader {
    const char *path;
    struct weir_arena *arena;
    weir_status status; /* the first failure */
};

static const char *text_of(struct reader *reader, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key)), *copy = "";
    if (!text && !reader->status)
        reader->status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no flight record: '%s' is no text", reader->path, key);
    if (!reader->status)
        reader->status = weir_arena_strdup(reader->arena, text, &copy);
    return copy;
}

static int64_t whole_of(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) && !reader->status)
        reader->status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no flight record: '%s' is no whole number", reader->path, key);
    return json_integer_value(value);
}

static double real_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Room for as many as the list has; *n_out is 0 after a failure. */
static void *list_alloc(struct reader *reader, const json_t *list, size_t size, int *n_out)
{
    void *items = NULL;
    size_t n = json_array_size(list);
    if (!json_is_array(list) && !reader->status)
        reader->status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no flight record: a list is missing", reader->path);
    if (!reader->status)
        reader->status = weir_arena_alloc(reader->arena, n, size, &items);
    *n_out = reader->status ? 0 : (int)n;
    return items;
}

static void waits_read(struct reader *reader, const json_t *list, struct weir_flight_rank *rank)
{
    struct weir_flight_wait *waits = list_alloc(reader, list, sizeof *waits, &rank->n_waits);
    for (int i = 0; i < rank->n_waits; i++) {
        const json_t *item = json_array_get(list, (size_t)i);
        waits[i] = (struct weir_flight_wait){(int)whole_of(reader, item, "rank"), text_of(reader, item, "instruction"),
                                             text_of(reader, item, "why")};
    }
    rank->waits = waits;
}

static void lines_read(struct reader *reader, const json_t *list, struct weir_flight_rank *rank)
{
    struct weir_flight_line *lines = list_alloc(reader, list, sizeof *lines, &rank->n_lines);
    for (int i = 0; i < rank->n_lines; i++) {
        const json_t *item = json_array_get(list, (size_t)i);
        lines[i] = (struct weir_flight_line){.instruction = text_of(reader, item, "instruction"),
                                             .step = whole_of(reader, item, "step"),
                                             .evaluates = json_is_true(json_object_get(item, "evaluates")),
                                             .awaits_s = real_of(item, "awaits_s"),
                                             .start_s = real_of(item, "start_s"),
                                             .end_s = real_of(item, "end_s")};
    }
    rank->lines = lines;
}

static void rank_read(struct reader *reader, const json_t *item, struct weir_flight_rank *rank)
{
    *rank = (struct weir_flight_rank){.rank = (int)whole_of(reader, item, "rank"), .process = whole_of(reader, item, "process"),
                                      .host = text_of(reader, item, "host"), .state = text_of(reader, item, "state")};
    if (json_object_get(item, "instruction")) {
        rank->instruction = text_of(reader, item, "instruction");
        rank->step = whole_of(reader, item, "step");
        rank->for_s = real_of(item, "for_s");
    }
    if (json_object_get(item, "waits"))
        waits_read(reader, json_object_get(item, "waits"), rank);
    lines_read(reader, json_object_get(item, "entries"), rank);
}

weir_status weir_flight_record_load_sized(const char *path, struct weir_arena *arena, struct weir_flight_record *out, size_t out_bytes,
                                          bool *is_record_out)
{
    struct reader reader = {.path = path, .arena = arena};
    struct weir_flight_record record = {0};
    json_t *root = NULL;
    weir_status status = weir_json_load(path, &root);
    if (status)
        return status;
    const json_t *version = json_object_get(root, "weir_flight");
    *is_record_out = version;
    if (version && json_integer_value(version) != 1)
        reader.status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a flight record of another version of Weir than this one", path);
    if (version && !reader.status) {
        const json_t *list = json_object_get(root, "ranks");
        record.why = text_of(&reader, root, "why");
        struct weir_flight_rank *ranks = list_alloc(&reader, list, sizeof *ranks, &record.n_ranks);
        for (int i = 0; i < record.n_ranks && !reader.status; i++)
            rank_read(&reader, json_array_get(list, (size_t)i), &ranks[i]);
        record.ranks = ranks;
    }
    json_decref(root);
    if (!reader.status && version)
        weir_grown_give(&record, sizeof record, out, out_bytes);
    return reader.status;
}
