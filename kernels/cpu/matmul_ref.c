/* matmul.h for builds without oneDNN: every product is gemm_ref.c's, on the calling thread. */
#include "kernels/cpu/matmul.h"
#include "weir_parts.h"

#if !WEIR_HAVE_ONEDNN

#include "base/alloc.h"

struct weir_matmul {
    int n_threads;
};

weir_status weir_matmul_open(int n_threads, struct weir_matmul **matmul_out)
{
    struct weir_matmul *matmul;
    weir_status status = weir_alloc(1, sizeof *matmul, &matmul);
    if (status)
        return status;
    matmul->n_threads = n_threads;
    *matmul_out = matmul;
    return WEIR_OK;
}

void weir_matmul_close(struct weir_matmul *matmul)
{
    weir_free(matmul);
}

size_t weir_matmul_scratch(const struct weir_product *product, int n_threads)
{
    (void)n_threads;
    return weir_gemm_ref_scratch(product);
}

weir_status weir_matmul_prepare(struct weir_matmul *matmul, const struct weir_product *product)
{
    (void)matmul, (void)product;
    return WEIR_OK;
}

weir_status weir_matmul_run(struct weir_matmul *matmul, const struct weir_product *product, const float *a,
                            const float *b, const float *bias, float *c, void *scratch)
{
    (void)matmul;
    weir_gemm_ref(product, a, b, bias, c, scratch);
    return WEIR_OK;
}

#endif
