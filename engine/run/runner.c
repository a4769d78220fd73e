/* Opening a runner, in an order in which every step needs the ones before it:
 *
 *     devices ─▶ streams ─▶ fit ─▶ link ─▶ blocks ─▶ place ─▶ issuers ─▶ runs ─▶ prepare ─▶ ready
 *
 * fit     refuses what does not fit before anything large is allocated.  A device-side transport takes memory of its own when
 *         it connects, so there the link comes before the fit.
 * link    shares memory and events with other processes; place tells it where this rank's blocks are.
 * runs    binds instructions, opens events; prepare runs on every rank's thread, which touches its memory first.
 *
 * Closing goes the other way, from whatever state was reached.  A runner that is STUCK leaves everything on its devices as it
 * is: a kernel there may still wait for a peer that is gone. */
#include "engine/run/runner.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/program/fetches.h"
#include "engine/program/fit.h"
#include "engine/run/bindings.h"
#include "engine/run/exec.h"
#include "engine/run/flight_file.h"
#include "engine/run/issue.h"
#include "engine/run/link.h"
#include "engine/run/params.h"
#include "engine/run/transfer.h"

/* ---- preparing a rank ---------------------------------------------------------------------------------------------- */

struct preparation {
    struct weir_runner *runner;
    struct weir_rank *rank;
};

static weir_status calls_prepare(struct weir_rank *rank, const struct weir_run *run, int stage, enum weir_list l)
{
    const struct weir_call_list *list = &run->program->stages[stage].lists[l];
    struct weir_binding *bindings = weir_bindings_of(run, rank, stage, l);
    for (int i = 0; i < run->program->n_slices * list->n_calls; i++) {
        const struct weir_step_call *t = &list->calls[i];
        const struct weir_op_kernels *kernels = t->kernels;
        if (!kernels || !kernels->prepare)
            continue; /* a copy has no operation */
        enum weir_pass pass = t->fn == kernels->forward ? WEIR_FORWARD : t->pass; /* the backward of a sum adds by its forward */
        struct weir_op_call call = *weir_binding_turn(&bindings[i], run, rank, stage, i / list->n_calls, t->pass);
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            call.accumulate = accumulate;
            weir_status status = kernels->prepare(&call, pass);
            if (status)
                return status;
        }
    }
    return WEIR_OK;
}

static weir_status stages_prepare(struct weir_rank *rank, const struct weir_run *run)
{
    weir_status status = WEIR_OK;
    for (int s = 0; run->program && s < run->program->n_stages && !status; s++)
        for (int l = 0; l < WEIR_LISTS && run->program->stages[s].rank == rank->index && !status; l++)
            status = calls_prepare(rank, run, s, (enum weir_list)l);
    return status;
}

/* Runs on the rank's own thread: kernel state belongs to it, and its memory is touched there first. */
static weir_status rank_prepare(void *argument)
{
    const struct preparation *p = argument;
    struct weir_rank *rank = p->rank;
    const struct weir_device_kind *kind = rank->machine->kind;
    bool tf32 = p->runner->build.config.dtype == WEIR_COMPUTE_TF32;
    weir_status status = WEIR_OK;
    if (weir_rank_is_first(rank))
        status = kind->context_open(rank->device, rank->stream, tf32, &rank->context);
    else
        rank->context = weir_rank_twin(rank)->context;
    if (status)
        return status;
    for (int k = 0; k < WEIR_MEMORY_KINDS && kind->memory_touch; k++)
        if (rank->blocks[k])
            kind->memory_touch(rank->blocks[k], weir_rank_program(rank)->bytes[k]);
    status = weir_params_init(rank);
    if (!status)
        status = stages_prepare(rank, &p->runner->main);
    return status ? status : stages_prepare(rank, &p->runner->guest);
}

static weir_status ranks_prepare(struct weir_runner *runner)
{
    struct preparation *work;
    weir_status status = weir_arena_alloc(&runner->arena, (size_t)runner->machine.n_ranks, sizeof *work, &work);
    for (int r = 0; r < runner->machine.n_ranks && !status; r++)
        work[r] = (struct preparation){runner, &runner->machine.ranks[r]};
    return status ? status : weir_machine_tasks_run(&runner->machine, rank_prepare, work, sizeof *work);
}

