/* Memory of the cuda device. */
#include <string.h>

#include "engine/device/cuda/cuda_device.h"

enum { ALIGNMENT = 256 };

/* CUDA gives no memory for a request of 0 bytes. */
static size_t rounded(size_t bytes)
{
    return bytes > SIZE_MAX - ALIGNMENT ? SIZE_MAX : bytes == 0 ? ALIGNMENT : bytes;
}

/* Zeroed before the call returns: streams do not wait for the default stream that does it. */
static weir_status memory_zero(const struct weir_cuda_device *device, void *memory, size_t bytes)
{
    weir_status status = weir_cuda_result(device, cudaMemset(memory, 0, bytes), "cudaMemset");
    return status ? status : weir_cuda_result(device, cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

weir_status weir_cuda_memory_alloc(struct weir_cuda_device *device, size_t bytes, void **memory_out)
{
    void *memory;
    weir_status status = weir_cuda_enter(device);
    if (!status)
        status = weir_cuda_result(device, cudaMalloc(&memory, rounded(bytes)), "cudaMalloc");
    if (status)
        return status == WEIR_ERR_NOMEM ? weir_error_prefix(status, "%zu bytes: ", bytes) : status;
    status = memory_zero(device, memory, rounded(bytes));
    if (status) {
        (void)cudaFree(memory);
        return status;
    }
    device->n_blocks++;
    *memory_out = memory;
    return WEIR_OK;
}

void weir_cuda_memory_free(struct weir_cuda_device *device, void *memory)
{
    if (!memory)
        return;
    device->n_blocks--;
    weir_cuda_released(device, cudaFree(memory), "cudaFree");
}

weir_status weir_cuda_memory_info(struct weir_cuda_device *device, size_t *free_out, size_t *total_out)
{
    size_t free_bytes, total_bytes;
    weir_status status = weir_cuda_enter(device);
    if (!status)
        status = weir_cuda_result(device, cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
    if (status)
        return status;
    *free_out = free_bytes;
    *total_out = total_bytes;
    return WEIR_OK;
}

/* Portable: pinned for all GPUs of the process. */
weir_status weir_cuda_host_alloc(struct weir_cuda_device *device, size_t bytes, void **memory_out)
{
    void *memory;
    weir_status status = weir_cuda_enter(device);
    if (!status)
        status = weir_cuda_result(device, cudaHostAlloc(&memory, rounded(bytes), cudaHostAllocPortable), "cudaHostAlloc");
    if (status)
        return status == WEIR_ERR_NOMEM ? weir_error_prefix(status, "%zu bytes of pinned host memory: ", bytes) : status;
    memset(memory, 0, bytes);
    device->n_blocks++;
    *memory_out = memory;
    return WEIR_OK;
}

void weir_cuda_host_free(struct weir_cuda_device *device, void *memory)
{
    if (!memory)
        return;
    device->n_blocks--;
    weir_cuda_released(device, cudaFreeHost(memory), "cudaFreeHost");
}
