/* Splits from files: Weir's plan JSON, the msr output form, graph.txt with stage ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/costs/cost_json_read.h"
#include "partitioner/costs/node_index.h"
#include "partitioner/plan/plan_solve.h"

enum { LARGEST_FILE = 1 << 30, MOST_PARTS = 1 << 20 };

struct reader {
    const struct weir_cost_graph *graph;
    struct weir_node_index index;
    int *device_of;
    int devices, cpus;
};

static weir_status node_assign(struct reader *r, const char *id, int device)
{
    int v = weir_node_index_find(&r->index, r->graph, id);
    if (v < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the plan names node '%s', which the graph does not have", id);
    if (r->device_of[v] >= 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the plan names node '%s' twice", id);
    r->device_of[v] = device;
    return WEIR_OK;
}

static weir_status nodes_assign(struct reader *r, const json_t *object, const char *where, int device)
{
    const json_t *nodes = json_object_get(object, "nodes");
    if (!json_is_array(nodes))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s has no array 'nodes'", where);
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        char id[256];
        weir_status status = weir_cost_json_id(json_array_get(nodes, i), where, id);
        if (!status)
            status = node_assign(r, id, device);
        if (status)
            return status;
    }
    return WEIR_OK;
}

/* One stage of Weir's own JSON; without "device" the stages are numbered.  CPUs begin at `devices`. */
static weir_status stage_read(struct reader *r, const json_t *stage, size_t position, int64_t devices,
                              int64_t *device_out)
{
    static const char *const keys[] = {"device",    "load",       "memory", "cpu",      "replicas",
                                       "in_flight", "recomputed", "time",   "transfer", "nodes",
                                       NULL};
    char where[64];
    bool cpu;
    snprintf(where, sizeof where, "stages[%zu]", position);
    weir_status status = weir_json_keys(stage, where, keys);
    if (!status)
        status = weir_cost_json_int(stage, where, "device", (int64_t)position, device_out);
    if (!status && (*device_out < 0 || *device_out >= MOST_PARTS))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: there is no device %lld", where, (long long)*device_out);
    if (!status)
        status = weir_cost_json_bool(stage, where, "cpu", *device_out >= devices, &cpu);
    if (!status && cpu != (*device_out >= devices))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s: 'cpu' is %s, but device %lld is one of %s", where,
                           cpu ? "true" : "false", (long long)*device_out, cpu ? "the accelerators" : "the CPUs");
    if (!status)
        status = nodes_assign(r, stage, where, (int)*device_out);
    return status;
}

/* CPU parts stand behind the accelerators that the document says there are. */
static weir_status stages_read(struct reader *r, const json_t *root)
{
    static const char *const keys[] = {"objective", "lower_bound", "gap",    "seconds", "ideals",
                                       "devices",   "cpus",        "stages", "curve",   NULL};
    const json_t *stages = json_object_get(root, "stages");
    int64_t devices = 0, cpus = 0;
    weir_status status = weir_json_keys(root, "document", keys);
    if (!status)
        status = weir_cost_json_int(root, "document", "devices", 0, &devices);
    if (!status)
        status = weir_cost_json_int(root, "document", "cpus", 0, &cpus);
    if (!status && (devices < 0 || devices > MOST_PARTS || cpus < 0 || cpus > MOST_PARTS))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'devices' or 'cpus' is not from 0 to %d", MOST_PARTS);
    bool sized = json_object_get(root, "devices") != NULL;
    for (size_t i = 0; !status && i < json_array_size(stages); i++) {
        int64_t device;
        status = stage_read(r, json_array_get(stages, i), i, sized ? devices : MOST_PARTS, &device);
        if (!status && sized && device >= devices + cpus)
            return WEIR_FAIL(WEIR_ERR_INVALID, "stages[%zu]: there is no device %lld", i, (long long)device);
        if (!status && !sized && device >= devices)
            devices = device + 1;
    }
    r->devices = (int)devices;
    r->cpus = (int)cpus;
    return status;
}

