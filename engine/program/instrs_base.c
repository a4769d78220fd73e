/* Instructions and events: what lists of instructions are made of. */
#include <string.h>

#include "engine/program/instrs.h"

const int *weir_work_order(const struct weir_instr_work *w, int stage, enum weir_moment moment)
{
    return weir_moment_order(&w->c->moments, stage, moment);
}

int weir_work_event_after(struct weir_instr_work *w, int stage, int mb, enum weir_moment moment)
{
    int position = weir_moment_position(&w->c->moments, stage, mb, moment);
    int *event = &w->ranks[w->c->program->stages[stage].rank].event_of[position];
    if (*event == WEIR_NO_EVENT)
        *event = w->c->program->n_events++;
    return *event;
}

int weir_work_event(struct weir_instr_work *w)
{
    return w->c->program->n_events++;
}

struct weir_instr *weir_work_instr(struct weir_instr_work *w, int r, int position, enum weir_instr_kind kind)
{
    struct weir_rank_program *rank = &w->c->program->ranks[r];
    struct weir_instr *instr = &rank->instrs[rank->n_instrs];
    *instr = (struct weir_instr){.kind = kind, .signal = WEIR_NO_EVENT, .stage = -1, .mb = -1, .bucket = -1};
    w->ranks[r].position_of[rank->n_instrs++] = position;
    return instr;
}

const int *weir_work_events(struct weir_instr_work *w, int n, const int *events)
{
    int *copy = NULL;
    if (!w->status && n)
        w->status = weir_arena_alloc(w->c->arena, (size_t)n, sizeof *copy, &copy);
    if (!w->status && n)
        memcpy(copy, events, sizeof *copy * (size_t)n);
    return w->status ? NULL : copy;
}
