#include "tests/support/op_rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/op_rows.h"
#include "tests/support/row_kernels.h"
#include "tests/support/testing.h"

enum { GUARD = 64, MOST = 64 }; /* bytes of guard on each side; most blocks of 64 bytes that a buffer is moved */

void *op_rig_block(struct op_rig *rig, size_t bytes)
{
    char *base = aligned_alloc(64, (size_t)(GUARD * (2 + MOST)) + (bytes + 127) / 64 * 64);
    assert_non_null(base);
    assert_true(rig->n_blocks < OP_RIG_BLOCKS && rig->shift < MOST);
    char *at = base + GUARD * (1 + rig->shift);
    memset(at - GUARD, 0x5a, GUARD);
    memset(at, 0, bytes);
    memset(at + bytes, 0x5a, GUARD);
    rig->block_bytes[rig->n_blocks] = bytes;
    rig->blocks[rig->n_blocks++] = base;
    return at;
}

static void guards_check(const struct op_rig *rig)
{
    for (int b = 0; b < rig->n_blocks; b++) {
        const unsigned char *at = (const unsigned char *)rig->blocks[b] + GUARD * (1 + rig->shift);
        for (size_t i = 0; i < GUARD; i++)
            if (at[-1 - (int)i] != 0x5a || at[rig->block_bytes[b] + i] != 0x5a)
                fail_msg("'%s' wrote outside of block %d", rig->c->op->name, b);
    }
}

/* Values of the operations' world: normal numbers, away from relu's kink; tokens and targets below the vocabulary. */
static void values_fill(const struct op_rig *rig, const struct weir_shape *shape, uint64_t key, void *to)
{
    int64_t n = weir_shape_elements(shape), logits = rig->c->inputs[0].dims[rig->c->inputs[0].n_dims - 1];
    int64_t vocabulary = rig->c->op == &weir_op_embedding ? rig->c->attr.embedding.vocabulary : logits;
    float *x = to;
    if (shape->dtype == WEIR_DTYPE_I32) {
        for (int64_t i = 0; i < n; i++)
            ((int32_t *)to)[i] = (int32_t)(weir_rng_philox(key, (uint32_t)i, 0, 0, 0).v[0] % (uint64_t)vocabulary);
        return;
    }
    weir_rng_fill_normal(key, 0, n, 1, x);
    for (int64_t i = 0; i < n; i++)
        x[i] = fabsf(x[i]) < 0.01f ? x[i] + 0.05f : x[i];
}

static struct weir_tensor tensor_make(struct op_rig *rig, struct weir_shape *shape, bool filled, uint64_t key)
{
    void *data = op_rig_block(rig, weir_shape_bytes(shape));
    if (filled)
        values_fill(rig, shape, key, data);
    return weir_tensor_view(data, shape);
}

static void tensors_make(struct op_rig *rig, uint64_t salt)
{
    struct weir_op_call *call = &rig->full;
    struct weir_op_shapes *s = &rig->shapes, *g = &rig->gradient_shapes;
    uint64_t key = weir_rng_key(salt, rig->c->op->name);
    for (int i = 0; i < s->n_inputs; i++) {
        call->inputs[i] = tensor_make(rig, &s->inputs[i], true, key + (uint64_t)i);
        if (s->inputs[i].dtype == WEIR_DTYPE_F32)
            call->d_inputs[i] = tensor_make(rig, &g->inputs[i], false, 0);
    }
    for (int i = 0; i < s->n_params; i++) {
        call->params[i] = tensor_make(rig, &s->params[i], true, key + 10 + (uint64_t)i);
        call->d_params[i] = tensor_make(rig, &g->params[i], false, 0);
    }
    for (int i = 0; i < call->n_outputs; i++) {
        call->outputs[i] = tensor_make(rig, &s->outputs[i], false, 0);
        if (s->outputs[i].dtype == WEIR_DTYPE_F32)
            call->d_outputs[i] = tensor_make(rig, &g->outputs[i], true, key + 20 + (uint64_t)i);
    }
}

