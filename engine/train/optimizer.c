/* The end of a step: global norm and update.
 *
 * Norm: the squares of each piece of a gradient are summed in float64 over blocks of 65,536 elements by the rank that
 * updates it; before it updates, every rank fetches all blocks and all losses and adds them in graph order, so that all
 * ranks find the same norm, whatever the partition.  Clipping scales every gradient by min(1, clip / (norm + 1e-6)) (as
 * torch.nn.utils.clip_grad_norm_ does). */
#include "base/rng.h"
#include "engine/run/state.h"
#include "engine/run/transfer.h"

static double *norm_at(const struct weir_rank *rank, int64_t block)
{
    return (double *)(void *)(rank->blocks[WEIR_MEMORY_STEP] + rank->engine->program->norm_offset) + block;
}

static double *losses_at(const struct weir_rank *rank, int replica)
{
    const struct weir_program *program = rank->engine->program;
    return (double *)(void *)(rank->blocks[WEIR_MEMORY_STEP] + program->losses_offset) +
           (size_t)replica * (size_t)program->n_microbatches;
}

static struct weir_rank *last_rank(const struct weir_engine *engine, int replica)
{
    const struct weir_program *program = engine->program;
    return weir_rank_at(engine, replica, program->stages[program->n_stages - 1].rank);
}

/* Where this rank's own blocks and losses go. */
static double *norm_out(const struct weir_rank *rank, int64_t block)
{
    return rank->terms ? rank->terms + block : norm_at(rank, block);
}

static double *losses_out(const struct weir_rank *rank)
{
    return rank->terms ? rank->terms + (losses_at(rank, rank->replica) - norm_at(rank, 0)) : losses_at(rank, rank->replica);
}

/* The rank updates the piece: each replica updates all, or with ZeRO-1 what it keeps. */
static bool updates(const struct weir_rank *rank, const struct weir_piece *piece)
{
    return !rank->engine->program->zero || piece->replica == rank->replica;
}

static int64_t norm_block(const struct weir_rank_program *r, const struct weir_piece *piece)
{
    return r->params[piece->held].norm_block + piece->first / WEIR_NORM_BLOCK;
}

static int64_t n_norm_blocks(const struct weir_piece *piece)
{
    return (piece->n + WEIR_NORM_BLOCK - 1) / WEIR_NORM_BLOCK;
}

/* ---- norm ---------------------------------------------------------------------------------------------------------- */

static weir_status losses_keep(struct weir_rank *rank)
{
    const struct weir_program *program = rank->engine->program;
    return weir_rank_copy(rank, losses_out(rank),
                          rank->blocks[WEIR_MEMORY_DATA] + program->ranks[rank->index].loss_offset,
                          sizeof(double) * (size_t)program->n_microbatches);
}

/* Of what all replicas have, the first one's share counts. */
static bool contributes(const struct weir_rank *rank, const struct weir_piece *piece)
{
    return rank->engine->program->zero ? piece->replica == rank->replica : rank->replica == 0;
}

/* Every number has one term that is not 0, so the order of the additions does not matter. */
static weir_status terms_add(struct weir_rank *rank)
{
    size_t n = weir_peers_terms_bytes(rank->engine) / sizeof(double);
    struct weir_collective_part part = {0, rank->terms, norm_at(rank, 0), n};
    return weir_peers_collect(rank->engine, WEIR_COLLECT_ALL, WEIR_COLLECT_SUM, WEIR_DTYPE_F64, 1, &part);
}

weir_status weir_norm(struct weir_rank *rank)
{
    const struct weir_engine *engine = rank->engine;
    const struct weir_rank_program *r = &engine->program->ranks[rank->index];
    weir_status status = rank == last_rank(engine, rank->replica) ? losses_keep(rank) : WEIR_OK;
    if (!status && weir_peers_stream(engine) && engine->n_replicas > 1)
        status = weir_peers_collected(engine, WEIR_COLLECT_GROUP); /* the gradients' sums */
    for (int i = 0; i < r->n_pieces && !status; i++) {
        const struct weir_piece *piece = &r->pieces[i];
        size_t offset = r->params[piece->held].grad_offset + (size_t)piece->first * sizeof(float);
        if (rank->terms ? contributes(rank, piece) : updates(rank, piece))
            status = engine->vectors->square_sums(piece->n, weir_block_at(rank, WEIR_MEMORY_GRADS, offset),
                                                  norm_out(rank, norm_block(r, piece)), rank->native);
    }
    return status || !rank->terms ? status : terms_add(rank);
}

/* Fetch the norm blocks that `other` made; neighbouring ones together. */
static weir_status norm_fetch(struct weir_rank *rank, const struct weir_rank *other)
{
    const struct weir_rank_program *r = &rank->engine->program->ranks[other->index];
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_pieces && !status;) {
        const struct weir_piece *piece = &r->pieces[i++];
        int64_t first = norm_block(r, piece), n = n_norm_blocks(piece);
        if (!updates(other, piece))
            continue;
        for (; i < r->n_pieces && updates(other, &r->pieces[i]) && norm_block(r, &r->pieces[i]) == first + n; i++)
            n += n_norm_blocks(&r->pieces[i]);
        status = weir_rank_copy(rank, norm_at(rank, first), norm_at(other, first), (size_t)n * sizeof(double));
    }
    return status;
}

