/* Places: which slot and which part of the activation block each micro-batch of each stage gets.
 *
 * Arrivals in a stage's slots come in the order in which their producer runs; slots are freed in the order in which the
 * stage's own actions end.  Arrival q takes the slot that the (q - n)th free gave back, n being the number of slots:
 *
 *     arrivals (F of s-1)   0  1  2  3            arrival 3 of 3 slots takes the slot of the stage's first W or B,
 *     frees (W or B of s)      2  0  1            here that of micro-batch 2, and waits for it
 *
 * A free that the same rank makes needs no event, so there the count is what the rank's own order needs at most. */
#include <stdio.h>

#include "engine/program/compile.h"
#include "engine/program/pack.h"
#include "engine/program/places.h"

enum { NO_POSITION = -1 };

static weir_status spans_find(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    size_t m = (size_t)program->n_microbatches;
    weir_status status = weir_arena_alloc(c->arena, (size_t)program->n_stages * m, sizeof *c->spans, &c->spans);
    if (status)
        return status;
    for (size_t k = 0; k < (size_t)program->n_stages * m; k++)
        c->spans[k] = (struct weir_span){NO_POSITION, NO_POSITION, NO_POSITION};
    for (int r = 0; r < program->n_ranks; r++)
        for (size_t a = 0; a < c->schedule->ranks[r].n_actions; a++) {
            const struct weir_action *action = &c->schedule->ranks[r].actions[a];
            if (!weir_action_is_compute((enum weir_action_type)action->type))
                continue;
            struct weir_span *span = &c->spans[(size_t)action->stage * m + (size_t)action->mb];
            if (action->type == WEIR_F)
                span->f = (int)a;
            if (action->type == WEIR_I || action->type == WEIR_B)
                span->i = (int)a;
            if (action->type == WEIR_W || action->type == WEIR_B)
                span->w = (int)a;
        }
    return WEIR_OK;
}

/* ---- orders -------------------------------------------------------------------------------------------------------- */

static bool action_is(const struct weir_action *action, enum weir_moment moment)
{
    switch (moment) {
    case WEIR_MOMENT_F:
        return action->type == WEIR_F;
    case WEIR_MOMENT_I:
        return action->type == WEIR_I || action->type == WEIR_B;
    case WEIR_MOMENT_W:
        return action->type == WEIR_W || action->type == WEIR_B;
    }
    return false;
}

int weir_stage_order(const struct weir_compile *c, int stage, enum weir_moment moment, int *mbs_out)
{
    const struct weir_schedule_rank *rank = &c->schedule->ranks[c->program->stages[stage].rank];
    int n = 0;
    for (size_t a = 0; a < rank->n_actions; a++)
        if (rank->actions[a].stage == stage && action_is(&rank->actions[a], moment))
            mbs_out[n++] = rank->actions[a].mb;
    return n;
}

static void slots_number(const int *arrivals, const int *frees, int m, int n_slots, int *slot_of)
{
    for (int q = 0; q < m; q++)
        slot_of[arrivals[q]] = q < n_slots ? q : slot_of[frees[q - n_slots]];
}

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

static weir_status slots_set(struct weir_compile *c, int stage, int *work)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    int m = c->program->n_microbatches, *arrivals = work, *frees = work + m, *slot_of = work + 2 * m;
    slot_counts_set(c, stage);
    if (s->n_slots) {
        weir_stage_order(c, stage - 1, WEIR_MOMENT_F, arrivals);
        weir_stage_order(c, stage, c->forward_only ? WEIR_MOMENT_F : WEIR_MOMENT_W, frees);
        slots_number(arrivals, frees, m, s->n_slots, slot_of);
        for (int k = 0; k < m; k++)
            s->mbs[k].slot = slot_of[k];
    }
    if (s->n_grad_slots) {
        weir_stage_order(c, stage + 1, WEIR_MOMENT_I, arrivals);
        weir_stage_order(c, stage, WEIR_MOMENT_I, frees);
        slots_number(arrivals, frees, m, s->n_grad_slots, slot_of);
        for (int k = 0; k < m; k++)
            s->mbs[k].grad_slot = slot_of[k];
    }
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

static struct weir_pack_item part_item(const struct weir_stage_program *s, const struct weir_span *span, int part)
{
    int first = part == 2 ? span->i : span->f, last = part == 0 ? span->i : span->w;
    bool whole_backward = span->i == span->w;
    size_t bytes = part == 2 && whole_backward ? 0 : s->act_bytes[part];
    return (struct weir_pack_item){first == NO_POSITION || last == NO_POSITION ? 0 : bytes, first, last, 0};
}

static const char *const part_words[] = {"F to I", "F to W", "I to W"};

static weir_status rank_pack(struct weir_compile *c, int r)
{
    struct weir_program *program = c->program;
    size_t m = (size_t)program->n_microbatches, most = (size_t)program->n_stages * m * 3;
    struct weir_pack_item *items;
    weir_status status = weir_arena_alloc(c->arena, most, sizeof *items, &items);
    if (status)
        return status;
    for (size_t k = 0; k < most; k++) {
        const struct weir_stage_program *s = &program->stages[k / 3 / m];
        if (s->rank == r)
            items[k] = part_item(s, &c->spans[k / 3], (int)(k % 3));
    }
    status = weir_pack(items, (int)most, c->arena, &program->ranks[r].bytes[WEIR_MEMORY_ACTIVATIONS]);
    for (size_t k = 0; k < most && !status; k++) {
        struct weir_stage_program *s = &program->stages[k / 3 / m];
        if (s->rank != r)
            continue;
        s->mbs[k / 3 % m].act_offset[k % 3] = items[k].offset;
        if (!items[k].bytes)
            continue;
        struct weir_memory_row row = {r, WEIR_MEMORY_ACTIVATIONS, NULL, items[k].offset, items[k].bytes, items[k].first,
                                      items[k].last};
        status = weir_arena_printf(c->arena, &row.name, "stage %d mb %d: %s", (int)(k / 3 / m), (int)(k / 3 % m),
                                   part_words[k % 3]);
        if (!status)
            status = weir_compile_row(c, row);
    }
    return status;
}

static void accumulation_set(struct weir_compile *c, int stage, int *work)
{
    struct weir_stage_program *s = &c->program->stages[stage];
    int n = weir_stage_order(c, stage, WEIR_MOMENT_W, work);
    for (int k = 1; k < n; k++)
        s->mbs[work[k]].accumulates_w = true;
    n = weir_stage_order(c, stage, WEIR_MOMENT_I, work);
    for (int k = 1; k < n; k++)
        s->mbs[work[k]].accumulates_i = true;
}

weir_status weir_compile_places(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    size_t m = (size_t)program->n_microbatches;
    int *work;
    weir_status status = spans_find(c);
    if (!status)
        status = weir_arena_alloc(c->arena, 3 * m, sizeof *work, &work);
    for (int s = 0; s < program->n_stages && !status; s++) {
        status = weir_arena_alloc(c->arena, m, sizeof *program->stages[s].mbs, &program->stages[s].mbs);
        if (!status)
            status = slots_set(c, s, work);
        if (!status)
            accumulation_set(c, s, work);
    }
    for (int r = 0; r < program->n_ranks && !status; r++)
        status = rank_pack(c, r);
    for (int r = 0; r < program->n_ranks && !status; r++)
        status = weir_compile_row(c, (struct weir_memory_row){r, WEIR_MEMORY_SCRATCH, "largest action", 0,
                                                              program->ranks[r].bytes[WEIR_MEMORY_SCRATCH], 0, -1});
    return status;
}
