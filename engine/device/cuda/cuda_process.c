/* What all cuda devices of a process share: the environment CUDA starts with, hardware queues, peers.
 *
 * This is global state, and has to be: CUDA has one context per GPU and process. */
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "engine/device/cuda/cuda_device.h"
#include "kernels/cuda/cuda.h"

enum { MOST_DEVICES = 64, MOST_QUEUES = 32 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int n_queues;                /* per GPU; written once */
static int n_taken[MOST_DEVICES];   /* guarded by lock */

/* CUDA deals streams out to CUDA_DEVICE_MAX_CONNECTIONS hardware queues (8 by default, 32 at most), which it reads when it
 * starts, in whatever library starts it; an MPI that knows of GPUs does when it is initialized.  Two streams in one queue wait for each other, so each gets its own. */
static void process_start(void)
{
    int64_t n;
    setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
    n_queues = weir_parse_int64(getenv("CUDA_DEVICE_MAX_CONNECTIONS"), &n) && n >= 1 && n <= MOST_QUEUES ? (int)n : 8;
}

void weir_cuda_process_start(void)
{
    pthread_once(&once, process_start);
}

weir_status weir_cuda_count(int *n_devices_out)
{
    int n = 0;
    weir_cuda_process_start();
    cudaError_t error = cudaGetDeviceCount(&n);
    if (error != cudaSuccess || n == 0) {
        (void)cudaGetLastError(); /* a handled error must not be found by the next check */
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "no CUDA device: %s: use " WEIR_OPTION("device=cpu"),
                         error == cudaSuccess ? "the driver shows none" : cudaGetErrorString(error));
    }
    *n_devices_out = n < MOST_DEVICES ? n : MOST_DEVICES;
    return WEIR_OK;
}

weir_status weir_cuda_result(const struct weir_cuda_device *device, cudaError_t error, const char *call)
{
    weir_status status = weir_cuda_check((int)error, call);
    return status ? weir_error_prefix(status, "device 'cuda:%d': ", device->index) : WEIR_OK;
}

void weir_cuda_released(struct weir_cuda_device *device, cudaError_t error, const char *call)
{
    if (!weir_cuda_result(device, error, call) || device->is_broken)
        return;
    device->is_broken = true;
    weir_log(WEIR_LOG_WARN, "%s", weir_last_error());
}

weir_status weir_cuda_here(const struct weir_cuda_device *device)
{
    return weir_process_check(device->process, "a device of kind 'cuda'");
}

weir_status weir_cuda_enter(const struct weir_cuda_device *device)
{
    weir_status status = weir_cuda_here(device);
    return status ? status : weir_cuda_result(device, cudaSetDevice(device->index), "cudaSetDevice");
}

weir_status weir_cuda_queues_take(int index, int n)
{
    pthread_mutex_lock(&lock);
    bool free = n_taken[index] + n <= n_queues;
    n_taken[index] += free ? n : 0;
    pthread_mutex_unlock(&lock);
    if (free)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED,
                     "device 'cuda:%d' has %d queues and all have a stream: raise CUDA_DEVICE_MAX_CONNECTIONS (32 at most), or "
                     "put fewer ranks on it",
                     index, n_queues);
}

void weir_cuda_queues_give(int index, int n)
{
    pthread_mutex_lock(&lock);
    n_taken[index] -= n;
    pthread_mutex_unlock(&lock);
}

weir_status weir_cuda_connect(int index, int peer)
{
    int can = 0;
    if (index == peer)
        return WEIR_OK;
    weir_status status = weir_cuda_check((int)cudaDeviceCanAccessPeer(&can, index, peer), "cudaDeviceCanAccessPeer");
    if (!status && !can)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED,
                         "device 'cuda:%d' cannot reach the memory of 'cuda:%d': give each a process (mpirun, "
                         WEIR_OPTION("transport=nccl") "), or put the stages on one of them (" WEIR_OPTION("device=cuda:%d") ")", index, peer, index);
    if (!status)
        status = weir_cuda_check((int)cudaSetDevice(index), "cudaSetDevice");
    if (status)
        return status;
    cudaError_t error = cudaDeviceEnablePeerAccess(peer, 0);
    if (error == cudaErrorPeerAccessAlreadyEnabled) {
        (void)cudaGetLastError(); /* a handled error must not be found by the next check */
        return WEIR_OK;
    }
    return weir_cuda_check((int)error, "cudaDeviceEnablePeerAccess");
}