static weir_status parts_fetch(struct weir_rank *rank)
{
    const struct weir_engine *engine = rank->engine;
    weir_status status = WEIR_OK;
    for (int replica = 0; replica < engine->n_replicas && !status; replica++) {
        const struct weir_rank *last = last_rank(engine, replica);
        if (last != rank)
            status = weir_rank_copy(rank, losses_at(rank, replica), losses_at(last, replica),
                                    sizeof(double) * (size_t)engine->program->n_microbatches);
        for (int r = 0; r < engine->program->n_ranks && !status; r++) {
            const struct weir_rank *other = weir_rank_at(engine, replica, r);
            if (other != rank && (replica == rank->replica || engine->program->zero))
                status = norm_fetch(rank, other);
        }
    }
    return status;
}

/* ---- update -------------------------------------------------------------------------------------------------------- */

static weir_status piece_update(struct weir_rank *rank, const struct weir_piece *piece)
{
    const struct weir_engine *engine = rank->engine;
    const struct weir_rank_param *held = &engine->program->ranks[rank->index].params[piece->held];
    const struct weir_step_block *step = weir_step_block(rank);
    size_t first = (size_t)piece->first * sizeof(float);
    float *values = weir_block_at(rank, WEIR_MEMORY_PARAMS, held->offset + first);
    const float *grad = weir_block_at(rank, WEIR_MEMORY_GRADS, held->grad_offset + first);
    bool decay = engine->graph->params[held->param].decay, sgd = engine->config.optimizer == WEIR_OPTIMIZER_SGD;
    float *m = sgd ? NULL : weir_block_at(rank, WEIR_MEMORY_OPTIMIZER, piece->state_offset);
    weir_status status =
        sgd ? engine->vectors->sgd(&step->update, &step->gate, decay, piece->n, values, grad, rank->native)
            : engine->vectors->adamw(&step->update, &step->gate, decay, piece->n, values, grad, m, m + piece->n,
                                     rank->native);
    return status ? status : weir_param_round(rank, held, piece->first, piece->n);
}

weir_status weir_update(struct weir_rank *rank)
{
    const struct weir_engine *engine = rank->engine;
    const struct weir_program *program = engine->program;
    if (atomic_load(&engine->failed))
        return WEIR_OK; /* a kernel failed somewhere: parameters stay as they are */
    int64_t n_losses = (int64_t)engine->n_replicas * program->n_microbatches;
    weir_status status = !rank->terms ? parts_fetch(rank) : weir_peers_collected(engine, WEIR_COLLECT_ALL);
    if (!status)
        status = engine->vectors->gate(program->n_norm_blocks, norm_at(rank, 0), n_losses, losses_at(rank, 0),
                                       (double)engine->graph->n_targets * (double)n_losses, engine->config.grad_clip,
                                       &weir_step_block(rank)->gate, rank->native);
    const struct weir_rank_program *r = &program->ranks[rank->index];
    for (int i = 0; i < r->n_pieces && !status; i++)
        if (updates(rank, &r->pieces[i]))
            status = piece_update(rank, &r->pieces[i]);
    return status;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

/* Enqueued on the rank's stream, on which the parameter was changed and on which all that read the copy run: no event. */
weir_status weir_param_round(struct weir_rank *rank, const struct weir_rank_param *held, int64_t first, int64_t n)
{
    const struct weir_engine *engine = rank->engine;
    if (engine->graph->storage == WEIR_DTYPE_F32)
        return WEIR_OK; /* there are no copies */
    size_t size = weir_dtype_bytes(engine->graph->storage), at = (size_t)first;
    return engine->vectors->to_bf16(n, weir_block_at(rank, WEIR_MEMORY_PARAMS, held->offset + at * sizeof(float)),
                                    rank->blocks[WEIR_MEMORY_COPIES] + held->copy_offset + at * size, rank->native);
}

/* Elements [first, first + n) of a parameter's initial values. */
static void values_fill(const struct weir_engine *engine, const struct weir_param *param, int64_t first, int64_t n,
                        float *values)
{
    if (param->init == WEIR_INIT_NORMAL)
        weir_rng_fill_normal(weir_rng_key(engine->config.seed, param->name), first, n, param->scale, values);
    for (int64_t k = 0; k < n && param->init == WEIR_INIT_CONSTANT; k++)
        values[k] = (float)param->scale;
}

/* Made where they will lie, or on the host, chunk by chunk. */
static weir_status param_init(struct weir_rank *rank, const struct weir_rank_param *held)
{
    const struct weir_engine *engine = rank->engine;
    const struct weir_param *param = &engine->graph->params[held->param];
    int64_t n = weir_shape_elements(&param->shape), most = WEIR_TRANSFER_BYTES / (int64_t)sizeof(float);
    weir_status status = WEIR_OK;
    if (engine->kind->flags & WEIR_DEVICE_HOST_MEMORY) {
        values_fill(engine, param, 0, n, weir_block_at(rank, WEIR_MEMORY_PARAMS, held->offset));
        return weir_param_round(rank, held, 0, n);
    }
    for (int64_t at = 0; at < n && !status; at += most) {
        int64_t part = n - at < most ? n - at : most;
        size_t offset = held->offset + (size_t)at * sizeof(float);
        float *values = (float *)(void *)rank->chunk;
        for (int64_t k = 0; k < part; k++)
            values[k] = 0;
        values_fill(engine, param, at, part, values);
        status = weir_write(rank, WEIR_MEMORY_PARAMS, offset, values, (size_t)part * sizeof(float));
    }
    return status ? status : weir_param_round(rank, held, 0, n);
}

weir_status weir_params_init(struct weir_rank *rank)
{
    const struct weir_rank_program *r = &rank->engine->program->ranks[rank->index];
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_params && !status; i++)
        status = param_init(rank, &r->params[i]);
    return status;
}
