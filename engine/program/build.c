#include "engine/program/build.h"

#include <string.h>

#include "engine/program/fetches.h"
#include "engine/program/recomputed.h"
#include "engine/program/slices.h"
#include "engine/program/update_scales.h"
#include "include/weir/schedule.h"
#include "include/weir/partition.h"
#include "partitioner/contiguous/ranks.h"

static weir_status dtype_check(const struct weir_engine_config *config, const struct weir_device_kind *kind)
{
    if (config->dtype == WEIR_COMPUTE_BF16 && !(kind->flags & WEIR_DEVICE_BF16))
        return WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' has no bf16: use " WEIR_OPTION("dtype=f32"), kind->name);
    return WEIR_OK;
}

weir_status weir_build_computes(const struct weir_device_kind *kind, const char *what)
{
    if (!(kind->flags & WEIR_DEVICE_DRY))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "device '%s' computes nothing, so there is no %s: use another " WEIR_OPTION("device"),
                     kind->name, what);
}

weir_status weir_build_kind_find(const struct weir_engine_config *config, const struct weir_device_kind **kind_out)
{
    const struct weir_device_kind *kind;
    weir_status status = weir_device_list_kind(config->device, &kind);
    if (!status)
        status = dtype_check(config, kind);
    if (!status)
        *kind_out = kind;
    return status;
}

weir_status weir_build_kind_plan(const struct weir_engine_config *config, const struct weir_device_kind **kind_out)
{
    const struct weir_device_kind *kind;
    weir_status status = weir_device_list_kind_plan(config->device, &kind);
    if (!status)
        status = dtype_check(config, kind);
    if (!status)
        *kind_out = kind;
    return status;
}

/* ---- partition ----------------------------------------------------------------------------------------------------- */

/* The configuration's, or layers balanced by estimated cost, replays included: the busiest stage has as little to do as can be, or where
 * ranks have several stages, the busiest rank as little as is found. */
static weir_status layers_split(struct weir_build *b, struct weir_arena *arena, const bool *recompute, int n_stages,
                                int *first_layer)
{
    const struct weir_graph *graph = b->graph;
    double *costs;
    if (b->config.first_layer) {
        memcpy(first_layer, b->config.first_layer, sizeof(int) * ((size_t)n_stages + 1));
        return WEIR_OK;
    }
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_layers, sizeof *costs, &costs);
    for (int l = 0; l < graph->n_layers && !status; l++)
        costs[l] = weir_layer_cost(graph, l);
    if (!status)
        status = weir_replay_costs_add(graph, recompute, arena, costs);
    if (!status)
        status = weir_chain_split(costs, graph->n_layers, n_stages, first_layer);
    const struct weir_schedule *schedule = b->config.schedule;
    bool has_chunks = schedule && schedule->n_copies < 2 && schedule->n_stages == n_stages && schedule->n_ranks < n_stages, is_better;
    if (status || !has_chunks)
        return status;
    return weir_chain_even_ranks(costs, graph->n_layers, n_stages, schedule->stage_rank, schedule->n_ranks, first_layer, &is_better);
}

static weir_status partition_make(struct weir_build *b, struct weir_arena *arena, int n_stages)
{
    bool *recompute;
    int *first_layer;
    weir_status status = weir_recomputed_layers(b->graph, b->config.recompute, arena, &recompute);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_stages + 1, sizeof *first_layer, &first_layer);
    if (!status)
        status = layers_split(b, arena, recompute, n_stages, first_layer);
    if (status)
        return status;
    b->recompute = recompute;
    b->first_layer = first_layer;
    return WEIR_OK;
}

/* ---- training ------------------------------------------------------------------------------------------------------ */

static struct weir_program_params params_of(const struct weir_build *b, const struct weir_schedule *schedule,
                                            const struct weir_schedule_report *report)
{
    return (struct weir_program_params){
        .graph = b->graph,
        .slices = b->slices,
        .schedule = schedule,
        .input_slots = report->input_slots,
        .gradient_slots = report->gradient_slots,
        .peak_in_flight = report->peak_in_flight_stage,
        .first_layer = b->first_layer,
        .n_threads = b->config.threads_per_rank,
        .kernels = b->kind->kernels,
        .packed_bytes = b->config.pack ? b->kind->packed_bytes : NULL,
    };
}

/* A file with communication has cells for what goes to the next stage alone. */
static weir_status cells_check(const struct weir_build *b, struct weir_arena *arena)
{
    struct weir_schedule schedule = *b->config.schedule;
    if (!schedule.has_comms)
        return WEIR_OK;
    weir_status status = weir_program_boundaries(b->program, arena, &schedule.boundaries, &schedule.n_boundaries);
    return status ? status : weir_schedule_cells_check(&schedule);
}

/* Weights are packed for whole sequences: slices would each want a form of their own. */
static weir_status pack_check(const struct weir_build *b)
{
    if (b->config.pack && !b->kind->packed_bytes)
        return WEIR_FAIL(WEIR_ERR_USAGE, WEIR_OPTION("pack") " is for device cpu, not for '%s': leave it out", b->kind->name);
    if (b->config.pack && b->config.schedule->n_slices > 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, WEIR_OPTION("pack") " is for whole sequences, and the schedule cuts them into %d slices: "
                         "leave it out", b->config.schedule->n_slices);
    return WEIR_OK;
}

