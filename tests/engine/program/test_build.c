/* build: a run is compiled and weighed without a device.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/program/fit.h"
#include "include/weir/schedule.h"
#include "include/weir/graph.h"
#include "models/model_kinds.h"

/* A kind of device that has kernels and nothing else: every call of it would end the test. */
static struct weir_device_kind bare_kind(unsigned flags)
{
    return (struct weir_device_kind){.name = "bare", .flags = flags, .kernels = weir_device_cpu.kernels,
                                     .context_bytes = (flags & WEIR_DEVICE_HOST_MEMORY) ? 0 : 4096};
}

struct fixture {
    struct weir_arena arena;
    struct weir_schedule schedule;
    struct weir_engine_config config;
    struct weir_build build;
    struct weir_extras extras;
};

static weir_status built(struct fixture *f, const struct weir_device_kind *kind, const char *schedule, int stages)
{
    struct weir_model_params model = {.microbatch_size = 2, .seq_len = 32};
    f->arena = (struct weir_arena){0};
    f->config = (struct weir_engine_config)WEIR_ENGINE_CONFIG_DEFAULT;
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &f->arena, &f->config.graph));
    assert_ok(weir_pipeline_schedule(schedule, stages, 0, 4, &f->arena, &f->schedule));
    f->config.schedule = &f->schedule;
    f->config.evaluates = true;
    return weir_build_training(&f->config, kind, &f->arena, &f->build);
}

static void no_device_is_touched(void **state)
{
    (void)state;
    struct fixture f;
    struct weir_device_kind kind = bare_kind(WEIR_DEVICE_HOST_MEMORY);
    assert_ok(built(&f, &kind, "1f1b", 4));
    assert_int_equal(weir_build_n_workers(&f.build), 4);
    assert_int_equal(f.build.first_layer[0], 0);
    assert_int_equal(f.build.first_layer[4], f.build.graph->n_layers);
    assert_non_null(f.build.guest);
    weir_arena_release(&f.arena);
}

/* GPT-2's head is as dear as five blocks, and under zbv on the rank of the first stage: by stages alone the busiest rank has 1.15 times
 * the mean. */
static void without_a_cut_ranks_with_several_stages_are_balanced(void **state)
{
    (void)state;
    struct fixture f = {.config = WEIR_ENGINE_CONFIG_DEFAULT};
    struct weir_device_kind kind = bare_kind(WEIR_DEVICE_HOST_MEMORY);
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = 64};
    const struct weir_model_kind *gpt2;
    double load[2] = {0};
    assert_ok(weir_model_find("gpt2", &gpt2));
    assert_ok(weir_model_build(gpt2, &model, &f.arena, &f.config.graph));
    assert_ok(weir_pipeline_schedule("zbv", 4, 0, 4, &f.arena, &f.schedule));
    f.config.schedule = &f.schedule;
    assert_ok(weir_build_training(&f.config, &kind, &f.arena, &f.build));
    for (int i = 0; i < 4; i++)
        for (int l = f.build.first_layer[i]; l < f.build.first_layer[i + 1]; l++)
            load[f.schedule.stage_rank[i]] += weir_layer_cost(f.build.graph, l);
    double mean = (load[0] + load[1]) / 2, most = load[0] > load[1] ? load[0] : load[1];
    assert_true(mean > 0 && most < 1.06 * mean);
    weir_arena_release(&f.arena);
}

static void the_same_configuration_builds_the_same_text(void **state)
{
    (void)state;
    char *texts[2];
    size_t bytes[2];
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct weir_device_kind kind = bare_kind(WEIR_DEVICE_HOST_MEMORY);
        assert_ok(built(&f, &kind, "zbv", 4));
        FILE *out = open_memstream(&texts[i], &bytes[i]);
        weir_program_dump(f.build.program, out);
        weir_program_dump_memory(f.build.program, out);
        fclose(out);
        weir_arena_release(&f.arena);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(texts[0], texts[1], bytes[0]);
    free(texts[0]);
    free(texts[1]);
}

