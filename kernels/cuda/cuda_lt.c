/* cuda_lt.h through cuBLASLt: one description per product, made once and kept.
 *
 * cuBLASLt thinks in columns: its C is our C transposed, so it is given B and A in this order, C' = op(B)' op(A)', and a
 * bias per row of C', which is our bias per column.
 *
 * Candidates are what cuBLASLt's heuristic names for the description, a workspace of a fixed size and pointers that are
 * aligned to 16 bytes, in its order.  Products whose sum over k is split are added in f32 in a separate step
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
#include "kernels/cuda/cuda_lt.h"

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <stdio.h>

#include "base/alloc.h"
#include "kernels/cuda/cuda.h"

enum { ALIGNMENT = 16 };

struct weir_cuda_lt_plan {
    struct weir_cuda_product product;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, c; /* of cuBLASLt's A (our B), B (our A) and C */
    cublasLtMatmulAlgo_t candidates[WEIR_CUDA_CANDIDATES];
};

struct weir_cuda_lt {
    cublasLtHandle_t handle;
    void *workspace;
    size_t workspace_bytes;
    bool tf32;
    char device[256];
};

/* The one way in which results of cuBLASLt become statuses.  What another way of computing a product may still do is
 * WEIR_ERR_UNSUPPORTED; a device that is broken shows in that way's own call. */
static weir_status status_of(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_ALLOC_FAILED:
        return WEIR_ERR_NOMEM;
    case CUBLAS_STATUS_INVALID_VALUE: /* so the heuristic answers to some matrices of one row or column */
    case CUBLAS_STATUS_NOT_SUPPORTED:
    case CUBLAS_STATUS_ARCH_MISMATCH:
    case CUBLAS_STATUS_EXECUTION_FAILED:
    case CUBLAS_STATUS_INTERNAL_ERROR:
        return WEIR_ERR_UNSUPPORTED;
    default:
        return WEIR_ERR_DEVICE;
    }
}

static weir_status check(cublasStatus_t status, const char *call)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return WEIR_OK;
    (void)cudaGetLastError();
    return WEIR_FAIL(status_of(status), "cublaslt: %s: %s, %s", call, cublasLtGetStatusName(status),
                     cublasLtGetStatusString(status));
}

static weir_status device_name(char *name, size_t bytes)
{
    struct cudaDeviceProp properties;
    int device;
    weir_status status = weir_cuda_check(cudaGetDevice(&device), "cudaGetDevice");
    if (!status)
        status = weir_cuda_check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    if (!status)
        snprintf(name, bytes, "%s", properties.name);
    return status;
}

weir_status weir_cuda_lt_open(void *workspace, size_t workspace_bytes, bool tf32, struct weir_cuda_lt **lt_out)
{
    struct weir_cuda_lt *lt;
    weir_status status = weir_alloc(1, sizeof *lt, &lt);
    if (status)
        return status;
    lt->workspace = workspace;
    lt->workspace_bytes = workspace_bytes;
    lt->tf32 = tf32;
    status = device_name(lt->device, sizeof lt->device);
    if (!status)
        status = check(cublasLtCreate(&lt->handle), "cublasLtCreate");
    if (status) {
        weir_free(lt);
        return status;
    }
    *lt_out = lt;
    return WEIR_OK;
}

void weir_cuda_lt_close(struct weir_cuda_lt *lt)
{
    if (!lt)
        return;
    cublasLtDestroy(lt->handle);
    weir_free(lt);
}

const char *weir_cuda_lt_device(const struct weir_cuda_lt *lt)
{
    return lt->device;
}

uint64_t weir_cuda_lt_version(const struct weir_cuda_lt *lt)
{
    (void)lt;
    return cublasLtGetVersion();
}

void weir_cuda_lt_plan_close(struct weir_cuda_lt_plan *plan)
{
    if (!plan)
        return;
    if (plan->operation)
        cublasLtMatmulDescDestroy(plan->operation);
    cublasLtMatrixLayout_t layouts[] = {plan->a, plan->b, plan->c};
    for (int i = 0; i < 3; i++)
        if (layouts[i])
            cublasLtMatrixLayoutDestroy(layouts[i]);
    weir_free(plan);
}

