#include "kernels/cuda/cuda_context.h"

#include <cuda_runtime.h>

#include "base/alloc.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cuda_choices.h"

static weir_status parts_open(struct weir_cuda_context *context, size_t workspace_bytes, bool tf32)
{
    weir_status status = WEIR_OK;
    if (workspace_bytes)
        status = weir_cuda_check(cudaMalloc(&context->workspace, workspace_bytes), "cudaMalloc");
    if (!status)
        status = weir_cuda_matmul_open(context->workspace, workspace_bytes, tf32, weir_cuda_choices, &context->matmul);
    if (!status && workspace_bytes >= WEIR_CUDA_LOAD_BYTES)
        status = weir_cuda_vectors_load(context->workspace, context->stream);
    return status;
}

static void context_release(struct weir_cuda_context *context)
{
    weir_cuda_matmul_close(context->matmul);
    if (context->workspace)
        cudaFree(context->workspace);
    weir_free(context->loaded);
    weir_free(context);
}

weir_status weir_cuda_context_open(size_t workspace_bytes, bool tf32, void *stream, struct weir_kernel_context **context_out)
{
    struct weir_cuda_context *context;
    weir_status status = weir_alloc(1, sizeof *context, &context);
    if (status)
        return status;
    context->stream = stream;
    status = parts_open(context, workspace_bytes, tf32);
    if (status) {
        context_release(context);
        return status;
    }
    *context_out = (struct weir_kernel_context *)(void *)context;
    return WEIR_OK;
}

void weir_cuda_context_close(struct weir_kernel_context *context)
{
    if (context)
        context_release((struct weir_cuda_context *)(void *)context);
}