/* ---- binding a program --------------------------------------------------------------------------------------------- */

/* Where the host only enqueues, the device's marks tell how long a call took. */
static bool marks_calls(const struct weir_runner *runner, const struct weir_instr *instr)
{
    return runner->build.config.profiles && weir_machine_enqueues(&runner->machine) && instr->kind == WEIR_INSTR_ACTION;
}

/* An update by itself is what the step's list ends with. */
static int place_of(const struct weir_run *run, const struct weir_rank *rank, int position)
{
    const struct weir_program *step = run->runner->build.program;
    int w = rank->worker % step->n_ranks;
    return run == &run->runner->update ? step->workers[w].n - run->program->workers[w].n + position : position;
}

static weir_status execs_make(struct weir_run *run, struct weir_rank *rank)
{
    struct weir_runner *runner = run->runner;
    struct weir_rank_program *r = &run->program->ranks[rank->index];
    int copy = rank->replica % run->program->n_copies;
    struct weir_exec *execs;
    weir_status status = weir_arena_alloc(&runner->arena, (size_t)r->n_instrs, sizeof *execs, &execs);
    for (int i = 0; i < r->n_instrs && !status; i++) {
        char text[WEIR_ACTION_TEXT];
        execs[i].rank = rank;
        execs[i].run = run;
        execs[i].instr = &r->instrs[i];
        execs[i].position = run->program->positions[copy * run->program->n_ranks + rank->index][i];
        execs[i].place = place_of(run, rank, execs[i].position);
        execs[i].clocks = runner->clocks[rank->number];
        if (r->instrs[i].kind == WEIR_INSTR_ACTION && weir_rank_is_here(rank))
            execs[i].bindings = weir_bindings_first(run, rank, &r->instrs[i]);
        execs[i].fn = weir_machine_enqueues(&runner->machine) ? weir_exec_enqueue : weir_exec_run;
        execs[i].times_calls = !weir_machine_enqueues(&runner->machine);
        status = weir_arena_strdup(&runner->arena, weir_instr_str(run->program, &r->instrs[i], copy, text), &execs[i].name);
        if (!status && marks_calls(runner, &r->instrs[i]))
            status = weir_arena_alloc(&runner->arena, (size_t)r->instrs[i].n_calls, sizeof(int64_t), &execs[i].calls_end_ns);
    }
    if (!status)
        run->execs[rank->number] = execs;
    return status;
}

/* An event belongs to the device of the rank that signals it. */
static weir_status events_open(struct weir_run *run, const struct weir_rank *rank)
{
    const struct weir_rank_program *r = &run->program->ranks[rank->index];
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_instrs && !status; i++)
        if (r->instrs[i].signal >= 0)
            status = rank->machine->kind->event_open(rank->device, weir_signal_of(&run->execs[rank->number][i], run->events));
    return status;
}

static weir_status run_open(struct weir_run *run)
{
    struct weir_runner *runner = run->runner;
    const struct weir_machine *machine = &runner->machine;
    run->n_events = run->program->n_events * run->program->n_replicas;
    weir_status status = weir_arena_alloc(&runner->arena, (size_t)machine->n_ranks, sizeof(struct weir_exec *), &run->execs);
    if (!status)
        status = weir_arena_alloc(&runner->arena, (size_t)run->n_events, sizeof *run->events, &run->events);
    if (!status)
        status = weir_arena_alloc(&runner->arena, (size_t)machine->n_ranks, sizeof *run->bindings, &run->bindings);
    for (int r = machine->first_here; r < machine->end_here && !status; r++)
        status = weir_bindings_make(run, &machine->ranks[r], &runner->arena);
    for (int r = 0; r < machine->n_ranks && !status; r++)
        status = execs_make(run, &machine->ranks[r]);
    for (int r = 0; r < machine->n_ranks && !status && !run->link; r++)
        status = events_open(run, &machine->ranks[r]);
    return status ? status : weir_run_twins_open(run);
}

static weir_status fetches_open(struct weir_run *run)
{
    const struct weir_build *build = &run->runner->build;
    int *fetch_of;
    weir_status status = weir_arena_alloc(&run->runner->arena, (size_t)build->graph->n_nodes, sizeof *fetch_of, &fetch_of);
    for (int n = 0; n < build->graph->n_nodes && !status; n++)
        fetch_of[n] = -1;
    for (int i = 0; i < build->n_fetches && !status; i++)
        fetch_of[build->fetches[i].node] = i;
    if (!status)
        run->fetch_of = fetch_of;
    return status;
}

