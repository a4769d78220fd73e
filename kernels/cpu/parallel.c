#include "kernels/cpu/parallel.h"

#include "base/alloc.h"
#include "kernels/cpu/matmul.h"

#ifdef _OPENMP
#include <omp.h>

static void run_threads(int n_threads, int64_t n_tasks, weir_loop_fn fn, const void *argument)
{
#pragma omp parallel for num_threads(n_threads) schedule(static)
    for (int64_t task = 0; task < n_tasks; task++)
        fn(argument, task, omp_get_thread_num());
}
#endif

void weir_parallel(const struct weir_kernel_context *context, int64_t n_tasks, weir_loop_fn fn, const void *argument)
{
#ifdef _OPENMP
    if (context->n_threads > 1 && n_tasks > 1) {
        run_threads(context->n_threads, n_tasks, fn, argument);
        return;
    }
#else
    (void)context;
#endif
    for (int64_t task = 0; task < n_tasks; task++)
        fn(argument, task, 0);
}

weir_status weir_kernel_context_open(int n_threads, struct weir_kernel_context **context_out)
{
    if (n_threads < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a rank computes with %d threads, it needs at least 1", n_threads);
    struct weir_kernel_context *context;
    weir_status status = weir_alloc(1, sizeof *context, &context);
    if (status)
        return status;
    context->n_threads = n_threads;
    status = weir_matmul_open(n_threads, &context->matmul);
    if (status) {
        weir_free(context);
        return status;
    }
    *context_out = context;
    return WEIR_OK;
}

void weir_kernel_context_close(struct weir_kernel_context *context)
{
    if (!context)
        return;
    weir_matmul_close(context->matmul);
    weir_free(context);
}
