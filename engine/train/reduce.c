/* Sums over the uses of tied parameters and over replicas.
 *
 * A piece's sum is ((g0 + g1) + g2) ..., g_d being replica d's gradient, whoever adds it: loss and parameters are the
 * same bits for every owner, with ZeRO-1 and without.  A device-side transport adds in an order of its own, the same
 * one each time. */
#include "engine/run/link.h"
#include "engine/run/params.h"
#include "engine/train/trainer.h"

enum { SPANS = 64 }; /* of one collective */

static int64_t elements_of(const struct weir_build *build, int param)
{
    return weir_shape_elements(&build->graph->params[param].shape);
}

static const struct weir_rank_param *held_find(const struct weir_program *program, int rank, int param)
{
    for (int i = 0; i < program->ranks[rank].n_params; i++)
        if (program->ranks[rank].params[i].param == param)
            return &program->ranks[rank].params[i];
    return NULL;
}

/* ---- tied parameters ----------------------------------------------------------------------------------------------- */

weir_status weir_tie_add(struct weir_rank *rank)
{
    const struct weir_build *build = rank->machine->build;
    const struct weir_program *program = build->program;
    weir_status status = WEIR_OK;
    for (int u = 0; u < program->n_uses && !status; u++) {
        const struct weir_param_use *use = &program->uses[u];
        const struct weir_rank_param *held = held_find(program, rank->index, use->param);
        if (!held || !held->owned || (use->rank == rank->index && use->grad_offset == held->grad_offset))
            continue; /* not ours, or the first use, which the others are added to */
        status = build->kind->vectors->add(
            elements_of(build, use->param), weir_block_at(rank, WEIR_MEMORY_GRADS, held->grad_offset),
            weir_block_at(weir_rank_at(rank->machine, rank->replica, use->rank), WEIR_MEMORY_GRADS, use->grad_offset),
            weir_rank_vectors(rank));
    }
    return status;
}

weir_status weir_tie_copy(struct weir_rank *rank)
{
    const struct weir_build *build = rank->machine->build;
    const struct weir_rank_program *r = &build->program->ranks[rank->index];
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_params; i++)
        for (int o = 0; o < build->program->n_ranks && !r->params[i].owned && !status; o++) {
            const struct weir_rank_param *source = held_find(build->program, o, r->params[i].param);
            if (!source || !source->owned)
                continue;
            status = weir_rank_copy(
                rank, weir_block_at(rank, WEIR_MEMORY_PARAMS, r->params[i].offset),
                weir_block_at(weir_rank_at(rank->machine, rank->replica, o), WEIR_MEMORY_PARAMS, source->offset),
                weir_shape_bytes(&build->graph->params[source->param].shape));
            if (!status)
                status = weir_param_round(rank, &r->params[i], 0, elements_of(build, source->param), weir_rank_vectors(rank));
        }
    return status;
}

/* ---- replicas ------------------------------------------------------------------------------------------------------ */

static size_t piece_offset(const struct weir_rank_program *r, enum weir_memory_kind kind, const struct weir_piece *piece)
{
    const struct weir_rank_param *held = &r->params[piece->held];
    return (kind == WEIR_MEMORY_GRADS ? held->grad_offset : held->offset) + (size_t)piece->first * sizeof(float);
}

static weir_status piece_reduce(struct weir_rank *rank, const struct weir_piece *piece)
{
    const struct weir_build *build = rank->machine->build;
    const float *terms[WEIR_REDUCE_TERMS];
    size_t offset = piece_offset(&build->program->ranks[rank->index], WEIR_MEMORY_GRADS, piece);
    for (int replica = 0; replica < build->n_replicas; replica++)
        terms[replica] = weir_block_at(weir_rank_at(rank->machine, replica, rank->index), WEIR_MEMORY_GRADS, offset);
    return build->kind->vectors->reduce(piece->n, weir_block_at(rank, WEIR_MEMORY_GRADS, offset), build->n_replicas, terms,
                                   weir_rank_vectors(rank));
}

/* The replica's place in its group: with two copies of the weights groups have the order of the lower rank (messages.c). */
static int member_of(const struct weir_rank *rank, int replica)
{
    const struct weir_program *program = rank->machine->build->program;
    return program->n_copies > 1 && rank->index >= program->n_ranks / 2 ? replica ^ 1 : replica;
}

/* Device-side: all replicas' pieces [first, end) at once, neighbouring ones as one.  Without ZeRO-1 everybody takes all
 * sums, else who keeps a piece its sum; a broadcast brings what they keep to all. */
