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
#include "engine/run/state.h"

enum { ROOM = 1024 }; /* tasks dealt out to a thread that has not got to them; then the calling thread waits */

/* The first rank on the device of rank `r`. */
static int first_on_device(const struct weir_engine *engine, int r)
{
    int first = engine->first_here;
    while (engine->ranks[first].device_index != engine->ranks[r].device_index)
        first++;
    return first;
}

static weir_status issuer_open(struct weir_engine *engine, struct weir_rank *rank)
{
    struct weir_issuer *issuer = &engine->issuers[engine->n_issuers];
    weir_status status = weir_device_cpu.open(engine->n_issuers, 1, &issuer->device);
    if (status)
        return status;
    engine->n_issuers++;
    status = weir_device_cpu.stream_open(issuer->device, WEIR_STREAM_COMPUTE, ROOM, &issuer->stream);
    rank->issuer = issuer->stream;
    return status;
}

weir_status weir_issuers_open(struct weir_engine *engine)
{
    int n_devices = 0;
    for (int r = engine->first_here; r < engine->end_here; r++)
        n_devices += first_on_device(engine, r) == r;
    if (n_devices < 2 || engine->kind->flags & WEIR_DEVICE_TASKS)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(&engine->arena, (size_t)n_devices, sizeof *engine->issuers, &engine->issuers);
    for (int r = engine->first_here; r < engine->end_here && !status; r++) {
        int first = first_on_device(engine, r);
        if (first == r)
            status = issuer_open(engine, &engine->ranks[r]);
        engine->ranks[r].issuer = engine->ranks[first].issuer;
    }
    return status;
}

void weir_issuers_close(struct weir_engine *engine)
{
    for (int i = 0; i < engine->n_issuers; i++) {
        if (engine->issuers[i].stream)
            weir_device_cpu.stream_close(engine->issuers[i].stream);
        weir_device_cpu.close(engine->issuers[i].device);
    }
}

weir_status weir_issued_open(struct weir_engine *engine, struct weir_run_program *run)
{
    if (!engine->n_issuers)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(&engine->arena, (size_t)run->n_events, sizeof *run->issued, &run->issued);
    for (int e = 0; e < run->n_events && !status; e++)
        status = weir_device_cpu.event_open(engine->issuers[0].device, &run->issued[e]);
    return status;
}

/* The task of an issuing thread. */
static weir_status exec_issue(void *argument)
{
    struct weir_exec *exec = argument;
    struct weir_engine *engine = exec->rank->engine;
    if (atomic_load(&engine->failed))
        return WEIR_OK;
    weir_status status = weir_instr_issue(exec);
    if (status)
        atomic_store(&engine->failed, 1);
    return status;
}

static weir_status exec_deal(struct weir_exec *exec)
{
    weir_stream *issuer = exec->rank->issuer;
    if (!issuer)
        return weir_instr_issue(exec);
    weir_status status = weir_waits_issue(exec, &weir_device_cpu, issuer, exec->run->issued);
    if (!status)
        status = weir_device_cpu.run(issuer, exec_issue, exec);
    if (!status && exec->instr->signal >= 0)
        status = weir_device_cpu.record(issuer, *weir_signal_of(exec, exec->run->issued));
    return status;
}

/* The first failure in the order of the threads, with its message. */
static weir_status issuers_sync(const struct weir_engine *engine)
{
    weir_status first = WEIR_OK;
    char message[WEIR_ERROR_MAX];
    for (int i = 0; i < engine->n_issuers; i++) {
        weir_status status = weir_device_cpu.stream_sync(engine->issuers[i].stream, -1);
        if (status && !first) {
            first = status;
            weir_error_take(message);
        }
    }
    if (first)
        weir_error_put(message);
    return first;
}

/* In the program's order, replicas in turns: every record is issued before its waits. */
weir_status weir_run_issue(struct weir_engine *engine, const struct weir_run_program *run)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < run->program->n_order; i++) {
        const struct weir_order_entry *entry = &run->program->order[i];
        for (int replica = 0; replica < engine->n_replicas && !status; replica++) {
            const struct weir_rank *rank = weir_rank_at(engine, replica, entry->rank);
            if (weir_rank_is_here(rank))
                status = exec_deal(&run->execs[rank - engine->ranks][entry->instr]);
        }
    }
    weir_status synced = issuers_sync(engine);
    return status ? status : synced;
}
