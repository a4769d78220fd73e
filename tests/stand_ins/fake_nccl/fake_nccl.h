/* NCCL without a GPU: communicators between processes of this machine, and threads of one, on the stand-in for the CUDA runtime
 * (fake_cuda.h), for tests.
 *
 * A communicator is a file of shared memory that the unique id names.  An operation is work of its stream, and ends as NCCL's
 * does: a send when the receive has taken everything, a collective when all ranks have come.  Operations of one communicator
 * run in the order in which they were launched; those of one group side by side, but for messages to the same peer and for
 * collectives.  Sums go from rank 0 upwards, bfloat16 is rounded after every addition.
 *
 * Non-blocking communicators report ncclInProgress after initialization, after finalization, when messages connect two ranks
 * for the first time or a collective is the first of its kind with less, or not less, than 1024 elements, which needs all its
 * ranks, and after every third launch.  An operation enters its stream only when ncclCommGetAsyncError is asked and finds it
 * ready: whoever records an event before that has it too early.
 *
 * Stricter than NCCL, so that mistakes are found.  All of these are ncclInvalidUsage, here or as the asynchronous error of
 * every rank, and weir_fake_reason() and ncclGetLastError() say why:
 *   - another count or type on the other end; another collective, another root, another order of them;
 *   - a buffer that is not within one block of the communicator's GPU, or overlaps the other one; a stream of another GPU;
 *   - a buffer that is written while it is sent; and what an operation will write holds 0xff bytes as soon as its stream gets
 *     there, whether or not a peer is ready: whoever still reads it then reads NaN;
 *   - use while an earlier call is in progress, by two threads at once, after the end, after an error; two threads that
 *     launch on communicators of one GPU at once;
 *   - the end of a communicator with work that is not done; a group that is never ended;
 *   - two ranks of a communicator on one GPU, unless NCCL_HOSTID says that they are on two hosts (as NCCL 2.28 does).
 * Operations of a communicator with an error hang until it is aborted, and so do those with a peer that is dead.
 *
 * WEIR_FAKE_NCCL, words with commas between them, sets what follows for a process:
 *
 *     serial        one operation at a time on each GPU, in the order of their launches: the least that a GPU must have
 *                   room for.  Processes that launch in different orders hang.
 *     random        pauses before operations, between their pieces and within calls (WEIR_FAKE_SEED)
 *     slow          every operation takes 10 ms more, so that computing overtakes it
 *     remote        a dead peer, or one that has aborted, becomes ncclRemoteError when asked; else it shows nowhere
 *     abort-hangs   ncclCommAbort never returns
 *     abort-syncs   ncclCommAbort waits for operations that run on this GPU for other communicators
 *     fail=K        the K-th call (from 0) that can fail does, with ncclSystemError; fail-from=K: it and all that follow
 *     async=K       the K-th operation or group that this process launches (from 0) never ends, and its communicator
 *                   reports ncclSystemError when asked
 *     silent=K      .. never ends, and nothing says so: as a connection that a firewall swallows
 *
 * Not shown: speed, channels and their limits, algorithms and the bits of their sums, registered memory, graph capture,
 * operators other than the sum, splitting and shrinking. */
#ifndef WEIR_TESTS_FAKE_NCCL_H
#define WEIR_TESTS_FAKE_NCCL_H

#include <stdbool.h>
#include <stdint.h>

struct weir_fake_nccl_modes {
    bool serial, random, slow, remote, abort_hangs, abort_syncs;
    int64_t async_at, silent_at; /* -1: none */
};

/* Other modes, and no failures. */
void weir_fake_nccl_set(const struct weir_fake_nccl_modes *modes);

/* From now on the k-th call (from 0) of a function that can fail fails with `error` (an ncclResult_t), once, or with
 * `sticky` it and all that follow.  Calls that release or ask something do not count.  k < 0: none. */
void weir_fake_nccl_fail(int64_t k, int error, int sticky);

/* Calls counted since then. */
int64_t weir_fake_nccl_calls(void);

/* Communicators that are open now. */
int weir_fake_nccl_open(void);

#endif
