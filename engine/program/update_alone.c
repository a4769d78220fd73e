/* The end of a step by itself: norm, update, and what fetches updated parameters.
 *
 *     step     0F0 .. 0B3   tied gradients   reduce   gather │ norm   update   gather parameters   tied parameters
 *     alone                                                  │ norm   update   gather parameters   tied parameters
 *
 * No instruction of the end awaits one before it on another rank: within a rank the list orders them.  So the end is what is left
 * of every list, and the dependencies, workers and order of the step that lie in it, with numbers of their own. */
#include "engine/program/compile.h"
#include "engine/program/deps.h"

/* The program while it is cut out of the step's. */
struct cut {
    const struct weir_program *step;
    struct weir_program *alone;
    struct weir_arena *arena;
    int *first;   /* [n_ranks]: the step's instruction that is number 0 here */
    int *numbers; /* [the step's n_deps]: of each that stays */
};

static bool stays(const struct cut *cut, int rank, int instr)
{
    return instr >= cut->first[rank];
}

static weir_status rank_cut(struct cut *cut, int r)
{
    const struct weir_rank_program *step = &cut->step->ranks[r];
    struct weir_rank_program *alone = &cut->alone->ranks[r];
    int first = 0;
    while (step->instrs[first].kind < WEIR_INSTR_NORM)
        first++;
    cut->first[r] = first;
    *alone = *step;
    alone->n_instrs = step->n_instrs - first;
    weir_status status = weir_arena_alloc(cut->arena, (size_t)alone->n_instrs, sizeof *alone->instrs, &alone->instrs);
    for (int i = 0; i < alone->n_instrs && !status; i++)
        alone->instrs[i] = step->instrs[first + i];
    return status;
}

static weir_status ranks_cut(struct cut *cut)
{
    size_t n = (size_t)cut->step->n_ranks;
    weir_status status = weir_arena_alloc(cut->arena, n, sizeof *cut->first, &cut->first);
    if (!status)
        status = weir_arena_alloc(cut->arena, n, sizeof *cut->alone->ranks, &cut->alone->ranks);
    for (int r = 0; r < cut->step->n_ranks && !status; r++)
        status = rank_cut(cut, r);
    return status;
}

/* Nothing is called. */
static weir_status stages_empty(struct cut *cut)
{
    size_t n = (size_t)cut->step->n_stages;
    weir_status status = weir_arena_alloc(cut->arena, n, sizeof *cut->alone->stages, &cut->alone->stages);
    for (int s = 0; s < cut->step->n_stages && !status; s++) {
        cut->alone->stages[s] = cut->step->stages[s];
        for (int l = 0; l < WEIR_LISTS; l++)
            cut->alone->stages[s].lists[l] = (struct weir_call_list){0};
    }
    return status;
}

/* ---- dependencies -------------------------------------------------------------------------------------------------- */

static void deps_keep(struct cut *cut)
{
    struct weir_program *alone = cut->alone;
    alone->n_deps = 0;
    for (int d = 0; d < cut->step->n_deps; d++) {
        struct weir_dep dep = cut->step->deps[d];
        cut->numbers[d] = alone->n_deps;
        if (!stays(cut, dep.to_rank, dep.to_instr))
            continue;
        dep.from_instr -= cut->first[dep.from_rank];
        dep.to_instr -= cut->first[dep.to_rank];
        alone->deps[alone->n_deps++] = dep;
    }
}

/* Those that await an instruction of the end lie in the end themselves. */
static void leaving_keep(struct cut *cut)
{
    int n = 0;
    for (int r = 0; r < cut->alone->n_ranks; r++)
        for (int i = 0; i < cut->alone->ranks[r].n_instrs; i++) {
            struct weir_instr *instr = &cut->alone->ranks[r].instrs[i];
            const int *leaving = &cut->step->leaving[instr->first_leaving];
            instr->first_dep = instr->n_deps ? cut->numbers[instr->first_dep] : 0;
            instr->first_leaving = n;
            for (int k = 0; k < instr->n_leaving; k++)
                cut->alone->leaving[n++] = cut->numbers[leaving[k]];
        }
}

