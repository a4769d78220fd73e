/* A step in two calls has the bits of a step in one; gradients can be read and written between them.
 *
 * With an argument the program is one process of a run. */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/transport/bootstrap/weir_launch.h"
#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "tests/support/launched_rig.h"

enum { STEPS = 3, MICROBATCHES = 4, BATCH = 1, SEQ = 8 };

static const char *self;

struct layout {
    const char *schedule, *transport;
    int n_stages, replicas, zero;
    enum weir_optimizer optimizer;
    enum weir_compute dtype;
};

struct setup {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    struct weir_engine_config config;
    weir_engine *engine;
};

static void setup_open(struct setup *s, const struct layout *layout, bool apart)
{
    memset(s, 0, sizeof *s);
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = 0.1};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &s->arena, &s->graph));
    int slices = strcmp(layout->schedule, "seq1f1b") ? 0 : 2;
    assert_ok(weir_pipeline_schedule_slices(layout->schedule, layout->n_stages, 0, MICROBATCHES, slices, &s->arena, &s->schedule));
    s->config = (struct weir_engine_config)WEIR_ENGINE_CONFIG_DEFAULT;
    s->config.graph = s->graph;
    s->config.schedule = &s->schedule;
    s->config.transport = layout->transport;
    s->config.replicas = layout->replicas;
    s->config.zero = layout->zero;
    s->config.optimizer = layout->optimizer;
    s->config.dtype = layout->dtype;
    s->config.weight_decay = 0.1;
    s->config.grad_clip = 0.5;
    s->config.evaluates = true;
    s->config.updates_apart = apart;
    assert_ok(weir_engine_open(&s->config, &s->engine));
}

static void setup_close(struct setup *s)
{
    weir_engine_close(s->engine);
    weir_arena_release(&s->arena);
}

static void feed(const struct setup *s, int step)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    int replicas = s->config.replicas ? s->config.replicas : 1;
    for (int mb = 0; mb < replicas * MICROBATCHES; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            struct weir_rng_block b = weir_rng_philox(7, (uint32_t)i, (uint32_t)mb, (uint32_t)step, 0);
            tokens[i] = (int32_t)(b.v[0] % 64);
            targets[i] = (tokens[i] * 3 + 1) % 64;
        }
        assert_ok(weir_engine_feed(s->engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(s->engine, "targets", mb, targets));
    }
}

static float *params_read(const struct setup *s)
{
    float *values;
    size_t at = 0;
    assert_ok(weir_alloc((size_t)weir_graph_n_elements(s->graph), sizeof *values, &values));
    for (int i = 0; i < s->graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&s->graph->params[i].shape);
        assert_ok(weir_engine_param_read(s->engine, s->graph->params[i].name, values + at, n));
        at += n;
    }
    return values;
}

/* Every gradient is read and the same is written again. */
static void gradients_rewrite(const struct setup *s)
{
    for (int i = 0; i < s->graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&s->graph->params[i].shape);
        float *values;
        assert_ok(weir_alloc(n, sizeof *values, &values));
        assert_ok(weir_engine_gradient_read(s->engine, s->graph->params[i].name, values, n));
        assert_ok(weir_engine_gradient_write(s->engine, s->graph->params[i].name, values, n));
        weir_free(values);
    }
}

/* Returns the parameters after some steps; with `apart` each in two calls, with an evaluation between. */
static float *train(const struct layout *layout, bool apart, double *losses, double *norms)
{
    struct setup s;
    setup_open(&s, layout, apart);
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        double norm, loss;
        feed(&s, step);
        assert_ok(apart ? weir_engine_gradients(s.engine, &report) : weir_engine_step(s.engine, 1e-2, &report));
        losses[step] = report.loss;
        norms[step] = report.grad_norm;
        assert_int_equal(report.step, step);
        if (!apart)
            continue;
        assert_int_equal(weir_engine_position(s.engine), step);
        if (step > 0) {
            feed(&s, 77);
            assert_ok(weir_engine_evaluate(s.engine, &loss));
        }
        if (step == 2)
            gradients_rewrite(&s);
        assert_ok(weir_engine_update(s.engine, 1e-2, &norm));
        assert_memory_equal(&norm, &report.grad_norm, sizeof norm);
        assert_int_equal(weir_engine_position(s.engine), step + 1);
    }
    float *params = params_read(&s);
    setup_close(&s);
    return params;
}

static size_t n_elements(void)
{
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &graph));
    size_t n = (size_t)weir_graph_n_elements(graph);
    weir_arena_release(&arena);
    return n;
}

