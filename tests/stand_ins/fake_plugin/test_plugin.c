/* The cuda device in a plugin: found, loaded, refused. */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/device.h"
#include "engine/device/plugin/plugin.h"
#include "engine/transport/transport.h"
#include "include/weir/graph.h"
#include "include/weir/schedule.h"
#include "include/weir/weir.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"
#include "weir_libraries.h"

enum { MICROBATCHES = 2, SEQ = 8 };

static void plugin_set(const char *path)
{
    assert_int_equal(setenv("WEIR_CUDA_PLUGIN", path, 1), 0);
}

static void a_plugin_that_is_not_there_is_named_with_the_way_out(void **state)
{
    (void)state;
    const struct weir_device_kind *kind;
    plugin_set("/nowhere/libweir_cuda.so");
    assert_fails(weir_device_kind_find("cuda", &kind), WEIR_ERR_USAGE,
                 "device 'cuda' needs '/nowhere/libweir_cuda.so', which WEIR_CUDA_PLUGIN names and which is not there");
    unsetenv("WEIR_CUDA_PLUGIN");
    if (WEIR_HAVE_CUDA)
        return;
    assert_fails(weir_device_kind_find("cuda", &kind), WEIR_ERR_USAGE, "device 'cuda' needs the plugin libweir_cuda.so.0, which is not "
                 "there (looked for '");
    assert_non_null(strstr(weir_last_error(), "name its file in WEIR_CUDA_PLUGIN, or use device=cpu"));
}

static void a_file_that_is_no_plugin_is_refused_with_the_reason(void **state)
{
    (void)state;
    const struct weir_device_kind *kind;
    FILE *file = fopen(testing_path("text.so"), "w");
    assert_non_null(file);
    fputs("no library\n", file);
    fclose(file);
    plugin_set(testing_path("text.so"));
    assert_fails(weir_device_kind_find("cuda", &kind), WEIR_ERR_UNSUPPORTED, "text.so' cannot be loaded: ");
}

static void a_plugin_of_another_version_is_refused_with_both_versions(void **state)
{
    (void)state;
    const struct weir_device_kind *kind;
    plugin_set(getenv("OTHER_PLUGIN"));
    assert_fails(weir_device_kind_find("cuda", &kind), WEIR_ERR_UNSUPPORTED, "is of version 9.8.7 and this is Weir " WEIR_VERSION
                 ": install both from one build");
}

/* From here on it stays loaded. */
static void a_plugin_is_loaded_once_and_is_among_the_kinds(void **state)
{
    (void)state;
    const struct weir_device_kind *kind, *again;
    const struct weir_plugin *plugin;
    plugin_set(getenv("FAKE_PLUGIN"));
    assert_ok(weir_device_kind_find("cuda", &kind));
    assert_string_equal(kind->name, "cuda");
    plugin_set("/nowhere");
    assert_ok(weir_device_kind_find("cuda", &again));
    assert_ptr_equal(kind, again);
    assert_ok(weir_plugin_find("cuda", &plugin));
    assert_ptr_equal(plugin->device, kind);
    bool listed = false;
    for (int i = 0; weir_device_kind_at(i); i++)
        listed = listed || weir_device_kind_at(i) == kind;
    assert_true(listed);
}

static void its_messages_are_those_of_the_library(void **state)
{
    (void)state;
    const struct weir_device_kind *kind;
    const struct weir_op bare = {.struct_bytes = sizeof bare, .name = "bare"};
    const struct weir_op_kernels *kernels;
    weir_device *device;
    assert_ok(weir_device_kind_find("cuda", &kind));
    assert_fails(kind->open(1000, 1, &device), WEIR_ERR_USAGE, "there is no device 'cuda:1000'");
    for (int i = 0; weir_ops[i]; i++)
        assert_ok(weir_op_kernels_find(weir_ops[i], "cuda", &kernels));
    assert_fails(weir_op_kernels_find(&bare, "cuda", &kernels), WEIR_ERR_UNSUPPORTED, "device 'cuda' has no kernels for operation 'bare'");
}

static void its_transport_is_the_librarys_by_name(void **state)
{
    (void)state;
    const struct weir_transport_kind *kind;
    if (!WEIR_HAVE_MPI) {
        print_message("skipped: the stand-in for NCCL needs MPI\n");
        skip();
    }
    assert_ok(weir_transport_find("nccl", &kind));
    assert_string_equal(kind->name, "nccl");
    assert_true(kind->device_side);
}

static float loss_of(const char *device)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config;
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = SEQ};
    struct weir_step_report report;
    const int32_t tokens[SEQ] = {1, 2, 3, 4, 5, 6, 7, 8};
    weir_engine *engine;
    weir_engine_config_init(&config, sizeof config);
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &config.graph));
    assert_ok(weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES, &arena, &schedule));
    config.schedule = &schedule;
    config.device = device;
    assert_ok(weir_engine_open(&config, &engine));
    for (int step = 0; step < 2; step++) {
        for (int mb = 0; mb < MICROBATCHES; mb++) {
            assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
            assert_ok(weir_engine_feed(engine, "targets", mb, tokens));
        }
        assert_ok(weir_engine_step(engine, 1e-2, &report));
    }
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return (float)report.loss;
}

static void a_model_trains_on_it_as_on_the_cpu(void **state)
{
    (void)state;
    float on_cpu = loss_of("cpu"), on_cuda = loss_of("cuda:0,cuda:0");
    print_message("losses %g and %g\n", (double)on_cpu, (double)on_cuda);
    assert_true(on_cuda > 0 && on_cuda - on_cpu < 1e-3f && on_cpu - on_cuda < 1e-3f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plugin_that_is_not_there_is_named_with_the_way_out),
        cmocka_unit_test(a_file_that_is_no_plugin_is_refused_with_the_reason),
        cmocka_unit_test(a_plugin_of_another_version_is_refused_with_both_versions),
        cmocka_unit_test(a_plugin_is_loaded_once_and_is_among_the_kinds),
        cmocka_unit_test(its_messages_are_those_of_the_library),
        cmocka_unit_test(its_transport_is_the_librarys_by_name),
        cmocka_unit_test(a_model_trains_on_it_as_on_the_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
