/* Pushes: which regions travel with which events.  Each group here is the counterpart of a wait in instrs.c or
 * instrs_end.c. */
#include "engine/program/instrs.h"

static void push_add(struct weir_instr_work *w, struct weir_push push)
{
    struct weir_program *program = w->c->program;
    if (w->status || !push.bytes)
        return;
    size_t need = (size_t)program->n_pushes + 1;
    w->status = weir_arena_grow(w->c->arena, &program->pushes, &w->push_room, need, sizeof push);
    if (!w->status)
        program->pushes[program->n_pushes++] = push;
}

/* ---- slots --------------------------------------------------------------------------------------------------------- */

/* The instruction that ends the rank's action at `position`. */
static int instr_ending(const struct weir_instr_work *w, int r, int position)
{
    int i = 0;
    while (w->ranks[r].position_of[i] != position)
        i++;
    return i;
}

/* The receiver's instruction that frees the slot which arrival q takes. */
static int freeing_instr(const struct weir_instr_work *w, int stage, bool forward, int q, int n_slots)
{
    if (q < n_slots)
        return -1;
    enum weir_moment end = !forward ? WEIR_MOMENT_I : w->c->forward_only ? WEIR_MOMENT_F : WEIR_MOMENT_W;
    int mb = weir_work_order(w, stage, end)[q - n_slots];
    return instr_ending(w, w->c->program->stages[stage].rank, weir_moment_position(&w->c->moments, stage, mb, end));
}

/* From stage `from` into the slots of `to`, its neighbour. */
static void slots_push(struct weir_instr_work *w, int from, int to, bool forward)
{
    const struct weir_program *program = w->c->program;
    const struct weir_stage_program *target = &program->stages[to];
    if (program->stages[from].rank == target->rank)
        return;
    enum weir_moment moment = forward ? WEIR_MOMENT_F : WEIR_MOMENT_I;
    const int *order = weir_work_order(w, from, moment);
    for (int q = 0; q < program->n_microbatches; q++) {
        const struct weir_mb_places *places = &target->mbs[order[q]];
        struct weir_push push = {.event = weir_work_event_after(w, from, order[q], moment),
                                 .from_rank = program->stages[from].rank, .from_replica = WEIR_REPLICA_ANY,
                                 .to_rank = target->rank, .to_replica = WEIR_REPLICA_OWN, .receivers = true};
        push.kind = forward ? WEIR_MEMORY_SLOTS : WEIR_MEMORY_GRAD_SLOTS;
        push.bytes = forward ? target->slot_bytes : target->grad_slot_bytes;
        push.offset = forward ? target->slots_offset + push.bytes * (size_t)places->slot
                              : target->grad_slots_offset + push.bytes * (size_t)places->grad_slot;
        push.post_after = freeing_instr(w, to, forward, q, forward ? target->n_slots : target->n_grad_slots);
        push_add(w, push);
    }
}

/* ---- the end of the step ------------------------------------------------------------------------------------------- */

static size_t bytes_of(const struct weir_instr_work *w, int param)
{
    return weir_shape_bytes(&w->c->graph->params[param].shape);
}

/* TIE_ADD reads gradients of uses on other ranks, TIE_COPY the owner's parameters. */
static void ties_push(struct weir_instr_work *w)
{
    const struct weir_program *program = w->c->program;
    for (int u = 0; u < program->n_uses; u++) {
        const struct weir_param_use *use = &program->uses[u];
        for (int o = 0; o < program->n_ranks; o++) {
            const struct weir_rank_param *held = weir_compile_rank_param(w->c, o, use->param);
            if (!held || !held->owned || o == use->rank)
                continue;
            int stage = weir_compile_stage_of(w->c, use->node);
            int last = weir_work_order(w, stage, WEIR_MOMENT_W)[program->n_microbatches - 1];
            push_add(w, (struct weir_push){weir_work_event_after(w, stage, last, WEIR_MOMENT_W), use->rank,
                                           WEIR_REPLICA_ANY, o, WEIR_REPLICA_OWN, false, WEIR_MEMORY_GRADS,
                                           use->grad_offset, bytes_of(w, use->param), -1});
        }
    }
    for (int r = 0; r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_params; i++)
            for (int o = 0; o < program->n_ranks && !program->ranks[r].params[i].owned; o++) {
                const struct weir_rank_param *source =
                    weir_compile_rank_param(w->c, o, program->ranks[r].params[i].param);
                if (source && source->owned)
                    push_add(w, (struct weir_push){w->ranks[o].update_event, o, WEIR_REPLICA_ANY, r, WEIR_REPLICA_OWN,
                                                   false, WEIR_MEMORY_PARAMS, source->offset,
                                                   bytes_of(w, source->param), -1});
            }
}

