/* Steps: feed, run, report. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/grown.h"
#include "base/log.h"
#include "engine/run/inputs.h"
#include "engine/run/nonfinite.h"
#include "engine/run/params.h"
#include "engine/run/times.h"
#include "engine/run/transfer.h"
#include "engine/train/trainer.h"

/* ---- feeding ------------------------------------------------------------------------------------------------------- */

weir_status weir_engine_feed(weir_engine *engine, const char *name, int mb, const void *data)
{
    weir_status status = weir_engine_here(engine);
    if (!status && (!name || !data))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "an input needs a name and data: one of them is NULL");
    if (status)
        return status;
    struct weir_runner *runner = &engine->runner;
    int input = 0, m = weir_program_whole_microbatches(runner->build.program), all = runner->build.n_replicas * m;
    status = weir_input_find(runner->build.graph, name, &input);
    if (status)
        return status;
    if (mb < 0 || mb >= all)
        return WEIR_FAIL(WEIR_ERR_INVALID, "micro-batch %d is out of range, a step has %d", mb, all);
    status = weir_input_check(runner->build.graph, input, data);
    if (!status)
        status = weir_input_push(runner, input, mb / m, mb % m, data);
    if (!status)
        engine->fed[input * all + mb] = true;
    return status;
}

/* A rank of this process reads the input of micro-batch `mb` of all replicas. */
static bool reads(const weir_engine *engine, int input, int mb)
{
    const struct weir_program *program = engine->runner.build.program;
    for (int r = 0; r < program->n_ranks; r++)
        if (program->ranks[r].input_offsets[input] != SIZE_MAX &&
            weir_rank_is_here(weir_rank_at(&engine->runner.machine, mb / weir_program_whole_microbatches(program), r)))
            return true;
    return false;
}

bool weir_engine_reads(const weir_engine *engine, const char *name, int mb)
{
    const struct weir_build *build = &engine->runner.build;
    for (int i = 0; i < build->graph->n_inputs && mb >= 0 && mb < build->n_replicas * weir_program_whole_microbatches(build->program); i++)
        if (!strcmp(build->graph->inputs[i].name, name))
            return reads(engine, i, mb);
    return false;
}

/* Nobody but losses reads it. */
static bool is_for_losses(const struct weir_graph *graph, int input)
{
    bool only = true;
    for (int n = 0; n < graph->n_nodes; n++)
        for (int i = 0; i < graph->nodes[n].shapes.n_inputs; i++)
            if (graph->nodes[n].inputs[i] == weir_input_value(input))
                only &= (graph->nodes[n].op->flags & WEIR_OP_LOSS) != 0;
    return only;
}

/* A run on what nobody fed would compute with zeros or with the numbers of another step.  Without `losses` nobody looks at what
 * losses make of that. */
static weir_status fed_check(const weir_engine *engine, bool losses)
{
    const struct weir_graph *graph = engine->runner.build.graph;
    int all = engine->runner.build.n_replicas * weir_program_whole_microbatches(engine->runner.build.program);
    for (int i = 0; i < graph->n_inputs; i++)
        for (int mb = 0; mb < all && (losses || !is_for_losses(graph, i)); mb++)
            if (!engine->fed[i * all + mb] && reads(engine, i, mb))
                return WEIR_FAIL(WEIR_ERR_USAGE, "input '%s' of micro-batch %d was not fed: feed all of them before each run",
                                 graph->inputs[i].name, mb);
    return WEIR_OK;
}

/* What was fed belongs to one run. */
static void fed_forget(weir_engine *engine)
{
    const struct weir_build *build = &engine->runner.build;
    size_t n = (size_t)(build->graph->n_inputs * build->n_replicas * weir_program_whole_microbatches(build->program));
    memset(engine->fed, 0, n * sizeof *engine->fed);
}

/* ---- one step ------------------------------------------------------------------------------------------------------ */

