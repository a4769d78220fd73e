#include "tests/support/nan_flow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"

#include "kernels/op_rows.h"

enum { D_INPUTS = WEIR_OP_OUTPUTS, D_PARAMS = D_INPUTS + WEIR_OP_INPUTS, TENSORS = D_PARAMS + WEIR_OP_PARAMS, POSITIONS = 3 };

/* Everything that a row writes: outputs, d_inputs, d_params. */
struct written {
    double *values[TENSORS]; /* NULL: not written */
    int64_t n[TENSORS];
};

/* Where the NaN goes in. */
struct source {
    const char *name;
    int number;
    struct weir_tensor tensor;
    int64_t element;
};

static const struct weir_tensor *written_tensor(const struct nan_flow *flow, int t)
{
    return t < D_INPUTS ? &flow->full->outputs[t] : t < D_PARAMS ? &flow->full->d_inputs[t - D_INPUTS]
                                                                 : &flow->full->d_params[t - D_PARAMS];
}

static bool is_written(const struct nan_flow *flow, int t)
{
    bool of_loss = t >= D_INPUTS && t < D_PARAMS && flow->c->op->flags & WEIR_OP_LOSS;
    bool runs = t < D_INPUTS || of_loss || (t < D_PARAMS ? flow->kernels->backward_input : flow->kernels->backward_weight);
    return runs && written_tensor(flow, t)->data;
}

static double number_at(const struct nan_flow *flow, const struct weir_tensor *tensor, int64_t i)
{
    return tensor->bits == 64 ? ((const double *)tensor->data)[i] : (double)flow->get(tensor, i);
}

static struct written run(const struct nan_flow *flow, const void *cache)
{
    struct written w = {0};
    if (flow->cache_bytes)
        memcpy(flow->full->cache, cache, flow->cache_bytes);
    assert_ok(flow->run(flow->rig, WEIR_FORWARD));
    if (flow->kernels->backward_input)
        assert_ok(flow->run(flow->rig, WEIR_BACKWARD_INPUT));
    if (flow->kernels->backward_weight)
        assert_ok(flow->run(flow->rig, WEIR_BACKWARD_WEIGHT));
    for (int t = 0; t < TENSORS; t++) {
        if (!is_written(flow, t))
            continue;
        const struct weir_tensor *tensor = written_tensor(flow, t);
        w.n[t] = weir_tensor_elements(tensor);
        w.values[t] = malloc((size_t)w.n[t] * sizeof(double));
        assert_non_null(w.values[t]);
        for (int64_t i = 0; i < w.n[t]; i++)
            w.values[t][i] = number_at(flow, tensor, i);
    }
    return w;
}

static void written_free(struct written *w)
{
    for (int t = 0; t < TENSORS; t++)
        free(w->values[t]);
}

static bool is_activation(const struct weir_op *op)
{
    return op == &weir_op_gelu_tanh || op == &weir_op_gelu_erf || op == &weir_op_relu || op == &weir_op_silu;
}

static bool is_elementwise(const struct weir_op *op)
{
    return is_activation(op) || op == &weir_op_swiglu || op == &weir_op_add || op == &weir_op_dropout;
}

/* Rows that leave elements of what they are given alone. */
static bool may_ignore(const struct nan_flow *flow)
{
    return flow->c->op == &weir_op_embedding || flow->full->sequence;
}

static void lost(const struct nan_flow *flow, const struct source *source, int t, int64_t i, const char *what)
{
    const char *kind = t < D_INPUTS ? "output" : t < D_PARAMS ? "d_input" : "d_param";
    int number = t < D_INPUTS ? t : t < D_PARAMS ? t - D_INPUTS : t - D_PARAMS;
    fail_msg("%s, %s: %s %d[%ld] is NaN, and %s %d[%ld] %s", flow->c->op->name, flow->c->sentence, source->name, source->number,
             (long)source->element, kind, number, (long)i, what);
}