static void piece_push(struct weir_instr_work *w, int r, const struct weir_piece *piece, struct weir_push push)
{
    const struct weir_rank_param *held = &w->c->program->ranks[r].params[piece->held];
    push.from_rank = push.to_rank = r;
    push.offset = (push.kind == WEIR_MEMORY_GRADS ? held->grad_offset : held->offset) +
                  (size_t)piece->first * sizeof(float);
    push.bytes = (size_t)piece->n * sizeof(float);
    push.post_after = -1;
    push_add(w, push);
}

/* REDUCE reads what others have of the pieces it keeps; GATHER and PARAM_GATHER what others keep. */
static void pieces_push(struct weir_instr_work *w, int r)
{
    const struct weir_rank_program *rank = &w->c->program->ranks[r];
    for (int b = 0; b < rank->n_buckets; b++)
        for (int i = rank->buckets[b].first_piece; i < rank->buckets[b].first_piece + rank->buckets[b].n_pieces; i++) {
            const struct weir_piece *piece = &rank->pieces[i];
            piece_push(w, r, piece, (struct weir_push){.event = w->ranks[r].bucket_event[b], .kind = WEIR_MEMORY_GRADS,
                                                       .from_replica = WEIR_REPLICA_ANY, .to_replica = piece->replica});
            struct weir_push kept = {.from_replica = piece->replica, .to_replica = WEIR_REPLICA_OTHERS};
            kept.event = w->c->program->zero ? w->ranks[r].shard_event : w->ranks[r].reduce_event[b];
            kept.kind = w->c->program->zero ? WEIR_MEMORY_PARAMS : WEIR_MEMORY_GRADS;
            piece_push(w, r, piece, kept);
        }
}

/* Parts of the norm: every UPDATE reads those of all ranks of its replica, with ZeRO-1 those of all ranks. */
static void norm_push(struct weir_instr_work *w, int from, int to)
{
    const struct weir_program *program = w->c->program;
    const struct weir_rank_program *rank = &program->ranks[from];
    for (int i = 0; i < rank->n_pieces; i++) {
        const struct weir_piece *piece = &rank->pieces[i];
        int64_t block = rank->params[piece->held].norm_block + piece->first / WEIR_NORM_BLOCK;
        struct weir_push push = {.event = w->ranks[from].norm_event, .from_rank = from, .to_rank = to,
                                 .kind = WEIR_MEMORY_STEP, .post_after = -1};
        push.from_replica = program->zero ? piece->replica : WEIR_REPLICA_ANY;
        push.to_replica = WEIR_REPLICA_OWN;
        push.offset = program->norm_offset + (size_t)block * sizeof(double);
        push.bytes = (size_t)((piece->n + WEIR_NORM_BLOCK - 1) / WEIR_NORM_BLOCK) * sizeof(double);
        if (from != to)
            push_add(w, push);
        push.to_replica = WEIR_REPLICA_OTHERS;
        if (program->zero)
            push_add(w, push);
    }
}

static void losses_push(struct weir_instr_work *w, int from, int to)
{
    const struct weir_program *program = w->c->program;
    size_t bytes = (size_t)program->n_microbatches * sizeof(double);
    for (int replica = 0; replica < program->n_replicas; replica++) {
        struct weir_push push = {.event = w->ranks[from].norm_event, .from_rank = from, .from_replica = replica,
                                 .to_rank = to, .to_replica = WEIR_REPLICA_OTHERS, .kind = WEIR_MEMORY_STEP,
                                 .offset = program->losses_offset + (size_t)replica * bytes, .bytes = bytes,
                                 .post_after = -1};
        if (program->n_replicas > 1)
            push_add(w, push);
        push.to_replica = WEIR_REPLICA_OWN;
        if (from != to)
            push_add(w, push);
    }
}

void weir_work_pushes(struct weir_instr_work *w)
{
    const struct weir_program *program = w->c->program;
    for (int s = 0; s + 1 < program->n_stages; s++) {
        slots_push(w, s, s + 1, true);
        if (!w->c->forward_only)
            slots_push(w, s + 1, s, false);
    }
    if (w->c->forward_only)
        return;
    ties_push(w);
    int last = program->stages[program->n_stages - 1].rank;
    for (int r = 0; r < program->n_ranks; r++) {
        pieces_push(w, r);
        losses_push(w, last, r);
        for (int to = 0; to < program->n_ranks; to++)
            norm_push(w, r, to);
    }
}
