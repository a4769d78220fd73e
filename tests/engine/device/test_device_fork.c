/* Devices in a child after fork(): a status that says so, nothing that hangs, and devices of its own.
 * Not for the thread sanitizer: it does not follow a child that starts threads. */
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "tests/support/device_calls.h"

enum { HANG_S = 60 };

struct opened {
    weir_device *device;
    weir_stream *compute, *edge;
    weir_event *event;
    char *memory;
};

static weir_status count_up(void *counter)
{
    ++*(int *)counter;
    return WEIR_OK;
}

static weir_status all_open(const struct weir_device_kind *kind, struct opened *o)
{
    weir_status status = kind->open(0, 1, &o->device);
    if (!status)
        status = kind->stream_open(o->device, WEIR_STREAM_COMPUTE, 8, &o->compute);
    if (!status)
        status = kind->stream_open(o->device, WEIR_STREAM_EDGE, 8, &o->edge);
    if (!status)
        status = kind->event_open(o->device, &o->event);
    return status ? status : kind->memory_alloc(o->device, 100, (void **)&o->memory);
}

static void all_close(const struct weir_device_kind *kind, struct opened *o)
{
    kind->stream_close(o->edge);
    kind->stream_close(o->compute);
    kind->event_close(o->event);
    kind->memory_free(o->device, o->memory);
    kind->close(o->device);
}

static weir_status all_used(const struct weir_device_kind *kind, struct opened *o)
{
    static int counter;
    counter = 0;
    weir_status status = testing_stream_call(kind, o->compute, count_up, &counter);
    if (!status)
        status = kind->record(o->compute, o->event);
    if (!status)
        status = kind->wait(o->edge, o->event);
    if (!status)
        status = kind->stream_sync(o->edge, -1);
    if (!status)
        status = kind->stream_sync(o->compute, -1);
    return status || counter == 1 ? status : WEIR_FAIL(WEIR_ERR_INTERNAL, "a task did not run");
}

static bool refused(weir_status status)
{
    bool right = status == WEIR_ERR_INVALID && strstr(weir_last_error(), "before fork()");
    if (!right)
        print_error("status %d '%s'\n", (int)status, weir_last_error());
    return right;
}

/* What the child of a process with `o` sees; its exit status, which counts what went wrong. */
static int child_try(const struct weir_device_kind *kind, struct opened *o)
{
    weir_stream *stream;
    void *memory;
    int64_t ns;
    int counter = 0, wrong = 0;
    wrong += !refused(kind->stream_open(o->device, WEIR_STREAM_COMPUTE, 8, &stream));
    wrong += !refused(kind->memory_alloc(o->device, 100, &memory));
    wrong += !refused(testing_stream_call(kind, o->compute, count_up, &counter));
    wrong += !refused(kind->copy(o->edge, o->memory, o->memory + 50, 50));
    wrong += !refused(kind->mark(o->compute, &ns));
    wrong += !refused(kind->record(o->compute, o->event));
    wrong += !refused(kind->stream_sync(o->compute, -1));
    wrong += !refused(kind->stream_reset(o->compute));
    all_close(kind, o);
    struct opened own;
    bool again = kind->flags & WEIR_DEVICE_HOST_MEMORY;
    if (again && (all_open(kind, &own) || all_used(kind, &own)))
        wrong++;
    else if (again)
        all_close(kind, &own);
    return wrong;
}

static void a_child_is_told_and_never_waits(void **state)
{
    const struct weir_device_kind *kind;
    (void)state;
    for (int i = 0; (kind = weir_device_kind_at(i)); i++) {
        struct opened o;
        int n, code = -1;
        if (!testing_device_there(kind, &n))
            continue;
        assert_ok(all_open(kind, &o));
        assert_ok(all_used(kind, &o));
        pid_t child = fork();
        if (child == 0) {
            alarm(HANG_S);
            _exit(child_try(kind, &o));
        }
        assert_int_equal(waitpid(child, &code, 0), child);
        assert_int_equal(code, 0);
        assert_ok(all_used(kind, &o));
        all_close(kind, &o);
    }
}

static void every_child_has_a_number_of_its_own(void **state)
{
    (void)state;
    uint32_t number = weir_process_number();
    int code = -1;
    assert_ok(weir_process_check(number, "this"));
    pid_t child = fork();
    if (child == 0) {
        uint32_t own = weir_process_number();
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(weir_process_is(own) || weir_process_is(number));
        waitpid(grandchild, &code, 0);
        _exit(code || weir_process_is(number) || !refused(weir_process_check(number, "this")));
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_true(weir_process_is(number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_told_and_never_waits),
        cmocka_unit_test(every_child_has_a_number_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
