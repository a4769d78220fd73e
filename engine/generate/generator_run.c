/* Generation: prompts, tokens and their logits. */
#include <string.h>

#include "engine/generate/generator_state.h"
#include "engine/run/inputs.h"
#include "engine/run/transfer.h"

enum { IDLE = -1 };

static weir_status lane_set(struct weir_generator *g, const struct weir_run *run, int mb, struct weir_lane lane,
                            const int32_t *tokens)
{
    const struct weir_program *program = run->program;
    int first = program->stages[0].rank;
    size_t bytes = weir_shape_bytes(&program->graph->inputs[0].shape), stride = (bytes + 63) / 64 * 64;
    run->lanes[mb] = lane;
    memset(g->row, 0, bytes);
    memcpy(g->row, tokens, (size_t)lane.rows.n_rows * sizeof *tokens);
    weir_status status = weir_input_check(program->graph, 0, g->row);
    if (status)
        return status;
    return weir_push(&g->runner.machine.ranks[first], WEIR_MEMORY_DATA,
                     program->ranks[first].input_offsets[0] + stride * (size_t)mb, g->row, bytes);
}

static struct weir_rank *last_rank(const struct weir_generator *g, const struct weir_program *program)
{
    return &g->runner.machine.ranks[program->stages[program->n_stages - 1].rank];
}

static size_t logits_offset(const struct weir_rank *last, const struct weir_program *program, int mb)
{
    return program->ranks[last->index].loss_offset + program->result_stride * (size_t)mb;
}

/* The logits of micro-batches [from, to) are wanted. */
struct wanted {
    struct weir_generator *g;
    const struct weir_run *run;
    int from, to;
};

/* Enqueued behind the last stage. */
static weir_status logits_fetch(void *context)
{
    const struct wanted *wanted = context;
    const struct weir_program *program = wanted->run->program;
    struct weir_rank *last = last_rank(wanted->g, program);
    size_t offset = logits_offset(last, program, wanted->from);
    size_t end = logits_offset(last, program, wanted->to - 1) + (size_t)wanted->g->vocabulary * sizeof(float);
    return weir_pull(last, WEIR_MEMORY_DATA, offset, end - offset);
}

/* `status`: how it went so far. */
static weir_status lanes_run(struct weir_generator *g, struct weir_run *run, weir_status status, int from, int to)
{
    struct wanted wanted = {g, run, from, to};
    const struct weir_step_block values = {.values = {.seed = g->runner.build.config.seed}};
    status = status ? weir_runner_fail(&g->runner, status)
                    : weir_runner_run(&g->runner, run, &values, logits_fetch, &wanted);
    g->ran = status ? NULL : run;
    return status;
}

/* What the prompt left in the cache of the first sequence goes to the others. */
static weir_status cache_spread(void *argument)
{
    const struct weir_rank *rank = argument;
    size_t bytes = weir_rank_program(rank)->sequence_bytes;
    char *cache = rank->blocks[WEIR_MEMORY_CACHE];
    weir_status status = WEIR_OK;
    for (int k = 1; bytes && k < rank->machine->build->guest->n_microbatches && !status; k++)
        status = weir_rank_copy(rank, cache + bytes * (size_t)k, cache, bytes);
    return status;
}

static weir_status ready_check(const struct weir_generator *g)
{
    return weir_runner_check(&g->runner, "the generator", "close it");
}

weir_status weir_generator_prompt(weir_generator *g, const int32_t *tokens, int64_t n)
{
    struct weir_run *run = &g->runner.main;
    weir_status status = ready_check(g);
    if (!status && (n < 1 || n > g->context))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the prompt has %lld tokens, it must have 1 to %lld", (long long)n,
                           (long long)g->context);
    if (status)
        return status;
    int last = (int)((n - 1) / g->chunk);
    for (int k = 0; k < run->program->n_microbatches && !status; k++) {
        int64_t at = k * g->chunk, rows = n - at < g->chunk ? n - at : g->chunk;
        struct weir_lane lane = {{at, rows}, 0, k == last ? g->runner.build.graph->n_nodes : g->cached_end};
        if (k <= last)
            status = lane_set(g, run, k, lane, tokens + at);
        else
            run->lanes[k] = (struct weir_lane){{0, 0}, 0, IDLE};
    }
    status = lanes_run(g, run, status, last, last + 1);
    if (!status)
        status = weir_machine_tasks_run(&g->runner.machine, cache_spread, g->runner.machine.ranks, sizeof(struct weir_rank));
    if (status) {
        weir_runner_fail(&g->runner, status);
        g->ran = NULL;
    }
    g->position = n;
    g->result = last;
    return status;
}

weir_status weir_generator_next(weir_generator *g, const int32_t *tokens)
{
    struct weir_run *run = &g->runner.guest;
    weir_status status = ready_check(g);
    if (!status && !g->ran)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "a sequence starts with a prompt: call weir_generator_prompt first");
    if (!status && g->position == g->context)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the sequence has %lld tokens, as many as its cache", (long long)g->context);
    if (status)
        return status;
    for (int k = 0; k < g->n_samples && !status; k++) {
        struct weir_lane lane = {{g->position, 1}, k, g->runner.build.graph->n_nodes};
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
