/* One value as several inputs of a node: its gradient is the sum over all of them, on every partition and under every schedule.
 * labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "schedules/schedule_kinds.h"
#include "tests/support/twice_rig.h"

enum { LAYERS = 8, MICROBATCHES = 3 };

static double loss_of(weir_engine *engine, const char *param, const float *values, size_t n)
{
    struct weir_step_report report;
    assert_ok(weir_engine_param_write(engine, param, values, n));
    twice_feed(engine, 0, MICROBATCHES);
    assert_ok(weir_engine_step(engine, 0, &report));
    return report.loss;
}

/* Along its gradient g the loss grows by |g| per length. */
static void param_check(const struct twice_run *run, weir_engine *engine, const struct weir_param *param)
{
    const double h = 1e-2;
    static float values[TWICE_MOST_ELEMENTS], gradient[TWICE_MOST_ELEMENTS], moved[TWICE_MOST_ELEMENTS];
    double norm = 0, loss[2];
    size_t n = (size_t)weir_shape_elements(&param->shape);
    assert_ok(weir_engine_param_read(engine, param->name, values, n));
    loss_of(engine, param->name, values, n);
    assert_ok(weir_engine_gradient_read(engine, param->name, gradient, n));
    for (size_t i = 0; i < n; i++)
        norm += (double)gradient[i] * (double)gradient[i];
    norm = sqrt(norm);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < n; i++)
            moved[i] = (float)((double)values[i] + (side ? h : -h) * (double)gradient[i] / norm);
        loss[side] = loss_of(engine, param->name, moved, n);
    }
    loss_of(engine, param->name, values, n);
    if (!(fabs((loss[1] - loss[0]) / (2 * h) - norm) <= 2e-3 * norm))
        fail_msg("%s on %d stages, '%s': the loss grows by %.7g, the gradient's norm is %.7g", run->schedule, run->stages, param->name,
                 (loss[1] - loss[0]) / (2 * h), norm);
}

static void the_gradient_is_the_slope_of_the_loss(void **state)
{
    (void)state;
    static const struct twice_run runs[] = {
        {.schedule = "1f1b", .stages = 1, .microbatches = MICROBATCHES, .own_rows = true},
        {.schedule = "zb-h1", .stages = LAYERS, .microbatches = MICROBATCHES, .own_rows = true},
        {.schedule = "1f1b", .stages = 3, .microbatches = MICROBATCHES, .recompute = "full"},
    };
    for (size_t k = 0; k < sizeof runs / sizeof runs[0]; k++) {
        struct weir_arena arena = {0};
        const struct weir_graph *graph;
        weir_engine *engine;
        twice_open(&runs[k], &arena, &graph, &engine);
        for (int i = 0; i < graph->n_params; i++)
            param_check(&runs[k], engine, &graph->params[i]);
        weir_engine_close(engine);
        weir_arena_release(&arena);
    }
}

static const struct twice_run one = {.schedule = "gpipe", .stages = 1, .microbatches = MICROBATCHES, .own_rows = true, .drops = true};

/* One copy of the weights, and backwards. */
static bool trains(const struct weir_schedule_kind *kind, int v, int p)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_params params = {.n_ranks = p, .n_chunks = v, .n_microbatches = MICROBATCHES, .n_slices = 1};
    bool fine = strcmp(kind->name, "inference") && weir_schedule_build(kind, &params, &arena, &schedule) == WEIR_OK &&
                schedule.n_copies == 1;
    weir_arena_release(&arena);
    return fine;
}

static void every_built_in_schedule_and_cut_has_the_bits_of_one_stage(void **state)
{
    (void)state;
    int n = 0;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++) {
        int v = weir_schedule_kind_chunks(*kind);
        for (int p = 2; p * v <= LAYERS; p++) {
            struct twice_run run = one;
            run.schedule = (*kind)->name, run.stages = p * v, run.chunks = v, run.recompute = n % 3 ? NULL : "full";
            if (!trains(*kind, v, p))
                continue;
            twice_compare(&one, &run);
            n++;
        }
    }
    assert_true(n > 30);
}

static void slices_replicas_sharded_state_and_bf16_have_the_bits_of_one_stage(void **state)
{
    (void)state;
    static const struct twice_run pairs[][2] = {
        {{.schedule = "seq1f1b", .stages = 1, .microbatches = 3, .slices = 2, .own_rows = true, .drops = true},
         {.schedule = "seq1f1b", .stages = 4, .microbatches = 3, .slices = 2, .own_rows = true, .drops = true}},
        {{.schedule = "seq1f1b", .stages = 1, .microbatches = 3, .slices = 3, .drops = true},
         {.schedule = "seq1f1b", .stages = 7, .microbatches = 3, .slices = 3, .drops = true, .recompute = "full"}},
        {{.schedule = "gpipe", .stages = 1, .microbatches = 2, .replicas = 2, .own_rows = true, .drops = true},
         {.schedule = "zb-h1", .stages = 4, .microbatches = 2, .replicas = 2, .own_rows = true, .zero = true, .drops = true}},
        {{.schedule = "gpipe", .stages = 1, .microbatches = 3, .dtype = WEIR_COMPUTE_BF16},
         {.schedule = "zb-h1", .stages = 8, .microbatches = 3, .dtype = WEIR_COMPUTE_BF16}},
    };
    for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++)
        twice_compare(&pairs[k][0], &pairs[k][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gradient_is_the_slope_of_the_loss),
        cmocka_unit_test(every_built_in_schedule_and_cut_has_the_bits_of_one_stage),
        cmocka_unit_test(slices_replicas_sharded_state_and_bf16_have_the_bits_of_one_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
