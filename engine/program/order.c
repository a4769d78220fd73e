/* One order: all instructions of all ranks, every event signalled before it is awaited.  Ranks take turns, so that none
 * runs far ahead in the issuing thread's list.  Where no order exists, the ranks wait in a circle. */
#include "engine/program/compile.h"

enum { NO_EVENT = -1 };

/* The first awaited event that was not signalled, or none.  All replicas take the same order in turns, so what is
 * signalled in one is in the others. */
static int missing_event(const struct weir_instr *instr, const bool *signalled)
{
    for (int i = 0; i < instr->n_waits; i++)
        if (!signalled[instr->waits[i]])
            return instr->waits[i];
    for (int i = 0; i < instr->n_peer_waits; i++)
        if (!signalled[instr->peer_waits[i]])
            return instr->peer_waits[i];
    return NO_EVENT;
}

static const struct weir_instr *signaller_find(const struct weir_program *program, int event, int *rank_out)
{
    for (int r = 0; r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_instrs; i++)
            if (program->ranks[r].instrs[i].signal == event) {
                *rank_out = r;
                return &program->ranks[r].instrs[i];
            }
    return NULL;
}

/* Name the first rank that is stuck and what it waits for; the schedule as a whole was checked before, so what is left
 * is a wait for a slot. */
static weir_status stuck(const struct weir_program *program, const int *next, const bool *signalled)
{
    for (int r = 0; r < program->n_ranks; r++) {
        if (next[r] == program->ranks[r].n_instrs)
            continue;
        const struct weir_instr *instr = &program->ranks[r].instrs[next[r]];
        char waiting[WEIR_ACTION_TEXT], awaited[WEIR_ACTION_TEXT];
        int other = -1;
        const struct weir_instr *source = signaller_find(program, missing_event(instr, signalled), &other);
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "the step program waits in a circle: rank %d waits in %s for rank %d's %s; another schedule or "
                         "another number of micro-batches is needed",
                         r, weir_instr_str(program, instr, waiting), other,
                         source ? weir_instr_str(program, source, awaited) : "event");
    }
    return WEIR_FAIL(WEIR_ERR_INTERNAL, "the step program has no order");
}

weir_status weir_compile_order(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    int total = 0, *next;
    bool *signalled;
    for (int r = 0; r < program->n_ranks; r++)
        total += program->ranks[r].n_instrs;
    weir_status status = weir_arena_alloc(c->arena, (size_t)total, sizeof *program->order, &program->order);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)program->n_ranks, sizeof *next, &next);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)program->n_events + 1, sizeof *signalled, &signalled);
    if (status)
        return status;
    while (program->n_order < total) {
        int before = program->n_order;
        for (int r = 0; r < program->n_ranks; r++) {
            if (next[r] == program->ranks[r].n_instrs)
                continue;
            const struct weir_instr *instr = &program->ranks[r].instrs[next[r]];
            if (missing_event(instr, signalled) != NO_EVENT)
                continue;
            if (instr->signal != NO_EVENT)
                signalled[instr->signal] = true;
            program->order[program->n_order++] = (struct weir_order_entry){r, next[r]++};
        }
        c->circle = program->n_order == before;
        if (c->circle)
            return stuck(program, next, signalled);
    }
    return WEIR_OK;
}
