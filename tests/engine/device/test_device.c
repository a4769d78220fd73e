/* Conformance of devices: every test runs on every kind that this machine can use.   labels: threads
 *
 * Random orders are in test_device_graphs.c, allocations and system calls of a step in test_device_steady.c, the table
 * of kinds and what only the cpu has in test_device_kinds.c. */
#include "tests/support/testing.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/support/device_calls.h"
#include "engine/device/device.h"

static const int64_t millisecond = 1000000, long_enough = 60000 * 1000000ll;

/* One device with two compute streams and an edge stream. */
struct rig {
    _Atomic bool is_open; /* lets hold() go; closing sets it, so that a failed test does not hang */
    const struct weir_device_kind *kind;
    weir_device *device;
    weir_stream *a, *b, *edge;
    weir_event *event, *other;
    int *host; /* HOST_INTS of host_alloc memory */
};

enum { HOST_INTS = 8192 };

static int rig_open(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig.kind = *state;
    assert_ok(rig.kind->open(0, 1, &rig.device));
    assert_ok(rig.kind->stream_open(rig.device, WEIR_STREAM_COMPUTE, 64, &rig.a));
    assert_ok(rig.kind->stream_open(rig.device, WEIR_STREAM_COMPUTE, 64, &rig.b));
    assert_ok(rig.kind->stream_open(rig.device, WEIR_STREAM_EDGE, 64, &rig.edge));
    assert_ok(rig.kind->event_open(rig.device, &rig.event));
    assert_ok(rig.kind->event_open(rig.device, &rig.other));
    assert_ok(rig.kind->host_alloc(rig.device, HOST_INTS * sizeof *rig.host, (void **)(void *)&rig.host));
    *state = &rig;
    return 0;
}

static int rig_close(void **state)
{
    struct rig *rig = *state;
    atomic_store(&rig->is_open, true);
    rig->kind->stream_close(rig->a);
    rig->kind->stream_close(rig->b);
    rig->kind->stream_close(rig->edge);
    rig->kind->event_close(rig->event);
    rig->kind->event_close(rig->other);
    rig->kind->host_free(rig->device, rig->host);
    rig->kind->close(rig->device);
    return 0;
}

static weir_status call(const struct rig *rig, weir_stream *stream, weir_task_fn fn, void *argument)
{
    return testing_stream_call(rig->kind, stream, fn, argument);
}

static weir_status call_failing(const struct rig *rig, weir_stream *stream, weir_task_fn fn)
{
    return testing_stream_fail(rig->kind, stream, fn);
}

static bool has_tasks(const struct rig *rig)
{
    return rig->kind->flags & WEIR_DEVICE_TASKS;
}

/* ---- host functions for streams ---------------------------------------------------------------------------------- */

struct counter {
    int value, n_wrong;
};

static weir_status count_up(void *argument)
{
    (*(int *)argument)++;
    return WEIR_OK;
}

/* Holds a stream up until the test lets it go. */
static weir_status hold(void *argument)
{
    while (!atomic_load((_Atomic bool *)argument))
        sched_yield();
    return WEIR_OK;
}

static weir_status fail_first(void *argument)
{
    (void)argument;
    return WEIR_FAIL(WEIR_ERR_NUMERIC, "the loss of step 3 is not a number");
}

static weir_status fail_second(void *argument)
{
    (void)argument;
    return WEIR_FAIL(WEIR_ERR_IO, "a second failure");
}

static weir_status fail_silently(void *argument)
{
    (void)argument;
    return WEIR_ERR_DEVICE;
}

struct step {
    struct counter *counter;
    int expected;
};

