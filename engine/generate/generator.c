/* Generation: open and close. */
#include "base/alloc.h"
#include "engine/generate/generator_state.h"

static weir_status config_check(const struct weir_generator_config *config)
{
    if (config->struct_bytes != sizeof *config)
        return WEIR_FAIL(WEIR_ERR_INVALID, "weir_generator_config has %zu bytes, this library knows %zu: start from "
                                           "WEIR_GENERATOR_CONFIG_DEFAULT and rebuild",
                         config->struct_bytes, sizeof *config);
    if (!config->prompt || !config->token || !config->device)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a generator needs a graph of a prompt, one of a token, and a device");
    if (config->n_samples < 1 || config->n_stages < 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d samples on %d stages: there must be at least 1 of each", config->n_samples,
                         config->n_stages);
    return WEIR_OK;
}

/* Length of the graph's caches, 0 without any, and the node after the last that has one. */
static int64_t cache_find(const struct weir_graph *graph, int *end_out)
{
    int64_t context = 0;
    for (int n = 0; n < graph->n_nodes; n++)
        if (graph->nodes[n].shapes.cache_bytes) {
            context = graph->nodes[n].attr.n_positions;
            *end_out = n + 1;
        }
    return context;
}

static weir_status graphs_check(struct weir_generator *g, const struct weir_graph *prompt, const struct weir_graph *token)
{
    int end = 0;
    g->context = cache_find(prompt, &g->cached_end);
    if (prompt->n_targets || token->n_targets || !g->context)
        return WEIR_FAIL(WEIR_ERR_INVALID, "graph '%s' does not generate: build it with a context", prompt->name);
    if (prompt->n_inputs != 1 || token->n_inputs != 1 || prompt->n_nodes != token->n_nodes ||
        prompt->n_params != token->n_params || prompt->n_layers != token->n_layers ||
        cache_find(token, &end) != g->context || end != g->cached_end ||
        weir_shape_elements(&token->inputs[0].shape) != 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "graphs '%s' and '%s' are not one model for a chunk of a prompt and for one token",
                         prompt->name, token->name);
    g->chunk = weir_shape_elements(&prompt->inputs[0].shape);
    g->vocabulary = weir_shape_elements(weir_graph_shape(prompt, prompt->n_nodes - 1));
    return WEIR_OK;
}

/* Forwards of `graph` for `n` micro-batches in ascending order. */
static weir_status program_make(struct weir_generator *g, const struct weir_graph *graph, int n_stages, int n,
                                struct weir_run_program *run)
{
    weir_engine *engine = g->engine;
    struct weir_schedule *schedule;
    struct weir_schedule_report report;
    weir_status status = weir_arena_alloc(&engine->arena, 1, sizeof *schedule, &schedule);
    if (!status)
        status = weir_pipeline_schedule("inference", n_stages, 1, n, &engine->arena, schedule);
    if (!status)
        status = weir_schedule_check(schedule, WEIR_CHANNELS_EDGE, &engine->arena, &report);
    if (!status)
        status = weir_arena_alloc(&engine->arena, (size_t)n, sizeof *run->lanes, &run->lanes);
    engine->config.schedule = schedule;
    if (!status && !engine->first_layer)
        status = weir_engine_partition(engine);
    if (status)
        return status;
    struct weir_program_params params = {
        .graph = graph,
        .schedule = schedule,
        .input_slots = report.input_slots,
        .gradient_slots = report.gradient_slots,
        .first_layer = engine->first_layer,
        .n_threads = engine->config.threads_per_rank,
        .kernels = engine->kind->kernels,
        .n_sequences = g->n_samples,
    };
    run->scratch = WEIR_MEMORY_SCRATCH;
    return weir_program_build(&params, &engine->arena, &run->program);
}

static weir_status engine_make(struct weir_generator *g, const struct weir_generator_config *config)
{
    weir_engine *engine;
    weir_status status = weir_alloc(1, sizeof *engine, &engine);
    if (status)
        return status;
    g->engine = engine;
    engine->graph = config->prompt;
    engine->n_replicas = 1;
    engine->advice = "fewer --samples or --tokens";
    engine->config = (struct weir_engine_config)WEIR_ENGINE_CONFIG_DEFAULT;
    engine->config.graph = config->prompt;
    engine->config.first_layer = config->first_layer;
    engine->config.device = config->device;
    engine->config.transport = "local"; /* one process generates, whoever started it */
    engine->config.threads_per_rank = config->threads_per_rank;
    engine->config.seed = config->seed;
    engine->config.device_memory = config->device_memory;
    int n_chunks = (int)((g->context + g->chunk - 1) / g->chunk);
    status = weir_arena_alloc(&engine->arena, (size_t)g->chunk, sizeof *g->row, &g->row);
    if (!status)
        status = weir_engine_parts_find(engine);
    if (!status)
        status = program_make(g, config->prompt, config->n_stages, n_chunks, &engine->train);
    if (!status)
        status = program_make(g, config->token, config->n_stages, g->n_samples, &engine->evaluate);
    if (!status)
        status = weir_engine_config_check(&engine->config);
    if (status)
        return status;
    engine->program = engine->train.program;
    status = weir_program_share(engine->program, engine->evaluate.program, "one token of every sample", &engine->arena,
                                &engine->evaluate.scratch);
    return status ? status : weir_engine_start(engine);
}

weir_status weir_generator_open(const struct weir_generator_config *config, weir_generator **generator_out)
{
    struct weir_generator *g;
    weir_status status = config_check(config);
    if (!status)
        status = weir_alloc(1, sizeof *g, &g);
    if (status)
        return status;
    g->n_samples = config->n_samples;
    status = graphs_check(g, config->prompt, config->token);
    if (!status)
        status = engine_make(g, config);
    if (status) {
        char message[WEIR_ERROR_MAX];
        weir_error_take(message);
        weir_generator_close(g);
        weir_error_put(message);
        return status;
    }
    *generator_out = g;
    return WEIR_OK;
}

void weir_generator_close(weir_generator *generator)
{
    if (!generator)
        return;
    weir_engine_close(generator->engine);
    weir_free(generator);
}

weir_engine *weir_generator_engine(weir_generator *generator)
{
    return generator->engine;
}

int64_t weir_generator_context(const weir_generator *generator)
{
    return generator->context;
}

int64_t weir_generator_vocabulary(const weir_generator *generator)
{
    return generator->vocabulary;
}
