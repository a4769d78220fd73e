/* The stand-in for NCCL finds mistakes: each is made once, and told.  What fails, ends and hangs does so as it says.  (The
 * thread sanitizer cannot follow what processes share: no label.) */
#include "tests/support/testing.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nccl_ranks.h"

static void machine_set(struct weir_fake_nccl_modes modes)
{
    const struct weir_fake_machine machine = {RANKS_MOST, (size_t)64 << 20, 1, WEIR_FAKE_EAGER, 3};
    if (!modes.async_at)
        modes.async_at = -1;
    modes.silent_at = -1;
    weir_fake_machine_set(&machine);
    weir_fake_nccl_set(&modes);
}

static bool says(ncclComm_t comm, const char *words)
{
    bool found = strstr(ncclGetLastError(comm), words);
    if (!found)
        fprintf(stderr, "wanted '%s', got '%s'\n", words, ncclGetLastError(comm));
    return found;
}

/* ---- of one rank, alone -------------------------------------------------------------------------------------------- */

struct alone {
    struct ranks_one *one;
    ncclComm_t comm; /* connected to itself */
    float *x, *elsewhere;
    cudaStream_t other_stream;
};

static void buffer_outside(struct alone *a)
{
    RANKS_CHECK(a->one, ncclAllReduce(a->x, a->x, 5, ncclFloat32, ncclSum, a->comm, a->one->stream) == ncclInvalidUsage);
    RANKS_CHECK(a->one, says(a->comm, "20 bytes") && says(a->comm, "are not within one block of device memory"));
}

static void buffer_of_another_gpu(struct alone *a)
{
    RANKS_CHECK(a->one, ncclBroadcast(a->elsewhere, a->x, 1, ncclFloat32, 0, a->comm, a->one->stream) == ncclInvalidUsage);
    RANKS_CHECK(a->one, says(a->comm, "a buffer is memory of cuda:1, the communicator is one of cuda:0"));
}

static void buffers_overlap(struct alone *a)
{
    RANKS_CHECK(a->one, ncclAllReduce(a->x, a->x + 1, 2, ncclFloat32, ncclSum, a->comm, a->one->stream) == ncclInvalidUsage);
    RANKS_CHECK(a->one, says(a->comm, "overlap"));
}

static void stream_of_another_gpu(struct alone *a)
{
    RANKS_CHECK(a->one, ncclSend(a->x, 1, ncclFloat32, 0, a->comm, a->other_stream) == ncclInvalidUsage);
    RANKS_CHECK(a->one, says(a->comm, "the stream is one of cuda:1"));
}

static void arguments_that_leave_it_usable(struct alone *a)
{
    ncclResult_t state;
    RANKS_CHECK(a->one, ncclSend(a->x, 1, ncclFloat32, 1, a->comm, a->one->stream) == ncclInvalidArgument);
    RANKS_CHECK(a->one, ncclSend(a->x, 1, ncclFloat8e4m3, 0, a->comm, a->one->stream) == ncclInvalidArgument);
    RANKS_CHECK(a->one, ncclAllReduce(a->x, a->x, 1, ncclFloat32, ncclProd, a->comm, a->one->stream) == ncclInvalidArgument);
    RANKS_CHECK(a->one, !ncclCommGetAsyncError(a->comm, &state) && state == ncclSuccess);
    RANKS_CHECK(a->one, ncclCommAbort((ncclComm_t)(void *)a->x) == ncclInvalidArgument);
    RANKS_CHECK(a->one, ncclGroupEnd() == ncclInvalidUsage && says(NULL, "rank 1 of 1"));
}

static void use_in_progress(struct alone *a)
{
    RANKS_CHECK(a->one, ncclAllReduce(a->x, a->x, 1, ncclFloat32, ncclSum, a->comm, a->one->stream) == ncclInProgress);
    RANKS_CHECK(a->one, ncclAllReduce(a->x, a->x, 1, ncclFloat32, ncclSum, a->comm, a->one->stream) == ncclInvalidUsage);
    RANKS_CHECK(a->one, says(a->comm, "its last launch is in progress"));
}

