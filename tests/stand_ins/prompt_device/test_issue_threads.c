/* The threads that issue, one per GPU: on devices that do at once what is enqueued, where nothing but the order of these
 * threads stands between a kernel and what it reads.   labels: threads */
#include "tests/support/testing.h"

#include <string.h>

#include "base/alloc.h"
#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "prompt_device.h"
#include "tests/support/step_guard.h"
#include "weir_libraries.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 1, MICROBATCHES = 4, RUNS = 3, FAILURES = 2 };
#else
enum { STEPS = 2, MICROBATCHES = 8, RUNS = 5, FAILURES = 10 };
#endif
enum { BATCH = 1, SEQ = 4 };

struct run {
    const char *device, *schedule;
    int stages, chunks, replicas;
    bool zero;
};

struct fixture {
    struct weir_arena arena;
    struct weir_schedule schedule;
    const struct weir_graph *graph;
    weir_engine *engine;
};

static void fixture_open(struct fixture *f, const struct run *run)
{
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = 0.1};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    int replicas = run->replicas ? run->replicas : 1;
    *f = (struct fixture){.engine = NULL};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &f->arena, &f->graph));
    assert_ok(weir_pipeline_schedule(run->schedule, run->stages, run->chunks, MICROBATCHES / replicas, &f->arena,
                                     &f->schedule));
    config.graph = f->graph;
    config.schedule = &f->schedule;
    config.device = run->device;
    config.replicas = run->replicas;
    config.zero = run->zero;
    config.grad_clip = 0.5;
    config.evaluates = true;
    config.profiles = true;
    assert_ok(weir_engine_open(&config, &f->engine));
}

static void fixture_close(struct fixture *f)
{
    weir_engine_close(f->engine);
    weir_arena_release(&f->arena);
}

static void feed(struct fixture *f, int step)
{
    int32_t tokens[BATCH * SEQ];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++)
            tokens[i] = (i * 31 + mb * 17 + step * 5) % 251;
        assert_ok(weir_engine_feed(f->engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(f->engine, "targets", mb, tokens));
    }
}

static weir_status step_run(struct fixture *f, int step, struct weir_step_report *report)
{
    feed(f, step);
    prompt_run_begin();
    return weir_engine_step(f->engine, 1e-3, report);
}

/* ---- results ------------------------------------------------------------------------------------------------------- */

struct outcome {
    double losses[STEPS], norms[STEPS], evaluated;
    float *params;
    size_t n;
};

static void train(const struct run *run, struct outcome *out)
{
    struct fixture f;
    struct weir_step_report report;
    fixture_open(&f, run);
    for (int step = 0; step < STEPS; step++) {
        assert_ok(step_run(&f, step, &report));
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
    }
    feed(&f, STEPS - 1);
    prompt_run_begin();
    assert_ok(weir_engine_evaluate(f.engine, &out->evaluated));
    out->n = (size_t)weir_graph_n_elements(f.graph);
    assert_ok(weir_alloc(out->n, sizeof(float), &out->params));
    float *to = out->params;
    for (int i = 0; i < f.graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&f.graph->params[i].shape);
        assert_ok(weir_engine_param_read(f.engine, f.graph->params[i].name, to, n));
        to += n;
    }
    fixture_close(&f);
}

static void delayed_threads_give_the_bits_of_the_cpu(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {"cuda", "1f1b", 2, 0, 2, true},
        {"cuda:1,cuda:0,cuda:1", "zb-h1", 3, 0, 1, false},
        {"cuda", "1f1b", 4, 0, 1, false},
        {"cuda", "interleaved", 4, 2, 1, false},
        {"cuda:0,cuda:1,cuda:2,cuda:2", "gpipe", 2, 0, 2, false},
    };
    for (size_t i = 0; i < RUNS; i++) {
        struct run on_cpu = runs[i];
        struct outcome wanted, out;
        on_cpu.device = "cpu";
        train(&on_cpu, &wanted);
        prompt_set(i + 1, -1, 0);
        train(&runs[i], &out);
        assert_int_equal(prompt_early_waits(), 0);
        assert_memory_equal(out.losses, wanted.losses, sizeof out.losses);
        assert_memory_equal(out.norms, wanted.norms, sizeof out.norms);
        assert_memory_equal(&out.evaluated, &wanted.evaluated, sizeof out.evaluated);
        assert_memory_equal(out.params, wanted.params, out.n * sizeof(float));
        weir_free(out.params);
        weir_free(wanted.params);
    }
}

