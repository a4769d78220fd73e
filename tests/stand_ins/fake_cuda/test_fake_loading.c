/* What a step launches on the cuda device, on the stand-in for the CUDA runtime: nothing for the first time, whatever was run
 * before, and as much as the tables of docs/gpu-results.md say.  (The thread sanitizer cannot follow fibers: no label.) */
#include "tests/support/testing.h"

#include <string.h>

#include "include/weir/generate.h"
#include "include/weir/weir.h"
#include "fake_cuda.h"
#include "models/hf/hf_config.h"
#include "schedules/kinds/kinds.h"

enum { MICROBATCHES = 2, SEQ = 8, VOCABULARY = 32, CONTEXT = 12 };

/* GPT-2 with as many layers as its smallest published size, and a Llama: few numbers, all kinds of kernels. */
static const char gpt2[] = "{\"model_type\": \"gpt2\", \"n_embd\": 12, \"n_head\": 2, \"n_layer\": 12, \"n_positions\": 16, "
                           "\"vocab_size\": 32}";
static const char llama[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 12, \"num_attention_heads\": 2, \"num_key_value_heads\": 1, "
    "\"num_hidden_layers\": 2, \"intermediate_size\": 8, \"max_position_embeddings\": 16, \"vocab_size\": 32, "
    "\"rms_norm_eps\": 1e-5, \"hidden_act\": \"silu\"}";

struct run {
    const char *model, *device;
    enum weir_compute dtype;
    enum weir_optimizer optimizer;
    int stages, replicas, microbatches;
    double dropout;
};

struct fixture {
    struct weir_arena arena;
    struct weir_schedule schedule;
    struct weir_engine_config config;
    weir_engine *engine;
};

static void machine_set(void)
{
    const struct weir_fake_machine machine = {2, (size_t)1 << 30, 1, WEIR_FAKE_EAGER, 1};
    assert_int_equal(weir_fake_open(), 0);
    weir_fake_machine_set(&machine);
    weir_fake_unload();
}

static void fixture_open(struct fixture *f, const struct run *run)
{
    const struct weir_model_kind *kind;
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = SEQ, .dropout = run->dropout};
    *f = (struct fixture){.config = WEIR_ENGINE_CONFIG_DEFAULT};
    assert_ok(weir_hf_config_parse(run->model, strlen(run->model), "small", &f->arena, &kind));
    assert_ok(weir_model_build(kind, &model, &f->arena, &f->config.graph));
    assert_ok(weir_pipeline_schedule("1f1b", run->stages, 0, run->microbatches, &f->arena, &f->schedule));
    f->config.schedule = &f->schedule;
    f->config.device = run->device;
    f->config.dtype = run->dtype;
    f->config.optimizer = run->optimizer;
    f->config.replicas = run->replicas;
    f->config.evaluates = true;
    assert_ok(weir_engine_open(&f->config, &f->engine));
}

static void fixture_close(struct fixture *f)
{
    weir_engine_close(f->engine);
    weir_arena_release(&f->arena);
}

static void feed(struct fixture *f, const struct run *run)
{
    int32_t tokens[SEQ];
    for (int mb = 0; mb < run->microbatches * run->replicas; mb++) {
        for (int i = 0; i < SEQ; i++)
            tokens[i] = (mb + i * 5) % VOCABULARY;
        assert_ok(weir_engine_feed(f->engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(f->engine, "targets", mb, tokens));
    }
}

static void step_run(struct fixture *f, const struct run *run)
{
    struct weir_step_report report;
    feed(f, run);
    assert_ok(weir_engine_step(f->engine, 1e-3, &report));
}

static void assert_nothing_was_loaded(int before)
{
    char name[64];
    int after = weir_fake_loaded(name);
    if (after != before)
        fail_msg("%d kernels were loaded inside a step, '%s' last", after - before, name);
}

static void every_kernel_of_a_step_has_been_run_before_it(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {gpt2, "cuda:0", WEIR_COMPUTE_F32, WEIR_OPTIMIZER_ADAMW, 1, 1, MICROBATCHES, 0.1},
        {gpt2, "cuda", WEIR_COMPUTE_BF16, WEIR_OPTIMIZER_SGD, 2, 1, MICROBATCHES, 0},
        {llama, "cuda:0,cuda:1", WEIR_COMPUTE_BF16, WEIR_OPTIMIZER_ADAMW, 1, 2, MICROBATCHES, 0},
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        struct fixture f;
        double loss;
        char name[64];
        machine_set();
        fixture_open(&f, &runs[i]);
        int before = weir_fake_loaded(name);
        assert_true(before > 20);
        step_run(&f, &runs[i]);
        feed(&f, &runs[i]);
        assert_ok(weir_engine_evaluate(f.engine, &loss));
        assert_nothing_was_loaded(before);
        fixture_close(&f);
    }
}

static void every_kernel_of_a_generator_has_been_run_before_it_generates(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_generator_config config = WEIR_GENERATOR_CONFIG_DEFAULT;
    const struct weir_model_kind *kind;
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = 4, .context = CONTEXT};
    weir_generator *generator;
    char name[64];
    int32_t prompt[6] = {3, 1, 4, 1, 5, 9};
    machine_set();
    assert_ok(weir_hf_config_parse(llama, strlen(llama), "small", &arena, &kind));
    assert_ok(weir_model_build(kind, &model, &arena, &config.prompt));
    model.seq_len = 1;
    assert_ok(weir_model_build(kind, &model, &arena, &config.token));
    config.n_stages = 1;
    config.n_samples = 1;
    config.device = "cuda:0";
    assert_ok(weir_generator_open(&config, &generator));
    int before = weir_fake_loaded(name);
    assert_ok(weir_generator_prompt(generator, prompt, 6));
    for (int i = 0; i < 3; i++)
        assert_ok(weir_generator_next(generator, prompt));
    assert_nothing_was_loaded(before);
    weir_generator_close(generator);
    weir_arena_release(&arena);
}

/* Of a step with so many micro-batches. */
static int64_t launches_of(int microbatches)
{
    const struct run run = {gpt2, "cuda:0", WEIR_COMPUTE_BF16, WEIR_OPTIMIZER_ADAMW, 1, 1, microbatches, 0};
    struct fixture f;
    fixture_open(&f, &run);
    int64_t before = weir_fake_launches();
    step_run(&f, &run);
    int64_t launches = weir_fake_launches() - before;
    fixture_close(&f);
    return launches;
}

static void a_step_launches_what_the_tables_say(void **state)
{
    (void)state;
    machine_set();
    int64_t one = launches_of(1), two = launches_of(2);
    assert_int_equal(two - one, 483 - 1);        /* a micro-batch; the first one clears a gradient */
    assert_int_equal(one - 483, 3 * 148 + 2); /* three for each tensor, the tied gradients, the gate */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_of_a_step_has_been_run_before_it),
        cmocka_unit_test(every_kernel_of_a_generator_has_been_run_before_it_generates),
        cmocka_unit_test(a_step_launches_what_the_tables_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
