/* A run that goes on from a checkpoint is the run that was not interrupted, to the bit, on every layout.
 * labels: threads */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "tests/support/testing.h"

enum { STEPS = 4, AT = 2, MICROBATCHES = 4, BATCH = 1, SEQ = 8 };

struct layout {
    const char *schedule;
    int n_stages, replicas, zero;
    bool background;
    const char *recompute;
};

struct rig {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
};

struct outcome {
    double losses[STEPS], norms[STEPS];
    float *values; /* parameters, then moments */
    size_t n;
};

static const struct weir_model_kind *const models[] = {&weir_model_gpt2_tiny, &weir_model_llama_tiny};

static void rig_open(struct rig *rig, const struct layout *layout, int model, enum weir_optimizer optimizer)
{
    *rig = (struct rig){0};
    struct weir_model_params params = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = model ? 0 : 0.1};
    assert_ok(weir_model_build(models[model], &params, &rig->arena, &rig->graph));
    int m = MICROBATCHES / layout->replicas;
    assert_ok(weir_pipeline_schedule(layout->schedule, layout->n_stages, 0, m, &rig->arena, &rig->schedule));
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = rig->graph;
    config.schedule = &rig->schedule;
    config.optimizer = optimizer;
    config.weight_decay = 0.1;
    config.grad_clip = 0.5;
    config.seed = 77;
    config.replicas = layout->replicas;
    config.zero = layout->zero;
    config.recompute = layout->recompute;
    config.snapshots = layout->background;
    assert_ok(weir_engine_open(&config, &rig->engine));
}

static void rig_close(struct rig *rig)
{
    weir_engine_close(rig->engine);
    weir_arena_release(&rig->arena);
}

static void step_run(struct rig *rig, int step, struct outcome *out)
{
    struct weir_step_report report;
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            struct weir_rng_block b = weir_rng_philox(5, (uint32_t)i, (uint32_t)mb, (uint32_t)step, 0);
            tokens[i] = (int32_t)(b.v[0] % 64);
            targets[i] = (tokens[i] * 3 + 1) % 64;
        }
        assert_ok(weir_engine_feed(rig->engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(rig->engine, "targets", mb, targets));
    }
    assert_ok(weir_engine_step(rig->engine, 1e-2 / (1 + step), &report));
    assert_int_equal(report.step, step);
    out->losses[step] = report.loss;
    out->norms[step] = report.grad_norm;
}

static void values_collect(struct rig *rig, enum weir_optimizer optimizer, struct outcome *out)
{
    int n_kinds = optimizer == WEIR_OPTIMIZER_ADAMW ? 3 : 1;
    size_t at = 0;
    out->n = (size_t)n_kinds * (size_t)weir_graph_n_elements(rig->graph);
    assert_ok(weir_alloc(out->n, sizeof(float), &out->values));
    for (int i = 0; i < rig->graph->n_params; i++) {
        const struct weir_param *p = &rig->graph->params[i];
        size_t n = (size_t)weir_shape_elements(&p->shape);
        assert_ok(weir_engine_param_read(rig->engine, p->name, out->values + at, n));
        at += n;
        for (int k = 1; k < n_kinds; k++, at += n)
            assert_ok(weir_engine_moment_read(rig->engine, (enum weir_checkpoint_kind)k, p->name, out->values + at, n));
    }
}

static void outcome_release(struct outcome *out)
{
    weir_free(out->values);
}

static void assert_same(const struct outcome *a, const struct outcome *b, int from)
{
    size_t n = sizeof *a->losses * (size_t)(STEPS - from);
    assert_memory_equal(a->losses + from, b->losses + from, n);
    assert_memory_equal(a->norms + from, b->norms + from, n);
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->values, b->values, a->n * sizeof(float));
}

static void save(weir_engine *engine, const char *dir, bool background, int64_t sample)
{
    struct weir_save save = {.struct_bytes = sizeof save, .dir = dir, .sample = sample, .val_loss = NAN, .background = background};
    assert_ok(weir_engine_save_check(engine, dir));
    assert_ok(weir_engine_save(engine, &save));
    if (!background)
        return;
    bool busy = true;
    while (busy)
        assert_ok(weir_engine_save_poll(engine, &busy));
}

/* All steps on one layout, a checkpoint on the way, which changes nothing. */
static void whole_run(const struct layout *layout, int model, enum weir_optimizer optimizer, const char *dir, struct outcome *out)
{
    struct rig rig;
    rig_open(&rig, layout, model, optimizer);
    for (int step = 0; step < STEPS; step++) {
        step_run(&rig, step, out);
        if (step + 1 == AT)
            save(rig.engine, dir, layout->background, 1000 + AT);
    }
    values_collect(&rig, optimizer, out);
    rig_close(&rig);
}

