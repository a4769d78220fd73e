/* The end of a step: global norm and update.
 *
 * Norm: the squares of each piece of a gradient are summed in float64 over blocks of 65,536 elements by the rank that
 * updates it; before it updates, every rank fetches all blocks and all losses and adds them in graph order, so that all
 * ranks find the same norm, whatever the partition.  Clipping scales every gradient by min(1, clip / (norm + 1e-6)) (as
 * torch.nn.utils.clip_grad_norm_ does). */
#include "engine/run/link.h"
#include "engine/run/params.h"
#include "engine/train/trainer.h"

static double *norm_at(const struct weir_rank *rank, int64_t block)
{
    return (double *)(void *)(rank->blocks[WEIR_MEMORY_STEP] + rank->machine->build->program->norm_offset) + block;
}

static double *losses_at(const struct weir_rank *rank, int replica)
{
    const struct weir_program *program = rank->machine->build->program;
    return (double *)(void *)(rank->blocks[WEIR_MEMORY_STEP] + program->losses_offset) +
           (size_t)replica * (size_t)program->n_microbatches;
}

static struct weir_rank *last_rank(const struct weir_machine *machine, int replica)
{
    const struct weir_program *program = machine->build->program;
    return weir_rank_at(machine, replica, program->stages[program->n_stages - 1].rank);
}

/* Where this rank's own blocks and losses go. */
static double *norm_out(const struct weir_rank *rank, int64_t block)
{
    return rank->partial_sums ? rank->partial_sums + block : norm_at(rank, block);
}

static double *losses_out(const struct weir_rank *rank)
{
    return rank->partial_sums ? rank->partial_sums + (losses_at(rank, rank->replica) - norm_at(rank, 0)) : losses_at(rank, rank->replica);
}

/* The rank updates the piece: each replica updates all, or with ZeRO-1 what it keeps. */
static bool updates(const struct weir_rank *rank, const struct weir_piece *piece)
{
    return !rank->machine->build->program->zero || piece->replica == rank->replica;
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
    const struct weir_program *program = rank->machine->build->program;
    return weir_rank_copy(rank, losses_out(rank),
                          rank->blocks[WEIR_MEMORY_DATA] + program->ranks[rank->index].loss_offset,
                          sizeof(double) * (size_t)program->n_microbatches);
}

/* Of what all replicas have, the first one's share counts. */
static bool contributes(const struct weir_rank *rank, const struct weir_piece *piece)
{
    return rank->machine->build->program->zero ? piece->replica == rank->replica : rank->replica == 0;
}

/* With two copies of the weights the ranks of a worker have their terms in one place, and the upper rank, which comes to its norm
 * last, adds them. */
static bool adds_partial_sums(const struct weir_rank *rank)
{
    const struct weir_program *program = rank->machine->build->program;
    return program->n_copies == 1 || rank->index >= program->n_ranks / 2;
}

/* Every number has one term that is not 0, so the order of the additions does not matter. */
static weir_status partial_sums_add(const struct weir_runner *runner, struct weir_rank *rank)
{
    size_t n = weir_link_partial_bytes(runner) / sizeof(double);
    struct weir_collective_span span = {0, rank->partial_sums, norm_at(rank, 0), n};
    return weir_link_collect(runner, WEIR_COLLECT_ALL, WEIR_COLLECT_SUM, WEIR_DTYPE_F64, 1, &span);
}

weir_status weir_norm(const struct weir_runner *runner, struct weir_rank *rank)
{
    const struct weir_build *build = rank->machine->build;
    const struct weir_rank_program *r = &build->program->ranks[rank->index];
    bool keeps = rank == last_rank(rank->machine, rank->replica) && runner->running != &runner->update; /* else they are kept already */
    weir_status status = keeps ? losses_keep(rank) : WEIR_OK;
    if (!status && weir_world_is_device_side(&runner->world) && build->n_replicas > 1)
        status = weir_link_collected(runner, WEIR_COLLECT_GROUP); /* the gradients' sums */
    for (int i = 0; i < r->n_pieces && !status; i++) {
        const struct weir_piece *piece = &r->pieces[i];
        size_t offset = r->params[piece->held].grad_offset + (size_t)piece->first * sizeof(float);
        if (rank->partial_sums ? contributes(rank, piece) : updates(rank, piece))
            status = build->kind->vectors->square_sums(piece->n, weir_block_at(rank, WEIR_MEMORY_GRADS, offset),
                                                  norm_out(rank, norm_block(r, piece)), weir_rank_vectors(rank));
    }
    return status || !rank->partial_sums || !adds_partial_sums(rank) ? status : partial_sums_add(runner, rank);
}

