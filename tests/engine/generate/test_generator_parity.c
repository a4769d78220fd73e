/* Generation against PyTorch and transformers: the logits of the models in tests/fixtures, position by position from the
 * caches; bench/peers/hf_parity.py wrote the reference values.   labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "include/weir/generate.h"

struct parity {
    json_t *reference;
    int64_t length, vocabulary;
    struct weir_arena arena;
    weir_generator *generator;
    int32_t *tokens;
};

static double number_at(const struct parity *p, const char *list, int64_t i)
{
    const json_t *value = json_array_get(json_object_get(p->reference, list), (size_t)i);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static const char *fixture_path(const char *model, const char *file)
{
    static char path[4400];
    const char *source = getenv("WEIR_SOURCE_DIR");
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/tests/fixtures/%s%s", source, model, file);
    return path;
}

static void parity_open(struct parity *p, const char *model, int stages, int64_t chunk)
{
    const struct weir_model_kind *kind;
    struct weir_generator_config config = WEIR_GENERATOR_CONFIG_DEFAULT;
    *p = (struct parity){0};
    assert_ok(weir_json_load(fixture_path(model, "/reference.json"), &p->reference));
    p->length = (int64_t)number_at(p, "shape", 3);
    assert_ok(weir_model_open(fixture_path(model, ""), &p->arena, &kind));
    p->vocabulary = kind->vocabulary;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = chunk, .context = p->length};
    assert_ok(weir_model_build(kind, &params, &p->arena, &config.prompt));
    params.seq_len = 1;
    assert_ok(weir_model_build(kind, &params, &p->arena, &config.token));
    config.n_stages = stages;
    assert_ok(weir_generator_open(&config, &p->generator));
    assert_ok(weir_generator_load_weights(p->generator, fixture_path(model, "")));
    assert_ok(weir_arena_alloc(&p->arena, (size_t)p->length, sizeof *p->tokens, &p->tokens));
    for (int64_t i = 0; i < p->length; i++) /* sample 1 of the first micro-batch */
        p->tokens[i] = (int32_t)number_at(p, "tokens", p->length + i);
}

static void parity_close(struct parity *p)
{
    weir_generator_close(p->generator);
    weir_arena_release(&p->arena);
    json_decref(p->reference);
}

static void logits_check(const struct parity *p, const char *model, int64_t position)
{
    const float *logits = weir_generator_logits(p->generator, 0);
    for (int64_t v = 0; v < p->vocabulary; v++) {
        double wanted = number_at(p, "logits_of_sample_1", position * p->vocabulary + v);
        if (!(fabs((double)logits[v] - wanted) <= 1e-4))
            fail_msg("%s, position %d, token %d: logit %.7f, transformers has %.7f", model, (int)position, (int)v,
                     (double)logits[v], wanted);
    }
}

/* A prompt of every length; and from a prompt of one token on, token by token. */
static void model_check(const char *model, int stages, int64_t chunk)
{
    struct parity p;
    parity_open(&p, model, stages, chunk);
    for (int64_t n = 1; n <= p.length; n++) {
        assert_ok(weir_generator_prompt(p.generator, p.tokens, n));
        logits_check(&p, model, n - 1);
    }
    assert_ok(weir_generator_prompt(p.generator, p.tokens, 1));
    for (int64_t i = 1; i < p.length; i++) {
        assert_ok(weir_generator_next(p.generator, p.tokens + i));
        logits_check(&p, model, i);
    }
    parity_close(&p);
}

static void gpt2_has_the_logits_of_transformers(void **state)
{
    (void)state;
    model_check("hf-gpt2", 1, 16);
    model_check("hf-gpt2", 3, 5);
}

static void llama_has_the_logits_of_transformers(void **state)
{
    (void)state;
    model_check("hf-llama", 1, 3);
    model_check("hf-llama", 2, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_has_the_logits_of_transformers),
        cmocka_unit_test(llama_has_the_logits_of_transformers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
