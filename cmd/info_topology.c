#include "cmd/info_topology.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/replace.h"
#include "cmd/json_out.h"
#include "cmd/paths.h"
#include "partitioner/topology/topology.h"

enum { MOST_MATRIX = 1024 };

static json_t *device_json(const struct weir_topology *t, int device)
{
    const struct weir_topology_device *d = &t->devices[device];
    int card = t->card_of[device];
    return json_pack("{s:s, s:s, s:f, s:f, s:o}", "name", t->parts[d->part].name, "node", t->parts[t->parts[d->part].node].name, "memory",
                     d->memory, "speed", d->speed, "card", card < 0 ? json_null() : json_string(t->parts[card].name));
}

/* Row by row: from each device to each, in bytes/s; 0 on the diagonal. */
static json_t *rates_json(const struct weir_topology *t)
{
    json_t *rows = json_array();
    for (int a = 0; a < t->n_devices; a++) {
        json_t *row = json_array();
        for (int b = 0; b < t->n_devices; b++)
            json_array_append_new(row, json_real(a == b ? 0 : weir_topology_path(t, a, b).bandwidth));
        json_array_append_new(rows, row);
    }
    return rows;
}

static weir_status json_show(const struct weir_topology *t)
{
    json_t *devices = json_array();
    for (int i = 0; i < t->n_devices; i++)
        json_array_append_new(devices, device_json(t, i));
    json_t *root = json_pack("{s:s, s:s, s:i, s:b, s:o, s:o}", "source", t->source, "form", t->form, "nodes", t->n_nodes, "gpus", t->has_gpus,
                             "devices", devices, "bandwidth", t->n_devices > MOST_MATRIX ? json_null() : rates_json(t));
    return json_out(root);
}

static weir_status text_show(const struct weir_topology *t)
{
    struct weir_text text = {0};
    weir_topology_print(t, &text);
    if (!text.status && text.length)
        fwrite(text.data, 1, text.length, stdout);
    weir_status status = text.status;
    weir_text_release(&text);
    return status;
}

static weir_status svg_write(const struct weir_topology *t, const char *path)
{
    struct weir_text text = {0};
    weir_topology_svg(t, &text);
    weir_status status = text.status ? text.status : weir_file_write(path, text.data, text.length);
    weir_text_release(&text);
    return status;
}

weir_status info_topology_print(const char *source, const char *svg, bool json)
{
    struct weir_arena arena = {0};
    struct weir_topology topology;
    struct paths paths = {0};
    paths_write(&paths, "--svg", svg);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    if (!status)
        status = weir_topology_read(source, &arena, &topology);
    if (!status && svg)
        status = svg_write(&topology, svg);
    if (!status)
        status = json ? json_show(&topology) : text_show(&topology);
    weir_arena_release(&arena);
    return status;
}