static void run_close(struct weir_run *run)
{
    const struct weir_device_kind *kind = run->runner->machine.kind;
    for (int e = 0; run->events && e < run->n_events; e++)
        if (run->events[e])
            kind->event_close(run->events[e]);
    for (int e = 0; run->issued && e < run->n_events; e++)
        if (run->issued[e])
            weir_device_cpu.event_close(run->issued[e]);
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

/* What a worker's stream must hold while a program is enqueued. */
static size_t tasks_count(const struct weir_program *program, int worker)
{
    size_t tasks = 16;
    for (int i = 0; program && i < program->workers[worker].n; i++) {
        const struct weir_order_entry *entry = &program->workers[worker].entries[i];
        const struct weir_instr *instr = &program->ranks[entry->rank].instrs[entry->instr];
        tasks += 2 + (size_t)instr->n_waits + (size_t)instr->n_peer_waits * (size_t)(program->n_replicas - 1);
    }
    return tasks;
}

static size_t stream_capacity(const struct weir_build *build, int worker)
{
    size_t main = tasks_count(build->program, worker), guest = tasks_count(build->guest, worker);
    return main > guest ? main : guest;
}

static weir_status clocks_make(struct weir_runner *runner)
{
    int n = runner->machine.n_ranks;
    size_t passes = (size_t)runner->build.graph->n_nodes * WEIR_PASSES;
    weir_status status = weir_arena_alloc(&runner->arena, (size_t)n, sizeof(struct weir_op_clock *), &runner->clocks);
    for (int r = 0; r < n && !status; r++)
        status = weir_arena_alloc(&runner->arena, passes, sizeof **runner->clocks, &runner->clocks[r]);
    return status;
}

static void flights_bind(struct weir_runner *runner)
{
    const struct weir_pulse *pulse = &runner->world.pulse;
    for (int r = 0; r < runner->machine.n_ranks; r++) {
        runner->machine.ranks[r].flight = pulse->flights[runner->machine.ranks[r].worker];
        if (pulse->timeout_ns)
            runner->machine.ranks[r].call = &pulse->calls[runner->machine.ranks[r].worker];
    }
}

static weir_status machine_open(struct weir_runner *runner)
{
    int n_copies = runner->build.program->n_copies;
    struct weir_machine_place place = {.first_here = runner->world.first_here * n_copies,
                                       .end_here = runner->world.end_here * n_copies,
                                       .is_crowded = runner->build.config.leaves_cores ||
                                                     (runner->world.info && runner->world.info->crowded)};
    struct weir_resources have = {.host_free = SIZE_MAX};
    weir_status status = weir_world_device_index(&runner->world, runner->build.config.device, &runner->arena,
                                                 &place.device_index);
    if (!status)
        status = weir_machine_open(&runner->machine, &runner->build, &place, &runner->arena);
    if (!status)
        flights_bind(runner);
    if (!status)
        status = clocks_make(runner);
    if (!status)
        status = weir_standing_open(runner);
    have.device_of = runner->machine.device_of;
    have.taken = runner->machine.taken;
    if (!status)
        status = weir_extras_make(&runner->build, &have, &runner->arena, &runner->extras);
    return status ? status : weir_machine_streams(&runner->machine, stream_capacity);
}

static weir_status fit_check(struct weir_runner *runner)
{
    struct weir_resources have;
    weir_status status = weir_machine_look(&runner->machine, &have);
    if (!status && have.host_free != SIZE_MAX)
        status = weir_world_sum(&runner->world, &have.host_free);
    if (status)
        return status;
    struct weir_fit fit = weir_fit_weigh(&runner->build, &runner->extras, &have);
    return fit.fits ? WEIR_OK : weir_fit_refuse(&runner->build, &fit);
}

/* Bytes of every worker on its device, as its own process knows them. */
static weir_status peaks_exchange(struct weir_runner *runner)
{
    const struct weir_world *world = &runner->world;
    size_t n = (size_t)runner->machine.n_workers;
    int64_t *all;
    weir_status status = weir_arena_alloc(&runner->arena, n, sizeof *runner->peak_bytes, &runner->peak_bytes);
    for (size_t r = 0; r < n && !status; r++)
        runner->peak_bytes[r] = weir_rank_device_bytes(&runner->build, &runner->extras, (int)r);
    if (status || !world->transport)
        return status;
    size_t bytes = runner->peak_bytes[world->first_here]; /* device-side it has rows for mirrors */
    bytes += world->transport->device_side ? 0 : world->transport->mirror_bytes(runner->main.link);
    int64_t mine = (int64_t)bytes;
    status = weir_arena_alloc(&runner->arena, n, sizeof *all, &all);
    if (!status)
        status = weir_world_exchange(world, &mine, sizeof mine, all);
    for (size_t r = 0; r < n && !status; r++)
        runner->peak_bytes[r] = (size_t)all[weir_world_worker_process(world, (int)r)];
    return status || world->info->n_hosts == 1 ? status : weir_world_clock(&runner->world, all);
}

/* What a worker is at, as its flight has it.  `context` is the runner. */
static void doing_describe(void *context, int worker, const struct weir_flight *flight, char *text_out, size_t room)
{
    const struct weir_runner *runner = context;
    uint32_t n = atomic_load_explicit(&((struct weir_flight *)(uintptr_t)flight)->n, memory_order_acquire);
    if (!n) {
        const char *far = runner->world.pulse.flights[worker] ? "" : ", as far as was heard of it";
        snprintf(text_out, room, "%s%s", weir_world_is_device_side(&runner->world) ? "(what it does on its device is not recorded)"
                                                                                     : "before its first step", far);
        return;
    }
    struct weir_flight_entry entry = weir_flight_entry_read(flight, n - 1);
    const struct weir_run *run = entry.is_guest ? &runner->guest : &runner->main;
    const char *name = weir_run_exec_at(run, worker, entry.instr)->name;
    const char *when = entry.end_ns ? "after" : "in";
    snprintf(text_out, room, "%s %s of %s %u", when, name, entry.is_guest ? "an evaluation after step" : "step", entry.step + 1u);
}

static const char *node_name(void *context, int node)
{
    const struct weir_runner *runner = context;
    return runner->build.graph->nodes[node].name;
}

weir_status weir_runner_open(struct weir_runner *runner)
{
    bool device_side = weir_world_is_device_side(&runner->world);
    runner->main = (struct weir_run){.runner = runner, .program = runner->build.program, .lanes = runner->main.lanes,
                                     .scratch = WEIR_MEMORY_SCRATCH};
    runner->guest = (struct weir_run){.runner = runner, .program = runner->build.guest, .lanes = runner->guest.lanes,
                                      .scratch = runner->build.guest_scratch};
    runner->update = (struct weir_run){.runner = runner, .program = runner->build.update, .scratch = WEIR_MEMORY_SCRATCH};
    weir_status status = machine_open(runner);
    if (!status && !device_side)
        status = fit_check(runner);
    if (!status)
        status = weir_link_join(runner);
    if (!status && device_side) /* with what the library's buffers left */
        status = fit_check(runner);
    if (!status)
        status = weir_machine_blocks(&runner->machine, weir_link_partial_bytes(runner));
    if (!status)
        status = weir_link_place(runner);
    if (!status)
        status = weir_machine_issuers(&runner->machine, &runner->arena);
    if (!status)
        status = run_open(&runner->main);
    if (!status && runner->guest.program)
        status = run_open(&runner->guest);
    if (!status && runner->build.n_fetches)
        status = fetches_open(&runner->guest);
    if (!status && runner->update.program)
        status = run_open(&runner->update);
    if (!status) {
        runner->world.pulse.describe = doing_describe;
        runner->world.pulse.node_name = node_name;
        atomic_store_explicit(&runner->world.pulse.describe_context, runner, memory_order_release);
        status = ranks_prepare(runner);
    }
    return status ? status : peaks_exchange(runner);
}

/* ---- closing ------------------------------------------------------------------------------------------------------- */

/* After a failure what this process waits for on its devices ends by itself, or never. */
static void streams_end(struct weir_runner *runner)
{
    bool stuck = weir_runner_state(runner) == WEIR_RUNNER_STUCK ||
                 weir_machine_is_stuck(&runner->machine, WEIR_TRANSPORT_GRACE_NS);
    if (!stuck)
        return;
    weir_runner_raise(runner, WEIR_RUNNER_STUCK);
    weir_log(WEIR_LOG_WARN, "what waits on the device for a lost rank could not be ended: its memory is left as it is");
}

bool weir_runner_is_hung(const struct weir_runner *runner)
{
    const struct weir_pulse *pulse = &runner->world.pulse;
    return weir_pulse_look((void *)(uintptr_t)pulse) && pulse->culprit >= pulse->first_here && pulse->culprit < pulse->end_here;
}

void weir_runner_close(struct weir_runner *runner)
{
    if (weir_runner_is_hung(runner)) {
        weir_pulse_stop(&runner->world.pulse);
        return;
    }
    if (!weir_runner_is_ready(runner) && weir_world_is_device_side(&runner->world))
        streams_end(runner);
    bool stuck = weir_runner_state(runner) == WEIR_RUNNER_STUCK;
    weir_issuers_close(&runner->machine);
    if (!stuck)
        weir_machine_close(&runner->machine);
    if (runner->main.runner) {
        run_close(&runner->main);
        run_close(&runner->guest);
        run_close(&runner->update);
    }
    weir_link_leave(runner);
    if (!stuck)
        weir_machine_devices_close(&runner->machine);
    weir_world_leave(&runner->world);
    weir_arena_release(&runner->arena);
}

weir_status weir_runner_fail(struct weir_runner *runner, weir_status status)
{
    weir_runner_raise(runner, WEIR_RUNNER_FAILED);
    if (!*runner->cause)
        snprintf(runner->cause, sizeof runner->cause, "%s", weir_last_error());
    weir_flight_failed(runner, status); /* before a launcher hears of it, which gives the rest of the run little time */
    weir_link_stop(runner, status);
    weir_world_told(&runner->world);
    return status;
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

static weir_status values_set(struct weir_runner *runner, const struct weir_step_block *values)
{
    weir_status status = WEIR_OK;
    for (int r = runner->machine.first_here; r < runner->machine.end_here && !status; r++)
        status = weir_push(&runner->machine.ranks[r], WEIR_MEMORY_STEP, 0, values, sizeof *values);
    return status;
}

/* Device-side transports are looked after too.  Of the others, the rank's thread does that. */
static weir_status sync_look(void *context)
{
    struct weir_runner *runner = context;
    weir_status status = WEIR_OK;
    if (weir_world_is_device_side(&runner->world) && runner->main.link)
        status = weir_link_look(runner);
    weir_standing_look(runner);
    return status ? status : weir_pulse_look(&runner->world.pulse);
}

static weir_status ranks_sync(struct weir_runner *runner)
{
    const struct weir_machine_watch watch = {sync_look, runner};
    runner->issued_ns = weir_clock_ns();
    bool has_limit = runner->world.pulse.timeout_ns || weir_world_is_device_side(&runner->world);
    return weir_machine_sync(&runner->machine, has_limit ? &watch : NULL);
}

/* Wait for what was issued.  Peers wait for what was not: they are told first. */
static weir_status issued_sync(struct weir_runner *runner, weir_status issued)
{
    char message[WEIR_ERROR_MAX];
    if (!issued)
        return ranks_sync(runner);
    weir_error_take(message);
    weir_link_stop(runner, issued);
    if (weir_runner_state(runner) != WEIR_RUNNER_STUCK)
        (void)ranks_sync(runner); /* what follows from it */
    weir_error_put(message);
    return issued;
}

weir_status weir_runner_run(struct weir_runner *runner, struct weir_run *run, const struct weir_step_block *values,
                            weir_status (*fetch)(void *context), void *context)
{
    bool barrier = run != &runner->main; /* a step's end is an exchange of its own */
    weir_status status = weir_link_begin(runner, run);
    if (!status)
        status = values_set(runner, values);
    if (!status)
        status = weir_run_issue(run);
    if (!status)
        status = fetch(context);
    status = issued_sync(runner, status);
    if (!status)
        status = weir_link_finish(runner, run, barrier);
    if (status)
        return weir_runner_fail(runner, status);
    weir_run_clock(run);
    return WEIR_OK;
}
