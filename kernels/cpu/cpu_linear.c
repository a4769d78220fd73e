/* linear: y (M, O) = x (M, I) · W^T + bias, with M = product of the leading dimensions.
 *
 *     forward          y  = x  · W^T          W (O, I), or (I, O) with attr.in_out and no transposition
 *     backward_input   dx = dy · W   + addend
 *     backward_weight  dW = dy^T · x, or x^T · dy with in_out;  db = column sums of dy, rows in ascending order
 *
 * call.packed, where the engine gives it: the weight in the library's own form (matmul.h), made by the first call of a run and
 * used by its other micro-batches.
 *
 *     packed   [ 64 bytes: number of the run ][ the weight ] */
#include <string.h>

#include "kernels/cpu/columns.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/storage.h"

static struct weir_product product_of(int64_t m, int64_t in, int64_t out, bool in_out, bool bias, bool accumulate,
                                      enum weir_pass pass)
{
    struct weir_product p = {.m = m, .n = out, .k = in, .transpose_b = !in_out, .bias = bias};
    if (pass == WEIR_BACKWARD_INPUT)
        p = (struct weir_product){.m = m, .n = in, .k = out, .transpose_b = in_out, .accumulate = accumulate};
    if (pass == WEIR_BACKWARD_WEIGHT)
        p = (struct weir_product){.m = in_out ? in : out, .n = in_out ? out : in, .k = m, .transpose_a = true,
                                  .accumulate = accumulate};
    return p;
}

/* The product of one call.  Sizes come from the weight (or its gradient) and the tensor that every pass has. */
static struct weir_product product_of_call(const struct weir_op_call *call, enum weir_pass pass)
{
    const struct weir_tensor *w = pass == WEIR_BACKWARD_WEIGHT ? &call->d_params[0] : &call->params[0];
    const struct weir_tensor *y = pass == WEIR_FORWARD ? &call->output : &call->d_output;
    const struct weir_linear_attr *attr = call->attr;
    bool in_out = attr->in_out;
    int64_t in = w->shape[in_out ? 0 : 1], out = w->shape[in_out ? 1 : 0];
    bool accumulate = pass == WEIR_BACKWARD_WEIGHT ? call->accumulate : call->addends[0] != NULL;
    struct weir_product p = product_of(weir_tensor_elements(y) / out, in, out, in_out, call->n_params > 1, accumulate, pass);
    p.packed = call->packed && pass != WEIR_BACKWARD_WEIGHT;
    return p;
}

/* The product as product.h takes it, where the row's tensors are bf16: the addend is given to the run. */
static struct weir_product bf16_of(struct weir_product p, enum weir_pass pass)
{
    p.factors = WEIR_DTYPE_BF16;
    p.result = pass == WEIR_BACKWARD_WEIGHT ? WEIR_DTYPE_F32 : WEIR_DTYPE_BF16;
    p.accumulate = pass == WEIR_BACKWARD_WEIGHT && p.accumulate;
    return p;
}

size_t weir_cpu_linear_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    const struct weir_linear_attr *attr = shapes->attr;
    int64_t in = shapes->inputs[0].dims[shapes->inputs[0].n_dims - 1], out = attr->out_features;
    int64_t m = weir_shape_elements(&shapes->output) / out;
    size_t most = 0;
    for (int accumulate = 0; accumulate <= (pass != WEIR_FORWARD); accumulate++) {
        struct weir_product p = product_of(m, in, out, attr->in_out, shapes->n_params > 1, accumulate, pass);
        struct weir_product narrow = bf16_of(p, pass);
        size_t bytes = shapes->storage == WEIR_DTYPE_BF16 ? weir_product_scratch(&narrow, n_threads)
                                                          : weir_matmul_scratch(&p, n_threads);
        most = bytes > most ? bytes : most;
    }
    return most;
}

enum { PACKED_HEAD = 64 };

size_t weir_cpu_linear_packed(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    const struct weir_linear_attr *attr = shapes->attr;
    int64_t in = shapes->inputs[0].dims[shapes->inputs[0].n_dims - 1], out = attr->out_features;
    struct weir_product p = product_of(weir_shape_elements(&shapes->output) / out, in, out, attr->in_out, false, false, pass);
    struct weir_product narrow = bf16_of(p, pass);
    size_t bytes = pass == WEIR_BACKWARD_WEIGHT ? 0
                 : shapes->storage == WEIR_DTYPE_BF16 ? weir_product_packed_bytes(&narrow, n_threads)
                                                      : weir_matmul_packed_bytes(&p, n_threads);
    return bytes ? PACKED_HEAD + bytes : 0;
}

