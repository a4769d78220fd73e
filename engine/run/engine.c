/* The engine: open and close. */
#include "engine/run/state.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/run/devices.h"
#include "engine/program/recomputed.h"
#include "engine/transport/transport.h"
#include "partitioner/contiguous/chain.h"
#include "weir_parts.h"

const char *weir_version(void)
{
    return WEIR_VERSION;
}

/* ---- compile ------------------------------------------------------------------------------------------------------- */

static weir_status optimizer_check(const struct weir_engine_config *config)
{
    const struct {
        const char *name;
        double value, most;
    } numbers[] = {{"beta1", config->beta1, 1},
                   {"beta2", config->beta2, 1},
                   {"eps", config->eps, HUGE_VAL},
                   {"weight decay", config->weight_decay, HUGE_VAL},
                   {"gradient clip", config->grad_clip, HUGE_VAL}};
    if (config->optimizer != WEIR_OPTIMIZER_SGD && config->optimizer != WEIR_OPTIMIZER_ADAMW)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown optimizer %d", (int)config->optimizer);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!(numbers[i].value >= 0 && numbers[i].value < numbers[i].most))
            return WEIR_FAIL(WEIR_ERR_USAGE, "%s is %g, it must be at least 0 and below %g", numbers[i].name,
                             numbers[i].value, numbers[i].most);
    return WEIR_OK;
}

weir_status weir_engine_config_check(const struct weir_engine_config *config)
{
    if (config->struct_bytes != sizeof *config)
        return WEIR_FAIL(WEIR_ERR_INVALID, "weir_engine_config has %zu bytes, this library knows %zu: start from "
                                           "WEIR_ENGINE_CONFIG_DEFAULT and rebuild",
                         config->struct_bytes, sizeof *config);
    if (!config->graph || !config->schedule || !config->device)
        return WEIR_FAIL(WEIR_ERR_INVALID, "an engine needs a graph, a schedule and a device");
    if (config->threads_per_rank < 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "threads per rank is %d, it must be at least 1", config->threads_per_rank);
    if (config->device_memory < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device memory is %lld bytes, it must not be negative",
                         (long long)config->device_memory);
    if (config->replicas < 0 || config->replicas > WEIR_REDUCE_TERMS)
        return WEIR_FAIL(WEIR_ERR_USAGE, "replicas is %d, it must be from 1 to %d", config->replicas, WEIR_REDUCE_TERMS);
    if (config->zero != 0 && config->zero != 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "zero is %d: ZeRO stage 1 (1) or none (0) are there", config->zero);
    if (config->bucket_bytes < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "bucket bytes is %lld, it must not be negative", (long long)config->bucket_bytes);
    if (config->dtype != WEIR_COMPUTE_F32 && config->dtype != WEIR_COMPUTE_TF32 && config->dtype != WEIR_COMPUTE_BF16)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown dtype %d", (int)config->dtype);
    return optimizer_check(config);
}

weir_status weir_engine_partition(struct weir_engine *engine)
{
    const struct weir_graph *graph = engine->graph;
    int n_stages = engine->config.schedule->n_stages;
    double *costs;
    weir_status status = weir_recomputed_layers(graph, engine->config.recompute, &engine->arena, &engine->recompute);
    if (!status)
        status = weir_arena_alloc(&engine->arena, (size_t)n_stages + 1, sizeof(int), &engine->first_layer);
    if (!status && engine->config.first_layer) {
        memcpy(engine->first_layer, engine->config.first_layer, sizeof(int) * ((size_t)n_stages + 1));
        return WEIR_OK;
    }
    if (!status)
        status = weir_arena_alloc(&engine->arena, (size_t)graph->n_layers, sizeof *costs, &costs);
    if (status)
        return status;
    for (int l = 0; l < graph->n_layers; l++)
        costs[l] = weir_layer_cost(graph, l);
    status = weir_replay_costs_add(graph, engine->recompute, &engine->arena, costs);
    return status ? status : weir_chain_split(costs, graph->n_layers, n_stages, engine->first_layer);
}

/* The forwards of the training program's schedule, stage by stage on the same ranks and with the same slots. */
static weir_status evaluation_make(struct weir_engine *engine, const struct weir_program_params *training)
{
    struct weir_program_params params = *training;
    struct weir_schedule *forwards;
    weir_status status = weir_arena_alloc(&engine->arena, 1, sizeof *forwards, &forwards);
    if (!status)
        status = weir_schedule_forwards(training->schedule, &engine->arena, forwards);
    params.schedule = forwards;
    if (!status)
        status = weir_program_build(&params, &engine->arena, &engine->evaluate.program);
    return status ? status : weir_program_share(engine->program, engine->evaluate.program, "evaluation, between steps",
                                                &engine->arena, &engine->evaluate.scratch);
}

