/* The costs file: {stages: [...] or layers: [...], edges: [...], transfer, reduce, reduce_link, bucket_bytes, optimizer, in_flight}. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "schedules/simulate/cost_tables.h"
#include "schedules/simulate/costs_csv.h"
#include "include/weir/simulate.h"
#include "schedules/io/trace_file.h"

/* A number that may be missing; *value_out keeps what it has then. */
static weir_status number(const json_t *object, const char *where, const char *key, double *value_out)
{
    return json_object_get(object, key) ? weir_json_number(object, where, key, value_out) : WEIR_OK;
}

/* Bytes beside a default of 1 would mean nothing: both are there, or neither is. */
static weir_status memory_read(const json_t *object, const char *where, struct weir_stage_costs *stage)
{
    bool b = json_object_get(object, "mem_B"), w = json_object_get(object, "mem_W");
    if (b != w)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "%s: '%s' is missing beside '%s': give what is held from F to I and from I to W", where,
                         b ? "mem_W" : "mem_B", b ? "mem_B" : "mem_W");
    if (!b && json_object_get(object, "mem_IW"))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'mem_IW' is a part of 'mem_W', which is missing", where);
    if (!b)
        return WEIR_OK;
    weir_status status = weir_json_number(object, where, "mem_B", &stage->mem_backward);
    if (!status)
        status = weir_json_number(object, where, "mem_W", &stage->mem_weight);
    stage->mem_made = stage->mem_weight;
    return status ? status : number(object, where, "mem_IW", &stage->mem_made);
}

/* I and W, or B for both. */
static weir_status backward_read(const json_t *object, const char *where, struct weir_stage_costs *stage)
{
    double both = 0;
    if (!json_object_get(object, "B")) {
        weir_status status = weir_json_number(object, where, "I", &stage->input);
        return status ? status : weir_json_number(object, where, "W", &stage->weight);
    }
    if (json_object_get(object, "I") || json_object_get(object, "W"))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'B' is I and W together: give 'I' and 'W', or 'B' alone", where);
    weir_status status = weir_json_number(object, where, "B", &both);
    stage->input = stage->weight = both / 2;
    return status;
}

static weir_status stage_read(json_t *object, const char *where, struct weir_stage_costs *stage)
{
    static const char *const keys[] = {"F",      "I",           "W",          "B",               "mem_B",     "mem_W",
                                       "mem_IW", "param_bytes", "grad_bytes", "optimizer_bytes", "optimizer", NULL};
    weir_status status = weir_json_keys(object, where, keys);
    if (!status)
        status = weir_json_number(object, where, "F", &stage->forward);
    if (!status)
        status = backward_read(object, where, stage);
    if (!status)
        status = memory_read(object, where, stage);
    if (!status)
        status = number(object, where, "param_bytes", &stage->param_bytes);
    if (!status)
        status = number(object, where, "grad_bytes", &stage->grad_bytes);
    if (!status)
        status = number(object, where, "optimizer_bytes", &stage->optimizer_bytes);
    if (!status)
        status = number(object, where, "optimizer", &stage->optimizer);
    return status;
}

static weir_status edge_read(json_t *object, const char *where, struct weir_edge_costs *edge)
{
    static const char *const keys[] = {"from", "to", "latency", "bytes", "bandwidth", NULL};
    int64_t from = 0, to = 0;
    weir_status status = weir_json_keys(object, where, keys);
    if (!status)
        status = weir_json_integer(object, where, "from", &from);
    if (!status)
        status = weir_json_integer(object, where, "to", &to);
    if (!status)
        status = number(object, where, "latency", &edge->latency);
    if (!status)
        status = number(object, where, "bytes", &edge->bytes);
    if (!status)
        status = number(object, where, "bandwidth", &edge->bandwidth);
    if (!status && (from < 0 || from > INT32_MAX || to < 0 || to > INT32_MAX))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: a rank is out of range", where);
    if (!status && edge->bytes > 0 && edge->bandwidth <= 0)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'bytes' needs a 'bandwidth' above 0", where);
    edge->from = (int)from;
    edge->to = (int)to;
    return status;
}

