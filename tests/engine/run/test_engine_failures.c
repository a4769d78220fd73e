/* The engine when something is wrong: one clear error, no hang, nothing leaked.   labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "include/weir/weir.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"
#include "tests/support/row_kernels.h"

enum { MICROBATCHES = 4, BATCH = 2, SEQ = 8 };

struct setup {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    struct weir_engine_config config;
};

static void setup_make(struct setup *s, const char *schedule, int stages)
{
    memset(s, 0, sizeof *s);
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &s->arena, &s->graph));
    assert_ok(weir_pipeline_schedule(schedule, stages, 0, MICROBATCHES, &s->arena, &s->schedule));
    s->config = (struct weir_engine_config)WEIR_ENGINE_CONFIG_DEFAULT;
    s->config.graph = s->graph;
    s->config.schedule = &s->schedule;
}

static void feed(weir_engine *engine, int32_t token, int32_t target)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    for (int i = 0; i < BATCH * SEQ; i++)
        tokens[i] = token, targets[i] = target;
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

/* ---- kernels that fail --------------------------------------------------------------------------------------------- */

static weir_status refuse(const struct weir_op_call *call, void *stream)
{
    (void)call, (void)stream;
    return WEIR_FAIL(WEIR_ERR_INVALID, "told to refuse");
}

static weir_status numeric(const struct weir_op_call *call, void *stream)
{
    (void)call, (void)stream;
    return WEIR_ERR_NUMERIC; /* without a message */
}

static weir_status odd(const struct weir_op_call *call, void *stream)
{
    (void)call, (void)stream;
    return (weir_status)77;
}

/* The graph's node of that name gets a forward of its own. */
static void forward_set(const struct weir_graph *graph, const char *name, weir_kernel_fn forward, struct weir_op *op)
{
    for (int n = 0; n < graph->n_nodes; n++)
        if (!strcmp(graph->nodes[n].name, name)) {
            struct weir_node *node = (struct weir_node *)(uintptr_t)&graph->nodes[n];
            *op = *node->op;
            op->cpu = *cpu_kernels(node->op);
            op->cpu.forward = forward;
            node->op = op;
            return;
        }
    fail_msg("no node '%s'", name);
}

static void a_failing_kernel_stops_every_rank_and_is_named(void **state)
{
    (void)state;
    for (int stages = 1; stages <= 4; stages++)
        for (int last = 0; last < 2; last++) {
            struct setup s;
            struct weir_op op;
            weir_engine *engine;
            struct weir_step_report report;
            setup_make(&s, "1f1b", stages);
            forward_set(s.graph, last ? "loss" : "embed", refuse, &op);
            assert_ok(weir_engine_open(&s.config, &engine));
            feed(engine, 1, 2);
            assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_INVALID, last ? "node 'loss'" : "node 'embed'");
            assert_non_null(strstr(weir_last_error(), "told to refuse"));
            assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_INVALID, "failed before");
            weir_engine_close(engine);
            weir_arena_release(&s.arena);
        }
}

static void what_a_kernel_returns_is_a_failure_of_its_call(void **state)
{
    (void)state;
    static const struct {
        weir_kernel_fn forward;
        const char *words;
    } rows[] = {{numeric, "node 'embed': the kernel returned status 11, numerical error without a message"},
                {odd, "node 'embed': the kernel returned status 77 without a message"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct setup s;
        struct weir_op op;
        weir_engine *engine;
        struct weir_step_report report;
        setup_make(&s, "1f1b", 2);
        forward_set(s.graph, "embed", rows[i].forward, &op);
        assert_ok(weir_engine_open(&s.config, &engine));
        feed(engine, 1, 2);
        WEIR_FAIL(WEIR_ERR_IO, "a message of before");
        assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_DEVICE, rows[i].words);
        assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_INVALID, "failed before"); /* not to be tried again */
        weir_engine_close(engine);
        weir_arena_release(&s.arena);
    }
}

/* ---- going on ------------------------------------------------------------------------------------------------------ */

