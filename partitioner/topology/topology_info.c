/* Topologies for programs: include/weir/topology.h. */
#include "include/weir/topology.h"

#include "base/grown.h"
#include "partitioner/topology/topology_tree.h"

weir_status weir_topology_open(const char *source, struct weir_arena *arena, const struct weir_topology **topology_out)
{
    struct weir_topology *topology;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *topology, &topology);
    if (!status)
        status = weir_topology_read(source, arena, topology);
    if (!status)
        *topology_out = topology;
    return status;
}

void weir_topology_info_sized(const struct weir_topology *t, struct weir_topology_info *info_out, size_t info_bytes)
{
    const struct weir_topology_info own = {.source = t->source, .form = t->form, .has_gpus = t->has_gpus, .is_assumed = t->is_assumed,
                                           .n_devices = t->n_devices, .n_nodes = t->n_nodes};
    weir_grown_give(&own, sizeof own, info_out, info_bytes);
}

static weir_status device_check(const struct weir_topology *t, int index)
{
    return index >= 0 && index < t->n_devices
               ? WEIR_OK
               : WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %d devices, there is no device %d", t->source, t->n_devices, index);
}

weir_status weir_topology_device_get_sized(const struct weir_topology *t, int index, struct weir_topology_device_info *device_out,
                                           size_t device_bytes)
{
    weir_status status = device_check(t, index);
    if (status)
        return status;
    const struct weir_topology_part *part = &t->parts[t->devices[index].part];
    const struct weir_topology_device_info own = {
        .name = part->name, .node = part->node < 0 ? NULL : t->parts[part->node].name,
        .card = t->card_of[index] < 0 ? NULL : t->parts[t->card_of[index]].name, .memory = t->devices[index].memory,
        .speed = t->devices[index].speed};
    weir_grown_give(&own, sizeof own, device_out, device_bytes);
    return WEIR_OK;
}

weir_status weir_topology_way(const struct weir_topology *t, int from, int to, double *bytes_per_s_out, double *latency_s_out)
{
    weir_status status = device_check(t, from);
    if (!status)
        status = device_check(t, to);
    if (!status && from == to)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "a way leads from a device to another, not from %d to itself", from);
    if (status)
        return status;
    struct weir_topology_path path = weir_topology_path(t, from, to);
    *bytes_per_s_out = path.bandwidth;
    *latency_s_out = path.latency;
    return WEIR_OK;
}

static weir_status text_give(struct weir_text *text, weir_text_fn say, void *context)
{
    weir_status status = text->status;
    if (!status && text->length)
        say(context, text->data, text->length);
    weir_text_release(text);
    return status;
}

weir_status weir_topology_describe(const struct weir_topology *t, weir_text_fn say, void *context)
{
    struct weir_text text = {0};
    weir_topology_print(t, &text);
    return text_give(&text, say, context);
}

weir_status weir_topology_draw(const struct weir_topology *t, weir_text_fn say, void *context)
{
    struct weir_text text = {0};
    weir_topology_svg(t, &text);
    return text_give(&text, say, context);
}
