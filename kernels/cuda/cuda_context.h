/* What struct weir_kernel_context * points to for a CUDA row. */
#ifndef WEIR_KERNELS_CUDA_CUDA_CONTEXT_H
#define WEIR_KERNELS_CUDA_CUDA_CONTEXT_H

#include "kernels/cuda/cuda_matmul.h"
#include "include/weir/op.h"

struct weir_cuda_context {
    struct weir_cuda_matmul *matmul;
    void *workspace; /* device memory of products; NULL: none */
    void *stream;
    uint64_t *loaded; /* [n_loaded]: descriptions of calls that have been run, see cuda_load.c */
    size_t n_loaded, capacity;
};

static inline struct weir_cuda_context *weir_cuda_context_of(const struct weir_op_call *call)
{
    return (struct weir_cuda_context *)(void *)call->context;
}

/* cuda_load.c: run every kernel of vector.h once, on `room`: device memory of WEIR_CUDA_LOAD_BYTES with whatever in it. */
enum { WEIR_CUDA_LOAD_BYTES = 4096 };
weir_status weir_cuda_vectors_load(void *room, void *stream);

#endif
