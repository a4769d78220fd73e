#include "engine/program/plan_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/json.h"

enum { LARGEST_PLAN = 16 << 20, MOST_LAYERS = 1 << 20 };

/* ---- the model ----------------------------------------------------------------------------------------------------- */

static void param_describe(const struct weir_param *param, struct weir_text *text)
{
    weir_text_append(text, "p %s", param->name);
    for (int i = 0; i < param->shape.n_dims; i++)
        weir_text_append(text, " %lld", (long long)param->shape.dims[i]);
    weir_text_append(text, "\n");
}

weir_status weir_plan_file_hash(const struct weir_graph *graph, struct weir_arena *arena, const char **hash_out)
{
    struct weir_text text = {0};
    for (int l = 0; l < graph->n_layers; l++) {
        const struct weir_layer *layer = &graph->layers[l];
        weir_text_append(&text, "l %s\n", layer->name);
        for (int n = layer->first_node; n < layer->first_node + layer->n_nodes; n++)
            weir_text_append(&text, "n %s\n", graph->nodes[n].op->name);
    }
    for (int i = 0; i < graph->n_params; i++)
        param_describe(&graph->params[i], &text);
    weir_status status = text.status;
    if (!status)
        status = weir_arena_printf(arena, hash_out, "%016" PRIx64, weir_hash64(text.data, text.length, 0));
    weir_text_release(&text);
    return status;
}

weir_status weir_plan_file_check(const struct weir_plan_file *plan, const struct weir_graph *graph)
{
    struct weir_arena arena = {0};
    const char *hash;
    int n_layers = plan->cut.first_layer[plan->cut.n_stages];
    weir_status status = weir_plan_file_hash(graph, &arena, &hash);
    if (!status && strcmp(hash, plan->model_hash) != 0) {
        int64_t n = weir_graph_n_elements(graph);
        bool same = n_layers == graph->n_layers && plan->n_parameters == n;
        status = WEIR_FAIL(WEIR_ERR_INVALID, "plan '%s' was made for model '%s' with %d layers and %lld parameters, model '%s' has "
                                             "%d layers and %lld parameters%s: use another " WEIR_OPTION("model") " or make a new plan",
                           plan->path, plan->model, n_layers, (long long)plan->n_parameters, graph->name, graph->n_layers,
                           (long long)n, same ? ", of other names or shapes" : "");
    }
    if (!status && n_layers != graph->n_layers)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "plan '%s' says %d layers, its model has %d", plan->path, n_layers, graph->n_layers);
    weir_arena_release(&arena);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static json_t *head_json(const struct weir_plan_file *plan)
{
    int n_layers = plan->cut.first_layer[plan->cut.n_stages];
    return json_pack("{s:s, s:i, s:o, s:s, s:i, s:I, s:s, s:s}", "format", "weir-plan", "version", 1, "model",
                     weir_json_utf8(plan->model), "model_hash", plan->model_hash, "layers", n_layers, "parameters",
                     (json_int_t)plan->n_parameters, "device", plan->device, "library", plan->library);
}

static json_t *layers_json(const struct weir_plan_file *plan)
{
    json_t *array = json_array();
    for (int s = 0; array && s < plan->cut.n_stages; s++)
        if (json_array_append_new(array, json_integer(plan->cut.first_layer[s]))) {
            json_decref(array);
            array = NULL;
        }
    return array;
}

static json_t *choices_json(const struct weir_plan_file *plan)
{
    json_t *root = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I}", "first_layers", layers_json(plan), "schedule", plan->schedule,
                             "chunks", (json_int_t)plan->n_chunks, "replicas", (json_int_t)plan->n_replicas, "zero",
                             (json_int_t)plan->zero, "microbatches", (json_int_t)plan->n_microbatches, "microbatch_size",
                             (json_int_t)plan->microbatch_size);
    json_t *more = json_pack("{s:s, s:s, s:s}", "dtype", plan->dtype, "optimizer", plan->optimizer, "recompute", plan->recompute);
    if (root && plan->seq_len && json_object_set_new(root, "seq_len", json_integer(plan->seq_len))) {
        json_decref(root);
        root = NULL;
    }
    return weir_json_joined(root, more);
}

/* A row for each rank. */
static weir_status order_write(const struct weir_schedule *order, struct weir_arena *arena, json_t *root)
{
    const char *text;
    weir_status status = weir_schedule_csv_print(order, arena, &text);
    json_t *rows = status ? NULL : json_array();
    for (const char *row = text, *end; !status && (end = strchr(row, '\n')); row = end + 1)
        if (json_array_append_new(rows, json_stringn(row, (size_t)(end - row))))
            status = WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a plan");
    if (!status && json_object_set(root, "order", rows))
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a plan");
    json_decref(rows);
    return status;
}

