#include "nccl_ranks.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/testing.h"

void ranks_complain(const struct ranks_one *one, const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: rank %d: %s (%s)\n", file, line, one->rank, what, weir_fake_reason());
    _exit(1); /* the other ranks may wait for this one for ever */
}

struct job {
    struct ranks_one one;
    void (*body)(struct ranks_one *one);
};

static void *job_run(void *argument)
{
    struct job *job = argument;
    if (cudaSetDevice(job->one.rank) || cudaStreamCreateWithFlags(&job->one.stream, cudaStreamNonBlocking) ||
        cudaHostAlloc(&job->one.pinned, RANKS_PINNED, cudaHostAllocPortable))
        ranks_complain(&job->one, "no stream or no memory", __FILE__, __LINE__);
    job->body(&job->one);
    cudaStreamDestroy(job->one.stream);
    return NULL;
}

static void threads_run(struct job *jobs, int n)
{
    pthread_t threads[RANKS_MOST];
    for (int r = 0; r < n; r++)
        assert_int_equal(pthread_create(&threads[r], NULL, job_run, &jobs[r]), 0);
    for (int r = 0; r < n; r++)
        pthread_join(threads[r], NULL);
    for (int r = 0; r < n; r++)
        cudaFreeHost(jobs[r].one.pinned); /* waits for all GPUs of the process */
}

/* The first that fails takes the others along. */
static void processes_run(struct job *jobs, int n, int kill_rank)
{
    pid_t pids[RANKS_MOST];
    for (int r = 0; r < n; r++) {
        pids[r] = fork();
        assert_true(pids[r] >= 0);
        if (pids[r] == 0) {
            job_run(&jobs[r]);
            _exit(0);
        }
    }
    if (kill_rank >= 0) {
        while (!jobs[0].one.board->flags[7])
            ranks_sleep(1);
        kill(pids[kill_rank], SIGKILL);
    }
    for (int left = n, failed = 0; left > 0; left--) {
        int status;
        pid_t ended = wait(&status);
        failed = failed || (status && (kill_rank < 0 || ended != pids[kill_rank]));
        for (int r = 0; r < n && failed; r++)
            kill(pids[r], SIGKILL);
        if (left == 1 && failed)
            fail_msg("a rank has failed");
    }
}

void ranks_run(enum ranks_where where, int n_ranks, int kill_rank, void (*body)(struct ranks_one *one))
{
    struct job jobs[RANKS_MOST];
    struct ranks_board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(board != MAP_FAILED);
    for (int i = 0; i < RANKS_IDS; i++)
        assert_int_equal(ncclGetUniqueId(&board->ids[i]), ncclSuccess);
    for (int r = 0; r < n_ranks; r++)
        jobs[r] = (struct job){{r, n_ranks, board, NULL, NULL}, body};
    if (where == RANKS_THREADS)
        threads_run(jobs, n_ranks);
    else
        processes_run(jobs, n_ranks, kill_rank);
    munmap(board, sizeof *board);
}

ncclResult_t ranks_ready(ncclComm_t comm)
{
    ncclResult_t state, result;
    while (!(result = ncclCommGetAsyncError(comm, &state)) && state == ncclInProgress)
        ranks_sleep(0);
    return result ? result : state;
}

ncclComm_t ranks_open(struct ranks_one *one, int id, bool blocking)
{
    ncclComm_t comm;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = blocking;
    ncclResult_t result = ncclCommInitRankConfig(&comm, one->n_ranks, one->board->ids[id], one->rank, &config);
    if (result == ncclInProgress)
        result = ranks_ready(comm);
    return result ? NULL : comm;
}

ncclResult_t ranks_done(struct ranks_one *one, ncclComm_t comm, int timeout_ms)
{
    int64_t end = weir_clock_ns() + timeout_ms * INT64_C(1000000);
    for (;;) {
        ncclResult_t state = ncclSuccess, result = ncclCommGetAsyncError(comm, &state);
        if (result || (state && state != ncclInProgress))
            return result ? result : state;
        cudaError_t error = cudaStreamQuery(one->stream);
        (void)cudaGetLastError();
        if (!state && error != cudaErrorNotReady)
            return error ? ncclUnhandledCudaError : ncclSuccess;
        if (weir_clock_ns() > end)
            return ncclInProgress;
        ranks_sleep(0);
    }
}

ncclResult_t ranks_close(ncclComm_t comm)
{
    ncclResult_t result = ncclCommFinalize(comm);
    if (result == ncclInProgress)
        result = ranks_ready(comm);
    return result ? result : ncclCommDestroy(comm);
}

/* Through the rank's pinned memory, on a stream of its own for what may not wait for a hanging one. */
void *ranks_device(struct ranks_one *one, const void *bytes, size_t n)
{
    void *memory;
    cudaStream_t stream;
    RANKS_CHECK(one, n <= RANKS_PINNED && !cudaMalloc(&memory, n) && !cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    if (bytes)
        memcpy(one->pinned, bytes, n);
    else
        memset(one->pinned, 0, n);
    RANKS_CHECK(one, !cudaMemcpyAsync(memory, one->pinned, n, cudaMemcpyDefault, stream) && !cudaStreamDestroy(stream));
    return memory;
}

void ranks_fetch(struct ranks_one *one, void *to, const void *from, size_t n)
{
    RANKS_CHECK(one, n <= RANKS_PINNED && !cudaMemcpyAsync(one->pinned, from, n, cudaMemcpyDefault, one->stream));
    RANKS_CHECK(one, !cudaStreamSynchronize(one->stream));
    memcpy(to, one->pinned, n);
}

void ranks_await(struct ranks_one *one, int flag)
{
    while (!one->board->flags[flag])
        ranks_sleep(0);
}

void ranks_sleep(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms ? ms % 1000 * 1000000 : 50000}, NULL);
}
