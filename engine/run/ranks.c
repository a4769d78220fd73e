/* Ranks: what each of them needs to run programs, and waiting for all. */
#include <string.h>

#include "engine/run/state.h"
#include "engine/run/transfer.h"

static weir_status calls_prepare(struct weir_rank *rank, const struct weir_run_program *run, int stage,
                                 const struct weir_call_list *list)
{
    for (int i = 0; i < list->n_calls; i++) {
        const struct weir_step_call *t = &list->calls[i];
        const struct weir_op_kernels *kernels = t->fn ? rank->engine->kind->kernels(t->call.op) : NULL;
        if (!kernels || !kernels->prepare)
            continue; /* a copy has no operation */
        struct weir_op_call call;
        weir_call_bind(rank, run, stage, 0, t, &call);
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            call.accumulate = accumulate;
            weir_status status = kernels->prepare(&call, t->pass);
            if (status)
                return status;
        }
    }
    return WEIR_OK;
}

static weir_status stages_prepare(struct weir_rank *rank, const struct weir_run_program *run)
{
    weir_status status = WEIR_OK;
    for (int s = 0; run->program && s < run->program->n_stages && !status; s++)
        for (int l = 0; l < WEIR_LISTS && run->program->stages[s].rank == rank->index && !status; l++)
            status = calls_prepare(rank, run, s, &run->program->stages[s].lists[l]);
    return status;
}

/* Runs on the rank's own thread: kernel state belongs to it, and its memory is touched there first. */
weir_status weir_rank_prepare(void *argument)
{
    struct weir_rank *rank = argument;
    const struct weir_program *program = rank->engine->program;
    const struct weir_engine *engine = rank->engine;
    weir_status status = engine->kind->context_open(rank->device, rank->stream, engine->config.dtype == WEIR_COMPUTE_TF32,
                                                    &rank->context);
    if (status)
        return status;
    for (int k = 0; k < WEIR_MEMORY_KINDS && (engine->kind->flags & WEIR_DEVICE_HOST_MEMORY); k++)
        if (rank->blocks[k])
            memset(rank->blocks[k], 0, program->ranks[rank->index].bytes[k]);
    status = weir_params_init(rank);
    if (!status)
        status = stages_prepare(rank, &rank->engine->train);
    return status ? status : stages_prepare(rank, &rank->engine->evaluate);
}

static weir_status rank_finish(void *argument)
{
    struct weir_rank *rank = argument;
    if (rank->context)
        rank->engine->kind->context_close(rank->device, rank->context);
    rank->context = NULL;
    return WEIR_OK;
}

/* Where the host only enqueues, the device's marks tell how long a call took. */
static bool marks_calls(const struct weir_engine *engine, const struct weir_instr *instr)
{
    return engine->config.profiles && !(engine->kind->flags & WEIR_DEVICE_TASKS) && instr->kind == WEIR_INSTR_ACTION;
}

static weir_status execs_make(struct weir_rank *rank, struct weir_run_program *run)
{
    struct weir_engine *engine = rank->engine;
    struct weir_rank_program *r = &run->program->ranks[rank->index];
    struct weir_exec *execs;
    weir_status status = weir_arena_alloc(&engine->arena, (size_t)r->n_instrs, sizeof *execs, &execs);
    for (int i = 0; i < r->n_instrs && !status; i++) {
        char text[WEIR_ACTION_TEXT];
        execs[i].rank = rank;
        execs[i].run = run;
        execs[i].instr = &r->instrs[i];
        status = weir_arena_strdup(&engine->arena, weir_instr_str(run->program, &r->instrs[i], text), &execs[i].name);
        if (!status && marks_calls(engine, &r->instrs[i]))
            status = weir_arena_alloc(&engine->arena, (size_t)r->instrs[i].n_calls, sizeof(int64_t), &execs[i].calls_end_ns);
    }
    if (!status)
        run->execs[rank - engine->ranks] = execs;
    return status;
}

/* An event belongs to the device of the rank that signals it. */
static weir_status rank_events_open(struct weir_rank *rank, struct weir_run_program *run)
{
    const struct weir_rank_program *r = &run->program->ranks[rank->index];
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_instrs && !status; i++) {
        const struct weir_exec *exec = &run->execs[rank - rank->engine->ranks][i];
        if (r->instrs[i].signal >= 0)
            status = rank->engine->kind->event_open(rank->device, weir_signal_of(exec, run->events));
    }
    return status;
}

/* Everything of a program but its memory: what its ranks run, and the events between them. */
weir_status weir_run_open(struct weir_engine *engine, struct weir_run_program *run)
{
    run->n_events = run->program->n_events * engine->n_replicas;
    weir_status status =
        weir_arena_alloc(&engine->arena, (size_t)engine->n_ranks, sizeof(struct weir_exec *), &run->execs);
    if (!status)
        status = weir_arena_alloc(&engine->arena, (size_t)run->n_events, sizeof *run->events, &run->events);
    for (int r = 0; r < engine->n_ranks && !status; r++)
        status = execs_make(&engine->ranks[r], run);
    for (int r = 0; r < engine->n_ranks && !status && !engine->wire; r++)
        status = rank_events_open(&engine->ranks[r], run);
    return status ? status : weir_issued_open(engine, run);
}

