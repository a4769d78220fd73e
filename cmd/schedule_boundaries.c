#include "cmd/schedule_boundaries.h"

#include <ctype.h>
#include <string.h>

#include "engine/program/stage_costs.h"
#include "include/weir/graph.h"

weir_status schedule_model_build(const char *model, int64_t microbatch_size, int64_t seq_len, struct weir_arena *arena,
                                 const struct weir_graph **graph_out)
{
    const struct weir_model_kind *kind;
    struct weir_model_params params = {.microbatch_size = microbatch_size, .seq_len = seq_len};
    weir_status status = weir_model_open(model, arena, &kind);
    if (status)
        return status;
    if (kind->data == WEIR_DATA_IMAGES)
        params.n_inputs = 784, params.n_classes = 10;
    return weir_model_build(kind, &params, arena, graph_out);
}

/* ---- a list ---------------------------------------------------------------------------------------------------------- */

struct list {
    struct weir_arena *arena;
    struct weir_schedule_boundary *items;
    size_t room;
    int n;
};

static weir_status add(struct list *list, int from, int to)
{
    weir_status status = weir_arena_grow(list->arena, &list->items, &list->room, (size_t)list->n + 1, sizeof *list->items);
    if (!status)
        list->items[list->n++] = (struct weir_schedule_boundary){from, to};
    return status;
}

/* The number that `text` is, to its end. */
static bool stage_read(const char *text, int *stage_out)
{
    int64_t value;
    if (!isdigit((unsigned char)*text) || !weir_parse_int64(text, &value) || value > INT32_MAX)
        return false;
    *stage_out = (int)value;
    return true;
}

static weir_status item_read(struct list *list, const char *item, int n_stages)
{
    char word[32] = "";
    int from, to;
    weir_status status = WEIR_OK;
    if (!strcmp(item, "neighbours")) {
        for (int s = 1; s < n_stages && !status; s++)
            status = add(list, s - 1, s);
        return status;
    }
    strncpy(word, item, sizeof word - 1);
    char *dash = strchr(word, '-');
    if (dash)
        *dash = 0;
    if (!dash || strlen(item) >= sizeof word || !stage_read(word, &from) || !stage_read(dash + 1, &to))
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%.40s' is no boundary: --boundaries takes pairs of stages as 0-3, or the word neighbours, "
                         "with commas between them", item);
    return add(list, from, to);
}

static weir_status list_take(const char *text, struct weir_arena *arena, struct weir_schedule *schedule)
{
    struct list list = {.arena = arena};
    weir_status status = WEIR_OK;
    for (const char *at = text, *end; at && !status; at = *end ? end + 1 : NULL) {
        const char *item;
        end = strchrnul(at, ',');
        status = weir_arena_printf(arena, &item, "%.*s", (int)(end - at), at);
        if (!status)
            status = item_read(&list, item, schedule->n_stages);
    }
    if (!status)
        status = weir_schedule_boundaries_set(schedule, list.items, list.n, arena);
    return status ? status : weir_schedule_boundaries_feed(schedule);
}

/* ---- a model --------------------------------------------------------------------------------------------------------- */

static weir_status model_take(const char *model, struct weir_arena *arena, struct weir_schedule *schedule)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    const struct weir_schedule_boundary *boundaries;
    int n;
    weir_status status = schedule_model_build(model, 1, 0, arena, &config.graph);
    if (!status)
        status = weir_stage_boundaries_find(&config, schedule->n_stages, arena, &boundaries, &n);
    return status ? status : weir_schedule_boundaries_set(schedule, boundaries, n, arena);
}

weir_status schedule_boundaries_take(const struct schedule_boundary_options *options, struct weir_arena *arena,
                                     struct weir_schedule *schedule)
{
    if (options->model && options->list)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--model and --boundaries exclude each other: both say what stages hand to each other");
    if (options->model)
        return model_take(options->model, arena, schedule);
    return options->list ? list_take(options->list, arena, schedule) : WEIR_OK;
}

void schedule_boundaries_print(const struct weir_schedule *schedule, struct weir_text *text)
{
    for (int b = 0; b < schedule->n_boundaries; b++)
        weir_text_append(text, "%s%d-%d", b ? " " : "", schedule->boundaries[b].from, schedule->boundaries[b].to);
}