static int n_forwards, fails_at; /* of one node, counted when one rank calls it */

static weir_status (*wrapped)(const struct weir_op_call *call, void *stream);

static weir_status fail_once(const struct weir_op_call *call, void *stream)
{
    return ++n_forwards == fails_at ? WEIR_FAIL(WEIR_ERR_IO, "call %d was refused", fails_at) : wrapped(call, stream);
}

static float *params_of(const struct setup *s, weir_engine *engine)
{
    float *values;
    size_t at = 0;
    assert_ok(weir_alloc((size_t)weir_graph_n_elements(s->graph), sizeof *values, &values));
    for (int i = 0; i < s->graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&s->graph->params[i].shape);
        assert_ok(weir_engine_param_read(engine, s->graph->params[i].name, values + at, n));
        at += n;
    }
    return values;
}

/* Three steps; the forward number `fails` (0: none) is refused, and the step is fed and run once more. */
static float *steps_with_failure(const char *schedule, int stages, int fails)
{
    struct setup s;
    struct weir_op op;
    weir_engine *engine;
    struct weir_step_report report;
    n_forwards = 0, fails_at = fails;
    setup_make(&s, schedule, stages);
    forward_set(s.graph, "h.1.mlp.c_fc", fail_once, &op);
    wrapped = cpu_kernels(&weir_op_linear)->forward;
    assert_ok(weir_engine_open(&s.config, &engine));
    for (int step = 0; step < 3; step++) {
        feed(engine, step + 1, 2);
        weir_status status = weir_engine_step(engine, 1e-2, &report);
        assert_int_equal(status, n_forwards == fails && fails ? WEIR_ERR_IO : WEIR_OK);
        if (!status)
            continue;
        assert_fails(weir_engine_step(engine, 1e-2, &report), WEIR_ERR_INVALID, "close it, or reset it; earlier: rank");
        assert_non_null(strstr(weir_last_error(), "node 'h.1.mlp.c_fc': call "));
        assert_ok(weir_engine_reset(engine));
        assert_fails(weir_engine_step(engine, 1e-2, &report), WEIR_ERR_USAGE, "was not fed");
        feed(engine, step + 1, 2);
        assert_ok(weir_engine_step(engine, 1e-2, &report));
        assert_int_equal(report.step, step);
    }
    float *params = params_of(&s, engine);
    weir_engine_close(engine);
    weir_arena_release(&s.arena);
    return params;
}

static void after_a_reset_the_run_has_the_bits_of_one_without_a_failure(void **state)
{
    (void)state;
    static const char *const schedules[] = {"1f1b", "zb-h1", "gpipe"};
    struct setup s;
    setup_make(&s, "1f1b", 2);
    size_t bytes = sizeof(float) * (size_t)weir_graph_n_elements(s.graph);
    for (int i = 0; i < 3; i++) {
        float *whole = steps_with_failure(schedules[i], 3, 0);
        for (int fails = 1; fails <= 3 * MICROBATCHES; fails += 5) {
            float *params = steps_with_failure(schedules[i], 3, fails);
            assert_memory_equal(whole, params, bytes);
            weir_free(params);
        }
        weir_free(whole);
    }
    weir_arena_release(&s.arena);
}

static void only_a_failed_kernel_is_mended_by_a_reset(void **state)
{
    (void)state;
    struct setup s;
    weir_engine *engine;
    struct weir_step_report report;
    setup_make(&s, "1f1b", 2);
    assert_ok(weir_engine_open(&s.config, &engine));
    assert_ok(weir_engine_reset(engine)); /* nothing has failed */
    feed(engine, 1, 2);
    assert_ok(weir_engine_step(engine, 1e-3, &report));
    assert_fails(weir_engine_reset(NULL), WEIR_ERR_INVALID, "no engine");
    weir_engine_close(engine);
    weir_arena_release(&s.arena);
}

/* ---- inputs -------------------------------------------------------------------------------------------------------- */

