/* The executor: bind a call to its addresses and run it.
 *
 * An instruction is a part of a stage's call list for one micro-batch, or something at the end of the step.  Its task runs
 * on the rank's stream when everything it waits for has happened; on devices without tasks the issuing thread enqueues its
 * kernels one by one.  Nothing here decides an order.  A failure makes the runner FAILED: what is enqueued behind it is
 * skipped by the stream, events are still signalled, and no rank updates. */
#include "engine/run/exec.h"

#include "base/clock.h"
#include "base/fault.h"
#include "engine/run/flight_file.h"
#include "engine/run/link.h"
#include "engine/run/nonfinite.h"

static void *where_address(const struct weir_rank *rank, const struct weir_run *run, int stage, int mb,
                           const struct weir_where *where)
{
    const struct weir_machine *machine = rank->machine;
    const struct weir_stage_program *s = &run->program->stages[stage];
    const struct weir_mb_places *places = &s->mbs[mb];
    char *activations = rank->blocks[WEIR_MEMORY_ACTIVATIONS];
    switch (where->place) {
    case WEIR_PLACE_NONE:
        return NULL;
    case WEIR_PLACE_PARAM:
        return rank->blocks[WEIR_MEMORY_PARAMS] + where->offset;
    case WEIR_PLACE_COPY:
        return rank->blocks[WEIR_MEMORY_COPIES] + where->offset;
    case WEIR_PLACE_GRAD:
        return rank->blocks[WEIR_MEMORY_GRADS] + where->offset;
    case WEIR_PLACE_ACT_FI:
        return activations + places->act_offset[0] + where->offset;
    case WEIR_PLACE_ACT_FW:
        return activations + places->act_offset[1] + where->offset;
    case WEIR_PLACE_ACT_IW:
        return activations + places->act_offset[2] + where->offset;
    case WEIR_PLACE_SCRATCH:
        return rank->blocks[run->scratch] + where->offset;
    case WEIR_PLACE_SLOT:
        return rank->blocks[WEIR_MEMORY_SLOTS] + s->slots_offset + s->slot_bytes * (size_t)places->slot;
    case WEIR_PLACE_GRAD_SLOT:
        return rank->blocks[WEIR_MEMORY_GRAD_SLOTS] + s->grad_slots_offset +
               s->grad_slot_bytes * (size_t)places->grad_slot;
    case WEIR_PLACE_SLOT_NEXT:
        return weir_rank_at(machine, rank->replica, s[1].rank)->blocks[WEIR_MEMORY_SLOTS] + s[1].slots_offset +
               s[1].slot_bytes * (size_t)s[1].mbs[mb].slot;
    case WEIR_PLACE_GRAD_SLOT_PREV:
        return weir_rank_at(machine, rank->replica, s[-1].rank)->blocks[WEIR_MEMORY_GRAD_SLOTS] + s[-1].grad_slots_offset +
               s[-1].grad_slot_bytes * (size_t)s[-1].mbs[mb].grad_slot;
    case WEIR_PLACE_DATA:
        return rank->blocks[WEIR_MEMORY_DATA] + where->offset + where->stride * (size_t)(mb / run->program->n_slices);
    case WEIR_PLACE_CACHE_GRAD:
        return rank->blocks[WEIR_MEMORY_CACHE] + places->cache_offset[1] + where->offset;
    case WEIR_PLACE_CACHE:
        if (!run->lanes)
            return rank->blocks[WEIR_MEMORY_CACHE] + places->cache_offset[0] + where->offset;
        return rank->blocks[WEIR_MEMORY_CACHE] + where->offset +
               run->program->ranks[rank->index].sequence_bytes * (size_t)run->lanes[mb].sequence;
    }
    return NULL;
}

static void tensors_place(const struct weir_rank *rank, struct weir_tensor *tensors, int n)
{
    for (int i = 0; i < n; i++) {
        tensors[i].device_type = rank->machine->kind->tensor_device;
        tensors[i].device_id = rank->device_index;
    }
}

static void call_place(const struct weir_rank *rank, struct weir_op_call *call)
{
    tensors_place(rank, call->inputs, call->n_inputs);
    tensors_place(rank, call->d_inputs, call->n_inputs);
    tensors_place(rank, call->params, call->n_params);
    tensors_place(rank, call->d_params, call->n_params);
    tensors_place(rank, &call->output, 1);
    tensors_place(rank, &call->d_output, 1);
}

