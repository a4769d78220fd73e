/* The engine: the same bits for every schedule and partition, and what happens when something is wrong.
 * labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "schedules/kinds/kinds.h"
#include "schedules/schedule_kinds.h"

/* Sanitizers make each run some twenty times slower: there fewer numbers of stages are tried. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 2, MICROBATCHES = 4, BATCH = 1, SEQ = 4, SANITIZED = 1 };
#else
enum { STEPS = 3, MICROBATCHES = 4, BATCH = 2, SEQ = 16, SANITIZED = 0 };
#endif

struct outcome {
    double losses[STEPS], norms[STEPS];
    float *params;
    size_t n_params;
};

static void tokens_make(int step, int mb, int32_t *tokens, int32_t *targets, int n)
{
    for (int i = 0; i < n; i++) {
        struct weir_rng_block b = weir_rng_philox(99, (uint32_t)i, (uint32_t)mb, (uint32_t)step, 0);
        tokens[i] = (int32_t)(b.v[0] % 64);
        targets[i] = (tokens[i] * 3 + 1) % 64;
    }
}

static void step_feed(weir_engine *engine, int step)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        tokens_make(step, mb, tokens, targets, BATCH * SEQ);
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

static void params_collect(weir_engine *engine, const struct weir_graph *graph, struct outcome *out)
{
    out->n_params = (size_t)weir_graph_n_elements(graph);
    assert_ok(weir_alloc(out->n_params, sizeof(float), &out->params));
    size_t at = 0;
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        assert_ok(weir_engine_param_read(engine, graph->params[i].name, out->params + at, n));
        at += n;
    }
}

static void train(const struct weir_schedule *schedule, int *first_layer, const char *recompute, struct outcome *out)
{
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = 0.1};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &graph));
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = graph;
    config.schedule = schedule;
    config.first_layer = first_layer;
    config.weight_decay = 0.1;
    config.grad_clip = 0.5;
    config.seed = 1234;
    config.recompute = recompute;
    weir_engine *engine;
    assert_ok(weir_engine_open(&config, &engine));
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        step_feed(engine, step);
        assert_ok(weir_engine_step(engine, 1e-3, &report));
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
        assert_true(report.bubble >= 0 && report.bubble < 1);
    }
    params_collect(engine, graph, out);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void outcome_compare(const struct outcome *a, const struct outcome *b)
{
    assert_memory_equal(a->losses, b->losses, sizeof a->losses);
    assert_memory_equal(a->norms, b->norms, sizeof a->norms);
    assert_int_equal(a->n_params, b->n_params);
    assert_memory_equal(a->params, b->params, a->n_params * sizeof(float));
}

static void named_train(const char *name, int stages, int chunks, struct outcome *out)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    assert_ok(weir_pipeline_schedule(name, stages, chunks, MICROBATCHES, &arena, &schedule));
    train(&schedule, NULL, NULL, out);
    weir_arena_release(&arena);
}

static struct outcome reference; /* one stage */

static int reference_make(void **state)
{
    (void)state;
    named_train("gpipe", 1, 0, &reference);
    return 0;
}

static int reference_free(void **state)
{
    (void)state;
    weir_free(reference.params);
    return 0;
}

static void every_schedule_and_partition_gives_the_same_bits(void **state)
{
    (void)state;
    static const int stages[] = {1, 2, 3, 4, 6, 12};
    static const char *const names[] = {"gpipe", "1f1b"};
    assert_true(isfinite(reference.losses[0]) && reference.losses[STEPS - 1] < reference.losses[0]);
    for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++)
        for (size_t n = 0; n < 2 && (!SANITIZED || stages[s] <= 3); n++) {
            struct outcome out;
            named_train(names[n], stages[s], 0, &out);
            outcome_compare(&reference, &out);
            weir_free(out.params);
        }
}

