/* The rows on CUDA as they are planned for, in a program that does not run them: sizes of scratch, and no kernel. */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cuda_rows.h"

#define ABSENT weir_kernel_absent, weir_kernel_absent, weir_kernel_absent

static const struct weir_kernel_row planned_rows[] = {
    {"layer_norm", {ABSENT, weir_cuda_norm_scratch, NULL}},
    {"rms_norm", {ABSENT, weir_cuda_norm_scratch, NULL}},
    {"linear", {ABSENT, weir_cuda_linear_scratch, NULL}},
    {"rope", {ABSENT, weir_cuda_rope_scratch, NULL}},
    {"attention", {ABSENT, weir_cuda_attention_scratch, NULL}},
    {"cross_entropy", {ABSENT, weir_cuda_loss_scratch, NULL}},
    {"mse", {ABSENT, weir_cuda_loss_scratch, NULL}},
    {"attention_cached", {ABSENT, weir_cuda_attention_cached_scratch, NULL}},
    {NULL, {NULL, NULL, NULL, NULL, NULL}},
};

weir_status weir_cuda_kernels_planned(const struct weir_op *op, const struct weir_op_shapes *shapes,
                                      const struct weir_op_kernels **kernels_out)
{
    static const struct weir_op_kernels without_scratch = {ABSENT, NULL, NULL};
    const struct weir_op_kernels *known = op->cuda.forward ? &op->cuda : weir_kernel_row_find(planned_rows, op);
    weir_status status = op->cuda.forward ? WEIR_OK : weir_cuda_slices_refuse(op, shapes);
    if (!status)
        *kernels_out = known ? known : &without_scratch;
    return status;
}
