/* Places: which slot and which part of the activation block each micro-batch of each stage gets.
 *
 * Arrivals in a stage's slots come in the order in which their producer runs; slots are freed in the order in which the
 * stage's own actions end.  Arrival q takes the slot that the (q - n)th free gave back, n being the number of slots:
 *
 *     arrivals (F of s-1)   0  1  2  3            arrival 3 of 3 slots takes the slot of the stage's first W or B,
 *     frees (W or B of s)      2  0  1            here that of micro-batch 2, and waits for it
 *
 * A free that the same rank makes needs no event, so there the count is what the rank's own order needs at most.
 *
 * The activations of two ranks on one worker (two copies of the weights) are packed together.  Worker r, which has rank r of copy
 * 0 and rank p - 1 - r of copy 1, has the places of worker p - 1 - r, whose list is the same for the other copies. */
#include "engine/program/compile.h"
#include "engine/program/pack.h"

/* ---- slots --------------------------------------------------------------------------------------------------------- */

/* As many as the check counted, but never more than there are micro-batches. */
static void slot_counts_set(struct weir_compile *c, int stage)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    int m = c->program->n_microbatches;
    if (stage > 0)
        s->n_slots = c->params->input_slots[stage] < m ? c->params->input_slots[stage] : m;
    if (stage + 1 < c->program->n_stages && !c->forward_only)
        s->n_grad_slots = c->params->gradient_slots[stage] < m ? c->params->gradient_slots[stage] : m;
}

/* The slot of every micro-batch, by the orders in which slots are taken and given back. */
static void slots_deal(struct weir_compile *c, int stage)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    int m = c->program->n_microbatches;
    enum weir_moment end = c->forward_only ? WEIR_MOMENT_F : WEIR_MOMENT_W;
    const int *arrivals = s->n_slots ? weir_moment_order(&c->moments, stage - 1, WEIR_MOMENT_F) : NULL;
    for (int q = 0; q < m && arrivals; q++)
        s->mbs[arrivals[q]].slot =
            q < s->n_slots ? q : s->mbs[weir_moment_order(&c->moments, stage, end)[q - s->n_slots]].slot;
    arrivals = s->n_grad_slots ? weir_moment_order(&c->moments, stage + 1, WEIR_MOMENT_I) : NULL;
    for (int q = 0; q < m && arrivals; q++)
        s->mbs[arrivals[q]].grad_slot =
            q < s->n_grad_slots
                ? q
                : s->mbs[weir_moment_order(&c->moments, stage, WEIR_MOMENT_I)[q - s->n_grad_slots]].grad_slot;
}

static weir_status slots_set(struct weir_compile *c, int stage)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    slot_counts_set(c, stage);
    slots_deal(c, stage);
    struct weir_rank_program *rank = &c->program->ranks[s->rank];
    s->slots_offset = rank->bytes[WEIR_MEMORY_SLOTS];
    s->grad_slots_offset = rank->bytes[WEIR_MEMORY_GRAD_SLOTS];
    size_t bytes = s->slot_bytes * (size_t)s->n_slots, grad_bytes = s->grad_slot_bytes * (size_t)s->n_grad_slots;
    rank->bytes[WEIR_MEMORY_SLOTS] += bytes;
    rank->bytes[WEIR_MEMORY_GRAD_SLOTS] += grad_bytes;
    const char *name, *grad_name;
    weir_status status = weir_arena_printf(c->arena, &name, "stage %d: %d input slots", stage, s->n_slots);
    if (!status)
        status = weir_arena_printf(c->arena, &grad_name, "stage %d: %d gradient slots", stage, s->n_grad_slots);
    if (!status && bytes)
        status = weir_compile_row(c, (struct weir_memory_row){s->rank, WEIR_MEMORY_SLOTS, name, s->slots_offset, bytes, 0, -1});
    if (!status && grad_bytes)
        status = weir_compile_row(c, (struct weir_memory_row){s->rank, WEIR_MEMORY_GRAD_SLOTS, grad_name,
                                                              s->grad_slots_offset, grad_bytes, 0, -1});
    return status;
}

/* ---- activation blocks --------------------------------------------------------------------------------------------- */