static void resumed_run(const struct layout *layout, int model, enum weir_optimizer optimizer, const char *dir, struct outcome *out)
{
    struct rig rig;
    weir_checkpoint *checkpoint;
    rig_open(&rig, layout, model, optimizer);
    assert_ok(weir_engine_newest(rig.engine, dir, NULL, NULL, &checkpoint));
    assert_non_null(checkpoint);
    assert_ok(weir_engine_load(rig.engine, checkpoint));
    assert_int_equal(weir_checkpoint_info(checkpoint)->sample, 1000 + AT);
    weir_checkpoint_close(checkpoint);
    assert_int_equal(weir_engine_position(rig.engine), AT);
    for (int step = AT; step < STEPS; step++)
        step_run(&rig, step, out);
    values_collect(&rig, optimizer, out);
    rig_close(&rig);
}

static const char *dir_of(const char *name)
{
    return testing_path(name);
}

static void checks_pairs(const struct layout *from, int n_from, const struct layout *to, int n_to, int model,
                         enum weir_optimizer optimizer, const char *name)
{
    char leaf[64];
    for (int a = 0; a < n_from; a++) {
        struct outcome whole, resumed;
        snprintf(leaf, sizeof leaf, "%s-%d", name, a);
        char *dir;
        assert_ok(weir_strdup(dir_of(leaf), &dir));
        whole_run(&from[a], model, optimizer, dir, &whole);
        for (int b = 0; b < n_to; b++) {
            resumed_run(&to[b], model, optimizer, dir, &resumed);
            assert_same(&resumed, &whole, AT);
            outcome_release(&resumed);
        }
        outcome_release(&whole);
        weir_free(dir);
    }
}

static void a_resumed_run_equals_the_whole_run_on_every_pipeline(void **state)
{
    (void)state;
    static const struct layout layouts[] = {{"gpipe", 1, 1, 0, false, NULL},   {"1f1b", 2, 1, 0, true, NULL},
                                            {"zb-h1", 4, 1, 0, false, "full"}, {"zbv", 4, 1, 0, true, NULL},
                                            {"interleaved", 4, 1, 0, false, NULL}};
    checks_pairs(layouts, 3, layouts, 5, 0, WEIR_OPTIMIZER_ADAMW, "pipelines");
}

static void a_resumed_run_equals_the_whole_run_with_replicas_and_sharded_state(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {"gpipe", 1, 2, 0, true, NULL}, {"1f1b", 2, 2, 1, false, NULL}, {"zbv", 4, 2, 1, true, NULL}, {"1f1b", 1, 2, 1, true, NULL}};
    checks_pairs(layouts, 4, layouts, 4, 0, WEIR_OPTIMIZER_ADAMW, "replicas");
}

static void a_resumed_run_equals_the_whole_run_with_sgd_and_without_tied_weights(void **state)
{
    (void)state;
    static const struct layout layouts[] = {{"1f1b", 2, 1, 0, false, NULL}, {"zb-h1", 4, 1, 0, true, NULL}};
    checks_pairs(layouts, 2, layouts, 2, 0, WEIR_OPTIMIZER_SGD, "sgd");
    checks_pairs(layouts, 1, layouts, 2, 1, WEIR_OPTIMIZER_ADAMW, "llama");
}

/* The same state through the write calls. */
static void a_loaded_engine_equals_one_that_was_given_the_state_by_name(void **state)
{
    (void)state;
    static const struct layout from = {"1f1b", 2, 2, 1, false, NULL}, to = {"zbv", 4, 1, 0, false, NULL};
    struct outcome whole = {.n = 0}, given = {.n = 0}, loaded = {.n = 0};
    struct rig rig;
    weir_checkpoint *c;
    const char *dir = dir_of("by-name");
    whole_run(&from, 0, WEIR_OPTIMIZER_ADAMW, dir, &whole);
    resumed_run(&to, 0, WEIR_OPTIMIZER_ADAMW, dir, &loaded);
    rig_open(&rig, &to, 0, WEIR_OPTIMIZER_ADAMW);
    assert_ok(weir_checkpoint_newest(dir, NULL, NULL, &c));
    const struct weir_checkpoint_info *info = weir_checkpoint_info(c);
    for (int i = 0; i < info->n_tensors; i++) {
        const struct weir_checkpoint_tensor *t = &info->tensors[i];
        const char *name = t->name + (strncmp(t->name, "transformer.", 12) ? 0 : 12);
        size_t n = (size_t)t->n_elements;
        float *values;
        assert_ok(weir_alloc(n, sizeof *values, &values));
        assert_ok(weir_checkpoint_read(c, i, 0, t->n_elements, values));
        if (t->kind == WEIR_CHECKPOINT_PARAMETER)
            assert_ok(weir_engine_param_write(rig.engine, name, values, n));
        else
            assert_ok(weir_engine_moment_write(rig.engine, t->kind, name, values, n));
        weir_free(values);
    }
    assert_ok(weir_engine_position_set(rig.engine, info->step));
    weir_checkpoint_close(c);
    for (int step = AT; step < STEPS; step++)
        step_run(&rig, step, &given);
    values_collect(&rig, WEIR_OPTIMIZER_ADAMW, &given);
    rig_close(&rig);
    assert_same(&given, &loaded, AT);
    outcome_release(&given);
    outcome_release(&loaded);
    outcome_release(&whole);
}

