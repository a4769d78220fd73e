/* The stand-in for NCCL has NCCL's semantics: messages, collectives, groups, order, between threads and between processes.
 * (The thread sanitizer cannot follow what processes share: no label.) */
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "nccl_ranks.h"

enum { MANY = 40000 }; /* elements: several pieces */

static void modes_set(struct weir_fake_nccl_modes modes, enum weir_fake_mode mode)
{
    const struct weir_fake_machine machine = {RANKS_MOST, (size_t)64 << 20, 1, mode, 3};
    if (!modes.async_at)
        modes.async_at = -1;
    modes.silent_at = -1;
    weir_fake_machine_set(&machine);
    weir_fake_nccl_set(&modes);
}

static void for_all_ways(int n_ranks, void (*body)(struct ranks_one *one))
{
    static const struct weir_fake_nccl_modes modes[] = {
        {.serial = false}, {.random = true}, {.serial = true}, {.slow = true}};
    for (int i = 0; i < 4; i++)
        for (int where = 0; where < 2; where++) {
            modes_set(modes[i], (enum weir_fake_mode)(i % 3));
            ranks_run((enum ranks_where)where, n_ranks, -1, body);
            assert_int_equal(weir_fake_open(), 0);
            assert_int_equal(weir_fake_nccl_open(), 0);
        }
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */

static float value(int rank, size_t i)
{
    return (float)rank * 1000.0f + (float)(i % 977);
}

/* Both directions at once, of several sizes; numbers arrive as they were sent. */
static void messages_body(struct ranks_one *one)
{
    static const size_t counts[] = {0, 1, 5, 16384, 16385, MANY};
    float sent[MANY], received[MANY];
    ncclComm_t comm = ranks_open(one, 0, false);
    int other = 1 - one->rank;
    RANKS_CHECK(one, comm);
    for (size_t i = 0; i < MANY; i++)
        sent[i] = value(one->rank, i);
    float *from = ranks_device(one, sent, sizeof sent), *to = ranks_device(one, NULL, sizeof received);
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        RANKS_CHECK(one, !ncclGroupStart());
        RANKS_CHECK(one, !ncclSend(from, counts[k], ncclFloat32, other, comm, one->stream));
        RANKS_CHECK(one, !ncclRecv(to, counts[k], ncclFloat32, other, comm, one->stream));
        ncclResult_t result = ncclGroupEnd();
        RANKS_CHECK(one, result == ncclInProgress || (k > 0 && result == ncclSuccess));
        RANKS_CHECK(one, !ranks_ready(comm));
        ranks_fetch(one, received, to, sizeof received);
        for (size_t i = 0; i < counts[k]; i++)
            RANKS_CHECK(one, received[i] == value(other, i));
        for (size_t i = counts[k]; i < MANY && k < 3; i++)
            RANKS_CHECK(one, received[i] == 0);
    }
    RANKS_CHECK(one, !ranks_close(comm));
    cudaFree(from);
    cudaFree(to);
}

static void messages_arrive(void **state)
{
    (void)state;
    for_all_ways(2, messages_body);
}

/* A send is done when the receive has come, not before. */
static void rendezvous_body(struct ranks_one *one)
{
    ncclComm_t comm = ranks_open(one, 0, false);
    RANKS_CHECK(one, comm);
    int *buffer = ranks_device(one, NULL, 8);
    for (int k = 0; k < 2; k++) { /* the first time connects, which needs both */
        if (one->rank == 0) {
            ncclResult_t result = ncclSend(buffer, 1, ncclInt32, 1, comm, one->stream);
            RANKS_CHECK(one, result == ncclInProgress || (k && !result));
            if (k)
                RANKS_CHECK(one, ranks_done(one, comm, 30) == ncclInProgress);
            one->board->flags[k] = 1;
        } else {
            if (k)
                ranks_await(one, k);
            RANKS_CHECK(one, ncclRecv(buffer, 1, ncclInt32, 0, comm, one->stream) != ncclInvalidUsage);
        }
        RANKS_CHECK(one, !ranks_done(one, comm, 20000));
    }
    RANKS_CHECK(one, !ranks_close(comm));
    cudaFree(buffer);
}