static void scratch_make(struct op_rig *rig, int n_threads)
{
    const struct weir_op_kernels *cpu = cpu_kernels(rig->c->op);
    for (int pass = 0; pass < WEIR_PASSES && cpu->scratch_bytes; pass++) {
        size_t bytes = cpu->scratch_bytes(&rig->shapes, (enum weir_pass)pass, n_threads);
        rig->scratch_bytes = bytes > rig->scratch_bytes ? bytes : rig->scratch_bytes;
    }
    rig->full.scratch = op_rig_block(rig, rig->scratch_bytes);
    rig->full.saved = op_rig_block(rig, rig->shapes.saved_bytes);
    if (rig->shapes.cache_bytes)
        rig->full.cache = op_rig_block(rig, rig->shapes.cache_bytes);
}

void op_rig_open(struct op_rig *rig, const struct op_case *c, int n_threads, uint64_t salt, int shift)
{
    *rig = (struct op_rig){.c = c, .shift = shift, .step = {.seed = 7 + salt, .step = 3, .training = 1}};
    rig->shapes.attr = op_case_attr(c);
    rig->shapes.n_inputs = c->n_inputs;
    memcpy(rig->shapes.inputs, c->inputs, sizeof c->inputs);
    assert_ok(c->op->infer(&rig->shapes));
    rig->shapes.n_outputs = rig->shapes.n_outputs ? rig->shapes.n_outputs : 1;
    rig->gradient_shapes = rig->shapes;
    assert_ok(weir_kernel_context_open(n_threads, &rig->context));
    rig->full = (struct weir_op_call){.op = c->op, .attr = op_case_attr(c), .n_inputs = c->n_inputs,
                                      .n_outputs = rig->shapes.n_outputs, .n_params = rig->shapes.n_params,
                                      .loss_scale = 0.125, .node = 5,
                                      .first_sample = 11, .step = &rig->step, .context = rig->context};
    tensors_make(rig, salt);
    scratch_make(rig, n_threads);
}

void op_rig_close(struct op_rig *rig)
{
    guards_check(rig);
    weir_kernel_context_close(rig->context);
    for (int b = 0; b < rig->n_blocks; b++)
        free(rig->blocks[b]);
}

struct weir_op_call op_rig_needed(const struct weir_op_call *full, enum weir_pass pass, bool accumulate)
{
    struct weir_op_call call = *full;
    const struct weir_op *op = full->op;
    unsigned needs = pass == WEIR_BACKWARD_INPUT ? op->input_needs : op->weight_needs;
    call.accumulate = accumulate;
    for (int i = 0; i < WEIR_OP_INPUTS; i++) {
        if (pass != WEIR_FORWARD && !(needs & weir_needs_input(i)))
            call.inputs[i] = (struct weir_tensor){0};
        if (pass == WEIR_BACKWARD_WEIGHT || (pass == WEIR_FORWARD && !(op->flags & WEIR_OP_LOSS)))
            call.d_inputs[i] = (struct weir_tensor){0};
    }
    for (int i = 0; i < WEIR_OP_PARAMS && pass != WEIR_BACKWARD_WEIGHT; i++)
        call.d_params[i] = (struct weir_tensor){0};
    for (int i = 0; i < WEIR_OP_OUTPUTS; i++) {
        if (pass != WEIR_FORWARD && !(needs & WEIR_NEEDS_OUTPUT))
            call.outputs[i] = (struct weir_tensor){0};
        if (pass == WEIR_FORWARD)
            call.d_outputs[i] = (struct weir_tensor){0};
    }
    if (pass != WEIR_FORWARD && !(needs & WEIR_NEEDS_SAVED))
        call.saved = NULL;
    return call;
}

weir_status op_rig_run(struct op_rig *rig, enum weir_pass pass, const void *addend, bool accumulate)
{
    const void *const addends[WEIR_OP_INPUTS] = {addend};
    return op_rig_run_adding(rig, pass, addends, accumulate);
}

