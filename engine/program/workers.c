/* Workers: what every stream runs, in order.
 *
 * With one copy of the weights that is its rank's list.  With two it is the lists of two ranks, one of each copy: actions as the
 * schedule has them, then everything else kind by kind, for no kind awaits a later one.  Within a kind the lower rank comes
 * first, so that both workers that hold a stage come to its sums in the same order as to those of the other stage they share. */
#include "engine/program/compile.h"

/* The list of one worker while it is made. */
struct merge {
    struct weir_compile *c;
    struct weir_worker *worker;
    int index;
    int next[WEIR_COPIES_MOST]; /* of each copy's rank */
};

static const struct weir_instr *next_instr(const struct merge *m, int copy)
{
    const struct weir_rank_program *rank = &m->c->program->ranks[weir_program_worker(m->c->program, copy, m->index)];
    return m->next[copy] < rank->n_instrs ? &rank->instrs[m->next[copy]] : NULL;
}

static void entry_add(struct merge *m, int copy)
{
    struct weir_program *program = m->c->program;
    int rank = weir_program_worker(program, copy, m->index), instr = m->next[copy]++;
    program->positions[copy * program->n_ranks + rank][instr] = m->worker->n;
    m->worker->entries[m->worker->n++] = (struct weir_order_entry){rank, instr, copy};
}

/* All parts into which the action was cut. */
static void action_add(struct merge *m, int copy)
{
    const struct weir_instr *next;
    do {
        entry_add(m, copy);
        next = next_instr(m, copy);
    } while (next && next->kind == WEIR_INSTR_ACTION && next->first_call > 0);
}

static void copies_merge(struct merge *m)
{
    const struct weir_schedule_rank *list = &m->c->params->schedule->ranks[m->index];
    int first = m->index < m->c->program->n_ranks / 2 ? 0 : 1; /* the copy whose rank is the lower one */
    for (size_t a = 0; a < list->n_actions; a++)
        if (weir_action_is_compute((enum weir_action_type)list->actions[a].type))
            action_add(m, list->actions[a].stage != m->index);
    for (int kind = WEIR_INSTR_ACTION + 1; kind <= WEIR_INSTR_TIE_COPY; kind++)
        for (int i = 0; i < 2; i++)
            while (next_instr(m, first ^ i) && (int)next_instr(m, first ^ i)->kind == kind)
                entry_add(m, first ^ i);
}

static weir_status worker_fill(struct weir_compile *c, int w)
{
    struct weir_program *program = c->program;
    struct merge m = {.c = c, .worker = &program->workers[w], .index = w};
    size_t n = 0;
    for (int copy = 0; copy < program->n_copies; copy++)
        n += (size_t)program->ranks[weir_program_worker(program, copy, w)].n_instrs;
    weir_status status = weir_arena_alloc(c->arena, n, sizeof *m.worker->entries, &m.worker->entries);
    if (status)
        return status;
    if (program->n_copies > 1)
        copies_merge(&m);
    else
        while (next_instr(&m, 0))
            entry_add(&m, 0);
    return WEIR_OK;
}

weir_status weir_compile_workers(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    size_t n = (size_t)(program->n_copies * program->n_ranks);
    weir_status status = weir_arena_alloc(c->arena, (size_t)program->n_ranks, sizeof *program->workers, &program->workers);
    if (!status)
        status = weir_arena_alloc(c->arena, n, sizeof *program->positions, &program->positions);
    for (size_t i = 0; i < n && !status; i++)
        status = weir_arena_alloc(c->arena, (size_t)program->ranks[i % (size_t)program->n_ranks].n_instrs,
                                  sizeof **program->positions, &program->positions[i]);
    for (int w = 0; w < program->n_ranks && !status; w++)
        status = worker_fill(c, w);
    return status;
}