/* The weight as the product takes it: w, or packed by the run's first call. */
static weir_status weight_of(const struct weir_op_call *call, const struct weir_product *p, const void **w_out)
{
    uint32_t *run = call->packed;
    *w_out = call->params[0].data;
    if (!p->packed)
        return WEIR_OK;
    const void *w = *w_out;
    *w_out = (char *)call->packed + PACKED_HEAD;
    if (*run == call->step->run)
        return WEIR_OK;
    *run = call->step->run;
    return weir_matmul_pack(call->context->matmul, p, w, (char *)call->packed + PACKED_HEAD);
}

static bool call_bf16(const struct weir_op_call *call, enum weir_pass pass)
{
    return weir_tensor_bf16(pass == WEIR_FORWARD ? &call->output : &call->d_output);
}

weir_status weir_cpu_linear_prepare(const struct weir_op_call *call, enum weir_pass pass)
{
    struct weir_product p = product_of_call(call, pass);
    if (!call_bf16(call, pass))
        return weir_matmul_prepare(call->context->matmul, &p);
    struct weir_product narrow = bf16_of(p, pass);
    return weir_product_prepare(call->context, &narrow, pass == WEIR_BACKWARD_INPUT && call->addends[0]);
}

weir_status weir_cpu_linear_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    struct weir_product p = product_of_call(call, WEIR_FORWARD), narrow = bf16_of(p, WEIR_FORWARD);
    const void *x = call->inputs[0].data, *w, *bias = p.bias ? call->params[1].data : NULL;
    weir_status status = weight_of(call, call_bf16(call, WEIR_FORWARD) ? &narrow : &p, &w);
    if (status)
        return status;
    if (call_bf16(call, WEIR_FORWARD))
        return weir_product_run(call->context, &narrow, x, w, bias, NULL, call->output.data, call->scratch);
    return weir_matmul_run(call->context->matmul, &p, x, w, bias, call->output.data, call->scratch);
}

weir_status weir_cpu_linear_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    struct weir_product p = product_of_call(call, WEIR_BACKWARD_INPUT), narrow = bf16_of(p, WEIR_BACKWARD_INPUT);
    const void *dy = call->d_output.data, *w, *addend = call->addends[0];
    void *dx = call->d_inputs[0].data;
    weir_status status = weight_of(call, call_bf16(call, WEIR_BACKWARD_INPUT) ? &narrow : &p, &w);
    if (status)
        return status;
    if (call_bf16(call, WEIR_BACKWARD_INPUT))
        return weir_product_run(call->context, &narrow, dy, w, NULL, addend, dx, call->scratch);
    if (addend && addend != dx)
        memcpy(dx, addend, (size_t)(p.m * p.n) * sizeof(float));
    return weir_matmul_run(call->context->matmul, &p, dy, w, NULL, dx, call->scratch);
}

static void bias_rows_add(const void *argument, int64_t row, int64_t column, int64_t n, float *sums)
{
    const struct weir_op_call *call = argument;
    float room[WEIR_COLUMN_BLOCK];
    int64_t at = row * call->d_params[1].shape[0] + column;
    weir_columns_add(n, weir_floats(weir_tensor_bf16(&call->d_output), call->d_output.data, at, n, room), sums);
}

weir_status weir_cpu_linear_backward_weight(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    struct weir_product p = product_of_call(call, WEIR_BACKWARD_WEIGHT), narrow = bf16_of(p, WEIR_BACKWARD_WEIGHT);
    const struct weir_linear_attr *attr = call->attr;
    bool in_out = attr->in_out;
    const void *a = in_out ? call->inputs[0].data : call->d_output.data;
    const void *b = in_out ? call->d_output.data : call->inputs[0].data;
    if (call->n_params > 1)
        weir_column_sums(call->context, p.k, call->d_params[1].shape[0], bias_rows_add, call, call->accumulate,
                         call->d_params[1].data);
    if (call_bf16(call, WEIR_BACKWARD_WEIGHT))
        return weir_product_run(call->context, &narrow, a, b, NULL, NULL, call->d_params[0].data, call->scratch);
    return weir_matmul_run(call->context->matmul, &p, a, b, NULL, call->d_params[0].data, call->scratch);
}
