/* cuda_matmul.h through cuBLASLt: one description and one algorithm per product, made once and kept.
 *
 * cuBLASLt thinks in columns: its C is our C transposed, so it is given B and A in this order, C' = op(B)' op(A)', and a
 * bias per row of C', which is our bias per column.
 *
 * The algorithm is the first that cuBLASLt's heuristic names for the description, a workspace of a fixed size and pointers
 * that are aligned to 16 bytes.  Products whose sum over k is split are added in f32 in a separate step
 * (CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) or not split at all; adding in place is not allowed, and neither are partial
 * sums in the type of the result (.._OUTPUT_TYPE), which a bf16 result would round one by one.
 *
 * bf16.  Two of the combinations of types that cuBLASLt knows are used, both with f32 sums and factors (cuBLAS 13.0, manual of
 * cublasLtMatmul): bf16 x bf16 with C and D bf16 and a bf16 bias, for values and their gradients, and bf16 x bf16 with C and D
 * f32, for gradients of weights, which are added to with beta = 1 where they are.  A bias has the type of D (cublasLt.h),
 * which is A's here, since only forward has one.  C may be another matrix than D when both have the same layout.  Sizes need
 * not be even: the leading dimension is known from the layouts, and an odd one, as that of the logits of 50,257 words,
 * leaves kernels that load element by element; multiples of 8 elements (16 bytes) are what tensor cores are fast with (NVIDIA,
 * "Matrix Multiplication Background", 2023, section 2.2). */
#include "kernels/cuda/cuda_matmul.h"

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/cuda/cuda.h"

enum { ALIGNMENT = 16 };

/* One product, ready to run. */
struct plan {
    struct weir_cuda_product product;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, c; /* of cuBLASLt's A (our B), B (our A) and C */
    cublasLtMatmulAlgo_t algorithm;
};

struct weir_cuda_matmul {
    cublasLtHandle_t handle;
    void *workspace;
    size_t workspace_bytes;
    bool tf32;
    struct plan *plans; /* [n_plans], in the order in which they were made */
    size_t n_plans, capacity;
};

/* The one way in which results of cuBLASLt become statuses. */
static weir_status check(cublasStatus_t status, const char *call)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return WEIR_OK;
    (void)cudaGetLastError();
    return WEIR_FAIL(status == CUBLAS_STATUS_ALLOC_FAILED ? WEIR_ERR_NOMEM : WEIR_ERR_DEVICE, "cublaslt: %s: %s, %s",
                     call, cublasLtGetStatusName(status), cublasLtGetStatusString(status));
}

weir_status weir_cuda_matmul_open(size_t workspace_bytes, bool tf32, struct weir_cuda_matmul **matmul_out)
{
    struct weir_cuda_matmul *matmul;
    weir_status status = weir_alloc(1, sizeof *matmul, &matmul);
    if (status)
        return status;
    matmul->workspace_bytes = workspace_bytes;
    matmul->tf32 = tf32;
    status = check(cublasLtCreate(&matmul->handle), "cublasLtCreate");
    if (status)
        goto free_matmul;
    status = workspace_bytes ? weir_cuda_check(cudaMalloc(&matmul->workspace, workspace_bytes), "cudaMalloc") : WEIR_OK;
    if (status)
        goto destroy_handle;
    *matmul_out = matmul;
    return WEIR_OK;
destroy_handle:
    cublasLtDestroy(matmul->handle);
free_matmul:
    weir_free(matmul);
    return status;
}

static void plan_release(struct plan *plan)
{
    if (plan->operation)
        cublasLtMatmulDescDestroy(plan->operation);
    cublasLtMatrixLayout_t layouts[] = {plan->a, plan->b, plan->c};
    for (int i = 0; i < 3; i++)
        if (layouts[i])
            cublasLtMatrixLayoutDestroy(layouts[i]);
}

void weir_cuda_matmul_close(struct weir_cuda_matmul *matmul)
{
    if (!matmul)
        return;
    for (size_t i = 0; i < matmul->n_plans; i++)
        plan_release(&matmul->plans[i]);
    weir_free(matmul->plans);
    if (matmul->workspace)
        cudaFree(matmul->workspace);
    cublasLtDestroy(matmul->handle);
    weir_free(matmul);
}