static void another_model_optimizer_or_seed_is_named(void **state)
{
    (void)state;
    static const struct layout layout = {"1f1b", 2, 1, 0, false, NULL};
    struct outcome whole;
    struct rig rig;
    weir_checkpoint *c;
    const char *dir = dir_of("others");
    whole_run(&layout, 0, WEIR_OPTIMIZER_ADAMW, dir, &whole);
    outcome_release(&whole);
    rig_open(&rig, &layout, 1, WEIR_OPTIMIZER_ADAMW);
    assert_ok(weir_engine_newest(rig.engine, dir, NULL, NULL, &c));
    assert_fails(weir_engine_load(rig.engine, c), WEIR_ERR_INVALID, "of model 'gpt2-tiny' does not fit model 'llama-tiny': parameter '");
    assert_non_null(strstr(weir_last_error(), "' is missing, "));
    weir_checkpoint_close(c);
    rig_close(&rig);
    rig_open(&rig, &layout, 0, WEIR_OPTIMIZER_SGD);
    assert_ok(weir_engine_newest(rig.engine, dir, NULL, NULL, &c));
    assert_fails(weir_engine_load(rig.engine, c), WEIR_ERR_INVALID, "was trained with optimizer adamw, this run has sgd");
    weir_checkpoint_close(c);
    rig_close(&rig);
}

static void the_programs_own_bytes_come_back(void **state)
{
    (void)state;
    static const struct layout layout = {"1f1b", 2, 1, 0, true, NULL};
    struct rig rig;
    weir_checkpoint *c;
    void *data;
    size_t bytes;
    char extra[] = "own\0bytes";
    rig_open(&rig, &layout, 0, WEIR_OPTIMIZER_ADAMW);
    struct weir_save save = {.struct_bytes = sizeof save, .dir = dir_of("extra"), .sample = 9, .seconds = 1.5, .val_loss = 2.25,
                             .config = "{\"a\": [1, \"b\"]}", .extra = extra, .extra_bytes = sizeof extra, .background = true};
    assert_ok(weir_engine_save(rig.engine, &save));
    memset(extra, 0, sizeof extra); /* it was copied */
    assert_ok(weir_engine_save_wait(rig.engine));
    rig_close(&rig);
    assert_ok(weir_checkpoint_newest(dir_of("extra"), NULL, NULL, &c));
    assert_ok(weir_checkpoint_extra(c, &data, &bytes));
    assert_int_equal(bytes, sizeof extra);
    assert_memory_equal(data, "own\0bytes", bytes);
    weir_free(data);
    const struct weir_checkpoint_info *info = weir_checkpoint_info(c);
    assert_int_equal(info->step, 0);
    assert_true(info->val_loss == 2.25 && info->seconds == 1.5 && info->sample == 9);
    assert_string_equal(info->config, "{\"a\":[1,\"b\"]}");
    assert_string_equal(info->model, "gpt2-tiny");
    assert_true(info->has_seed && info->seed == 77);
    weir_checkpoint_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_equals_the_whole_run_on_every_pipeline),
        cmocka_unit_test(a_resumed_run_equals_the_whole_run_with_replicas_and_sharded_state),
        cmocka_unit_test(a_resumed_run_equals_the_whole_run_with_sgd_and_without_tied_weights),
        cmocka_unit_test(a_loaded_engine_equals_one_that_was_given_the_state_by_name),
        cmocka_unit_test(another_model_optimizer_or_seed_is_named),
        cmocka_unit_test(the_programs_own_bytes_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
