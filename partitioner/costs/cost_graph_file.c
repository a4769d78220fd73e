/* Which reader for which file: text that does not begin with a brace is a graph.txt, JSON is told apart by "format"
 * and by the keys of its first node.  A reader fills a graph, weir_cost_graph_finish checks it, and only then the
 * caller sees it. */
#include "partitioner/costs/cost_graph_file.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/costs/cost_graph_readers.h"

enum { LARGEST_FILE = 1 << 30 };

const char *const weir_cost_graph_format_names[] = {"auto", "weir", "pipedream", "msr", "piper", NULL};

static enum weir_cost_graph_format json_format(const json_t *root)
{
    if (json_is_string(json_object_get(root, "format")))
        return WEIR_COST_GRAPH_WEIR;
    const json_t *node = json_array_get(json_object_get(root, "nodes"), 0);
    if (json_object_get(node, "TMPCs"))
        return WEIR_COST_GRAPH_PIPER;
    if (json_object_get(node, "fpgaLatency") || json_object_get(root, "maxFPGAs"))
        return WEIR_COST_GRAPH_MSR;
    return WEIR_COST_GRAPH_WEIR;
}

static weir_status json_read(const char *text, size_t bytes, const char *name, enum weir_cost_graph_format format,
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
    if (format == WEIR_COST_GRAPH_AUTO)
        format = json_format(root);
    if (format == WEIR_COST_GRAPH_MSR)
        status = weir_cost_graph_read_msr(root, graph);
    else if (format == WEIR_COST_GRAPH_PIPER)
        status = weir_cost_graph_read_piper(root, bandwidth, graph);
    else
        status = weir_cost_graph_read_weir(root, graph);
    if (status)
        weir_error_prefix(status, "'%s': ", name);
release_root:
    json_decref(root);
    return status;
}

weir_status weir_cost_graph_parse(const char *text, size_t bytes, const char *name, enum weir_cost_graph_format format,
                             double bandwidth, struct weir_cost_graph *graph_out)
{
    struct weir_cost_graph graph;
    weir_cost_graph_init(&graph);
    if (!(bandwidth >= 0) || isinf(bandwidth))
        return WEIR_FAIL(WEIR_ERR_INVALID, "bandwidth is %g bytes/s, it must be positive", bandwidth);
    if (format == WEIR_COST_GRAPH_AUTO && text[strspn(text, " \t\r\n")] != '{')
        format = WEIR_COST_GRAPH_PIPEDREAM;
    weir_status status;
    if (format == WEIR_COST_GRAPH_PIPEDREAM) {
        status =
            weir_cost_graph_read_pipedream(text, bytes, bandwidth > 0 ? bandwidth : WEIR_COST_GRAPH_BANDWIDTH, &graph);
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

weir_status weir_cost_graph_read(const char *path, enum weir_cost_graph_format format, double bandwidth,
                            struct weir_cost_graph *graph_out)
{
    char *data;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_FILE, &data, &bytes);
    if (status)
        return status;
    status = weir_cost_graph_parse(data, bytes, path, format, bandwidth, graph_out);
    weir_free(data);
    return status;
}
