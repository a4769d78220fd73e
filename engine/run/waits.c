#include "engine/run/waits.h"

#include "engine/program/deps.h"

/* Work on one run: times are of rank 0's clock, as weir_engine_events gives them. */
struct reader {
    const struct weir_run *run;
    const struct weir_machine *machine;
    struct weir_step_wait *out;
    size_t n, room;
    int64_t first_ns, last_ns; /* of the step */
};

static int64_t ahead_of(const struct reader *reader, const struct weir_rank *rank)
{
    return weir_rank_is_here(rank) ? reader->run->runner->world.clock_ahead_ns : 0;
}

static int n_instrs_of(const struct reader *reader, int w)
{
    return reader->run->program->workers[w % reader->run->program->n_ranks].n;
}

static int64_t start_of(const struct reader *reader, const struct weir_exec *exec)
{
    return exec->start_ns - ahead_of(reader, exec->rank);
}

static int64_t end_of(const struct reader *reader, const struct weir_exec *exec)
{
    return exec->end_ns - ahead_of(reader, exec->rank);
}

/* The index of an instruction among the events of all workers. */
static int event_of(const struct reader *reader, int worker, int position)
{
    int event = position;
    for (int w = 0; w < worker; w++)
        event += n_instrs_of(reader, w);
    return event;
}

static void span_find(struct reader *reader)
{
    reader->first_ns = INT64_MAX;
    for (int w = 0; w < reader->machine->n_workers; w++)
        for (int i = 0; i < n_instrs_of(reader, w); i++) {
            const struct weir_exec *exec = weir_run_exec_at(reader->run, w, i);
            int64_t start = start_of(reader, exec), end = end_of(reader, exec);
            reader->first_ns = start < reader->first_ns ? start : reader->first_ns;
            reader->last_ns = end > reader->last_ns ? end : reader->last_ns;
        }
}

static void wait_add(struct reader *reader, const struct weir_step_wait *wait)
{
    if (wait->end_ns <= wait->start_ns)
        return;
    if (reader->n < reader->room)
        reader->out[reader->n] = *wait;
    reader->n++;
}

/* `wait` knows its time.  The awaited instruction that ended last, if the worker had nothing to do by then. */
static void cause_find(const struct reader *reader, const struct weir_exec *exec, struct weir_step_wait *wait)
{
    const struct weir_program *program = reader->run->program;
    for (int k = 0; k < exec->instr->n_deps; k++) {
        const struct weir_dep *dep = &program->deps[exec->instr->first_dep + k];
        for (int replica = 0; replica < program->n_replicas; replica++) {
            if ((replica == exec->rank->replica) != (dep->replicas == WEIR_DEP_OWN))
                continue;
            const struct weir_rank *peer = weir_rank_at(reader->machine, replica, dep->from_rank);
            const struct weir_exec *awaited = &reader->run->execs[peer->number][dep->from_instr];
            int64_t made = end_of(reader, awaited);
            if (made <= wait->made_ns)
                continue;
            wait->made_ns = made < wait->end_ns ? made : wait->end_ns;
            wait->cause = weir_dep_why_str(dep->why);
            wait->peer = peer->worker;
            wait->peer_event = event_of(reader, peer->worker, awaited->position);
        }
    }
}

static void worker_read(struct reader *reader, int w)
{
    int64_t free_ns = reader->first_ns;
    int n = n_instrs_of(reader, w), first = event_of(reader, w, 0);
    for (int i = 0; i < n; i++) {
        const struct weir_exec *exec = weir_run_exec_at(reader->run, w, i);
        int64_t start = start_of(reader, exec);
        struct weir_step_wait wait = {.rank = w, .event = first + i, .peer = -1, .peer_event = -1, .start_ns = free_ns,
                                      .made_ns = free_ns, .end_ns = start};
        if (start > free_ns)
            cause_find(reader, exec, &wait);
        wait_add(reader, &wait);
        free_ns = end_of(reader, exec);
    }
    wait_add(reader, &(struct weir_step_wait){.rank = w, .event = -1, .peer = -1, .peer_event = -1, .start_ns = free_ns,
                                              .made_ns = reader->last_ns, .end_ns = reader->last_ns});
}

size_t weir_run_waits(const struct weir_run *run, struct weir_step_wait *waits_out, size_t room)
{
    struct reader reader = {.run = run, .machine = &run->runner->machine, .out = waits_out, .room = room};
    span_find(&reader);
    for (int w = 0; w < reader.machine->n_workers; w++)
        worker_read(&reader, w);
    return reader.n;
}