static void a_step_on_what_was_not_fed_is_refused(void **state)
{
    (void)state;
    struct setup s;
    weir_engine *engine;
    struct weir_step_report report;
    double loss;
    int32_t tokens[BATCH * SEQ] = {0};
    setup_make(&s, "1f1b", 3);
    s.config.evaluates = true;
    assert_ok(weir_engine_open(&s.config, &engine));
    assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_USAGE, "input 'tokens' of micro-batch 0 was not fed");
    for (int mb = 0; mb < MICROBATCHES; mb++)
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
    assert_ok(weir_engine_feed(engine, "targets", 0, tokens));
    assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_USAGE, "input 'targets' of micro-batch 1 was not fed");
    assert_fails(weir_engine_evaluate(engine, &loss), WEIR_ERR_USAGE, "input 'targets' of micro-batch 1 was not fed");
    feed(engine, 1, 2);
    assert_ok(weir_engine_step(engine, 1e-3, &report));
    assert_int_equal(report.step, 0);
    assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_USAGE, "was not fed"); /* that was for one step */
    feed(engine, 1, 2);
    assert_ok(weir_engine_evaluate(engine, &loss));
    assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_USAGE, "was not fed");
    weir_engine_close(engine);
    weir_arena_release(&s.arena);
}

static void numbers_outside_the_vocabulary_are_refused_when_they_are_fed(void **state)
{
    (void)state;
    struct setup s;
    weir_engine *engine;
    struct weir_step_report report;
    int32_t tokens[BATCH * SEQ] = {0};
    setup_make(&s, "1f1b", 2);
    assert_ok(weir_engine_open(&s.config, &engine));
    feed(engine, 1, 2);
    tokens[3] = 256;
    assert_fails(weir_engine_feed(engine, "tokens", 0, tokens), WEIR_ERR_INVALID, "input 'tokens' has 256 at 3");
    tokens[3] = -1;
    assert_fails(weir_engine_feed(engine, "targets", 1, tokens), WEIR_ERR_INVALID, "input 'targets' has -1 at 3");
    assert_ok(weir_engine_step(engine, 1e-3, &report)); /* what was fed before still stands */
    weir_engine_close(engine);
    weir_arena_release(&s.arena);
}

static void a_gradient_that_is_not_finite_leaves_the_parameters(void **state)
{
    (void)state;
    struct setup s;
    weir_engine *engine;
    struct weir_step_report report;
    static float wpe[64 * 128], before[64 * 128], after[64 * 128];
    setup_make(&s, "1f1b", 3);
    assert_ok(weir_engine_open(&s.config, &engine));
    feed(engine, 1, 2);
    assert_ok(weir_engine_step(engine, 1e-3, &report));
    wpe[5] = NAN;
    assert_ok(weir_engine_param_write(engine, "wpe.weight", wpe, 64 * 128));
    assert_ok(weir_engine_param_read(engine, "wpe.weight", before, 64 * 128));
    feed(engine, 1, 2);
    assert_fails(weir_engine_step(engine, 1e-3, &report), WEIR_ERR_NUMERIC, "step 2: loss");
    assert_ok(weir_engine_param_read(engine, "wpe.weight", after, 64 * 128));
    assert_memory_equal(before, after, sizeof before);
    memset(wpe, 0, sizeof wpe);
    assert_ok(weir_engine_param_write(engine, "wpe.weight", wpe, 64 * 128));
    feed(engine, 1, 2);
    assert_ok(weir_engine_step(engine, 1e-3, &report)); /* usable again once the cause is gone */
    weir_engine_close(engine);
    weir_arena_release(&s.arena);
}

