/* One order: all instructions of all ranks, every one after those it awaits.  Ranks take turns, so that none runs far ahead
 * in the issuing thread's list.  Where no order exists, the ranks wait in a circle.
 *
 * All replicas take the same order in turns, so what has come to its turn in one has in the others. */
#include "base/text.h"
#include "engine/program/compile.h"
#include "engine/program/deps.h"

/* The first dependency of the rank's next instruction whose other end has not had its turn, or NULL. */
static const struct weir_dep *missing_dep(const struct weir_program *program, int r, const int *next)
{
    const struct weir_instr *instr = &program->ranks[r].instrs[next[r]];
    for (int d = instr->first_dep; d < instr->first_dep + instr->n_deps; d++)
        if (program->deps[d].from_instr >= next[program->deps[d].from_rank])
            return &program->deps[d];
    return NULL;
}

/* ---- circles ------------------------------------------------------------------------------------------------------- */

/* "rank 0 waits in 0F3 (end) for 1B1 of rank 1 (input slot, of which stage 1 has 2)" */
static void wait_print(const struct weir_program *program, const struct weir_dep *dep, struct weir_text *text)
{
    char waiting[WEIR_ACTION_TEXT], awaited[WEIR_ACTION_TEXT];
    const struct weir_instr *from = &program->ranks[dep->from_rank].instrs[dep->from_instr];
    const struct weir_instr *to = &program->ranks[dep->to_rank].instrs[dep->to_instr];
    weir_text_append(text, "rank %d waits in %s for %s of rank %d (%s", dep->to_rank,
                     weir_instr_str(program, to, waiting), weir_instr_str(program, from, awaited), dep->from_rank,
                     weir_dep_why_str(dep->why));
    if (dep->why == WEIR_DEP_INPUT_SLOT)
        weir_text_append(text, ", of which stage %d has %d", from->stage, program->stages[from->stage].n_slots);
    if (dep->why == WEIR_DEP_GRADIENT_SLOT)
        weir_text_append(text, ", of which stage %d has %d", from->stage, program->stages[from->stage].n_grad_slots);
    weir_text_append(text, ")");
}

/* Whoever is awaited by a rank that is stuck is stuck too, so some rank comes twice. */
static weir_status circle_fail(const struct weir_program *program, const int *next)
{
    struct weir_text text = {0};
    int rank = 0, start;
    while (next[rank] == program->ranks[rank].n_instrs)
        rank++;
    for (int hops = 0; hops < program->n_ranks; hops++) /* into the circle */
        rank = missing_dep(program, rank, next)->from_rank;
    start = rank;
    do {
        const struct weir_dep *dep = missing_dep(program, rank, next);
        weir_text_append(&text, text.length ? "; " : "");
        wait_print(program, dep, &text);
        rank = dep->from_rank;
    } while (rank != start);
    weir_status status = text.status ? text.status
                                     : WEIR_FAIL(WEIR_ERR_INVALID,
                                                 "the step program waits in a circle, another schedule or another number "
                                                 "of micro-batches is needed: %s",
                                                 text.data);
    weir_text_release(&text);
    return status;
}

/* ---- the order ----------------------------------------------------------------------------------------------------- */

weir_status weir_compile_order(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    int total = 0, *next;
    for (int r = 0; r < program->n_ranks; r++)
        total += program->ranks[r].n_instrs;
    weir_status status = weir_arena_alloc(c->arena, (size_t)total, sizeof *program->order, &program->order);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)program->n_ranks, sizeof *next, &next);
    while (!status && program->n_order < total) {
        int before = program->n_order;
        for (int r = 0; r < program->n_ranks; r++)
            if (next[r] < program->ranks[r].n_instrs && !missing_dep(program, r, next))
                program->order[program->n_order++] = (struct weir_order_entry){r, next[r]++};
        c->circle = program->n_order == before;
        if (c->circle)
            status = circle_fail(program, next);
    }
    return status;
}
