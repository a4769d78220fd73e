/* The null device: a run with everything but the computing. */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/device/device.h"
#include "include/weir/graph.h"
#include "include/weir/weir.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"

enum { MICROBATCHES = 8 };

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void memory_is_addresses_alone_and_reads_as_zeros(void **state)
{
    (void)state;
    const struct weir_device_kind *kind = &weir_device_null;
    size_t bytes = (size_t)64 << 30, free_before, free_after, total, before = resident_bytes();
    weir_device *device;
    char *memory;
    assert_ok(kind->open(0, 1, &device));
    assert_ok(kind->memory_info(device, &free_before, &total));
    assert_ok(kind->memory_alloc(device, bytes, (void **)(void *)&memory));
    assert_ok(kind->memory_info(device, &free_after, &total));
    assert_int_equal(free_before - free_after, bytes);
    assert_true(!memory[0] && !memory[bytes / 2] && !memory[bytes - 1]);
    assert_true(resident_bytes() - before < (size_t)1 << 20);
    assert_fails(kind->memory_alloc(device, total, (void **)(void *)&memory), WEIR_ERR_NOMEM, "has no addresses for");
    kind->memory_free(device, memory);
    kind->close(device);
}

static weir_status told_to_fail(void *argument)
{
    (void)argument;
    return WEIR_FAIL(WEIR_ERR_IO, "told to fail");
}

static weir_status count_up(void *argument)
{
    (*(int *)argument)++;
    return WEIR_OK;
}

static void tasks_run_at_once_and_the_first_failure_stays(void **state)
{
    (void)state;
    const struct weir_device_kind *kind = &weir_device_null;
    weir_device *device;
    weir_stream *stream, *edge;
    int n = 0;
    assert_ok(kind->open(3, 1, &device));
    assert_ok(kind->stream_open(device, WEIR_STREAM_COMPUTE, 1, &stream));
    assert_ok(kind->stream_open(device, WEIR_STREAM_EDGE, 1, &edge));
    assert_ok(kind->run(stream, count_up, &n));
    assert_int_equal(n, 1);
    assert_fails(kind->run(edge, count_up, &n), WEIR_ERR_INVALID, "use a compute stream");
    assert_ok(kind->run(stream, told_to_fail, NULL));
    assert_ok(kind->run(stream, count_up, &n));
    assert_int_equal(n, 1);
    assert_fails(kind->stream_sync(stream, -1), WEIR_ERR_IO, "told to fail");
    assert_ok(kind->stream_reset(stream));
    assert_ok(kind->stream_sync(stream, -1));
    kind->stream_close(edge);
    kind->stream_close(stream);
    kind->close(device);
}

static void every_row_has_kernels_even_one_without_any(void **state)
{
    (void)state;
    const struct weir_op bare = {.struct_bytes = sizeof bare, .name = "bare"};
    const struct weir_op_kernels *kernels;
    for (int i = 0; weir_ops[i]; i++)
        assert_ok(weir_op_kernels_find(weir_ops[i], "null", &kernels));
    assert_ok(weir_op_kernels_find(&bare, "null", &kernels));
    assert_ok(kernels->backward_weight(NULL, NULL));
    assert_fails(weir_op_kernels_find(&bare, "cpu", &kernels), WEIR_ERR_UNSUPPORTED,
                 "device 'cpu' has no kernels for operation 'bare': give the row kernels for it, or use another device");
}

/* ---- runs ------------------------------------------------------------------------------------------------------------ */

struct setup {
    struct weir_arena arena;
    struct weir_schedule schedule;
    struct weir_engine_config config;
    weir_engine *engine;
};

static void setup_build(struct setup *s, const struct weir_model_kind *kind, const char *schedule, int stages, int64_t seq_len)
{
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = seq_len};
    *s = (struct setup){.engine = NULL};
    weir_engine_config_init(&s->config, sizeof s->config);
    assert_ok(weir_model_build(kind, &model, &s->arena, &s->config.graph));
    assert_ok(weir_pipeline_schedule(schedule, stages, 0, MICROBATCHES, &s->arena, &s->schedule));
    s->config.schedule = &s->schedule;
    s->config.device = "null";
    s->config.evaluates = true;
}