static void bad_requests_are_refused_before_anything_runs(void **state)
{
    (void)state;
    struct setup s;
    weir_engine *engine = NULL;
    setup_make(&s, "1f1b", 15);
    assert_fails(weir_engine_open(&s.config, &engine), WEIR_ERR_NOFIT, "14 layers");
    weir_arena_release(&s.arena);

    setup_make(&s, "gpipe", 2);
    s.config.device_memory = 1 << 20;
    assert_fails(weir_engine_open(&s.config, &engine), WEIR_ERR_NOFIT, "the cap is 1048576");
    s.config.device_memory = 0;
    s.config.device = "cpx";
    assert_fails(weir_engine_open(&s.config, &engine), WEIR_ERR_USAGE, "did you mean 'cpu'");
    s.config.device = "cpu";
    s.config.transport = "loca";
    assert_fails(weir_engine_open(&s.config, &engine), WEIR_ERR_USAGE, "did you mean 'local'");
    s.config.transport = NULL;
    s.config.threads_per_rank = 0;
    assert_fails(weir_engine_open(&s.config, &engine), WEIR_ERR_USAGE, "threads per rank");
    s.config.threads_per_rank = 1;
    s.config.struct_bytes = 8;
    assert_fails(weir_engine_open(&s.config, &engine), WEIR_ERR_INVALID, "needs a graph");
    s.config.struct_bytes = 0;
    assert_fails(weir_engine_open(&s.config, &engine), WEIR_ERR_INVALID, "start with weir_engine_config_init");
    assert_null(engine);
    weir_arena_release(&s.arena);
}

static void feeding_and_reading_check_names_and_sizes(void **state)
{
    (void)state;
    struct setup s;
    weir_engine *engine;
    float values[4];
    setup_make(&s, "gpipe", 2);
    assert_ok(weir_engine_open(&s.config, &engine));
    assert_fails(weir_engine_feed(engine, "token", 0, values), WEIR_ERR_INVALID, "no input 'token'");
    assert_fails(weir_engine_feed(engine, "tokens", 0, NULL), WEIR_ERR_INVALID, "one of them is NULL");
    assert_fails(weir_engine_feed(NULL, "tokens", 0, values), WEIR_ERR_INVALID, "no engine");
    assert_fails(weir_engine_step(engine, 0, NULL), WEIR_ERR_INVALID, "its report");
    assert_fails(weir_engine_param_read(engine, "wte.weight", NULL, 4), WEIR_ERR_INVALID, "one of them is NULL");
    assert_fails(weir_engine_feed(engine, "tokens", 4, values), WEIR_ERR_INVALID, "micro-batch 4 is out of range");
    assert_fails(weir_engine_param_read(engine, "wte", values, 4), WEIR_ERR_INVALID, "no parameter 'wte'");
    assert_fails(weir_engine_param_read(engine, "wte.weight", values, 4), WEIR_ERR_INVALID, "has 32768 elements");
    weir_engine_close(engine);
    weir_arena_release(&s.arena);
}

/* Every allocation of opening fails once: a status, no leak (the sanitizers look), and at last it opens. */
static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct setup s;
    weir_engine *engine = NULL;
    setup_make(&s, "1f1b", 3);
    int64_t budget = 0;
    for (; budget < 5000; budget++) {
        weir_alloc_set_budget(budget);
        weir_status status = weir_engine_open(&s.config, &engine);
        weir_alloc_set_budget(-1);
        if (!status)
            break;
        assert_int_equal(status, WEIR_ERR_NOMEM);
    }
    assert_true(budget > 3 && budget < 5000);
    weir_engine_close(engine);
    weir_arena_release(&s.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_kernel_stops_every_rank_and_is_named),
        cmocka_unit_test(what_a_kernel_returns_is_a_failure_of_its_call),
        cmocka_unit_test(after_a_reset_the_run_has_the_bits_of_one_without_a_failure),
        cmocka_unit_test(only_a_failed_kernel_is_mended_by_a_reset),
        cmocka_unit_test(a_step_on_what_was_not_fed_is_refused),
        cmocka_unit_test(numbers_outside_the_vocabulary_are_refused_when_they_are_fed),
        cmocka_unit_test(a_gradient_that_is_not_finite_leaves_the_parameters),
        cmocka_unit_test(bad_requests_are_refused_before_anything_runs),
        cmocka_unit_test(feeding_and_reading_check_names_and_sizes),
        cmocka_unit_test(opening_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