static void too_early_an_end(struct alone *a)
{
    RANKS_CHECK(a->one, ncclAllReduce(a->x, a->x, 1, ncclFloat32, ncclSum, a->comm, a->one->stream) == ncclInProgress);
    RANKS_CHECK(a->one, ncclCommDestroy(a->comm) == ncclInvalidUsage && says(a->comm, "in progress"));
}

static void group_without_end(struct alone *a)
{
    RANKS_CHECK(a->one, !ncclGroupStart());
    RANKS_CHECK(a->one, !ncclAllReduce(a->x, a->x, 1, ncclFloat32, ncclSum, a->comm, a->one->stream));
    RANKS_CHECK(a->one, ncclCommFinalize(a->comm) == ncclInvalidUsage && says(a->comm, "a group that was not ended"));
    (void)ncclGroupEnd();
}

static void *other_thread(void *argument)
{
    struct alone *a = argument;
    RANKS_CHECK(a->one, ncclSend(a->x, 1, ncclFloat32, 0, a->comm, a->one->stream) == ncclInvalidUsage);
    return NULL;
}

static void thread_check(struct alone *a, ncclComm_t grouped)
{
    pthread_t thread;
    RANKS_CHECK(a->one, !ncclGroupStart());
    RANKS_CHECK(a->one, !ncclAllReduce(a->x, a->x, 1, ncclFloat32, ncclSum, grouped, a->one->stream));
    RANKS_CHECK(a->one, !pthread_create(&thread, NULL, other_thread, a) && !pthread_join(thread, NULL));
    (void)ncclGroupEnd();
}

static void two_threads(struct alone *a)
{
    thread_check(a, a->comm);
    RANKS_CHECK(a->one, says(a->comm, "two threads use a communicator at once"));
}

static void two_threads_on_one_gpu(struct alone *a)
{
    ncclComm_t second = ranks_open(a->one, 1, false);
    thread_check(a, second);
    RANKS_CHECK(a->one, says(a->comm, "two threads launch on communicators of cuda:0 at once"));
    RANKS_CHECK(a->one, !ncclCommAbort(second));
}

static void use_after_an_error(struct alone *a)
{
    buffers_overlap(a);
    RANKS_CHECK(a->one, ncclAllReduce(a->x, a->x, 1, ncclFloat32, ncclSum, a->comm, a->one->stream) == ncclInvalidUsage);
    RANKS_CHECK(a->one, ncclCommFinalize(a->comm) == ncclInvalidUsage);
}

static void injected_failure(struct alone *a)
{
    ncclResult_t state;
    weir_fake_nccl_fail(1, ncclSystemError, 0);
    RANKS_CHECK(a->one, !ncclGroupStart());
    RANKS_CHECK(a->one, ncclAllReduce(a->x, a->x, 1, ncclFloat32, ncclSum, a->comm, a->one->stream) == ncclSystemError);
    RANKS_CHECK(a->one, ncclGroupEnd() == ncclSystemError && weir_fake_nccl_calls() == 3);
    RANKS_CHECK(a->one, !ncclCommGetAsyncError(a->comm, &state) && state == ncclSystemError);
    weir_fake_nccl_fail(-1, 0, 0);
}

static void (*const mistakes[])(struct alone *a) = {
    buffer_outside, buffer_of_another_gpu, buffers_overlap, stream_of_another_gpu, arguments_that_leave_it_usable,
    use_in_progress, too_early_an_end, group_without_end, two_threads, two_threads_on_one_gpu, use_after_an_error,
    injected_failure};
static size_t mistake; /* the one to make now */

