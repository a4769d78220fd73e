#include "cmd/info_topology.h"

#include <jansson.h>
#include <stdio.h>

#include "base/json.h"
#include "base/replace.h"
#include "base/text.h"
#include "base/text_stream.h"
#include "cmd/json_out.h"
#include "cmd/paths.h"
#include "include/weir/topology.h"

enum { MOST_MATRIX = 1024 };

static json_t *device_json(const struct weir_topology *t, int device)
{
    struct weir_topology_device_info d;
    if (weir_topology_device_get(t, device, &d))
        return NULL;
    return json_pack("{s:s, s:s?, s:f, s:f, s:s?}", "name", d.name, "node", d.node, "memory", d.memory, "speed", d.speed, "card", d.card);
}

/* Row by row: from each device to each, in bytes/s; 0 on the diagonal. */
static json_t *rates_json(const struct weir_topology *t, int n_devices)
{
    json_t *rows = json_array();
    for (int a = 0; a < n_devices; a++) {
        json_t *row = json_array();
        for (int b = 0; b < n_devices; b++) {
            double bytes_per_s = 0, latency_s;
            if (a != b)
                weir_topology_way(t, a, b, &bytes_per_s, &latency_s);
            json_array_append_new(row, json_real(bytes_per_s));
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

static weir_status json_show(const struct weir_topology *t)
{
    struct weir_topology_info info;
    json_t *devices = json_array();
    weir_topology_info(t, &info);
    for (int i = 0; i < info.n_devices; i++)
        json_array_append_new(devices, device_json(t, i));
    json_t *root = json_pack("{s:o, s:s, s:i, s:b, s:o, s:o}", "source", weir_json_utf8(info.source), "form", info.form, "nodes",
                             info.n_nodes, "gpus", (int)info.has_gpus, "devices", devices, "bandwidth",
                             info.n_devices > MOST_MATRIX ? json_null() : rates_json(t, info.n_devices));
    return json_out(root);
}

static weir_status svg_write(const struct weir_topology *t, const char *path)
{
    struct weir_text text = {0};
    weir_status status = weir_topology_draw(t, weir_text_take, &text);
    if (!status)
        status = text.status ? text.status : weir_file_write(path, text.data, text.length);
    weir_text_release(&text);
    return status;
}

weir_status info_topology_print(const char *source, const char *svg, bool json)
{
    struct weir_arena arena = {0};
    const struct weir_topology *topology;
    struct paths paths = {0};
    paths_write(&paths, "--svg", svg);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    if (!status)
        status = weir_topology_open(source, &arena, &topology);
    if (!status && svg)
        status = svg_write(topology, svg);
    if (!status)
        status = json ? json_show(topology) : weir_topology_describe(topology, weir_text_to_file, stdout);
    weir_arena_release(&arena);
    return status;
}