static void a_send_waits_for_its_receive(void **state)
{
    (void)state;
    for_all_ways(2, rendezvous_body);
}

/* Rank 0 sends to 1 and then to 2 in one group; 2 receives first and tells 1 to come: messages to other peers pass. */
static void group_body(struct ranks_one *one)
{
    ncclComm_t comm = ranks_open(one, 0, true);
    int number[2] = {one->rank + 1, 0};
    RANKS_CHECK(one, comm);
    int *buffer = ranks_device(one, number, sizeof number);
    for (int k = 0; k < 2; k++) {
        if (one->rank == 0) {
            RANKS_CHECK(one, !ncclGroupStart());
            RANKS_CHECK(one, !ncclSend(buffer, 1, ncclInt32, 1, comm, one->stream));
            RANKS_CHECK(one, !ncclSend(buffer, 1, ncclInt32, 2, comm, one->stream));
            RANKS_CHECK(one, !ncclGroupEnd());
        } else {
            if (one->rank == 1 && k == 1)
                ranks_await(one, 0);
            RANKS_CHECK(one, !ncclRecv(buffer + 1, 1, ncclInt32, 0, comm, one->stream));
        }
        RANKS_CHECK(one, !ranks_done(one, comm, 20000));
        if (one->rank == 2 && k == 1)
            one->board->flags[0] = 1;
    }
    ranks_fetch(one, number, buffer, sizeof number);
    RANKS_CHECK(one, one->rank == 0 || number[1] == 1);
    RANKS_CHECK(one, !ranks_close(comm));
    cudaFree(buffer);
}

static void messages_of_a_group_do_not_wait_for_each_other(void **state)
{
    (void)state;
    for_all_ways(3, group_body);
}

/* ---- collectives --------------------------------------------------------------------------------------------------- */

/* Elements that add up exactly in all types. */
static double element(int rank, size_t i)
{
    return (double)(i % 5) + rank;
}

static size_t element_put(ncclDataType_t type, void *at, size_t i, double x)
{
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    switch (type) {
    case ncclFloat32: ((float *)at)[i] = f; return 4;
    case ncclFloat64: ((double *)at)[i] = x; return 8;
    case ncclInt32: ((int *)at)[i] = (int)x; return 4;
    case ncclBfloat16: ((uint16_t *)at)[i] = (uint16_t)(bits >> 16); return 2;
    default: ((uint8_t *)at)[i] = (uint8_t)x; return 1;
    }
}

enum collective { ALL_REDUCE, REDUCE, BROADCAST, REDUCE_SCATTER, ALL_GATHER, N_COLLECTIVES };

static double wanted(enum collective what, int rank, int n_ranks, size_t count, size_t i)
{
    double sum = 0;
    size_t at = what == REDUCE_SCATTER ? (size_t)rank * count + i : i;
    for (int r = 0; r < n_ranks; r++)
        sum += element(r, at);
    return what == ALL_GATHER ? element((int)(i / count), i % count) : what == BROADCAST ? element(1, i) : sum;
}

static ncclResult_t collective_call(struct ranks_one *one, ncclComm_t comm, enum collective what, void *from, void *to,
                                    size_t count, ncclDataType_t type)
{
    switch (what) {
    case ALL_REDUCE: return ncclAllReduce(from, to, count, type, ncclSum, comm, one->stream);
    case REDUCE: return ncclReduce(from, to, count, type, ncclSum, 1, comm, one->stream);
    case BROADCAST: return ncclBroadcast(from, to, count, type, 1, comm, one->stream);
    case REDUCE_SCATTER: return ncclReduceScatter(from, to, count, type, ncclSum, comm, one->stream);
    default: return ncclAllGather(from, to, count, type, comm, one->stream);
    }
}

/* What a rank gives, gets and should get; too much for a thread's stack, which holds the shared arrays of kernels. */
struct vectors {
    double input[3 * MANY], output[3 * MANY], right[3 * MANY];
};