struct weir_step_block weir_step_values(weir_engine *engine, double learning_rate, bool training)
{
    const struct weir_engine_config *config = &engine->runner.build.config;
    double t = (double)engine->step + 1;
    return (struct weir_step_block){
        .values = {.seed = config->seed, .step = (uint32_t)engine->step, .training = training, .run = ++engine->n_runs},
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

enum { GATE_OFFSET = offsetof(struct weir_step_block, gate) };

/* Enqueued behind UPDATE. */
weir_status weir_gates_fetch(void *context)
{
    const weir_engine *engine = context;
    const struct weir_machine *machine = &engine->runner.machine;
    weir_status status = WEIR_OK;
    for (int r = machine->first_here; r < machine->end_here && !status; r++)
        status = weir_pull(&machine->ranks[r], WEIR_MEMORY_STEP, GATE_OFFSET, sizeof(struct weir_update_gate));
    return status;
}

/* All ranks find the same. */
struct weir_update_gate weir_gate_of(const weir_engine *engine)
{
    const struct weir_machine *machine = &engine->runner.machine;
    struct weir_update_gate gate;
    memcpy(&gate, weir_pulled(&machine->ranks[machine->first_here], WEIR_MEMORY_STEP, GATE_OFFSET), sizeof gate);
    return gate;
}

/* Span, compute times and *stop (the largest) of all processes. */
static weir_status notes_exchange(weir_engine *engine, struct weir_run_span *span, int *stop)
{
    const struct weir_world *world = &engine->runner.world;
    int64_t ahead = world->clock_ahead_ns;
    if (!world->transport)
        return WEIR_OK;
    struct weir_step_note mine = {span->first_ns - ahead, span->last_ns - ahead, engine->compute_ns[world->first_here], *stop};
    weir_status status = weir_world_exchange(world, &mine, sizeof mine, engine->notes);
    if (status)
        return status;
    *span = (struct weir_run_span){mine.first_ns, mine.last_ns};
    for (int i = 0; i < engine->runner.machine.n_workers; i++) {
        const struct weir_step_note *note = &engine->notes[weir_world_worker_process(world, i)];
        engine->compute_ns[i] = note->busy_ns;
        span->first_ns = note->first_ns < span->first_ns ? note->first_ns : span->first_ns;
        span->last_ns = note->last_ns > span->last_ns ? note->last_ns : span->last_ns;
        *stop = note->stop > *stop ? (int)note->stop : *stop;
    }
    return WEIR_OK;
}

static weir_status report_fill(weir_engine *engine, const struct weir_update_gate *gate, struct weir_step_report *report)
{
    struct weir_run_span span = weir_run_span(&engine->runner.main, engine->compute_ns);
    int stop = engine->stop_flag ? *engine->stop_flag : 0, n = engine->runner.machine.n_workers;
    weir_status status = notes_exchange(engine, &span, &stop);
    if (status)
        return weir_runner_fail(&engine->runner, status);
    engine->stop = stop;
    int64_t busiest = 0, step_ns = span.last_ns > span.first_ns ? span.last_ns - span.first_ns : 0;
    for (int r = 0; r < n; r++)
        busiest = engine->compute_ns[r] > busiest ? engine->compute_ns[r] : busiest;
    *report = (struct weir_step_report){
        .step = engine->step,
        .loss = gate->loss,
        .grad_norm = gate->grad_norm,
        .step_ns = step_ns,
        .end_ns = span.last_ns,
        .bubble = step_ns ? 1 - (double)busiest / (double)step_ns : 0,
        .n_ranks = n,
        .compute_ns = engine->compute_ns,
        .peak_bytes = engine->runner.peak_bytes,
        .stop = stop,
    };
    return WEIR_OK;
}

weir_status weir_engine_ready(const weir_engine *engine)
{
    weir_status status = weir_engine_here(engine);
    if (status)
        return status;
    return weir_runner_check(&engine->runner, "the engine", weir_runner_can_reset(&engine->runner) ? "close it, or reset it" : "close it");
}

/* "first in 1F3 of rank 1: layer 'h.0.mlp', node 'h.0.up' (linear, forward), micro-batch 3".  The inputs of the step are still
 * there.  *repeated_out: all was finite this time, and the step is done. */
static weir_status origin_find(weir_engine *engine, const struct weir_step_block *values, char *text, size_t room, bool *repeated_out)
{
    struct weir_runner *runner = &engine->runner;
    struct weir_nonfinite found;
    bool is_found;
    *repeated_out = false;
    snprintf(text, room, "where is not known on device '%s'", runner->machine.kind->name);
    if (!weir_build_is_on_host(&runner->build))
        return WEIR_OK;
    weir_nonfinite_begin(runner);
    weir_status status = weir_runner_run(runner, &runner->main, values, weir_gates_fetch, engine);
    if (!status)
        status = weir_nonfinite_find(runner, &found, &is_found);
    if (status)
        return status;
    *repeated_out = weir_gate_of(engine).apply;
    if (is_found)
        snprintf(text, room, "first in %s of rank %d: layer '%s', node '%s' (%s, %s), micro-batch %d", found.instruction, found.rank,
                 found.layer, found.node, found.op, found.pass, found.microbatch);
    else
        snprintf(text, room, "every gradient is finite, their sum is not");
    return WEIR_OK;
}

/* Parameters that were bad before are not the learning rate's fault, and of the first step nothing is. */
static weir_status numeric_fail(const weir_engine *engine, const struct weir_step_report *report, const char *origin)
{
    const char *advice = engine->runner.build.config.grad_clip > 0 ? "a smaller learning rate or " WEIR_OPTION("grad_clip") " may help"
                                                                   : "a smaller learning rate, or " WEIR_OPTION("grad_clip=1") ", may help";
    long long step = engine->step + 1;
    double norm = fabs(report->grad_norm); /* printed without the sign of a NaN */
    if (!engine->step)
        return WEIR_FAIL(WEIR_ERR_NUMERIC, "step %lld: loss %g, gradient norm %g: not finite, though all parameters are, and no step "
                         "has changed them; %s", step, report->loss, norm, origin);
    return WEIR_FAIL(WEIR_ERR_NUMERIC, "step %lld: loss %g, gradient norm %g: not finite, the parameters are those before the step; "
                     "%s; %s", step, report->loss, norm, origin, advice);
}

/* WEIR_OK: the step was repeated, and was finite: it is done, the update included. */
static weir_status not_finite(weir_engine *engine, const struct weir_step_block *values, const struct weir_step_report *report)
{
    const char *bad;
    char origin[512];
    bool repeated;
    weir_status status = weir_runner_param_bad(&engine->runner, &bad);
    if (!status && bad)
        return WEIR_FAIL(WEIR_ERR_NUMERIC, "step %lld: loss %g, gradient norm %g: parameter '%s' had values that are not finite "
                         "before the step", (long long)engine->step + 1, report->loss, fabs(report->grad_norm), bad);
    if (!status)
        status = origin_find(engine, values, origin, sizeof origin, &repeated);
    if (status || !repeated)
        return status ? status : numeric_fail(engine, report, origin);
    const struct weir_transport_info *info = engine->runner.world.info;
    if (!info || info->rank == 0) /* all processes know it, one says it */
        weir_log(WEIR_LOG_WARN, "step %lld: loss %g, gradient norm %g: not finite; all was finite when the step was repeated, as after "
                 "a fault of the machine, and training goes on", (long long)engine->step + 1, report->loss, fabs(report->grad_norm));
    return WEIR_OK;
}

/* A step's program on what was fed. */
static weir_status program_run(weir_engine *engine, double learning_rate, struct weir_step_report *report_out)
{
    struct weir_runner *runner = &engine->runner;
    struct weir_step_block values = weir_step_values(engine, learning_rate, true);
    weir_status status = weir_runner_run(runner, &runner->main, &values, weir_gates_fetch, engine);
    fed_forget(engine);
    if (status)
        return status;
    struct weir_update_gate gate = weir_gate_of(engine);
    status = report_fill(engine, &gate, report_out);
    if (status)
        return status;
    engine->has_gradients = true;
    if (!gate.apply) {
        status = not_finite(engine, &values, report_out);
        gate = weir_gate_of(engine);
        if (!status)
            status = report_fill(engine, &gate, report_out);
    }
    return status;
}

static weir_status step_check(const weir_engine *engine)
{
    weir_status status = weir_engine_ready(engine);
    if (!status && engine->awaits_update)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the gradients of step %lld await their update, another backward would replace them and "
                           "not add to them: update first, or drop them", (long long)engine->step + 1);
    return status;
}

weir_status weir_rate_check(double learning_rate)
{
    return learning_rate >= 0 && learning_rate < HUGE_VAL
               ? WEIR_OK
               : WEIR_FAIL(WEIR_ERR_USAGE, "the learning rate is %g, it must be finite and not negative", learning_rate);
}

static weir_status step_run(weir_engine *engine, double learning_rate, struct weir_step_report *report_out)
{
    weir_status status = step_check(engine);
    if (!status)
        status = weir_rate_check(learning_rate);
    if (!status)
        status = fed_check(engine, true);
    if (!status)
        status = program_run(engine, learning_rate, report_out);
    if (!status)
        engine->step++;
    return status;
}

static weir_status gradients_run(weir_engine *engine, double learning_rate, struct weir_step_report *report_out)
{
    weir_status status = step_check(engine);
    if (!status && !engine->runner.update.program)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the engine was not opened for updates apart from their gradients: set updates_apart in "
                                           "its configuration");
    if (!status)
        status = fed_check(engine, true);
    if (status)
        return status;
    engine->runner.gradients_only = true;
    status = program_run(engine, learning_rate, report_out);
    engine->runner.gradients_only = false;
    engine->awaits_update = !status;
    return status;
}