static cudaDataType_t data_type(enum weir_dtype type)
{
    return type == WEIR_DTYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static weir_status operation_set(struct weir_cuda_lt_plan *plan, cublasLtMatmulDescAttributes_t what, const void *value, size_t bytes)
{
    return check(cublasLtMatmulDescSetAttribute(plan->operation, what, value, bytes), "cublasLtMatmulDescSetAttribute");
}

static weir_status operation_make(const struct weir_cuda_lt *lt, struct weir_cuda_lt_plan *plan)
{
    const struct weir_cuda_product *p = &plan->product;
    cublasComputeType_t compute = p->type == WEIR_DTYPE_F32 && lt->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
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

static weir_status layouts_make(struct weir_cuda_lt_plan *plan)
{
    const struct weir_cuda_product *p = &plan->product;
    weir_status status = layout_make(p->type, p->transpose_b ? p->n : p->k, p->transpose_b ? p->k : p->n, &plan->a);
    if (!status)
        status = layout_make(p->type, p->transpose_a ? p->k : p->m, p->transpose_a ? p->m : p->k, &plan->b);
    return status ? status : layout_make(p->result_type, p->m, p->n, &plan->c);
}

static weir_status preference_make(const struct weir_cuda_lt *lt, cublasLtMatmulPreference_t preference)
{
    const uint64_t workspace = lt->workspace_bytes;
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

/* What the heuristic names, in its order; *n_out: how many. */
static weir_status heuristic_ask(const struct weir_cuda_lt *lt, const struct weir_cuda_lt_plan *plan,
                                 cublasLtMatmulHeuristicResult_t results[WEIR_CUDA_CANDIDATES], int *n_out)
{
    cublasLtMatmulPreference_t preference;
    weir_status status = check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    if (status)
        return status;
    status = preference_make(lt, preference);
    if (!status) {
        cublasStatus_t found = cublasLtMatmulAlgoGetHeuristic(lt->handle, plan->operation, plan->a, plan->b, plan->c,
                                                              plan->c, preference, WEIR_CUDA_CANDIDATES, results, n_out);
        if (found == CUBLAS_STATUS_NOT_SUPPORTED) /* which is how it says that there is none */
            *n_out = 0;
        else
            status = check(found, "cublasLtMatmulAlgoGetHeuristic");
    }
    cublasLtMatmulPreferenceDestroy(preference);
    return status;
}

static bool is_accepted(const struct weir_cuda_lt *lt, const struct weir_cuda_lt_plan *plan,
                        const cublasLtMatmulHeuristicResult_t *result)
{
    cublasLtMatmulHeuristicResult_t checked;
    return result->state == CUBLAS_STATUS_SUCCESS &&
           cublasLtMatmulAlgoCheck(lt->handle, plan->operation, plan->a, plan->b, plan->c, plan->c, &result->algo,
                                   &checked) == CUBLAS_STATUS_SUCCESS &&
           checked.workspaceSize <= lt->workspace_bytes;
}

static weir_status candidates_find(const struct weir_cuda_lt *lt, struct weir_cuda_lt_plan *plan, int *n_out)
{
    cublasLtMatmulHeuristicResult_t results[WEIR_CUDA_CANDIDATES];
    int n = 0;
    weir_status status = heuristic_ask(lt, plan, results, &n);
    for (int i = 0; i < n && !status; i++)
        if (is_accepted(lt, plan, &results[i]))
            plan->candidates[(*n_out)++] = results[i].algo;
    return status;
}

weir_status weir_cuda_lt_plan_open(struct weir_cuda_lt *lt, const struct weir_cuda_product *product,
                                   struct weir_cuda_lt_plan **plan_out, int *n_out)
{
    struct weir_cuda_lt_plan *plan;
    int n = 0;
    weir_status status = weir_alloc(1, sizeof *plan, &plan);
    if (status)
        return status;
    plan->product = *product;
    status = operation_make(lt, plan);
    if (!status)
        status = layouts_make(plan);
    if (!status)
        status = candidates_find(lt, plan, &n);
    if (status || n == 0)
        weir_cuda_lt_plan_close(plan);
    if (status)
        return status;
    *n_out = n;
    if (n > 0)
        *plan_out = plan;
    return WEIR_OK;
}

weir_status weir_cuda_lt_run(struct weir_cuda_lt *lt, struct weir_cuda_lt_plan *plan, int candidate,
                             const struct weir_cuda_operands *operands, void *stream)
{
    const float one = 1.0f, beta = plan->product.add ? 1.0f : 0.0f;
    const void *added = plan->product.add ? operands->addend : operands->c;
    weir_status status = WEIR_OK;
    if (plan->product.bias)
        status = operation_set(plan, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &operands->bias, sizeof operands->bias);
    if (status)
        return status;
    return check(cublasLtMatmul(lt->handle, plan->operation, &one, operands->b, plan->a, operands->a, plan->b, &beta, added,
                                plan->c, operands->c, plan->c, &plan->candidates[candidate], lt->workspace,
                                lt->workspace_bytes, (cudaStream_t)stream),
                 "cublasLtMatmul");
}