static void built_in_train(const struct weir_schedule_kind *kind, int stages, const char *recompute)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_report report;
    int v = kind->n_chunks ? kind->n_chunks : stages == 8 ? 2 : 1;
    struct weir_schedule_params params = {.n_ranks = stages / v, .n_chunks = v, .n_microbatches = MICROBATCHES};
    if (stages % v || weir_schedule_build(kind, &params, &arena, &schedule) || schedule.n_copies != 1) {
        weir_arena_release(&arena);
        return; /* the kind refuses these numbers */
    }
    assert_ok(weir_schedule_check(&schedule, WEIR_CHANNELS_EDGE, &arena, &report));
    if (report.trainable && report.wgrad_ascending) {
        struct outcome out;
        print_message("%s, %d stages, %d per rank, recompute %s\n", kind->name, stages, v, recompute ? recompute : "none");
        train(&schedule, NULL, recompute, &out);
        outcome_compare(&reference, &out);
        weir_free(out.params);
    }
    weir_arena_release(&arena);
}

static void every_built_in_schedule_that_can_train_gives_the_same_bits(void **state)
{
    (void)state;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int stages = SANITIZED ? 4 : 2; stages <= (SANITIZED ? 4 : 8); stages *= 2)
            built_in_train(*kind, stages, NULL);
}

static void recomputation_gives_the_same_bits_under_every_built_in_schedule(void **state)
{
    (void)state;
    for (int k = 0; weir_schedule_kinds[k]; k++)
        if (!SANITIZED || k % 4 == 0)
            built_in_train(weir_schedule_kinds[k], 4, "full");
    built_in_train(&weir_kind_1f1b, 1, "full");
    built_in_train(&weir_kind_zb_h1, 2, "embed,h.[1-4].*,head");
}

static void an_uneven_partition_gives_the_same_bits(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct outcome out;
    assert_ok(weir_pipeline_schedule("1f1b", 3, 0, MICROBATCHES, &arena, &schedule));
    int first_layer[] = {0, 1, 13, 14};
    train(&schedule, first_layer, NULL, &out);
    outcome_compare(&reference, &out);
    weir_free(out.params);
    weir_arena_release(&arena);
}

/* I and W apart, stages in a V (stage 0 and 3 on rank 0), a mix of B and I/W, and weight gradients out of order. */
static const char split_v[] = "0F0,0F1,3F0,3I0,0F2,3F1,3I1,3W0,0I0,0F3,3F2,3I2,3W1,0I1,0W0,3F3,3I3,3W2,0I2,0W1,3W3,0I3,0W2,0W3\n"
                              "1F0,2F0,1F1,2F1,2I0,2W0,1I0,1F2,2F2,2I1,1I1,2W1,1W0,1F3,2F3,2I2,1I2,2W2,1W1,2I3,1I3,2W3,1W2,1W3\n";
static const char mixed[] = "0F0,0F1,0F2,0F3,0B0,0I1,0I2,0B3,0W1,0W2\n"
                            "1F0,1B0,1F1,1I1,1W1,1F2,1B2,1F3,1I3,1W3\n";

static void imported_train(const char *text, bool ascending, struct outcome *out)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_report report;
    assert_ok(weir_schedule_csv_parse(text, strlen(text), "test.csv", WEIR_CSV_TORCH, &arena, &schedule));
    assert_ok(weir_schedule_check(&schedule, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_int_equal(report.wgrad_ascending, ascending);
    train(&schedule, NULL, NULL, out);
    weir_arena_release(&arena);
}

static void split_backwards_give_the_same_bits(void **state)
{
    (void)state;
    struct outcome out;
    imported_train(split_v, true, &out);
    outcome_compare(&reference, &out);
    weir_free(out.params);
}

static void another_order_of_weight_gradients_is_reproducible(void **state)
{
    (void)state;
    struct outcome a, b;
    imported_train(mixed, false, &a);
    imported_train(mixed, false, &b);
    outcome_compare(&a, &b);
    assert_true(fabs(a.losses[STEPS - 1] - reference.losses[STEPS - 1]) < 1e-4);
    weir_free(a.params);
    weir_free(b.params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schedule_and_partition_gives_the_same_bits),
        cmocka_unit_test(every_built_in_schedule_that_can_train_gives_the_same_bits),
        cmocka_unit_test(recomputation_gives_the_same_bits_under_every_built_in_schedule),
        cmocka_unit_test(an_uneven_partition_gives_the_same_bits),
        cmocka_unit_test(split_backwards_give_the_same_bits),
        cmocka_unit_test(another_order_of_weight_gradients_is_reproducible),
    };
    return cmocka_run_group_tests(tests, reference_make, reference_free);
}
