/* Kernels of the emulation as work of streams. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/stand_ins/cuda_on_cpu/emulation.h"
#include "fake_state.h"

enum { KERNELS = 512 };

static uint64_t known[WEIR_FAKE_DEVICES][KERNELS]; /* guarded by the lock */
static int n_known[WEIR_FAKE_DEVICES];
static int64_t n_launches;
static char last_loaded[64];

/* A kernel that a GPU has not run before is loaded; with WEIR_FAKE_LOADING=waits that waits for all work on the GPU, as
 * CUDA's lazy loading may. */
static void kernel_load(int device, const struct weir_emulated_call *call)
{
    const char *loading = getenv("WEIR_FAKE_LOADING");
    n_launches++;
    for (int i = 0; i < n_known[device]; i++)
        if (known[device][i] == call->kernel)
            return;
    if (n_known[device] == KERNELS)
        abort();
    known[device][n_known[device]++] = call->kernel;
    snprintf(last_loaded, sizeof last_loaded, "%s", call->name);
    if (loading && !strcmp(loading, "waits"))
        fake_streams_drain(device);
}

int weir_fake_loaded(char name_out[64])
{
    int n = 0;
    pthread_mutex_lock(&fake.lock);
    for (int device = 0; device < WEIR_FAKE_DEVICES; device++)
        n += n_known[device];
    memcpy(name_out, last_loaded, sizeof last_loaded);
    pthread_mutex_unlock(&fake.lock);
    return n;
}

void weir_fake_unload(void)
{
    pthread_mutex_lock(&fake.lock);
    memset(n_known, 0, sizeof n_known);
    pthread_mutex_unlock(&fake.lock);
}

int64_t weir_fake_launches(void)
{
    pthread_mutex_lock(&fake.lock);
    int64_t n = n_launches;
    pthread_mutex_unlock(&fake.lock);
    return n;
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
