/* Steps: feed, issue the program, report. */
#include <math.h>
#include <string.h>

#include "engine/run/devices.h"
#include "engine/run/state.h"
#include "engine/run/transfer.h"

static weir_status input_find(const struct weir_engine *engine, const char *name, int *input_out)
{
    const struct weir_graph *graph = engine->graph;
    for (int i = 0; i < graph->n_inputs; i++)
        if (!strcmp(graph->inputs[i].name, name)) {
            *input_out = i;
            return WEIR_OK;
        }
    return WEIR_FAIL(WEIR_ERR_INVALID, "graph '%s' has no input '%s'", graph->name, name);
}

weir_status weir_engine_feed(weir_engine *engine, const char *name, int mb, const void *data)
{
    int input = 0, m = engine->program->n_microbatches, all = engine->n_replicas * m;
    weir_status status = input_find(engine, name, &input);
    if (status)
        return status;
    if (mb < 0 || mb >= all)
        return WEIR_FAIL(WEIR_ERR_INVALID, "micro-batch %d is out of range, a step has %d", mb, all);
    const struct weir_shape *shape = &engine->graph->inputs[input].shape, *given = &engine->config.graph->inputs[input].shape;
    size_t bytes = weir_shape_bytes(shape), stride = (bytes + 63) / 64 * 64;
    if (!(engine->kind->flags & WEIR_DEVICE_TASKS))
        status = weir_input_check(engine->graph, input, data);
    for (int r = 0; r < engine->program->n_ranks && !status; r++) {
        struct weir_rank *rank = weir_rank_at(engine, mb / m, r);
        size_t offset = engine->program->ranks[r].input_offsets[input];
        if (offset == SIZE_MAX || !weir_rank_is_here(rank))
            continue;
        offset += stride * (size_t)(mb % m);
        status = shape->dtype == given->dtype
                     ? weir_push(rank, WEIR_MEMORY_DATA, offset, data, bytes)
                     : weir_push_bf16(rank, WEIR_MEMORY_DATA, offset, data, weir_shape_elements(shape));
    }
    return status;
}

static struct weir_step_block step_values(const struct weir_engine *engine, double learning_rate, bool training)
{
    const struct weir_engine_config *config = &engine->config;
    double t = (double)engine->step + 1;
    return (struct weir_step_block){
        .values = {.seed = config->seed, .step = (uint32_t)engine->step, .training = training},
        .update = {
            .learning_rate = (float)learning_rate,
            .beta1 = (float)config->beta1,
            .beta2 = (float)config->beta2,
            .eps = (float)config->eps,
            .weight_decay = (float)config->weight_decay,
            /* of the betas as the kernel rounds them, so that the first moments are corrected exactly */
            .correction1 = (float)(1 - pow((double)(float)config->beta1, t)),
            .correction2 = (float)(1 - pow((double)(float)config->beta2, t)),
        },
    };
}

weir_status weir_step_begin(struct weir_engine *engine, double learning_rate, bool training)
{
    weir_status status = WEIR_OK;
    for (int r = engine->first_here; r < engine->end_here && !status; r++) {
        struct weir_rank *rank = &engine->ranks[r];
        rank->host = step_values(engine, learning_rate, training);
        status = weir_push(rank, WEIR_MEMORY_STEP, 0, &rank->host, sizeof rank->host);
    }
    return status;
}

/* Where there are no tasks the instruction is enqueued kernel by kernel, from here; its times are known after the sync and
 * take the place of those at which it was enqueued. */
static weir_status instr_run(struct weir_rank *rank, struct weir_exec *exec)
{
    const struct weir_device_kind *kind = rank->engine->kind;
    if (kind->flags & WEIR_DEVICE_TASKS)
        return kind->run(rank->stream, weir_exec_run, exec);
    weir_status status = weir_peers_await(exec);
    if (!status)
        status = kind->native(rank->stream, &rank->native);
    if (!status)
        status = kind->mark(rank->stream, &exec->start_ns);
    if (kind->range_push)
        kind->range_push(exec->name);
    if (!status)
        status = weir_exec_body(exec);
    if (kind->range_push)
        kind->range_pop();
    if (!status)
        status = kind->mark(rank->stream, &exec->end_ns);
    if (!status)
        status = weir_peers_passed(exec);
    return status ? weir_exec_fail(exec, status) : WEIR_OK;
}