/* Fetch the norm blocks that `other` made; neighbouring ones together. */
static weir_status norm_fetch(struct weir_rank *rank, const struct weir_rank *other)
{
    const struct weir_rank_program *r = &rank->machine->build->program->ranks[other->index];
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
    const struct weir_build *build = rank->machine->build;
    weir_status status = WEIR_OK;
    for (int replica = 0; replica < build->n_replicas && !status; replica++) {
        const struct weir_rank *last = last_rank(rank->machine, replica);
        if (last != rank)
            status = weir_rank_copy(rank, losses_at(rank, replica), losses_at(last, replica),
                                    sizeof(double) * (size_t)build->program->n_microbatches);
        for (int r = 0; r < build->program->n_ranks && !status; r++) {
            const struct weir_rank *other = weir_rank_at(rank->machine, replica, r);
            if (other != rank && (replica == rank->replica || build->program->zero))
                status = norm_fetch(rank, other);
        }
    }
    return status;
}

/* The sums over all ranks, when they are there. */
static weir_status sums_fetch(const struct weir_runner *runner, struct weir_rank *rank)
{
    weir_status status = weir_link_collected(runner, WEIR_COLLECT_ALL);
    return status || adds_partial_sums(rank)
               ? status
               : weir_rank_copy(rank, norm_at(rank, 0), norm_at(weir_rank_twin(rank), 0), weir_link_partial_bytes(runner));
}

/* ---- update -------------------------------------------------------------------------------------------------------- */

static weir_status piece_update(struct weir_rank *rank, const struct weir_piece *piece)
{
    const struct weir_build *build = rank->machine->build;
    const struct weir_rank_param *held = &build->program->ranks[rank->index].params[piece->held];
    const struct weir_step_block *step = weir_step_block(rank);
    size_t first = (size_t)piece->first * sizeof(float);
    float *values = weir_block_at(rank, WEIR_MEMORY_PARAMS, held->offset + first);
    const float *grad = weir_block_at(rank, WEIR_MEMORY_GRADS, held->grad_offset + first);
    const struct weir_update_scale scale = build->update_scales[held->param];
    bool sgd = build->config.optimizer == WEIR_OPTIMIZER_SGD;
    float *m = sgd ? NULL : weir_block_at(rank, WEIR_MEMORY_OPTIMIZER, piece->state_offset);
    weir_status status =
        sgd ? build->kind->vectors->sgd(&step->update, &step->gate, scale, piece->n, values, grad, weir_rank_vectors(rank))
            : build->kind->vectors->adamw(&step->update, &step->gate, scale, piece->n, values, grad, m, m + piece->n,
                                     weir_rank_vectors(rank));
    return status ? status : weir_param_round(rank, held, piece->first, piece->n, weir_rank_vectors(rank));
}

weir_status weir_update(const struct weir_runner *runner, struct weir_rank *rank)
{
    const struct weir_build *build = rank->machine->build;
    const struct weir_program *program = build->program;
    if (!weir_runner_is_ready(runner))
        return WEIR_OK; /* a kernel failed somewhere: parameters stay as they are */
    int64_t n_losses = (int64_t)build->n_replicas * program->n_microbatches;
    weir_status status = !rank->partial_sums ? parts_fetch(rank) : sums_fetch(runner, rank);
    if (!status)
        status = build->kind->vectors->gate(program->n_norm_blocks, norm_at(rank, 0), n_losses, losses_at(rank, 0),
                                       (double)build->graph->n_targets * (double)(n_losses / program->n_slices), build->config.grad_clip,
                                       &weir_step_block(rank)->gate, weir_rank_vectors(rank));
    const struct weir_rank_program *r = &program->ranks[rank->index];
    for (int i = 0; i < r->n_pieces && !status && !runner->gradients_only; i++)
        if (updates(rank, &r->pieces[i]))
            status = piece_update(rank, &r->pieces[i]);
    return status;
}
