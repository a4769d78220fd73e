#include "kernels/cuda/cuda_context.h"

#include "base/alloc.h"
#include "kernels/cuda/cuda.h"

weir_status weir_cuda_context_open(size_t workspace_bytes, bool tf32, struct weir_kernel_context **context_out)
{
    struct weir_cuda_context *context;
    weir_status status = weir_alloc(1, sizeof *context, &context);
    if (status)
        return status;
    status = weir_cuda_matmul_open(workspace_bytes, tf32, &context->matmul);
    if (status) {
        weir_free(context);
        return status;
    }
    *context_out = (struct weir_kernel_context *)(void *)context;
    return WEIR_OK;
}

void weir_cuda_context_close(struct weir_kernel_context *context)
{
    struct weir_cuda_context *cuda = (struct weir_cuda_context *)(void *)context;
    if (!cuda)
        return;
    weir_cuda_matmul_close(cuda->matmul);
    weir_free(cuda);
}
