/* The executor: give a call the addresses of its micro-batch (bindings.h) and run it.
 *
 * An instruction is a part of a stage's call list for one micro-batch, or something at the end of the step.  Its task runs
 * on the rank's stream when everything it waits for has happened; on devices without tasks the issuing thread enqueues its
 * kernels one by one.  Nothing here decides an order.  A failure makes the runner FAILED: what is enqueued behind it is
 * skipped by the stream, events are still signalled, and no rank updates. */
#include "engine/run/exec.h"

#include "base/clock.h"
#include "base/fault.h"
#include "engine/program/fetches.h"
#include "engine/run/bindings.h"
#include "engine/run/flight_file.h"
#include "engine/run/link.h"
#include "engine/run/nonfinite.h"

/* A kernel, which may be the program's own, speaks for its call and not for the run: what it returns becomes one of the
 * statuses that mean no more than that, with a message. */
static weir_status kernel_failed(const struct weir_exec *exec, const struct weir_step_call *t, weir_status status)
{
    const char *node = exec->run->program->graph->nodes[t->node].name;
    bool known = status > WEIR_OK && status < WEIR_STATUS_COUNT;
    bool of_a_call = status == WEIR_ERR_INVALID || status == WEIR_ERR_UNSUPPORTED || status == WEIR_ERR_DEVICE ||
                     status == WEIR_ERR_INTERNAL || status == WEIR_ERR_NOMEM || status == WEIR_ERR_IO;
    if (!*weir_last_error())
        WEIR_FAIL(status, "the kernel returned status %d%s%s without a message", (int)status, known ? ", " : "",
                  known ? weir_status_str(status) : "");
    return weir_error_prefix(of_a_call ? status : WEIR_ERR_DEVICE, "node '%s': ", node);
}

static weir_status copy_run(const struct weir_exec *exec, const struct weir_step_call *t, const struct weir_op_call *call)
{
    return weir_rank_copy(exec->rank, call->output.data, call->inputs[0].data, t->copy_bytes);
}

/* What the node has made, as far as somebody wants it, where it stays until the next run of the program. */
static weir_status values_keep(const struct weir_exec *exec, const struct weir_step_call *t, const struct weir_op_call *call)
{
    const int *fetch_of = exec->run->fetch_of + t->node;
    weir_status status = WEIR_OK;
    for (int i = 0; i < call->n_outputs && !status; i++) {
        if (fetch_of[i] < 0)
            continue;
        const struct weir_fetch *fetch = &exec->run->runner->build.fetches[fetch_of[i]];
        char *kept = exec->rank->blocks[WEIR_MEMORY_DATA] + fetch->offset + fetch->stride * (size_t)exec->instr->mb;
        status = weir_rank_copy(exec->rank, kept, call->outputs[i].data, fetch->bytes);
    }
    return status;
}

static weir_status kernel_run(const struct weir_exec *exec, const struct weir_step_call *t, const struct weir_op_call *call)
{
    struct weir_op_clock *clock = &exec->clocks[t->node * WEIR_PASSES + (int)t->pass];
    int64_t start = weir_clock_ns();
    weir_call_begin(exec->rank->call, &clock->longest_ns, t->node, start);
    weir_status status = t->fn(call, exec->rank->native);
    int64_t took = weir_clock_ns() - start;
    weir_call_end(exec->rank->call, &clock->longest_ns, took);
    if (exec->times_calls) {
        clock->ns += took;
        clock->calls++;
    }
    if (!status && exec->run->runner->looks_for_nonfinite)
        weir_nonfinite_look(exec, t, call);
    if (status)
        return kernel_failed(exec, t, status);
    return exec->run->fetch_of ? values_keep(exec, t, call) : WEIR_OK;
}

static weir_status action_run(const struct weir_exec *exec)
{
    struct weir_rank *rank = exec->rank;
    const struct weir_run *run = exec->run;
    const struct weir_instr *instr = exec->instr;
    const struct weir_lane *lane = run->lanes ? &run->lanes[instr->mb] : NULL;
    const struct weir_step_call *calls = weir_instr_calls(run->program, instr);
    weir_status status = WEIR_OK;
    weir_error_clear(); /* a message that is there after a failure is the kernel's */
    for (int i = 0; i < instr->n_calls && !status; i++) {
        const struct weir_step_call *t = &calls[i];
        if (!lane || t->node < lane->end_node) {
            const struct weir_op_call *call =
                weir_binding_turn(&exec->bindings[i], run, rank, instr->stage, instr->mb, t->pass);
            status = (t->fn ? kernel_run : copy_run)(exec, t, call);
        }
        if (!status && exec->calls_end_ns)
            status = rank->machine->kind->mark(rank->stream, &exec->calls_end_ns[i]);
        if (!status)
            status = weir_link_progress(run);
    }
    return status;
}

