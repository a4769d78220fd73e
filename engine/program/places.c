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
#include "base/integers.h"
#include "engine/program/compile.h"
#include "engine/program/pack.h"

/* ---- slots --------------------------------------------------------------------------------------------------------- */

/* A boundary in one direction: what the end of `made` on one stage brings, the end of `freed` on the other gives back. */
struct way {
    int from, to; /* stages */
    enum weir_moment made, freed;
};

/* What the one list that both stages stand in has under way at most. */
static int same_rank_count(const struct weir_compile *c, const struct way *way)
{
    int most = 0;
    for (int q = 0; q < c->program->n_microbatches; q++) {
        int mb = weir_moment_order(&c->moments, way->from, way->made)[q], freed = 0;
        int now = weir_moment_position(&c->moments, way->from, mb, way->made);
        while (freed < c->program->n_microbatches &&
               weir_moment_position(&c->moments, way->to, weir_moment_order(&c->moments, way->to, way->freed)[freed], way->freed) < now)
            freed++;
        most = weir_int_max(most, q + 1 - freed);
    }
    return most;
}

/* Of neighbours as many as the check counted.  Between others what is in flight on either of them and one more, or on one rank
 * what its list needs.  Never more than there are micro-batches. */
static int slots_count(const struct weir_compile *c, const struct way *way, const int *counted)
{
    const struct weir_stage_program *from = &c->program->stages[way->from], *to = &c->program->stages[way->to];
    const int *peak = c->params->peak_in_flight;
    int n;
    if (to == from + 1 || from == to + 1)
        n = counted[way->to];
    else if (from->rank == to->rank)
        n = same_rank_count(c, way);
    else
        n = weir_int_max(peak[way->from], peak[way->to]) + 1;
    return weir_int_min(n, c->program->n_microbatches);
}

/* The slot of every micro-batch, by the orders in which slots are taken and given back. */
static weir_status slots_deal(struct weir_compile *c, struct weir_slots *slots, const struct way *way)
{
    const int *arrivals = weir_moment_order(&c->moments, way->from, way->made);
    const int *frees = weir_moment_order(&c->moments, way->to, way->freed);
    weir_status status = weir_arena_alloc(c->arena, (size_t)c->program->n_microbatches, sizeof *slots->of_mb, &slots->of_mb);
    for (int q = 0; q < c->program->n_microbatches && slots->n && !status; q++)
        slots->of_mb[arrivals[q]] = q < slots->n ? q : slots->of_mb[frees[q - slots->n]];
    return status;
}

/* Somewhere in the model more crosses than one value. */
static bool has_branches(const struct weir_graph *graph)
{
    for (int l = 0; l < graph->n_layers; l++)
        if (graph->layers[l].n_crossing > 1)
            return true;
    return false;
}

/* "stage 1: 3 input slots"; with branches also whose: "stage 5: 4 gradient slots of fc0, fc2 from stage 7". */
static weir_status slots_name(const struct weir_compile *c, const struct weir_boundary *b, int n, bool inputs, const char **name_out)
{
    const char *name;
    weir_status status = weir_arena_printf(c->arena, &name, "stage %d: %d %s slots", inputs ? b->to : b->from, n,
                                           inputs ? "input" : "gradient");
    for (int v = 0; v < b->n_values && has_branches(c->graph) && !status; v++)
        status = weir_arena_printf(c->arena, &name, "%s%s %s", name, v ? "," : " of", c->graph->nodes[b->values[v].value].name);
    if (!status && b->to != b->from + 1)
        status = weir_arena_printf(c->arena, &name, "%s from stage %d", name, inputs ? b->from : b->to);
    *name_out = name;
    return status;
}

/* Room in the block of the rank that has them, and its row. */
static weir_status slots_place(struct weir_compile *c, const struct weir_boundary *b, struct weir_slots *slots, bool inputs)
{
    enum weir_memory_kind kind = inputs ? WEIR_MEMORY_SLOTS : WEIR_MEMORY_GRAD_SLOTS;
    int rank = c->program->stages[inputs ? b->to : b->from].rank;
    size_t bytes = slots->bytes * (size_t)slots->n;
    const char *name = NULL;
    slots->offset = c->program->ranks[rank].bytes[kind];
    c->program->ranks[rank].bytes[kind] += bytes;
    weir_status status = slots_name(c, b, slots->n, inputs, &name);
    return status ? status : weir_compile_row(c, (struct weir_memory_row){rank, kind, name, slots->offset, bytes, 0, -1});
}

static weir_status inputs_set(struct weir_compile *c, struct weir_boundary *b)
{
    struct way way = {b->from, b->to, WEIR_MOMENT_F, c->forward_only ? WEIR_MOMENT_F : WEIR_MOMENT_W};
    b->inputs.n = slots_count(c, &way, c->params->input_slots);
    weir_status status = slots_deal(c, &b->inputs, &way);
    return status ? status : slots_place(c, b, &b->inputs, true);
}

static weir_status gradients_set(struct weir_compile *c, struct weir_boundary *b)
{
    struct way way = {b->to, b->from, WEIR_MOMENT_I, WEIR_MOMENT_I};
    b->gradients.n = c->forward_only ? 0 : slots_count(c, &way, c->params->gradient_slots);
    weir_status status = slots_deal(c, &b->gradients, &way);
    return status ? status : slots_place(c, b, &b->gradients, false);
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
