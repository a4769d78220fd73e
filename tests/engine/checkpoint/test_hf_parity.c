/* Weir against PyTorch and transformers: logits, gradients and 20 steps of AdamW of the models in tests/fixtures, whose
 * reference values bench/peers/hf_parity.py wrote.   labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "include/weir/weir.h"
#include "tests/support/logit_tap.h"

enum { STEPS, MICROBATCHES, BATCH, LENGTH, SIZES };

struct parity {
    json_t *reference;
    int64_t size[SIZES];
    struct weir_arena arena;
    struct weir_schedule schedule;
    struct logit_tap tap;
    weir_engine *engine;
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

static void parity_open(struct parity *p, const char *model, int stages)
{
    const struct weir_model_kind *kind;
    const struct weir_graph *graph;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    *p = (struct parity){0};
    assert_ok(weir_json_load(fixture_path(model, "/reference.json"), &p->reference));
    for (int i = 0; i < SIZES; i++)
        p->size[i] = (int64_t)number_at(p, "shape", i);
    struct weir_model_params params = {.microbatch_size = p->size[BATCH], .seq_len = p->size[LENGTH]};
    assert_ok(weir_model_open(fixture_path(model, ""), &p->arena, &kind));
    assert_ok(weir_model_build(kind, &params, &p->arena, &graph));
    assert_ok(logit_tap_open(graph, (int)p->size[MICROBATCHES], &p->arena, &p->tap));
    assert_ok(weir_pipeline_schedule("1f1b", stages, 0, (int)p->size[MICROBATCHES], &p->arena, &p->schedule));
    config.graph = &p->tap.graph;
    config.schedule = &p->schedule;
    config.weight_decay = 0.1;
    assert_ok(weir_engine_open(&config, &p->engine));
    assert_ok(weir_engine_load_weights(p->engine, fixture_path(model, "")));
}

static void parity_close(struct parity *p)
{
    weir_engine_close(p->engine);
    weir_arena_release(&p->arena);
    json_decref(p->reference);
}

static double step_run(struct parity *p, int64_t step)
{
    int64_t n = p->size[BATCH] * p->size[LENGTH];
    int32_t *tokens, *targets;
    struct weir_step_report report;
    assert_ok(weir_arena_alloc(&p->arena, (size_t)n, sizeof *tokens, &tokens));
    assert_ok(weir_arena_alloc(&p->arena, (size_t)n, sizeof *targets, &targets));
    for (int64_t mb = 0; mb < p->size[MICROBATCHES]; mb++) {
        for (int64_t i = 0; i < n; i++) {
            tokens[i] = (int32_t)number_at(p, "tokens", (step * p->size[MICROBATCHES] + mb) * n + i);
            targets[i] = (int32_t)number_at(p, "targets", (step * p->size[MICROBATCHES] + mb) * n + i);
        }
        assert_ok(weir_engine_feed(p->engine, "tokens", (int)mb, tokens));
        assert_ok(weir_engine_feed(p->engine, "targets", (int)mb, targets));
    }
    assert_ok(weir_engine_step(p->engine, 1e-3, &report));
    return report.loss;
}

static void logits_check(const struct parity *p)
{
    for (int64_t i = 0; i < p->tap.per_sample; i++) {
        double got = (double)p->tap.logits[p->tap.per_sample + i], wanted = number_at(p, "logits_of_sample_1", i);
        if (!(fabs(got - wanted) <= 1e-4))
            fail_msg("logit %ld of sample 1 is %.7g, PyTorch has %.7g", (long)i, got, wanted);
    }
}

static void gradients_check(struct parity *p)
{
    const struct weir_graph *graph = &p->tap.graph;
    const json_t *norms = json_object_get(p->reference, "gradient_norms");
    assert_int_equal(json_object_size(norms), graph->n_params);
    for (int i = 0; i < graph->n_params; i++) {
        const struct weir_param *param = &graph->params[i];
        size_t n = (size_t)weir_shape_elements(&param->shape);
        float *values;
        double sum = 0, wanted;
        assert_ok(weir_arena_alloc(&p->arena, n, sizeof *values, &values));
        assert_ok(weir_engine_gradient_read(p->engine, param->name, values, n));
        assert_ok(weir_json_number(norms, "reference", param->name, &wanted));
        for (size_t k = 0; k < n; k++)
            sum += (double)values[k] * (double)values[k];
        if (!(fabs(sqrt(sum) - wanted) <= 1e-4 * wanted))
            fail_msg("the gradient of '%s' has norm %.9g, PyTorch has %.9g", param->name, sqrt(sum), wanted);
    }
}

static void model_check(const char *model, int stages)
{
    struct parity p;
    parity_open(&p, model, stages);
    for (int64_t step = 0; step < p.size[STEPS]; step++) {
        double loss = step_run(&p, step), wanted = number_at(&p, "losses", step);
        if (!(fabs(loss - wanted) <= 1e-3 * wanted))
            fail_msg("the loss of step %ld is %.7g, PyTorch has %.7g", (long)step, loss, wanted);
        if (step == 0) {
            logits_check(&p);
            gradients_check(&p);
        }
    }
    parity_close(&p);
}

static void gpt2_trains_as_it_does_in_pytorch(void **state)
{
    (void)state;
    model_check("hf-gpt2", 1);
    model_check("hf-gpt2", 3);
}

static void llama_trains_as_it_does_in_pytorch(void **state)
{
    (void)state;
    model_check("hf-llama", 1);
    model_check("hf-llama", 3);
}

static void gradients_need_a_step_and_a_name(void **state)
{
    (void)state;
    struct parity p;
    float values[16];
    parity_open(&p, "hf-gpt2", 1);
    assert_fails(weir_engine_gradient_read(p.engine, "ln_f.bias", values, 16), WEIR_ERR_USAGE, "no step was run");
    step_run(&p, 0);
    assert_ok(weir_engine_gradient_read(p.engine, "ln_f.bias", values, 16));
    assert_fails(weir_engine_gradient_read(p.engine, "ln_f.bias", values, 15), WEIR_ERR_INVALID, "has 16 elements");
    assert_fails(weir_engine_gradient_read(p.engine, "ln_g.bias", values, 16), WEIR_ERR_INVALID, "no parameter 'ln_g.bias'");
    parity_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_trains_as_it_does_in_pytorch),
        cmocka_unit_test(llama_trains_as_it_does_in_pytorch),
        cmocka_unit_test(gradients_need_a_step_and_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
