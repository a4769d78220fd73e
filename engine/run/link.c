/* Between processes.
 *
 * Opening.  All processes know the same program, so each can list who waits for whom and what travels (messages.c) without
 * asking.  The first exchange comes before any memory is shared: a process that has failed up to here is found there, not
 * missed in what follows.
 *
 * Running.  On a host-side transport the task of an instruction awaits its events, computes, signals, and says that it has
 * passed, so that regions may be received into again.  On a device-side one the same calls enqueue.
 *
 * Failing.  Whoever fails calls weir_link_stop(): others are told through the transport.  Device-side, what waits on the device
 * would wait for ever, so all communication is aborted; if that does not end, the runner is STUCK. */
#include "engine/run/link.h"

#include "engine/program/deps.h"
#include "engine/run/messages.h"

/* ---- state --------------------------------------------------------------------------------------------------------- */

void weir_runner_raise(struct weir_runner *runner, enum weir_runner_state state)
{
    int seen = atomic_load(&runner->state);
    while (seen < (int)state && !atomic_compare_exchange_weak(&runner->state, &seen, (int)state))
        ;
}

void weir_link_stop(struct weir_runner *runner, weir_status status)
{
    const struct weir_world *world = &runner->world;
    weir_world_stop(world, status);
    if (weir_world_is_device_side(world) && runner->main.link && !world->transport->abort(runner->main.link))
        weir_runner_raise(runner, WEIR_RUNNER_STUCK);
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static weir_status signallers_find(struct weir_run *run, struct weir_arena *arena)
{
    const struct weir_program *program = run->program;
    weir_status status = weir_arena_alloc(arena, (size_t)program->n_events, sizeof(int), &run->signallers);
    for (int r = 0; r < program->n_ranks && !status; r++)
        for (int i = 0; i < program->ranks[r].n_instrs; i++)
            if (program->ranks[r].instrs[i].signal >= 0)
                run->signallers[program->ranks[r].instrs[i].signal] = r;
    return status;
}

/* Blocks of which regions travel are shared; the others stay with their rank. */
static void shared_add(const struct weir_runner *runner, const struct weir_program *program, size_t *bytes)
{
    int n_blocks = runner->build.program->n_copies * WEIR_MEMORY_KINDS;
    for (int i = 0; program && i < program->n_deps; i++)
        for (int k = 0; k < program->deps[i].n_regions; k++) {
            const struct weir_dep_region *region = &program->regions[program->deps[i].first_region + k];
            int owner = region->receivers ? program->deps[i].to_rank : program->deps[i].from_rank;
            for (int d = 0; d < runner->build.n_replicas; d++)
                bytes[weir_world_process(&runner->world, d, owner) * n_blocks + weir_link_block(runner, d, (int)region->kind)] =
                    runner->build.program->ranks[owner].bytes[region->kind]; /* enough for both programs */
        }
}

/* Every rank's blocks, as this process sees them.  Device-side its own are there already. */
static void blocks_set(struct weir_runner *runner)
{
    const struct weir_transport_kind *transport = runner->world.transport;
    for (int i = 0; i < runner->machine.n_ranks; i++) {
        struct weir_rank *rank = &runner->machine.ranks[i];
        int process = weir_world_process(&runner->world, rank->replica, rank->index);
        for (int k = 0; k < WEIR_MEMORY_KINDS; k++) {
            rank->blocks[k] = transport->memory(runner->main.link, process, weir_link_block(runner, rank->replica, k));
            rank->shared[k] = rank->blocks[k] != NULL && !transport->device_side;
        }
    }
}

static weir_status run_link(struct weir_run *run, const struct weir_link_spec *memory)
{
    struct weir_runner *runner = run->runner;
    struct weir_arena arena = {0};
    struct weir_link_spec spec = *memory;
    spec.n_events = run->program->n_copies * run->program->n_events;
    weir_status status = signallers_find(run, &runner->arena);
    if (!status)
        status = weir_messages_make(run, &arena, &spec);
    if (!status)
        status = runner->world.transport->link_open(runner->world.handle, &spec, &run->link);
    weir_arena_release(&arena);
    return status;
}

size_t weir_link_partial_bytes(const struct weir_runner *runner)
{
    const struct weir_program *program = runner->build.program;
    size_t step = program->ranks[0].bytes[WEIR_MEMORY_STEP]; /* of all ranks the same */
    return weir_world_is_device_side(&runner->world) && runner->machine.n_workers > 1 ? step - program->norm_offset : 0;
}

/* What this rank has on its device for the transport. */
static weir_status device_rows_add(struct weir_runner *runner)
{
    const struct weir_transport_kind *transport = runner->world.transport;
    int worker = runner->world.first_here;
    const struct weir_extra rows[] = {
        {.what = "buffers of the transport", .is_taken = true, .bytes = transport->buffer_bytes(runner->main.link)},
        {.what = "mirrors of what goes to other ranks", .bytes = transport->mirror_bytes(runner->main.link)},
        {.what = "terms of norm and losses", .bytes = weir_link_partial_bytes(runner)},
    };
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !status; i++) {
        struct weir_extra row = rows[i];
        row.rank = worker;
        row.device = runner->machine.device_of[worker];
        row.is_known = true;
        status = row.bytes ? weir_extra_add(&runner->extras, &runner->arena, &row) : WEIR_OK;
    }
    return status;
}

