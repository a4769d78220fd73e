/* Packed weights: the losses of a run that reads weights as they are, but for rounding, and memory that is said.   labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/train/trainer.h"
#include "kernels/cpu/cpu.h"
#include "models/hf/hf_config.h"
#include "models/model_kinds.h"
#include "schedules/schedule_kinds.h"

enum { MICROBATCHES = 4, SEQ = 64, STEPS = 4 };

static const char small[] = "{\"model_type\": \"gpt2\", \"n_embd\": 64, \"n_head\": 2, \"n_layer\": 2, \"n_positions\": 64, "
                            "\"vocab_size\": 256}";

struct fixture {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    struct weir_engine_config config;
};

static void fixture_make(struct fixture *f, const char *schedule, enum weir_compute dtype, bool pack)
{
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = SEQ};
    const struct weir_model_kind *kind;
    *f = (struct fixture){.config = WEIR_ENGINE_CONFIG_DEFAULT};
    assert_ok(weir_hf_config_parse(small, strlen(small), "small", &f->arena, &kind));
    assert_ok(weir_model_build(kind, &model, &f->arena, &f->graph));
    assert_ok(weir_pipeline_schedule(schedule, 2, 0, MICROBATCHES, &f->arena, &f->schedule));
    f->config.graph = f->graph;
    f->config.schedule = &f->schedule;
    f->config.evaluates = true;
    f->config.dtype = dtype;
    f->config.pack = pack;
}

static void feed(weir_engine *engine, uint32_t set)
{
    int32_t tokens[SEQ], targets[SEQ];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        for (int i = 0; i < SEQ; i++) {
            struct weir_rng_block b = weir_rng_philox(7, (uint32_t)i, (uint32_t)mb, set, 0);
            tokens[i] = (int32_t)(b.v[0] % 256);
            targets[i] = (int32_t)(b.v[1] % 256);
        }
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

/* Losses of steps with an evaluation after each, and of a step after a parameter was set by hand. */
static void train(weir_engine *engine, double losses[2 * STEPS + 1])
{
    struct weir_step_report report;
    float zeros[64 * 192] = {0};
    for (uint32_t s = 0; s < STEPS; s++) {
        feed(engine, s);
        assert_ok(weir_engine_step(engine, 1e-2, &report));
        losses[2 * s] = report.loss;
        feed(engine, s);
        assert_ok(weir_engine_evaluate(engine, &losses[2 * s + 1]));
    }
    assert_ok(weir_engine_param_write(engine, "h.1.attn.c_attn.weight", zeros, sizeof zeros / sizeof *zeros));
    feed(engine, 1);
    assert_ok(weir_engine_step(engine, 1e-2, &report));
    losses[2 * STEPS] = report.loss;
}

/* What the model's nodes ask for. */
static size_t wanted_bytes(const struct weir_graph *graph)
{
    size_t bytes = 0;
    for (int n = 0; n < graph->n_nodes; n++)
        for (int pass = WEIR_FORWARD; pass <= WEIR_BACKWARD_INPUT; pass++)
            bytes += weir_cpu_packed_bytes(graph->nodes[n].op, &graph->nodes[n].shapes, (enum weir_pass)pass, 1);
    return bytes;
}

static void compare(const char *schedule, enum weir_compute dtype)
{
    double plain[2 * STEPS + 1], packed[2 * STEPS + 1];
    struct fixture f;
    weir_engine *engine;
    fixture_make(&f, schedule, dtype, false);
    assert_ok(weir_engine_open(&f.config, &engine));
    assert_int_equal(weir_program_packed_bytes(engine->runner.build.program), 0);
    size_t wanted = wanted_bytes(engine->runner.build.graph);
    train(engine, plain);
    weir_engine_close(engine);
    weir_arena_release(&f.arena);
    fixture_make(&f, schedule, dtype, true);
    weir_status status = weir_engine_open(&f.config, &engine);
    if (!wanted) { /* this processor or this build has no form: that is said */
        assert_int_equal(status, WEIR_ERR_UNSUPPORTED);
        assert_non_null(strstr(weir_last_error(), "no form of its own"));
    } else {
        assert_ok(status);
        assert_int_equal(weir_program_packed_bytes(engine->runner.build.program), wanted);
        train(engine, packed);
        for (int i = 0; i < 2 * STEPS + 1; i++)
            assert_true(fabs(packed[i] - plain[i]) <= (dtype == WEIR_COMPUTE_F32 ? 2e-6 : 2e-3) * plain[i]);
        weir_engine_close(engine);
    }
    weir_arena_release(&f.arena);
}

static void losses_are_those_of_a_run_without(void **state)
{
    (void)state;
    static const char *const schedules[] = {"gpipe", "1f1b", "zbv"};
    for (int s = 0; s < 3; s++) {
        compare(schedules[s], WEIR_COMPUTE_F32);
        compare(schedules[s], WEIR_COMPUTE_BF16);
    }
}

static void slices_and_other_devices_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    weir_engine *engine;
    fixture_make(&f, "1f1b", WEIR_COMPUTE_F32, true);
    f.config.device = "null";
    assert_int_equal(weir_engine_open(&f.config, &engine), WEIR_ERR_USAGE);
    assert_non_null(strstr(weir_last_error(), "is for device cpu"));
    const struct weir_schedule_params sliced = {.n_ranks = 2, .n_chunks = 1, .n_microbatches = MICROBATCHES, .n_slices = 2};
    const struct weir_schedule_kind *kind;
    assert_ok(weir_schedule_kind_find("seq1f1b", &kind));
    assert_ok(weir_schedule_build(kind, &sliced, &f.arena, &f.schedule));
    f.config.device = "cpu";
    assert_int_equal(weir_engine_open(&f.config, &engine), WEIR_ERR_USAGE);
    assert_non_null(strstr(weir_last_error(), "is for whole sequences"));
    weir_arena_release(&f.arena);
}

static void what_fits_without_is_named(void **state)
{
    (void)state;
    struct fixture f;
    weir_engine *engine;
    fixture_make(&f, "1f1b", WEIR_COMPUTE_F32, false);
    f.config.device_memory = 1;
    assert_int_equal(weir_engine_open(&f.config, &engine), WEIR_ERR_NOFIT);
    const char *need = strstr(weir_last_error(), "needs ");
    assert_non_null(need);
    f.config.device_memory = atoll(need + strlen("needs "));
    f.config.pack = true;
    weir_status status = weir_engine_open(&f.config, &engine);
    if (wanted_bytes(f.graph)) {
        assert_int_equal(status, WEIR_ERR_NOFIT);
        assert_non_null(strstr(weir_last_error(), "it fits with no pack"));
        f.config.pack = false;
        assert_ok(weir_engine_open(&f.config, &engine));
        weir_engine_close(engine);
    }
    weir_arena_release(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_those_of_a_run_without),
        cmocka_unit_test(slices_and_other_devices_are_refused),
        cmocka_unit_test(what_fits_without_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