weir_status op_rig_run_adding(struct op_rig *rig, enum weir_pass pass, const void *const *addends, bool accumulate)
{
    const struct weir_op_kernels *cpu = cpu_kernels(rig->c->op);
    const weir_kernel_fn kernels[] = {cpu->forward, cpu->backward_input, cpu->backward_weight};
    struct weir_op_call call = op_rig_needed(&rig->full, pass, accumulate);
    memcpy(call.addends, addends, sizeof call.addends);
    memset(rig->full.scratch, 0xff, rig->scratch_bytes);
    weir_status status = cpu->prepare ? cpu->prepare(&call, pass) : WEIR_OK;
    return status ? status : kernels[pass](&call, NULL);
}

static double *doubles_make(const struct weir_tensor *t)
{
    int64_t n = weir_tensor_elements(t);
    double *out = malloc((size_t)n * sizeof *out);
    assert_non_null(out);
    for (int64_t i = 0; i < n; i++)
        out[i] = t->code == 0 ? ((const int32_t *)t->data)[i] : (double)((const float *)t->data)[i];
    return out;
}

static struct reference_call reference_make(const struct op_rig *rig)
{
    struct reference_call r = {.shapes = &rig->shapes, .step = rig->step, .node = rig->full.node,
                               .first_sample = rig->full.first_sample};
    for (int i = 0; i < rig->shapes.n_inputs; i++)
        r.inputs[i] = doubles_make(&rig->full.inputs[i]);
    for (int i = 0; i < rig->shapes.n_params; i++)
        r.params[i] = doubles_make(&rig->full.params[i]);
    for (int i = 0; i < rig->shapes.n_outputs; i++)
        assert_non_null(r.outputs[i] = malloc((size_t)weir_shape_elements(&rig->shapes.outputs[i]) * sizeof(double)));
    return r;
}

static void reference_free(struct reference_call *r)
{
    for (int i = 0; i < WEIR_OP_INPUTS; i++)
        free((void *)(uintptr_t)r->inputs[i]);
    for (int i = 0; i < WEIR_OP_PARAMS; i++)
        free((void *)(uintptr_t)r->params[i]);
    for (int i = 0; i < WEIR_OP_OUTPUTS; i++)
        free(r->outputs[i]);
}

void op_rig_reference(const struct op_rig *rig, int i, double *output_out)
{
    struct reference_call r = reference_make(rig);
    reference_find(rig->c->op->name)(&r);
    memcpy(output_out, r.outputs[i], (size_t)weir_shape_elements(&rig->shapes.outputs[i]) * sizeof(double));
    reference_free(&r);
}

/* What the gradient is of: sum(outputs * d_outputs), or the scaled loss. */
static double objective(const struct op_rig *rig, const struct reference_call *r)
{
    reference_find(rig->c->op->name)(r);
    if (rig->c->op->flags & WEIR_OP_LOSS)
        return r->output[0] * rig->full.loss_scale;
    double sum = 0;
    for (int k = 0; k < rig->shapes.n_outputs; k++) {
        const float *dy = rig->full.d_outputs[k].data;
        for (int64_t i = 0; i < weir_shape_elements(&rig->shapes.outputs[k]); i++)
            sum += r->outputs[k][i] * (double)dy[i];
    }
    return sum;
}

void op_rig_differences(const struct op_rig *rig, bool of_param, int index, double *gradient_out)
{
    const double h = 1e-5;
    struct reference_call r = reference_make(rig);
    double *x = (double *)(uintptr_t)(of_param ? r.params[index] : r.inputs[index]);
    int64_t n = weir_tensor_elements(of_param ? &rig->full.params[index] : &rig->full.inputs[index]);
    for (int64_t i = 0; i < n; i++) {
        double middle = x[i];
        x[i] = middle + h;
        double above = objective(rig, &r);
        x[i] = middle - h;
        gradient_out[i] = (above - objective(rig, &r)) / (2 * h);
        x[i] = middle;
    }
    reference_free(&r);
}
