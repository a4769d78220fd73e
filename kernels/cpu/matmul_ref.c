/* matmul.h for builds without oneDNN: gemm_ref.c, each thread with a range of columns and its own scratch. */
#include "kernels/cpu/matmul.h"
#include "weir_libraries.h"

#if !WEIR_HAVE_ONEDNN

#include "base/alloc.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/tile.h"

struct weir_matmul {
    struct weir_kernel_context threads; /* only n_threads is used */
};

struct job {
    const struct weir_product *product;
    const float *a, *b, *bias;
    float *c;
    char *scratch;
    int64_t columns; /* of one task */
};

weir_status weir_matmul_open(int n_threads, struct weir_matmul **matmul_out)
{
    struct weir_matmul *matmul;
    weir_status status = weir_alloc(1, sizeof *matmul, &matmul);
    if (status)
        return status;
    matmul->threads.n_threads = n_threads;
    *matmul_out = matmul;
    return WEIR_OK;
}

void weir_matmul_close(struct weir_matmul *matmul)
{
    weir_free(matmul);
}

size_t weir_matmul_library_bytes(void)
{
    return 0;
}

size_t weir_matmul_scratch(const struct weir_product *product, int n_threads)
{
    return (size_t)n_threads * weir_gemm_ref_scratch(product);
}

weir_status weir_matmul_prepare(struct weir_matmul *matmul, const struct weir_product *product)
{
    (void)matmul;
    if (product->factors != WEIR_DTYPE_F32)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the plain product takes f32: bf16 goes through product.h");
    return WEIR_OK;
}

static void columns_run(const void *argument, int64_t task, int thread)
{
    const struct job *job = argument;
    weir_gemm_ref(job->product, task * job->columns, job->columns, job->a, job->b, job->bias, job->c,
                  job->scratch + (size_t)thread * weir_gemm_ref_scratch(job->product));
}

bool weir_matmul_bf16_is_dense(void)
{
    return false;
}

bool weir_matmul_has_bf16(void)
{
    return false;
}

size_t weir_matmul_packed_bytes(const struct weir_product *product, int n_threads)
{
    (void)product;
    (void)n_threads;
    return 0;
}

weir_status weir_matmul_pack(struct weir_matmul *matmul, const struct weir_product *product, const void *b, void *packed)
{
    (void)matmul;
    (void)product;
    (void)b;
    (void)packed;
    return WEIR_FAIL(WEIR_ERR_INTERNAL, "the plain product has no packed form");
}

weir_status weir_matmul_run(struct weir_matmul *matmul, const struct weir_product *product, const void *a, const void *b,
                            const void *bias, void *c, void *scratch)
{
    int64_t n_threads = matmul->threads.n_threads;
    struct job job = {product, a, b, bias, c, scratch, 0};
    job.columns = weir_round_up((product->n + n_threads - 1) / n_threads, WEIR_TILE_COLUMNS);
    weir_parallel(&matmul->threads, weir_task_count(product->n, job.columns), columns_run, &job);
    return WEIR_OK;
}

#endif