static void a_bad_configuration_is_refused_before_it_is_used(void **state)
{
    (void)state;
    struct fixture f;
    struct weir_build build;
    struct weir_device_kind kind = bare_kind(WEIR_DEVICE_HOST_MEMORY);
    assert_ok(built(&f, &kind, "1f1b", 2));
    f.config.threads_per_rank = -1;
    assert_fails(weir_build_training(&f.config, &kind, &f.arena, &build), WEIR_ERR_USAGE, "threads per rank is -1");
    struct weir_generation_params generation = {f.config.graph, 2, 1, 1};
    assert_fails(weir_build_generation(&f.config, &generation, &kind, &f.arena, &build), WEIR_ERR_USAGE, "threads per rank is -1");
    weir_arena_release(&f.arena);
}

/* 2^34 samples of gpt2-tiny and 4096 micro-batches: the sum of the activations passes 2^64, each tensor alone does not. */
static void sizes_whose_sum_is_no_number_of_bytes_are_refused(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_build build;
    struct weir_device_kind kind = bare_kind(WEIR_DEVICE_HOST_MEMORY);
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_model_params model = {.microbatch_size = (int64_t)1 << 34, .seq_len = 32};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &config.graph));
    assert_ok(weir_pipeline_schedule("gpipe", 1, 0, 4096, &arena, &schedule));
    config.schedule = &schedule;
    assert_fails(weir_build_training(&config, &kind, &arena, &build), WEIR_ERR_NOFIT, "4096 micro-batches of 17179869184 samples");
    weir_arena_release(&arena);
}

/* ---- weighing ------------------------------------------------------------------------------------------------------- */

static void a_verdict_is_data(void **state)
{
    (void)state;
    struct fixture f;
    struct weir_device_kind kind = bare_kind(WEIR_DEVICE_HOST_MEMORY);
    const int device_of[] = {0, 1};
    struct weir_resources have = {.device_of = device_of, .host_free = SIZE_MAX};
    assert_ok(built(&f, &kind, "gpipe", 2));
    assert_ok(weir_extras_make(&f.build, &have, &f.arena, &f.extras));
    for (int r = 0; r < 2; r++) { /* memory of the host has this one alone */
        const struct weir_extra *row = r ? f.extras.rows->next : f.extras.rows;
        assert_string_equal(row->what, "addresses of kernel calls");
        assert_true(row->rank == r && row->on_host && row->bytes == weir_address_bytes(&f.build, r));
        assert_int_equal(weir_rank_device_bytes(&f.build, &f.extras, r), weir_program_worker_bytes(f.build.program, r) + row->bytes);
        assert_true(r == 0 || !row->next);
    }
    struct weir_fit fit = weir_fit_weigh(&f.build, &f.extras, &have);
    assert_true(fit.fits && fit.n_ways == 0);
    f.build.config.device_memory = (int64_t)fit.most - 1;
    fit = weir_fit_weigh(&f.build, &f.extras, &have);
    assert_true(!fit.fits && fit.n_over >= 1 && fit.n_ways > 0);
    assert_int_equal(fit.rank_cap, fit.most - 1);
    assert_true(fit.ways[0].recompute && !fit.ways[0].n_stages); /* the smallest change comes first */
    assert_fails(weir_fit_refuse(&f.build, &fit), WEIR_ERR_NOFIT, "it fits with recompute=full");
    char name[32], value[32];
    assert_true(weir_error_option(0, name, value, sizeof name) >= 1);
    assert_string_equal(name, "recompute");
    assert_string_equal(value, "full");
    weir_arena_release(&f.arena);
}

