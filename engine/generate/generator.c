/* Generation: open and close. */
#include "base/alloc.h"
#include "base/grown.h"
#include "engine/checkpoint/weights.h"
#include "engine/generate/generator_state.h"
#include "engine/run/params.h"

void weir_generator_config_init(struct weir_generator_config *config, size_t bytes)
{
    const struct weir_generator_config own = WEIR_GENERATOR_CONFIG_DEFAULT;
    weir_grown_give(&own, sizeof own, config, bytes);
    config->struct_bytes = bytes;
}

weir_status weir_generator_config_take(const struct weir_generator_config *given, struct weir_generator_config *own)
{
    weir_status status = weir_grown_take("weir_generator_config", "start with weir_generator_config_init", given,
                                         given ? given->struct_bytes : 0, own, sizeof *own);
    own->struct_bytes = sizeof *own;
    return status;
}

static weir_status config_check(const struct weir_generator_config *config)
{
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
            context = graph->nodes[n].shapes.cache_positions;
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

static weir_status lanes_make(struct weir_generator *g, int n_chunks)
{
    struct weir_runner *runner = &g->runner;
    weir_status status = weir_arena_alloc(&runner->arena, (size_t)g->chunk, sizeof *g->row, &g->row);
    if (!status)
        status = weir_arena_alloc(&runner->arena, (size_t)n_chunks, sizeof *runner->main.lanes, &runner->main.lanes);
    return status ? status
                  : weir_arena_alloc(&runner->arena, (size_t)g->n_samples, sizeof *runner->guest.lanes, &runner->guest.lanes);
}

weir_status weir_generator_check(struct weir_generator *g, const struct weir_generator_config *config)
{
    weir_status status = config_check(config);
    return status ? status : graphs_check(g, config->prompt, config->token);
}

void weir_generator_build_config(const struct weir_generator *g, const struct weir_generator_config *given,
                                 struct weir_engine_config *config_out, struct weir_generation_params *params_out)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = given->prompt;
    config.first_layer = given->first_layer;
    config.device = given->device;
    config.transport = "local"; /* one process generates, whoever started it */
    config.threads_per_rank = given->threads_per_rank;
    config.seed = given->seed;
    config.device_memory = given->device_memory;
    *config_out = config;
    *params_out = (struct weir_generation_params){.token = given->token, .n_stages = given->n_stages, .n_samples = given->n_samples,
                                                  .n_chunks = (int)((g->context + g->chunk - 1) / g->chunk)};
}

static weir_status runner_make(struct weir_generator *g, const struct weir_generator_config *given)
{
    struct weir_runner *runner = &g->runner;
    const struct weir_device_kind *kind;
    struct weir_engine_config config;
    struct weir_generation_params params;
    weir_generator_build_config(g, given, &config, &params);
    weir_status status = lanes_make(g, params.n_chunks);
    if (!status)
        status = weir_build_kind_find(&config, &kind);
    if (!status)
        status = weir_build_computes(kind, "text");
    if (!status)
        status = weir_build_generation(&config, &params, kind, &runner->arena, &runner->build);
    if (!status)
        status = weir_world_find(&runner->world, &runner->build.config, kind, 1);
    if (!status)
        status = weir_world_join(&runner->world, given->threads_per_rank, 0);
    return status ? status : weir_runner_open(runner);
}

weir_status weir_generator_open(const struct weir_generator_config *given, weir_generator **generator_out)
{
    struct weir_generator *g;
    struct weir_generator_config config;
    weir_status status = weir_generator_config_take(given, &config);
    if (!status)
        status = config_check(&config);
    if (!status)
        status = weir_alloc(1, sizeof *g, &g);
    if (status)
        return status;
    g->n_samples = config.n_samples;
    status = weir_generator_check(g, &config);
    if (!status)
        status = runner_make(g, &config);
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
    weir_runner_close(&generator->runner);
    weir_free(generator);
}

weir_status weir_generator_load_weights(weir_generator *generator, const char *path)
{
    return weir_weights_load(&generator->runner, path);
}

weir_status weir_generator_param_read(weir_generator *generator, const char *name, float *values_out, size_t n)
{
    return weir_runner_param_read(&generator->runner, name, values_out, n);
}

weir_status weir_generator_param_write(weir_generator *generator, const char *name, const float *values, size_t n)
{
    return weir_runner_param_write(&generator->runner, name, values, n);
}

weir_status weir_generator_param_bad(weir_generator *generator, const char **name_out)
{
    return weir_runner_param_bad(&generator->runner, name_out);
}

weir_status weir_generator_print_memory(const weir_generator *generator, weir_text_fn say, void *context)
{
    return weir_memory_say(&generator->runner.build, &generator->runner.extras, say, context);
}

int64_t weir_generator_context(const weir_generator *generator)
{
    return generator->context;
}

int64_t weir_generator_vocabulary(const weir_generator *generator)
{
    return generator->vocabulary;
}