weir_status weir_waits_issue(const struct weir_exec *exec, const struct weir_device_kind *kind, weir_stream *stream,
                             weir_event *const *events)
{
    const struct weir_instr *instr = exec->instr;
    int n_events = exec->run->program->n_events, own = exec->rank->replica;
    weir_status status = WEIR_OK;
    for (int w = 0; w < instr->n_waits && !status; w++)
        status = kind->wait(stream, events[own * n_events + instr->waits[w]]);
    for (int replica = 0; replica < exec->rank->engine->n_replicas; replica++)
        for (int w = 0; w < instr->n_peer_waits && !status && replica != own; w++)
            status = kind->wait(stream, events[replica * n_events + instr->peer_waits[w]]);
    return status;
}

weir_status weir_instr_issue(struct weir_exec *exec)
{
    struct weir_rank *rank = exec->rank;
    const struct weir_device_kind *kind = rank->engine->kind;
    if (rank->engine->wire) /* the instruction awaits and signals by itself, see exec.c */
        return instr_run(rank, exec);
    weir_status status = weir_waits_issue(exec, kind, rank->stream, exec->run->events);
    if (!status)
        status = instr_run(rank, exec);
    if (!status && exec->instr->signal >= 0)
        status = kind->record(rank->stream, *weir_signal_of(exec, exec->run->events));
    return status;
}

static weir_status step_end(struct weir_engine *engine)
{
    weir_status status = WEIR_OK;
    for (int r = engine->first_here; r < engine->end_here && !status; r++) {
        struct weir_rank *rank = &engine->ranks[r];
        status = weir_pull(rank, WEIR_MEMORY_STEP, offsetof(struct weir_step_block, gate), sizeof rank->host.gate);
    }
    return status;
}

/* After the ranks were synchronised. */
static void gates_collect(struct weir_engine *engine)
{
    for (int r = engine->first_here; r < engine->end_here; r++)
        memcpy(&engine->ranks[r].host.gate,
               weir_pulled(&engine->ranks[r], WEIR_MEMORY_STEP, offsetof(struct weir_step_block, gate)),
               sizeof engine->ranks[r].host.gate);
}

/* Sets compute_ns of the ranks that live here. */
static struct weir_step_span span_of(struct weir_engine *engine)
{
    struct weir_step_span span = {INT64_MAX, 0};
    for (int r = engine->first_here; r < engine->end_here; r++) {
        engine->compute_ns[r] = 0;
        for (int i = 0; i < engine->program->ranks[engine->ranks[r].index].n_instrs; i++) {
            const struct weir_exec *exec = &engine->train.execs[r][i];
            engine->compute_ns[r] += exec->end_ns - exec->start_ns;
            span.first_ns = exec->start_ns < span.first_ns ? exec->start_ns : span.first_ns;
            span.last_ns = exec->end_ns > span.last_ns ? exec->end_ns : span.last_ns;
        }
    }
    return span;
}

static weir_status report_fill(struct weir_engine *engine, struct weir_step_report *report)
{
    struct weir_step_span span = span_of(engine);
    int stop = engine->stop_flag ? *engine->stop_flag : 0;
    weir_status status = weir_peers_step_end(engine, &span, &stop);
    if (status)
        return status;
    int64_t busiest = 0, step_ns = span.last_ns > span.first_ns ? span.last_ns - span.first_ns : 0;
    for (int r = 0; r < engine->n_ranks; r++)
        busiest = engine->compute_ns[r] > busiest ? engine->compute_ns[r] : busiest;
    const struct weir_update_gate *gate = &engine->ranks[engine->first_here].host.gate;
    *report = (struct weir_step_report){
        .step = engine->step,
        .loss = gate->loss,
        .grad_norm = gate->grad_norm,
        .step_ns = step_ns,
        .bubble = step_ns ? 1 - (double)busiest / (double)step_ns : 0,
        .n_ranks = engine->n_ranks,
        .compute_ns = engine->compute_ns,
        .peak_bytes = engine->peak_bytes,
        .stop = stop,
    };
    return WEIR_OK;
}

weir_status weir_engine_break(weir_engine *engine, weir_status status)
{
    engine->broken = true;
    weir_peers_stop(engine, status);
    return status;
}

/* Wait for what was issued.  Peers wait for what was not: they are told first. */
static weir_status issued_sync(struct weir_engine *engine, weir_status issued)
{
    char message[WEIR_ERROR_MAX];
    if (!issued)
        return weir_ranks_sync(engine);
    weir_error_take(message);
    weir_peers_stop(engine, issued);
    if (!engine->stuck)
        (void)weir_ranks_sync(engine); /* what follows from it */
    weir_error_put(message);
    return issued;
}

