/* Memory of the stand-in: every block is a mapping of its own with a page behind it that nobody may touch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_state.h"

static size_t pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static void device_protect(int device, int protection)
{
    for (int i = 0; i < fake.n_ranges; i++)
        if (fake.ranges[i].device == device)
            mprotect(fake.ranges[i].at, fake.ranges[i].mapped, protection);
}

void fake_memory_open(int device)
{
    if (fake.busy[device]++ == 0)
        device_protect(device, PROT_READ | PROT_WRITE);
}

void fake_memory_close(int device)
{
    if (--fake.busy[device] == 0)
        device_protect(device, PROT_NONE);
}

bool fake_find(const void *at, size_t bytes, int *device_out)
{
    for (int i = 0; i < fake.n_ranges; i++) {
        const struct fake_range *range = &fake.ranges[i];
        size_t offset = (size_t)((const char *)at - range->at);
        if ((const char *)at < range->at || offset >= range->mapped)
            continue;
        *device_out = range->device;
        return bytes <= range->bytes && offset <= range->bytes - bytes;
    }
    return false;
}

/* Count what was asked for. */
static void bytes_count(int device, size_t more, size_t less)
{
    int i = device == FAKE_HOST ? WEIR_FAKE_DEVICES : device;
    fake.asked[i] += more - less;
    fake.most_asked[i] = fake.asked[i] > fake.most_asked[i] ? fake.asked[i] : fake.most_asked[i];
}

static cudaError_t range_make(void **pointer, size_t bytes, int device)
{
    size_t mapped = pages(bytes), page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes == 0)
        return *pointer = NULL, cudaSuccess;
    if (fake.n_ranges == FAKE_RANGES || mapped < bytes || mapped > (size_t)1 << 40)
        return cudaErrorMemoryAllocation;
    char *at = mmap(NULL, mapped + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return cudaErrorMemoryAllocation;
    if (mapped < FAKE_FILLED)
        memset(at, 0xff, mapped);
    mprotect(at + mapped, page, PROT_NONE);
    if (device != FAKE_HOST && !fake.busy[device])
        mprotect(at, mapped, PROT_NONE);
    fake.ranges[fake.n_ranges++] = (struct fake_range){at, bytes, mapped, device};
    bytes_count(device, bytes, 0);
    fake.n_open++;
    *pointer = at;
    return cudaSuccess;
}

static cudaError_t range_free(void *pointer, bool host)
{
    int i = 0;
    while (i < fake.n_ranges && fake.ranges[i].at != pointer)
        i++;
    if (!pointer)
        return cudaSuccess;
    if (i == fake.n_ranges || (fake.ranges[i].device == FAKE_HOST) != host)
        return cudaErrorInvalidValue;
    if (!host)
        fake.used[fake.ranges[i].device] -= fake.ranges[i].mapped;
    bytes_count(fake.ranges[i].device, 0, fake.ranges[i].bytes);
    munmap(fake.ranges[i].at, fake.ranges[i].mapped + (size_t)sysconf(_SC_PAGESIZE));
    fake.ranges[i] = fake.ranges[--fake.n_ranges];
    fake.n_open--;
    return cudaSuccess;
}

static size_t device_free(int device)
{
    size_t gone = fake.used[device] + fake.taken[device];
    return gone < fake.machine.device_bytes ? fake.machine.device_bytes - gone : 0;
}

cudaError_t cudaMalloc(void **pointer, size_t bytes)
{
    cudaError_t error = fake_enter();
    int device = fake_current();
    if (!error && (bytes > fake.machine.device_bytes || pages(bytes) > device_free(device)))
        error = cudaErrorMemoryAllocation;
    if (!error)
        error = range_make(pointer, bytes, device);
    if (!error)
        fake.used[device] += pages(bytes);
    return fake_leave(error);
}

/* As CUDA does, both wait for the GPU; memory is released even after a sticky error. */
static cudaError_t free_either(void *pointer, bool host)
{
    int device;
    pthread_mutex_lock(&fake.lock);
    if (pointer && fake_find(pointer, 0, &device))
        for (int d = 0; d < WEIR_FAKE_DEVICES; d++)
            if (d == device || host)
                fake_streams_drain(d);
    cudaError_t error = range_free(pointer, host);
    return fake_leave(fake.sticky ? fake.sticky : error);
}

cudaError_t cudaFree(void *pointer)
{
    return free_either(pointer, false);
}

cudaError_t cudaFreeHost(void *pointer)
{
    return free_either(pointer, true);
}

cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned flags)
{
    cudaError_t error = fake_enter();
    if (!error)
        error = flags == cudaHostAllocPortable ? range_make(pointer, bytes, FAKE_HOST) : cudaErrorInvalidValue;
    return fake_leave(error);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    cudaError_t error = fake_enter();
    if (!error) {
        *total_bytes = fake.machine.device_bytes;
        *free_bytes = device_free(fake_current());
    }
    return fake_leave(error);
}

cudaError_t cudaMemset(void *pointer, int value, size_t bytes)
{
    int device = FAKE_HOST;
    cudaError_t error = fake_enter();
    if (!error && (!fake_find(pointer, bytes, &device) || device == FAKE_HOST))
        error = cudaErrorInvalidValue;
    if (!error) {
        fake_memory_open(device);
        memset(pointer, value, bytes);
        fake_memory_close(device);
    }
    return fake_leave(error);
}

void weir_fake_take(int device, size_t bytes)
{
    pthread_mutex_lock(&fake.lock);
    fake.taken[device] = bytes;
    pthread_mutex_unlock(&fake.lock);
}

size_t weir_fake_bytes(int device, size_t *most_out)
{
    int i = device == FAKE_HOST ? WEIR_FAKE_DEVICES : device;
    pthread_mutex_lock(&fake.lock);
    size_t bytes = fake.asked[i];
    *most_out = fake.most_asked[i];
    pthread_mutex_unlock(&fake.lock);
    return bytes;
}

/* WEIR_FAKE_REPORT=FILE: when the process ends, the most bytes of each GPU that it used are a line of FILE. */
__attribute__((destructor)) static void bytes_report(void)
{
    const char *path = getenv("WEIR_FAKE_REPORT");
    FILE *file = path ? fopen(path, "a") : NULL;
    for (int device = 0; file && device < WEIR_FAKE_DEVICES; device++)
        if (fake.most_asked[device])
            fprintf(file, "cuda:%d %zu\n", device, fake.most_asked[device]);
    if (file)
        fclose(file);
}
