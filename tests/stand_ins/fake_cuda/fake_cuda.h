/* A CUDA runtime without a GPU: memory, streams, events and errors as CUDA has them, for tests.
 *
 * A stream is a thread that runs its work in order, so that everything a GPU does beside the host happens here beside the
 * host too.  When work begins is up to the mode:
 *
 *     WEIR_FAKE_EAGER    as soon as it can
 *     WEIR_FAKE_RANDOM   after pauses drawn from the seed; threads that call are delayed at random too
 *     WEIR_FAKE_LAZY     not before the host waits or asks for something: whoever takes an enqueued thing for done fails
 *
 * Stricter than CUDA, so that mistakes are found:
 *   - device memory is out of the host's reach: touching it between kernels and copies is a segmentation fault.  It is
 *     opened for the GPU whose work runs and for the peers it has enabled; fresh memory holds 0xff bytes, not zeros (blocks
 *     of 16 MiB and more excepted, which would take their time).
 *   - a copy that touches memory which is neither device memory nor pinned, or passes the end of a block, is an error
 *     (CUDA would take pageable memory, and may then hold the host up);
 *   - a kernel on a stream of another GPU than the current one is refused, as is recording an event of another GPU;
 *   - whatever a kernel of tests/stand_ins/cuda_on_cpu/emulation.h finds wrong with itself is a launch failure.
 *
 * Any thread may call at any time; each has a current GPU of its own, the first one to begin with.
 *
 * The machine of a process has four GPUs of 4 GiB that reach each other, unless a test sets another one, or the environment:
 * WEIR_FAKE_GPUS, WEIR_FAKE_MEMORY (MiB of each), WEIR_FAKE_MODE (eager, random or lazy), WEIR_FAKE_SEED.
 * CUDA_VISIBLE_DEVICES shows the process one of them, which it knows as number 0.  With
 * WEIR_FAKE_LOADING=waits the first launch of every kernel waits for all work on its GPU; WEIR_FAKE_REPORT names a file that
 * the process adds a line to for every GPU: the most bytes that were allocated there.
 *
 * Errors are sticky as in CUDA: after a failed kernel every call of the process fails the same way.
 *
 * Not shown: speed, how streams share a GPU, the default stream's order (cudaMemset is done when it returns), memory
 * fragmentation, and everything emulation.h lists. */
#ifndef WEIR_TESTS_FAKE_CUDA_H
#define WEIR_TESTS_FAKE_CUDA_H

#include <stddef.h>
#include <stdint.h>

enum weir_fake_mode { WEIR_FAKE_EAGER, WEIR_FAKE_RANDOM, WEIR_FAKE_LAZY };

struct weir_fake_machine {
    int n_devices;        /* 0: there is no driver */
    size_t device_bytes;  /* memory of each */
    int peers;            /* 1: they reach each other's memory */
    enum weir_fake_mode mode;
    uint64_t seed;
};

enum { WEIR_FAKE_DEVICES = 8 }; /* most of them */

/* Another machine, without errors: nothing of the old one may be in use. */
void weir_fake_machine_set(const struct weir_fake_machine *machine);

/* From now on the k-th call (from 0, of all threads together) of a function that can fail fails with `error` (a cudaError_t), once, or with
 * `sticky` it and all that follow.  Calls that release something, ask for the last error or for a name do not count.
 * k < 0: none. */
void weir_fake_fail(int64_t k, int error, int sticky);

/* Calls counted since then. */
int64_t weir_fake_calls(void);

/* Kernels that the GPUs of the process have loaded, each when it was launched there first, and the name of the last of them;
 * unload: as in a new process. */
int weir_fake_loaded(char name_out[64]);
void weir_fake_unload(void);

/* Kernels launched by this process. */
int64_t weir_fake_launches(void);

/* NVTX ranges since the last take: how many were pushed, how many are open, the first names. */
enum { WEIR_FAKE_RANGES = 256 };
struct weir_fake_ranges {
    char domain[16];
    int n, depth;
    char names[WEIR_FAKE_RANGES][32];
};
void weir_fake_ranges_take(struct weir_fake_ranges *out);

/* What is open now: streams, events, blocks of memory. */
int weir_fake_open(void);

/* So many bytes of a GPU are taken by something else than allocations: contexts, other processes.  Until another machine is
 * set. */
void weir_fake_take(int device, size_t bytes);

/* Bytes that were asked for and are allocated on a GPU, or pinned on the host (WEIR_FAKE_HOST), and the most of them at any
 * time since the machine was set. */
enum { WEIR_FAKE_HOST = -1 };
size_t weir_fake_bytes(int device, size_t *most_out);

/* Why a kernel or a copy failed, or what the stand-in for NCCL has found wrong first; "" when nothing is. */
const char *weir_fake_reason(void);

#endif