/* And whatever went wrong: afterwards the communicator is aborted, which works, and nobody may use it. */
static void mistake_body(struct ranks_one *one)
{
    struct alone a = {.one = one, .x = ranks_device(one, NULL, 16)};
    ncclResult_t state;
    int rank;
    RANKS_CHECK(one, !cudaSetDevice(1) && !cudaStreamCreateWithFlags(&a.other_stream, cudaStreamNonBlocking));
    a.elsewhere = ranks_device(one, NULL, 16);
    RANKS_CHECK(one, !cudaSetDevice(0) && (a.comm = ranks_open(one, 0, false)));
    mistakes[mistake](&a);
    RANKS_CHECK(one, !ncclCommAbort(a.comm));
    RANKS_CHECK(one, ncclCommGetAsyncError(a.comm, &state) == ncclInvalidUsage);
    RANKS_CHECK(one, ncclAllReduce(a.x, a.x, 1, ncclFloat32, ncclSum, a.comm, one->stream) == ncclInvalidUsage);
    RANKS_CHECK(one, ncclCommUserRank(a.comm, &rank) == ncclInvalidUsage && ncclCommAbort(a.comm) == ncclInvalidUsage);
    cudaFree(a.x);
    cudaFree(a.elsewhere);
    cudaStreamDestroy(a.other_stream);
}

static void mistakes_of_one_rank_are_told(void **state)
{
    (void)state;
    for (mistake = 0; mistake < sizeof mistakes / sizeof *mistakes; mistake++) {
        machine_set((struct weir_fake_nccl_modes){.serial = false});
        ranks_run(RANKS_THREADS, 1, -1, mistake_body);
        assert_int_equal(weir_fake_open(), 0);
        assert_int_equal(weir_fake_nccl_open(), 0);
    }
}

/* ---- of two ranks -------------------------------------------------------------------------------------------------- */

enum { WRONG_COUNT, WRONG_TYPE, WRONG_FIRST, WRONG_COLLECTIVE, WRONG_ROOT, WRONG_SIZE, N_WRONG };
static int wrong;

static ncclResult_t wrong_call(struct ranks_one *one, ncclComm_t comm, float *x)
{
    int r = one->rank;
    switch (wrong) {
    case WRONG_COUNT:
        return r ? ncclRecv(x, 2, ncclFloat32, 0, comm, one->stream) : ncclSend(x, 3, ncclFloat32, 1, comm, one->stream);
    case WRONG_TYPE:
        return r ? ncclRecv(x, 2, ncclInt32, 0, comm, one->stream) : ncclSend(x, 2, ncclFloat32, 1, comm, one->stream);
    case WRONG_FIRST:
    case WRONG_COLLECTIVE:
        return r ? ncclAllReduce(x, x, 2, ncclFloat32, ncclSum, comm, one->stream)
                 : ncclBroadcast(x, x, 2, ncclFloat32, 0, comm, one->stream);
    case WRONG_ROOT: return ncclBroadcast(x, x, 2, ncclFloat32, r, comm, one->stream);
    default: return ncclAllReduce(x, x, 1 + (size_t)r, ncclFloat32, ncclSum, comm, one->stream);
    }
}

static void collectives_connect(struct ranks_one *one, ncclComm_t comm, float *x)
{
    RANKS_CHECK(one, ncclAllReduce(x, x, 2, ncclFloat32, ncclSum, comm, one->stream) == ncclInProgress);
    RANKS_CHECK(one, !ranks_done(one, comm, 20000));
    RANKS_CHECK(one, ncclBroadcast(x, x, 2, ncclFloat32, 0, comm, one->stream) == ncclInProgress);
    RANKS_CHECK(one, !ranks_done(one, comm, 20000));
}

/* Both ranks are told.  The operation does not end before it is aborted, or does not even begin when ranks come to connect
 * with different ones. */
