/* Kernels of the emulation as work of streams. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/stand_ins/cuda_on_cpu/emulation.h"
#include "fake_state.h"

enum { KERNELS = 512 };

/* WEIR_FAKE_LOADING=waits: a kernel that a GPU has not run before is loaded, and that waits for all work on the GPU, as
 * CUDA's lazy loading may.  Kernels are told apart by what runs them, which has their types in it. */
static void kernel_load(int device, const struct weir_emulated_call *call)
{
    static void (*known[WEIR_FAKE_DEVICES][KERNELS])(const void *closure);
    static int n_known[WEIR_FAKE_DEVICES];
    const char *loading = getenv("WEIR_FAKE_LOADING");
    if (!loading || strcmp(loading, "waits") != 0)
        return;
    for (int i = 0; i < n_known[device]; i++)
        if (known[device][i] == call->run)
            return;
    if (n_known[device] < KERNELS)
        known[device][n_known[device]++] = call->run;
    fake_streams_drain(device);
}

/* What WEIR_LAUNCH calls: the call is kept and runs when its stream gets there. */
weir_status weir_emulated_launch(void *stream, const struct weir_emulated_call *call)
{
    cudaStream_t native = stream;
    cudaError_t error = fake_enter();
    if (!error && (!native || native->device != fake_current()))
        error = cudaErrorInvalidResourceHandle;
    struct weir_emulated_call *copy = error ? NULL : malloc(sizeof *copy);
    if (!error && !copy)
        error = cudaErrorMemoryAllocation;
    if (!error) {
        kernel_load(native->device, call);
        *copy = *call;
        fake_issue(native, FAKE_CALL)->launch = copy;
    }
    error = fake_leave(error);
    if (error)
        (void)cudaGetLastError();
    return error ? WEIR_FAIL(WEIR_ERR_DEVICE, "cuda: %s: %s, %s", call->name, cudaGetErrorName(error),
                             cudaGetErrorString(error)) : WEIR_OK;
}

int fake_launch_run(void *launch, char reason_out[FAKE_REASON])
{
    weir_status status = weir_emulated_run(launch);
    if (status)
        snprintf(reason_out, FAKE_REASON, "%s", weir_last_error());
    return status != WEIR_OK;
}

void fake_launch_release(void)
{
    weir_emulated_release();
}