weir_status weir_plan_file_write(const struct weir_plan_file *plan, const char *predicted, struct weir_text *text)
{
    struct weir_arena arena = {0};
    const char *printed;
    json_t *root = weir_json_joined(head_json(plan), choices_json(plan)), *more = NULL;
    weir_status status = predicted ? weir_json_parse(predicted, strlen(predicted), "predicted", &more) : WEIR_OK;
    if (!status && root && plan->order)
        status = order_write(plan->order, &arena, root);
    if (!status && more)
        root = weir_json_joined(root, json_pack("{s:o}", "predicted", more));
    else
        json_decref(more);
    if (status)
        json_decref(root);
    else
        status = weir_json_print(root, 1, &arena, &printed);
    if (!status)
        weir_text_append(text, "%s\n", printed);
    weir_arena_release(&arena);
    return status ? status : text->status;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

struct reader {
    const json_t *root;
    const char *where; /* "plan 'plan.json'" */
    struct weir_arena *arena;
};

static weir_status text_read(const struct reader *r, const char *key, const char **text_out)
{
    const json_t *value = json_object_get(r->root, key);
    if (!json_is_string(value) || !json_string_length(value) || strlen(json_string_value(value)) != json_string_length(value))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' must be a text", r->where, key);
    return weir_arena_strdup(r->arena, json_string_value(value), text_out);
}

static weir_status number_read(const struct reader *r, const char *key, int64_t least, int64_t most, int64_t *value_out)
{
    int64_t value = 0;
    weir_status status = weir_json_integer(r->root, r->where, key, &value);
    if (!status && (value < least || value > most))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is %lld, it must be from %lld to %lld", r->where, key, (long long)value,
                           (long long)least, (long long)most);
    if (!status)
        *value_out = value;
    return status;
}

static weir_status texts_read(const struct reader *r, struct weir_plan_file *plan)
{
    const struct {
        const char *key;
        const char **text;
    } rows[] = {{"model", &plan->model},       {"model_hash", &plan->model_hash}, {"device", &plan->device},
                {"library", &plan->library},   {"schedule", &plan->schedule},     {"dtype", &plan->dtype},
                {"optimizer", &plan->optimizer}, {"recompute", &plan->recompute}};
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !status; i++)
        status = text_read(r, rows[i].key, rows[i].text);
    return status;
}

static weir_status numbers_read(const struct reader *r, struct weir_plan_file *plan)
{
    const struct {
        const char *key;
        int64_t least, most, *value;
    } rows[] = {{"parameters", 0, INT64_MAX, &plan->n_parameters},
                {"chunks", 1, 65536, &plan->n_chunks},
                {"replicas", 1, 1 << 20, &plan->n_replicas},
                {"zero", 0, 1, &plan->zero},
                {"microbatches", 1, 1048576, &plan->n_microbatches},
                {"microbatch_size", 1, 1048576, &plan->microbatch_size}};
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !status; i++)
        status = number_read(r, rows[i].key, rows[i].least, rows[i].most, rows[i].value);
    if (!status && json_object_get(r->root, "seq_len"))
        status = number_read(r, "seq_len", 1, 1048576, &plan->seq_len);
    return status;
}

static weir_status layer_read(const struct reader *r, const json_t *layers, int i, int n_layers, int *first_layer)
{
    const json_t *value = json_array_get(layers, (size_t)i);
    json_int_t layer = json_integer_value(value), least = i ? first_layer[i - 1] + 1 : 0;
    if (!json_is_integer(value) || layer < least || layer >= n_layers || (!i && layer))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'first_layers' must ascend from 0 to at most %d, entry %d does not", r->where,
                         n_layers - 1, i);
    first_layer[i] = (int)layer;
    return WEIR_OK;
}

static weir_status cut_read(const struct reader *r, struct weir_layer_cut *cut_out)
{
    const json_t *layers = json_object_get(r->root, "first_layers");
    int64_t n_layers = 0;
    int *first_layer, n = (int)json_array_size(layers);
    if (!json_is_array(layers) || !n || n > MOST_LAYERS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'first_layers' must be an array, the first layer of each stage", r->where);
    weir_status status = number_read(r, "layers", 1, MOST_LAYERS, &n_layers);
    if (!status)
        status = weir_arena_alloc(r->arena, (size_t)n + 1, sizeof *first_layer, &first_layer);
    for (int i = 0; i < n && !status; i++)
        status = layer_read(r, layers, i, (int)n_layers, first_layer);
    if (status)
        return status;
    first_layer[n] = (int)n_layers;
    *cut_out = (struct weir_layer_cut){n, first_layer};
    return WEIR_OK;
}

/* May be left out. */
static weir_status times_read(const struct reader *r, struct weir_plan_file *plan)
{
    const json_t *times = json_object_get(json_object_get(r->root, "predicted"), "rank_ms");
    int n = plan->cut.n_stages / (int)plan->n_chunks;
    double *ms;
    if (!times)
        return WEIR_OK;
    if (!json_is_array(times) || (int)json_array_size(times) != n)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'rank_ms' must be an array of %d numbers, one for each rank", r->where, n);
    weir_status status = weir_arena_alloc(r->arena, (size_t)n, sizeof *ms, &ms);
    for (int i = 0; i < n && !status; i++) {
        ms[i] = json_number_value(json_array_get(times, (size_t)i));
        if (!json_is_number(json_array_get(times, (size_t)i)) || !(ms[i] >= 0 && ms[i] < 1e12))
            status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: entry %d of 'rank_ms' is no time in milliseconds", r->where, i);
    }
    if (!status)
        plan->rank_ms = ms;
    return status;
}

static weir_status rows_join(const struct reader *r, const json_t *rows, struct weir_text *text)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *row = json_string_value(json_array_get(rows, i));
        if (!row || !*row || strchr(row, '\n') || strchr(row, '#'))
            return WEIR_FAIL(WEIR_ERR_INVALID, "%s: row %zu of 'order' must be a text of one line, the actions of rank %zu", r->where, i + 1, i);
        weir_text_append(text, "%s\n", row);
    }
    return text->status;
}