/* gpt2-tiny has 1,230,848 parameters: a value, a gradient and two moments of each, in several replicas the moments once. */
static void a_machine_too_small_for_the_parameters_is_told_so(void **state)
{
    (void)state;
    enum { ARRAY = 1230848 * 4 };
    static const struct {
        int replicas;
        size_t free;
        const char *words;
    } cases[] = {
        {1, 4 * (size_t)ARRAY, "the least found is "},
        {1, 4 * (size_t)ARRAY - 1, "alone are 19693568 bytes (18.8 MiB): use optimizer=sgd (it has no state), a smaller model or more memory"},
        {1, 2 * (size_t)ARRAY - 1, "alone are 19693568 bytes (18.8 MiB): use a smaller model or more memory"},
        {2, 6 * (size_t)ARRAY - 1, "alone are 29540352 bytes (28.2 MiB): use fewer replicas, optimizer=sgd (it has no state), a "
                                   "smaller model or more memory"},
        {2, 4 * (size_t)ARRAY - 1, "alone are 29540352 bytes (28.2 MiB): use a smaller model or more memory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct weir_device_kind kind = bare_kind(WEIR_DEVICE_HOST_MEMORY);
        const int device_of[] = {0, 1, 0, 1};
        struct weir_resources have = {.device_of = device_of, .host_free = cases[i].free};
        assert_ok(built(&f, &kind, "gpipe", 2));
        f.config.replicas = cases[i].replicas;
        assert_ok(weir_build_training(&f.config, &kind, &f.arena, &f.build));
        assert_ok(weir_extras_make(&f.build, &have, &f.arena, &f.extras));
        struct weir_fit fit = weir_fit_weigh(&f.build, &f.extras, &have);
        assert_false(fit.fits);
        assert_fails(weir_fit_refuse(&f.build, &fit), WEIR_ERR_NOFIT, cases[i].words);
        weir_arena_release(&f.arena);
    }
}

static void pretended_devices_are_weighed_one_by_one(void **state)
{
    (void)state;
    struct fixture f;
    struct weir_device_kind kind = bare_kind(0);
    const int device_of[] = {3, 3}; /* both ranks on device 3 */
    const size_t taken[] = {1000, 1000}, total[] = {1 << 30, 1 << 30};
    size_t free_bytes[] = {1 << 30, 1 << 30};
    struct weir_resources have = {.device_of = device_of, .taken = taken, .free_bytes = free_bytes, .total_bytes = total,
                                  .host_free = SIZE_MAX};
    assert_ok(built(&f, &kind, "1f1b", 2));
    assert_ok(weir_extras_make(&f.build, &have, &f.arena, &f.extras));
    size_t need = 0;
    for (int r = 0; r < 2; r++) {
        assert_int_equal(weir_extra_bytes(&f.extras, r, true), 4096); /* the workspace; the context belongs to the device */
        need += weir_rank_device_bytes(&f.build, &f.extras, r);
    }
    assert_true(weir_fit_weigh(&f.build, &f.extras, &have).fits);
    free_bytes[0] = free_bytes[1] = need;
    assert_true(weir_fit_weigh(&f.build, &f.extras, &have).fits);
    free_bytes[0] = free_bytes[1] = need - 1;
    struct weir_fit fit = weir_fit_weigh(&f.build, &f.extras, &have);
    assert_false(fit.fits);
    assert_int_equal(fit.device, 3);
    assert_int_equal(fit.n_on_device, 2);
    assert_int_equal(fit.device_need, need);
    assert_true(fit.same_ranks);
    assert_fails(weir_fit_refuse(&f.build, &fit), WEIR_ERR_NOFIT, "device 'bare:3' has");
    weir_arena_release(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_device_is_touched),
        cmocka_unit_test(without_a_cut_ranks_with_several_stages_are_balanced),
        cmocka_unit_test(the_same_configuration_builds_the_same_text),
        cmocka_unit_test(a_bad_configuration_is_refused_before_it_is_used),
        cmocka_unit_test(sizes_whose_sum_is_no_number_of_bytes_are_refused),
        cmocka_unit_test(a_verdict_is_data),
        cmocka_unit_test(a_machine_too_small_for_the_parameters_is_told_so),
        cmocka_unit_test(pretended_devices_are_weighed_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
