/* Rules for updates: the first one that matches a parameter's name scales its learning rate and weight decay. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "tests/support/testing.h"

enum { MICROBATCHES = 2, BATCH = 2, SEQ = 8, MOST_RULES = 4, MOST_PARAMS = 256 };

struct outcome {
    struct weir_arena arena;
    const struct weir_graph *graph;
    float *before[MOST_PARAMS], *after[MOST_PARAMS];
};

static void feed(weir_engine *engine, int step)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    for (int mb = 0; mb < 2 * MICROBATCHES; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            tokens[i] = (i * 7 + mb * 3 + step) % 64;
            targets[i] = (tokens[i] * 3 + 1) % 64;
        }
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

static void params_read(weir_engine *engine, struct outcome *o, float **values)
{
    for (int i = 0; i < o->graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&o->graph->params[i].shape);
        assert_ok(weir_arena_alloc(&o->arena, n, sizeof(float), &values[i]));
        assert_ok(weir_engine_param_read(engine, o->graph->params[i].name, values[i], n));
    }
}

static weir_status opened(struct outcome *o, enum weir_optimizer optimizer, int zero, const struct weir_update_rule *rules, int n,
                          weir_engine **engine_out)
{
    static struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ};
    memset(o, 0, sizeof *o);
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &o->arena, &o->graph));
    assert_true(o->graph->n_params <= MOST_PARAMS);
    assert_ok(weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES, &o->arena, &schedule));
    config.graph = o->graph;
    config.schedule = &schedule;
    config.optimizer = optimizer;
    config.weight_decay = 0.5;
    config.replicas = 2;
    config.zero = zero;
    config.update_rules = rules;
    config.n_update_rules = n;
    return weir_engine_open(&config, engine_out);
}

static void train(struct outcome *o, enum weir_optimizer optimizer, int zero, int steps, const struct weir_update_rule *rules, int n)
{
    weir_engine *engine;
    struct weir_step_report report;
    assert_ok(opened(o, optimizer, zero, rules, n, &engine));
    params_read(engine, o, o->before);
    for (int step = 0; step < steps; step++) {
        feed(engine, step);
        assert_ok(weir_engine_step(engine, 0.25, &report));
    }
    params_read(engine, o, o->after);
    weir_engine_close(engine);
}

static bool same(const struct outcome *a, float *const *values, const struct outcome *b, float *const *others, int i)
{
    (void)b;
    return !memcmp(values[i], others[i], sizeof(float) * (size_t)weir_shape_elements(&a->graph->params[i].shape));
}

static void factors_of_one_change_no_bit(void **state)
{
    (void)state;
    static const struct weir_update_rule rules[] = {{sizeof rules[0], "wte.weight", 1, 1}, {sizeof rules[0], "*", 1, 1}};
    for (int optimizer = WEIR_OPTIMIZER_SGD; optimizer <= WEIR_OPTIMIZER_ADAMW; optimizer++) {
        struct outcome plain, ruled;
        train(&plain, (enum weir_optimizer)optimizer, 0, 3, NULL, 0);
        train(&ruled, (enum weir_optimizer)optimizer, 1, 3, rules, 2);
        for (int i = 0; i < plain.graph->n_params; i++)
            assert_true(same(&plain, plain.after, &ruled, ruled.after, i));
        weir_arena_release(&plain.arena);
        weir_arena_release(&ruled.arena);
    }
}

static void a_frozen_parameter_keeps_its_bits_and_the_others_move(void **state)
{
    (void)state;
    static const struct weir_update_rule rules[] = {{sizeof rules[0], "h.*", 0, 1}, {sizeof rules[0], "wte.weight", 0, 1}};
    for (int optimizer = WEIR_OPTIMIZER_SGD; optimizer <= WEIR_OPTIMIZER_ADAMW; optimizer++)
        for (int zero = 0; zero < 2; zero++) {
            struct outcome o;
            train(&o, (enum weir_optimizer)optimizer, zero, 2, rules, 2);
            for (int i = 0; i < o.graph->n_params; i++) {
                const char *name = o.graph->params[i].name;
                bool frozen = !strncmp(name, "h.", 2) || !strcmp(name, "wte.weight");
                if (same(&o, o.before, &o, o.after, i) != frozen)
                    fail_msg("parameter '%s' is%s as before", name, frozen ? " not" : "");
            }
            weir_arena_release(&o.arena);
        }
}

/* One step of SGD from the same values: what a parameter moves by is the rate times (gradient + decay · value). */
static void the_first_rule_that_matches_counts(void **state)
{
    (void)state;
    static const struct weir_update_rule rules[] = {
        {sizeof rules[0], "h.0.*", 0.5, 1}, {sizeof rules[0], "h.*.mlp.*", 1, 0}, {sizeof rules[0], "h.*", 2, 1}};
    static const struct weir_update_rule no_decay[] = {{sizeof rules[0], "*", 1, 0}};
    struct outcome plain, ruled, bare;
    train(&plain, WEIR_OPTIMIZER_SGD, 0, 1, NULL, 0);
    train(&ruled, WEIR_OPTIMIZER_SGD, 0, 1, rules, 3);
    train(&bare, WEIR_OPTIMIZER_SGD, 0, 1, no_decay, 1);
    for (int i = 0; i < plain.graph->n_params; i++) {
        const char *name = plain.graph->params[i].name;
        bool first = !strncmp(name, "h.0.", 4), mlp = !first && strstr(name, ".mlp."), other = !first && !mlp && !strncmp(name, "h.", 2);
        const struct outcome *wanted = mlp ? &bare : &plain;
        float factor = first ? 0.5f : other ? 2 : 1;
        for (int64_t k = 0; k < weir_shape_elements(&plain.graph->params[i].shape); k++) {
            float moved = ruled.after[i][k] - ruled.before[i][k], expected = factor * (wanted->after[i][k] - wanted->before[i][k]);
            if (!(fabsf(moved - expected) <= 1e-6f + 1e-4f * fabsf(expected)))
                fail_msg("parameter '%s': element %lld moves by %g, not %g", name, (long long)k, (double)moved, (double)expected);
        }
    }
    weir_arena_release(&plain.arena);
    weir_arena_release(&ruled.arena);
    weir_arena_release(&bare.arena);
}