static bool has_memory(const json_t *stages, size_t index)
{
    return json_object_get(json_array_get(stages, index), "mem_B");
}

/* `what` is "stage" or "layer". */
static weir_status array_read(const json_t *array, const char *path, const char *what, struct weir_arena *arena,
                              struct weir_schedule_costs *costs, const struct weir_stage_costs **stages_out, int *n_out)
{
    struct weir_stage_costs *stages;
    size_t n = json_array_size(array);
    if (!array)
        return WEIR_OK;
    if (!json_is_array(array) || !n)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%ss' must be an array with one object per %s", path, what, what);
    weir_status status = weir_arena_alloc(arena, n, sizeof *stages, &stages);
    for (size_t i = 0; !status && i < n; i++) {
        const json_t *object = json_array_get(array, i);
        char where[512];
        snprintf(where, sizeof where, "'%s' %s %zu", path, what, i);
        stages[i] = (struct weir_stage_costs){.mem_backward = costs->mem_backward,
                                              .mem_weight = costs->mem_weight,
                                              .mem_made = costs->mem_made,
                                              .param_bytes = costs->param_bytes,
                                              .grad_bytes = costs->grad_bytes,
                                              .optimizer_bytes = costs->optimizer_bytes};
        status = stage_read(json_array_get(array, i), where, &stages[i]);
        costs->halved |= json_object_get(object, "B") != NULL;
        if (!status && has_memory(array, i) != has_memory(array, 0))
            status = WEIR_FAIL(WEIR_ERR_INVALID,
                               "%s %s 'mem_B' and 'mem_W', %s 0 %s: give them for all %ss or for none", where,
                               has_memory(array, i) ? "has" : "lacks", what,
                               has_memory(array, 0) ? "has them" : "does not", what);
    }
    if (!status) {
        *stages_out = stages;
        *n_out = (int)n;
    }
    return status;
}

static weir_status stages_read(const json_t *root, const char *path, struct weir_arena *arena,
                               struct weir_schedule_costs *costs)
{
    const json_t *stages = json_object_get(root, "stages"), *layers = json_object_get(root, "layers");
    if (stages && layers)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has 'stages' and 'layers': give one of them", path);
    weir_status status = array_read(stages, path, "stage", arena, costs, &costs->stages, &costs->n_stages);
    return status ? status : array_read(layers, path, "layer", arena, costs, &costs->layers, &costs->n_layers);
}

static weir_status edges_read(const json_t *array, const char *path, struct weir_arena *arena,
                              struct weir_schedule_costs *costs)
{
    struct weir_edge_costs *edges;
    size_t n = json_array_size(array);
    if (!array)
        return WEIR_OK;
    if (!json_is_array(array))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': 'edges' must be an array of objects", path);
    weir_status status = weir_arena_alloc(arena, n, sizeof *edges, &edges);
    for (size_t i = 0; !status && i < n; i++) {
        char where[512];
        snprintf(where, sizeof where, "'%s' edge %zu", path, i);
        status = edge_read(json_array_get(array, i), where, &edges[i]);
    }
    if (!status) {
        costs->edges = edges;
        costs->n_edges = (int)n;
    }
    return status;
}

static weir_status reduce_link_read(json_t *object, const char *path, struct weir_schedule_costs *costs)
{
    static const char *const keys[] = {"latency", "bandwidth", NULL};
    char where[512];
    if (!object)
        return WEIR_OK;
    snprintf(where, sizeof where, "'%s' reduce_link", path);
    weir_status status = weir_json_keys(object, where, keys);
    if (!status)
        status = number(object, where, "latency", &costs->reduce_latency);
    return status ? status : number(object, where, "bandwidth", &costs->reduce_bandwidth);
}