static weir_status step_in_order(void *argument)
{
    const struct step *step = argument;
    step->counter->n_wrong += step->counter->value++ != step->expected;
    return WEIR_OK;
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

static void tasks_of_a_stream_run_in_order(void **state)
{
    struct rig *rig = *state;
    enum { STEPS = 2000 };
    static struct step steps[STEPS];
    struct counter counter = {0};
    for (int i = 0; i < STEPS; i++) {
        steps[i] = (struct step){&counter, i};
        assert_ok(call(rig, rig->a, step_in_order, &steps[i]));
    }
    assert_ok(rig->kind->stream_sync(rig->a, -1));
    assert_int_equal(counter.value, STEPS);
    assert_int_equal(counter.n_wrong, 0);
}

static void a_wait_before_any_record_returns_at_once(void **state)
{
    struct rig *rig = *state;
    int ran = 0;
    assert_ok(rig->kind->wait(rig->a, rig->event));
    assert_ok(call(rig, rig->a, count_up, &ran));
    assert_ok(rig->kind->wait(rig->edge, rig->event));
    assert_ok(rig->kind->stream_sync(rig->a, long_enough));
    assert_ok(rig->kind->stream_sync(rig->edge, long_enough));
    assert_int_equal(ran, 1);
}

/* The event is recorded again and again; each time the second wait is for a record behind a stream that is held up,
 * the first one for the record before. */
static void a_wait_captures_the_record_issued_last(void **state)
{
    struct rig *rig = *state;
    weir_stream *const waiters[] = {rig->b, rig->edge};
    for (int round = 0; round < 100; round++) {
        weir_stream *waiter = waiters[round % 2];
        atomic_store(&rig->is_open, false);
        assert_ok(rig->kind->record(rig->a, rig->event));
        assert_ok(rig->kind->wait(waiter, rig->event));
        assert_ok(call(rig, rig->a, hold, &rig->is_open));
        assert_ok(rig->kind->record(rig->a, rig->event));
        assert_ok(rig->kind->stream_sync(waiter, long_enough));
        assert_ok(rig->kind->wait(waiter, rig->event));
        assert_fails(rig->kind->stream_sync(waiter, round % 4 * millisecond / 4), WEIR_ERR_TIMEOUT, "did not finish");
        atomic_store(&rig->is_open, true);
        assert_ok(rig->kind->stream_sync(waiter, long_enough));
        assert_ok(rig->kind->stream_sync(rig->a, long_enough));
    }
}

/* The later record is on a free stream, the earlier one behind a stream that is held up: who waits for the earlier one
 * must not be let through by the later one. */
static void records_of_two_streams_keep_their_order(void **state)
{
    struct rig *rig = *state;
    weir_stream *const recorders[] = {rig->b, rig->edge};
    for (int round = 0; round < 100; round++) {
        weir_stream *later = recorders[round % 2], *waiter = recorders[1 - round % 2];
        atomic_store(&rig->is_open, false);
        assert_ok(call(rig, rig->a, hold, &rig->is_open));
        assert_ok(rig->kind->record(rig->a, rig->event));
        assert_ok(rig->kind->wait(waiter, rig->event));
        assert_ok(rig->kind->record(later, rig->event));
        assert_fails(rig->kind->stream_sync(waiter, millisecond / 4), WEIR_ERR_TIMEOUT, "did not finish");
        atomic_store(&rig->is_open, true);
        assert_ok(rig->kind->stream_sync(waiter, long_enough));
        assert_ok(rig->kind->stream_sync(later, long_enough));
        assert_ok(rig->kind->stream_sync(rig->a, long_enough));
    }
}

static void issuing_more_than_the_capacity_blocks_and_completes(void **state)
{
    struct rig *rig = *state;
    static const size_t capacities[] = {1, 2, 3, 4, 7, 64};
    enum { STEPS = 300 };
    static struct step steps[STEPS];
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        struct counter counter = {0};
        weir_stream *stream;
        assert_ok(rig->kind->stream_open(rig->device, WEIR_STREAM_COMPUTE, capacities[c], &stream));
        for (int i = 0; i < STEPS; i++) {
            steps[i] = (struct step){&counter, i};
            assert_ok(call(rig, stream, step_in_order, &steps[i]));
        }
        assert_ok(rig->kind->stream_sync(stream, -1));
        assert_int_equal(counter.value, STEPS);
        assert_int_equal(counter.n_wrong, 0);
        rig->kind->stream_close(stream);
    }
    weir_stream *none;
    assert_fails(rig->kind->stream_open(rig->device, WEIR_STREAM_COMPUTE, 0, &none), WEIR_ERR_INVALID, "from 1 to 2^30");
}

