/* Replicas of a pipeline: gradients are summed in replica order, whoever sums them; ZeRO-1 changes memory and no bit.
 * labels: threads */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/train/trainer.h"
#include "models/model_kinds.h"
#include "tests/support/random_schedule.h"
#include "tests/support/testing.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 2, MICROBATCHES = 2, BATCH = 1, SEQ = 4, SANITIZED = 1 };
#else
enum { STEPS = 3, MICROBATCHES = 4, BATCH = 2, SEQ = 16, SANITIZED = 0 };
#endif

struct layout {
    const char *schedule;
    int n_stages, replicas, zero;
    int64_t bucket_bytes;
    const char *recompute;
    uint64_t reductions; /* not 0: the schedule has REDUCE_GRAD of some stages, at random places that follow from this */
};

struct outcome {
    double losses[STEPS], norms[STEPS];
    float *params;
    size_t n_params;
};

static void step_feed(weir_engine *engine, int step, int first, int n)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    for (int mb = 0; mb < n; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            struct weir_rng_block b = weir_rng_philox(99, (uint32_t)i, (uint32_t)(first + mb), (uint32_t)step, 0);
            tokens[i] = (int32_t)(b.v[0] % 64);
            targets[i] = (tokens[i] * 3 + 1) % 64;
        }
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

static void graph_build(double dropout, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = dropout};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, arena, graph_out));
}

static struct weir_engine_config config_of(const struct weir_graph *graph, const struct weir_schedule *schedule)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = graph;
    config.schedule = schedule;
    config.weight_decay = 0.1;
    config.grad_clip = 0.5;
    config.seed = 1234;
    return config;
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

/* All ranks of all replicas hold the same values. */
static void assert_replicas_agree(const weir_engine *engine)
{
    for (int r = engine->runner.build.program->n_ranks; r < engine->runner.machine.n_ranks; r++) {
        const struct weir_rank *rank = &engine->runner.machine.ranks[r], *first = weir_rank_at(&engine->runner.machine, 0, rank->index);
        assert_memory_equal(rank->blocks[WEIR_MEMORY_PARAMS], first->blocks[WEIR_MEMORY_PARAMS],
                            engine->runner.build.program->ranks[rank->index].bytes[WEIR_MEMORY_PARAMS]);
    }
}

static void train(const struct layout *layout, double dropout, int n_steps, struct outcome *out)
{
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    graph_build(dropout, &arena, &graph);
    assert_ok(weir_pipeline_schedule(layout->schedule, layout->n_stages, 0, MICROBATCHES, &arena, &schedule));
    uint64_t random = layout->reductions;
    if (layout->reductions)
        random_reductions_add(&schedule, &random, &arena);
    struct weir_engine_config config = config_of(graph, &schedule);
    config.replicas = layout->replicas;
    config.zero = layout->zero;
    config.bucket_bytes = layout->bucket_bytes;
    config.recompute = layout->recompute;
    weir_engine *engine;
    assert_ok(weir_engine_open(&config, &engine));
    for (int step = 0; step < n_steps; step++) {
        struct weir_step_report report;
        step_feed(engine, step, 0, layout->replicas * MICROBATCHES);
        assert_ok(weir_engine_step(engine, 1e-3, &report));
        assert_int_equal(report.n_ranks, schedule.n_ranks * layout->replicas);
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
    }
    assert_replicas_agree(engine);
    params_collect(engine, graph, out);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void assert_same(const struct outcome *a, const struct outcome *b, int n_steps)
{
    assert_memory_equal(a->losses, b->losses, sizeof *a->losses * (size_t)n_steps);
    assert_memory_equal(a->norms, b->norms, sizeof *a->norms * (size_t)n_steps);
    assert_int_equal(a->n_params, b->n_params);
    assert_memory_equal(a->params, b->params, a->n_params * sizeof(float));
}

static void every_layout_of_a_replica_count_gives_the_same_bits(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {"1f1b", 2, 0, 0, 0, NULL, 0}, {"gpipe", 4, 0, 0, 1, NULL, 0},      {"zb-h1", 2, 0, 1, 4096, NULL, 0},
        {"zbv", 4, 0, 1, 0, NULL, 0},  {"1f1b", 1, 0, 1, 1 << 30, NULL, 0}, {"zb-h1", 2, 0, 1, 4096, "full", 0}};
    for (int replicas = 1; replicas <= (SANITIZED ? 2 : 4); replicas *= 2) {
        struct layout one = {"gpipe", 1, replicas, 0, 0, NULL, 0};
        struct outcome expected;
        train(&one, 0.1, STEPS, &expected);
        for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
            struct layout layout = layouts[i];
            struct outcome found;
            layout.replicas = replicas;
            train(&layout, 0.1, STEPS, &found);
            assert_same(&found, &expected, STEPS);
            weir_free(found.params);
        }
        weir_free(expected.params);
    }
}