void weir_run_close(struct weir_engine *engine, struct weir_run_program *run)
{
    for (int e = 0; run->events && e < run->n_events; e++)
        if (run->events[e])
            engine->kind->event_close(run->events[e]);
    for (int e = 0; run->issued && e < run->n_events; e++)
        if (run->issued[e])
            weir_device_cpu.event_close(run->issued[e]);
}

/* What a stream must hold while a program is enqueued. */
static size_t tasks_count(const struct weir_engine *engine, const struct weir_program *program, int r)
{
    size_t tasks = 16;
    for (int i = 0; program && i < program->ranks[r].n_instrs; i++)
        tasks += 2 + (size_t)program->ranks[r].instrs[i].n_waits +
                 (size_t)program->ranks[r].instrs[i].n_peer_waits * (size_t)(engine->n_replicas - 1);
    return tasks;
}

weir_status weir_rank_stream_open(struct weir_engine *engine, int r)
{
    struct weir_rank *rank = &engine->ranks[r];
    size_t tasks = tasks_count(engine, engine->train.program, rank->index);
    size_t others = tasks_count(engine, engine->evaluate.program, rank->index);
    weir_status status = engine->kind->stream_open(rank->device, WEIR_STREAM_COMPUTE, tasks > others ? tasks : others,
                                                   &rank->stream);
    return status ? status : engine->kind->native(rank->stream, &rank->native);
}

weir_status weir_rank_open(struct weir_engine *engine, int r)
{
    struct weir_rank *rank = &engine->ranks[r];
    const struct weir_rank_program *program = &engine->program->ranks[rank->index];
    weir_status status = WEIR_OK;
    for (int k = 0; k < WEIR_MEMORY_KINDS && !status; k++)
        if (program->bytes[k] && !rank->shared[k])
            status = engine->kind->memory_alloc(rank->device, program->bytes[k], (void **)(void *)&rank->blocks[k]);
    if (!status && weir_peers_terms_bytes(engine))
        status = engine->kind->memory_alloc(rank->device, weir_peers_terms_bytes(engine), (void **)(void *)&rank->terms);
    return status ? status : weir_transfer_open(rank);
}

/* In stream order a wait may never end by itself: it is looked after meanwhile. */
static weir_status rank_sync(const struct weir_rank *rank)
{
    const struct weir_engine *engine = rank->engine;
    bool watched = weir_peers_stream(engine) && engine->train.link;
    for (;;) {
        weir_status status = engine->kind->stream_sync(rank->stream, watched ? WEIR_TRANSPORT_LOOK_NS : -1);
        if (status != WEIR_ERR_TIMEOUT || !watched)
            return status;
        status = weir_peers_look(engine);
        if (status)
            return status;
    }
}

weir_status weir_ranks_sync(struct weir_engine *engine)
{
    weir_status first = WEIR_OK;
    char message[WEIR_ERROR_MAX];
    for (int r = engine->first_here; r < engine->end_here; r++) {
        weir_status status = rank_sync(&engine->ranks[r]);
        if (status && !first) {
            first = status;
            weir_error_take(message);
        }
    }
    if (first)
        weir_error_put(message);
    return first;
}

/* As a task of the rank's stream, or where there are none here and now, with the rank's device the current one. */
static weir_status rank_run(struct weir_rank *rank, weir_task_fn fn)
{
    const struct weir_device_kind *kind = rank->engine->kind;
    if (kind->flags & WEIR_DEVICE_TASKS)
        return kind->run(rank->stream, fn, rank);
    weir_status status = kind->native(rank->stream, &rank->native);
    return status ? status : fn(rank);
}

weir_status weir_ranks_run(struct weir_engine *engine, weir_task_fn fn)
{
    for (int r = engine->first_here; r < engine->end_here; r++) {
        weir_status status = rank_run(&engine->ranks[r], fn);
        if (status)
            return status;
    }
    return weir_ranks_sync(engine);
}

void weir_rank_close(struct weir_engine *engine, struct weir_rank *rank)
{
    if (rank->stream) {
        engine->kind->stream_sync(rank->stream, -1);
        engine->kind->stream_reset(rank->stream); /* a poisoned stream would skip rank_finish */
        if (rank_run(rank, rank_finish) == WEIR_OK)
            engine->kind->stream_sync(rank->stream, -1);
        else
            rank_finish(rank);
        engine->kind->stream_close(rank->stream);
    }
    for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
        if (rank->blocks[k] && !rank->shared[k])
            engine->kind->memory_free(rank->device, rank->blocks[k]);
    if (rank->terms)
        engine->kind->memory_free(rank->device, rank->terms);
    weir_transfer_close(rank);
}
