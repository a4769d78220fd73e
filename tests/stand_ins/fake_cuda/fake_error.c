/* Errors of the stand-in, devices, and what the tests set. */
#include <stdarg.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "fake_state.h"

struct fake_state fake = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
    .machine = {.n_devices = 4, .device_bytes = (size_t)4 << 30, .peers = 1, .seed = 1},
    .fail_at = -1,
};

static __thread int current;
static __thread cudaError_t last;

static const struct {
    cudaError_t error;
    const char *name, *text;
} names[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorPeerAccessUnsupported, "cudaErrorPeerAccessUnsupported", "peer access is not supported between these two devices"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorPeerAccessAlreadyEnabled, "cudaErrorPeerAccessAlreadyEnabled", "peer access is already enabled"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

static size_t name_at(cudaError_t error)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].error == error)
            return i;
    return sizeof names / sizeof *names - 1;
}

const char *cudaGetErrorName(cudaError_t error)
{
    return names[name_at(error)].name;
}

const char *cudaGetErrorString(cudaError_t error)
{
    return names[name_at(error)].text;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last;
    last = cudaSuccess;
    return error;
}

int fake_current(void)
{
    return current;
}

unsigned fake_draw(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*random >> 40);
}

/* The thread loses its turn now and then, and sometimes for up to 100 microseconds: with the lock, which it gives up. */
static void caller_delay(void)
{
    static __thread uint64_t random;
    if (!random)
        random = fake.machine.seed * 1000 + ++fake.n_callers;
    unsigned draw = fake_draw(&random);
    pthread_mutex_unlock(&fake.lock);
    if (draw % 4 == 0)
        sched_yield();
    if (draw % 32 == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(draw % 100000)}, NULL);
    pthread_mutex_lock(&fake.lock);
}

cudaError_t fake_enter(void)
{
    pthread_mutex_lock(&fake.lock);
    if (fake.machine.mode == WEIR_FAKE_RANDOM)
        caller_delay();
    int64_t call = fake.n_calls++;
    if (fake.sticky)
        return fake.sticky;
    if (call != fake.fail_at)
        return cudaSuccess;
    if (fake.fail_sticky)
        fake.sticky = fake.fail_with;
    return fake.fail_with;
}

cudaError_t fake_leave(cudaError_t error)
{
    if (error)
        last = error;
    pthread_mutex_unlock(&fake.lock);
    return error;
}

void fake_break(cudaError_t error, const char *format, ...)
{
    va_list arguments;
    if (fake.sticky)
        return;
    va_start(arguments, format);
    vsnprintf(fake.reason, sizeof fake.reason, format, arguments);
    va_end(arguments);
    fake.sticky = error;
}

void fake_reason_set(const char *format, ...)
{
    va_list arguments;
    if (*fake.reason)
        return;
    va_start(arguments, format);
    vsnprintf(fake.reason, sizeof fake.reason, format, arguments);
    va_end(arguments);
}

/* ---- devices ------------------------------------------------------------------------------------------------------- */

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    cudaError_t error = fake_enter();
    if (!error && fake.machine.n_devices == 0)
        error = cudaErrorInsufficientDriver;
    if (!error)
        *count = fake.machine.n_devices;
    return fake_leave(error);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    cudaError_t error = fake_enter();
    if (!error && (device < 0 || device >= fake.machine.n_devices))
        error = cudaErrorInvalidDevice;
    if (!error) {
        *properties = (struct cudaDeviceProp){.totalGlobalMem = fake.machine.device_bytes, .major = 9, .multiProcessorCount = 1};
        snprintf(properties->name, sizeof properties->name, "stand-in");
    }
    return fake_leave(error);
}

cudaError_t cudaSetDevice(int device)
{
    cudaError_t error = fake_enter();
    if (!error && (device < 0 || device >= fake.machine.n_devices))
        error = cudaErrorInvalidDevice;
    if (!error)
        current = device;
    return fake_leave(error);
}

