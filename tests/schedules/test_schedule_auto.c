/* schedules: what auto makes is valid, keeps its cap and takes no longer than what is known.   labels: pure
 *
 * WEIR_AUTO_SETS=40 runs the whole set of random costs and all rows of the paper, a minute or two. */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "include/weir/auto.h"

/* Valid, ascending, within the cap, no faster than the bound, no longer than the best known one. */
static void result_is_sound(const struct weir_auto_request *request, const struct weir_auto_result *result,
                            struct weir_arena *arena)
{
    struct weir_schedule_report report;
    struct weir_simulation simulation;
    struct weir_simulation_options options = {0};
    assert_ok(weir_schedule_check(&result->schedule, WEIR_CHANNELS_EDGE, arena, &report));
    assert_true(report.wgrad_ascending && report.trainable);
    assert_ok(weir_schedule_simulate(&result->schedule, request->costs, &options, arena, &simulation));
    for (int r = 0; request->memory_cap > 0 && r < request->n_ranks; r++)
        assert_true(simulation.peak_memory[r] <= request->memory_cap * (1 + 1e-9));
    if (request->objective == WEIR_AUTO_MAKESPAN)
        assert_true(fabs(simulation.makespan - result->value) <= 1e-9 * result->value);
    assert_true(result->value >= result->bound * (1 - 1e-9));
    assert_true(!result->best || result->value <= result->best_value);
}

static double made(const struct weir_auto_request *request, struct weir_auto_result *result)
{
    struct weir_arena arena = {0};
    assert_ok(weir_schedule_auto(request, &arena, result));
    result_is_sound(request, result, &arena);
    weir_arena_release(&arena);
    result->schedule = (struct weir_schedule){0};
    return result->value;
}

static double uniform(uint64_t key, uint32_t *n)
{
    return 0.5 + 1.5 * weir_rng_unit(weir_rng_philox(key, (*n)++, 0, 0, 0).v[0]);
}

/* F, I and W of each stage from 0.5 to 2, m = 4p, cap p M_B. */
static void random_made(int set, struct weir_auto_result *result)
{
    int p = 4 + set % 5, v = 1 + set / 5 % 2;
    struct weir_stage_costs stages[16] = {{0}};
    uint32_t n = 0;
    for (int s = 0; s < p * v; s++) {
        stages[s].forward = uniform((uint64_t)set, &n);
        stages[s].input = uniform((uint64_t)set, &n);
        stages[s].weight = uniform((uint64_t)set, &n);
        stages[s].mem_backward = stages[s].mem_weight = 1.0 / v;
    }
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1, .stages = stages, .n_stages = p * v};
    struct weir_auto_request request = {p, v, 4 * p, &costs, WEIR_AUTO_MAKESPAN, p, NULL, NULL, 0};
    made(&request, result);
}

static void uneven_stages_are_ordered_better_than_any_known_schedule_orders_them(void **state)
{
    (void)state;
    int n_open = 0, n_better = 0, n_sets = getenv("WEIR_AUTO_SETS") ? atoi(getenv("WEIR_AUTO_SETS")) : 6;
    for (int set = 0; set < n_sets; set++) {
        struct weir_auto_result result;
        random_made(set, &result);
        bool open = result.best_value > result.bound * (1 + 1e-9);
        n_open += open;
        n_better += open && result.value < result.best_value * (1 - 1e-9);
    }
    print_message("%d sets, %d not at the bound, %d better\n", n_sets, n_open, n_better);
    assert_true(n_open > 0 && n_better >= 0.9 * n_open);
}

static void realistic_costs_at_eight_ranks(void **state)
{
    (void)state;
    static const struct {
        int v;
        double bubble;
    } rows[] = {{1, 0.0922}, {2, 0.0394}, {4, 0.0201}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double x = 1.0 / rows[i].v;
        struct weir_schedule_costs costs = {x, 1.05 * x, 0.75 * x, x, x, .overlap_gain = 1};
        struct weir_auto_request request = {8, rows[i].v, 32, &costs, WEIR_AUTO_MAKESPAN, 8, NULL, NULL, 0};
        struct weir_auto_result result;
        double bubble = 1 - 32 * 2.8 / made(&request, &result);
        assert_true(bubble < rows[i].bubble + 0.5e-4);
    }
}

/* Qi et al., arXiv 2401.10241, table 5: ZB-1p and ZB-2p, from the costs of table 6; M_B = 34h + 5as, M_W = 32h, caps p M_B and 2p
 * M_B. */