/* Where the action stands in the list of the lowest worker that has the stage. */
static int position_of(const struct weir_compile *c, int stage, int mb, enum weir_moment moment)
{
    const struct weir_program *program = c->program;
    if (program->n_copies == 1)
        return weir_moment_position(&c->moments, stage, mb, moment);
    bool upper = program->stages[stage].rank >= program->n_ranks / 2; /* that worker has the stage's other copy */
    return weir_moment_position(&c->rows, stage, upper * program->n_microbatches + mb, moment);
}

static struct weir_pack_item part_item(const struct weir_compile *c, int stage, int mb, int part)
{
    int f = position_of(c, stage, mb, WEIR_MOMENT_F);
    int i = position_of(c, stage, mb, WEIR_MOMENT_I);
    int w = position_of(c, stage, mb, WEIR_MOMENT_W);
    int first = part == 2 ? i : f, last = part == 0 ? i : w;
    bool none = first < 0 || last < 0 || (part == 2 && i == w); /* a B leaves nothing for a W */
    return (struct weir_pack_item){none ? 0 : c->program->stages[stage].slice_act_bytes[mb % c->program->n_slices][part], first, last, 0};
}

static const char *const part_words[] = {"F to I", "F to W", "I to W"};

/* Of two copies of the weights the ranks r and p - 1 - r. */
static bool packs_with(const struct weir_program *program, int stage, int r)
{
    int rank = program->stages[stage].rank;
    return rank == r || (program->n_copies > 1 && rank == program->n_ranks - 1 - r);
}

static weir_status rank_pack(struct weir_compile *c, int r)
{
    struct weir_program *program = c->program;
    size_t m = (size_t)program->n_microbatches, most = (size_t)program->n_stages * m * 3;
    struct weir_pack_item *items;
    weir_status status = weir_arena_alloc(c->arena, most, sizeof *items, &items);
    if (status)
        return status;
    for (size_t k = 0; k < most; k++)
        if (packs_with(program, (int)(k / 3 / m), r))
            items[k] = part_item(c, (int)(k / 3 / m), (int)(k / 3 % m), (int)(k % 3));
    status = weir_pack(items, (int)most, c->arena, &program->ranks[r].bytes[WEIR_MEMORY_ACTIVATIONS]);
    for (size_t k = 0; k < most && !status; k++) {
        struct weir_stage_program *s = &program->stages[k / 3 / m];
        if (!packs_with(program, (int)(k / 3 / m), r))
            continue;
        s->mbs[k / 3 % m].act_offset[k % 3] = items[k].offset;
        if (!items[k].bytes)
            continue;
        struct weir_memory_row row = {s->rank, WEIR_MEMORY_ACTIVATIONS, NULL, items[k].offset, items[k].bytes, items[k].first,
                                      items[k].last};
        status = weir_arena_printf(c->arena, &row.name, "stage %d mb %d: %s", (int)(k / 3 / m), (int)(k / 3 % m),
                                   part_words[k % 3]);
        if (!status)
            status = weir_compile_row(c, row);
    }
    return status;
}

static void accumulation_set(struct weir_compile *c, int stage)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    for (int mb = 0; mb < c->program->n_microbatches && !c->forward_only; mb++) {
        s->mbs[mb].accumulates_w = weir_moment_index(&c->moments, stage, mb, WEIR_MOMENT_W) > 0;
        s->mbs[mb].accumulates_i = weir_moment_index(&c->moments, stage, mb, WEIR_MOMENT_I) > 0;
    }
}

weir_status weir_compile_places(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    size_t m = (size_t)program->n_microbatches;
    weir_status status = WEIR_OK;
    for (int s = 0; s < program->n_stages && !status; s++) {
        status = weir_arena_alloc(c->arena, m, sizeof *program->stages[s].mbs, &program->stages[s].mbs);
        if (!status)
            status = slots_set(c, s);
        if (!status)
            accumulation_set(c, s);
    }
    int n_packed = program->n_ranks / program->n_copies;
    for (int r = 0; r < n_packed && !status; r++)
        status = rank_pack(c, r);
    for (int r = n_packed; r < program->n_ranks; r++)
        program->ranks[r].bytes[WEIR_MEMORY_ACTIVATIONS] = program->ranks[program->n_ranks - 1 - r].bytes[WEIR_MEMORY_ACTIVATIONS];
    for (int r = 0; r < program->n_ranks && !status; r++)
        status = weir_compile_row(c, (struct weir_memory_row){r, WEIR_MEMORY_SCRATCH, "largest action", 0,
                                                              program->ranks[r].bytes[WEIR_MEMORY_SCRATCH], 0, -1});
    return status;
}