weir_status weir_link_join(struct weir_runner *runner)
{
    struct weir_link_spec spec = {.n_blocks = runner->build.program->n_copies * WEIR_MEMORY_KINDS};
    size_t *bytes;
    bool device_side = weir_world_is_device_side(&runner->world);
    if (!runner->world.transport)
        return WEIR_OK;
    weir_status status = weir_world_exchange(&runner->world, NULL, 0, NULL);
    if (!status)
        status = weir_arena_alloc(&runner->arena, (size_t)(runner->machine.n_workers * spec.n_blocks), sizeof *bytes, &bytes);
    if (status)
        return status;
    shared_add(runner, runner->main.program, bytes);
    shared_add(runner, runner->guest.program, bytes);
    spec.block_bytes = bytes;
    status = run_link(&runner->main, &spec);
    if (status)
        return status;
    spec.memory = runner->main.link;
    if (runner->guest.program)
        status = run_link(&runner->guest, &spec);
    if (!status && runner->update.program)
        status = run_link(&runner->update, &spec);
    if (!status && !device_side)
        blocks_set(runner);
    return status || !device_side ? status : device_rows_add(runner);
}

weir_status weir_link_place(struct weir_runner *runner)
{
    void *blocks[WEIR_COPIES_MOST * WEIR_MEMORY_KINDS];
    const struct weir_machine *machine = &runner->machine;
    if (!weir_world_is_device_side(&runner->world))
        return WEIR_OK;
    for (int r = machine->first_here; r < machine->end_here; r++)
        for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
            blocks[weir_link_block(runner, machine->ranks[r].replica, k)] = machine->ranks[r].blocks[k];
    weir_status status = runner->world.transport->place(runner->main.link, blocks);
    if (!status)
        blocks_set(runner);
    return status;
}

void weir_link_leave(struct weir_runner *runner)
{
    if (!runner->world.handle)
        return;
    runner->world.transport->link_close(runner->update.link);
    runner->world.transport->link_close(runner->guest.link);
    runner->world.transport->link_close(runner->main.link);
    runner->update.link = runner->guest.link = runner->main.link = NULL;
}

/* ---- one instruction ------------------------------------------------------------------------------------------------ */

/* The instruction of `from` that signals `event`, for messages. */
static const char *signaller_name(const struct weir_run *run, const struct weir_rank *from, int event)
{
    const struct weir_rank_program *r = &run->program->ranks[from->index];
    for (int i = 0; i < r->n_instrs; i++)
        if (r->instrs[i].signal == event)
            return run->execs[from->number][i].name;
    return "nothing";
}

static weir_status await_fail(const struct weir_run *run, const struct weir_rank *from, int event, weir_status status)
{
    return status ? weir_error_prefix(status, "waiting for rank %d, %s: ",
                                      weir_world_process(&run->runner->world, from->replica, from->index),
                                      signaller_name(run, from, event))
                  : WEIR_OK;
}

static weir_status event_await(const struct weir_exec *exec, int replica, int event)
{
    const struct weir_world *world = &exec->run->runner->world;
    const struct weir_rank *from = weir_rank_at(exec->rank->machine, replica, exec->run->signallers[event]);
    int process = weir_world_process(world, from->replica, from->index);
    return await_fail(exec->run, from, event, world->transport->wait(exec->run->link, process,
                                                                     weir_link_event(exec->run, replica, event)));
}

