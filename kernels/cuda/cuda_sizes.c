/* What is known of the rows on CUDA without having CUDA: sizes of scratch, and which calls it has no kernels for.  So a build
 * without CUDA can say what a run would take. */
#include <string.h>

#include "kernels/cuda/cuda_rows.h"
#include "kernels/cuda/launchers.h"

size_t weir_cuda_attention_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    (void)n_threads;
    return pass == WEIR_BACKWARD_INPUT ? shapes->saved_bytes : 0;
}

size_t weir_cuda_attention_cached_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    (void)pass;
    (void)n_threads;
    const struct weir_attention_cached_attr *attr = shapes->attr;
    int64_t heads = attr->n_heads, width = shapes->output.dims[2] / heads;
    return (size_t)weir_cached_floats(shapes->output.dims[1], heads, width, attr->n_positions) * sizeof(float);
}

size_t weir_cuda_linear_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    (void)n_threads;
    const struct weir_linear_attr *attr = shapes->attr;
    int64_t out = attr->out_features, rows = weir_shape_elements(&shapes->output) / out;
    if (pass != WEIR_BACKWARD_WEIGHT || shapes->n_params < 2)
        return 0;
    return (size_t)(weir_column_partials(rows) * out) * sizeof(float);
}

size_t weir_cuda_loss_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    (void)n_threads;
    const struct weir_shape *x = &shapes->inputs[0];
    int64_t rows = weir_shape_elements(x) / x->dims[x->n_dims - 1];
    return pass == WEIR_FORWARD ? (size_t)rows * sizeof(double) : 0;
}

size_t weir_cuda_norm_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    (void)n_threads;
    const struct weir_shape *x = &shapes->inputs[0];
    int64_t columns = x->dims[x->n_dims - 1], rows = weir_shape_elements(x) / columns;
    return pass == WEIR_BACKWARD_WEIGHT ? (size_t)(weir_column_partials(rows) * columns) * sizeof(float) : 0;
}

size_t weir_cuda_rope_scratch(const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads)
{
    (void)n_threads;
    const struct weir_rope_attr *attr = shapes->attr;
    const int64_t *dims = shapes->inputs[0].dims;
    return pass == WEIR_BACKWARD_WEIGHT ? 0 : (size_t)(dims[1] * (dims[2] / attr->n_heads)) * sizeof(float);
}

weir_status weir_cuda_slices_refuse(const struct weir_op *op, const struct weir_op_shapes *shapes)
{
    bool of_slices = shapes && (shapes->first_position || (!strcmp(op->name, "attention") && shapes->cache_bytes));
    if (!of_slices)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "device 'cuda' has no %s over slices: use " WEIR_OPTION("device=cpu")
                     ", or a schedule of whole sequences", op->name);
}
