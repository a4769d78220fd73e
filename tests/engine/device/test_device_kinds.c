/* The table of devices, and where the workers of the cpu device run.   labels: threads */
#include "tests/support/testing.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/device/device.h"
#include "weir_libraries.h"

static void kinds_are_found_by_name(void **state)
{
    const struct weir_device_kind *kind;
    (void)state;
    const struct weir_device_kind *found = NULL;
    bool has_cuda = false;
    for (int i = 0; (kind = weir_device_kind_at(i)); i++) {
        assert_ok(weir_device_kind_find(kind->name, &found));
        assert_ptr_equal(found, kind);
        assert_non_null(kind->summary);
        assert_int_equal(!kind->range_push, !kind->range_pop);
        has_cuda = has_cuda || strcmp(kind->name, "cuda") == 0;
    }
    assert_fails(weir_device_kind_find("cpuu", &found), WEIR_ERR_USAGE, "did you mean 'cpu'?");
    assert_fails(weir_device_kind_find("abacus", &found), WEIR_ERR_USAGE, "unknown device 'abacus'");
    assert_fails(weir_device_kind_find("gpu", &found), WEIR_ERR_USAGE, "unknown device 'gpu': GPUs are device=cuda");
    assert_ok(weir_device_kind_find("null", &found));
    assert_ptr_equal(found, &weir_device_null);
    if (!has_cuda)
        assert_fails(weir_device_kind_find("cuda", &found), WEIR_ERR_USAGE, "use device=cpu");
}

/* What is read, what is refused; cuda stands for itself only where it is built in. */
static void lists_of_devices_name_one_per_rank(void **state)
{
    (void)state;
    const struct weir_device_kind *kind = NULL;
    int at[4] = {-1, -1, -1, -1};
    assert_ok(weir_device_list("cpu", 3, &kind, at));
    assert_ptr_equal(kind, &weir_device_cpu);
    assert_true(at[0] == 0 && at[1] == 1 && at[2] == 2 && at[3] == -1);
    assert_ok(weir_device_list("cpu:7", 2, &kind, at));
    assert_true(at[0] == 7 && at[1] == 7);
    assert_ok(weir_device_list("cpu:1,cpu:0,cpu:1", 3, &kind, at));
    assert_true(at[0] == 1 && at[1] == 0 && at[2] == 1);
    assert_fails(weir_device_list("cpu:0,cpu:1", 3, &kind, at), WEIR_ERR_USAGE, "2 devices for 3 ranks");
    assert_fails(weir_device_list("cpu,cpu", 2, &kind, at), WEIR_ERR_USAGE, "without a number");
    assert_fails(weir_device_list("cpu:0,", 1, &kind, at), WEIR_ERR_USAGE, "entry of 0 bytes");
    assert_fails(weir_device_list("cpu:x", 1, &kind, at), WEIR_ERR_USAGE, "'x' is not the number");
    assert_fails(weir_device_list("cpu:-1", 1, &kind, at), WEIR_ERR_USAGE, "'-1' is not the number");
    assert_fails(weir_device_list("cpuu:0", 1, &kind, at), WEIR_ERR_USAGE, "did you mean 'cpu'?");
    assert_fails(weir_device_list("cpu:0,abacus:1", 2, &kind, at), WEIR_ERR_USAGE, "all ranks use one kind");
}

static void the_cpu_describes_itself(void **state)
{
    (void)state;
    char text[200], start[40];
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    int n = weir_cpu_cores();
    assert_true(n >= 1 && n <= CPU_COUNT(&allowed));
    assert_ok(weir_cpu_describe(text, sizeof text));
    snprintf(start, sizeof start, "%d core", n);
    assert_ptr_equal(strstr(text, start), text);
    print_message("%s\n", text);
}

enum { MOST_WORKERS = 16 };

static weir_status affinity_read(void *argument)
{
    return sched_getaffinity(0, sizeof(cpu_set_t), argument) == 0 ? WEIR_OK : WEIR_ERR_INTERNAL;
}

/* Open `n` devices with one worker each and read where these may run. */
static void affinities_read(int n, cpu_set_t *sets)
{
    const struct weir_device_kind *kind = &weir_device_cpu;
    weir_device *devices[MOST_WORKERS];
    weir_stream *streams[MOST_WORKERS];
    for (int w = 0; w < n; w++) {
        assert_ok(kind->open(w, 1, &devices[w]));
        assert_ok(kind->stream_open(devices[w], WEIR_STREAM_COMPUTE, 4, &streams[w]));
    }
    for (int w = 0; w < n; w++) {
        assert_ok(kind->run(streams[w], affinity_read, &sets[w]));
        assert_ok(kind->stream_sync(streams[w], -1));
    }
    for (int w = 0; w < n; w++) {
        kind->stream_close(streams[w]);
        kind->close(devices[w]);
    }
}

static void workers_have_a_core_each_while_there_are_enough(void **state)
{
    (void)state;
    cpu_set_t sets[MOST_WORKERS], both;
    int n = weir_cpu_cores() < MOST_WORKERS ? weir_cpu_cores() : MOST_WORKERS;
    if (!WEIR_HAVE_HWLOC || access("/sys/devices/system/cpu", R_OK) != 0) {
        print_message("skipped: built without hwloc, or /sys is missing\n");
        skip();
    }
    affinities_read(n, sets);
    for (int v = 0; v < n; v++)
        for (int w = 0; w < v; w++) {
            CPU_AND(&both, &sets[v], &sets[w]);
            assert_int_equal(CPU_COUNT(&both), 0);
        }
}

/* One worker more than cores: nobody is bound. */
static void workers_beyond_the_cores_are_not_bound(void **state)
{
    (void)state;
    cpu_set_t sets[MOST_WORKERS], allowed;
    int n = weir_cpu_cores() + 1;
    if (n > MOST_WORKERS) {
        print_message("skipped: %d cores are too many for this test\n", n - 1);
        skip();
    }
    assert_ok(affinity_read(&allowed));
    affinities_read(n, sets);
    for (int w = 0; w < n; w++)
        assert_true(CPU_EQUAL(&sets[w], &allowed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_found_by_name),
        cmocka_unit_test(lists_of_devices_name_one_per_rank),
        cmocka_unit_test(the_cpu_describes_itself),
        cmocka_unit_test(workers_have_a_core_each_while_there_are_enough),
        cmocka_unit_test(workers_beyond_the_cores_are_not_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