/* Threads started without attributes get a stack of `bytes` from now on; returns what they got before. */
static size_t default_stack_set(size_t bytes)
{
    pthread_attr_t attributes;
    size_t before;
    pthread_getattr_default_np(&attributes);
    pthread_attr_getstacksize(&attributes, &before);
    pthread_attr_setstacksize(&attributes, bytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
    return before;
}

/* Thousands of edge streams hand on to each other, all on the worker that sets the chain off.  Its stack is small: the
 * chain must not be on it. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(WEIR_CUDA_EMULATED)
enum { LINKS = 1000, SMALL_STACK = 8 << 20 }; /* a sanitizer, or the kernels' shared arrays, are on it too */
#else
enum { LINKS = 4000, SMALL_STACK = 256 << 10 };
#endif
enum { FEW_LINKS = 12 }; /* where streams are few */

struct chain {
    int n;
    weir_stream *start, *streams[LINKS];
    weir_event *events[LINKS + 1];
};

static weir_stream *small_stream_open(const struct rig *rig)
{
    weir_stream *stream;
    size_t usual = default_stack_set(has_tasks(rig) ? SMALL_STACK : 8 << 20);
    weir_status status = rig->kind->stream_open(rig->device, WEIR_STREAM_COMPUTE, 8, &stream);
    default_stack_set(usual);
    assert_ok(status);
    return stream;
}

static void chain_open(struct chain *chain, const struct rig *rig)
{
    chain->n = has_tasks(rig) ? LINKS : FEW_LINKS;
    chain->start = small_stream_open(rig);
    for (int i = 0; i <= chain->n; i++)
        assert_ok(rig->kind->event_open(rig->device, &chain->events[i]));
    for (int i = 0; i < chain->n; i++)
        assert_ok(rig->kind->stream_open(rig->device, WEIR_STREAM_EDGE, 4, &chain->streams[i]));
}

static void chain_close(const struct chain *chain, const struct rig *rig)
{
    rig->kind->stream_close(chain->start);
    for (int i = 0; i < chain->n; i++)
        rig->kind->stream_close(chain->streams[i]);
    for (int i = 0; i <= chain->n; i++)
        rig->kind->event_close(chain->events[i]);
}

static void a_long_chain_of_edge_streams_needs_no_stack(void **state)
{
    struct rig *rig = *state;
    static struct chain chain;
    int *values = rig->host;
    values[0] = 42;
    chain_open(&chain, rig);
    assert_ok(call(rig, chain.start, hold, &rig->is_open));
    assert_ok(rig->kind->record(chain.start, chain.events[0]));
    for (int k = 0; k < chain.n; k++) {
        assert_ok(rig->kind->wait(chain.streams[k], chain.events[k]));
        assert_ok(rig->kind->copy(chain.streams[k], &values[k + 1], &values[k], sizeof values[k]));
        assert_ok(rig->kind->record(chain.streams[k], chain.events[k + 1]));
    }
    atomic_store(&rig->is_open, true);
    assert_ok(rig->kind->stream_sync(chain.streams[chain.n - 1], long_enough));
    assert_int_equal(values[chain.n], 42);
    chain_close(&chain, rig);
}

/* ---- copy, mark -------------------------------------------------------------------------------------------------- */

/* host ─▶ device ─▶ device ─▶ host; the byte behind the last stays what it was. */
static void a_copy_moves_all_bytes(void **state)
{
    struct rig *rig = *state;
    const struct weir_device_kind *kind = rig->kind;
    static const size_t sizes[] = {0, 1, 63, 64, 4097, 5 << 20};
    weir_stream *const streams[] = {rig->a, rig->edge};
    for (int k = 0; k < 12; k++) {
        size_t n = sizes[k / 2];
        weir_stream *stream = streams[k % 2];
        unsigned char *from, *to;
        void *there, *here;
        assert_ok(kind->host_alloc(rig->device, n + 1, (void **)(void *)&from));
        assert_ok(kind->host_alloc(rig->device, n + 1, (void **)(void *)&to));
        assert_ok(kind->memory_alloc(rig->device, n + 1, &here));
        assert_ok(kind->memory_alloc(rig->device, n + 1, &there));
        for (size_t i = 0; i < n; i++)
            from[i] = (unsigned char)(i * 31 + 7);
        to[n] = 99;
        assert_ok(kind->copy(stream, here, from, n));
        assert_ok(kind->copy(stream, there, here, n));
        assert_ok(kind->copy(stream, to, there, n));
        assert_ok(kind->stream_sync(stream, -1));
        assert_memory_equal(to, from, n);
        assert_int_equal(to[n], 99);
        kind->memory_free(rig->device, here);
        kind->memory_free(rig->device, there);
        kind->host_free(rig->device, from);
        kind->host_free(rig->device, to);
    }
}

static void marks_are_monotonic(void **state)
{
    struct rig *rig = *state;
    int64_t marks[40] = {0};
    int64_t before = weir_clock_ns();
    for (int i = 0; i < 40; i++) {
        weir_stream *stream = i % 3 == 0 ? rig->a : i % 3 == 1 ? rig->b : rig->edge;
        assert_ok(rig->kind->wait(stream, rig->event));
        assert_ok(rig->kind->mark(stream, &marks[i]));
        assert_ok(rig->kind->record(stream, rig->event));
    }
    assert_ok(rig->kind->stream_sync(rig->a, -1));
    assert_ok(rig->kind->stream_sync(rig->b, -1));
    assert_ok(rig->kind->stream_sync(rig->edge, -1));
    if (has_tasks(rig)) /* elsewhere the device's clock differs from the host's by microseconds */
        assert_true(marks[0] >= before && marks[39] <= weir_clock_ns());
    for (int i = 1; i < 40; i++)
        assert_true(marks[i] >= marks[i - 1]);
}

/* ---- failure ----------------------------------------------------------------------------------------------------- */

static void the_first_failure_poisons_the_stream(void **state)
{
    struct rig *rig = *state;
    int ran = 0, ran_behind = 0, *from = &rig->host[0], *to = &rig->host[1];
    int64_t mark = 0;
    *from = 1;
    *to = 0;
    assert_ok(call(rig, rig->a, count_up, &ran));
    assert_ok(call_failing(rig, rig->a, fail_first));
    assert_ok(call(rig, rig->a, count_up, &ran));
    assert_ok(rig->kind->copy(rig->a, to, from, sizeof *to));
    assert_ok(call_failing(rig, rig->a, fail_second));
    assert_ok(rig->kind->mark(rig->a, &mark));
    assert_ok(rig->kind->record(rig->a, rig->event));
    assert_ok(rig->kind->wait(rig->b, rig->event));
    assert_ok(call(rig, rig->b, count_up, &ran_behind));
    assert_ok(rig->kind->stream_sync(rig->b, long_enough));
    assert_fails(rig->kind->stream_sync(rig->a, -1), WEIR_ERR_NUMERIC, "the loss of step 3 is not a number");
    assert_int_equal(ran, 1);
    assert_int_equal(ran_behind, 1);
    assert_int_equal(*to, 0);
    assert_int_not_equal(mark, 0);
    weir_error_put("");
    assert_fails(rig->kind->stream_sync(rig->a, -1), WEIR_ERR_NUMERIC, "the loss of step 3 is not a number");
}

static void reset_forgets_a_failure(void **state)
{
    struct rig *rig = *state;
    int ran = 0;
    assert_ok(call_failing(rig, rig->a, fail_first));
    assert_fails(rig->kind->stream_sync(rig->a, -1), WEIR_ERR_NUMERIC, "step 3");
    assert_ok(rig->kind->stream_reset(rig->a));
    assert_ok(call(rig, rig->a, count_up, &ran));
    assert_ok(rig->kind->stream_sync(rig->a, -1));
    assert_int_equal(ran, 1);
    assert_ok(call(rig, rig->a, hold, &rig->is_open));
    assert_fails(rig->kind->stream_reset(rig->a), WEIR_ERR_INVALID, "unfinished tasks");
    atomic_store(&rig->is_open, true);
    assert_ok(call_failing(rig, rig->a, fail_silently));
    assert_fails(rig->kind->stream_sync(rig->a, -1), WEIR_ERR_DEVICE, "device failed");
}

static void sync_gives_up_at_its_timeout(void **state)
{
    struct rig *rig = *state;
    int ran = 0;
    assert_ok(call(rig, rig->a, hold, &rig->is_open));
    for (int i = 0; i < 63; i++)
        assert_ok(call(rig, rig->a, count_up, &ran));
    assert_fails(rig->kind->stream_sync(rig->a, 0), WEIR_ERR_TIMEOUT, "did not finish");
    assert_fails(rig->kind->stream_sync(rig->a, millisecond), WEIR_ERR_TIMEOUT, "did not finish");
    atomic_store(&rig->is_open, true);
    assert_ok(rig->kind->stream_sync(rig->a, INT64_MAX));
    assert_int_equal(ran, 63);
}

static void an_event_tells_whether_its_record_happened(void **state)
{
    struct rig *rig = *state;
    bool done = false;
    assert_ok(rig->kind->event_done(rig->event, &done));
    assert_true(done); /* never recorded */
    for (int round = 0; round < 2; round++) {
        atomic_store(&rig->is_open, false);
        assert_ok(call(rig, rig->a, hold, &rig->is_open));
        assert_ok(rig->kind->record(rig->a, rig->event));
        assert_ok(rig->kind->event_done(rig->event, &done));
        assert_false(done);
        atomic_store(&rig->is_open, true);
        assert_ok(rig->kind->stream_sync(rig->a, -1));
        assert_ok(rig->kind->event_done(rig->event, &done));
        assert_true(done);
    }
}

static void close_runs_what_is_enqueued(void **state)
{
    struct rig *rig = *state;
    for (int round = 0; round < 50; round++) {
        weir_stream *stream, *edge;
        int *ran = &rig->host[0], *seen = &rig->host[1];
        *ran = 0;
        *seen = -1;
        assert_ok(rig->kind->stream_open(rig->device, WEIR_STREAM_COMPUTE, 8, &stream));
        assert_ok(rig->kind->stream_open(rig->device, WEIR_STREAM_EDGE, 8, &edge));
        for (int i = 0; i < 6; i++)
            assert_ok(call(rig, stream, count_up, ran));
        assert_ok(rig->kind->record(stream, rig->event));
        assert_ok(rig->kind->wait(edge, rig->event));
        assert_ok(rig->kind->copy(edge, seen, ran, sizeof *ran));
        rig->kind->stream_close(edge);
        rig->kind->stream_close(stream);
        assert_int_equal(*ran, 6);
        assert_int_equal(*seen, 6);
    }
}

static void an_edge_stream_refuses_kernels(void **state)
{
    struct rig *rig = *state;
    assert_fails(rig->kind->run(rig->edge, count_up, NULL), WEIR_ERR_INVALID, "use a compute stream");
    assert_fails(rig->kind->launch(rig->edge, NULL, NULL), WEIR_ERR_INVALID, "use a compute stream");
    assert_ok(rig->kind->stream_sync(rig->edge, -1));
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static weir_status open_everything(const struct weir_device_kind *kind)
{
    weir_device *device;
    weir_stream *compute, *edge;
    weir_event *event;
    void *small, *large;
    int n_devices;
    weir_status status = kind->count(&n_devices);
    if (!status)
        status = kind->open(n_devices > 1 ? 1 : 0, 1, &device);
    if (status)
        return status;
    if ((status = kind->stream_open(device, WEIR_STREAM_COMPUTE, 16, &compute)))
        goto close_device;
    if ((status = kind->stream_open(device, WEIR_STREAM_EDGE, 16, &edge)))
        goto close_compute;
    if ((status = kind->event_open(device, &event)))
        goto close_edge;
    if ((status = kind->memory_alloc(device, 1000, &small)))
        goto close_event;
    if ((status = kind->memory_alloc(device, 3 << 20, &large)))
        goto free_small;
    kind->memory_free(device, large);
free_small:
    kind->memory_free(device, small);
close_event:
    kind->event_close(event);
close_edge:
    kind->stream_close(edge);
close_compute:
    kind->stream_close(compute);
close_device:
    kind->close(device);
    return status;
}

static void every_failed_allocation_is_a_status(void **state)
{
    struct rig *rig = *state;
    weir_status status = WEIR_ERR_NOMEM;
    int budget = 0;
    for (; status && budget < 100; budget++) {
        weir_alloc_set_budget(budget);
        status = open_everything(rig->kind);
        weir_alloc_set_budget(-1);
        if (status)
            assert_fails(status, WEIR_ERR_NOMEM, "out of memory");
    }
    assert_ok(status);
    assert_true(budget > (has_tasks(rig) ? 5 : 3));
    void *none = rig;
    assert_fails(rig->kind->memory_alloc(rig->device, SIZE_MAX - 100, &none), WEIR_ERR_NOMEM, "out of memory");
    assert_fails(rig->kind->memory_alloc(rig->device, (size_t)1 << 62, &none), WEIR_ERR_NOMEM, "out of memory");
    assert_ptr_equal(none, rig);
}

static void a_thread_that_cannot_start_is_a_status(void **state)
{
    struct rig *rig = *state;
    weir_stream *stream = NULL;
    if (!has_tasks(rig)) {
        print_message("skipped: %s: its streams have no threads\n", rig->kind->name);
        skip();
    }
    size_t usual = default_stack_set((size_t)1 << 47);
    weir_status status = rig->kind->stream_open(rig->device, WEIR_STREAM_COMPUTE, 8, &stream);
    default_stack_set(usual);
    assert_fails(status, WEIR_ERR_DEVICE, "cannot start the thread");
    assert_null(stream);
}

static void memory_read(const struct rig *rig, void *to, const void *from, size_t n)
{
    assert_ok(rig->kind->copy(rig->a, to, from, n));
    assert_ok(rig->kind->stream_sync(rig->a, -1));
}

static void memory_is_zeroed_and_aligned(void **state)
{
    struct rig *rig = *state;
    static const size_t sizes[] = {0, 1, 100, 65536, (2 << 20) - 1, 2 << 20, (5 << 20) + 13};
    unsigned char *memory, *seen;
    size_t page = has_tasks(rig) ? 4096 : 64;
    for (int round = 0; round < 3; round++)
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            assert_ok(rig->kind->memory_alloc(rig->device, sizes[k], (void **)(void *)&memory));
            assert_ok(rig->kind->host_alloc(rig->device, sizes[k], (void **)(void *)&seen));
            assert_int_equal((uintptr_t)memory % (sizes[k] >= 2 << 20 ? page : 64), 0);
            assert_int_equal((uintptr_t)seen % 64, 0);
            for (size_t i = 0; i < sizes[k]; i++)
                if (seen[i])
                    fail_msg("byte %zu of %zu of the host's is %d", i, sizes[k], seen[i]);
            memset(seen, 0xa5, sizes[k]);
            memory_read(rig, seen, memory, sizes[k]);
            for (size_t i = 0; i < sizes[k]; i++)
                if (seen[i])
                    fail_msg("byte %zu of %zu is %d", i, sizes[k], seen[i]);
            memset(seen, 0xa5, sizes[k]);
            memory_read(rig, memory, seen, sizes[k]);
            rig->kind->memory_free(rig->device, memory);
            rig->kind->host_free(rig->device, seen);
        }
    size_t free_bytes, total;
    assert_ok(rig->kind->memory_info(rig->device, &free_bytes, &total));
    assert_true(free_bytes > 0 && free_bytes <= total);
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void memory_is_resident_only_when_used(void **state)
{
    struct rig *rig = *state;
#if defined(__SANITIZE_THREAD__)
    print_message("skipped: the sanitizer's own memory counts as resident\n");
    skip();
#endif
    if (!(rig->kind->flags & WEIR_DEVICE_HOST_MEMORY)) {
        print_message("skipped: %s: its memory is not the host's\n", rig->kind->name);
        skip();
    }
    size_t bytes = 256 << 20, before = resident_bytes();
    char *memory;
    assert_ok(rig->kind->memory_alloc(rig->device, bytes, (void **)&memory));
    assert_true(resident_bytes() - before < bytes / 16);
    memset(memory, 1, bytes / 4);
    size_t used = resident_bytes() - before;
    assert_true(used > bytes / 4 - bytes / 16 && used < bytes / 4 + bytes / 16);
    rig->kind->memory_free(rig->device, memory);
    assert_true(resident_bytes() - before < bytes / 16 || resident_bytes() <= before);
}

/* ---- every kind ------------------------------------------------------------------------------------------------- */

static const struct CMUnitTest conformance[] = {
    cmocka_unit_test_setup_teardown(tasks_of_a_stream_run_in_order, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(a_wait_before_any_record_returns_at_once, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(a_wait_captures_the_record_issued_last, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(records_of_two_streams_keep_their_order, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(issuing_more_than_the_capacity_blocks_and_completes, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(a_long_chain_of_edge_streams_needs_no_stack, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(a_copy_moves_all_bytes, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(marks_are_monotonic, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(the_first_failure_poisons_the_stream, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(reset_forgets_a_failure, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(sync_gives_up_at_its_timeout, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(an_event_tells_whether_its_record_happened, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(close_runs_what_is_enqueued, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(an_edge_stream_refuses_kernels, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(every_failed_allocation_is_a_status, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(a_thread_that_cannot_start_is_a_status, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(memory_is_zeroed_and_aligned, rig_open, rig_close),
    cmocka_unit_test_setup_teardown(memory_is_resident_only_when_used, rig_open, rig_close),
};
enum { CONFORMANCE = sizeof conformance / sizeof conformance[0] };

static int run_conformance(const struct weir_device_kind *kind)
{
    struct CMUnitTest tests[CONFORMANCE];
    union {
        const void *kind;
        void *state;
    } initial = {.kind = kind};
    int n_devices;
    if (!testing_device_there(kind, &n_devices))
        return 0;
    memcpy(tests, conformance, sizeof tests);
    for (int t = 0; t < CONFORMANCE; t++)
        tests[t].initial_state = initial.state;
    return _cmocka_run_group_tests(kind->name, tests, CONFORMANCE, NULL, NULL);
}

int main(void)
{
    const struct weir_device_kind *kind;
    int n_failed = 0;
    for (int i = 0; (kind = weir_device_kind_at(i)); i++)
        n_failed += run_conformance(kind);
    return n_failed;
}