static void each_gpu_has_one_thread_and_a_single_one_the_callers(void **state)
{
    (void)state;
    static const struct {
        const char *device;
        int stages, threads[PROMPT_DEVICES];
    } rows[] = {
        {"cuda", 4, {1, 1, 1, 1}},
        {"cuda:0,cuda:2,cuda:0,cuda:2", 4, {1, 0, 1, 0}},
        {"cuda:3", 4, {0, 0, 0, -1}},
        {"cuda", 1, {-1, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        struct weir_step_report report;
        fixture_open(&f, &(struct run){.device = rows[i].device, .schedule = "1f1b", .stages = rows[i].stages});
        prompt_set(i + 1, -1, 0);
        assert_ok(step_run(&f, 0, &report));
        for (int d = 0; d < PROMPT_DEVICES; d++)
            assert_int_equal(prompt_threads(d), rows[i].threads[d]);
        fixture_close(&f);
    }
}

/* ---- a steady step -------------------------------------------------------------------------------------------------- */

static weir_status steps_guarded(void *argument)
{
    const int *n_steps = argument;
    struct weir_step_report report;
    static struct fixture f;
    weir_status status = WEIR_OK;
    prompt_set(0, -1, 0);
    fixture_open(&f, &(struct run){.device = "cuda", .schedule = "1f1b", .stages = 3});
    for (int step = 0; step < 3 && !status; step++)
        status = step_run(&f, step, &report);
    testing_guard_begin();
    for (int step = 0; step < *n_steps && !status; step++)
        status = step_run(&f, step, &report);
    testing_guard_end();
    return status;
}

/* What oneDNN allocates is the same in every step (test_engine_steady.c). */
static void the_threads_allocate_nothing_and_make_no_system_call_but_futex(void **state)
{
    (void)state;
    if (!testing_guard_available())
        skip();
    struct testing_guard_counts few, many;
    int n_few = 3, n_many = 12;
    assert_ok(testing_guard_run(steps_guarded, &n_few, &few));
    assert_ok(testing_guard_run(steps_guarded, &n_many, &many));
    assert_int_equal(many.n_allocations, 4 * few.n_allocations);
    if (!WEIR_HAVE_ONEDNN)
        assert_int_equal(many.n_allocations, 0);
    if (many.saw_system_calls)
        assert_int_equal(many.n_system_calls, 0);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------- */

/* Calls spread over a step, each the first of all to fail, or from then on all. */
static void a_failure_on_any_thread_ends_the_step_with_its_message(void **state)
{
    (void)state;
    const struct run run = {"cuda:0,cuda:1,cuda:2,cuda:1", "zb-h1", 2, 0, 2, false};
    struct weir_step_report report;
    struct fixture f;
    fixture_open(&f, &run);
    prompt_set(1, -1, 0);
    assert_ok(step_run(&f, 0, &report));
    int64_t n = prompt_calls();
    fixture_close(&f);
    for (int64_t k = 0; k < n; k += n / FAILURES + 1)
        for (int all = 0; all < 2; all++) {
            fixture_open(&f, &run);
            prompt_set((uint64_t)k + 1, k, all);
            assert_fails(step_run(&f, 0, &report), WEIR_ERR_DEVICE, "was told to fail");
            prompt_set(1, -1, 0);
            assert_fails(weir_engine_step(f.engine, 1e-3, &report), WEIR_ERR_INVALID, "failed before: close it");
            assert_int_equal(prompt_calls(), 0);
            fixture_close(&f);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delayed_threads_give_the_bits_of_the_cpu),
        cmocka_unit_test(each_gpu_has_one_thread_and_a_single_one_the_callers),
        cmocka_unit_test(the_threads_allocate_nothing_and_make_no_system_call_but_futex),
        cmocka_unit_test(a_failure_on_any_thread_ends_the_step_with_its_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
