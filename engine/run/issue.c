/* Issuing a program: the instructions of all ranks here are enqueued, each by the thread that issues for its rank.
 *
 * Where streams run tasks, an instruction is one task, and the calling thread enqueues them all.  Where the host enqueues
 * kernel by kernel, that is work: every GPU has a thread of its own for it, which serves all ranks on that GPU.  With one GPU
 * it is the calling thread.  The threads are compute streams of the cpu device, to which the calling thread deals out
 * program.order; what they wait for, how they sleep, and what becomes of a failure is that device's business (cpu_device.h).
 *
 *     calling thread      program.order: every record is dealt out before its waits
 *     thread of cuda:0    .. issue 0F3: kernels, cudaEventRecord(e)  │ record e' │ issue 0F4 ..
 *     thread of cuda:1    .. wait e' │ issue 1F3: cudaStreamWaitEvent(e), kernels │ ..
 *
 * A GPU's stream waits for the record that was issued last before the wait.  So every event e of the program has a twin e' on
 * the host: a thread issues the wait for e only when this run's record of e has been issued.
 *
 * Failure.  The first one poisons its thread's stream, and the others enqueue nothing more: what a stream would have waited
 * for may never be recorded, and a wait for an older record returns at once.  Records and waits of twins go on, so that every
 * thread comes to its end. */
#include "engine/run/issue.h"

#include "engine/run/exec.h"
#include "engine/run/link.h"

enum { ROOM = 1024 }; /* tasks dealt out to a thread that has not got to them; then the calling thread waits */

/* ---- the threads ---------------------------------------------------------------------------------------------------- */

/* The first rank on the device of rank `r`. */
static int first_on_device(const struct weir_machine *machine, int r)
{
    int first = machine->first_here;
    while (machine->ranks[first].device_index != machine->ranks[r].device_index)
        first++;
    return first;
}

static weir_status issuer_open(struct weir_machine *machine, struct weir_rank *rank)
{
    struct weir_issuer *issuer = &machine->issuers[machine->n_issuers];
    weir_status status = weir_device_cpu.open(machine->n_issuers, 1, &issuer->device);
    if (status)
        return status;
    machine->n_issuers++;
    status = weir_device_cpu.stream_open(issuer->device, WEIR_STREAM_COMPUTE, ROOM, &issuer->stream);
    rank->issuer = issuer->stream;
    return status;
}

weir_status weir_machine_issuers(struct weir_machine *machine, struct weir_arena *arena)
{
    int n_devices = 0;
    for (int r = machine->first_here; r < machine->end_here; r++)
        n_devices += first_on_device(machine, r) == r;
    if (n_devices < 2 || !weir_machine_enqueues(machine))
        return WEIR_OK;
    weir_status status = weir_arena_alloc(arena, (size_t)n_devices, sizeof *machine->issuers, &machine->issuers);
    for (int r = machine->first_here; r < machine->end_here && !status; r++) {
        int first = first_on_device(machine, r);
        if (first == r)
            status = issuer_open(machine, &machine->ranks[r]);
        machine->ranks[r].issuer = machine->ranks[first].issuer;
    }
    return status;
}

void weir_issuers_close(struct weir_machine *machine)
{
    for (int i = 0; i < machine->n_issuers; i++) {
        if (machine->issuers[i].stream)
            weir_device_cpu.stream_close(machine->issuers[i].stream);
        weir_device_cpu.close(machine->issuers[i].device);
    }
}

weir_status weir_run_twins_open(struct weir_run *run)
{
    const struct weir_machine *machine = &run->runner->machine;
    if (!machine->n_issuers)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(&run->runner->arena, (size_t)run->n_events, sizeof *run->issued, &run->issued);
    for (int e = 0; e < run->n_events && !status; e++)
        status = weir_device_cpu.event_open(machine->issuers[0].device, &run->issued[e]);
    return status;
}

/* ---- one instruction ------------------------------------------------------------------------------------------------- */

