/* What the tests of the stand-in for NCCL share: ranks as threads or as processes, communicators, buffers on their GPUs. */
#ifndef WEIR_TESTS_NCCL_RANKS_H
#define WEIR_TESTS_NCCL_RANKS_H

#include <nccl.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "tests/stand_ins/fake_cuda/fake_cuda.h"
#include "tests/stand_ins/fake_nccl/fake_nccl.h"

enum { RANKS_MOST = 4, RANKS_IDS = 4, RANKS_PINNED = 1 << 20 };

/* Seen by all ranks, processes too. */
struct ranks_board {
    ncclUniqueId ids[RANKS_IDS];
    _Atomic int flags[8];
};

/* One rank: on cuda:`rank`, with a stream of its own. */
struct ranks_one {
    int rank, n_ranks;
    struct ranks_board *board;
    cudaStream_t stream;
    void *pinned;
};

/* Ends the process with a message unless `fine`. */
#define RANKS_CHECK(one, fine) ((fine) ? (void)0 : ranks_complain(one, #fine, __FILE__, __LINE__))
void ranks_complain(const struct ranks_one *one, const char *what, const char *file, int line) __attribute__((noreturn));

enum ranks_where { RANKS_THREADS, RANKS_PROCESSES };

/* Run `body` as `n_ranks` ranks and fail the test when one fails.  After `kill_rank` >= 0 has set flag 7, that
 * process is killed (processes only). */
void ranks_run(enum ranks_where where, int n_ranks, int kill_rank, void (*body)(struct ranks_one *one));

/* A communicator with the board's id number `id`, ready; NULL: it has an error. */
ncclComm_t ranks_open(struct ranks_one *one, int id, bool blocking);

/* Poll until the communicator is no longer in progress, and then the stream until it is done; `timeout_ms` in all:
 * ncclInProgress after that. */
ncclResult_t ranks_ready(ncclComm_t comm);
ncclResult_t ranks_done(struct ranks_one *one, ncclComm_t comm, int timeout_ms);
ncclResult_t ranks_close(ncclComm_t comm);

/* Device memory with these bytes (zeros for NULL), and its bytes back. */
void *ranks_device(struct ranks_one *one, const void *bytes, size_t n);
void ranks_fetch(struct ranks_one *one, void *to, const void *from, size_t n);

void ranks_await(struct ranks_one *one, int flag);
void ranks_sleep(int ms);

#endif
