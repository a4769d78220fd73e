/* Logits of a generator on device cuda, real or a stand-in, against the CPU's: a prompt in chunks and a few tokens, the same
 * ones on both, so that a tie which breaks another way changes nothing.  (The thread sanitizer cannot follow fibers: no
 * label.) */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/device.h"
#include "include/weir/generate.h"
#include "models/model_kinds.h"

enum { VOCABULARY = 256, CONTEXT = 24, PROMPT = 13, CHUNK = 4, TOKENS = 8, SAMPLES = 2 };

struct text {
    float logits[TOKENS][SAMPLES][VOCABULARY];
};

static void graphs_make(struct weir_arena *arena, struct weir_generator_config *config)
{
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = CHUNK, .context = CONTEXT};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, arena, &config->prompt));
    model.seq_len = 1;
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, arena, &config->token));
}

/* Wider than initial values, so that logits differ and attention is not flat. */
static void weights_widen(weir_generator *generator, const struct weir_graph *graph)
{
    for (int i = 0; i < graph->n_params; i++) {
        const struct weir_param *param = &graph->params[i];
        size_t n = (size_t)weir_shape_elements(&param->shape);
        float *values = malloc(n * sizeof *values);
        assert_non_null(values);
        assert_ok(weir_generator_param_read(generator, param->name, values, n));
        for (size_t k = 0; k < n && param->init == WEIR_INIT_NORMAL; k++)
            values[k] *= 6;
        assert_ok(weir_generator_param_write(generator, param->name, values, n));
        free(values);
    }
}

static void text_make(const char *device, int stages, struct text *out)
{
    struct weir_arena arena = {0};
    struct weir_generator_config config = WEIR_GENERATOR_CONFIG_DEFAULT;
    weir_generator *generator;
    int32_t prompt[PROMPT];
    graphs_make(&arena, &config);
    config.n_stages = stages;
    config.n_samples = SAMPLES;
    config.device = device;
    assert_ok(weir_generator_open(&config, &generator));
    weights_widen(generator, config.prompt);
    for (int i = 0; i < PROMPT; i++)
        prompt[i] = (i * 37 + 11) % VOCABULARY;
    assert_ok(weir_generator_prompt(generator, prompt, PROMPT));
    for (int i = 0; i < TOKENS; i++) {
        const int32_t tokens[SAMPLES] = {(i * 91 + 5) % VOCABULARY, (i * 53 + 200) % VOCABULARY};
        for (int s = 0; s < SAMPLES; s++)
            memcpy(out->logits[i][s], weir_generator_logits(generator, s), sizeof out->logits[i][s]);
        assert_ok(weir_generator_next(generator, tokens));
    }
    weir_generator_close(generator);
    weir_arena_release(&arena);
}

static void logits_are_within_a_thousandth_of_the_cpus(void **state)
{
    (void)state;
    static struct text cpu, one, other;
    double most = 0, worst = 0;
    text_make("cpu", 1, &cpu);
    text_make("cuda:0", 1, &one);
    text_make("cuda:0", 3, &other);
    assert_memory_equal(&one, &other, sizeof one);
    const float *wanted = &cpu.logits[0][0][0], *got = &one.logits[0][0][0];
    for (int i = 0; i < TOKENS * SAMPLES * VOCABULARY; i++) {
        most = fmax(most, fabs((double)wanted[i]));
        double error = fabs((double)got[i] - (double)wanted[i]);
        worst = error <= worst ? worst : error; /* a NaN too */
    }
    print_message("worst   logits f32: %.1e of %.1e\n", worst / most, 1e-3);
    assert_true(most > 1);
    assert_true(worst <= 1e-3 * most);
}

int main(void)
{
    const struct weir_device_kind *cuda;
    int n_devices;
    const struct CMUnitTest tests[] = {cmocka_unit_test(logits_are_within_a_thousandth_of_the_cpus)};
    if (!weir_device_kind_find("cuda", &cuda) && !cuda->count(&n_devices))
        return cmocka_run_group_tests(tests, NULL, NULL);
    print_message("skipped: %s\n", weir_last_error());
    return 0;
}