static weir_status deps_cut(struct cut *cut)
{
    size_t n = (size_t)cut->step->n_deps;
    weir_status status = weir_arena_alloc(cut->arena, n, sizeof *cut->numbers, &cut->numbers);
    if (!status)
        status = weir_arena_alloc(cut->arena, n, sizeof *cut->alone->deps, &cut->alone->deps);
    if (!status)
        status = weir_arena_alloc(cut->arena, n, sizeof *cut->alone->leaving, &cut->alone->leaving);
    if (status)
        return status;
    deps_keep(cut);
    leaving_keep(cut);
    cut->alone->n_events = 0;
    return weir_compile_signals(&(struct weir_compile){.program = cut->alone, .arena = cut->arena});
}

/* ---- workers and order --------------------------------------------------------------------------------------------- */

/* The entries that stay, as they follow each other; returns their number. */
static int entries_keep(const struct cut *cut, const struct weir_order_entry *entries, int n, struct weir_order_entry *kept)
{
    int n_kept = 0;
    for (int i = 0; i < n; i++)
        if (stays(cut, entries[i].rank, entries[i].instr)) {
            kept[n_kept] = entries[i];
            kept[n_kept++].instr -= cut->first[entries[i].rank];
        }
    return n_kept;
}

static weir_status worker_cut(struct cut *cut, int w)
{
    const struct weir_worker *step = &cut->step->workers[w];
    struct weir_worker *alone = &cut->alone->workers[w];
    weir_status status = weir_arena_alloc(cut->arena, (size_t)step->n, sizeof *alone->entries, &alone->entries);
    if (status)
        return status;
    alone->n = entries_keep(cut, step->entries, step->n, alone->entries);
    for (int i = 0; i < alone->n; i++) {
        const struct weir_order_entry *entry = &alone->entries[i];
        cut->alone->positions[entry->copy * cut->alone->n_ranks + entry->rank][entry->instr] = i;
    }
    return WEIR_OK;
}

static weir_status workers_cut(struct cut *cut)
{
    const struct weir_program *step = cut->step;
    size_t n = (size_t)(step->n_copies * step->n_ranks);
    weir_status status = weir_arena_alloc(cut->arena, (size_t)step->n_ranks, sizeof *cut->alone->workers, &cut->alone->workers);
    if (!status)
        status = weir_arena_alloc(cut->arena, n, sizeof *cut->alone->positions, &cut->alone->positions);
    for (size_t i = 0; i < n && !status; i++)
        status = weir_arena_alloc(cut->arena, (size_t)cut->alone->ranks[i % (size_t)step->n_ranks].n_instrs,
                                  sizeof **cut->alone->positions, &cut->alone->positions[i]);
    for (int w = 0; w < step->n_ranks && !status; w++)
        status = worker_cut(cut, w);
    return status;
}

static weir_status order_cut(struct cut *cut)
{
    const struct weir_program *step = cut->step;
    weir_status status = weir_arena_alloc(cut->arena, (size_t)step->n_order, sizeof *cut->alone->order, &cut->alone->order);
    if (!status)
        cut->alone->n_order = entries_keep(cut, step->order, step->n_order, cut->alone->order);
    return status;
}

weir_status weir_program_update_alone(const struct weir_program *step, struct weir_arena *arena, struct weir_program **alone_out)
{
    struct cut cut = {.step = step, .arena = arena};
    weir_status status = weir_arena_alloc(arena, 1, sizeof *cut.alone, &cut.alone);
    if (status)
        return status;
    *cut.alone = *step;
    cut.alone->n_rows = 0;
    status = ranks_cut(&cut);
    if (!status)
        status = stages_empty(&cut);
    if (!status)
        status = deps_cut(&cut);
    if (!status)
        status = workers_cut(&cut);
    if (!status)
        status = order_cut(&cut);
    if (!status)
        *alone_out = cut.alone;
    return status;
}
