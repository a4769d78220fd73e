/* Ranks in other processes while a program runs: what an instruction awaits and passes on, and the end of a step.
 *
 * Without a transport that crosses processes every function here does nothing. */
#include "base/alloc.h"
#include "engine/run/state.h"

/* ---- one instruction ------------------------------------------------------------------------------------------------ */

/* The instruction of `from` that signals `event`, for messages. */
static const char *signaller_name(const struct weir_run_program *run, const struct weir_rank *from, int event)
{
    const struct weir_rank_program *r = &run->program->ranks[from->index];
    for (int i = 0; i < r->n_instrs; i++)
        if (r->instrs[i].signal == event)
            return run->execs[from - from->engine->ranks][i].name;
    return "nothing";
}

static weir_status await_fail(const struct weir_run_program *run, const struct weir_rank *from, int event, weir_status status)
{
    return status ? weir_error_prefix(status, "waiting for rank %d, %s: ", weir_rank_process(from), signaller_name(run, from, event))
                  : WEIR_OK;
}

static weir_status event_await(const struct weir_exec *exec, int replica, int event)
{
    const struct weir_engine *engine = exec->rank->engine;
    const struct weir_rank *from = weir_rank_at(engine, replica, exec->run->signallers[event]);
    return await_fail(exec->run, from, event, engine->wire->wait(exec->run->link, weir_rank_process(from), event));
}

weir_status weir_peers_await(const struct weir_exec *exec)
{
    const struct weir_rank *rank = exec->rank;
    const struct weir_instr *instr = exec->instr;
    weir_status status = WEIR_OK;
    if (!rank->engine->wire)
        return WEIR_OK;
    for (int w = 0; w < instr->n_waits && !status; w++)
        status = event_await(exec, rank->replica, instr->waits[w]);
    for (int replica = 0; replica < rank->engine->n_replicas; replica++)
        for (int w = 0; w < instr->n_peer_waits && !status && replica != rank->replica; w++)
            status = event_await(exec, replica, instr->peer_waits[w]);
    if (!status && weir_peers_stream(rank->engine) && instr->signal >= 0)
        status = rank->engine->wire->claim(exec->run->link, instr->signal);
    return status;
}

weir_status weir_peers_progress(const struct weir_engine *engine, const struct weir_run_program *run)
{
    return engine->wire ? engine->wire->progress(run->link) : WEIR_OK;
}

weir_status weir_peers_passed(const struct weir_exec *exec)
{
    const struct weir_transport_kind *wire = exec->rank->engine->wire;
    const struct weir_run_program *run = exec->run;
    if (!wire)
        return WEIR_OK;
    weir_status status = exec->instr->signal >= 0 ? wire->signal(run->link, exec->instr->signal) : WEIR_OK;
    return status ? status : wire->passed(run->link, (int)(exec->instr - run->program->ranks[exec->rank->index].instrs));
}

/* In stream order what waits on the device would wait for ever. */
void weir_peers_stop(struct weir_engine *engine, weir_status status)
{
    if (engine->transport)
        engine->wire->stop(engine->transport, status);
    if (weir_peers_stream(engine) && engine->train.link && !engine->wire->abort(engine->train.link))
        engine->stuck = true;
}

weir_status weir_peers_look(const struct weir_engine *engine)
{
    const struct weir_run_program *run = engine->running;
    int process, event;
    weir_status status = engine->wire->look(run ? run->link : engine->train.link);
    if (!status || !run || !engine->wire->awaited(run->link, &process, &event))
        return status;
    int replica = engine->ranks[engine->first_here].replica; /* messages stay within a pipeline */
    return await_fail(run, weir_rank_at(engine, replica, run->signallers[event]), event, status);
}

weir_status weir_peers_collect(const struct weir_engine *engine, enum weir_collective_scope scope, enum weir_collective what,
                               enum weir_dtype dtype, int n_parts, const struct weir_collective_part *parts)
{
    return engine->wire->collect(engine->running->link, scope, what, dtype, n_parts, parts);
}

weir_status weir_peers_collected(const struct weir_engine *engine, enum weir_collective_scope scope)
{
    return engine->wire->collected(engine->running->link, scope);
}

/* ---- one step ------------------------------------------------------------------------------------------------------- */

weir_status weir_peers_begin(weir_engine *engine, const struct weir_run_program *run)
{
    engine->running = run;
    return engine->wire ? engine->wire->begin(run->link) : WEIR_OK;
}

/* Nobody begins the next run, of whichever program, before all have finished this one. */
weir_status weir_peers_finish(weir_engine *engine, const struct weir_run_program *run)
{
    weir_status status = engine->wire ? engine->wire->finish(run->link) : WEIR_OK;
    bool step = run == &engine->train; /* whose end is an exchange of its own */
    return status || step || !engine->wire ? status : engine->wire->exchange(engine->transport, NULL, 0, NULL);
}

weir_status weir_peers_step_end(weir_engine *engine, struct weir_step_span *span, int *stop)
{
    if (!engine->wire)
        return WEIR_OK;
    int64_t ahead = engine->clock_ahead_ns;
    struct weir_step_note mine = {span->first_ns - ahead, span->last_ns - ahead, engine->compute_ns[engine->first_here],
                                  *stop};
    weir_status status = engine->wire->exchange(engine->transport, &mine, sizeof mine, engine->notes);
    if (status)
        return status;
    *span = (struct weir_step_span){mine.first_ns, mine.last_ns};
    for (int i = 0; i < engine->n_ranks; i++) {
        const struct weir_step_note *note = &engine->notes[weir_rank_process(&engine->ranks[i])];
        engine->compute_ns[i] = note->busy_ns;
        span->first_ns = note->first_ns < span->first_ns ? note->first_ns : span->first_ns;
        span->last_ns = note->last_ns > span->last_ns ? note->last_ns : span->last_ns;
        *stop = note->stop > *stop ? (int)note->stop : *stop;
    }
    return WEIR_OK;
}

static weir_status rank_times(weir_engine *engine, struct weir_rank *rank, int64_t *times)
{
    struct weir_exec *execs = engine->train.execs[rank - engine->ranks];
    int n = engine->program->ranks[rank->index].n_instrs;
    bool here = weir_rank_is_here(rank);
    for (int k = 0; k < n && here; k++) {
        times[2 * k] = execs[k].start_ns - engine->clock_ahead_ns;
        times[2 * k + 1] = execs[k].end_ns - engine->clock_ahead_ns;
    }
    weir_status status = weir_peers_share(engine, rank->replica, rank->index, times, 2 * (size_t)n * sizeof *times);
    for (int k = 0; k < n && !here && !status; k++) {
        execs[k].start_ns = times[2 * k];
        execs[k].end_ns = times[2 * k + 1];
    }
    return status ? status
                  : weir_peers_share(engine, rank->replica, rank->index, rank->clocks,
                                     (size_t)engine->graph->n_nodes * WEIR_PASSES * sizeof *rank->clocks);
}

weir_status weir_peers_times(weir_engine *engine)
{
    int64_t *times = NULL;
    size_t most = 0;
    for (int r = 0; r < engine->program->n_ranks; r++)
        most = (size_t)engine->program->ranks[r].n_instrs > most ? (size_t)engine->program->ranks[r].n_instrs : most;
    if (!engine->wire)
        return WEIR_OK;
    weir_status status = weir_alloc(2 * most, sizeof *times, &times);
    for (int i = 0; i < engine->n_ranks && !status; i++)
        status = rank_times(engine, &engine->ranks[i], times);
    weir_free(times);
    return status;
}
