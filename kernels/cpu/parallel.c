#include "kernels/cpu/parallel.h"

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
