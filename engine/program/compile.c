/* Compilation: the steps in order, and what does not fit anywhere else. */
#include "engine/program/compile.h"
#include "engine/program/keeps.h"

static weir_status partition_check(const struct weir_program_params *params)
{
    const struct weir_graph *graph = params->graph;
    int n_stages = params->schedule->n_stages;
    if (params->first_layer[0] != 0 || params->first_layer[n_stages] != graph->n_layers)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the partition covers layers %d to %d, the model has %d", params->first_layer[0],
                         params->first_layer[n_stages], graph->n_layers);
    for (int s = 0; s < n_stages; s++)
        if (params->first_layer[s + 1] <= params->first_layer[s])
            return WEIR_FAIL(WEIR_ERR_INVALID, "stage %d of the partition has no layers", s);
    return WEIR_OK;
}

static void stages_set(struct weir_compile *c)
{
    const struct weir_graph *graph = c->graph;
    for (int s = 0; s < c->program->n_stages; s++) {
        struct weir_stage_program *stage = &c->program->stages[s];
        stage->rank = c->schedule->stage_rank[s];
        stage->first_layer = c->params->first_layer[s];
        stage->n_layers = c->params->first_layer[s + 1] - stage->first_layer;
        const struct weir_layer *last = &graph->layers[stage->first_layer + stage->n_layers - 1];
        stage->first_node = graph->layers[stage->first_layer].first_node;
        stage->n_nodes = last->first_node + last->n_nodes - stage->first_node;
    }
}

static weir_status nodes_trace(struct weir_compile *c)
{
    int n_slices = c->program->n_slices;
    weir_status status = weir_arena_alloc(c->arena, (size_t)n_slices, sizeof *c->slices, &c->slices);
    for (int k = 0; k < n_slices && !status; k++) {
        struct weir_compile_slice *slice = &c->slices[k];
        slice->graph = c->params->slices ? c->params->slices[k] : c->graph;
        status = weir_arena_alloc(c->arena, (size_t)c->graph->n_nodes, sizeof *slice->shapes, &slice->shapes);
        for (int n = 0; n < c->graph->n_nodes && !status; n++)
            slice->shapes[n] = slice->graph->nodes[n].shapes;
    }
    return status ? status : weir_gradients_trace(c->graph, c->arena, &c->wants_grad);
}

/* More than any sum of the memory table can come to: of every node its value, what it saves, both gradients and as much again
 * for alignment and scratch, for every micro-batch; of every parameter values, copies, gradients of its uses and state. */
static double bytes_at_most(const struct weir_program_params *params)
{
    const struct weir_graph *graph = params->graph;
    double per_microbatch = 0, once = 0, microbatches = (double)params->schedule->n_microbatches + 2;
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct weir_op_shapes *shapes = &graph->nodes[n].shapes;
        per_microbatch += 4.0 * ((double)weir_shape_bytes(weir_graph_shape(graph, n)) + (double)shapes->saved_bytes + 64);
        once += (double)shapes->cache_bytes * (1.0 + params->n_sequences);
    }
    for (int i = 0; i < graph->n_inputs; i++)
        per_microbatch += (double)weir_shape_bytes(&graph->inputs[i].shape) + 64;
    for (int i = 0; i < graph->n_params; i++)
        once += (double)weir_shape_bytes(&graph->params[i].shape) * (4.0 + (double)params->state_floats + graph->params[i].n_uses);
    return (per_microbatch * microbatches + once) * (params->n_replicas ? params->n_replicas : 1);
}

/* From here on sizes are added up without a thought of 2^64. */
static weir_status size_check(const struct weir_program_params *params)
{
    double bytes = bytes_at_most(params);
    if (bytes < 0x1p62)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_NOFIT,
                     "model '%s' with %d micro-batches of %lld samples is beyond any memory (up to %.3g bytes): a smaller "
                     WEIR_OPTION("microbatch_size") " or fewer " WEIR_OPTION("microbatches") " are needed",
                     params->graph->name, params->schedule->n_microbatches, (long long)params->graph->microbatch_size, bytes);
}

static bool has_backward(const struct weir_schedule *schedule)
{
    for (int r = 0; r < schedule->n_ranks; r++)
        for (size_t a = 0; a < schedule->ranks[r].n_actions; a++)
            if (schedule->ranks[r].actions[a].type == WEIR_B || schedule->ranks[r].actions[a].type == WEIR_I)
                return true;
    return false;
}