static void wrong_body(struct ranks_one *one)
{
    static const char *const reasons[] = {
        "message 0 from rank 0 to rank 1: 3 of float32 are sent, 2 of float32 received",
        "message 0 from rank 0 to rank 1: 2 of float32 are sent, 2 of int32 received", "collective 0 of a communicator",
        "collective 2 of a communicator", "ncclBroadcast of 2 float32, root 1", "ncclAllReduce of 1 float32"};
    ncclComm_t comm = ranks_open(one, 0, false);
    float *x = ranks_device(one, NULL, 16);
    if (wrong >= WRONG_COLLECTIVE)
        collectives_connect(one, comm, x);
    RANKS_CHECK(one, wrong_call(one, comm, x) != ncclInvalidUsage);
    RANKS_CHECK(one, ranks_done(one, comm, 20000) == ncclInvalidUsage && says(comm, reasons[wrong]));
    RANKS_CHECK(one, wrong == WRONG_FIRST || cudaStreamQuery(one->stream) == cudaErrorNotReady);
    (void)cudaGetLastError();
    RANKS_CHECK(one, !ncclCommAbort(comm) && !cudaStreamSynchronize(one->stream));
    cudaFree(x);
}

static void ranks_that_do_not_agree_are_told(void **state)
{
    (void)state;
    for (wrong = 0; wrong < N_WRONG; wrong++)
        for (int where = 0; where < 2; where++) {
            machine_set((struct weir_fake_nccl_modes){.serial = false});
            ranks_run((enum ranks_where)where, 2, -1, wrong_body);
        }
}

/* Rank 1 finds its buffer overwritten before rank 0 has sent; rank 0 receives into what it sends. */
static void buffers_body(struct ranks_one *one)
{
    ncclComm_t comm = ranks_open(one, 0, true);
    struct ranks_one beside = *one;
    uint32_t word = 7, nine = 9;
    int other = 1 - one->rank;
    uint32_t *x = ranks_device(one, &word, sizeof word), *y = ranks_device(one, &nine, sizeof nine);
    RANKS_CHECK(one, !cudaStreamCreateWithFlags(&beside.stream, cudaStreamNonBlocking));
    for (int k = 0; k < 2; k++) { /* the first time connects */
        if (one->rank == 0 && k == 1)
            ranks_await(one, 0);
        RANKS_CHECK(one, !(one->rank ? ncclRecv(x, 1, ncclInt32, 0, comm, one->stream)
                                     : ncclSend(x, 1, ncclInt32, 1, comm, one->stream)));
        while (one->rank == 1 && k == 1 && word != UINT32_MAX)
            ranks_fetch(&beside, &word, x, sizeof word);
        one->board->flags[0] = one->rank == 1 && k == 1;
        RANKS_CHECK(one, !ranks_done(one, comm, 20000));
    }
    RANKS_CHECK(one, !ncclGroupStart() && !ncclSend(one->rank ? y : x, 1, ncclInt32, other, comm, one->stream));
    RANKS_CHECK(one, !ncclRecv(x, 1, ncclInt32, other, comm, one->stream) && !ncclGroupEnd());
    ncclResult_t result = ranks_done(one, comm, 20000); /* rank 1 may be done before it shows */
    RANKS_CHECK(one, result == ncclInvalidUsage || (one->rank && !result));
    RANKS_CHECK(one, !result || says(comm, "ncclSend on rank 0: its 4 bytes were written while it was under way"));
    RANKS_CHECK(one, !ncclCommAbort(comm) && !cudaStreamDestroy(beside.stream));
    cudaFree(x);
    cudaFree(y);
}

static void buffers_belong_to_operations_under_way(void **state)
{
    (void)state;
    machine_set((struct weir_fake_nccl_modes){.serial = false});
    ranks_run(RANKS_PROCESSES, 2, -1, buffers_body);
}

/* 0: both on one GPU, 1 as hosts of their own, 2 different numbers of ranks, 3 one rank twice. */
static int how;

