/* Devices in steady state: no allocation, and no system call but futex, on any thread.   labels: threads */
#include "tests/support/testing.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/device/device.h"
#include "tests/support/step_guard.h"

enum { STEPS = 200, WARM_UP = 20, MOST_STREAMS = 8 };

/* A ring of compute streams with an edge stream between each and the next. */
struct rig {
    const struct weir_device_kind *kind;
    int n_streams;
    weir_task_fn task; /* what the compute streams run */
    weir_device *device;
    weir_stream *compute[MOST_STREAMS], *edges[MOST_STREAMS];
    weir_event *sent[MOST_STREAMS], *arrived[MOST_STREAMS];
    long from[MOST_STREAMS], to[MOST_STREAMS];
    int64_t marks[MOST_STREAMS];
};

static weir_status rig_open(struct rig *rig)
{
    const struct weir_device_kind *kind = rig->kind;
    weir_status status = kind->open(0, 1, &rig->device);
    for (int s = 0; s < rig->n_streams && !status; s++) {
        /* the small capacity makes issuing block too */
        status = kind->stream_open(rig->device, WEIR_STREAM_COMPUTE, 8, &rig->compute[s]);
        if (!status)
            status = kind->stream_open(rig->device, WEIR_STREAM_EDGE, 8, &rig->edges[s]);
        if (!status)
            status = kind->event_open(rig->device, &rig->sent[s]);
        if (!status)
            status = kind->event_open(rig->device, &rig->arrived[s]);
    }
    return status;
}

static weir_status hop(struct rig *rig, int s)
{
    const struct weir_device_kind *kind = rig->kind;
    int next = (s + 1) % rig->n_streams;
    weir_status status = kind->run(rig->compute[s], rig->task, &rig->from[s]);
    if (!status)
        status = kind->mark(rig->compute[s], &rig->marks[s]);
    if (!status)
        status = kind->record(rig->compute[s], rig->sent[s]);
    if (!status)
        status = kind->wait(rig->edges[s], rig->sent[s]);
    if (!status)
        status = kind->copy(rig->edges[s], &rig->to[next], &rig->from[s], sizeof rig->from[s]);
    if (!status)
        status = kind->record(rig->edges[s], rig->arrived[s]);
    return status ? status : kind->wait(rig->compute[next], rig->arrived[s]);
}

static weir_status step_run(struct rig *rig)
{
    weir_status status = WEIR_OK;
    for (int h = 0; h < 4 * rig->n_streams && !status; h++)
        status = hop(rig, h % rig->n_streams);
    for (int s = 0; s < rig->n_streams && !status; s++) {
        status = rig->kind->stream_sync(rig->compute[s], 60000 * 1000000ll);
        if (!status)
            status = rig->kind->stream_sync(rig->edges[s], -1);
    }
    return status;
}

static weir_status steps_guarded(void *argument)
{
    struct rig *rig = argument;
    weir_status status = rig_open(rig);
    for (int i = 0; i < WARM_UP && !status; i++)
        status = step_run(rig);
    testing_guard_begin();
    for (int i = 0; i < STEPS && !status; i++)
        status = step_run(rig);
    testing_guard_end();
    return status;
}

static weir_status count_up(void *argument)
{
    (*(long *)argument)++;
    return WEIR_OK;
}

static weir_status call_kernel(void *argument)
{
    *(long *)argument = getppid();
    return WEIR_OK;
}

static weir_status use_heap(void *argument)
{
    void *volatile memory = malloc(100);
    free(memory);
    return count_up(argument);
}

static bool can_run(const struct weir_device_kind *kind)
{
    int n_devices;
    if (kind->count(&n_devices) != WEIR_OK)
        print_message("skipped: %s: %s\n", kind->name, weir_last_error());
    else if (kind->flags & WEIR_DEVICE_DRY)
        print_message("skipped: %s: it computes nothing\n", kind->name);
    else if (!(kind->flags & WEIR_DEVICE_TASKS))
        print_message("skipped: %s: it runs no host functions\n", kind->name);
    else
        return true;
    return false;
}

static void counts_get(const struct weir_device_kind *kind, int n_streams, weir_task_fn task,
                       struct testing_guard_counts *counts)
{
    static struct rig rig;
    rig = (struct rig){.kind = kind, .n_streams = n_streams, .task = task};
    assert_ok(testing_guard_run(steps_guarded, &rig, counts));
    if (!counts->saw_system_calls)
        print_message("skipped: system calls: this machine allows no filter\n");
}

static void a_step_allocates_nothing_and_calls_only_futex(void **state)
{
    const struct weir_device_kind *kind;
    (void)state;
    static const int n_streams[] = {1, 2, 3, 8};
    if (!testing_guard_available())
        skip();
    for (int i = 0; (kind = weir_device_kind_at(i)); i++)
        for (size_t k = 0; k < sizeof n_streams / sizeof n_streams[0] && can_run(kind); k++) {
            struct testing_guard_counts counts;
            counts_get(kind, n_streams[k], count_up, &counts);
            if (counts.n_system_calls)
                print_error("%s: system call %d\n", kind->name, counts.first_system_call);
            assert_int_equal(counts.n_system_calls, 0);
            assert_int_equal(counts.n_allocations, 0);
        }
}

static void the_guard_sees_system_calls_and_allocations_of_workers(void **state)
{
    (void)state;
    struct testing_guard_counts counts;
    if (!testing_guard_available())
        skip();
    counts_get(&weir_device_cpu, 2, use_heap, &counts);
    assert_int_equal(counts.n_allocations, STEPS * 8);
    assert_int_equal(counts.n_system_calls, 0);
    counts_get(&weir_device_cpu, 2, call_kernel, &counts);
    assert_int_equal(counts.n_allocations, 0);
    if (counts.saw_system_calls)
        assert_int_equal(counts.n_system_calls, STEPS * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_allocates_nothing_and_calls_only_futex),
        cmocka_unit_test(the_guard_sees_system_calls_and_allocations_of_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
