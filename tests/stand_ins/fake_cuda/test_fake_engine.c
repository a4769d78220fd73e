/* The engine on the cuda device, on the stand-in for the CUDA runtime: the same bits for every layout, the CPU's losses
 * nearly, and a clear end when any call fails.  (The thread sanitizer cannot follow fibers: no label.) */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "include/weir/weir.h"
#include "fake_cuda.h"
#include "models/model_kinds.h"
#include "schedules/kinds/kinds.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 1, SANITIZED = 1 };
#else
enum { STEPS = 2, SANITIZED = 0 };
#endif
enum { MICROBATCHES = 4, BATCH = 1, SEQ = 4, MOST_PARAMS = 200000 };

struct outcome {
    double losses[STEPS], norms[STEPS], evaluated;
    size_t n_params;
    float *params;
};

struct run {
    const char *device, *schedule, *recompute;
    int stages, chunks, replicas;
    bool zero;
};

static void step_feed(weir_engine *engine, int step, int n)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    for (int mb = 0; mb < n; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            struct weir_rng_block b = weir_rng_philox(99, (uint32_t)i, (uint32_t)mb, (uint32_t)step, 0);
            tokens[i] = (int32_t)(b.v[0] % 64);
            targets[i] = (tokens[i] * 3 + 1) % 64;
        }
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

static const struct weir_graph *graph_make(struct weir_arena *arena)
{
    const struct weir_graph *graph;
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = 0.1};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, arena, &graph));
    return graph;
}

static struct weir_engine_config config_make(const struct run *run, struct weir_arena *arena,
                                             struct weir_schedule *schedule)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    int replicas = run->replicas ? run->replicas : 1;
    assert_ok(weir_pipeline_schedule(run->schedule, run->stages, run->chunks, MICROBATCHES / replicas, arena, schedule));
    config.graph = graph_make(arena);
    config.schedule = schedule;
    config.device = run->device;
    config.recompute = run->recompute;
    config.replicas = run->replicas;
    config.zero = run->zero;
    config.weight_decay = 0.1;
    config.grad_clip = 0.5;
    config.evaluates = true;
    return config;
}

static void train(const struct run *run, struct outcome *out)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config = config_make(run, &arena, &schedule);
    weir_engine *engine;
    assert_ok(weir_engine_open(&config, &engine));
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        step_feed(engine, step, MICROBATCHES);
        assert_ok(weir_engine_step(engine, 1e-3, &report));
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
        assert_true(report.step_ns > 0 && report.bubble >= 0 && report.bubble < 1);
    }
    step_feed(engine, STEPS - 1, MICROBATCHES);
    assert_ok(weir_engine_evaluate(engine, &out->evaluated));
    out->n_params = (size_t)weir_graph_n_elements(config.graph);
    assert_ok(weir_alloc(out->n_params, sizeof(float), &out->params));
    for (int i = 0, at = 0; i < config.graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&config.graph->params[i].shape);
        assert_ok(weir_engine_param_read(engine, config.graph->params[i].name, out->params + at, n));
        at += (int)n;
    }
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void train_and_compare(const struct run *run, const struct outcome *wanted)
{
    struct outcome out;
    train(run, &out);
    assert_memory_equal(out.losses, wanted->losses, sizeof out.losses);
    assert_memory_equal(out.norms, wanted->norms, sizeof out.norms);
    assert_memory_equal(&out.evaluated, &wanted->evaluated, sizeof out.evaluated);
    assert_int_equal(out.n_params, wanted->n_params);
    assert_memory_equal(out.params, wanted->params, out.n_params * sizeof(float));
    weir_free(out.params);
}

static void machine_set(int n_devices, enum weir_fake_mode mode, uint64_t seed)
{
    struct weir_fake_machine machine = {n_devices, (size_t)1 << 30, 1, mode, seed};
    assert_int_equal(weir_fake_open(), 0);
    weir_fake_machine_set(&machine);
}

static struct outcome reference; /* one stage on one device */

static int reference_make(void **state)
{
    (void)state;
    machine_set(1, WEIR_FAKE_EAGER, 1);
    train(&(struct run){.device = "cuda", .schedule = "gpipe", .stages = 1}, &reference);
    return 0;
}

static int reference_free(void **state)
{
    (void)state;
    weir_free(reference.params);
    return 0;
}

