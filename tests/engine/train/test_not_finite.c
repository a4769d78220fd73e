/* A number that is not finite: no rank updates, all name the place where it arose, and the run may go on.   labels: threads
 *
 * With an argument the program is one process of a run. */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/transport/bootstrap/weir_launch.h"
#include "include/weir/call.h"
#include "kernels/op_rows.h"
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

/* ---- an output of several ------------------------------------------------------------------------------------------------ */

static weir_status two_infer(struct weir_op_shapes *shapes)
{
    weir_status status = weir_shapes_output_add(shapes, weir_shapes_input(shapes, 0));
    return status ? status : weir_shapes_output_add(shapes, weir_shapes_input(shapes, 0));
}

/* Both are the input; one number of the second is none. */
static weir_status two_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *x = weir_call_input(call, 0);
    (void)stream;
    for (int i = 0; i < 2; i++)
        memcpy(weir_call_output_at(call, i)->data, x->data, sizeof(float) * (size_t)weir_tensor_elements(x));
    *(float *)weir_call_output_at(call, 1)->data = NAN;
    return WEIR_OK;
}

static weir_status two_backward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *a = weir_call_d_output_at(call, 0), *b = weir_call_d_output_at(call, 1), *dx = weir_call_d_input(call, 0);
    (void)stream;
    for (int64_t i = 0; dx && i < weir_tensor_elements(dx); i++)
        ((float *)dx->data)[i] = ((float *)a->data)[i] + ((float *)b->data)[i];
    return WEIR_OK;
}

static void the_output_of_several_is_named(void **state)
{
    (void)state;
    enum { ROWS = 2, COLUMNS = 4 };
    static const struct weir_op two = {.struct_bytes = sizeof two, .name = "two", .infer = two_infer,
                                       .cpu = {.forward = two_forward, .backward_input = two_backward}};
    static const struct weir_linear_attr wide = {.out_features = COLUMNS};
    static const float numbers[ROWS * COLUMNS] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct weir_arena arena = {0};
    struct weir_graph_builder b;
    struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_step_report report;
    weir_engine *engine;
    weir_graph_begin(&b, "two", &arena);
    int x = weir_graph_input(&b, "x", (struct weir_shape){2, {ROWS, COLUMNS}, WEIR_DTYPE_F32});
    int target = weir_graph_input(&b, "target", (struct weir_shape){2, {ROWS, COLUMNS}, WEIR_DTYPE_F32});
    weir_graph_layer(&b, "one");
    int w = weir_graph_param(&b, "w", WEIR_INIT_NORMAL, 1, true);
    x = weir_graph_node(&b, "linear", &weir_op_linear, &wide, sizeof wide, 1, &x, 1, &w);
    x = weir_graph_node(&b, "both", &two, NULL, 0, 1, &x, 0, NULL);
    weir_graph_layer(&b, "two");
    x = weir_graph_node(&b, "sum", &weir_op_add, NULL, 0, 2, (int[]){x, weir_graph_output(&b, x, 1)}, 0, NULL);
    weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){x, target}, 0, NULL);
    assert_ok(weir_graph_finish(&b, &config.graph));
    assert_ok(weir_pipeline_schedule("1f1b", 2, 1, 1, &arena, &schedule));
    config.schedule = &schedule;
    config.snapshots = true;
    assert_ok(weir_engine_open(&config, &engine));
    assert_ok(weir_engine_feed(engine, "x", 0, numbers));
    assert_ok(weir_engine_feed(engine, "target", 0, numbers));
    assert_fails(weir_engine_step(engine, 0.1, &report), WEIR_ERR_NUMERIC, "layer 'one', node 'both:1' (two, forward), micro-batch 0");
    weir_engine_close(engine);
    weir_arena_release(&arena);
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
        cmocka_unit_test(the_output_of_several_is_named),
        cmocka_unit_test(a_step_that_was_repeated_and_is_finite_is_applied),
        cmocka_unit_test(all_processes_name_the_same_place),
        cmocka_unit_test(one_process_says_that_a_step_was_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
