#include "tests/support/device_calls.h"

#include <stdlib.h>

#include "tests/support/testing.h"
#include "weir_libraries.h"

#if WEIR_HAVE_CUDA || defined(WEIR_CUDA_EMULATED)
#include <cuda_runtime_api.h>

struct host_call {
    weir_task_fn fn;
    void *argument;
};

static void host_call(void *argument)
{
    struct host_call *call = argument;
    (void)call->fn(call->argument);
    free(call);
}

static weir_status enqueue(const struct weir_op_call *call, void *stream)
{
    struct host_call *copy = malloc(sizeof *copy);
    if (!copy)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory");
    *copy = *(const struct host_call *)call->attr;
    if (cudaLaunchHostFunc(stream, host_call, copy) == cudaSuccess)
        return WEIR_OK;
    free(copy);
    return WEIR_FAIL(WEIR_ERR_DEVICE, "cudaLaunchHostFunc failed");
}
#else
static weir_status enqueue(const struct weir_op_call *call, void *stream)
{
    (void)call;
    (void)stream;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "this build has no kind without tasks");
}
#endif

static weir_status refuse(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return (*(const weir_task_fn *)call->attr)(NULL);
}

static weir_status launch(const struct weir_device_kind *kind, weir_stream *stream, weir_kernel_fn fn, const void *attr)
{
    struct weir_op_call call = {.attr = attr};
    return kind->launch(stream, fn, &call);
}

weir_status testing_stream_call(const struct weir_device_kind *kind, weir_stream *stream, weir_task_fn fn, void *argument)
{
    if (kind->flags & WEIR_DEVICE_TASKS)
        return kind->run(stream, fn, argument);
    struct {
        weir_task_fn fn;
        void *argument;
    } call = {fn, argument};
    return launch(kind, stream, enqueue, &call);
}

weir_status testing_stream_fail(const struct weir_device_kind *kind, weir_stream *stream, weir_task_fn fn)
{
    return kind->flags & WEIR_DEVICE_TASKS ? kind->run(stream, fn, NULL) : launch(kind, stream, refuse, &fn);
}

bool testing_device_there(const struct weir_device_kind *kind, int *n_devices_out)
{
    if (kind->flags & WEIR_DEVICE_DRY) {
        print_message("skipped: %s: it computes nothing\n", kind->name);
        return false;
    }
    if (kind->count(n_devices_out) == WEIR_OK)
        return true;
    print_message("skipped: %s: %s\n", kind->name, weir_last_error());
    return false;
}