static void both_ways_compare(const struct layout *layout)
{
    double losses[2][STEPS], norms[2][STEPS];
    float *one = train(layout, false, losses[0], norms[0]), *two = train(layout, true, losses[1], norms[1]);
    assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
    assert_memory_equal(norms[0], norms[1], sizeof norms[0]);
    assert_memory_equal(one, two, n_elements() * sizeof *one);
    weir_free(one);
    weir_free(two);
}

static void a_step_in_two_calls_has_the_bits_of_one_in_one(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {"gpipe", NULL, 1, 1, 0, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32},
        {"1f1b", NULL, 3, 0, 0, WEIR_OPTIMIZER_SGD, WEIR_COMPUTE_F32},
        {"zb-h1", NULL, 2, 2, 0, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32},
        {"1f1b", NULL, 2, 3, 1, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32},
        {"zbv", NULL, 4, 2, 1, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_BF16},
        {"dualpipe", NULL, 2, 1, 1, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32},
        {"chimera", NULL, 4, 2, 0, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32},
        {"seq1f1b", NULL, 2, 2, 1, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        both_ways_compare(&layouts[i]);
}

/* ---- processes ------------------------------------------------------------------------------------------------------ */

static int process_run(const char *transport)
{
    static const struct layout layouts[] = {{"1f1b", NULL, 2, 2, 0, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32},
                                            {"zb-h1", NULL, 2, 2, 1, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32},
                                            {"dualpipe", NULL, 2, 2, 1, WEIR_OPTIMIZER_ADAMW, WEIR_COMPUTE_F32}};
    bool is_slow = !strcmp(transport, "mpi"); /* where processes outnumber cores: one layout will do */
    for (size_t i = is_slow; i < (is_slow ? 2 : sizeof layouts / sizeof layouts[0]); i++) {
        struct layout layout = layouts[i];
        layout.transport = transport;
        both_ways_compare(&layout);
    }
    printf("the same bits\n");
    return 0;
}

static int count(const char *text, const char *words)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, words)); at++)
        n++;
    return n;
}

static void processes_have_the_same_bits_in_two_calls(void **state)
{
    (void)state;
    char text[1 << 14];
    int codes[LAUNCHED_MOST], status = launched_run(self, "shm", 4, 250, text, sizeof text, codes);
    if (status || count(text, "the same bits") != 4)
        fail_msg("%d: %s", status, text);
}

/* On one host, and on two: there messages carry what an update awaits. */
static void processes_of_mpi_have_the_same_bits_in_two_calls(void **state)
{
    (void)state;
    static const char *const hosts[] = {"", "WEIR_TEST_HOSTS=0,1,1,0 "};
    for (int i = 0; i < 2; i++) {
        char command[1024], file[] = "/tmp/weir-apart-XXXXXX", text[1 << 12] = "";
        int fd = mkstemp(file);
        snprintf(command, sizeof command, "%sMPI_PASS=WEIR_TEST_HOSTS MPI_TIMEOUT=140 bash '%s/tests/support/mpi.sh' 4 '%s' mpi >'%s' 2>&1", hosts[i],
                 getenv("WEIR_SOURCE_DIR"), self, file);
        int status = system(command);
        FILE *in = fdopen(fd, "r");
        size_t got = fread(text, 1, sizeof text - 1, in);
        text[got] = 0;
        fclose(in);
        remove(file);
        if (WEXITSTATUS(status) == 77 || strstr(text, "transport 'mpi' is not in this build"))
            return print_message("skipped: %s\n", text);
        if (status || count(text, "the same bits") != 4)
            fail_msg("%d: %s", status, text);
    }
}

/* ---- what comes between ---------------------------------------------------------------------------------------------- */

static const struct layout two_replicas = {"1f1b", NULL, 2, 2, 1, WEIR_OPTIMIZER_SGD, WEIR_COMPUTE_F32};