static void init_body(struct ranks_one *one)
{
    static const char *const reasons[] = {"are on one GPU, cuda:0", "", "ranks, another one", "has come twice"};
    char host[16];
    ncclComm_t comm;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    snprintf(host, sizeof host, "host%d", one->rank);
    if (how == 1)
        setenv("NCCL_HOSTID", host, 1);
    if (how < 2)
        RANKS_CHECK(one, !cudaSetDevice(0));
    RANKS_CHECK(one, ncclCommInitRankConfig(&comm, how == 2 ? 2 + one->rank : 2, one->board->ids[0], how == 3 ? 0 : one->rank,
                                            &config) == ncclInProgress);
    RANKS_CHECK(one, ranks_ready(comm) == (how == 1 ? ncclSuccess : ncclInvalidUsage));
    RANKS_CHECK(one, says(how == 1 ? NULL : comm, reasons[how]));
    RANKS_CHECK(one, how == 1 ? !ranks_close(comm) : !ncclCommAbort(comm));
}

static void ranks_that_cannot_be_together_are_told(void **state)
{
    (void)state;
    for (how = 0; how < 4; how++) {
        machine_set((struct weir_fake_nccl_modes){.serial = false});
        ranks_run(RANKS_PROCESSES, 2, -1, init_body);
    }
}

static void nonblocking_takes_a_while_body(struct ranks_one *one)
{
    ncclComm_t comm;
    ncclResult_t state;
    int number;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    RANKS_CHECK(one, ncclCommInitRankConfig(&comm, 2, one->board->ids[0], one->rank, &config) == ncclInProgress);
    RANKS_CHECK(one, !ncclCommGetAsyncError(comm, &state) && state == ncclInProgress);
    RANKS_CHECK(one, ranks_ready(comm) == ncclSuccess);
    RANKS_CHECK(one, !ncclCommCount(comm, &number) && number == 2);
    RANKS_CHECK(one, !ncclCommUserRank(comm, &number) && number == one->rank);
    RANKS_CHECK(one, !ncclCommCuDevice(comm, &number) && number == one->rank);
    RANKS_CHECK(one, ncclCommFinalize(comm) == ncclInProgress);
    RANKS_CHECK(one, !ncclCommGetAsyncError(comm, &state) && state == ncclInProgress);
    RANKS_CHECK(one, ranks_ready(comm) == ncclSuccess && !ncclCommDestroy(comm));
}

static void nonblocking_communicators_take_a_while(void **state)
{
    (void)state;
    machine_set((struct weir_fake_nccl_modes){.serial = false});
    ranks_run(RANKS_PROCESSES, 2, -1, nonblocking_takes_a_while_body);
}

/* ---- ends ---------------------------------------------------------------------------------------------------------- */

/* Rank 0 is killed while rank 1 waits for a message of it. */
static void death_body(struct ranks_one *one)
{
    ncclComm_t comm = ranks_open(one, 0, false);
    float *x = ranks_device(one, NULL, 16);
    RANKS_CHECK(one, (one->rank ? ncclRecv(x, 1, ncclFloat32, 0, comm, one->stream)
                                : ncclSend(x, 1, ncclFloat32, 1, comm, one->stream)) == ncclInProgress);
    RANKS_CHECK(one, !ranks_done(one, comm, 20000));
    if (one->rank == 0) {
        ranks_await(one, 0);
        for (one->board->flags[7] = 1;;)
            ranks_sleep(1000);
    }
    one->board->flags[0] = 1;
    ncclResult_t result = ncclRecv(x, 1, ncclFloat32, 0, comm, one->stream);
    RANKS_CHECK(one, !result || result == ncclInProgress);
    result = ranks_done(one, comm, how ? 20000 : 300);
    RANKS_CHECK(one, result == (how ? ncclRemoteError : ncclInProgress));
    RANKS_CHECK(one, !how || says(comm, "rank 0 of the communicator is gone"));
    RANKS_CHECK(one, !ncclCommAbort(comm) && !cudaStreamSynchronize(one->stream));
}

