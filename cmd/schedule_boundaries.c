#include "cmd/schedule_boundaries.h"

#include <ctype.h>
#include <string.h>

#include "include/weir/graph.h"
#include "include/weir/plan.h"

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

/* `cut`: NULL, as weir train cuts it by default. */
static weir_status graph_take(const struct weir_graph *graph, const struct weir_layer_cut *cut, struct weir_arena *arena,
                              struct weir_schedule *schedule)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    const struct weir_schedule_boundary *boundaries;
    int n;
    if (cut && cut->n_stages != schedule->n_stages)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the cut has %d stages, the schedule has %d", cut->n_stages, schedule->n_stages);
    config.graph = graph;
    config.first_layer = cut ? cut->first_layer : NULL;
    weir_status status = weir_stage_boundaries_find(&config, schedule->n_stages, arena, &boundaries, &n);
    return status ? status : weir_schedule_boundaries_set(schedule, boundaries, n, arena);
}

static weir_status model_take(const struct schedule_boundary_options *options, struct weir_arena *arena, struct weir_schedule *schedule)
{
    const struct weir_graph *graph;
    struct weir_layer_cut cut;
    weir_status status = schedule_model_build(options->model, 1, 0, arena, &graph);
    if (!status && options->first_layers)
        status = weir_layer_cut_numbers(options->first_layers, graph, arena, &cut);
    return status ? status : graph_take(graph, options->first_layers ? &cut : NULL, arena, schedule);
}

/* ---- a plan ---------------------------------------------------------------------------------------------------------- */

static weir_status plan_take(const char *path, struct weir_arena *arena, struct weir_schedule *schedule)
{
    const struct weir_graph *graph;
    struct weir_plan_info plan;
    weir_plans *plans;
    weir_status status = weir_plans_read(path, &plans);
    if (status)
        return status;
    status = weir_plans_info(plans, 0, &plan);
    if (!status)
        status = schedule_model_build(plan.model, 1, plan.seq_len, arena, &graph);
    if (!status)
        status = weir_plans_check(plans, 0, graph);
    if (!status)
        status = graph_take(graph, &(struct weir_layer_cut){plan.n_stages, plan.first_layer}, arena, schedule);
    weir_plans_close(plans);
    return status;
}

/* ---- one of them ----------------------------------------------------------------------------------------------------- */

weir_status schedule_boundaries_take(const struct schedule_boundary_options *options, struct weir_arena *arena,
                                     struct weir_schedule *schedule)
{
    const char *first = options->model ? "model" : options->list ? "boundaries" : "plan";
    const char *second = options->model && options->list ? "boundaries" : options->plan ? "plan" : first;
    if (strcmp(first, second) != 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%s and --%s exclude each other: both say what stages hand to each other", first, second);
    if (options->first_layers && !options->model)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--first-layers cuts a model into stages: give --model");
    if (options->model)
        return model_take(options, arena, schedule);
    if (options->plan)
        return plan_take(options->plan, arena, schedule);
    return options->list ? list_take(options->list, arena, schedule) : WEIR_OK;
}

void schedule_boundaries_paths(const struct schedule_boundary_options *options, struct paths *paths)
{
    if (options->model)
        paths_read_model_name(paths, "--model", options->model);
    paths_read(paths, "--plan", options->plan);
}

void schedule_boundaries_print(const struct weir_schedule *schedule, struct weir_text *text)
{
    for (int b = 0; b < schedule->n_boundaries; b++)
        weir_text_append(text, "%s%d-%d", b ? " " : "", schedule->boundaries[b].from, schedule->boundaries[b].to);
}

static void pair_append(json_t *array, int from, int to)
{
    json_array_append_new(array, json_pack("[i, i]", from, to));
}

json_t *schedule_boundaries_json(const struct weir_schedule *schedule)
{
    json_t *array = json_array();
    for (int b = 0; array && b < schedule->n_boundaries; b++)
        pair_append(array, schedule->boundaries[b].from, schedule->boundaries[b].to);
    for (int s = 1; array && !schedule->boundaries && s < schedule->n_stages; s++)
        pair_append(array, s - 1, s);
    return array;
}