static void gradients_reduced_where_the_schedule_has_it_give_the_same_bits(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {"zbv", 4, 2, 0, 0, NULL, 1}, {"zb-h1", 2, 2, 1, 4096, NULL, 2}, {"gpipe", 4, 2, 0, 1, NULL, 3}};
    struct layout one = {"gpipe", 1, 2, 0, 0, NULL, 0};
    struct outcome expected;
    train(&one, 0.1, STEPS, &expected);
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        struct outcome found;
        train(&layouts[i], 0.1, STEPS, &found);
        assert_same(&found, &expected, STEPS);
        weir_free(found.params);
    }
    weir_free(expected.params);
}

/* The forwards of the first step are those of one pipeline with all the micro-batches, dropout masks included: random
 * numbers are keyed by the sample of the whole step, whichever replica has it. */
static void replicas_draw_the_random_numbers_of_their_own_samples(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    struct weir_step_report report;
    struct layout two = {"1f1b", 2, 2, 0, 0, NULL, 0};
    struct outcome found;
    train(&two, 0.1, 1, &found);
    graph_build(0.1, &arena, &graph);
    assert_ok(weir_pipeline_schedule("1f1b", 1, 0, 2 * MICROBATCHES, &arena, &schedule));
    struct weir_engine_config config = config_of(graph, &schedule);
    weir_engine *engine;
    assert_ok(weir_engine_open(&config, &engine));
    step_feed(engine, 0, 0, 2 * MICROBATCHES);
    assert_ok(weir_engine_step(engine, 1e-3, &report));
    assert_true(report.loss == found.losses[0]);
    weir_engine_close(engine);
    weir_free(found.params);
    weir_arena_release(&arena);
}

/* ---- against the documented order ---------------------------------------------------------------------------------- */

/* The gradient of replica `replica`'s micro-batches on one rank, in graph order, times 1 / replicas (a power of two, so
 * exact): the loss is a mean over all of them. */
static double gradient_of(int replica, int replicas, float *grads)
{
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    graph_build(0, &arena, &graph);
    assert_ok(weir_pipeline_schedule("gpipe", 1, 0, MICROBATCHES, &arena, &schedule));
    struct weir_engine_config config = config_of(graph, &schedule);
    weir_engine *engine;
    struct weir_step_report report;
    assert_ok(weir_engine_open(&config, &engine));
    step_feed(engine, 0, replica * MICROBATCHES, MICROBATCHES);
    assert_ok(weir_engine_step(engine, 0, &report));
    const struct weir_rank_program *r = &engine->runner.build.program->ranks[0];
    for (int i = 0; i < r->n_params; i++) {
        int64_t n = weir_shape_elements(&graph->params[r->params[i].param].shape);
        const float *grad = weir_block_at(&engine->runner.machine.ranks[0], WEIR_MEMORY_GRADS, r->params[i].grad_offset);
        for (int64_t k = 0; k < n; k++)
            *grads++ = grad[k] / (float)replicas;
    }
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return report.loss;
}

