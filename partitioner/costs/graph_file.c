#include "partitioner/costs/graph_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/costs/graph_readers.h"
#include "partitioner/costs/node_index.h"

enum { LARGEST_FILE = 1 << 30 };

const char *const weir_graph_format_names[] = {"auto", "weir", "pipedream", "msr", "piper", NULL};

weir_status weir_graph_json_real(const json_t *object, const char *where, const char *key, double fallback,
                                 double *value_out)
{
    if (!json_object_get(object, key)) {
        *value_out = fallback;
        return WEIR_OK;
    }
    return weir_json_number(object, where, key, value_out);
}

weir_status weir_graph_json_int(const json_t *object, const char *where, const char *key, int64_t fallback,
                                int64_t *value_out)
{
    if (!json_object_get(object, key)) {
        *value_out = fallback;
        return WEIR_OK;
    }
    return weir_json_integer(object, where, key, value_out);
}

weir_status weir_graph_json_bool(const json_t *object, const char *where, const char *key, bool fallback,
                                 bool *value_out)
{
    const json_t *value = json_object_get(object, key);
    bool truth = fallback;
    if (json_is_boolean(value))
        truth = json_is_true(value);
    else if (json_is_integer(value) && (json_integer_value(value) == 0 || json_integer_value(value) == 1))
        truth = json_integer_value(value) == 1;
    else if (value)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' must be true, false, 0 or 1", where, key);
    *value_out = truth;
    return WEIR_OK;
}

weir_status weir_graph_json_lists(const json_t *root, const json_t **nodes_out, const json_t **edges_out)
{
    static const char *const keys[] = {"nodes", "edges"};
    for (int i = 0; i < 2; i++)
        if (!json_is_array(json_object_get(root, keys[i])))
            return WEIR_FAIL(WEIR_ERR_INVALID, "the document has no array '%s'", keys[i]);
    *nodes_out = json_object_get(root, "nodes");
    *edges_out = json_object_get(root, "edges");
    return WEIR_OK;
}

weir_status weir_graph_json_id(const json_t *value, const char *where, char text_out[256])
{
    if (json_is_integer(value))
        snprintf(text_out, 256, "%lld", (long long)json_integer_value(value));
    else if (json_is_string(value) && json_string_length(value) && json_string_length(value) < 256)
        snprintf(text_out, 256, "%s", json_string_value(value));
    else
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: a node id must be an integer or a string of 1 to 255 bytes", where);
    return WEIR_OK;
}

weir_status weir_graph_json_end(const json_t *object, const char *where, const char *key,
                                const struct weir_cost_graph *graph, const struct weir_node_index *index, int *node_out)
{
    char id[256];
    weir_status status = weir_graph_json_id(json_object_get(object, key), where, id);
    if (status)
        return status;
    *node_out = weir_node_index_find(index, graph, id);
    if (*node_out < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' names node '%s', which is not there", where, key, id);
    return WEIR_OK;
}

static enum weir_graph_format json_format(const json_t *root)
{
    if (json_is_string(json_object_get(root, "format")))
        return WEIR_GRAPH_WEIR;
    const json_t *node = json_array_get(json_object_get(root, "nodes"), 0);
    if (json_object_get(node, "TMPCs"))
        return WEIR_GRAPH_PIPER;
    if (json_object_get(node, "fpgaLatency") || json_object_get(root, "maxFPGAs"))
        return WEIR_GRAPH_MSR;
    return WEIR_GRAPH_WEIR;
}

static weir_status json_read(const char *text, size_t bytes, const char *name, enum weir_graph_format format,
                             double bandwidth, struct weir_cost_graph *graph)
{
    json_t *root;
    weir_status status = weir_json_parse(text, bytes, name, &root);
    if (status)
        return status;
    if (!json_is_object(root)) {
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' holds no JSON object", name);
        goto release_root;
    }
    if (format == WEIR_GRAPH_AUTO)
        format = json_format(root);
    if (format == WEIR_GRAPH_MSR)
        status = weir_graph_read_msr(root, graph);
    else if (format == WEIR_GRAPH_PIPER)
        status = weir_graph_read_piper(root, bandwidth, graph);
    else
        status = weir_graph_read_weir(root, graph);
    if (status)
        weir_error_prefix(status, "'%s': ", name);
release_root:
    json_decref(root);
    return status;
}

weir_status weir_graph_parse(const char *text, size_t bytes, const char *name, enum weir_graph_format format,
                             double bandwidth, struct weir_cost_graph *graph_out)
{
    struct weir_cost_graph graph;
    weir_cost_graph_init(&graph);
    if (!(bandwidth >= 0) || isinf(bandwidth))
        return WEIR_FAIL(WEIR_ERR_INVALID, "bandwidth is %g bytes/s, it must be positive", bandwidth);
    if (format == WEIR_GRAPH_AUTO && text[strspn(text, " \t\r\n")] != '{')
        format = WEIR_GRAPH_PIPEDREAM;
    weir_status status;
    if (format == WEIR_GRAPH_PIPEDREAM) {
        status = weir_graph_read_pipedream(text, bytes, bandwidth > 0 ? bandwidth : WEIR_GRAPH_BANDWIDTH, &graph);
        if (status)
            weir_error_prefix(status, "'%s' ", name);
    } else {
        status = json_read(text, bytes, name, format, bandwidth, &graph);
    }
    if (!status) {
        status = weir_cost_graph_finish(&graph);
        if (status)
            weir_error_prefix(status, "'%s': ", name);
    }
    if (status) {
        weir_cost_graph_release(&graph);
        return status;
    }
    *graph_out = graph;
    return WEIR_OK;
}

weir_status weir_graph_read(const char *path, enum weir_graph_format format, double bandwidth,
                            struct weir_cost_graph *graph_out)
{
    char *data;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_FILE, &data, &bytes);
    if (status)
        return status;
    status = weir_graph_parse(data, bytes, path, format, bandwidth, graph_out);
    weir_free(data);
    return status;
}
