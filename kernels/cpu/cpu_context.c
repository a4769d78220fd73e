/* What the kernels of a rank keep: its team of threads and its products. */
#include <pthread.h>

#include "base/alloc.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/parallel.h"

/* A thread's first allocation reserves addresses for its later ones. */
static void allocator_start(const void *argument, int64_t task, int thread)
{
    char *byte;
    (void)argument;
    (void)task;
    (void)thread;
    if (weir_alloc(1, 1, &byte) == WEIR_OK)
        weir_free(byte);
}

/* libgomp ends the process when it cannot start a thread, so the calling thread's team starts here, where there is room for
 * its stacks. */
static weir_status team_start(const struct weir_kernel_context *context)
{
    pthread_attr_t attributes;
    size_t stack = 0;
    if (context->n_threads == 1 || pthread_getattr_default_np(&attributes) != 0)
        return WEIR_OK;
    pthread_attr_getstacksize(&attributes, &stack);
    pthread_attr_destroy(&attributes);
    size_t stacks = (size_t)context->n_threads * stack; /* one more than are started: for what comes with them */
    weir_status status = weir_room_enter(stacks);
    if (status)
        return weir_error_prefix(status, "stacks of %d threads: ", context->n_threads);
    weir_parallel(context, context->n_threads, allocator_start, NULL);
    weir_room_leave(stacks);
    return WEIR_OK;
}

static weir_status context_make(int n_threads, struct weir_kernel_context **context_out)
{
    struct weir_kernel_context *context;
    weir_status status = weir_alloc(1, sizeof *context, &context);
    if (status)
        return status;
    context->n_threads = n_threads;
    status = team_start(context);
    if (!status)
        status = weir_matmul_open(n_threads, &context->matmul);
    if (status) {
        weir_free(context);
        return status;
    }
    *context_out = context;
    return WEIR_OK;
}

/* One at a time: threads that start at once would take the room that each other was told of. */
weir_status weir_kernel_context_open(int n_threads, struct weir_kernel_context **context_out)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (n_threads < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a rank computes with %d threads, it needs at least 1", n_threads);
    pthread_mutex_lock(&lock);
    weir_status status = context_make(n_threads, context_out);
    pthread_mutex_unlock(&lock);
    return status;
}

void weir_kernel_context_close(struct weir_kernel_context *context)
{
    if (!context)
        return;
    weir_matmul_close(context->matmul);
    weir_free(context);
}

bool weir_cpu_multiplies_bf16(void)
{
    return weir_matmul_has_bf16();
}