static void rules_that_do_nothing_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct weir_update_rule rules[2];
        weir_status status;
        const char *words;
    } rows[] = {
        {{{sizeof(struct weir_update_rule), "wte.wieght", 0, 1}}, WEIR_ERR_USAGE, "matches no parameter of model 'gpt2-tiny': did you mean 'wte.weight'?"},
        {{{sizeof(struct weir_update_rule), "x.*", 0, 1}}, WEIR_ERR_USAGE, "'x.*' matches no parameter"},
        {{{sizeof(struct weir_update_rule), "*", 1, 1}, {sizeof(struct weir_update_rule), "wte.*", 0, 1}}, WEIR_ERR_USAGE, "'wte.*' comes too late"},
        {{{sizeof(struct weir_update_rule), "*", -1, 1}}, WEIR_ERR_USAGE, "factors -1 and 1"},
        {{{sizeof(struct weir_update_rule), "*", 1, (double)INFINITY}}, WEIR_ERR_USAGE, "factors 1 and inf"},
        {{{0, "*", 1, 1}}, WEIR_ERR_INVALID, "update rule 0"},
        {{{sizeof(struct weir_update_rule), NULL, 1, 1}}, WEIR_ERR_INVALID, "update rule 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct outcome o;
        weir_engine *engine = NULL;
        assert_fails(opened(&o, WEIR_OPTIMIZER_SGD, 0, rows[i].rules, rows[i].rules[1].pattern ? 2 : 1, &engine), rows[i].status,
                     rows[i].words);
        assert_null(engine);
        weir_arena_release(&o.arena);
    }
    struct outcome o;
    weir_engine *engine = NULL;
    assert_fails(opened(&o, WEIR_OPTIMIZER_SGD, 0, NULL, 2, &engine), WEIR_ERR_INVALID, "2 update rules, the list is NULL");
    weir_arena_release(&o.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_of_one_change_no_bit),
        cmocka_unit_test(a_frozen_parameter_keeps_its_bits_and_the_others_move),
        cmocka_unit_test(the_first_rule_that_matches_counts),
        cmocka_unit_test(rules_that_do_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