static void the_sum_over_replicas_is_that_of_one_rank_in_replica_order(void **state)
{
    (void)state;
    enum { REPLICAS = 4 };
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    graph_build(0, &arena, &graph);
    int64_t n = weir_graph_n_elements(graph), n_sums = 0;
    float *terms[REPLICAS], *sum, *param, *m, *v;
    struct layout layout = {"1f1b", 2, REPLICAS, 1, 0, NULL, 0}, none = {"1f1b", 2, REPLICAS, 1, 0, NULL, 0};
    struct outcome found, before;
    train(&layout, 0, 1, &found);
    train(&none, 0, 0, &before);
    double loss = 0;
    for (int d = 0; d < REPLICAS; d++) {
        assert_ok(weir_arena_alloc(&arena, (size_t)n, sizeof(float), &terms[d]));
        loss += gradient_of(d, REPLICAS, terms[d]);
    }
    assert_ok(weir_arena_alloc(&arena, (size_t)n, sizeof(float), &sum));
    assert_ok(weir_arena_alloc(&arena, (size_t)n, sizeof(float), &m));
    assert_ok(weir_arena_alloc(&arena, (size_t)n, sizeof(float), &v));
    for (int64_t i = 0; i < n; i++)
        sum[i] = ((terms[0][i] + terms[1][i]) + terms[2][i]) + terms[3][i];

    double sums[512];
    param = before.params;
    struct weir_update_gate gate;
    for (int64_t i = 0, at = 0; i < graph->n_params; at += weir_shape_elements(&graph->params[i++].shape)) {
        int64_t size = weir_shape_elements(&graph->params[i].shape);
        assert_ok(weir_vector_cpu.square_sums(size, sum + at, sums + n_sums, NULL));
        n_sums += (size + WEIR_NORM_BLOCK - 1) / WEIR_NORM_BLOCK;
        assert_true(n_sums < 512);
    }
    assert_ok(weir_vector_cpu.gate(n_sums, sums, 0, NULL, 1, 0.5, &gate, NULL));
    assert_true(gate.grad_norm == found.norms[0]);
    assert_true(found.losses[0] > 0 && loss / REPLICAS - found.losses[0] < 1e-12 && found.losses[0] - loss / REPLICAS < 1e-12);
    const struct weir_update update = {1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, (float)(1 - (double)0.9f), (float)(1 - (double)0.95f)};
    for (int64_t i = 0, at = 0; i < graph->n_params; at += weir_shape_elements(&graph->params[i++].shape))
        assert_ok(weir_vector_cpu.adamw(&update, &gate, (struct weir_update_scale){1, graph->params[i].decay},
                                        weir_shape_elements(&graph->params[i].shape), param + at, sum + at, m + at, v + at,
                                        NULL));
    assert_memory_equal(param, found.params, (size_t)n * sizeof(float));
    weir_free(found.params);
    weir_free(before.params);
    weir_arena_release(&arena);
}

/* ---- program ------------------------------------------------------------------------------------------------------- */

static void zero_1_keeps_an_equal_share_of_the_optimizer_state(void **state)
{
    (void)state;
    for (int replicas = 2; replicas <= 8; replicas *= 2) {
        struct weir_arena arena = {0};
        struct weir_model_params model = {.microbatch_size = 1, .seq_len = 64};
        const struct weir_graph *graph;
        struct weir_schedule schedule;
        struct weir_schedule_report report;
        assert_ok(weir_model_build(&weir_model_gpt2, &model, &arena, &graph));
        assert_ok(weir_pipeline_schedule("1f1b", 2, 0, 4, &arena, &schedule));
        assert_ok(weir_schedule_check(&schedule, WEIR_CHANNELS_EDGE, &arena, &report));
        const int first_layer[] = {0, graph->n_layers / 2, graph->n_layers};
        struct weir_program_params params = {.graph = graph, .schedule = &schedule, .input_slots = report.input_slots,
                                             .gradient_slots = report.gradient_slots,
                                             .peak_in_flight = report.peak_in_flight_stage, .first_layer = first_layer,
                                             .n_threads = 1, .state_floats = 2, .n_replicas = replicas};
        struct weir_program *all, *share;
        assert_ok(weir_program_build(&params, &arena, &all));
        params.zero = true;
        assert_ok(weir_program_build(&params, &arena, &share));
        for (int r = 0; r < 2; r++) {
            double ratio = (double)share->ranks[r].bytes[WEIR_MEMORY_OPTIMIZER] * replicas /
                           (double)all->ranks[r].bytes[WEIR_MEMORY_OPTIMIZER];
            assert_true(ratio >= 1 && ratio < 1.01);
        }
        weir_arena_release(&arena);
    }
}