/* Of an action in parts: the event of the last one, with which its results leave, when this part is the first that writes them. */
static int early_event(const struct weir_run *run, const struct weir_instr *instr)
{
    if (instr->kind != WEIR_INSTR_ACTION)
        return -1;
    const struct weir_call_list *list = &run->program->stages[instr->stage].lists[instr->list];
    int end = instr->first_call + instr->n_calls;
    if (list->slot_call < instr->first_call || list->slot_call >= end || end == list->n_calls)
        return -1;
    const struct weir_instr *last = instr + 1;
    while (last->kind != WEIR_INSTR_ACTION || last->stage != instr->stage || last->mb != instr->mb || last->list != instr->list ||
           last->first_call + last->n_calls < list->n_calls)
        last++;
    return last->signal;
}

static weir_status claims_make(const struct weir_exec *exec)
{
    const struct weir_run *run = exec->run;
    const struct weir_transport_kind *transport = run->runner->world.transport;
    const int events[] = {early_event(run, exec->instr), exec->instr->signal};
    weir_status status = WEIR_OK;
    for (int i = 0; i < 2 && !status; i++)
        if (events[i] >= 0)
            status = transport->claim(run->link, weir_link_event(run, exec->rank->replica, events[i]));
    return status;
}

weir_status weir_link_await(const struct weir_exec *exec)
{
    const struct weir_rank *rank = exec->rank;
    const struct weir_instr *instr = exec->instr;
    const struct weir_world *world = &exec->run->runner->world;
    weir_status status = WEIR_OK;
    if (!world->transport)
        return WEIR_OK;
    for (int w = 0; w < instr->n_waits && !status; w++)
        status = event_await(exec, rank->replica, instr->waits[w]);
    for (int replica = 0; replica < exec->run->program->n_replicas; replica++)
        for (int w = 0; w < instr->n_peer_waits && !status && replica != rank->replica; w++)
            status = event_await(exec, replica, instr->peer_waits[w]);
    return status || !world->transport->device_side ? status : claims_make(exec);
}

weir_status weir_link_passed(const struct weir_exec *exec)
{
    const struct weir_run *run = exec->run;
    const struct weir_transport_kind *transport = run->runner->world.transport;
    if (!transport)
        return WEIR_OK;
    int event = weir_link_event(run, exec->rank->replica, exec->instr->signal);
    weir_status status = exec->instr->signal >= 0 ? transport->signal(run->link, event) : WEIR_OK;
    return status ? status : transport->passed(run->link, exec->position);
}

/* ---- one run -------------------------------------------------------------------------------------------------------- */

weir_status weir_link_begin(struct weir_runner *runner, const struct weir_run *run)
{
    runner->running = run;
    return run->link ? runner->world.transport->begin(run->link) : WEIR_OK;
}

weir_status weir_link_finish(struct weir_runner *runner, const struct weir_run *run, bool barrier)
{
    weir_status status = run->link ? runner->world.transport->finish(run->link) : WEIR_OK;
    return status || !barrier ? status : weir_world_exchange(&runner->world, NULL, 0, NULL);
}

weir_status weir_link_collect(const struct weir_runner *runner, enum weir_collective_scope scope, enum weir_collective what,
                              enum weir_dtype dtype, int n_spans, const struct weir_collective_span *spans)
{
    return runner->world.transport->collect(runner->running->link, scope, what, dtype, n_spans, spans);
}

weir_status weir_link_collected(const struct weir_runner *runner, enum weir_collective_scope scope)
{
    return runner->world.transport->collected(runner->running->link, scope);
}

weir_status weir_link_look(void *context)
{
    const struct weir_runner *runner = context;
    const struct weir_transport_kind *transport = runner->world.transport;
    const struct weir_run *run = runner->running;
    int process, event;
    weir_status status = transport->look(run ? run->link : runner->main.link);
    if (!status || !run || !transport->awaited(run->link, &process, &event))
        return status;
    int n_copies = run->program->n_copies, own = event % run->program->n_events;
    int replica = runner->world.first_here / run->program->n_ranks * n_copies + event / run->program->n_events;
    /* messages stay within a pipeline */
    return await_fail(run, weir_rank_at(&runner->machine, replica, run->signallers[own]), own, status);
}