static bool collective_fine(struct ranks_one *one, ncclComm_t comm, struct vectors *v, enum collective what,
                            ncclDataType_t type, size_t count, bool in_place)
{
    size_t all = count * (size_t)one->n_ranks, size = 1, n_out = what == ALL_GATHER ? all : count;
    for (size_t i = 0; i < all || i < 1; i++)
        size = element_put(type, v->input, i, element(one->rank, i));
    for (size_t i = 0; i < n_out; i++)
        element_put(type, v->right, i, wanted(what, one->rank, one->n_ranks, count, i));
    char *from = ranks_device(one, v->input, all * size + 1), *to = ranks_device(one, NULL, all * size + 1);
    char *start = from, *target = in_place ? from : to;
    if (in_place && what == REDUCE_SCATTER)
        target += (size_t)one->rank * count * size;
    if (in_place && what == ALL_GATHER) {
        cudaFree(from);
        memset(v->output, 0, sizeof v->output);
        memcpy((char *)v->output + (size_t)one->rank * count * size, v->input, count * size);
        start = from = target = ranks_device(one, v->output, all * size + 1);
        start += (size_t)one->rank * count * size;
    }
    ncclResult_t result = collective_call(one, comm, what, start, target, count, type);
    bool fine = (!result || result == ncclInProgress) && !ranks_ready(comm);
    ranks_fetch(one, v->output, target, n_out * size + 1);
    fine = fine && ((what == REDUCE && one->rank != 1) || !memcmp(v->output, v->right, n_out * size));
    cudaFree(from);
    cudaFree(to);
    return fine;
}

static void collectives_body(struct ranks_one *one)
{
    static const ncclDataType_t types[] = {ncclFloat32, ncclFloat64, ncclBfloat16, ncclInt8, ncclUint8, ncclInt32};
    ncclComm_t comm = ranks_open(one, 0, false);
    struct vectors *v = calloc(1, sizeof *v);
    RANKS_CHECK(one, comm && v);
    for (int what = 0; what < N_COLLECTIVES; what++)
        for (size_t t = 0; t < 6; t++) {
            RANKS_CHECK(one, collective_fine(one, comm, v, (enum collective)what, types[t], 7, t % 2));
            if (t < 2)
                RANKS_CHECK(one, collective_fine(one, comm, v, (enum collective)what, types[t], MANY, t % 2));
        }
    for (int what = 0; what < N_COLLECTIVES; what++)
        RANKS_CHECK(one, collective_fine(one, comm, v, (enum collective)what, ncclFloat32, 0, false));
    RANKS_CHECK(one, !ranks_close(comm));
    free(v);
}

static void collectives_give_what_they_say(void **state)
{
    (void)state;
    for_all_ways(3, collectives_body);
}

/* Sums go from rank 0 upwards, rounded each time. */
static void order_body(struct ranks_one *one)
{
    static const float parts[] = {1.0f, 1e8f, -1e8f};
    static const uint16_t halves[] = {0x4380, 0x3f80, 0x3f80}; /* 256, 1, 1: 257 rounds to even */
    float sum;
    uint16_t half;
    ncclComm_t comm = ranks_open(one, 0, true);
    RANKS_CHECK(one, comm);
    float *x = ranks_device(one, &parts[one->rank], 4);
    uint16_t *y = ranks_device(one, &halves[one->rank], 2);
    RANKS_CHECK(one, !ncclAllReduce(x, x, 1, ncclFloat32, ncclSum, comm, one->stream));
    RANKS_CHECK(one, !ncclAllReduce(y, y, 1, ncclBfloat16, ncclSum, comm, one->stream));
    ranks_fetch(one, &sum, x, 4);
    ranks_fetch(one, &half, y, 2);
    RANKS_CHECK(one, sum == 0.0f && half == 0x4380);
    RANKS_CHECK(one, !ranks_close(comm));
    cudaFree(x);
    cudaFree(y);
}

static void sums_have_one_order(void **state)
{
    (void)state;
    for_all_ways(3, order_body);
}

