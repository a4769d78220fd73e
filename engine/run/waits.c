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

static int n_instrs_of(const struct reader *reader, int r)
{
    return reader->run->program->ranks[reader->machine->ranks[r].index].n_instrs;
}

static int64_t start_of(const struct reader *reader, int r, int instr)
{
    return reader->run->execs[r][instr].start_ns - ahead_of(reader, &reader->machine->ranks[r]);
}

static int64_t end_of(const struct reader *reader, int r, int instr)
{
    return reader->run->execs[r][instr].end_ns - ahead_of(reader, &reader->machine->ranks[r]);
}

/* The index of a rank's instruction among the events of all ranks. */
static int event_of(const struct reader *reader, int rank, int instr)
{
    int event = instr;
    for (int r = 0; r < rank; r++)
        event += n_instrs_of(reader, r);
    return event;
}

static void span_find(struct reader *reader)
{
    reader->first_ns = INT64_MAX;
    for (int r = 0; r < reader->machine->n_ranks; r++)
        for (int i = 0; i < n_instrs_of(reader, r); i++) {
            int64_t start = start_of(reader, r, i), end = end_of(reader, r, i);
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

/* `wait` knows its time.  The awaited instruction that ended last, if the rank had nothing to do by then. */
static void cause_find(const struct reader *reader, int r, int instr, struct weir_step_wait *wait)
{
    const struct weir_program *program = reader->run->program;
    const struct weir_rank *rank = &reader->machine->ranks[r];
    const struct weir_instr *at = &program->ranks[rank->index].instrs[instr];
    for (int k = 0; k < at->n_deps; k++) {
        const struct weir_dep *dep = &program->deps[at->first_dep + k];
        for (int replica = 0; replica < program->n_replicas; replica++) {
            if ((replica == rank->replica) != (dep->replicas == WEIR_DEP_OWN))
                continue;
            int peer = weir_rank_at(reader->machine, replica, dep->from_rank)->number;
            int64_t made = end_of(reader, peer, dep->from_instr);
            if (made <= wait->made_ns)
                continue;
            wait->made_ns = made < wait->end_ns ? made : wait->end_ns;
            wait->cause = weir_dep_why_str(dep->why);
            wait->peer = peer;
            wait->peer_event = event_of(reader, peer, dep->from_instr);
        }
    }
}

static void rank_read(struct reader *reader, int r)
{
    int64_t free_ns = reader->first_ns;
    int n = n_instrs_of(reader, r), first = event_of(reader, r, 0);
    for (int i = 0; i < n; i++) {
        int64_t start = start_of(reader, r, i);
        struct weir_step_wait wait = {.rank = r, .event = first + i, .peer = -1, .peer_event = -1, .start_ns = free_ns,
                                      .made_ns = free_ns, .end_ns = start};
        if (start > free_ns)
            cause_find(reader, r, i, &wait);
        wait_add(reader, &wait);
        free_ns = end_of(reader, r, i);
    }
    wait_add(reader, &(struct weir_step_wait){.rank = r, .event = -1, .peer = -1, .peer_event = -1, .start_ns = free_ns,
                                              .made_ns = reader->last_ns, .end_ns = reader->last_ns});
}

size_t weir_run_waits(const struct weir_run *run, struct weir_step_wait *waits_out, size_t room)
{
    struct reader reader = {.run = run, .machine = &run->runner->machine, .out = waits_out, .room = room};
    span_find(&reader);
    for (int r = 0; r < reader.machine->n_ranks; r++)
        rank_read(&reader, r);
    return reader.n;
}
