/* Products: which of the three ways, and with which algorithm.  cuda_matmul.h has the idea.
 *
 * A plan is made by the first run of its product: ways are tried from the first to the last, and within a way the candidates,
 * until one can be enqueued.  Only WEIR_ERR_UNSUPPORTED moves on: other failures are the run's.  What cannot be enqueued has changed nothing, so the trial is the run itself, also of a product
 * that adds to its own result. */
#include "kernels/cuda/cuda_matmul.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/log.h"
#include "kernels/cuda/cuda_choices.h"
#include "kernels/cuda/cuda_lt.h"
#include "kernels/cuda/launchers.h"

struct plan {
    struct weir_cuda_product product;
    struct weir_cuda_decision decision;
    struct weir_cuda_lt_plan *lt; /* NULL: plain */
};

struct weir_cuda_matmul {
    struct weir_cuda_lt *lt;
    bool tf32;
    const struct weir_cuda_choice *choices;
    struct plan *plans; /* [n_plans], in the order in which they were made */
    size_t n_plans, capacity;
};

weir_status weir_cuda_matmul_open(void *workspace, size_t workspace_bytes, bool tf32, const struct weir_cuda_choice *choices,
                                  struct weir_cuda_matmul **matmul_out)
{
    struct weir_cuda_matmul *matmul;
    weir_status status = weir_alloc(1, sizeof *matmul, &matmul);
    if (status)
        return status;
    matmul->tf32 = tf32;
    matmul->choices = choices;
    status = weir_cuda_lt_open(workspace, workspace_bytes, tf32, &matmul->lt);
    if (status) {
        weir_free(matmul);
        return status;
    }
    *matmul_out = matmul;
    return WEIR_OK;
}

void weir_cuda_matmul_close(struct weir_cuda_matmul *matmul)
{
    if (!matmul)
        return;
    for (size_t i = 0; i < matmul->n_plans; i++)
        weir_cuda_lt_plan_close(matmul->plans[i].lt);
    weir_free(matmul->plans);
    weir_cuda_lt_close(matmul->lt);
    weir_free(matmul);
}

static struct plan *plan_find(const struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product)
{
    for (size_t i = 0; i < matmul->n_plans; i++)
        if (weir_cuda_product_same(&matmul->plans[i].product, product))
            return &matmul->plans[i];
    return NULL;
}

bool weir_cuda_matmul_decision(const struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product,
                               struct weir_cuda_decision *decision_out)
{
    const struct plan *plan = plan_find(matmul, product);
    if (plan)
        *decision_out = plan->decision;
    return plan != NULL;
}

static weir_status plan_run(struct weir_cuda_matmul *matmul, const struct plan *plan,
                            const struct weir_cuda_operands *operands, void *stream)
{
    const struct weir_cuda_product *p = &plan->product;
    if (plan->decision.way == WEIR_CUDA_PLAIN)
        return weir_launch_product(p, operands, stream);
    weir_status status = weir_cuda_lt_run(matmul->lt, plan->lt, plan->decision.candidate, operands, stream);
    if (status || plan->decision.way == WEIR_CUDA_FUSED)
        return status;
    return weir_launch_row_bias(p->type, p->m, p->n, operands->bias, operands->c, stream);
}

/* ---- choosing -------------------------------------------------------------------------------------------------------- */

static weir_status candidates_try(struct weir_cuda_matmul *matmul, struct plan *plan, int first, int n,
                                  const struct weir_cuda_operands *operands, void *stream)
{
    weir_status status = WEIR_ERR_UNSUPPORTED;
    for (int i = first < 0 || first >= n ? 0 : -1; i < n && status == WEIR_ERR_UNSUPPORTED; i++) {
        plan->decision.candidate = i < 0 ? first : i;
        status = plan_run(matmul, plan, operands, stream);
    }
    return status;
}

/* One way of the library's, run once. */
static weir_status way_try(struct weir_cuda_matmul *matmul, struct plan *plan, enum weir_cuda_way way,
                           const struct weir_cuda_operands *operands, void *stream)
{
    struct weir_cuda_product asked = plan->product;
    int n = 0;
    asked.bias = asked.bias && way == WEIR_CUDA_FUSED;
    plan->decision = (struct weir_cuda_decision){way, 0};
    weir_status status = weir_cuda_lt_plan_open(matmul->lt, &asked, &plan->lt, &n);
    if (status)
        return status;
    if (n == 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cublaslt names no algorithm");
    int first = weir_cuda_choice_find(matmul->choices, weir_cuda_lt_device(matmul->lt), weir_cuda_lt_version(matmul->lt),
                                      matmul->tf32, &asked);
    status = candidates_try(matmul, plan, first, n, operands, stream);
    if (status) {
        weir_cuda_lt_plan_close(plan->lt);
        plan->lt = NULL;
    }
    return status;
}

static void refusal_tell(const struct weir_cuda_product *p, const char *instead)
{
    weir_log(WEIR_LOG_WARN, "a product of %" PRId64 " x %" PRId64 " x %" PRId64 "%s is computed %s: %s", p->m, p->n, p->k,
             p->bias ? " with a bias" : "", instead, weir_last_error());
}

static weir_status ways_try(struct weir_cuda_matmul *matmul, struct plan *plan, const struct weir_cuda_operands *operands,
                            void *stream)
{
    const struct weir_cuda_product *p = &plan->product;
    weir_status status = way_try(matmul, plan, WEIR_CUDA_FUSED, operands, stream);
    if (status == WEIR_ERR_UNSUPPORTED && p->bias) {
        refusal_tell(p, "without it first");
        status = way_try(matmul, plan, WEIR_CUDA_APART, operands, stream);
    }
    if (status != WEIR_ERR_UNSUPPORTED)
        return status;
    refusal_tell(p, "by a plain kernel, which is slow");
    plan->decision = (struct weir_cuda_decision){WEIR_CUDA_PLAIN, 0};
    return plan_run(matmul, plan, operands, stream);
}

static weir_status product_check(const struct weir_cuda_product *p)
{
    bool types = p->type == p->result_type || (p->type == WEIR_DTYPE_BF16 && p->result_type == WEIR_DTYPE_F32 && !p->bias);
    if (p->m < 1 || p->n < 1 || p->k < 1 || (p->add && p->bias) || !types)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "a matrix product is described wrongly");
    return WEIR_OK;
}

weir_status weir_cuda_matmul_run(struct weir_cuda_matmul *matmul, const struct weir_cuda_product *product,
                                 const struct weir_cuda_operands *operands, void *stream)
{
    const struct plan *known = plan_find(matmul, product);
    if (known)
        return plan_run(matmul, known, operands, stream);
    struct plan plan = {.product = *product};
    weir_status status = product_check(product);
    if (!status)
        status = weir_grow(&matmul->plans, &matmul->capacity, matmul->n_plans + 1, sizeof *matmul->plans);
    if (!status)
        status = ways_try(matmul, &plan, operands, stream);
    if (!status)
        matmul->plans[matmul->n_plans++] = plan;
    return status;
}