/* `run` reports in a struct of the library's size, of which the program gets what it knows. */
static weir_status report_give(weir_engine *engine, double learning_rate,
                               weir_status (*run)(weir_engine *engine, double learning_rate, struct weir_step_report *report_out),
                               struct weir_step_report *report_out, size_t report_bytes)
{
    struct weir_step_report own = {.n_ranks = 0};
    if (!report_out)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a step needs a place for its report: it is NULL");
    weir_status status = run(engine, learning_rate, &own);
    if (own.n_ranks) /* it came so far */
        weir_grown_give(&own, sizeof own, report_out, report_bytes);
    return status;
}

weir_status weir_engine_step_sized(weir_engine *engine, double learning_rate, struct weir_step_report *report_out,
                                   size_t report_bytes)
{
    return report_give(engine, learning_rate, step_run, report_out, report_bytes);
}

weir_status weir_engine_gradients_sized(weir_engine *engine, struct weir_step_report *report_out, size_t report_bytes)
{
    return report_give(engine, 0, gradients_run, report_out, report_bytes);
}

/* ---- evaluation ---------------------------------------------------------------------------------------------------- */

static int last_rank(const struct weir_program *program)
{
    return program->stages[program->n_stages - 1].rank;
}

/* Enqueued behind the last stages: their losses, micro-batch by micro-batch and replica by replica. */
static weir_status losses_fetch(void *context)
{
    const weir_engine *engine = context;
    const struct weir_program *program = engine->runner.build.guest;
    int last = last_rank(program);
    weir_status status = WEIR_OK;
    for (int replica = 0; replica < program->n_replicas && !status; replica++) {
        struct weir_rank *rank = weir_rank_at(&engine->runner.machine, replica, last);
        if (weir_rank_is_here(rank))
            status = weir_pull(rank, WEIR_MEMORY_DATA, program->ranks[last].loss_offset,
                               (size_t)program->n_microbatches * sizeof(double));
    }
    return status;
}

