#include "engine/program/stage_costs.h"

#include "engine/program/build.h"
#include "engine/program/config_take.h"
#include "include/weir/schedule.h"

/* Of the layers of one stage. */
static void times_add(const struct weir_cost_graph *costs, const struct weir_stage_program *program,
                      struct weir_stage_costs *stage)
{
    for (int l = program->first_layer; l < program->first_layer + program->n_layers; l++) {
        stage->forward += costs->nodes[l].forward;
        stage->input += costs->nodes[l].input_grad;
        stage->weight += costs->nodes[l].weight_grad;
    }
}

/* Every stage has a rank of its own, so that what the rank holds is the stage's. */
static void memory_set(const struct weir_program *program, int s, struct weir_stage_costs *stage)
{
    const struct weir_stage_program *p = &program->stages[s];
    const size_t *bytes = program->ranks[p->rank].bytes;
    double f_to_i = (double)p->act_bytes[0], f_to_w = (double)p->act_bytes[1], i_to_w = (double)p->act_bytes[2];
    stage->mem_backward = f_to_i + f_to_w;
    stage->mem_weight = f_to_w + i_to_w;
    stage->mem_made = i_to_w;
    stage->param_bytes = (double)(bytes[WEIR_MEMORY_PARAMS] + bytes[WEIR_MEMORY_COPIES]);
    stage->grad_bytes = (double)bytes[WEIR_MEMORY_GRADS];
    stage->optimizer_bytes = (double)bytes[WEIR_MEMORY_OPTIMIZER];
}

static weir_status absent_kernels(const struct weir_op *op, const struct weir_op_shapes *shapes,
                                  const struct weir_op_kernels **kernels_out)
{
    static const struct weir_op_kernels absent = {weir_kernel_absent, weir_kernel_absent, weir_kernel_absent, NULL, NULL};
    (void)op;
    (void)shapes;
    *kernels_out = &absent;
    return WEIR_OK;
}

/* What actions keep does not depend on the device, and scratch is not asked for. */
static const struct weir_device_kind any_device = {.name = "any", .flags = WEIR_DEVICE_BF16, .kernels = absent_kernels};

/* With the backward in two, so that it shows what I makes for W. */
static weir_status program_build(const struct weir_engine_config *config, int n_stages, struct weir_arena *work,
                                 struct weir_build *build)
{
    struct weir_engine_config one = *config;
    struct weir_schedule schedule;
    weir_status status = weir_pipeline_schedule("zb-h1", n_stages, 1, 1, work, &schedule);
    one.schedule = &schedule;
    return status ? status : weir_build_training(&one, &any_device, work, build);
}

weir_status weir_stage_costs_make(const struct weir_engine_config *config, int n_stages,
                                  const struct weir_ceilings *ceilings, struct weir_arena *arena,
                                  const struct weir_stage_costs **stages_out)
{
    struct weir_arena work = {0};
    struct weir_build build;
    struct weir_cost_graph costs;
    struct weir_stage_costs *stages;
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *stages, &stages);
    if (!status)
        status = program_build(config, n_stages, &work, &build);
    if (!status)
        status = weir_model_cost_graph(build.graph, config->recompute, ceilings, &costs);
    if (status)
        goto release_work;
    for (int s = 0; s < n_stages; s++) {
        times_add(&costs, &build.program->stages[s], &stages[s]);
        memory_set(build.program, s, &stages[s]);
    }
    weir_cost_graph_release(&costs);
    *stages_out = stages;
release_work:
    weir_arena_release(&work);
    return status;
}

/* The program's configuration as this library's. */
static weir_status config_take(const struct weir_engine_config *given, int n_stages, struct weir_engine_config *own)
{
    weir_status status = weir_engine_config_take(given, own);
    if (!status && !own->graph)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "stages are those of a graph, the configuration has none");
    if (!status && n_stages < 1)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "there are %d stages, there must be at least 1", n_stages);
    return status;
}

weir_status weir_stage_costs_find(const struct weir_engine_config *config, int n_stages,
                                  const struct weir_ceilings *ceilings, struct weir_arena *arena,
                                  const struct weir_stage_costs **stages_out)
{
    struct weir_engine_config own;
    weir_status status = config_take(config, n_stages, &own);
    return status ? status : weir_stage_costs_make(&own, n_stages, ceilings, arena, stages_out);
}

weir_status weir_stage_boundaries_find(const struct weir_engine_config *config, int n_stages, struct weir_arena *arena,
                                       const struct weir_schedule_boundary **boundaries_out, int *n_out)
{
    struct weir_arena work = {0};
    struct weir_engine_config own;
    struct weir_build build;
    weir_status status = config_take(config, n_stages, &own);
    if (!status)
        status = program_build(&own, n_stages, &work, &build);
    if (!status)
        status = weir_program_boundaries(build.program, arena, boundaries_out, n_out);
    weir_arena_release(&work);
    return status;
}
