/* times by operation: calls and flops are those of the graph, whatever the partition; on the CPU, and on the device
 * WEIR_TIMED_DEVICE of the program that is built with it.   labels: threads */
#include "tests/support/testing.h"

#include <string.h>

#include "include/weir/weir.h"
#include "models/model_kinds.h"

#ifdef WEIR_TIMED_DEVICE /* not a quick one */
enum { STEPS = 1, EVALUATIONS = 1, RUNS = 2 };
#else
#define WEIR_TIMED_DEVICE "cpu"
enum { STEPS = 3, EVALUATIONS = 2, RUNS = 3 };
#endif
enum { MICROBATCHES = 4, BATCH = 1, SEQ = 8, ROOM = 200 };

static const char *const passes[WEIR_PASSES] = {"forward", "backward_input", "backward_weight"};

static void feed(weir_engine *engine)
{
    int32_t tokens[BATCH * SEQ];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++)
            tokens[i] = (i * 31 + mb * 17) % 251;
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, tokens));
    }
}

/* A row for the operation and pass, made from the graph: which nodes have that pass, the engine need not be asked. */
static struct weir_op_time expected(const struct weir_graph *graph, const char *op, int pass)
{
    struct weir_op_time sum = {op, passes[pass], 0, 0, 0};
    int64_t runs = pass == WEIR_FORWARD ? MICROBATCHES * (STEPS + EVALUATIONS) : MICROBATCHES * STEPS;
    for (int k = 0; k < graph->n_nodes; k++)
        if (!strcmp(graph->nodes[k].op->name, op)) {
            sum.calls += runs;
            sum.flops += (double)runs * graph->nodes[k].shapes.flops[pass];
        }
    return sum;
}

static void rows_check(const weir_engine *engine, const struct weir_graph *graph)
{
    struct weir_op_time times[ROOM], few[2] = {{0}};
    size_t n = weir_engine_op_times(engine, times, ROOM);
    assert_in_range(n, 1, ROOM);
    assert_int_equal(weir_engine_op_times(engine, NULL, 0), n);
    assert_int_equal(weir_engine_op_times(engine, few, 1), n);
    assert_string_equal(few[0].op, times[0].op);
    assert_null(few[1].op);
    for (size_t i = 0; i < n; i++) {
        int pass = 0;
        while (strcmp(passes[pass], times[i].pass) != 0)
            pass++;
        struct weir_op_time wanted = expected(graph, times[i].op, pass);
        assert_int_equal(times[i].calls, wanted.calls);
        assert_true(times[i].flops == wanted.flops);
        assert_true(times[i].ns > 0);
        for (size_t k = 0; k < i; k++)
            assert_false(!strcmp(times[i].op, times[k].op) && !strcmp(times[i].pass, times[k].pass));
    }
}

static void calls_and_flops_follow_from_the_graph(void **state)
{
    (void)state;
    static const struct {
        const char *schedule;
        int stages;
    } rows[] = {{"1f1b", 1}, {"zb-h1", 3}, {"zbv", 4}};
    for (size_t i = 0; i < RUNS; i++) {
        struct weir_arena arena = {0};
        const struct weir_graph *graph;
        struct weir_schedule schedule;
        weir_engine *engine;
        double loss;
        struct weir_step_report report;
        struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ};
        struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
        assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &graph));
        assert_ok(weir_pipeline_schedule(rows[i].schedule, rows[i].stages, 0, MICROBATCHES, &arena, &schedule));
        config.graph = graph;
        config.schedule = &schedule;
        config.device = WEIR_TIMED_DEVICE;
        config.evaluates = true;
        config.profiles = true;
        assert_ok(weir_engine_open(&config, &engine));
        assert_int_equal(weir_engine_op_times(engine, NULL, 0), 0);
        for (int step = 0; step < STEPS; step++) {
            feed(engine);
            assert_ok(weir_engine_step(engine, 1e-3, &report));
        }
        for (int k = 0; k < EVALUATIONS; k++) {
            feed(engine);
            assert_ok(weir_engine_evaluate(engine, &loss));
        }
        rows_check(engine, graph);
        weir_engine_close(engine);
        weir_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_and_flops_follow_from_the_graph)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
