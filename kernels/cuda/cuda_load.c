/* Before the first step everything that a step launches is launched once: CUDA loads a kernel when it is launched first, and
 * that may wait for all that runs on the device, cuBLASLt's kernels included.
 *
 * So the prepare of every row runs the pass that it is asked for, on the call's own memory and on the context's stream: once
 * for each description, since twelve equal layers launch the same kernels. */
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_rows.h"

static uint64_t tensor_hash(const struct weir_tensor *tensor, uint64_t seed)
{
    const int64_t facts[] = {tensor->n_dims, tensor->code, tensor->bits, tensor->data != NULL};
    seed = weir_hash64(facts, sizeof facts, seed);
    return tensor->data ? weir_hash64(tensor->shape, (size_t)tensor->n_dims * sizeof *tensor->shape, seed) : seed;
}

/* What decides which kernels a call launches. */
static uint64_t call_hash(const struct weir_op_call *call, enum weir_pass pass)
{
    uint64_t hash = weir_hash64(&call->op, sizeof(void *), (uint64_t)pass * 2 + call->accumulate);
    hash = call->attr ? weir_hash64(call->attr, call->op->attr_bytes, hash) : hash;
    for (int i = 0; i < call->n_inputs; i++) {
        hash = tensor_hash(&call->inputs[i], hash);
        hash = tensor_hash(&call->d_inputs[i], hash) + (call->addends[i] != NULL);
    }
    for (int i = 0; i < call->n_params; i++)
        hash = tensor_hash(&call->d_params[i], tensor_hash(&call->params[i], hash));
    for (int i = 0; i < call->n_outputs; i++)
        hash = tensor_hash(&call->d_outputs[i], tensor_hash(&call->outputs[i], hash));
    return hash;
}

/* Notes the description; *known_out: it was noted before. */
static weir_status description_note(struct weir_cuda_context *context, uint64_t hash, bool *known_out)
{
    *known_out = false;
    for (size_t i = 0; i < context->n_loaded && !*known_out; i++)
        *known_out = context->loaded[i] == hash;
    if (*known_out)
        return WEIR_OK;
    weir_status status = weir_grow(&context->loaded, &context->capacity, context->n_loaded + 1, sizeof *context->loaded);
    if (!status)
        context->loaded[context->n_loaded++] = hash;
    return status;
}

/* All rows of a generator's call are there, from the first position on: its kernels are those of any other place. */
weir_status weir_cuda_load_once(const struct weir_op_call *call, enum weir_pass pass, weir_kernel_fn run)
{
    const struct weir_tensor *x = &call->inputs[0];
    const struct weir_sequence all = {0, x->n_dims > 1 ? x->shape[1] : 1};
    struct weir_op_call once = *call;
    bool known;
    weir_status status = description_note(weir_cuda_context_of(call), call_hash(call, pass), &known);
    if (status || known)
        return status;
    once.sequence = call->sequence ? &all : NULL;
    return run(&once, weir_cuda_context_of(call)->stream);
}

/* One element each, in rooms of their own. */
weir_status weir_cuda_vectors_load(void *room, void *stream)
{
    const struct weir_vector_kernels *v = &weir_vector_cuda;
    char *at = (char *)room;
    float *x = (float *)(void *)at, *y = (float *)(void *)(at + 256), *m = (float *)(void *)(at + 512);
    double *sums = (double *)(void *)(at + 1024);
    struct weir_update_gate *gate = (struct weir_update_gate *)(void *)(at + 2048);
    const struct weir_update *update = (const struct weir_update *)(const void *)(at + 3072);
    const struct weir_update_scale scale = {1, 1};
    const float *terms[] = {x, y};
    weir_status status = v->add(1, x, y, stream);
    if (!status)
        status = v->reduce(1, x, 2, terms, stream);
    if (!status)
        status = v->square_sums(1, x, sums, stream);
    if (!status)
        status = v->gate(1, sums, 1, sums, 1, 1, gate, stream);
    if (!status)
        status = v->adamw(update, gate, scale, 1, x, y, m, m + 1, stream);
    if (!status)
        status = v->sgd(update, gate, scale, 1, x, y, stream);
    return status ? status : v->to_bf16(1, x, y, stream);
}