static void setup_open(struct setup *s, const struct weir_model_kind *kind, const char *schedule, int stages, int64_t seq_len)
{
    setup_build(s, kind, schedule, stages, seq_len);
    assert_ok(weir_engine_open(&s->config, &s->engine));
}

static void step(struct setup *s, int64_t seq_len, struct weir_step_report *report)
{
    int32_t tokens[1024] = {0};
    assert_true(seq_len <= 1024);
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        assert_ok(weir_engine_feed(s->engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(s->engine, "targets", mb, tokens));
    }
    assert_ok(weir_engine_step(s->engine, 1e-3, report));
}

static void setup_close(struct setup *s)
{
    weir_engine_close(s->engine);
    weir_arena_release(&s->arena);
}

static void steps_are_issued_on_every_schedule_and_have_no_loss(void **state)
{
    (void)state;
    static const char *const schedules[] = {"gpipe", "1f1b", "interleaved", "zb-h1", "zbv", "dualpipev", "bfs"};
    for (size_t i = 0; i < sizeof schedules / sizeof schedules[0]; i++) {
        struct setup s;
        struct weir_step_report report;
        setup_open(&s, &weir_model_gpt2_tiny, schedules[i], 4, 16);
        for (int k = 0; k < 2; k++) {
            step(&s, 16, &report);
            assert_int_equal(report.step, k);
            assert_true(isnan(report.loss) && isnan(report.grad_norm));
        }
        setup_close(&s);
    }
}

/* 25 GiB of parameters, gradients and optimizer state, of which nothing is touched. */
static void a_model_larger_than_the_machine_is_issued_without_its_memory(void **state)
{
    (void)state;
    struct setup s;
    struct weir_step_report report;
    size_t before = resident_bytes();
    setup_open(&s, &weir_model_gpt2_xl, "1f1b", 8, 256);
    step(&s, 256, &report);
    size_t took = resident_bytes() - before;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(took < (size_t)256 << 20);
#endif
    print_message("took %zu bytes\n", took);
    setup_close(&s);
}

/* The compiler asks the device for every node. */
static void a_row_without_kernels_is_refused_by_name_before_a_device_is_opened(void **state)
{
    (void)state;
    struct weir_op bare;
    struct setup s;
    setup_build(&s, &weir_model_gpt2_tiny, "1f1b", 2, 16);
    struct weir_node *node = (struct weir_node *)(uintptr_t)&s.config.graph->nodes[3];
    bare = *node->op;
    bare.name = "bare", node->op = &bare;
    s.config.device = "cpu";
    assert_fails(weir_engine_open(&s.config, &s.engine), WEIR_ERR_UNSUPPORTED, "device 'cpu' has no kernels for operation 'bare'");
    assert_non_null(strstr(weir_last_error(), node->name));
    s.config.device = "null";
    assert_ok(weir_engine_open(&s.config, &s.engine));
    setup_close(&s);
}

static void what_needs_numbers_is_refused(void **state)
{
    (void)state;
    struct setup s;
    struct weir_save save = {.struct_bytes = sizeof save, .dir = testing_path("none")};
    float value;
    double loss;
    setup_open(&s, &weir_model_gpt2_tiny, "1f1b", 2, 16);
    assert_fails(weir_engine_save(s.engine, &save), WEIR_ERR_UNSUPPORTED,
                 "device 'null' computes nothing, so there is no checkpoint: use another device");
    assert_fails(weir_engine_evaluate(s.engine, &loss), WEIR_ERR_UNSUPPORTED, "there is no evaluation");
    assert_fails(weir_engine_param_read(s.engine, "wte.weight", &value, 1), WEIR_ERR_UNSUPPORTED, "no value of a parameter");
    assert_int_not_equal(access(testing_path("none"), F_OK), 0);
    setup_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_addresses_alone_and_reads_as_zeros),
        cmocka_unit_test(tasks_run_at_once_and_the_first_failure_stays),
        cmocka_unit_test(every_row_has_kernels_even_one_without_any),
        cmocka_unit_test(steps_are_issued_on_every_schedule_and_have_no_loss),
        cmocka_unit_test(a_model_larger_than_the_machine_is_issued_without_its_memory),
        cmocka_unit_test(a_row_without_kernels_is_refused_by_name_before_a_device_is_opened),
        cmocka_unit_test(what_needs_numbers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