void weir_call_bind(struct weir_rank *rank, const struct weir_run *run, int stage, int mb,
                    const struct weir_step_call *t, struct weir_op_call *call)
{
    const struct weir_mb_places *places = &run->program->stages[stage].mbs[mb];
    *call = t->call;
    for (int i = 0; i < call->n_inputs; i++) {
        call->inputs[i].data = where_address(rank, run, stage, mb, &t->inputs[i]);
        call->d_inputs[i].data = where_address(rank, run, stage, mb, &t->d_inputs[i]);
        call->addends[i] = where_address(rank, run, stage, mb, &t->addends[i]);
    }
    for (int i = 0; i < call->n_params; i++) {
        call->params[i].data = where_address(rank, run, stage, mb, &t->params[i]);
        call->d_params[i].data = where_address(rank, run, stage, mb, &t->d_params[i]);
    }
    call->output.data = where_address(rank, run, stage, mb, &t->output);
    call->d_output.data = where_address(rank, run, stage, mb, &t->d_output);
    call->saved = where_address(rank, run, stage, mb, &t->saved);
    call->scratch = where_address(rank, run, stage, mb, &t->scratch);
    call->accumulate = t->pass == WEIR_BACKWARD_WEIGHT ? places->accumulates_w : places->accumulates_i;
    int64_t global_mb = (int64_t)rank->replica * weir_program_whole_microbatches(run->program) + mb / run->program->n_slices;
    call->first_sample = (uint32_t)(global_mb * run->program->graph->microbatch_size);
    call->cache = where_address(rank, run, stage, mb, &t->cache);
    call->cache_gradient = where_address(rank, run, stage, mb, &t->cache_gradient);
    call->sequence = run->lanes ? &run->lanes[mb].rows : NULL;
    call->step = &weir_step_block(rank)->values;
    call->context = rank->context;
    if (rank->machine->kind->tensor_device != WEIR_DEVICE_TYPE_CPU)
        call_place(rank, call);
}

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

static weir_status copy_run(const struct weir_exec *exec, int stage, int mb, const struct weir_step_call *t)
{
    void *from = where_address(exec->rank, exec->run, stage, mb, &t->inputs[0]);
    return weir_rank_copy(exec->rank, where_address(exec->rank, exec->run, stage, mb, &t->output), from, t->copy_bytes);
}

static weir_status kernel_run(const struct weir_exec *exec, int stage, int mb, const struct weir_step_call *t)
{
    struct weir_op_call call;
    weir_call_bind(exec->rank, exec->run, stage, mb, t, &call);
    struct weir_op_clock *clock = &exec->clocks[t->node * WEIR_PASSES + (int)t->pass];
    int64_t start = weir_clock_ns();
    weir_call_begin(exec->rank->call, &clock->longest_ns, t->node, start);
    weir_status status = t->fn(&call, exec->rank->native);
    int64_t took = weir_clock_ns() - start;
    weir_call_end(exec->rank->call, &clock->longest_ns, took);
    if (exec->times_calls) {
        clock->ns += took;
        clock->calls++;
    }
    if (!status && exec->run->runner->looks_for_nonfinite)
        weir_nonfinite_look(exec, t, &call);
    return status ? kernel_failed(exec, t, status) : WEIR_OK;
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
        const struct weir_step_call *call = &calls[i];
        if (!lane || call->node < lane->end_node)
            status = (call->fn ? kernel_run : copy_run)(exec, instr->stage, instr->mb, call);
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
    weir_runner_raise(exec->run->runner, WEIR_RUNNER_FAILED);
    atomic_store(&weir_worker_first(rank->machine, rank->worker)->failed, (int)status);
    int p = exec->run->program->n_ranks;
    if (rank->machine->n_workers > p)
        weir_error_prefix(status, "replica %d, rank %d, %s: ", rank->worker / p, rank->worker % p, exec->name);
    else
        weir_error_prefix(status, "rank %d, %s: ", rank->worker, exec->name);
    weir_flight_failed(exec->run->runner, status);
    weir_link_stop(exec->run->runner, status);
    return status;
}

weir_status weir_exec_run(void *argument)
{
    struct weir_exec *exec = argument;
    struct weir_rank *rank = exec->rank, *first = weir_worker_first(rank->machine, rank->worker);
    const struct weir_run *run = exec->run;
    struct weir_flight_entry *entry =
        weir_flight_begin(rank->flight, exec->position, run == &run->runner->guest, weir_step_block(rank)->values.step,
                          first->free_ns);
    weir_status status = weir_link_await(exec);
    exec->start_ns = entry->start_ns = weir_clock_ns();
    if (!status)
        status = weir_exec_body(exec);
    exec->end_ns = entry->end_ns = first->free_ns = weir_clock_ns();
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