/* Make `stream` of `kind` wait for what the instruction awaits; `events` are those of its run or their twins. */
static weir_status waits_issue(const struct weir_exec *exec, const struct weir_device_kind *kind, weir_stream *stream,
                               weir_event *const *events)
{
    const struct weir_instr *instr = exec->instr;
    int n_events = exec->run->program->n_events, own = exec->rank->replica, n_replicas = exec->run->program->n_replicas;
    weir_status status = WEIR_OK;
    for (int w = 0; w < instr->n_waits && !status; w++)
        status = kind->wait(stream, events[own * n_events + instr->waits[w]]);
    for (int replica = 0; replica < n_replicas; replica++)
        for (int w = 0; w < instr->n_peer_waits && !status && replica != own; w++)
            status = kind->wait(stream, events[replica * n_events + instr->peer_waits[w]]);
    return status;
}

/* Enqueue one instruction with what it awaits and signals, on the thread that issues for its rank.  Whatever orders
 * communication between processes can go by it: a rank's calls come in the program's order, from one thread. */
static weir_status instr_issue(struct weir_exec *exec)
{
    struct weir_rank *rank = exec->rank;
    const struct weir_device_kind *kind = rank->machine->kind;
    if (exec->run->link) /* the instruction awaits and signals by itself, see exec.c */
        return kind->perform(rank->stream, exec->fn, exec);
    weir_status status = waits_issue(exec, kind, rank->stream, exec->run->events);
    if (!status)
        status = kind->perform(rank->stream, exec->fn, exec);
    if (!status && exec->instr->signal >= 0)
        status = kind->record(rank->stream, *weir_signal_of(exec, exec->run->events));
    return status;
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */

/* The task of an issuing thread. */
static weir_status exec_issue(void *argument)
{
    struct weir_exec *exec = argument;
    if (!weir_runner_is_ready(exec->run->runner))
        return WEIR_OK;
    weir_status status = instr_issue(exec);
    if (status)
        weir_runner_raise(exec->run->runner, WEIR_RUNNER_FAILED);
    return status;
}

static weir_status exec_deal(struct weir_exec *exec)
{
    weir_stream *issuer = exec->rank->issuer;
    if (!issuer)
        return instr_issue(exec);
    weir_status status = waits_issue(exec, &weir_device_cpu, issuer, exec->run->issued);
    if (!status)
        status = weir_device_cpu.run(issuer, exec_issue, exec);
    if (!status && exec->instr->signal >= 0)
        status = weir_device_cpu.record(issuer, *weir_signal_of(exec, exec->run->issued));
    return status;
}

/* The first failure in the order of the threads, with its message. */
static weir_status issuers_sync(const struct weir_machine *machine)
{
    weir_status first = WEIR_OK;
    char message[WEIR_ERROR_MAX];
    for (int i = 0; i < machine->n_issuers; i++) {
        weir_status status = weir_device_cpu.stream_sync(machine->issuers[i].stream, -1);
        if (status && !first) {
            first = status;
            weir_error_take(message);
        }
    }
    if (first)
        weir_error_put(message);
    return first;
}

/* In the program's order, replicas (of one copy of the weights) in turns: every record is issued before its waits. */
weir_status weir_run_issue(const struct weir_run *run)
{
    const struct weir_machine *machine = &run->runner->machine;
    weir_status status = WEIR_OK;
    for (int i = 0; i < run->program->n_order; i++) {
        const struct weir_order_entry *entry = &run->program->order[i];
        for (int replica = entry->copy; replica < run->program->n_replicas && !status; replica += run->program->n_copies) {
            const struct weir_rank *rank = weir_rank_at(machine, replica, entry->rank);
            if (weir_rank_is_here(rank))
                status = exec_deal(&run->execs[rank->number][entry->instr]);
        }
    }
    weir_status synced = issuers_sync(machine);
    return status ? status : synced;
}
