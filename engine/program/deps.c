/* Who awaits whom between actions: a result arrives, a slot is free. */
#include "engine/program/deps.h"

#include "engine/program/deps_maker.h"

/* A boundary in one direction: values to its later stage, gradients to its earlier one. */
struct hop {
    int from, to; /* stages */
    bool forward;
    const struct weir_slots *slots; /* of `to` */
    enum weir_moment made, freed; /* whose end is the result, whose end gives the slot back */
};

/* Arrival q of a hop takes the slot that the (q - n)th free gives back; the micro-batch of that free, or -1. */
static int freeing_mb(const struct weir_deps_maker *m, const struct hop *hop, int q)
{
    int n = hop->slots->n;
    return q < n ? -1 : weir_moment_order(&m->c->moments, hop->to, hop->freed)[q - n];
}

/* The result has arrived.  The region is the receiver's slot. */
static void arrival_add(struct weir_deps_maker *m, const struct hop *hop, int q)
{
    const struct weir_stage_program *from = &m->program->stages[hop->from], *to = &m->program->stages[hop->to];
    int mb = weir_moment_order(&m->c->moments, hop->from, hop->made)[q], freeing = freeing_mb(m, hop, q);
    struct weir_dep dep = {.from_rank = from->rank, .from_instr = weir_deps_action(m, hop->from, mb, hop->made)->last,
                           .to_rank = to->rank, .to_instr = weir_deps_action(m, hop->to, mb, hop->made)->first,
                           .why = hop->forward ? WEIR_DEP_INPUT : WEIR_DEP_GRADIENT, .post_after = -1};
    struct weir_dep_region slot = {.from_replica = WEIR_REPLICA_ANY, .to_replica = WEIR_REPLICA_ANY, .receivers = true};
    slot.kind = hop->forward ? WEIR_MEMORY_SLOTS : WEIR_MEMORY_GRAD_SLOTS;
    slot.bytes = hop->slots->bytes;
    slot.offset = weir_slot_offset(hop->slots, mb);
    if (freeing >= 0)
        dep.post_after = weir_deps_action(m, hop->to, freeing, hop->freed)->last;
    weir_deps_add(m, dep);
    weir_deps_region(m, slot);
}

/* The call that writes the slot may begin when whoever read its last content has ended. */
static void slot_add(struct weir_deps_maker *m, const struct hop *hop, int q)
{
    int mb = weir_moment_order(&m->c->moments, hop->from, hop->made)[q], freeing = freeing_mb(m, hop, q);
    const struct weir_action_instrs *writer = weir_deps_action(m, hop->from, mb, hop->made);
    if (freeing >= 0 && writer->slot >= 0)
        weir_deps_add(m, (struct weir_dep){.from_rank = m->program->stages[hop->to].rank,
                                           .from_instr = weir_deps_action(m, hop->to, freeing, hop->freed)->last,
                                           .to_rank = m->program->stages[hop->from].rank, .to_instr = writer->slot,
                                           .why = hop->forward ? WEIR_DEP_INPUT_SLOT : WEIR_DEP_GRADIENT_SLOT,
                                           .post_after = -1});
}

static void hop_add(struct weir_deps_maker *m, const struct hop *hop)
{
    bool crosses = m->program->stages[hop->from].rank != m->program->stages[hop->to].rank;
    for (int q = 0; q < m->program->n_microbatches && crosses; q++) {
        arrival_add(m, hop, q);
        slot_add(m, hop, q);
    }
}

static void hops_add(struct weir_deps_maker *m)
{
    enum weir_moment freed = m->c->forward_only ? WEIR_MOMENT_F : WEIR_MOMENT_W;
    for (int b = 0; b < m->program->n_boundaries; b++) {
        const struct weir_boundary *at = &m->program->boundaries[b];
        hop_add(m, &(struct hop){at->from, at->to, true, &at->inputs, WEIR_MOMENT_F, freed});
        if (!m->c->forward_only)
            hop_add(m, &(struct hop){at->to, at->from, false, &at->gradients, WEIR_MOMENT_I, WEIR_MOMENT_I});
    }
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

weir_status weir_compile_deps(struct weir_compile *c)
{
    struct weir_deps_maker m = {.c = c, .program = c->program};
    m.status = weir_deps_open(&m);
    if (m.status)
        return m.status;
    hops_add(&m);
    for (int r = 0; r < c->program->n_ranks && !c->forward_only; r++)
        weir_deps_end(&m, r);
    weir_deps_close(&m);
    return m.status;
}
