#include "engine/program/deps_maker.h"

/* ---- where instructions stand -------------------------------------------------------------------------------------- */

static void action_note(struct weir_deps_maker *m, int i, const struct weir_instr *instr, enum weir_moment moment)
{
    const struct weir_call_list *list = &m->program->stages[instr->stage].lists[instr->list];
    struct weir_action_instrs *at = weir_deps_action(m, instr->stage, instr->mb, moment);
    if (instr->first_call == 0)
        *at = (struct weir_action_instrs){.first = i, .slot = -1};
    at->last = i;
    if (instr->first_call == list->slot_call && list->slot_call < list->n_calls)
        at->slot = i;
}

static void bucket_note(struct weir_deps_maker *m, int r, int i, const struct weir_instr *instr)
{
    const struct weir_rank_program *rank = &m->program->ranks[r];
    bool backward = instr->list == WEIR_LIST_W || instr->list == WEIR_LIST_B;
    if (!backward || weir_moment_last(&m->c->moments, instr->stage, WEIR_MOMENT_W) != instr->mb)
        return;
    for (int b = 0; b < rank->n_buckets; b++)
        if (rank->buckets[b].stage == instr->stage && rank->buckets[b].end_call == instr->first_call + instr->n_calls)
            m->ends[r].complete[b] = i;
}

static void instr_note(struct weir_deps_maker *m, int r, int i, const struct weir_instr *instr)
{
    struct weir_end_instrs *ends = &m->ends[r];
    switch (instr->kind) {
    case WEIR_INSTR_ACTION:
        if (instr->list == WEIR_LIST_F)
            action_note(m, i, instr, WEIR_MOMENT_F);
        if (instr->list == WEIR_LIST_I || instr->list == WEIR_LIST_B)
            action_note(m, i, instr, WEIR_MOMENT_I);
        if (instr->list == WEIR_LIST_W || instr->list == WEIR_LIST_B)
            action_note(m, i, instr, WEIR_MOMENT_W);
        bucket_note(m, r, i, instr);
        return;
    case WEIR_INSTR_TIE_ADD:
        ends->tie_add = i;
        for (int b = 0; b < m->program->ranks[r].n_buckets; b++)
            if (m->program->ranks[r].buckets[b].stage < 0)
                ends->complete[b] = i;
        return;
    case WEIR_INSTR_REDUCE:
        ends->reduce[instr->bucket] = i;
        return;
    case WEIR_INSTR_GATHER:
        ends->gather[instr->bucket] = i;
        return;
    case WEIR_INSTR_NORM:
        ends->norm = i;
        return;
    case WEIR_INSTR_UPDATE:
        ends->update = i;
        return;
    case WEIR_INSTR_PARAM_GATHER:
        ends->param_gather = i;
        return;
    case WEIR_INSTR_TIE_COPY:
        ends->tie_copy = i;
        return;
    }
}

static weir_status places_open(struct weir_deps_maker *m, int r)
{
    size_t n = (size_t)m->program->ranks[r].n_buckets;
    int *places;
    weir_status status = weir_arena_alloc(m->c->arena, 3 * n, sizeof *places, &places);
    if (!status)
        m->ends[r] = (struct weir_end_instrs){-1, -1, -1, -1, -1, places, places + n, places + 2 * n};
    return status;
}

weir_status weir_deps_open(struct weir_deps_maker *m)
{
    const struct weir_program *program = m->program;
    size_t cells = (size_t)(program->n_stages * WEIR_MOMENTS * program->n_microbatches);
    weir_status status = weir_arena_alloc(m->c->arena, cells, sizeof *m->actions, &m->actions);
    if (!status)
        status = weir_arena_alloc(m->c->arena, (size_t)program->n_ranks, sizeof *m->ends, &m->ends);
    for (int r = 0; r < program->n_ranks && !status; r++) {
        status = places_open(m, r);
        for (int i = 0; i < program->ranks[r].n_instrs && !status; i++)
            instr_note(m, r, i, &program->ranks[r].instrs[i]);
    }
    return status;
}