static weir_status flight_read(json_t *object, const char *path, struct weir_flight_costs *flight)
{
    static const char *const keys[] = {"low", "high", "factor", "at_once", NULL};
    char where[512];
    if (!object)
        return WEIR_OK;
    snprintf(where, sizeof where, "'%s' in_flight", path);
    weir_status status = weir_json_keys(object, where, keys);
    if (!status)
        status = weir_json_number(object, where, "low", &flight->low);
    if (!status)
        status = weir_json_number(object, where, "high", &flight->high);
    if (!status)
        status = weir_json_number(object, where, "factor", &flight->factor);
    if (!status)
        status = number(object, where, "at_once", &flight->at_once);
    if (status)
        return status;
    status = weir_flight_costs_check(flight);
    return status ? weir_error_prefix(status, "'%s': ", path) : WEIR_OK;
}

static weir_status trace_read(const char *path, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    struct weir_traced trace;
    weir_status status = weir_traced_load(path, arena, &trace);
    return status ? status : weir_traced_costs(&trace, arena, costs);
}

static weir_status root_read(json_t *root, const char *path, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    static const char *const keys[] = {"stages", "layers", "edges", "transfer", "reduce", "reduce_link", "bucket_bytes", "optimizer",
                                       "in_flight", NULL};
    struct weir_schedule_costs read = *costs;
    char where[512];
    snprintf(where, sizeof where, "'%s'", path);
    weir_status status = weir_json_keys(root, where, keys);
    if (!status && !json_object_size(root))
        status = WEIR_FAIL(WEIR_ERR_INVALID,
                           "'%s' has no costs, as in {\"stages\": [{\"F\": 1, \"I\": 1, \"W\": 1}]}", path);
    if (!status)
        status = stages_read(root, path, arena, &read);
    if (!status)
        status = edges_read(json_object_get(root, "edges"), path, arena, &read);
    if (!status)
        status = number(root, where, "transfer", &read.transfer);
    if (!status)
        status = number(root, where, "reduce", &read.reduce);
    if (!status)
        status = reduce_link_read(json_object_get(root, "reduce_link"), path, &read);
    if (!status)
        status = number(root, where, "bucket_bytes", &read.bucket_bytes);
    if (!status)
        status = number(root, where, "optimizer", &read.optimizer);
    if (!status)
        status = flight_read(json_object_get(root, "in_flight"), path, &read.flight);
    if (!status)
        status = weir_arena_strdup(arena, path, &read.name);
    if (!status)
        *costs = read;
    return status;
}

static weir_status text_root(const char *text, size_t bytes, const char *name, json_t **root_out)
{
    size_t blanks = strspn(text, " \t\r\n");
    if (blanks >= bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is empty: costs are JSON, as in {\"stages\": [{\"F\": 1, \"B\": 2}]}, or a CSV of stage,F,B",
                         name);
    return strchr("{[", text[blanks]) ? weir_json_parse(text, bytes, name, root_out) : weir_costs_csv(text, bytes, name, root_out);
}

weir_status weir_schedule_costs_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                      struct weir_schedule_costs *costs)
{
    json_t *root;
    weir_status status = text_root(text, bytes, name, &root);
    if (status)
        return status;
    if (json_object_get(root, "traceEvents"))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a trace: give the name of its file", name);
    else
        status = root_read(root, name, arena, costs);
    json_decref(root);
    return status;
}

weir_status weir_schedule_costs_load(const char *path, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    enum { LARGEST = 1 << 30 };
    char *text;
    size_t bytes;
    json_t *root = NULL;
    weir_status status = weir_file_read(path, LARGEST, &text, &bytes);
    if (status)
        return status;
    status = text_root(text, bytes, path, &root);
    weir_free(text);
    if (!status)
        status = json_object_get(root, "traceEvents") ? trace_read(path, arena, costs) : root_read(root, path, arena, costs);
    json_decref(root);
    return status;
}
