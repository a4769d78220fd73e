#include "engine/run/standing.h"

#include <stdio.h>

#include "base/clock.h"
#include "engine/program/deps.h"
#include "engine/run/runner.h"

static const struct weir_flight_entry *last_entry(const struct weir_flight *flight, uint32_t n)
{
    return n ? &flight->entries[(n - 1) % WEIR_FLIGHT_ENTRIES] : NULL;
}

/* What the worker waits in, runs or does next; the length of its list: it has come to the end. */
static int position_of(const struct weir_run *run, int worker, uint32_t step, const struct weir_flight_entry *last)
{
    int n = run->program->workers[worker % run->program->n_ranks].n, k = 0;
    if (!last || last->is_guest || last->step != step)
        return 0;
    while (k < n && weir_run_exec_at(run, worker, k)->place != last->instr)
        k++;
    if (k == n) /* of the other part of a step in two */
        return 0;
    return atomic_load_explicit(&last->end_ns, memory_order_relaxed) ? k + 1 : k;
}

static bool is_there(const struct weir_runner *runner, const struct weir_run *run, const struct weir_exec *at, uint32_t step,
                     const struct weir_dep *dep)
{
    for (int replica = 0; replica < run->program->n_replicas; replica++) {
        const struct weir_rank *peer = weir_rank_at(&runner->machine, replica, dep->from_rank);
        int place = run->execs[peer->number][dep->from_instr].place;
        if ((replica == at->rank->replica) == (dep->replicas == WEIR_DEP_OWN) &&
            !weir_pulse_has_ended(&runner->world.pulse, peer->worker, place, 0, step))
            return false;
    }
    return true;
}

static bool could_go_on(const struct weir_runner *runner, int worker, uint32_t step, const struct weir_flight_entry *last)
{
    const struct weir_run *run = runner->running;
    int position = position_of(run, worker, step, last);
    if (atomic_load_explicit(&runner->world.pulse.calls[worker].start_ns, memory_order_acquire) ||
        position == run->program->workers[worker % run->program->n_ranks].n)
        return false;
    const struct weir_exec *at = weir_run_exec_at(run, worker, position);
    for (int k = 0; k < at->instr->n_deps; k++)
        if (!is_there(runner, run, at, step, &run->program->deps[at->instr->first_dep + k]))
            return false;
    return true;
}

static void blame(struct weir_runner *runner, int worker, struct weir_flight *flight, int64_t stood_ns)
{
    char message[WEIR_ERROR_MAX], doing[256];
    runner->world.pulse.describe(runner, worker, flight, doing, sizeof doing);
    snprintf(message, sizeof message, "rank %d (process %d on %s) is stuck %s: what it waits for has been there for %.1f s", worker,
             (int)flight->pid, flight->host, doing, (double)stood_ns * 1e-9);
    weir_pulse_found(&runner->world.pulse, worker, message);
}

static void worker_look(struct weir_runner *runner, int worker, int64_t now)
{
    struct weir_pulse *pulse = &runner->world.pulse;
    int64_t anew_ns = atomic_load_explicit(&pulse->calls_since_ns, memory_order_relaxed);
    struct weir_standing *standing = &runner->standing[worker];
    struct weir_flight *flight = pulse->flights[worker];
    uint32_t n = atomic_load_explicit(&flight->n, memory_order_acquire);
    uint32_t step = weir_step_block(weir_worker_first(&runner->machine, worker))->values.step & 0x7fffffff;
    bool moved = n != standing->n || standing->since_ns < runner->issued_ns || standing->since_ns < anew_ns;
    if (moved || !could_go_on(runner, worker, step, last_entry(flight, n)))
        *standing = (struct weir_standing){n, now};
    else if (now - standing->since_ns > pulse->timeout_ns)
        blame(runner, worker, flight, now - standing->since_ns);
}

weir_status weir_standing_open(struct weir_runner *runner)
{
    return weir_arena_alloc(&runner->arena, (size_t)runner->machine.n_workers, sizeof *runner->standing, &runner->standing);
}

/* Where the host enqueues kernel by kernel, nothing is known of what a device does. */
void weir_standing_look(struct weir_runner *runner)
{
    const struct weir_machine *machine = &runner->machine;
    int n_copies = runner->build.program->n_copies;
    if (!(machine->kind->flags & WEIR_DEVICE_TASKS) || runner->running == &runner->guest || !runner->world.pulse.timeout_ns)
        return;
    for (int r = machine->first_here; r < machine->end_here; r += n_copies)
        worker_look(runner, machine->ranks[r].worker, weir_clock_ns());
}