static weir_status losses_share(weir_engine *engine)
{
    const struct weir_program *program = engine->runner.build.guest;
    int last = last_rank(program);
    size_t m = (size_t)program->n_microbatches;
    weir_status status = WEIR_OK;
    for (int replica = 0; replica < program->n_replicas && !status; replica++) {
        const struct weir_rank *rank = weir_rank_at(&engine->runner.machine, replica, last);
        double *losses = engine->losses + (size_t)replica * m;
        if (weir_rank_is_here(rank))
            memcpy(losses, weir_pulled(rank, WEIR_MEMORY_DATA, program->ranks[last].loss_offset), m * sizeof(double));
        status = weir_world_share(&engine->runner.world, replica, last, losses, m * sizeof(double));
    }
    return status ? weir_runner_fail(&engine->runner, status) : WEIR_OK;
}

/* All processes know alike whether one of them wants to stop. */
static weir_status stop_share(weir_engine *engine)
{
    struct weir_step_note mine = {.stop = engine->stop_flag ? *engine->stop_flag : 0};
    engine->stop = (int)mine.stop;
    if (!engine->runner.world.transport)
        return WEIR_OK;
    weir_status status = weir_world_exchange(&engine->runner.world, &mine, sizeof mine, engine->notes);
    for (int i = 0; i < engine->runner.machine.n_workers && !status; i++)
        engine->stop = engine->notes[i].stop > engine->stop ? (int)engine->notes[i].stop : engine->stop;
    return status ? weir_runner_fail(&engine->runner, status) : WEIR_OK;
}