/* ---- records ------------------------------------------------------------------------------------------------------- */

static bool same_dep(const struct weir_dep *a, const struct weir_dep *b)
{
    return a->from_rank == b->from_rank && a->from_instr == b->from_instr && a->to_rank == b->to_rank &&
           a->to_instr == b->to_instr && a->why == b->why && a->replicas == b->replicas;
}

void weir_deps_add(struct weir_deps_maker *m, struct weir_dep dep)
{
    struct weir_program *program = m->program;
    if (program->n_deps && same_dep(&program->deps[program->n_deps - 1], &dep))
        return;
    if (!m->status)
        m->status = weir_arena_grow(m->c->arena, &program->deps, &m->dep_room, (size_t)program->n_deps + 1, sizeof dep);
    if (m->status)
        return;
    dep.first_region = program->n_regions;
    program->deps[program->n_deps++] = dep;
}

void weir_deps_region(struct weir_deps_maker *m, struct weir_dep_region region)
{
    struct weir_program *program = m->program;
    if (m->status || !region.bytes)
        return;
    size_t need = (size_t)program->n_regions + 1;
    m->status = weir_arena_grow(m->c->arena, &program->regions, &m->region_room, need, sizeof region);
    if (m->status)
        return;
    program->regions[program->n_regions++] = region;
    program->deps[program->n_deps - 1].n_regions++;
}

/* ---- order --------------------------------------------------------------------------------------------------------- */

static int *count_of(const struct weir_deps_maker *m, const struct weir_dep *dep, bool leaving)
{
    struct weir_rank_program *ranks = m->program->ranks;
    return leaving ? &ranks[dep->from_rank].instrs[dep->from_instr].n_leaving
                   : &ranks[dep->to_rank].instrs[dep->to_instr].n_deps;
}

static int first_of(const struct weir_deps_maker *m, const struct weir_dep *dep, bool leaving)
{
    const struct weir_rank_program *ranks = m->program->ranks;
    return leaving ? ranks[dep->from_rank].instrs[dep->from_instr].first_leaving
                   : ranks[dep->to_rank].instrs[dep->to_instr].first_dep;
}

/* Every instruction's first place, by counting; then each dependency goes to the next free place of its instruction. */
static void firsts_set(struct weir_deps_maker *m)
{
    const struct weir_program *program = m->program;
    int first_dep = 0, first_leaving = 0;
    for (int d = 0; d < program->n_deps; d++) {
        ++*count_of(m, &program->deps[d], false);
        ++*count_of(m, &program->deps[d], true);
    }
    for (int r = 0; r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_instrs; i++) {
            struct weir_instr *instr = &program->ranks[r].instrs[i];
            instr->first_dep = first_dep;
            instr->first_leaving = first_leaving;
            first_dep += instr->n_deps;
            first_leaving += instr->n_leaving;
            instr->n_deps = instr->n_leaving = 0;
        }
}

void weir_deps_close(struct weir_deps_maker *m)
{
    struct weir_program *program = m->program;
    size_t n = (size_t)program->n_deps;
    struct weir_dep *sorted;
    if (!m->status)
        m->status = weir_arena_alloc(m->c->arena, n, sizeof *sorted, &sorted);
    if (!m->status)
        m->status = weir_arena_alloc(m->c->arena, n, sizeof *program->leaving, &program->leaving);
    if (m->status)
        return;
    firsts_set(m);
    for (int d = 0; d < program->n_deps; d++) {
        const struct weir_dep *dep = &program->deps[d];
        sorted[first_of(m, dep, false) + (*count_of(m, dep, false))++] = *dep;
    }
    program->deps = sorted;
    for (int d = 0; d < program->n_deps; d++)
        program->leaving[first_of(m, &sorted[d], true) + (*count_of(m, &sorted[d], true))++] = d;
}
