/* Steps: feed, issue the program, report. */
#include <math.h>
#include <string.h>

#include "engine/run/state.h"

weir_status weir_engine_feed(weir_engine *engine, const char *name, int mb, const void *data)
{
    const struct weir_graph *graph = engine->graph;
    int input = 0;
    while (input < graph->n_inputs && strcmp(graph->inputs[input].name, name))
        input++;
    if (input == graph->n_inputs)
        return WEIR_FAIL(WEIR_ERR_INVALID, "graph '%s' has no input '%s'", graph->name, name);
    if (mb < 0 || mb >= engine->program->n_microbatches)
        return WEIR_FAIL(WEIR_ERR_INVALID, "micro-batch %d is out of range, the schedule has %d", mb,
                         engine->program->n_microbatches);
    size_t bytes = weir_shape_bytes(&graph->inputs[input].shape), stride = (bytes + 63) / 64 * 64;
    for (int r = 0; r < engine->program->n_ranks; r++) {
        size_t offset = engine->program->ranks[r].input_offsets[input];
        if (offset != SIZE_MAX)
            memcpy(engine->ranks[r].blocks[WEIR_MEMORY_DATA] + offset + stride * (size_t)mb, data, bytes);
    }
    return WEIR_OK;
}

static void step_begin(struct weir_engine *engine, double learning_rate)
{
    const struct weir_engine_config *config = &engine->config;
    double t = (double)engine->step + 1;
    engine->update = (struct weir_adamw){
        .learning_rate = (float)learning_rate,
        .beta1 = (float)config->beta1,
        .beta2 = (float)config->beta2,
        .eps = (float)config->eps,
        .weight_decay = (float)config->weight_decay,
        /* of the betas as the kernel rounds them, so that the first moments are corrected exactly */
        .correction1 = (float)(1 - pow((double)(float)config->beta1, t)),
        .correction2 = (float)(1 - pow((double)(float)config->beta2, t)),
    };
    for (int r = 0; r < engine->program->n_ranks; r++)
        engine->ranks[r].values =
            (struct weir_step_values){.seed = config->seed, .step = (uint32_t)engine->step, .training = 1};
}

static weir_status instr_issue(struct weir_engine *engine, const struct weir_order_entry *entry)
{
    struct weir_rank *rank = &engine->ranks[entry->rank];
    struct weir_exec *exec = &rank->execs[entry->instr];
    weir_status status = WEIR_OK;
    for (int w = 0; w < exec->instr->n_waits && !status; w++)
        status = engine->kind->wait(rank->stream, engine->events[exec->instr->waits[w]]);
    if (!status)
        status = engine->kind->run(rank->stream, weir_exec_run, exec);
    if (!status && exec->instr->signal >= 0)
        status = engine->kind->record(rank->stream, engine->events[exec->instr->signal]);
    return status;
}

static void report_fill(struct weir_engine *engine, struct weir_step_report *report)
{
    int64_t first = INT64_MAX, last = 0, busiest = 0;
    for (int r = 0; r < engine->program->n_ranks; r++) {
        int64_t busy = 0;
        for (int i = 0; i < engine->program->ranks[r].n_instrs; i++) {
            const struct weir_exec *exec = &engine->ranks[r].execs[i];
            busy += exec->end_ns - exec->start_ns;
            first = exec->start_ns < first ? exec->start_ns : first;
            last = exec->end_ns > last ? exec->end_ns : last;
        }
        engine->compute_ns[r] = busy;
        busiest = busy > busiest ? busy : busiest;
    }
    *report = (struct weir_step_report){
        .step = engine->step,
        .loss = weir_loss_mean(engine),
        .grad_norm = engine->grad_norm,
        .step_ns = last - first,
        .bubble = last > first ? 1 - (double)busiest / (double)(last - first) : 0,
        .n_ranks = engine->program->n_ranks,
        .compute_ns = engine->compute_ns,
        .peak_bytes = engine->peak_bytes,
    };
}

weir_status weir_engine_step(weir_engine *engine, double learning_rate, struct weir_step_report *report_out)
{
    if (engine->broken)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the engine failed before: close it");
    if (!(learning_rate >= 0 && learning_rate < HUGE_VAL))
        return WEIR_FAIL(WEIR_ERR_USAGE, "the learning rate is %g, it must be finite and not negative", learning_rate);
    step_begin(engine, learning_rate);
    weir_status status = WEIR_OK;
    for (int i = 0; i < engine->program->n_order && !status; i++)
        status = instr_issue(engine, &engine->program->order[i]);
    weir_status synced = weir_ranks_sync(engine);
    if (status || synced) {
        engine->broken = true;
        return status ? status : synced;
    }
    engine->stepped = true;
    report_fill(engine, report_out);
    if (!isfinite(engine->grad_norm) || !isfinite(report_out->loss))
        return WEIR_FAIL(WEIR_ERR_NUMERIC,
                         "step %lld: loss %g, gradient norm %g: not finite, the parameters are those before the step; "
                         "a smaller --lr or --grad-clip may help",
                         (long long)engine->step, report_out->loss, engine->grad_norm);
    engine->step++;
    return WEIR_OK;
}