/* Every owned element belongs to one piece, and buckets hold whole parameters. */
static void pieces_cover_every_gradient_once(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    graph_build(0, &arena, &graph);
    for (int64_t bucket_bytes = 1; bucket_bytes < 1 << 24; bucket_bytes *= 64) {
        assert_ok(weir_pipeline_schedule("zb-h1", 3, 0, 4, &arena, &schedule));
        struct weir_engine_config config = config_of(graph, &schedule);
        config.replicas = 3;
        config.bucket_bytes = bucket_bytes;
        weir_engine *engine;
        assert_ok(weir_engine_open(&config, &engine));
        for (int r = 0; r < 3; r++) {
            const struct weir_rank_program *p = &engine->runner.build.program->ranks[r];
            int64_t owned = 0, covered = 0;
            for (int i = 0; i < p->n_params; i++)
                owned += p->params[i].owned ? weir_shape_elements(&graph->params[p->params[i].param].shape) : 0;
            for (int i = 0; i < p->n_pieces; i++) {
                covered += p->pieces[i].n;
                assert_true(p->pieces[i].first % WEIR_NORM_BLOCK == 0 && p->pieces[i].n > 0);
                for (int k = 0; k < i; k++)
                    assert_false(p->pieces[k].held == p->pieces[i].held && p->pieces[k].first == p->pieces[i].first);
            }
            assert_int_equal(covered, owned);
            assert_true(p->n_buckets > 0);
        }
        weir_engine_close(engine);
    }
    weir_arena_release(&arena);
}

static void bad_numbers_are_refused(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    graph_build(0, &arena, &graph);
    assert_ok(weir_pipeline_schedule("1f1b", 2, 0, 4, &arena, &schedule));
    struct weir_engine_config config = config_of(graph, &schedule);
    weir_engine *engine;
    config.replicas = -1;
    assert_int_equal(weir_engine_open(&config, &engine), WEIR_ERR_USAGE);
    config.replicas = 65;
    assert_int_equal(weir_engine_open(&config, &engine), WEIR_ERR_USAGE);
    config.replicas = 2;
    config.zero = 3;
    assert_int_equal(weir_engine_open(&config, &engine), WEIR_ERR_USAGE);
    config.zero = 0;
    assert_ok(weir_engine_open(&config, &engine));
    int32_t tokens[BATCH * SEQ] = {0};
    assert_int_equal(weir_engine_feed(engine, "tokens", 8, tokens), WEIR_ERR_INVALID);
    assert_ok(weir_engine_feed(engine, "tokens", 7, tokens));
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_of_a_replica_count_gives_the_same_bits),
        cmocka_unit_test(gradients_reduced_where_the_schedule_has_it_give_the_same_bits),
        cmocka_unit_test(replicas_draw_the_random_numbers_of_their_own_samples),
        cmocka_unit_test(the_sum_over_replicas_is_that_of_one_rank_in_replica_order),
        cmocka_unit_test(zero_1_keeps_an_equal_share_of_the_optimizer_state),
        cmocka_unit_test(pieces_cover_every_gradient_once),
        cmocka_unit_test(bad_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