weir_status weir_exec_body(struct weir_exec *exec)
{
    const struct weir_runner *runner = exec->run->runner;
    weir_fault_instr();
    if (exec->instr->kind == WEIR_INSTR_ACTION)
        return action_run(exec);
    int64_t start = weir_clock_ns();
    weir_call_begin(exec->rank->call, &exec->whole.longest_ns, -1, start);
    weir_status status = runner->step_end(runner->step_end_context, exec->rank, exec->instr);
    weir_call_end(exec->rank->call, &exec->whole.longest_ns, weir_clock_ns() - start);
    return status;
}

weir_status weir_exec_fail(const struct weir_exec *exec, weir_status status)
{
    struct weir_rank *rank = exec->rank;
    struct weir_runner *runner = exec->run->runner;
    atomic_store(exec->instr->kind < WEIR_INSTR_UPDATE ? &runner->call_failed : &runner->update_failed, 1);
    weir_runner_raise(runner, WEIR_RUNNER_FAILED);
    atomic_store(&weir_worker_first(rank->machine, rank->worker)->failed, (int)status);
    int p = exec->run->program->n_ranks;
    if (rank->machine->n_workers > p)
        weir_error_prefix(status, "replica %d, rank %d, %s: ", rank->worker / p, rank->worker % p, exec->name);
    else
        weir_error_prefix(status, "rank %d, %s: ", rank->worker, exec->name);
    weir_flight_failed(runner, status);
    weir_link_stop(runner, status);
    return status;
}

weir_status weir_exec_run(void *argument)
{
    struct weir_exec *exec = argument;
    struct weir_rank *rank = exec->rank, *first = weir_worker_first(rank->machine, rank->worker);
    const struct weir_run *run = exec->run;
    struct weir_flight_entry *entry =
        weir_flight_begin(rank->flight, exec->place, run == &run->runner->guest, weir_step_block(rank)->values.step,
                          first->free_ns);
    weir_status status = weir_link_await(exec);
    exec->start_ns = weir_clock_ns();
    entry->start_ns = exec->start_ns;
    if (!status)
        status = weir_exec_body(exec);
    exec->end_ns = first->free_ns = weir_clock_ns();
    entry->end_ns = exec->end_ns;
    if (!status)
        status = weir_link_passed(exec);
    return status ? weir_exec_fail(exec, status) : WEIR_OK;
}

/* The instruction is enqueued kernel by kernel; its times are known after the sync. */
weir_status weir_exec_enqueue(void *argument)
{
    struct weir_exec *exec = argument;
    const struct weir_rank *rank = exec->rank;
    const struct weir_device_kind *kind = rank->machine->kind;
    weir_status status = weir_link_await(exec);
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
        status = weir_link_passed(exec);
    return status ? weir_exec_fail(exec, status) : WEIR_OK;
}

/* Marks follow each other: a call takes from the one before it to its own, a copy between stages belongs to nobody. */
static void calls_clock(const struct weir_exec *exec)
{
    const struct weir_instr *instr = exec->instr;
    const struct weir_step_call *calls = weir_instr_calls(exec->run->program, instr);
    int64_t start = exec->start_ns;
    for (int i = 0; i < instr->n_calls; start = exec->calls_end_ns[i++]) {
        if (!calls[i].fn)
            continue;
        struct weir_op_clock *clock = &exec->clocks[calls[i].node * WEIR_PASSES + (int)calls[i].pass];
        clock->ns += exec->calls_end_ns[i] - start;
        clock->calls++;
    }
}

void weir_run_clock(const struct weir_run *run)
{
    const struct weir_machine *machine = &run->runner->machine;
    for (int r = machine->first_here; r < machine->end_here; r++)
        for (int i = 0; i < run->program->ranks[machine->ranks[r].index].n_instrs; i++)
            if (run->execs[r][i].calls_end_ns)
                calls_clock(&run->execs[r][i]);
}