/* Of the schedule "auto" alone, which needs it. */
static weir_status order_read(const struct reader *r, struct weir_plan_file *plan)
{
    const json_t *rows = json_object_get(r->root, "order");
    struct weir_text text = {0};
    struct weir_schedule *order;
    const char *name;
    int n_ranks = plan->cut.n_stages / (int)plan->n_chunks;
    bool is_auto = !strcmp(plan->schedule, "auto");
    if (!rows)
        return is_auto ? WEIR_FAIL(WEIR_ERR_INVALID, "%s: the schedule \"auto\" needs the 'order' that was made for it: make the plan anew",
                                   r->where) : WEIR_OK;
    if (!is_auto)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'order' is for the schedule \"auto\", not for \"%s\"", r->where, plan->schedule);
    if (!json_is_array(rows) || !json_array_size(rows))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'order' must be an array of texts, one for each rank", r->where);
    weir_status status = rows_join(r, rows, &text);
    if (!status)
        status = weir_arena_printf(r->arena, &name, "%s, order", plan->path);
    if (!status)
        status = weir_arena_alloc(r->arena, 1, sizeof *order, &order);
    if (!status)
        status = weir_schedule_csv_parse(text.data, text.length, name, WEIR_CSV_TORCH, r->arena, order);
    if (!status && (order->n_ranks != n_ranks || order->n_stages != plan->cut.n_stages || order->n_microbatches != plan->n_microbatches))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'order' has %d ranks, %d stages and %d micro-batches, the plan %d, %d and %lld", r->where,
                           order->n_ranks, order->n_stages, order->n_microbatches, n_ranks, plan->cut.n_stages,
                           (long long)plan->n_microbatches);
    weir_text_release(&text);
    if (!status)
        plan->order = order;
    return status;
}

static weir_status version_check(const struct reader *r)
{
    const char *format = json_string_value(json_object_get(r->root, "format"));
    int64_t version = 0;
    if (!format || strcmp(format, "weir-plan") != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s is no plan that can be trained by: its 'format' is not \"weir-plan\"; 'weir plan' "
                                           "with a " WEIR_OPTION("model") " and -o writes one", r->where);
    weir_status status = weir_json_integer(r->root, r->where, "version", &version);
    if (!status && version != 1)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s has version %lld, this library reads version 1", r->where, (long long)version);
    return status;
}

static weir_status root_read(const struct reader *r, struct weir_plan_file *plan)
{
    static const char *const keys[] = {"format",    "version",    "model",           "model_hash", "layers", "parameters",
                                       "device",    "library",    "first_layers",    "schedule",   "chunks", "replicas",
                                       "zero",      "microbatches", "microbatch_size", "seq_len",  "dtype",  "optimizer",
                                       "recompute", "predicted",  "order",           NULL};
    weir_status status = json_is_object(r->root) ? version_check(r) : weir_json_keys(r->root, r->where, keys);
    if (!status)
        status = weir_json_keys(r->root, r->where, keys);
    if (!status)
        status = texts_read(r, plan);
    if (!status)
        status = numbers_read(r, plan);
    if (!status)
        status = cut_read(r, &plan->cut);
    if (!status && plan->cut.n_stages % plan->n_chunks)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: %d stages do not divide into 'chunks' of %lld per rank", r->where,
                           plan->cut.n_stages, (long long)plan->n_chunks);
    if (!status)
        status = order_read(r, plan);
    return status ? status : times_read(r, plan);
}

weir_status weir_plan_file_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                 struct weir_plan_file *plan_out)
{
    struct weir_plan_file plan = {0};
    struct reader r = {.arena = arena};
    json_t *root;
    weir_status status = weir_json_parse(text, bytes, name, &root);
    if (status)
        return status;
    r.root = root;
    status = weir_arena_printf(arena, &r.where, "plan '%s'", name);
    if (!status)
        status = weir_arena_strdup(arena, name, &plan.path);
    if (!status)
        status = root_read(&r, &plan);
    if (!status)
        *plan_out = plan;
    json_decref(root);
    return status;
}

weir_status weir_plan_file_load(const char *path, struct weir_arena *arena, struct weir_plan_file *plan_out)
{
    char *text;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_PLAN, &text, &bytes);
    if (status)
        return status;
    status = weir_plan_file_parse(text, bytes, path, arena, plan_out);
    weir_free(text);
    return status;
}