static void a_written_gradient_is_what_the_update_applies(void **state)
{
    (void)state;
    enum { N = 64 * 128 };
    struct setup s;
    struct weir_step_report report;
    static float before[N], after[N], zero[N], written[N];
    double norm;
    for (int zero1 = 0; zero1 < 2; zero1++) {
        struct layout layout = two_replicas;
        layout.zero = zero1;
        setup_open(&s, &layout, true);
        feed(&s, 0);
        assert_ok(weir_engine_gradients(s.engine, &report));
        for (int i = 0; i < s.graph->n_params; i++) {
            size_t n = (size_t)weir_shape_elements(&s.graph->params[i].shape);
            float *none;
            assert_ok(weir_alloc(n, sizeof *none, &none));
            assert_ok(weir_engine_gradient_write(s.engine, s.graph->params[i].name, none, n));
            weir_free(none);
        }
        for (int i = 0; i < N; i++)
            written[i] = i % 4 == 1 ? 0.001f : 0;
        assert_ok(weir_engine_param_read(s.engine, "wpe.weight", before, N));
        assert_ok(weir_engine_gradient_write(s.engine, "wpe.weight", written, N));
        assert_ok(weir_engine_gradient_read(s.engine, "wpe.weight", zero, N));
        assert_memory_equal(zero, written, sizeof zero);
        assert_ok(weir_engine_update(s.engine, 0.5, &norm));
        assert_true(fabs(norm - 0.001 * sqrt(N / 4)) < 1e-5);
        assert_ok(weir_engine_param_read(s.engine, "wpe.weight", after, N));
        bool decays = false;
        for (int i = 0; i < s.graph->n_params; i++)
            decays |= !strcmp(s.graph->params[i].name, "wpe.weight") && s.graph->params[i].decay;
        for (int i = 0; i < N; i++) {
            float decay = decays ? 0.1f * before[i] : 0;
            assert_true(fabsf(after[i] - (before[i] - 0.5f * (written[i] + decay))) < 1e-6f);
        }
        setup_close(&s);
    }
}

static void gradients_await_one_update(void **state)
{
    (void)state;
    struct setup s;
    struct weir_step_report report;
    setup_open(&s, &two_replicas, true);
    float value[128];
    assert_fails(weir_engine_update(s.engine, 1e-3, NULL), WEIR_ERR_USAGE, "no gradients that await an update");
    assert_fails(weir_engine_gradients(s.engine, &report), WEIR_ERR_USAGE, "was not fed");
    feed(&s, 0);
    assert_fails(weir_engine_gradients(s.engine, NULL), WEIR_ERR_INVALID, "its report");
    assert_ok(weir_engine_gradients(s.engine, &report));
    feed(&s, 1);
    assert_fails(weir_engine_gradients(s.engine, &report), WEIR_ERR_USAGE, "would replace them and not add to them");
    assert_fails(weir_engine_step(s.engine, 1e-3, &report), WEIR_ERR_USAGE, "the gradients of step 1 await their update");
    assert_fails(weir_engine_update(s.engine, -1, NULL), WEIR_ERR_USAGE, "learning rate");
    assert_ok(weir_engine_update(s.engine, 1e-3, NULL));
    assert_fails(weir_engine_update(s.engine, 1e-3, NULL), WEIR_ERR_USAGE, "no gradients");
    assert_fails(weir_engine_gradient_write(s.engine, "ln_f.weight", value, 128), WEIR_ERR_USAGE, "no gradients");
    assert_ok(weir_engine_gradients(s.engine, &report)); /* what was fed stands */
    weir_engine_gradients_drop(s.engine);
    feed(&s, 1);
    assert_ok(weir_engine_step(s.engine, 1e-3, &report));
    assert_int_equal(report.step, 1);
    setup_close(&s);
    setup_open(&s, &two_replicas, false);
    feed(&s, 0);
    assert_fails(weir_engine_gradients(s.engine, &report), WEIR_ERR_USAGE, "set updates_apart");
    setup_close(&s);
}

static void a_written_gradient_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    struct setup s;
    struct weir_step_report report;
    float value[128] = {0};
    setup_open(&s, &two_replicas, true);
    feed(&s, 0);
    assert_ok(weir_engine_gradients(s.engine, &report));
    value[7] = NAN;
    assert_ok(weir_engine_gradient_write(s.engine, "ln_f.weight", value, 128));
    float *before = params_read(&s);
    assert_fails(weir_engine_update(s.engine, 1e-3, NULL), WEIR_ERR_NUMERIC, "the gradient of parameter 'ln_f.weight'");
    float *after = params_read(&s);
    assert_memory_equal(before, after, n_elements() * sizeof *before);
    value[7] = 0;
    assert_ok(weir_engine_gradient_write(s.engine, "ln_f.weight", value, 128));
    assert_ok(weir_engine_update(s.engine, 1e-3, NULL));
    weir_free(before);
    weir_free(after);
    setup_close(&s);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1)
        return process_run(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_in_two_calls_has_the_bits_of_one_in_one),
        cmocka_unit_test(processes_have_the_same_bits_in_two_calls),
        cmocka_unit_test(processes_of_mpi_have_the_same_bits_in_two_calls),
        cmocka_unit_test(a_written_gradient_is_what_the_update_applies),
        cmocka_unit_test(gradients_await_one_update),
        cmocka_unit_test(a_written_gradient_that_is_not_finite_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
