/* Places: which slot and which part of the activation block each micro-batch of each stage gets.
 *
 * Arrivals in a boundary's slots come in the order in which their producer runs; slots are freed in the order in which the
 * receiver's own actions end.  Arrival q takes the slot that the (q - n)th free gave back, n being the number of slots:
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
static int slots_count(const struct weir_compile *c, int counted)
{
    int m = c->program->n_microbatches;
    return counted < m ? counted : m;
}

/* The slot of every micro-batch, by the orders in which slots are taken and given back. */
static weir_status slots_deal(struct weir_compile *c, struct weir_slots *slots, const int *arrivals, const int *frees)
{
    weir_status status = weir_arena_alloc(c->arena, (size_t)c->program->n_microbatches, sizeof *slots->of_mb, &slots->of_mb);
    for (int q = 0; q < c->program->n_microbatches && slots->n && !status; q++)
        slots->of_mb[arrivals[q]] = q < slots->n ? q : slots->of_mb[frees[q - slots->n]];
    return status;
}

/* Room in the block of `stage`'s rank, and its row. */
static weir_status slots_place(struct weir_compile *c, const struct weir_boundary *b, struct weir_slots *slots, int stage,
                               enum weir_memory_kind kind)
{
    int rank = c->program->stages[stage].rank;
    size_t bytes = slots->bytes * (size_t)slots->n;
    const char *name;
    slots->offset = c->program->ranks[rank].bytes[kind];
    c->program->ranks[rank].bytes[kind] += bytes;
    weir_status status = weir_arena_printf(c->arena, &name, "stage %d: %d %s slots", stage, slots->n,
                                           kind == WEIR_MEMORY_SLOTS ? "input" : "gradient");
    for (int v = 0; v < b->n_values && b->n_values > 1 && !status; v++)
        status = weir_arena_printf(c->arena, &name, "%s%s %s", name, v ? "," : " of", c->graph->nodes[b->values[v].value].name);
    return status ? status : weir_compile_row(c, (struct weir_memory_row){rank, kind, name, slots->offset, bytes, 0, -1});
}

static weir_status inputs_set(struct weir_compile *c, struct weir_boundary *b)
{
    enum weir_moment end = c->forward_only ? WEIR_MOMENT_F : WEIR_MOMENT_W;
    b->inputs.n = slots_count(c, c->params->input_slots[b->to]);
    weir_status status = slots_deal(c, &b->inputs, weir_moment_order(&c->moments, b->from, WEIR_MOMENT_F),
                                    weir_moment_order(&c->moments, b->to, end));
    return status ? status : slots_place(c, b, &b->inputs, b->to, WEIR_MEMORY_SLOTS);
}

static weir_status gradients_set(struct weir_compile *c, struct weir_boundary *b)
{
    b->gradients.n = c->forward_only ? 0 : slots_count(c, c->params->gradient_slots[b->from]);
    weir_status status = slots_deal(c, &b->gradients, weir_moment_order(&c->moments, b->to, WEIR_MOMENT_I),
                                    weir_moment_order(&c->moments, b->from, WEIR_MOMENT_I));
    return status ? status : slots_place(c, b, &b->gradients, b->from, WEIR_MEMORY_GRAD_SLOTS);
}

static weir_status slots_set(struct weir_compile *c, int stage)
{
    const struct weir_stage_program *s = &c->program->stages[stage];
    weir_status status = WEIR_OK;
    for (int i = 0; i < s->n_ins && !status; i++)
        status = inputs_set(c, &c->program->boundaries[s->ins[i]]);
    for (int i = 0; i < s->n_outs && !status; i++)
        status = gradients_set(c, &c->program->boundaries[s->outs[i]]);
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