static weir_status msr_lists_read(struct reader *r, const json_t *root)
{
    const json_t *lists[2] = {json_object_get(root, "fpgas"), json_object_get(root, "cpus")};
    r->devices = (int)json_array_size(lists[0]);
    r->cpus = (int)json_array_size(lists[1]);
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < json_array_size(lists[kind]); i++) {
            char where[64];
            snprintf(where, sizeof where, "%s[%zu]", kind ? "cpus" : "fpgas", i);
            weir_status status = nodes_assign(r, json_array_get(lists[kind], i), where, kind * r->devices + (int)i);
            if (status)
                return status;
        }
    return WEIR_OK;
}

static weir_status json_read(struct reader *r, const char *text, size_t bytes, const char *name)
{
    json_t *root;
    weir_status status = weir_json_parse(text, bytes, name, &root);
    if (status)
        return status;
    if (json_is_array(json_object_get(root, "stages")))
        status = stages_read(r, root);
    else if (json_is_array(json_object_get(root, "fpgas")))
        status = msr_lists_read(r, root);
    else
        status = WEIR_FAIL(WEIR_ERR_INVALID, "neither an array 'stages' nor an array 'fpgas'");
    json_decref(root);
    return status;
}

/* "id -- description -- ... -- stage_id=K"; nodes that are not part of the problem are passed over. */
static weir_status line_read(struct reader *r, char *line)
{
    char *mark = strstr(line, " -- stage_id="), *end = strstr(line, " -- ");
    if (!mark || !end)
        return strchr(line, '=') ? WEIR_FAIL(WEIR_ERR_INVALID, "a node without stage_id") : WEIR_OK;
    char *rest;
    long stage = strtol(mark + 13, &rest, 10);
    if (rest == mark + 13 || stage < 0 || stage >= MOST_PARTS || rest[strspn(rest, " \t\r")])
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no stage", mark + 4);
    *end = 0;
    line += strspn(line, " \t");
    if (weir_node_index_find(&r->index, r->graph, line) < 0)
        return WEIR_OK;
    r->devices = stage >= r->devices ? (int)stage + 1 : r->devices;
    return node_assign(r, line, (int)stage);
}

static weir_status lines_read(struct reader *r, const char *text, size_t bytes)
{
    char *copy;
    weir_status status = weir_alloc(bytes + 1, 1, &copy);
    if (status)
        return status;
    memcpy(copy, text, bytes);
    int number = 0;
    for (char *line = copy; line && !status;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        number++;
        status = line_read(r, line);
        if (status)
            weir_error_prefix(status, "line %d: ", number);
        line = end ? end + 1 : NULL;
    }
    weir_free(copy);
    return status;
}

weir_status weir_plan_parse(const struct weir_cost_graph *graph, const char *text, size_t bytes, const char *name,
                            struct weir_arena *arena, const int **device_of_out, int *devices_out, int *cpus_out)
{
    struct reader r = {.graph = graph};
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_nodes, sizeof *r.device_of, &r.device_of);
    if (!status)
        status = weir_node_index_build(graph, &r.index);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++)
        r.device_of[v] = -1;
    if (text[strspn(text, " \t\r\n")] == '{')
        status = json_read(&r, text, bytes, name);
    else
        status = lines_read(&r, text, bytes);
    weir_node_index_release(&r.index);
    if (status)
        return weir_error_prefix(status, "'%s': ", name);
    for (int v = 0; v < graph->n_nodes; v++)
        if (r.device_of[v] < 0)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': node '%s' is on no device", name, graph->nodes[v].id);
    *device_of_out = r.device_of;
    *devices_out = r.devices;
    *cpus_out = r.cpus;
    return WEIR_OK;
}

weir_status weir_plan_read(const struct weir_cost_graph *graph, const char *path, struct weir_arena *arena,
                           const int **device_of_out, int *devices_out, int *cpus_out)
{
    char *data;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_FILE, &data, &bytes);
    if (status)
        return status;
    status = weir_plan_parse(graph, data, bytes, path, arena, device_of_out, devices_out, cpus_out);
    weir_free(data);
    return status;
}
