/* Events and moves: what the step reads of the dependencies.  An instruction that somebody awaits signals one event, and everybody
 * who awaits it awaits that event, once. */
#include "engine/program/compile.h"
#include "engine/program/deps.h"

static void signals_number(struct weir_program *program)
{
    for (int r = 0; r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_instrs; i++) {
            struct weir_instr *instr = &program->ranks[r].instrs[i];
            instr->signal = instr->n_leaving ? program->n_events++ : -1;
        }
}

static int signal_of(const struct weir_program *program, const struct weir_dep *dep)
{
    return program->ranks[dep->from_rank].instrs[dep->from_instr].signal;
}

/* Write the events of the instruction's dependencies on these replicas, each once; returns their number. */
static int events_collect(const struct weir_program *program, const struct weir_instr *instr,
                          enum weir_dep_replicas replicas, int *events)
{
    int n = 0;
    for (int d = instr->first_dep; d < instr->first_dep + instr->n_deps; d++) {
        int event = signal_of(program, &program->deps[d]), k = 0;
        if (program->deps[d].replicas != replicas)
            continue;
        while (k < n && events[k] != event)
            k++;
        events[k] = event;
        n += k == n;
    }
    return n;
}

static struct weir_region_move move_of(const struct weir_program *program, const struct weir_dep *dep,
                                       const struct weir_dep_region *region)
{
    int to = dep->replicas == WEIR_DEP_OWN            ? WEIR_REPLICA_OWN
             : region->to_replica == WEIR_REPLICA_ANY ? WEIR_REPLICA_OTHERS
                                                      : region->to_replica;
    return (struct weir_region_move){signal_of(program, dep), dep->from_rank, region->from_replica, dep->to_rank, to,
                                     region->receivers, region->kind, region->offset, region->bytes, dep->post_after};
}

static void moves_fill(struct weir_program *program)
{
    struct weir_region_move *move = program->moves;
    for (int d = 0; d < program->n_deps; d++)
        for (int k = 0; k < program->deps[d].n_regions; k++)
            *move++ = move_of(program, &program->deps[d], &program->regions[program->deps[d].first_region + k]);
}

static void waits_fill(struct weir_program *program, int *events)
{
    for (int r = 0; r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_instrs; i++) {
            struct weir_instr *instr = &program->ranks[r].instrs[i];
            instr->waits = events;
            instr->n_waits = events_collect(program, instr, WEIR_DEP_OWN, events);
            instr->peer_waits = events += instr->n_waits;
            instr->n_peer_waits = events_collect(program, instr, WEIR_DEP_OTHERS, events);
            events += instr->n_peer_waits;
        }
}

weir_status weir_compile_waits(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    int *events;
    weir_status status = weir_arena_alloc(c->arena, (size_t)program->n_deps, sizeof *events, &events);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)program->n_regions, sizeof *program->moves, &program->moves);
    if (status)
        return status;
    signals_number(program);
    waits_fill(program, events);
    moves_fill(program);
    return WEIR_OK;
}
