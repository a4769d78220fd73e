/* Kernel state of one rank on the CPU, and loops over its threads.
 *
 * A kernel cuts its work into tasks that do not depend on the number of threads and whose results do not depend on each
 * other; each is done by one thread.  With n_threads == 1 the tasks run in order on the caller and no OpenMP region is
 * entered.  Only builds with gcc have more than one thread here (one OpenMP pool per process: libgomp, which oneDNN uses
 * too); built with clang or under a sanitizer the loops stay on the caller. */
#ifndef WEIR_KERNELS_CPU_PARALLEL_H
#define WEIR_KERNELS_CPU_PARALLEL_H

#include "include/weir/op.h"

struct weir_matmul;

struct weir_kernel_context {
    int n_threads;
    struct weir_matmul *matmul;
};

/* One task; `thread` is 0..n_threads-1 and names the scratch it may use. */
typedef void (*weir_loop_fn)(const void *argument, int64_t task, int thread);

void weir_parallel(const struct weir_kernel_context *context, int64_t n_tasks, weir_loop_fn fn, const void *argument);

/* Element-wise work is cut into tasks of this many elements. */
enum { WEIR_TASK_ELEMENTS = 16384 };

static inline int64_t weir_task_count(int64_t n, int64_t per_task)
{
    return (n + per_task - 1) / per_task;
}

/* Elements of task `task`: the last one is shorter. */
static inline int64_t weir_task_size(int64_t n, int64_t per_task, int64_t task)
{
    int64_t left = n - task * per_task;
    return left < per_task ? left : per_task;
}

#endif