static weir_status loss_fail(weir_engine *engine, double loss)
{
    const char *bad;
    weir_status status = weir_runner_param_bad(&engine->runner, &bad);
    if (!status && bad)
        return WEIR_FAIL(WEIR_ERR_NUMERIC, "the evaluation's loss is %g: parameter '%s' has values that are not finite", loss, bad);
    return status ? status : WEIR_FAIL(WEIR_ERR_NUMERIC, "the evaluation's loss is %g: not finite", loss);
}

static weir_status evaluation_check(const weir_engine *engine)
{
    weir_status status = weir_engine_ready(engine);
    if (!status)
        status = weir_build_computes(engine->runner.build.kind, "evaluation");
    return status || engine->runner.guest.program
               ? status
               : WEIR_FAIL(WEIR_ERR_USAGE, "the engine was not opened for evaluation: set evaluates in its configuration");
}

/* The forwards on what was fed. */
static weir_status forwards_run(weir_engine *engine)
{
    struct weir_step_block values = weir_step_values(engine, 0, false);
    weir_status status = weir_runner_run(&engine->runner, &engine->runner.guest, &values, losses_fetch, engine);
    fed_forget(engine);
    engine->has_values = !status;
    return status;
}

weir_status weir_engine_forward(weir_engine *engine)
{
    weir_status status = evaluation_check(engine);
    if (!status)
        status = fed_check(engine, false);
    if (!status)
        status = forwards_run(engine);
    return status ? status : stop_share(engine);
}

weir_status weir_engine_evaluate(weir_engine *engine, double *loss_out)
{
    struct weir_runner *runner = &engine->runner;
    weir_status status = evaluation_check(engine);
    if (!status && !loss_out)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "an evaluation needs a place for its loss: it is NULL");
    if (!status)
        status = fed_check(engine, true);
    if (!status)
        status = forwards_run(engine);
    if (!status)
        status = losses_share(engine);
    if (!status)
        status = stop_share(engine);
    if (status)
        return status;
    int n = runner->build.n_replicas * runner->build.program->n_microbatches;
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += engine->losses[k];
    *loss_out = sum / ((double)runner->build.graph->n_targets * (n / runner->build.program->n_slices));
    if (!isfinite(*loss_out))
        return loss_fail(engine, *loss_out);
    return WEIR_OK;
}
