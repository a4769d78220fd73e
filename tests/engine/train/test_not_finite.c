/* A number that is not finite: no rank updates, all name the place where it arose, and the run may go on.   labels: threads
 *
 * With an argument the program is one process of a run. */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/transport/bootstrap/weir_launch.h"
#include "tests/support/faulty_graph.h"
#include "tests/support/launched_rig.h"

static const char *self;

static void fc_read(weir_engine *engine, float *values, size_t n)
{
    assert_ok(weir_engine_param_read(engine, "fc1", values, n));
}

/* Steps 0 and 1 are fine, step 2 is not; the same step with other numbers, then a fourth. */
static void steps_take(weir_engine *engine, float *before, float *after, size_t n, char *message)
{
    struct weir_step_report report;
    faulty_plan = (struct faulty_plan){.kind = FAULTY_NAN, .layer = 1, .microbatch = 2, .step = 2};
    for (int step = 0; step < 2; step++)
        assert_ok(faulty_step(engine, &report));
    fc_read(engine, before, n);
    assert_int_equal(faulty_step(engine, &report), WEIR_ERR_NUMERIC);
    snprintf(message, WEIR_ERROR_MAX, "%s", weir_last_error());
    fc_read(engine, after, n);
    faulty_plan.kind = FAULTY_NONE;
    assert_ok(faulty_step(engine, &report));
    assert_int_equal(report.step, 2);
}

enum { N = 16 * 16 };

static void the_place_is_named_and_nothing_is_updated(void **state)
{
    (void)state;
    weir_engine *engine;
    static float before[N], after[N], whole[N], skipped[N];
    char message[WEIR_ERROR_MAX];
    assert_ok(faulty_open(NULL, 60, &engine));
    steps_take(engine, before, after, N, message);
    fc_read(engine, skipped, N);
    weir_engine_close(engine);
    if (!strstr(message, " of rank 1: layer 'fc1', node 'fault 1' (fault, forward), micro-batch 2"))
        fail_msg("%s", message);
    assert_memory_equal(before, after, sizeof before);
    assert_ok(faulty_open(NULL, 60, &engine)); /* the step that was passed over left no trace in the optimizer either */
    for (int step = 0; step < 3; step++)
        assert_ok(faulty_step(engine, &(struct weir_step_report){0}));
    fc_read(engine, whole, N);
    weir_engine_close(engine);
    assert_memory_equal(whole, skipped, sizeof whole);
}

static int process_run(void)
{
    weir_engine *engine;
    static float before[N], after[N];
    char message[WEIR_ERROR_MAX];
    assert_ok(faulty_open("shm", 60, &engine));
    steps_take(engine, before, after, N, message);
    weir_engine_close(engine);
    printf("rank %s: %s%s\n", getenv(WEIR_LAUNCH_RANK), message, memcmp(before, after, sizeof before) ? ": was updated" : "");
    fflush(stdout);
    return 0;
}

static void all_processes_name_the_same_place(void **state)
{
    (void)state;
    char text[1 << 14];
    int codes[LAUNCHED_MOST], n = 0;
    assert_int_equal(launched_run(self, "process", FAULTY_LAYERS, 60, text, sizeof text, codes), 0);
    for (const char *at = text; (at = strstr(at, "first in 1F2 (start) of rank 1: layer 'fc1', node 'fault 1'")); at++)
        n++;
    if (n != FAULTY_LAYERS || strstr(text, "updated"))
        fail_msg("%s", text);
}

static void a_step_that_was_repeated_and_is_finite_is_applied(void **state)
{
    (void)state;
    static float whole[N], repeated[N], *outs[] = {whole, repeated};
    for (int i = 0; i < 2; i++) {
        weir_engine *engine;
        assert_ok(faulty_open(NULL, 60, &engine));
        faulty_plan = (struct faulty_plan){.kind = i ? FAULTY_NAN_ONCE : FAULTY_NONE, .layer = 1, .microbatch = 2, .step = 1};
        for (int step = 0; step < 3; step++)
            assert_ok(faulty_step(engine, &(struct weir_step_report){0}));
        fc_read(engine, outs[i], N);
        weir_engine_close(engine);
    }
    assert_memory_equal(whole, repeated, sizeof whole);
}

static int repeated_run(void)
{
    weir_engine *engine;
    assert_ok(faulty_open("shm", 60, &engine));
    faulty_plan = (struct faulty_plan){.kind = FAULTY_NAN_ONCE, .layer = 1, .microbatch = 2};
    assert_ok(faulty_step(engine, &(struct weir_step_report){0}));
    weir_engine_close(engine);
    return 0;
}

static void one_process_says_that_a_step_was_repeated(void **state)
{
    (void)state;
    char text[1 << 14];
    int codes[LAUNCHED_MOST], n = 0;
    assert_int_equal(launched_run(self, "repeated", FAULTY_LAYERS, 60, text, sizeof text, codes), 0);
    for (const char *at = text; (at = strstr(at, "all was finite when the step was repeated")); at++)
        n++;
    if (n != 1)
        fail_msg("%d times: %s", n, text);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1)
        return strcmp(argv[1], "repeated") ? process_run() : repeated_run();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_place_is_named_and_nothing_is_updated),
        cmocka_unit_test(a_step_that_was_repeated_and_is_finite_is_applied),
        cmocka_unit_test(all_processes_name_the_same_place),
        cmocka_unit_test(one_process_says_that_a_step_was_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
