/* One order: all instructions of all ranks, every one after those it awaits.  Workers take turns, so that none runs far ahead
 * in the issuing thread's list.  Where no order exists, they wait in a circle.
 *
 * All replicas take the same order in turns, so what has come to its turn in one has in the others; copies of the weights have
 * turns of their own. */
#include "base/text.h"
#include "engine/program/compile.h"
#include "engine/program/deps.h"

/* How far the order has come. */
struct turns {
    const struct weir_program *program;
    int *at;   /* [n_ranks]: of every worker, in its list */
    int *next; /* [n_copies * n_ranks]: of every rank of every copy */
};

/* What somebody waits for. */
struct awaited {
    const struct weir_dep *dep; /* NULL: nothing */
    int copy;
};

static const struct weir_order_entry *turn_of(const struct turns *t, int w)
{
    const struct weir_worker *worker = &t->program->workers[w];
    return t->at[w] < worker->n ? &worker->entries[t->at[w]] : NULL;
}

/* The first dependency of the worker's next instruction whose other end has not had its turn. */
static struct awaited missing_find(const struct turns *t, int w)
{
    const struct weir_program *program = t->program;
    const struct weir_order_entry *entry = turn_of(t, w);
    const struct weir_instr *instr = &program->ranks[entry->rank].instrs[entry->instr];
    for (int d = instr->first_dep; d < instr->first_dep + instr->n_deps; d++) {
        const struct weir_dep *dep = &program->deps[d];
        for (int copy = 0; copy < program->n_copies; copy++)
            if ((copy == entry->copy || dep->replicas == WEIR_DEP_OTHERS) &&
                dep->from_instr >= t->next[copy * program->n_ranks + dep->from_rank])
                return (struct awaited){dep, copy};
    }
    return (struct awaited){NULL, 0};
}

/* ---- circles ------------------------------------------------------------------------------------------------------- */

static const struct weir_boundary *slots_of(const struct weir_program *program, int from, int to)
{
    const struct weir_stage_program *stage = &program->stages[to];
    for (int i = 0; i < stage->n_ins; i++)
        if (program->boundaries[stage->ins[i]].from == from)
            return &program->boundaries[stage->ins[i]];
    return NULL;
}

/* "rank 0 waits in 0F3 (end) for 1B1 of rank 1 (input slot, of which stage 1 has 2)" */
static void wait_print(const struct turns *t, int w, const struct awaited *missing, struct weir_text *text)
{
    char waiting[WEIR_ACTION_TEXT], awaited[WEIR_ACTION_TEXT];
    const struct weir_program *program = t->program;
    const struct weir_dep *dep = missing->dep;
    const struct weir_instr *from = &program->ranks[dep->from_rank].instrs[dep->from_instr];
    const struct weir_instr *to = &program->ranks[dep->to_rank].instrs[dep->to_instr];
    weir_text_append(text, "rank %d waits in %s for %s of rank %d (%s", w,
                     weir_instr_str(program, to, turn_of(t, w)->copy, waiting),
                     weir_instr_str(program, from, missing->copy, awaited),
                     weir_program_worker(program, missing->copy, dep->from_rank),
                     weir_dep_why_str(dep->why));
    if (dep->why == WEIR_DEP_INPUT_SLOT)
        weir_text_append(text, ", of which stage %d has %d", from->stage, slots_of(program, to->stage, from->stage)->inputs.n);
    if (dep->why == WEIR_DEP_GRADIENT_SLOT)
        weir_text_append(text, ", of which stage %d has %d", from->stage, slots_of(program, from->stage, to->stage)->gradients.n);
    weir_text_append(text, ")");
}

/* Whoever is awaited by a worker that is stuck is stuck too, so some worker comes twice. */
static weir_status circle_fail(const struct turns *t)
{
    struct weir_text text = {0};
    struct awaited missing;
    int w = 0, start;
    while (!turn_of(t, w))
        w++;
    for (int hops = 0; hops < t->program->n_ranks; hops++) { /* into the circle */
        missing = missing_find(t, w);
        w = weir_program_worker(t->program, missing.copy, missing.dep->from_rank);
    }
    start = w;
    do {
        missing = missing_find(t, w);
        weir_text_append(&text, text.length ? "; " : "");
        wait_print(t, w, &missing, &text);
        w = weir_program_worker(t->program, missing.copy, missing.dep->from_rank);
    } while (w != start);
    weir_status status = text.status ? text.status
                                     : WEIR_FAIL(WEIR_ERR_INVALID,
                                                 "the step program waits in a circle, another schedule or another number "
                                                 "of micro-batches is needed: %s",
                                                 text.data);
    weir_text_release(&text);
    return status;
}

/* ---- the order ----------------------------------------------------------------------------------------------------- */

static void turn_take(struct turns *t, struct weir_program *program, int w)
{
    const struct weir_order_entry *entry = turn_of(t, w);
    program->order[program->n_order++] = *entry;
    t->next[entry->copy * program->n_ranks + entry->rank]++;
    t->at[w]++;
}

weir_status weir_compile_order(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    struct turns t = {.program = program};
    int total = 0;
    for (int w = 0; w < program->n_ranks; w++)
        total += program->workers[w].n;
    weir_status status = weir_arena_alloc(c->arena, (size_t)total, sizeof *program->order, &program->order);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)program->n_ranks, sizeof *t.at, &t.at);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)(program->n_copies * program->n_ranks), sizeof *t.next, &t.next);
    while (!status && program->n_order < total) {
        int before = program->n_order;
        for (int w = 0; w < program->n_ranks; w++)
            if (turn_of(&t, w) && !missing_find(&t, w).dep)
                turn_take(&t, program, w);
        c->circle = program->n_order == before;
        if (c->circle)
            status = circle_fail(&t);
    }
    return status;
}
