#include "engine/run/devices.h"

#include "base/text.h"
#include "engine/run/extra_memory.h"
#include "engine/run/fit_advice.h"

static bool shares_memory(const struct weir_engine *engine)
{
    return engine->kind->flags & WEIR_DEVICE_HOST_MEMORY;
}

static weir_status all_connect(struct weir_engine *engine)
{
    weir_status status = WEIR_OK;
    for (int r = 0; r < engine->n_ranks; r++)
        for (int q = 0; q < engine->n_ranks && !status; q++)
            if (engine->ranks[r].device_index != engine->ranks[q].device_index)
                status = engine->kind->connect(engine->ranks[r].device, engine->ranks[q].device);
    return status;
}

weir_status weir_devices_open(struct weir_engine *engine)
{
    int *indices;
    weir_status status = weir_arena_alloc(&engine->arena, (size_t)engine->n_ranks, sizeof *indices, &indices);
    if (!status)
        status = weir_device_list(engine->config.device, engine->n_ranks, &engine->kind, indices);
    for (int r = 0; r < engine->n_ranks && !status; r++) {
        struct weir_rank *rank = &engine->ranks[r];
        if (!weir_rank_is_here(rank)) {
            indices[r] = WEIR_EXTRA_UNKNOWN;
            continue;
        }
        status = weir_peers_device_index(engine, &indices[r]);
        rank->device_index = indices[r];
        if (!status)
            status = engine->kind->open(rank->device_index, engine->config.threads_per_rank, &rank->device);
    }
    if (!status)
        status = weir_extra_make(engine, indices);
    return status || shares_memory(engine) || engine->wire ? status : all_connect(engine);
}

weir_status weir_devices_preview(struct weir_engine *engine)
{
    int *indices, n = engine->program->n_ranks * engine->n_replicas;
    weir_status status = weir_arena_alloc(&engine->arena, (size_t)n, sizeof *indices, &indices);
    if (!status)
        status = weir_device_list(engine->config.device, n, &engine->kind, indices);
    for (int r = 0; r < n && !status && engine->wire; r++)
        indices[r] = WEIR_EXTRA_UNKNOWN; /* every process finds its own */
    if (!status)
        status = weir_extra_make(engine, indices);
    for (int r = 0; r < n && !status && weir_peers_stream(engine); r++)
        status = weir_extra_add(engine, &(struct weir_extra){.what = "buffers and mirrors of the transport", .rank = r,
                                                             .device = WEIR_EXTRA_UNKNOWN});
    return status;
}

/* What the rank still takes of its device. */
static size_t need_of(const struct weir_engine *engine, int r)
{
    return weir_program_rank_bytes(engine->program, engine->ranks[r].index) + weir_extra_bytes(engine, r, false);
}

/* Ways out: a share of what there is for each of the device's ranks. */
static weir_status device_refuse(const struct weir_engine *engine, const struct weir_rank *rank, int n, size_t need,
                                 size_t free_bytes, size_t total_bytes)
{
    struct weir_text ways = {0};
    int r = (int)(rank - engine->ranks);
    size_t share = free_bytes / (size_t)n + weir_extra_bytes(engine, r, true) - weir_extra_bytes(engine, r, false);
    size_t cap = engine->config.device_memory ? (size_t)engine->config.device_memory : SIZE_MAX;
    weir_fit_advise(engine, share < cap ? share : cap, &ways);
    weir_status status =
        ways.status ? ways.status
                    : WEIR_FAIL(WEIR_ERR_NOFIT,
                                "device '%s:%d' has %.1f MiB free of %.1f, the rest is its context's and other users', its %d "
                                "rank%s %.1f MiB: use more devices; %s",
                                engine->kind->name, rank->device_index, (double)free_bytes / 0x1p20,
                                (double)total_bytes / 0x1p20, n, n == 1 ? " needs" : "s need", (double)need / 0x1p20,
                                ways.data);
    weir_text_release(&ways);
    return status;
}

/* Ranks that share a device are checked together, by the first of them. */
static weir_status device_fit(struct weir_engine *engine, int first)
{
    const struct weir_rank *rank = &engine->ranks[first];
    size_t free_bytes, total_bytes, need = 0;
    int n = 0;
    for (int r = engine->first_here; r < engine->end_here; r++) {
        if (engine->ranks[r].device_index != rank->device_index)
            continue;
        if (r < first)
            return WEIR_OK;
        need += need_of(engine, r);
        n++;
    }
    weir_status status = engine->kind->memory_info(rank->device, &free_bytes, &total_bytes);
    if (status || need <= free_bytes)
        return status;
    return device_refuse(engine, rank, n, need, free_bytes, total_bytes);
}

weir_status weir_devices_fit(struct weir_engine *engine)
{
    size_t free_bytes = SIZE_MAX, total_bytes;
    weir_status status = WEIR_OK;
    if (shares_memory(engine))
        status = engine->kind->memory_info(engine->ranks[engine->first_here].device, &free_bytes, &total_bytes);
    if (!status && shares_memory(engine))
        status = weir_peers_sum(engine, &free_bytes);
    for (int r = engine->first_here; r < engine->end_here && !status && !shares_memory(engine); r++)
        status = device_fit(engine, r);
    return status ? status : weir_fit_check(engine, free_bytes);
}

/* ---- numbers of a vocabulary --------------------------------------------------------------------------------------- */

/* The size of the vocabulary that the node looks `input` up in; 0: it does not. */
static int64_t vocabulary_of(const struct weir_node *node, int input)
{
    for (int i = 0; i < node->shapes.n_inputs; i++) {
        if (!weir_value_is_input(node->inputs[i]) || weir_value_input(node->inputs[i]) != input)
            continue;
        if (node->op == &weir_op_embedding)
            return node->attr.vocabulary;
        if (node->op == &weir_op_cross_entropy && i == 1)
            return node->shapes.inputs[0].dims[node->shapes.inputs[0].n_dims - 1];
    }
    return 0;
}

weir_status weir_input_check(const struct weir_graph *graph, int input, const void *data)
{
    const int32_t *numbers = data;
    int64_t n = weir_shape_elements(&graph->inputs[input].shape);
    for (int k = 0; k < graph->n_nodes && graph->inputs[input].shape.dtype == WEIR_DTYPE_I32; k++) {
        int64_t vocabulary = vocabulary_of(&graph->nodes[k], input);
        for (int64_t i = 0; i < n && vocabulary; i++)
            if (numbers[i] < 0 || numbers[i] >= vocabulary)
                return WEIR_FAIL(WEIR_ERR_INVALID, "node '%s': input '%s' has %d at %lld, it must be from 0 to %lld",
                                 graph->nodes[k].name, graph->inputs[input].name, (int)numbers[i], (long long)i,
                                 (long long)vocabulary - 1);
    }
    return WEIR_OK;
}