/* A wish for packing that has no effect is said. */
static weir_status packed_check(const struct weir_build *b)
{
    if (!b->config.pack || weir_program_packed_bytes(b->program))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the matrix library has no form of its own for this model's weights on this processor, or "
                     "too few tokens are computed together: leave out " WEIR_OPTION("pack"));
}

/* The forwards of the step's schedule, stage by stage on the same ranks and with the same slots. */
static weir_status evaluation_make(struct weir_build *b, const struct weir_program_params *training, struct weir_arena *arena)
{
    struct weir_program_params params = *training;
    struct weir_schedule *forwards;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *forwards, &forwards);
    if (!status)
        status = weir_schedule_forwards(training->schedule, arena, forwards);
    params.schedule = forwards;
    if (!status)
        status = weir_program_build(&params, arena, &b->guest);
    return status ? status
                  : weir_program_share(b->program, b->guest, "evaluation, between steps", arena, &b->guest_scratch);
}

static weir_status training_make(struct weir_build *b, struct weir_arena *arena)
{
    const struct weir_engine_config *config = &b->config;
    struct weir_schedule_report report;
    weir_status status = weir_schedule_check(config->schedule, WEIR_CHANNELS_EDGE, arena, &report);
    if (!status && config->dtype == WEIR_COMPUTE_BF16)
        status = weir_graph_cast(config->graph, WEIR_DTYPE_BF16, arena, &b->graph);
    if (!status && !report.trainable)
        status = weir_schedule_error_name(
            config->schedule, WEIR_FAIL(WEIR_ERR_INVALID, "the schedule has forwards only: it cannot train"));
    if (!status && config->schedule->n_slices > 1)
        status = weir_slices_build(b->graph, config->schedule->n_slices, arena, &b->slices);
    if (!status)
        status = pack_check(b);
    if (!status)
        status = weir_update_scales_make(config, arena, &b->update_scales);
    if (!status)
        status = partition_make(b, arena, config->schedule->n_stages);
    if (status)
        return status;
    struct weir_program_params params = params_of(b, config->schedule, &report);
    params.state_floats = config->optimizer == WEIR_OPTIMIZER_ADAMW ? 2 : 0;
    params.recompute = b->recompute;
    params.n_replicas = config->replicas;
    params.zero = config->zero == 1;
    params.bucket_bytes = (size_t)config->bucket_bytes;
    status = weir_program_build(&params, arena, &b->program);
    if (!status)
        status = packed_check(b);
    if (!status)
        status = cells_check(b, arena);
    if (!status)
        b->n_replicas = b->program->n_replicas;
    if (!status && config->updates_apart)
        status = weir_program_update_alone(b->program, arena, &b->update);
    if (!status && config->evaluates)
        status = evaluation_make(b, &params, arena);
    return status ? status : weir_fetches_make(b, arena);
}

weir_status weir_build_training(const struct weir_engine_config *config, const struct weir_device_kind *kind,
                                struct weir_arena *arena, struct weir_build *build_out)
{
    struct weir_build build = {.config = *config, .kind = kind, .graph = config->graph};
    weir_status status = weir_engine_config_check(config);
    if (!status)
        status = training_make(&build, arena);
    if (!status)
        *build_out = build;
    return status;
}

/* ---- generation ---------------------------------------------------------------------------------------------------- */

/* Forwards of `graph` for `n` micro-batches in ascending order. */
static weir_status forwards_make(struct weir_build *b, const struct weir_generation_params *generation,
                                 const struct weir_graph *graph, int n, struct weir_arena *arena,
                                 struct weir_program **program_out)
{
    struct weir_schedule *schedule;
    struct weir_schedule_report report;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *schedule, &schedule);
    if (!status)
        status = weir_pipeline_schedule("inference", generation->n_stages, 1, n, arena, schedule);
    if (!status)
        status = weir_schedule_check(schedule, WEIR_CHANNELS_EDGE, arena, &report);
    b->config.schedule = schedule;
    if (!status && !b->first_layer)
        status = partition_make(b, arena, generation->n_stages);
    if (status)
        return status;
    struct weir_program_params params = params_of(b, schedule, &report);
    params.graph = graph;
    params.n_sequences = generation->n_samples;
    return weir_program_build(&params, arena, program_out);
}

weir_status weir_build_generation(const struct weir_engine_config *config, const struct weir_generation_params *params,
                                  const struct weir_device_kind *kind, struct weir_arena *arena,
                                  struct weir_build *build_out)
{
    struct weir_schedule none = {0};
    struct weir_engine_config checked = *config;
    struct weir_build build = {.config = *config, .kind = kind, .graph = config->graph, .n_replicas = 1};
    build.smaller = "fewer " WEIR_OPTION("samples") " or " WEIR_OPTION("tokens");
    checked.schedule = &none; /* it is made here */
    weir_status status = weir_engine_config_check(&checked);
    if (!status)
        status = forwards_make(&build, params, config->graph, params->n_chunks, arena, &build.program);
    if (!status)
        status = forwards_make(&build, params, params->token, params->n_samples, arena, &build.guest);
    if (!status)
        status = weir_program_share(build.program, build.guest, "one token of every sample", arena, &build.guest_scratch);
    if (!status)
        *build_out = build;
    return status;
}