static void a_dead_peer_hangs_or_is_told(void **state)
{
    (void)state;
    for (how = 0; how < 2; how++) {
        machine_set((struct weir_fake_nccl_modes){.remote = how});
        ranks_run(RANKS_PROCESSES, 2, 0, death_body);
    }
}

static void async_body(struct ranks_one *one)
{
    ncclComm_t comm = ranks_open(one, 0, false);
    float *x = ranks_device(one, NULL, 16);
    for (int k = 0; k < 2; k++) {
        RANKS_CHECK(one, ncclAllReduce(x, x, 1, ncclFloat32, ncclSum, comm, one->stream) != ncclInvalidUsage);
        RANKS_CHECK(one, ranks_done(one, comm, 20000) == (k ? ncclSystemError : ncclSuccess));
    }
    RANKS_CHECK(one, cudaStreamQuery(one->stream) == cudaErrorNotReady);
    RANKS_CHECK(one, !ncclCommAbort(comm) && !cudaStreamSynchronize(one->stream));
}

static void an_operation_may_fail_later(void **state)
{
    (void)state;
    machine_set((struct weir_fake_nccl_modes){.async_at = 1});
    ranks_run(RANKS_PROCESSES, 2, -1, async_body);
}

static void *abort_thread(void *argument)
{
    return (void *)(uintptr_t)ncclCommAbort(argument);
}

/* Two communicators wait for rank 1.  One abort after the other from one thread would hang; from two threads it does not. */
static void abort_body(struct ranks_one *one)
{
    ncclComm_t a = ranks_open(one, 0, true), b = ranks_open(one, 1, true);
    cudaStream_t second;
    float *x = ranks_device(one, NULL, 16);
    pthread_t thread;
    RANKS_CHECK(one, !cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    RANKS_CHECK(one, !ncclAllReduce(x, x, 1, ncclFloat32, ncclSum, a, one->stream));
    RANKS_CHECK(one, !ncclAllReduce(x, x, 1, ncclFloat32, ncclSum, b, one->stream));
    RANKS_CHECK(one, !cudaStreamSynchronize(one->stream));
    if (one->rank == 0) {
        RANKS_CHECK(one, !ncclAllReduce(x, x, 1, ncclFloat32, ncclSum, a, one->stream));
        RANKS_CHECK(one, !ncclAllReduce(x + 1, x + 1, 1, ncclFloat32, ncclSum, b, second));
        RANKS_CHECK(one, cudaStreamQuery(second) == cudaErrorNotReady && !pthread_create(&thread, NULL, abort_thread, a));
        ranks_sleep(20);
        one->board->flags[0] = 1;
    }
    ranks_await(one, 0);
    RANKS_CHECK(one, !ncclCommAbort(b));
    void *result = NULL;
    RANKS_CHECK(one, one->rank || (!pthread_join(thread, &result) && !result));
    RANKS_CHECK(one, !one->rank || !ncclCommAbort(a));
    RANKS_CHECK(one, !cudaStreamDestroy(second));
    cudaFree(x);
}

static void an_abort_may_wait_for_other_communicators(void **state)
{
    (void)state;
    for (how = 0; how < 2; how++) {
        machine_set((struct weir_fake_nccl_modes){.abort_syncs = how});
        ranks_run(RANKS_PROCESSES, 2, -1, abort_body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_of_one_rank_are_told),
        cmocka_unit_test(ranks_that_do_not_agree_are_told),
        cmocka_unit_test(buffers_belong_to_operations_under_way),
        cmocka_unit_test(ranks_that_cannot_be_together_are_told),
        cmocka_unit_test(nonblocking_communicators_take_a_while),
        cmocka_unit_test(a_dead_peer_hangs_or_is_told),
        cmocka_unit_test(an_operation_may_fail_later),
        cmocka_unit_test(an_abort_may_wait_for_other_communicators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