static weir_status ready_check(const struct weir_engine *engine)
{
    if (engine->broken)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the engine failed before: close it");
    if (!engine->graph->n_targets)
        return WEIR_FAIL(WEIR_ERR_INVALID, "graph '%s' has no loss: this engine generates", engine->graph->name);
    return WEIR_OK;
}

weir_status weir_engine_step(weir_engine *engine, double learning_rate, struct weir_step_report *report_out)
{
    weir_status status = ready_check(engine);
    if (status)
        return status;
    if (!(learning_rate >= 0 && learning_rate < HUGE_VAL))
        return WEIR_FAIL(WEIR_ERR_USAGE, "the learning rate is %g, it must be finite and not negative", learning_rate);
    status = weir_peers_begin(engine, &engine->train);
    if (!status)
        status = weir_step_begin(engine, learning_rate, true);
    if (!status)
        status = weir_run_issue(engine, &engine->train);
    if (!status)
        status = step_end(engine);
    status = issued_sync(engine, status);
    if (!status)
        status = weir_peers_finish(engine, &engine->train);
    if (!status) {
        weir_run_clock(engine, &engine->train);
        gates_collect(engine);
        status = report_fill(engine, report_out);
    }
    if (status)
        return weir_engine_break(engine, status);
    engine->stepped = true;
    if (!engine->ranks[engine->first_here].host.gate.apply)
        return WEIR_FAIL(WEIR_ERR_NUMERIC,
                         "step %lld: loss %g, gradient norm %g: not finite, the parameters are those before the step; "
                         "a smaller learning rate or " WEIR_OPTION("grad_clip") " may help",
                         (long long)engine->step, report_out->loss, report_out->grad_norm);
    engine->step++;
    return WEIR_OK;
}

/* Enqueued behind the last stages: their losses, micro-batch by micro-batch and replica by replica. */
static weir_status losses_fetch(struct weir_engine *engine)
{
    const struct weir_program *program = engine->evaluate.program;
    int last = program->stages[program->n_stages - 1].rank;
    size_t m = (size_t)program->n_microbatches, offset = program->ranks[last].loss_offset;
    weir_status status = WEIR_OK;
    for (int replica = 0; replica < engine->n_replicas && !status; replica++) {
        struct weir_rank *rank = weir_rank_at(engine, replica, last);
        if (weir_rank_is_here(rank))
            status = weir_pull(rank, WEIR_MEMORY_DATA, offset, m * sizeof(double));
    }
    return status;
}

static weir_status losses_share(struct weir_engine *engine)
{
    const struct weir_program *program = engine->evaluate.program;
    int last = program->stages[program->n_stages - 1].rank;
    size_t m = (size_t)program->n_microbatches;
    weir_status status = WEIR_OK;
    for (int replica = 0; replica < engine->n_replicas && !status; replica++) {
        const struct weir_rank *rank = weir_rank_at(engine, replica, last);
        double *losses = engine->losses + (size_t)replica * m;
        if (weir_rank_is_here(rank))
            memcpy(losses, weir_pulled(rank, WEIR_MEMORY_DATA, program->ranks[last].loss_offset), m * sizeof(double));
        status = weir_peers_share(engine, replica, last, losses, m * sizeof(double));
    }
    return status;
}

weir_status weir_engine_evaluate(weir_engine *engine, double *loss_out)
{
    weir_status status = ready_check(engine);
    if (!status && !engine->evaluate.program)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the engine was not opened for evaluation: set evaluates in its configuration");
    if (status)
        return status;
    status = weir_peers_begin(engine, &engine->evaluate);
    if (!status)
        status = weir_step_begin(engine, 0, false);
    if (!status)
        status = weir_run_issue(engine, &engine->evaluate);
    if (!status)
        status = losses_fetch(engine);
    status = issued_sync(engine, status);
    if (!status)
        status = weir_peers_finish(engine, &engine->evaluate);
    if (!status)
        weir_run_clock(engine, &engine->evaluate);
    if (!status)
        status = losses_share(engine);
    if (status)
        return weir_engine_break(engine, status);
    int n = engine->n_replicas * engine->program->n_microbatches;
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += engine->losses[k];
    *loss_out = sum / ((double)engine->graph->n_targets * n);
    if (!isfinite(*loss_out))
        return WEIR_FAIL(WEIR_ERR_NUMERIC, "the evaluation's loss is %g: not finite", *loss_out);
    return WEIR_OK;
}
