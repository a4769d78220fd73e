#include "engine/run/generator.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/run/devices.h"
#include "engine/run/state.h"
#include "engine/run/transfer.h"

enum { IDLE = -1 };

struct weir_generator {
    weir_engine *engine;
    const struct weir_run_program *ran; /* whose results the logits are; NULL: none yet */
    int n_samples, result;              /* result: of all samples after a prompt, -1 after a token of each */
    int64_t chunk, context, vocabulary, position;
    int32_t *row;                       /* [chunk]: tokens of a lane, then zeros */
    int cached_end;                     /* nodes from here on change no cache */
};

/* ---- open ---------------------------------------------------------------------------------------------------------- */

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

/* ---- run ----------------------------------------------------------------------------------------------------------- */

static weir_status lane_set(struct weir_generator *g, const struct weir_run_program *run, int mb, struct weir_lane lane,
                            const int32_t *tokens)
{
    const struct weir_program *program = run->program;
    int first = program->stages[0].rank;
    size_t bytes = weir_shape_bytes(&program->graph->inputs[0].shape), stride = (bytes + 63) / 64 * 64;
    weir_status status = WEIR_OK;
    run->lanes[mb] = lane;
    memset(g->row, 0, bytes);
    memcpy(g->row, tokens, (size_t)lane.rows.n_rows * sizeof *tokens);
    if (!(g->engine->kind->flags & WEIR_DEVICE_TASKS))
        status = weir_input_check(program->graph, 0, g->row);
    if (status)
        return status;
    return weir_push(&g->engine->ranks[first], WEIR_MEMORY_DATA,
                     program->ranks[first].input_offsets[0] + stride * (size_t)mb, g->row, bytes);
}

static struct weir_rank *last_rank(const struct weir_generator *g, const struct weir_program *program)
{
    return &g->engine->ranks[program->stages[program->n_stages - 1].rank];
}

static size_t logits_offset(const struct weir_rank *last, const struct weir_program *program, int mb)
{
    return program->ranks[last->index].loss_offset + program->result_stride * (size_t)mb;
}

/* Enqueued behind the last stage: the logits of micro-batches [from, to). */
static weir_status logits_fetch(struct weir_generator *g, const struct weir_program *program, int from, int to)
{
    struct weir_rank *last = last_rank(g, program);
    size_t offset = logits_offset(last, program, from);
    size_t end = logits_offset(last, program, to - 1) + (size_t)g->vocabulary * sizeof(float);
    return weir_pull(last, WEIR_MEMORY_DATA, offset, end - offset);
}

/* `status`: how it went so far; the logits of micro-batches [from, to) are wanted. */
static weir_status lanes_run(struct weir_generator *g, const struct weir_run_program *run, weir_status status, int from,
                             int to)
{
    weir_engine *engine = g->engine;
    if (!status)
        status = weir_step_begin(engine, 0, false);
    if (!status)
        status = weir_run_issue(engine, run);
    if (!status)
        status = logits_fetch(g, run->program, from, to);
    weir_status synced = weir_ranks_sync(engine);
    status = status ? status : synced;
    engine->broken = status != WEIR_OK;
    g->ran = status ? NULL : run;
    return status;
}

/* What the prompt left in the cache of the first sequence goes to the others. */
static weir_status cache_spread(void *argument)
{
    struct weir_rank *rank = argument;
    size_t bytes = rank->engine->program->ranks[rank->index].sequence_bytes;
    char *cache = rank->blocks[WEIR_MEMORY_CACHE];
    weir_status status = WEIR_OK;
    for (int k = 1; bytes && k < rank->engine->evaluate.program->n_microbatches && !status; k++)
        status = weir_rank_copy(rank, cache + bytes * (size_t)k, cache, bytes);
    return status;
}

static weir_status broken_check(const struct weir_generator *g)
{
    return g->engine->broken ? WEIR_FAIL(WEIR_ERR_INVALID, "the generator failed before: close it") : WEIR_OK;
}

weir_status weir_generator_prompt(weir_generator *g, const int32_t *tokens, int64_t n)
{
    const struct weir_run_program *run = &g->engine->train;
    weir_status status = broken_check(g);
    if (!status && (n < 1 || n > g->context))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the prompt has %lld tokens, it must have 1 to %lld", (long long)n,
                           (long long)g->context);
    if (status)
        return status;
    int last = (int)((n - 1) / g->chunk);
    for (int k = 0; k < run->program->n_microbatches && !status; k++) {
        int64_t at = k * g->chunk, rows = n - at < g->chunk ? n - at : g->chunk;
        struct weir_lane lane = {{at, rows}, 0, k == last ? g->engine->graph->n_nodes : g->cached_end};
        if (k <= last)
            status = lane_set(g, run, k, lane, tokens + at);
        else
            run->lanes[k] = (struct weir_lane){{0, 0}, 0, IDLE};
    }
    status = lanes_run(g, run, status, last, last + 1);
    if (!status && (status = weir_ranks_run(g->engine, cache_spread))) {
        g->engine->broken = true;
        g->ran = NULL;
    }
    g->position = n;
    g->result = last;
    return status;
}

weir_status weir_generator_next(weir_generator *g, const int32_t *tokens)
{
    const struct weir_run_program *run = &g->engine->evaluate;
    weir_status status = broken_check(g);
    if (!status && !g->ran)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "a sequence starts with a prompt: call weir_generator_prompt first");
    if (!status && g->position == g->context)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the sequence has %lld tokens, as many as its cache", (long long)g->context);
    if (status)
        return status;
    for (int k = 0; k < g->n_samples && !status; k++) {
        struct weir_lane lane = {{g->position, 1}, k, g->engine->graph->n_nodes};
        status = lane_set(g, run, k, lane, tokens + k);
    }
    status = lanes_run(g, run, status, 0, g->n_samples);
    g->position++;
    g->result = -1;
    return status;
}

const float *weir_generator_logits(const weir_generator *g, int sample)
{
    if (!g->ran)
        return NULL;
    const struct weir_program *program = g->ran->program;
    const struct weir_rank *last = last_rank(g, program);
    return weir_pulled(last, WEIR_MEMORY_DATA, logits_offset(last, program, g->result >= 0 ? g->result : sample));
}