/* An element changes nothing but its own neighbours in other tensors. */
static void elementwise_check(const struct nan_flow *flow, const struct source *source, const struct written *nan)
{
    bool of_gradient = source->tensor.data == flow->full->d_output.data;
    bool wanted[TENSORS] = {!of_gradient};
    for (int t = D_INPUTS; t < D_PARAMS; t++)
        wanted[t] = of_gradient || is_activation(flow->c->op);
    for (int t = 0; t < TENSORS; t++)
        for (int64_t i = 0; i < nan->n[t]; i++) {
            bool there = isnan(nan->values[t][i]);
            if (i == source->element && wanted[t] && !there)
                lost(flow, source, t, i, "is a number");
            if (i != source->element && there)
                lost(flow, source, t, i, "is NaN, too");
        }
}

static void changed_check(const struct nan_flow *flow, const struct source *source, const struct written *base,
                          const struct written *changed, const struct written *nan)
{
    for (int t = 0; t < TENSORS; t++)
        for (int64_t i = 0; i < base->n[t]; i++)
            if (base->values[t][i] != changed->values[t][i] && !isnan(nan->values[t][i]))
                lost(flow, source, t, i, "is a number that depends on it");
}

static bool is_gradient(const struct nan_flow *flow, const struct source *source)
{
    bool is = false;
    for (int i = 0; i < flow->full->n_outputs; i++)
        is = is || source->tensor.data == flow->full->d_outputs[i].data;
    return is;
}

static void some_check(const struct nan_flow *flow, const struct source *source, const struct written *nan)
{
    bool of_gradient = is_gradient(flow, source);
    int first = of_gradient ? D_INPUTS : 0, end = of_gradient ? TENSORS : D_INPUTS, n = 0;
    for (int t = first; t < end; t++)
        for (int64_t i = 0; i < nan->n[t]; i++)
            n += isnan(nan->values[t][i]);
    if (n == 0 && (!of_gradient || flow->kernels->backward_input || flow->kernels->backward_weight))
        lost(flow, source, first, 0, "and all others are numbers");
}

static void element_check(const struct nan_flow *flow, const struct source *source, const struct written *base,
                          const void *cache)
{
    float value = flow->get(&source->tensor, source->element);
    flow->put(&source->tensor, source->element, NAN);
    struct written nan = run(flow, cache);
    if (is_elementwise(flow->c->op))
        elementwise_check(flow, source, &nan);
    else if (!may_ignore(flow))
        some_check(flow, source, &nan);
    for (float step = -1; step <= 1; step += 2) {
        flow->put(&source->tensor, source->element, value + step);
        struct written changed = run(flow, cache);
        changed_check(flow, source, base, &changed, &nan);
        written_free(&changed);
    }
    flow->put(&source->tensor, source->element, value);
    written_free(&nan);
}

static void source_check(const struct nan_flow *flow, const char *name, int number, const struct weir_tensor *tensor,
                         const struct written *base, const void *cache)
{
    int64_t n = tensor->data ? weir_tensor_elements(tensor) : 0, last = -1;
    for (int p = 0; p < POSITIONS && tensor->code != 0; p++) {
        int64_t element = (n - 1) * p / (POSITIONS - 1);
        if (n == 0 || element == last)
            continue;
        last = element;
        element_check(flow, &(struct source){name, number, *tensor, element}, base, cache);
    }
}

void nan_flow_check(const struct nan_flow *flow)
{
    char *cache = malloc(flow->cache_bytes + 1);
    assert_non_null(cache);
    if (flow->cache_bytes)
        memcpy(cache, flow->full->cache, flow->cache_bytes);
    struct written base = run(flow, cache);
    for (int i = 0; i < WEIR_OP_INPUTS; i++)
        source_check(flow, "input", i, &flow->full->inputs[i], &base, cache);
    for (int i = 0; i < WEIR_OP_PARAMS; i++)
        source_check(flow, "param", i, &flow->full->params[i], &base, cache);
    for (int i = 0; i < WEIR_OP_OUTPUTS; i++)
        source_check(flow, "d_output", i, &flow->full->d_outputs[i], &base, cache);
    if (flow->cache_bytes) {
        int64_t elements = (int64_t)(flow->cache_bytes * 8 / flow->full->output.bits);
        struct weir_tensor whole = flow->full->output;
        whole.data = cache; /* what every run starts from */
        whole.n_dims = 1;
        whole.shape = &elements;
        source_check(flow, "cache", 0, &whole, &base, cache);
    }
    written_free(&base);
    free(cache);
}