static void losses_are_nearly_those_of_the_cpu(void **state)
{
    (void)state;
    struct outcome cpu;
    train(&(struct run){.device = "cpu", .schedule = "gpipe", .stages = 1}, &cpu);
    for (int step = 0; step < STEPS; step++) {
        assert_true(fabs(cpu.losses[step] - reference.losses[step]) < 1e-5 * cpu.losses[step]);
        assert_true(fabs(cpu.norms[step] - reference.norms[step]) < 1e-4 * cpu.norms[step]);
    }
    assert_true(fabs(cpu.evaluated - reference.evaluated) < 1e-5 * cpu.evaluated);
    weir_free(cpu.params);
}

static void every_layout_gives_the_same_bits(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {"cuda", "1f1b", NULL, 2, 0, 1, false},
        {"cuda:0", "1f1b", NULL, 4, 0, 1, false},
        {"cuda:1,cuda:0,cuda:1,cuda:0", "zb-h1", NULL, 4, 0, 1, false},
        {"cuda:0,cuda:1", "interleaved", NULL, 4, 2, 1, false},
        {"cuda", "1f1b", "full", 2, 0, 1, false},
        {"cuda:0,cuda:0,cuda:1", "gpipe", NULL, 3, 0, 1, false},
    };
    static const enum weir_fake_mode modes[] = {WEIR_FAKE_LAZY, WEIR_FAKE_RANDOM, WEIR_FAKE_EAGER};
    for (size_t i = 0; i < (SANITIZED ? 3 : sizeof runs / sizeof runs[0]); i++) {
        machine_set(2, modes[i % 3], i);
        train_and_compare(&runs[i], &reference);
    }
}

/* One thread issues for each GPU: three and four of them, which lose their turns at random. */
static void delayed_threads_give_the_same_bits(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {"cuda:2,cuda:0,cuda:1,cuda:0", "zb-h1", NULL, 4, 0, 1, false},
        {"cuda", "1f1b", NULL, 4, 0, 1, false},
        {"cuda:0,cuda:1,cuda:2,cuda:1", "interleaved", NULL, 4, 1, 1, false},
    };
    for (size_t i = 0; i < (SANITIZED ? 1 : sizeof runs / sizeof runs[0]); i++) {
        machine_set(4, WEIR_FAKE_RANDOM, 10 + i);
        train_and_compare(&runs[i], &reference);
    }
}

/* Gradients of the replicas are added one replica after the other: other bits than those of one, the same with ZeRO-1. */
static void replicas_give_the_same_bits_with_and_without_zero(void **state)
{
    (void)state;
    struct outcome plain;
    machine_set(4, WEIR_FAKE_LAZY, 5);
    train(&(struct run){"cuda", "1f1b", NULL, 2, 0, 2, false}, &plain);
    assert_true(fabs(plain.losses[0] - reference.losses[0]) < 1e-6);
    machine_set(2, WEIR_FAKE_RANDOM, 6);
    train_and_compare(&(struct run){"cuda:0,cuda:1,cuda:1,cuda:0", "1f1b", NULL, 2, 0, 2, true}, &plain);
    weir_free(plain.params);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------- */

static weir_status one_step(const struct run *run)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config = config_make(run, &arena, &schedule);
    struct weir_step_report report;
    weir_engine *engine = NULL;
    int32_t tokens[BATCH * SEQ] = {0};
    weir_status status = weir_engine_open(&config, &engine);
    for (int mb = 0; mb < MICROBATCHES && !status; mb++)
        if (!(status = weir_engine_feed(engine, "tokens", mb, tokens)))
            status = weir_engine_feed(engine, "targets", mb, tokens);
    if (!status)
        status = weir_engine_step(engine, 1e-3, &report);
    if (status) {
        char message[WEIR_ERROR_MAX];
        weir_error_take(message);
        weir_engine_close(engine);
        weir_error_put(message);
    } else {
        weir_engine_close(engine);
    }
    weir_arena_release(&arena);
    return status;
}

/* `n_calls` calls spread over the whole run, so that opening, feeding, stepping and closing all meet one, and the first
 * ones. */
