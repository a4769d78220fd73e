/* The end of a step: tied gradients, global norm, update.
 *
 * Norm: the squares of each owned gradient are summed in float64 over blocks of 65,536 elements by its owner, and the
 * blocks of all parameters are added in graph order, so that the result does not depend on the partition.  Clipping
 * scales every gradient by min(1, clip / (norm + 1e-6)) (as torch.nn.utils.clip_grad_norm_ does). */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "engine/run/state.h"

static int64_t elements_of(const struct weir_engine *engine, int param)
{
    return weir_shape_elements(&engine->graph->params[param].shape);
}

static float *block_at(const struct weir_rank *rank, enum weir_memory_kind kind, size_t offset)
{
    return (float *)(void *)(rank->blocks[kind] + offset);
}

static const struct weir_rank_param *held_find(const struct weir_program *program, int rank, int param)
{
    for (int i = 0; i < program->ranks[rank].n_params; i++)
        if (program->ranks[rank].params[i].param == param)
            return &program->ranks[rank].params[i];
    return NULL;
}

weir_status weir_tie_add(struct weir_rank *rank)
{
    const struct weir_engine *engine = rank->engine;
    const struct weir_program *program = engine->program;
    for (int u = 0; u < program->n_uses; u++) {
        const struct weir_param_use *use = &program->uses[u];
        const struct weir_rank_param *held = held_find(program, rank->index, use->param);
        if (!held || !held->owned || (use->rank == rank->index && use->grad_offset == held->grad_offset))
            continue; /* not ours, or the first use, which the others are added to */
        weir_vector_add(elements_of(engine, use->param), block_at(rank, WEIR_MEMORY_GRADS, held->grad_offset),
                        block_at(&engine->ranks[use->rank], WEIR_MEMORY_GRADS, use->grad_offset));
    }
    return WEIR_OK;
}

weir_status weir_norm_blocks(struct weir_rank *rank)
{
    const struct weir_rank_program *r = &rank->engine->program->ranks[rank->index];
    for (int i = 0; i < r->n_params; i++) {
        const struct weir_rank_param *held = &r->params[i];
        if (!held->owned)
            continue;
        int64_t n = elements_of(rank->engine, held->param);
        const float *grad = block_at(rank, WEIR_MEMORY_GRADS, held->grad_offset);
        for (int64_t at = 0, block = held->norm_block; at < n; at += WEIR_NORM_BLOCK, block++)
            rank->engine->norm_blocks[block] =
                weir_vector_square_sum(n - at < WEIR_NORM_BLOCK ? n - at : WEIR_NORM_BLOCK, grad + at);
    }
    return WEIR_OK;
}

static void param_update(struct weir_rank *rank, const struct weir_rank_param *held, const struct weir_adamw *update)
{
    const struct weir_engine *engine = rank->engine;
    const struct weir_param *param = &engine->graph->params[held->param];
    int64_t n = weir_shape_elements(&param->shape);
    float *values = block_at(rank, WEIR_MEMORY_PARAMS, held->offset);
    const float *grad = block_at(rank, WEIR_MEMORY_GRADS, held->grad_offset);
    struct weir_adamw a = *update;
    if (!param->decay)
        a.weight_decay = 0;
    if (engine->config.optimizer == WEIR_OPTIMIZER_SGD) {
        weir_sgd_update(a.learning_rate, a.weight_decay, a.grad_scale, n, values, grad);
        return;
    }
    float *m = block_at(rank, WEIR_MEMORY_OPTIMIZER, held->state_offset);
    weir_adamw_update(&a, n, values, grad, m, m + n);
}

double weir_loss_mean(const struct weir_engine *engine)
{
    const struct weir_program *program = engine->program;
    int last = program->stages[program->n_stages - 1].rank;
    const char *data = engine->ranks[last].blocks[WEIR_MEMORY_DATA] + program->ranks[last].loss_offset;
    double sum = 0;
    for (int k = 0; k < program->n_microbatches; k++) {
        double loss;
        memcpy(&loss, data + sizeof loss * (size_t)k, sizeof loss);
        sum += loss;
    }
    return sum / ((double)engine->graph->n_targets * program->n_microbatches);
}

weir_status weir_update(struct weir_rank *rank)
{
    struct weir_engine *engine = rank->engine;
    if (atomic_load(&engine->failed))
        return WEIR_OK; /* a kernel failed somewhere: parameters stay as they are */
    double sum = 0;
    for (int64_t b = 0; b < engine->program->n_norm_blocks; b++)
        sum += engine->norm_blocks[b];
    double norm = sqrt(sum), clip = engine->config.grad_clip;
    if (rank->index == 0)
        engine->grad_norm = norm;
    if (!isfinite(norm) || !isfinite(weir_loss_mean(engine)))
        return WEIR_OK; /* every rank sees the same numbers and none updates; weir_engine_step reports it */
    struct weir_adamw update = engine->update;
    double scale = clip > 0 ? clip / (norm + 1e-6) : 1;
    update.grad_scale = (float)(scale < 1 ? scale : 1);
    const struct weir_rank_program *r = &engine->program->ranks[rank->index];
    for (int i = 0; i < r->n_params; i++)
        if (r->params[i].owned)
            param_update(rank, &r->params[i], &update);
    return WEIR_OK;
}

weir_status weir_tie_copy(struct weir_rank *rank)
{
    struct weir_engine *engine = rank->engine;
    const struct weir_rank_program *r = &engine->program->ranks[rank->index];
    for (int i = 0; i < r->n_params; i++)
        for (int o = 0; o < engine->program->n_ranks && !r->params[i].owned; o++) {
            const struct weir_rank_param *source = held_find(engine->program, o, r->params[i].param);
            if (source && source->owned)
                memcpy(rank->blocks[WEIR_MEMORY_PARAMS] + r->params[i].offset,
                       engine->ranks[o].blocks[WEIR_MEMORY_PARAMS] + source->offset,
                       weir_shape_bytes(&engine->graph->params[source->param].shape));
        }
    return WEIR_OK;
}

void weir_params_init(struct weir_rank *rank)
{
    const struct weir_engine *engine = rank->engine;
    const struct weir_rank_program *r = &engine->program->ranks[rank->index];
    for (int i = 0; i < r->n_params; i++) {
        const struct weir_param *param = &engine->graph->params[r->params[i].param];
        float *values = block_at(rank, WEIR_MEMORY_PARAMS, r->params[i].offset);
        int64_t n = weir_shape_elements(&param->shape);
        if (param->init == WEIR_INIT_NORMAL)
            weir_rng_fill_normal(weir_rng_key(engine->config.seed, param->name), 0, n, param->scale, values);
        for (int64_t k = 0; k < n && param->init == WEIR_INIT_CONSTANT; k++)
            values[k] = (float)param->scale;
    }
}