static cudaDataType_t data_type(enum weir_dtype type)
{
    return type == WEIR_DTYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static weir_status operation_set(struct plan *plan, cublasLtMatmulDescAttributes_t what, const void *value, size_t bytes)
{
    return check(cublasLtMatmulDescSetAttribute(plan->operation, what, value, bytes), "cublasLtMatmulDescSetAttribute");
}

static weir_status operation_make(const struct weir_cuda_matmul *matmul, struct plan *plan)
{
    const struct weir_cuda_product *p = &plan->product;
    cublasComputeType_t compute = p->type == WEIR_DTYPE_F32 && matmul->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                            : CUBLAS_COMPUTE_32F;
    cublasOperation_t a = p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, b = p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtEpilogue_t epilogue = p->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    cudaDataType_t bias = data_type(p->type);
    const void *aligned = (const void *)(uintptr_t)ALIGNMENT; /* never read: the choice of an algorithm takes its alignment */
    weir_status status = check(cublasLtMatmulDescCreate(&plan->operation, compute, CUDA_R_32F),
                               "cublasLtMatmulDescCreate");
    if (!status)
        status = operation_set(plan, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a);
    if (!status)
        status = operation_set(plan, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b);
    if (!status)
        status = operation_set(plan, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (!status && p->bias)
        status = operation_set(plan, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias, sizeof bias);
    if (!status && p->bias)
        status = operation_set(plan, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &aligned, sizeof aligned);
    return status;
}

/* A dense row-major matrix (rows, columns) as cuBLASLt sees it: columns x rows. */
static weir_status layout_make(enum weir_dtype type, int64_t rows, int64_t columns, cublasLtMatrixLayout_t *layout)
{
    return check(cublasLtMatrixLayoutCreate(layout, data_type(type), (uint64_t)columns, (uint64_t)rows, columns),
                 "cublasLtMatrixLayoutCreate");
}

static weir_status layouts_make(struct plan *plan)
{
    const struct weir_cuda_product *p = &plan->product;
    weir_status status = layout_make(p->type, p->transpose_b ? p->n : p->k, p->transpose_b ? p->k : p->n, &plan->a);
    if (!status)
        status = layout_make(p->type, p->transpose_a ? p->k : p->m, p->transpose_a ? p->m : p->k, &plan->b);
    return status ? status : layout_make(p->result_type, p->m, p->n, &plan->c);
}

static weir_status preference_make(const struct weir_cuda_matmul *matmul, cublasLtMatmulPreference_t preference)
{
    const uint64_t workspace = matmul->workspace_bytes;
    const uint32_t alignment = ALIGNMENT, reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE; /* "none" is in any mask */
    const struct {
        cublasLtMatmulPreferenceAttributes_t what;
        const void *value;
        size_t bytes;
    } rows[] = {
        {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
        {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &alignment, sizeof alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &alignment, sizeof alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &alignment, sizeof alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &alignment, sizeof alignment},
    };
    weir_status status = WEIR_OK;
    for (size_t i = 0; !status && i < sizeof rows / sizeof *rows; i++)
        status = check(cublasLtMatmulPreferenceSetAttribute(preference, rows[i].what, rows[i].value, rows[i].bytes),
                       "cublasLtMatmulPreferenceSetAttribute");
    return status;
}

static weir_status algorithm_choose(const struct weir_cuda_matmul *matmul, struct plan *plan)
{
    const struct weir_cuda_product *p = &plan->product;
    cublasLtMatmulHeuristicResult_t result;
    cublasLtMatmulPreference_t preference;
    int n = 0;
    weir_status status = check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    if (status)
        return status;
    status = preference_make(matmul, preference);
    if (!status) {
        cublasStatus_t found = cublasLtMatmulAlgoGetHeuristic(matmul->handle, plan->operation, plan->a, plan->b, plan->c,
                                                              plan->c, preference, 1, &result, &n);
        if (found != CUBLAS_STATUS_NOT_SUPPORTED) /* which is how it says that there is none */
            status = check(found, "cublasLtMatmulAlgoGetHeuristic");
    }
    cublasLtMatmulPreferenceDestroy(preference);
    if (status)
        return status;
    if (n < 1 || result.state != CUBLAS_STATUS_SUCCESS)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cublaslt has no algorithm for a product of %" PRId64 " x %" PRId64
                         " x %" PRId64 " in a workspace of %zu bytes: give it more", p->m, p->n, p->k,
                         matmul->workspace_bytes);
    plan->algorithm = result.algo;
    return WEIR_OK;
}

static bool same(const struct weir_cuda_product *p, const struct weir_cuda_product *q)
{
    return p->m == q->m && p->n == q->n && p->k == q->k && p->transpose_a == q->transpose_a &&
           p->transpose_b == q->transpose_b && p->add == q->add && p->bias == q->bias && p->type == q->type &&
           p->result_type == q->result_type;
}

static struct plan *plan_find(const struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product)
{
    for (size_t i = 0; i < matmul->n_plans; i++)
        if (same(&matmul->plans[i].product, product))
            return &matmul->plans[i];
    return NULL;
}

weir_status weir_cuda_matmul_prepare(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product)
{
    if (plan_find(matmul, product))
        return WEIR_OK;
    struct plan plan = {.product = *product};
    weir_status status = weir_grow(&matmul->plans, &matmul->capacity, matmul->n_plans + 1, sizeof *matmul->plans);
    if (!status)
        status = operation_make(matmul, &plan);
    if (!status)
        status = layouts_make(&plan);
    if (!status)
        status = algorithm_choose(matmul, &plan);
    if (status) {
        plan_release(&plan);
        return status;
    }
    matmul->plans[matmul->n_plans++] = plan;
    return WEIR_OK;
}

weir_status weir_cuda_matmul_run(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product, const void *a,
                                 const void *b, const void *bias, const void *addend, void *c, void *stream)
{
    const float one = 1.0f, beta = product->add ? 1.0f : 0.0f;
    weir_status status = weir_cuda_matmul_prepare(matmul, product);
    if (status)
        return status;
    struct plan *plan = plan_find(matmul, product);
    if (product->bias)
        status = operation_set(plan, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    if (status)
        return status;
    return check(cublasLtMatmul(matmul->handle, plan->operation, &one, b, plan->a, a, plan->b, &beta,
                                product->add ? addend : c, plan->c, c, plan->c, &plan->algorithm, matmul->workspace,
                                matmul->workspace_bytes, (cudaStream_t)stream),
                 "cublasLtMatmul");
}