static void calls_fail(const struct run *run, int64_t n_calls, int64_t first_ones)
{
    weir_fake_fail(-1, 0, 0);
    assert_ok(one_step(run));
    int64_t n = weir_fake_calls(), stride = n / n_calls + 1;
    for (int64_t k = 0; k < n; k += k < first_ones ? 1 : stride)
        for (int sticky = 0; sticky < 2; sticky++) {
            weir_fake_fail(k, 719, sticky);
            weir_status status = one_step(run);
            weir_fake_fail(-1, 0, 0);
            assert_int_equal(weir_fake_open(), 0);
            if (!status)
                continue; /* a call of closing, which has nobody to tell */
            if (!strstr(weir_last_error(), "unspecified launch failure"))
                fail_msg("call %d: %s", (int)k, weir_last_error());
        }
}

static void any_failing_call_ends_the_run_with_one_message(void **state)
{
    (void)state;
    machine_set(2, WEIR_FAKE_EAGER, 1);
    calls_fail(&(struct run){"cuda:0,cuda:1", "1f1b", NULL, 2, 0, 1, false}, SANITIZED ? 4 : 12, SANITIZED ? 0 : 16);
    machine_set(3, WEIR_FAKE_RANDOM, 1);
    calls_fail(&(struct run){"cuda:0,cuda:2,cuda:1,cuda:2", "zb-h1", NULL, 2, 0, 2, false}, SANITIZED ? 4 : 12, 0);
}

static void a_run_that_cannot_be_says_why(void **state)
{
    (void)state;
    struct weir_fake_machine small = {2, (size_t)33 << 20, 1, WEIR_FAKE_EAGER, 1};
    machine_set(2, WEIR_FAKE_EAGER, 1);
    assert_fails(one_step(&(struct run){"cuda", "1f1b", NULL, 4, 0, 1, false}), WEIR_ERR_USAGE,
                 "no device 'cuda:2', this machine has 2");
    assert_fails(one_step(&(struct run){"cuda:0,cuda:1", "1f1b", NULL, 3, 0, 1, false}), WEIR_ERR_USAGE,
                 "has 2 devices for 3 ranks");
    assert_fails(one_step(&(struct run){"cuda:0,cpu:1", "1f1b", NULL, 2, 0, 1, false}), WEIR_ERR_USAGE, "all ranks use one kind");
    weir_fake_machine_set(&small);
    assert_fails(one_step(&(struct run){"cuda:0", "1f1b", NULL, 2, 0, 1, false}), WEIR_ERR_NOFIT, "its 2 ranks need");
    small.peers = 0;
    small.device_bytes = (size_t)1 << 30;
    weir_fake_machine_set(&small);
    assert_fails(one_step(&(struct run){"cuda", "1f1b", NULL, 2, 0, 1, false}), WEIR_ERR_UNSUPPORTED,
                 "cannot reach the memory of 'cuda:1'");
    small.n_devices = 0;
    weir_fake_machine_set(&small);
    assert_fails(one_step(&(struct run){"cuda", "1f1b", NULL, 1, 0, 1, false}), WEIR_ERR_UNSUPPORTED, "no CUDA device");
    assert_int_equal(weir_fake_open(), 0);
}

static void numbers_outside_of_the_vocabulary_are_refused_when_fed(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    int32_t tokens[BATCH * SEQ] = {1, 2, 1000000, 3};
    weir_engine *engine;
    machine_set(2, WEIR_FAKE_EAGER, 1);
    struct weir_engine_config config =
        config_make(&(struct run){"cuda", "1f1b", NULL, 2, 0, 1, false}, &arena, &schedule);
    assert_ok(weir_engine_open(&config, &engine));
    assert_fails(weir_engine_feed(engine, "tokens", 0, tokens), WEIR_ERR_INVALID, "has 1000000 at 2");
    assert_fails(weir_engine_feed(engine, "targets", 0, tokens), WEIR_ERR_INVALID, "has 1000000 at 2");
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_nearly_those_of_the_cpu),
        cmocka_unit_test(every_layout_gives_the_same_bits),
        cmocka_unit_test(delayed_threads_give_the_same_bits),
        cmocka_unit_test(replicas_give_the_same_bits_with_and_without_zero),
        cmocka_unit_test(any_failing_call_ends_the_run_with_one_message),
        cmocka_unit_test(a_run_that_cannot_be_says_why),
        cmocka_unit_test(numbers_outside_of_the_vocabulary_are_refused_when_fed),
    };
    return cmocka_run_group_tests(tests, reference_make, reference_free);
}
