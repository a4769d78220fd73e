/* Events: what the step reads of the dependencies.  An instruction that somebody awaits signals one event, and everybody who
 * awaits it awaits that event, once. */
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

weir_status weir_compile_signals(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    int *events;
    weir_status status = weir_arena_alloc(c->arena, (size_t)program->n_deps, sizeof *events, &events);
    if (status)
        return status;
    signals_number(program);
    waits_fill(program, events);
    return WEIR_OK;
}
