/* The built-ins of CUDA C++ for a C++ compiler, on top of emulation.h.  Only .cu files see it, through <cuda_runtime.h>. */
#ifndef WEIR_TESTS_EMULATED_DEVICE_H
#define WEIR_TESTS_EMULATED_DEVICE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "emulation.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

#define threadIdx (weir_emulated_now->thread)
#define blockIdx (weir_emulated_now->block)
#define blockDim (weir_emulated_now->block_size)
#define gridDim (weir_emulated_now->grid)

/* ---- barriers, votes, shuffles ------------------------------------------------------------------------------------- */

#define __syncthreads() ((void)weir_emulated_barrier(false, __FILE__, __LINE__))
#define __syncthreads_or(say) ((int)weir_emulated_barrier((say) != 0, __FILE__, __LINE__))
#define WEIR_EMULATED_EXCHANGE(what, mask, value) ((unsigned)weir_emulated_exchange(what, mask, value, 0, __FILE__, __LINE__))
#define __syncwarp(...) ((void)WEIR_EMULATED_EXCHANGE(WEIR_WAIT_SYNCWARP, weir_emulated_mask(__VA_ARGS__), 0))
#define __ballot_sync(mask, say) WEIR_EMULATED_EXCHANGE(WEIR_WAIT_VOTE, mask, (say) != 0)
#define __any_sync(mask, say) (__ballot_sync(mask, say) != 0)
#define __all_sync(mask, say) (__ballot_sync(mask, say) == (mask))
#define __shfl_sync(mask, value, lane) weir_emulated_shuffle(mask, value, (unsigned)(lane), __FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, lanes) \
    weir_emulated_shuffle(mask, value, weir_emulated_now->lane ^ (unsigned)(lanes), __FILE__, __LINE__)
#define __shfl_down_sync(mask, value, lanes) \
    weir_emulated_shuffle(mask, value, weir_emulated_below(weir_emulated_now->lane + (unsigned)(lanes)), __FILE__, __LINE__)

static inline unsigned weir_emulated_mask(unsigned mask = 0xffffffffu)
{
    return mask;
}

static inline unsigned weir_emulated_below(unsigned lane)
{
    return lane < WEIR_EMULATED_WARP ? lane : weir_emulated_now->lane;
}

template <typename T>
static inline T weir_emulated_shuffle(unsigned mask, T value, unsigned source, const char *file, int line)
{
    uint64_t bits = 0;
    static_assert(sizeof value <= sizeof bits, "shuffles move 8 bytes at most");
    memcpy(&bits, &value, sizeof value);
    bits = weir_emulated_exchange(WEIR_WAIT_SHUFFLE, mask, bits, source, file, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- shared memory ------------------------------------------------------------------------------------------------- */

/* One element, on its way to be read or written. */
template <typename T> struct weir_emulated_element {
    T *value;
    weir_emulated_log *log;
    size_t index;

    operator T() const
    {
        weir_emulated_access(log, index, false);
        return *value;
    }
    T operator=(T x) const
    {
        weir_emulated_access(log, index, true);
        return *value = x;
    }
    T operator=(const weir_emulated_element &other) const
    {
        return *this = (T)other;
    }
    T operator+=(T x) const
    {
        return *this = (T)*this + x;
    }
};

/* One per thread that runs kernels, which is why it holds a pointer: a thread's own variables lie on its stack. */
template <typename T, size_t N> struct weir_emulated_array {
    struct storage {
        uint64_t block_serial;
        T values[N];
        weir_emulated_log logs[N];
    };
    void *kept;

    weir_emulated_element<T> operator[](size_t i)
    {
        storage *s = static_cast<storage *>(kept ? kept : weir_emulated_keep(&kept, sizeof(storage)));
        if (s->block_serial != weir_emulated_now->block_serial) {
            memset(s->values, 0xff, sizeof s->values);
            s->block_serial = weir_emulated_now->block_serial;
        }
        if (i >= N)
            weir_emulated_fault("thread %u uses element %zu of a shared array of %zu", weir_emulated_now->index, i, N);
        return weir_emulated_element<T>{&s->values[i], &s->logs[i], i};
    }
};

/* ---- arithmetic ---------------------------------------------------------------------------------------------------- */

static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

/* The position of the lowest set bit, from 1; 0 when there is none. */
static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}

template <typename T> static inline T __ldg(const T *x)
{
    return *x;
}

/* ---- launching ----------------------------------------------------------------------------------------------------- */

/* The closure is the kernel's address and its arguments by value, copied as bytes. */
template <typename Kernel, typename... Args>
static inline weir_status weir_emulate(const char *name, Kernel kernel, dim3 grid, unsigned block, void *stream,
                                       Args... args)
{
    auto thread = [=]() { kernel(args...); };
    typedef decltype(thread) Thread;
    weir_emulated_call call;
    static_assert(sizeof thread <= sizeof call.closure && alignof(Thread) <= alignof(uint64_t), "too many arguments");
    static_assert(__is_trivially_copyable(Thread), "arguments of kernels are plain data");
    call.name = name;
    call.kernel = reinterpret_cast<uint64_t>(kernel);
    call.grid[0] = grid.x, call.grid[1] = grid.y, call.grid[2] = grid.z;
    call.block[0] = block, call.block[1] = call.block[2] = 1;
    call.run = [](const void *closure) { (*static_cast<const Thread *>(closure))(); };
    memset(call.closure, 0, sizeof call.closure);
    memcpy(call.closure, &thread, sizeof thread);
    return weir_emulated_launch(stream, &call);
}

#endif