static weir_status pieces_collect(const struct weir_runner *runner, struct weir_rank *rank, enum weir_memory_kind kind, enum weir_collective what, int first,
                                  int end)
{
    const struct weir_rank_program *r = &rank->machine->build->program->ranks[rank->index];
    struct weir_collective_span spans[SPANS];
    weir_status status = WEIR_OK;
    size_t next = SIZE_MAX;
    int n = 0;
    for (int i = first; i < end && !status; i++) {
        const struct weir_piece *piece = &r->pieces[i];
        size_t offset = piece_offset(r, kind, piece), bytes = (size_t)piece->n * sizeof(float);
        if (n && offset == next && (what == WEIR_COLLECT_SUM || spans[n - 1].root == member_of(rank, piece->replica))) {
            spans[n - 1].n += (size_t)piece->n;
        } else {
            if (n == SPANS) {
                status = weir_link_collect(runner, WEIR_COLLECT_GROUP, what, WEIR_DTYPE_F32, n, spans);
                n = 0;
            }
            float *at = weir_block_at(rank, kind, offset);
            spans[n++] = (struct weir_collective_span){member_of(rank, piece->replica), at, at, (size_t)piece->n};
        }
        next = offset + bytes;
    }
    return status ? status : weir_link_collect(runner, WEIR_COLLECT_GROUP, what, WEIR_DTYPE_F32, n, spans);
}

weir_status weir_reduce(const struct weir_runner *runner, struct weir_rank *rank, int bucket)
{
    const struct weir_rank_program *r = &rank->machine->build->program->ranks[rank->index];
    const struct weir_bucket *b = &r->buckets[bucket];
    weir_status status = WEIR_OK;
    if (weir_world_is_device_side(&runner->world))
        return pieces_collect(runner, rank, WEIR_MEMORY_GRADS,
                              rank->machine->build->program->zero ? WEIR_COLLECT_SUM_ROOT : WEIR_COLLECT_SUM, b->first_piece,
                              b->first_piece + b->n_pieces);
    for (int i = b->first_piece; i < b->first_piece + b->n_pieces && !status; i++)
        if (r->pieces[i].replica == rank->replica)
            status = piece_reduce(rank, &r->pieces[i]);
    return status;
}

/* Fetch pieces [first, end) from the replicas that keep them. */
static weir_status pieces_fetch(struct weir_rank *rank, enum weir_memory_kind kind, int first, int end)
{
    const struct weir_build *build = rank->machine->build;
    const struct weir_rank_program *r = &build->program->ranks[rank->index];
    weir_status status = WEIR_OK;
    for (int i = first; i < end && !status; i++) {
        const struct weir_piece *piece = &r->pieces[i];
        size_t offset = piece_offset(r, kind, piece);
        if (piece->replica != rank->replica)
            status = weir_rank_copy(rank, weir_block_at(rank, kind, offset),
                                    weir_block_at(weir_rank_at(rank->machine, piece->replica, rank->index), kind, offset),
                                    (size_t)piece->n * sizeof(float));
    }
    return status;
}

weir_status weir_gather(const struct weir_runner *runner, struct weir_rank *rank, int bucket)
{
    const struct weir_bucket *b = &rank->machine->build->program->ranks[rank->index].buckets[bucket];
    if (weir_world_is_device_side(&runner->world))
        return WEIR_OK; /* the sums are everywhere, see weir_reduce() */
    return pieces_fetch(rank, WEIR_MEMORY_GRADS, b->first_piece, b->first_piece + b->n_pieces);
}

weir_status weir_param_gather(const struct weir_runner *runner, struct weir_rank *rank)
{
    const struct weir_rank_program *r = &rank->machine->build->program->ranks[rank->index];
    weir_status status;
    if (!weir_world_is_device_side(&runner->world)) {
        status = pieces_fetch(rank, WEIR_MEMORY_PARAMS, 0, r->n_pieces);
    } else {
        status = pieces_collect(runner, rank, WEIR_MEMORY_PARAMS, WEIR_COLLECT_BROADCAST, 0, r->n_pieces);
        if (!status)
            status = weir_link_collected(runner, WEIR_COLLECT_GROUP);
    }
    for (int i = 0; i < r->n_pieces && !status; i++)
        if (r->pieces[i].replica != rank->replica)
            status = weir_param_round(rank, &r->params[r->pieces[i].held], r->pieces[i].first, r->pieces[i].n,
                                      weir_rank_vectors(rank));
    return status;
}
