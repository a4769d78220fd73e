/* Evaluations and generated tokens in steady state: what they ask of the heap and the kernel.   labels: threads */
#include "tests/support/testing.h"

#include <stdlib.h>

#include "include/weir/generate.h"
#include "models/model_kinds.h"
#include "tests/support/step_guard.h"
#include "weir_libraries.h"

enum { FEW = 8, MANY = 24, SAMPLES = 3, CHUNK = 8, CONTEXT = 64 };

/* ---- a token of every sample --------------------------------------------------------------------------------------- */

static weir_status generator_open(struct weir_arena *arena, weir_generator **generator_out)
{
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = CHUNK, .context = CONTEXT};
    struct weir_generator_config config = WEIR_GENERATOR_CONFIG_DEFAULT;
    weir_status status = weir_model_build(&weir_model_llama_tiny, &model, arena, &config.prompt);
    model.seq_len = 1;
    if (!status)
        status = weir_model_build(&weir_model_llama_tiny, &model, arena, &config.token);
    config.n_samples = SAMPLES;
    config.n_stages = 2;
    return status ? status : weir_generator_open(&config, generator_out);
}

static weir_status tokens_run(weir_generator *generator, int n)
{
    static float work[256];
    const struct weir_sampling sampling = {.temperature = 1, .top_k = 20, .seed = 1};
    weir_status status = WEIR_OK;
    int32_t next[SAMPLES];
    for (int i = 0; i < n && !status; i++) {
        for (int s = 0; s < SAMPLES && !status; s++)
            status = weir_token_sample(&sampling, weir_generator_logits(generator, s), 256, (uint32_t)s, i, work, &next[s]);
        if (!status)
            status = weir_generator_next(generator, next);
    }
    return status;
}

static weir_status tokens_guarded(void *argument)
{
    static struct weir_arena arena;
    const int32_t prompt[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    weir_generator *generator = NULL;
    weir_status status = generator_open(&arena, &generator);
    if (!status)
        status = weir_generator_prompt(generator, prompt, 10);
    if (!status)
        status = tokens_run(generator, 3);
    testing_guard_begin();
    if (!status)
        status = tokens_run(generator, *(const int *)argument);
    testing_guard_end();
    return status;
}

/* ---- evaluations between steps ------------------------------------------------------------------------------------- */

static weir_status run_feed(weir_engine *engine)
{
    int32_t tokens[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    weir_status status = WEIR_OK;
    for (int mb = 0; mb < 4 && !status; mb++) {
        status = weir_engine_feed(engine, "tokens", mb, tokens);
        if (!status)
            status = weir_engine_feed(engine, "targets", mb, tokens);
    }
    return status;
}

static weir_status evaluations_run(weir_engine *engine, int n)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < n && !status; i++) {
        struct weir_step_report report;
        double loss;
        status = run_feed(engine);
        if (!status)
            status = weir_engine_evaluate(engine, &loss);
        if (!status)
            status = run_feed(engine);
        if (!status)
            status = weir_engine_step(engine, 1e-3, &report);
    }
    return status;
}

static weir_status evaluations_guarded(void *argument)
{
    static struct weir_arena arena;
    static struct weir_schedule schedule;
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = 8};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    weir_engine *engine = NULL;
    weir_status status = weir_model_build(&weir_model_llama_tiny, &model, &arena, &config.graph);
    if (!status)
        status = weir_pipeline_schedule("zb-h1", 2, 0, 4, &arena, &schedule);
    config.schedule = &schedule;
    config.evaluates = true;
    if (!status)
        status = weir_engine_open(&config, &engine);
    if (!status)
        status = evaluations_run(engine, 3);
    testing_guard_begin();
    if (!status)
        status = evaluations_run(engine, *(const int *)argument);
    testing_guard_end();
    return status;
}

/* oneDNN allocates a fixed number of small objects per primitive it executes: the same for every token and step. */
static void steady_check(weir_status (*body)(void *), int unit)
{
    int few = FEW, many = MANY;
    struct testing_guard_counts a, b;
    if (!testing_guard_available())
        skip();
    assert_ok(testing_guard_run(body, &few, &a));
    assert_ok(testing_guard_run(body, &many, &b));
    print_message("%llu allocations in %d, %llu in %d, %llu system calls (first %d)\n", (unsigned long long)a.n_allocations,
                  FEW * unit, (unsigned long long)b.n_allocations, MANY * unit, (unsigned long long)b.n_system_calls,
                  b.first_system_call);
    assert_int_equal(b.n_allocations, 3 * a.n_allocations);
    if (!WEIR_HAVE_ONEDNN)
        assert_int_equal(b.n_allocations, 0);
    if (b.saw_system_calls)
        assert_int_equal(b.n_system_calls, 0);
}

static void a_token_allocates_nothing_and_makes_no_system_call_but_futex(void **state)
{
    (void)state;
    steady_check(tokens_guarded, SAMPLES);
}

static void an_evaluation_allocates_nothing_and_makes_no_system_call_but_futex(void **state)
{
    (void)state;
    steady_check(evaluations_guarded, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_allocates_nothing_and_makes_no_system_call_but_futex),
        cmocka_unit_test(an_evaluation_allocates_nothing_and_makes_no_system_call_but_futex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
