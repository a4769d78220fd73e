/* Sums over the uses of tied parameters and over replicas.
 *
 * A piece's sum is ((g0 + g1) + g2) ..., g_d being replica d's gradient, whoever adds it: loss and parameters are the
 * same bits for every owner, with ZeRO-1 and without.  A transport in stream order adds in an order of its own, the same
 * one each time. */
#include "engine/run/state.h"

enum { PARTS = 64 }; /* of one collective */

static int64_t elements_of(const struct weir_engine *engine, int param)
{
    return weir_shape_elements(&engine->graph->params[param].shape);
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
    const struct weir_engine *engine = rank->engine;
    const struct weir_program *program = engine->program;
    weir_status status = WEIR_OK;
    for (int u = 0; u < program->n_uses && !status; u++) {
        const struct weir_param_use *use = &program->uses[u];
        const struct weir_rank_param *held = held_find(program, rank->index, use->param);
        if (!held || !held->owned || (use->rank == rank->index && use->grad_offset == held->grad_offset))
            continue; /* not ours, or the first use, which the others are added to */
        status = engine->vectors->add(
            elements_of(engine, use->param), weir_block_at(rank, WEIR_MEMORY_GRADS, held->grad_offset),
            weir_block_at(weir_rank_at(engine, rank->replica, use->rank), WEIR_MEMORY_GRADS, use->grad_offset),
            rank->native);
    }
    return status;
}

weir_status weir_tie_copy(struct weir_rank *rank)
{
    struct weir_engine *engine = rank->engine;
    const struct weir_rank_program *r = &engine->program->ranks[rank->index];
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_params; i++)
        for (int o = 0; o < engine->program->n_ranks && !r->params[i].owned && !status; o++) {
            const struct weir_rank_param *source = held_find(engine->program, o, r->params[i].param);
            if (!source || !source->owned)
                continue;
            status = weir_rank_copy(
                rank, weir_block_at(rank, WEIR_MEMORY_PARAMS, r->params[i].offset),
                weir_block_at(weir_rank_at(engine, rank->replica, o), WEIR_MEMORY_PARAMS, source->offset),
                weir_shape_bytes(&engine->graph->params[source->param].shape));
            if (!status)
                status = weir_param_round(rank, &r->params[i], 0, elements_of(engine, source->param));
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
    const struct weir_engine *engine = rank->engine;
    const float *terms[WEIR_REDUCE_TERMS];
    size_t offset = piece_offset(&engine->program->ranks[rank->index], WEIR_MEMORY_GRADS, piece);
    for (int replica = 0; replica < engine->n_replicas; replica++)
        terms[replica] = weir_block_at(weir_rank_at(engine, replica, rank->index), WEIR_MEMORY_GRADS, offset);
    return engine->vectors->reduce(piece->n, weir_block_at(rank, WEIR_MEMORY_GRADS, offset), engine->n_replicas, terms,
                                   rank->native);
}

/* In stream order: all replicas' pieces [first, end) at once, neighbouring ones as one.  Without ZeRO-1 everybody takes all
 * sums, else who keeps a piece its sum; a broadcast brings what they keep to all. */
static weir_status pieces_collect(struct weir_rank *rank, enum weir_memory_kind kind, enum weir_collective what, int first,
                                  int end)
{
    const struct weir_rank_program *r = &rank->engine->program->ranks[rank->index];
    struct weir_collective_part parts[PARTS];
    weir_status status = WEIR_OK;
    size_t next = SIZE_MAX;
    int n = 0;
    for (int i = first; i < end && !status; i++) {
        const struct weir_piece *piece = &r->pieces[i];
        size_t offset = piece_offset(r, kind, piece), bytes = (size_t)piece->n * sizeof(float);
        if (n && offset == next && (what == WEIR_COLLECT_SUM || parts[n - 1].root == piece->replica)) {
            parts[n - 1].n += (size_t)piece->n;
        } else {
            if (n == PARTS) {
                status = weir_peers_collect(rank->engine, WEIR_COLLECT_GROUP, what, WEIR_DTYPE_F32, n, parts);
                n = 0;
            }
            float *at = weir_block_at(rank, kind, offset);
            parts[n++] = (struct weir_collective_part){piece->replica, at, at, (size_t)piece->n};
        }
        next = offset + bytes;
    }
    return status ? status : weir_peers_collect(rank->engine, WEIR_COLLECT_GROUP, what, WEIR_DTYPE_F32, n, parts);
}

weir_status weir_reduce(struct weir_rank *rank, int bucket)
{
    const struct weir_rank_program *r = &rank->engine->program->ranks[rank->index];
    const struct weir_bucket *b = &r->buckets[bucket];
    weir_status status = WEIR_OK;
    if (weir_peers_stream(rank->engine))
        return pieces_collect(rank, WEIR_MEMORY_GRADS,
                              rank->engine->program->zero ? WEIR_COLLECT_SUM_ROOT : WEIR_COLLECT_SUM, b->first_piece,
                              b->first_piece + b->n_pieces);
    for (int i = b->first_piece; i < b->first_piece + b->n_pieces && !status; i++)
        if (r->pieces[i].replica == rank->replica)
            status = piece_reduce(rank, &r->pieces[i]);
    return status;
}

/* Fetch pieces [first, end) from the replicas that keep them. */
static weir_status pieces_fetch(struct weir_rank *rank, enum weir_memory_kind kind, int first, int end)
{
    const struct weir_engine *engine = rank->engine;
    const struct weir_rank_program *r = &engine->program->ranks[rank->index];
    weir_status status = WEIR_OK;
    for (int i = first; i < end && !status; i++) {
        const struct weir_piece *piece = &r->pieces[i];
        size_t offset = piece_offset(r, kind, piece);
        if (piece->replica != rank->replica)
            status = weir_rank_copy(rank, weir_block_at(rank, kind, offset),
                                    weir_block_at(weir_rank_at(engine, piece->replica, rank->index), kind, offset),
                                    (size_t)piece->n * sizeof(float));
    }
    return status;
}

weir_status weir_gather(struct weir_rank *rank, int bucket)
{
    const struct weir_bucket *b = &rank->engine->program->ranks[rank->index].buckets[bucket];
    if (weir_peers_stream(rank->engine))
        return WEIR_OK; /* the sums are everywhere, see weir_reduce() */
    return pieces_fetch(rank, WEIR_MEMORY_GRADS, b->first_piece, b->first_piece + b->n_pieces);
}

weir_status weir_param_gather(struct weir_rank *rank)
{
    const struct weir_rank_program *r = &rank->engine->program->ranks[rank->index];
    weir_status status;
    if (!weir_peers_stream(rank->engine)) {
        status = pieces_fetch(rank, WEIR_MEMORY_PARAMS, 0, r->n_pieces);
    } else {
        status = pieces_collect(rank, WEIR_MEMORY_PARAMS, WEIR_COLLECT_BROADCAST, 0, r->n_pieces);
        if (!status)
            status = weir_peers_collected(rank->engine, WEIR_COLLECT_GROUP);
    }
    for (int i = 0; i < r->n_pieces && !status; i++)
        if (r->pieces[i].replica != rank->replica)
            status = weir_param_round(rank, &r->params[r->pieces[i].held], r->pieces[i].first, r->pieces[i].n);
    return status;
}