weir_status weir_engine_compile(struct weir_engine *engine)
{
    const struct weir_engine_config *config = &engine->config;
    struct weir_schedule_report report;
    weir_status status = weir_schedule_check(config->schedule, WEIR_CHANNELS_EDGE, &engine->arena, &report);
    if (!status && config->dtype == WEIR_COMPUTE_BF16)
        status = weir_graph_cast(config->graph, WEIR_DTYPE_BF16, &engine->arena, &engine->graph);
    if (!status && !report.trainable)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "the schedule has forwards only: it cannot train");
    if (!status)
        status = weir_engine_partition(engine);
    if (status)
        return status;
    struct weir_program_params params = {
        .graph = engine->graph,
        .schedule = config->schedule,
        .input_slots = report.input_slots,
        .gradient_slots = report.gradient_slots,
        .first_layer = engine->first_layer,
        .n_threads = config->threads_per_rank,
        .kernels = engine->kind->kernels,
        .state_floats = config->optimizer == WEIR_OPTIMIZER_ADAMW ? 2 : 0,
        .recompute = engine->recompute,
        .n_replicas = engine->n_replicas,
        .zero = config->zero == 1,
        .bucket_bytes = (size_t)config->bucket_bytes,
    };
    status = weir_program_build(&params, &engine->arena, &engine->program);
    engine->train.program = engine->program;
    engine->train.scratch = WEIR_MEMORY_SCRATCH;
    return status || !config->evaluates ? status : evaluation_make(engine, &params);
}

/* ---- open and close ------------------------------------------------------------------------------------------------ */

static weir_status arrays_make(struct weir_engine *engine)
{
    const struct weir_program *program = engine->program;
    size_t p = (size_t)program->n_ranks * (size_t)engine->n_replicas;
    weir_status status = weir_arena_alloc(&engine->arena, p, sizeof *engine->ranks, &engine->ranks);
    if (!status)
        status = weir_arena_alloc(&engine->arena, p, sizeof *engine->compute_ns, &engine->compute_ns);
    if (!status)
        status = weir_arena_alloc(&engine->arena, p, sizeof *engine->peak_bytes, &engine->peak_bytes);
    if (!status)
        status = weir_arena_alloc(&engine->arena, (size_t)(engine->n_replicas * program->n_microbatches),
                                  sizeof *engine->losses, &engine->losses);
    if (status)
        return status;
    engine->n_ranks = (int)p;
    if (!engine->wire)
        engine->end_here = engine->n_ranks;
    for (int r = 0; r < engine->n_ranks && !status; r++) {
        engine->ranks[r].engine = engine;
        engine->ranks[r].index = r % program->n_ranks;
        engine->ranks[r].replica = r / program->n_ranks;
        engine->peak_bytes[r] = weir_program_rank_bytes(program, engine->ranks[r].index);
        status = weir_arena_alloc(&engine->arena, (size_t)engine->graph->n_nodes * WEIR_PASSES,
                                  sizeof *engine->ranks[r].clocks, &engine->ranks[r].clocks);
    }
    return status ? status : weir_devices_open(engine);
}

weir_status weir_engine_parts_find(struct weir_engine *engine)
{
    const struct weir_transport_kind *transport;
    weir_status status = weir_device_list_kind(engine->config.device, &engine->kind);
    if (!status && engine->kind->process_start)
        engine->kind->process_start();
    if (!status)
        status = weir_transport_find(engine->config.transport, &transport);
    if (!status && engine->config.dtype == WEIR_COMPUTE_BF16 && !(engine->kind->flags & WEIR_DEVICE_BF16))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' has no bf16: use --dtype f32", engine->kind->name);
    if (!status && engine->config.placement)
        status = weir_placement_order_find(engine->config.placement, &engine->order);
    bool on_host = !status && engine->kind->flags & WEIR_DEVICE_HOST_MEMORY;
    if (!status && !engine->config.transport && !transport->one_process && !on_host)
        status = weir_transport_find("nccl", &transport); /* a launcher started several */
    if (!status && !transport->one_process && transport->streams == on_host)
        return WEIR_FAIL(WEIR_ERR_USAGE, "transport '%s' moves memory of %s, device '%s' has other memory: use --transport %s",
                         transport->name, on_host ? "GPUs" : "the host", engine->kind->name, on_host ? "mpi" : "nccl");
    engine->wire = status || transport->one_process ? NULL : transport;
    return status;
}