cudaError_t cudaDeviceSynchronize(void)
{
    cudaError_t error = fake_enter();
    if (!error)
        fake_streams_drain(current);
    return fake_leave(error ? error : fake.sticky);
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer)
{
    cudaError_t error = fake_enter();
    if (!error && (device < 0 || device >= fake.machine.n_devices || peer < 0 || peer >= fake.machine.n_devices))
        error = cudaErrorInvalidDevice;
    if (!error)
        *can = fake.machine.peers && device != peer;
    return fake_leave(error);
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags)
{
    cudaError_t error = fake_enter();
    if (!error && (peer < 0 || peer >= fake.machine.n_devices || flags))
        error = cudaErrorInvalidDevice;
    if (!error && (peer == current || !fake.machine.peers))
        error = cudaErrorPeerAccessUnsupported;
    if (!error && fake.reaches[current][peer])
        error = cudaErrorPeerAccessAlreadyEnabled;
    if (!error)
        fake.reaches[current][peer] = true;
    return fake_leave(error);
}

/* ---- the environment ----------------------------------------------------------------------------------------------- */

static int64_t variable_read(const char *name, int64_t otherwise, int64_t most)
{
    const char *text = getenv(name);
    int64_t value = otherwise;
    if (text && (!weir_parse_int64(text, &value) || value < 0 || value > most)) {
        fprintf(stderr, "%s: '%s' is not a number from 0 to %lld\n", name, text, (long long)most);
        _Exit(2);
    }
    return value;
}

__attribute__((constructor)) static void machine_read(void)
{
    static const char *const modes[] = {"eager", "random", "lazy"};
    const char *mode = getenv("WEIR_FAKE_MODE");
    fake.machine.n_devices = (int)variable_read("WEIR_FAKE_GPUS", fake.machine.n_devices, WEIR_FAKE_DEVICES);
    fake.machine.device_bytes = (size_t)variable_read("WEIR_FAKE_MEMORY", 4096, 1 << 20) << 20;
    fake.machine.seed = (uint64_t)variable_read("WEIR_FAKE_SEED", 1, INT64_MAX);
    if (getenv("CUDA_VISIBLE_DEVICES")) { /* as of a launcher that gives each process one */
        fake.first_number = (int)variable_read("CUDA_VISIBLE_DEVICES", 0, WEIR_FAKE_DEVICES - 1);
        fake.machine.n_devices = fake.first_number < fake.machine.n_devices;
    }
    for (int i = 0; mode && i < 3; i++)
        if (!strcmp(mode, modes[i])) {
            fake.machine.mode = (enum weir_fake_mode)i;
            mode = NULL;
        }
    if (mode) {
        fprintf(stderr, "WEIR_FAKE_MODE: '%s' is none of eager, random, lazy\n", mode);
        _Exit(2);
    }
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

void weir_fake_machine_set(const struct weir_fake_machine *machine)
{
    pthread_mutex_lock(&fake.lock);
    fake.machine = *machine;
    memset(fake.reaches, 0, sizeof fake.reaches);
    memset(fake.taken, 0, sizeof fake.taken);
    memcpy(fake.most_asked, fake.asked, sizeof fake.asked);
    fake.sticky = cudaSuccess;
    fake.fail_at = -1;
    fake.reason[0] = 0;
    last = cudaSuccess;
    pthread_mutex_unlock(&fake.lock);
}

void weir_fake_fail(int64_t k, int error, int sticky)
{
    pthread_mutex_lock(&fake.lock);
    fake.n_calls = 0;
    fake.fail_at = k;
    fake.fail_with = (cudaError_t)error;
    fake.fail_sticky = sticky;
    fake.sticky = cudaSuccess;
    last = cudaSuccess;
    pthread_mutex_unlock(&fake.lock);
}

int64_t weir_fake_calls(void)
{
    pthread_mutex_lock(&fake.lock);
    int64_t n = fake.n_calls;
    pthread_mutex_unlock(&fake.lock);
    return n;
}

int weir_fake_open(void)
{
    pthread_mutex_lock(&fake.lock);
    int n = fake.n_open;
    pthread_mutex_unlock(&fake.lock);
    return n;
}

const char *weir_fake_reason(void)
{
    return fake.reason;
}