/* Of two copies of the weights the program is what one does. */
static weir_status copy_take(struct weir_compile *c)
{
    struct weir_schedule *one;
    if (c->schedule->n_copies == 1)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(c->arena, 1, sizeof *one, &one);
    if (!status)
        status = weir_schedule_one_copy(c->schedule, c->arena, one);
    c->schedule = one;
    return status;
}

static weir_status program_open(struct weir_compile *c)
{
    const struct weir_schedule *schedule = c->schedule;
    struct weir_program *program;
    weir_status status = weir_arena_alloc(c->arena, 1, sizeof *program, &program);
    if (status)
        return status;
    c->program = program;
    program->graph = c->graph;
    program->schedule = schedule;
    program->n_stages = schedule->n_stages;
    program->n_ranks = schedule->n_ranks;
    program->n_microbatches = schedule->n_microbatches;
    program->n_slices = weir_schedule_slices(schedule);
    program->n_copies = c->params->schedule->n_copies;
    status = weir_arena_alloc(c->arena, (size_t)program->n_stages, sizeof *program->stages, &program->stages);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)program->n_ranks, sizeof *program->ranks, &program->ranks);
    return status;
}

static weir_status build(const struct weir_program_params *params, struct weir_arena *arena, bool *circle_out,
                         struct weir_program **program_out)
{
    struct weir_compile c = {
        .params = params, .graph = params->graph, .schedule = params->schedule, .arena = arena};
    weir_status status = partition_check(params);
    if (!status)
        status = copy_take(&c);
    if (!status)
        status = program_open(&c);
    if (!status)
        status = size_check(params);
    if (!status)
        status = nodes_trace(&c);
    if (!status)
        status = weir_moments_find(c.schedule, arena, &c.moments);
    if (!status && params->schedule->n_copies > 1)
        status = weir_moments_find(params->schedule, arena, &c.rows);
    c.forward_only = !has_backward(params->schedule);
    if (!status && !c.forward_only && !c.graph->n_targets)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "graph '%s' has no loss: it can run forwards, not train", c.graph->name);
    if (status)
        return status;
    c.n_replicas = (params->n_replicas ? params->n_replicas : 1) * c.program->n_copies;
    c.program->n_replicas = c.n_replicas;
    c.program->zero = params->zero && c.n_replicas > 1;
    stages_set(&c);
    status = weir_compile_boundaries(&c);
    if (!status)
        status = weir_compile_layout(&c);
    for (int s = 0; s < c.program->n_stages && !status; s++)
        status = weir_compile_template(&c, s);
    if (!status)
        status = weir_compile_places(&c);
    if (!status)
        status = weir_compile_caches(&c);
    if (!status)
        status = weir_compile_pieces(&c);
    if (!status)
        status = weir_compile_instrs(&c);
    if (!status)
        status = weir_compile_deps(&c);
    if (!status)
        status = weir_compile_signals(&c);
    if (!status)
        status = weir_compile_workers(&c);
    if (!status)
        status = weir_compile_order(&c);
    if (!status)
        *program_out = c.program;
    *circle_out = c.circle;
    return status;
}

static weir_status slots_double(struct weir_arena *arena, int n, int most, const int *slots, const int **doubled_out)
{
    int *doubled;
    if (!slots)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(arena, (size_t)n, sizeof *doubled, &doubled);
    for (int s = 0; s < n && !status; s++)
        doubled[s] = 2 * slots[s] < most ? 2 * slots[s] : most;
    if (!status)
        *doubled_out = doubled;
    return status;
}

/* The check has counted slots between neighbours.  Where those of other boundaries close a circle, more slots open it: with one per
 * micro-batch nobody waits for a slot. */
weir_status weir_program_build(const struct weir_program_params *params, struct weir_arena *arena,
                               struct weir_program **program_out)
{
    struct weir_program_params p = *params;
    int n_stages = params->schedule->n_stages, most = params->schedule->n_microbatches;
    bool circle = false;
    weir_status status = build(&p, arena, &circle, program_out);
    for (int slots = 1; status && circle && slots < most; slots *= 2) {
        status = slots_double(arena, n_stages, most, p.input_slots, &p.input_slots);
        if (!status)
            status = slots_double(arena, n_stages, most, p.gradient_slots, &p.gradient_slots);
        if (!status)
            status = slots_double(arena, n_stages, most, p.peak_in_flight, &p.peak_in_flight);
        if (!status)
            status = build(&p, arena, &circle, program_out);
    }
    return status;
}
