/* kernels/cuda/cuda_matmul.h without cuBLASLt: one loop per element, enqueued as a kernel of one thread. */
#include <cuda_runtime.h>
#include <stdlib.h>
#include <string.h>

#include "emulation.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cuda_matmul.h"

struct weir_cuda_matmul {
    void *workspace; /* used by nobody: it takes the room that cuBLASLt's would */
};

weir_status weir_cuda_matmul_open(size_t workspace_bytes, bool tf32, struct weir_cuda_matmul **matmul_out)
{
    (void)tf32; /* the products below are more exact than they need be */
    struct weir_cuda_matmul *matmul = malloc(sizeof *matmul);
    if (!matmul)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for the matrix products");
    weir_status status = weir_cuda_check(cudaMalloc(&matmul->workspace, workspace_bytes), "cudaMalloc");
    if (status) {
        free(matmul);
        return status;
    }
    *matmul_out = matmul;
    return WEIR_OK;
}

void weir_cuda_matmul_close(struct weir_cuda_matmul *matmul)
{
    if (matmul)
        cudaFree(matmul->workspace);
    free(matmul);
}

static float element(enum weir_dtype type, const void *x, int64_t i)
{
    if (type != WEIR_DTYPE_BF16)
        return ((const float *)x)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)x)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void element_put(enum weir_dtype type, void *x, int64_t i, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (type == WEIR_DTYPE_BF16)
        ((uint16_t *)x)[i] = (uint16_t)(value != value ? 0x7fff : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
    else
        ((float *)x)[i] = value;
}

weir_status weir_cuda_matmul_prepare(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *p)
{
    (void)matmul;
    bool types = p->type == p->result_type || (p->type == WEIR_DTYPE_BF16 && p->result_type == WEIR_DTYPE_F32 && !p->bias);
    if (p->m < 1 || p->n < 1 || p->k < 1 || (p->add && p->bias) || !types)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "a matrix product is described wrongly");
    return WEIR_OK;
}

struct product_call {
    struct weir_cuda_product product;
    const void *a, *b, *bias, *addend;
    void *c;
};

static void product_run(const void *closure)
{
    const struct product_call *call = closure;
    const struct weir_cuda_product *p = &call->product;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            float sum = 0;
            for (int64_t q = 0; q < p->k; q++)
                sum += element(p->type, call->a, p->transpose_a ? q * p->m + i : i * p->k + q) *
                       element(p->type, call->b, p->transpose_b ? j * p->k + q : q * p->n + j);
            if (p->bias)
                sum += element(p->type, call->bias, j);
            if (p->add)
                sum += element(p->result_type, call->addend, i * p->n + j);
            element_put(p->result_type, call->c, i * p->n + j, sum);
        }
}

weir_status weir_cuda_matmul_run(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *p, const void *a,
                                 const void *b, const void *bias, const void *addend, void *c, void *stream)
{
    weir_status status = weir_cuda_matmul_prepare(matmul, p);
    if (status)
        return status;
    struct weir_emulated_call launch = {.name = "product", .grid = {1, 1, 1}, .block = {1, 1, 1}, .run = product_run};
    struct product_call call = {*p, a, b, bias, addend, c};
    _Static_assert(sizeof call <= sizeof launch.closure, "a closure holds a product");
    memcpy(launch.closure, &call, sizeof call);
    return weir_emulated_launch(stream, &launch);
}