weir_status weir_engine_start(struct weir_engine *engine)
{
    int n_devices;
    engine->vectors = engine->kind->vectors;
    weir_status status = engine->kind->count(&n_devices);
    if (!status)
        status = arrays_make(engine);
    for (int r = engine->first_here; !status && r < engine->end_here; r++)
        status = weir_rank_stream_open(engine, r);
    if (!status && !weir_peers_stream(engine))
        status = weir_devices_fit(engine);
    if (!status)
        status = weir_peers_link(engine);
    if (!status && weir_peers_stream(engine)) /* with what the library's buffers left */
        status = weir_devices_fit(engine);
    for (int r = engine->first_here; !status && r < engine->end_here; r++)
        status = weir_rank_open(engine, r);
    if (!status)
        status = weir_peers_place(engine);
    if (!status)
        status = weir_issuers_open(engine);
    if (!status)
        status = weir_run_open(engine, &engine->train);
    if (!status && engine->evaluate.program)
        status = weir_run_open(engine, &engine->evaluate);
    if (!status)
        status = weir_ranks_run(engine, weir_rank_prepare);
    return status ? status : weir_peers_ready(engine);
}

weir_status weir_engine_open(const struct weir_engine_config *config, weir_engine **engine_out)
{
    weir_status status = weir_engine_config_check(config);
    if (status)
        return status;
    struct weir_engine *engine;
    status = weir_alloc(1, sizeof *engine, &engine);
    if (status)
        return status;
    engine->config = *config;
    engine->graph = config->graph;
    engine->n_replicas = config->replicas ? config->replicas : 1;
    status = weir_engine_parts_find(engine);
    if (!status)
        status = weir_peers_join(engine);
    if (!status)
        status = weir_engine_compile(engine);
    if (!status)
        status = weir_engine_start(engine);
    if (status) {
        char message[WEIR_ERROR_MAX];
        weir_engine_break(engine, status);
        weir_error_take(message);
        weir_engine_close(engine);
        weir_error_put(message);
        return status;
    }
    *engine_out = engine;
    return WEIR_OK;
}

weir_status weir_engine_preview(const struct weir_engine_config *config, FILE *memory_out, FILE *program_out)
{
    weir_status status = weir_engine_config_check(config);
    if (status)
        return status;
    struct weir_engine engine = {
        .config = *config, .graph = config->graph, .n_replicas = config->replicas ? config->replicas : 1};
    status = weir_engine_parts_find(&engine);
    if (!status)
        status = weir_engine_compile(&engine);
    if (!status)
        status = weir_devices_preview(&engine);
    if (!status && memory_out)
        weir_engine_print_memory(&engine, memory_out);
    if (!status && program_out)
        weir_engine_print_program(&engine, program_out);
    weir_arena_release(&engine.arena);
    return status;
}

/* After a failure the streams of this process end by themselves, or never. */
static void streams_end(struct weir_engine *engine)
{
    for (int r = engine->first_here; r < engine->end_here && !engine->stuck; r++)
        engine->stuck = engine->ranks && engine->ranks[r].stream &&
                        engine->kind->stream_sync(engine->ranks[r].stream, WEIR_TRANSPORT_GRACE_NS) == WEIR_ERR_TIMEOUT;
    if (engine->stuck)
        weir_log(WEIR_LOG_WARN, "what waits on the device for a lost rank could not be ended: its memory is left as it is");
}

void weir_engine_close(weir_engine *engine)
{
    if (!engine)
        return;
    if (engine->broken && weir_peers_stream(engine))
        streams_end(engine);
    int first = engine->first_here, end = engine->n_ranks && !engine->stuck ? engine->end_here : first;
    weir_issuers_close(engine);
    for (int r = first; r < end; r++)
        weir_rank_close(engine, &engine->ranks[r]);
    weir_run_close(engine, &engine->train);
    weir_run_close(engine, &engine->evaluate);
    weir_peers_unlink(engine);
    for (int r = first; r < end; r++)
        if (engine->ranks[r].device)
            engine->kind->close(engine->ranks[r].device);
    weir_peers_leave(engine);
    weir_arena_release(&engine->arena);
    weir_free(engine);
}