static void the_rates_of_the_zero_bubble_papers_own_search_are_reached(void **state)
{
    (void)state;
    static const struct {
        int p, m, heads, hidden;
        double f, i, w, comm, once, twice;
    } rows[] = {
        {8, 24, 24, 2304, 18.522, 18.086, 9.337, 0.601, 0.1585, 0.0433},
        {8, 32, 24, 2304, 18.513, 18.086, 9.331, 0.626, 0.1242, 0.0039},
        {8, 64, 24, 2304, 18.546, 18.097, 9.321, 0.762, 0.0674, 0.0026},
        {8, 24, 32, 4096, 29.718, 29.444, 19.927, 0.527, 0.1323, 0.0029},
        {8, 32, 32, 4096, 29.802, 29.428, 19.530, 0.577, 0.1045, 0.0022},
        {8, 64, 32, 4096, 29.935, 29.621, 19.388, 0.535, 0.0554, 0.0010},
        {16, 48, 40, 5120, 11.347, 11.248, 8.132, 0.377, 0.1397, 0.0066},
        {16, 64, 40, 5120, 11.307, 11.254, 8.101, 0.379, 0.1088, 0.0054},
        {16, 128, 40, 5120, 11.325, 11.308, 8.109, 0.378, 0.0576, 0.0028},
        {32, 96, 48, 6144, 10.419, 10.207, 7.715, 0.408, 0.1421, 0.0038},
        {32, 128, 48, 6144, 10.408, 10.204, 7.703, 0.408, 0.1106, 0.0029},
        {32, 256, 48, 6144, 10.402, 10.248, 7.698, 0.460, 0.0594, 0.0018},
    };
    size_t n = getenv("WEIR_AUTO_SETS") ? sizeof rows / sizeof rows[0] : 3; /* the others take a minute */
    for (size_t k = 0; k < n; k++) {
        double held = 34.0 * rows[k].hidden + 5.0 * rows[k].heads * 1024, weight = 32.0 * rows[k].hidden;
        double work = rows[k].m * (rows[k].f + rows[k].i + rows[k].w);
        struct weir_schedule_costs costs = {rows[k].f, rows[k].i,          rows[k].w, held, weight,
                                            .transfer = rows[k].comm, .overlap_gain = 1};
        struct weir_auto_request request = {rows[k].p, 1, rows[k].m, &costs, WEIR_AUTO_SPAN, 2 * rows[k].p * held, NULL, NULL, 0};
        struct weir_auto_result result;
        double twice = 1 - work / made(&request, &result);
        request.objective = WEIR_AUTO_MAKESPAN;
        made(&request, &result);
        assert_true(result.value <= result.bound * (1 + 1e-9)); /* so no other order takes less */
        request.memory_cap = rows[k].p * held;
        double once = 1 - work / made(&request, &result); /* its span is no longer */
        if (twice > rows[k].twice + 0.5e-4 || once > rows[k].once + 0.5e-4)
            fail_msg("row %zu: %.5f and %.5f, published %.4f and %.4f", k, once, twice, rows[k].once, rows[k].twice);
    }
}

/* Stage 0 of a model has no input gradient to compute. */
static void a_first_stage_without_an_input_gradient_is_used(void **state)
{
    (void)state;
    struct weir_stage_costs stages[4];
    for (int s = 0; s < 4; s++)
        stages[s] = (struct weir_stage_costs){.forward = 1, .input = s ? 1 : 0, .weight = s ? 1 : 2, .mem_backward = 1,
                                              .mem_weight = 1};
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1, .stages = stages, .n_stages = 4};
    struct weir_auto_request request = {4, 1, 12, &costs, WEIR_AUTO_MAKESPAN, 4, NULL, NULL, 0};
    struct weir_auto_result result;
    made(&request, &result);
    assert_true(result.value <= result.best_value);
}

static void the_same_request_makes_the_same_schedule(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = {0.5, 0.9, 0.3, 0.5, 0.5, .transfer = 0.01, .overlap_gain = 1};
    struct weir_auto_request request = {4, 2, 8, &costs, WEIR_AUTO_MAKESPAN, 4, NULL, NULL, 0};
    struct weir_arena arena = {0};
    const char *text[2];
    for (int i = 0; i < 2; i++) {
        struct weir_auto_result result;
        assert_ok(weir_schedule_auto(&request, &arena, &result));
        assert_ok(weir_schedule_csv_print(&result.schedule, &arena, &text[i]));
    }
    assert_string_equal(text[0], text[1]);
    weir_arena_release(&arena);
}

static void small_sizes_are_sound_too(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = {1, 2, 0.5, 1, 0.5, .transfer = 0.1, .mem_made = 0.25, .overlap_gain = 0.9};
    for (int p = 1; p <= 3; p++)
        for (int v = 1; v <= 3; v++)
            for (int m = 1; m <= p + 2; m += p) {
                struct weir_auto_request request = {p, v, m, &costs, (enum weir_auto_objective)(m % 2), 0, NULL, NULL, 0};
                struct weir_auto_result result;
                made(&request, &result);
            }
}

static void what_fits_no_cap_is_refused(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_auto_request request = {4, 1, 8, &costs, WEIR_AUTO_MAKESPAN, 0.5, NULL, NULL, 0};
    struct weir_arena arena = {0};
    struct weir_auto_result result;
    assert_fails(weir_schedule_auto(&request, &arena, &result), WEIR_ERR_INVALID, "no schedule was found that fits");
    request.memory_cap = 0;
    request.memory_caps = (const double[]){4, 4, 0.5, 4};
    assert_fails(weir_schedule_auto(&request, &arena, &result), WEIR_ERR_INVALID, "no schedule was found that fits");
    request.memory_caps = (const double[]){4, 3, 2, 1};
    assert_ok(weir_schedule_auto(&request, &arena, &result)); /* what 1f1b holds */
    request.memory_caps = NULL;
    costs.forward = -1;
    assert_fails(weir_schedule_auto(&request, &arena, &result), WEIR_ERR_INVALID, "F of every stage is -1");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uneven_stages_are_ordered_better_than_any_known_schedule_orders_them),
        cmocka_unit_test(realistic_costs_at_eight_ranks),
        cmocka_unit_test(the_rates_of_the_zero_bubble_papers_own_search_are_reached),
        cmocka_unit_test(a_first_stage_without_an_input_gradient_is_used),
        cmocka_unit_test(the_same_request_makes_the_same_schedule),
        cmocka_unit_test(small_sizes_are_sound_too),
        cmocka_unit_test(what_fits_no_cap_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
