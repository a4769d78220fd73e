/* Generation: prompts, tokens and their logits. */
#include <string.h>

#include "engine/run/devices.h"
#include "engine/generate/generator_state.h"
#include "engine/run/transfer.h"

enum { IDLE = -1 };

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