/* ---- what GPUs have room for --------------------------------------------------------------------------------------- */

/* Two communicators; flag 5 says that rank 1 uses them in the other order than rank 0. */
static void two_body(struct ranks_one *one)
{
    cudaStream_t second;
    ncclComm_t a = ranks_open(one, 0, true), b = ranks_open(one, 1, true);
    RANKS_CHECK(one, a && b && !cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    float *x = ranks_device(one, NULL, 8);
    RANKS_CHECK(one, !ncclAllReduce(x, x, 1, ncclFloat32, ncclSum, a, one->stream)); /* connects */
    RANKS_CHECK(one, !ncclAllReduce(x, x, 1, ncclFloat32, ncclSum, b, one->stream));
    RANKS_CHECK(one, !ranks_done(one, b, 20000));
    for (int k = 0; k < 2; k++) {
        bool use_a = (k == 0) == (one->rank == 0);
        RANKS_CHECK(one, !ncclAllReduce(x + use_a, x + use_a, 1, ncclFloat32, ncclSum, use_a ? a : b,
                                        use_a ? one->stream : second));
    }
    ncclResult_t result = ranks_done(one, a, one->board->flags[4] ? 100 : 20000);
    if (result == ncclInProgress) {
        one->board->flags[5] = 1;
        RANKS_CHECK(one, !ncclCommAbort(a) && !ncclCommAbort(b));
    } else {
        RANKS_CHECK(one, !cudaStreamSynchronize(second));
        RANKS_CHECK(one, !result && !ranks_close(a) && !ranks_close(b));
    }
    RANKS_CHECK(one, !cudaStreamDestroy(second));
    cudaFree(x);
    bool serial = one->board->flags[4];
    RANKS_CHECK(one, (result == ncclInProgress) == serial);
}

static void serial_two_body(struct ranks_one *one)
{
    one->board->flags[4] = 1;
    two_body(one);
}

static void launches_in_different_orders_hang_where_there_is_room_for_one(void **state)
{
    (void)state;
    for (int where = 0; where < 2; where++) {
        modes_set((struct weir_fake_nccl_modes){.serial = false}, WEIR_FAKE_EAGER);
        ranks_run((enum ranks_where)where, 2, -1, two_body);
        modes_set((struct weir_fake_nccl_modes){.serial = true}, WEIR_FAKE_EAGER);
        ranks_run((enum ranks_where)where, 2, -1, serial_two_body);
    }
}

/* Streams of one group wait for each other. */
static void streams_body(struct ranks_one *one)
{
    cudaStream_t second;
    int number[2] = {7, 0};
    ncclComm_t comm = ranks_open(one, 0, true);
    RANKS_CHECK(one, comm && !cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    int *x = ranks_device(one, number, sizeof number);
    for (int k = 0; k < 3; k++) {
        RANKS_CHECK(one, !ncclGroupStart());
        RANKS_CHECK(one, !ncclSend(x, 1, ncclInt32, 1 - one->rank, comm, one->stream));
        RANKS_CHECK(one, !ncclRecv(x + 1, 1, ncclInt32, 1 - one->rank, comm, second));
        RANKS_CHECK(one, !ncclGroupEnd());
        RANKS_CHECK(one, !cudaStreamSynchronize(k % 2 ? second : one->stream));
    }
    ranks_fetch(one, number, x, sizeof number);
    RANKS_CHECK(one, number[1] == 7 && !ranks_close(comm));
    cudaStreamDestroy(second);
    cudaFree(x);
}

static void a_group_joins_its_streams(void **state)
{
    (void)state;
    for_all_ways(2, streams_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive),
        cmocka_unit_test(a_send_waits_for_its_receive),
        cmocka_unit_test(messages_of_a_group_do_not_wait_for_each_other),
        cmocka_unit_test(collectives_give_what_they_say),
        cmocka_unit_test(sums_have_one_order),
        cmocka_unit_test(launches_in_different_orders_hang_where_there_is_room_for_one),
        cmocka_unit_test(a_group_joins_its_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
