/* What cuts of models with branches cost, held to all cuts there are.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "engine/program/planner.h"
#include "engine/program/trips.h"
#include "partitioner/plan/plan_solve.h"
#include "tests/support/branch_rig.h"
#include "tests/support/odd_branches.h"
#include "tests/support/random_schedule.h"
#include "kernels/op_rows.h"

enum { MOST_LAYERS = 12 };

struct pricing {
    const struct weir_graph *graph;
    struct weir_ceilings ceilings;
    double time[MOST_LAYERS];
    bool borders; /* what passes by a stage costs it, too */
};

/* The dearest stage of a cut: its layers, and every value that enters or leaves it, forth and back. */
static double cut_price(const struct pricing *p, const int *first_layer, int n_stages)
{
    struct weir_arena arena = {0};
    const struct weir_trip *trips;
    int n_trips;
    double stages[MOST_LAYERS] = {0}, most = 0;
    assert_ok(weir_trips_find(p->graph, first_layer, n_stages, &arena, &trips, &n_trips));
    for (int s = 0; s < n_stages; s++)
        for (int l = first_layer[s]; l < first_layer[s + 1]; l++)
            stages[s] += p->time[l];
    for (int t = 0; t < n_trips && !p->borders; t++) {
        double ms = 2e3 * (double)weir_shape_bytes(weir_graph_shape(p->graph, trips[t].value)) / p->ceilings.link_bytes_per_s;
        stages[trips[t].from] += ms;
        stages[trips[t].to] += ms;
    }
    for (int s = 1; s < n_stages && p->borders; s++) {
        double ms = 2e3 * (double)weir_layer_crossing_bytes(p->graph, first_layer[s]) / p->ceilings.link_bytes_per_s;
        stages[s - 1] += ms;
        stages[s] += ms;
    }
    for (int s = 0; s < n_stages; s++)
        most = fmax(most, stages[s]);
    weir_arena_release(&arena);
    return most;
}

/* The best of all cuts into at most `left` more stages behind the `n` that begin at first_layer. */
static double best_price(const struct pricing *p, int *first_layer, int n, int left, int *best)
{
    first_layer[n] = p->graph->n_layers;
    double least = cut_price(p, first_layer, n);
    if (best)
        memcpy(best, first_layer, ((size_t)n + 1) * sizeof *best);
    for (int l = first_layer[n - 1] + 1; l < p->graph->n_layers && left; l++) {
        int found[MOST_LAYERS + 1] = {0};
        first_layer[n] = l;
        double price = best_price(p, first_layer, n + 1, left - 1, best ? found : NULL);
        if (price < least && best)
            memcpy(best, found, sizeof found);
        least = fmin(least, price);
    }
    return least;
}

/* Layers last what chance says, so that the links matter here and there. */
static void pricing_make(struct pricing *p, const struct weir_graph *graph, uint64_t *random, struct weir_cost_graph *costs)
{
    *p = (struct pricing){.graph = graph, .ceilings = {1e9, 1e9, 1e3 * pow(4, random_below(random, 5))}};
    assert_true(graph->n_layers <= MOST_LAYERS);
    assert_ok(weir_model_cost_graph(graph, NULL, &p->ceilings, costs));
    for (int l = 0; l < graph->n_layers; l++) {
        costs->nodes[l].forward = p->time[l] = 1 + random_below(random, 100);
        costs->nodes[l].input_grad = costs->nodes[l].weight_grad = 0;
    }
}

/* Parts of a plan are stages of layers beside each other. */
static void parts_take(const struct weir_plan *plan, int n_layers, int *first_layer)
{
    int l = 0;
    for (int i = 0; i < plan->n_parts; i++) {
        first_layer[i] = l;
        for (int k = 0; k < plan->parts[i].n_nodes; k++)
            assert_int_equal(plan->parts[i].nodes[k], l++);
    }
    assert_int_equal(l, n_layers);
    first_layer[plan->n_parts] = l;
}

/* Returns whether the best cut of a chain whose stages pay for all that crosses a border is a worse one. */
static int graph_check(const struct weir_graph *graph, uint64_t *random)
{
    int worse = 0;
    for (int k = 1; k <= 5; k++) {
        struct weir_arena arena = {0};
        struct weir_cost_graph costs;
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        struct weir_plan_result result;
        struct pricing p;
        int first_layer[MOST_LAYERS + 1] = {0}, chain[MOST_LAYERS + 1], n = 1;
        pricing_make(&p, graph, random, &costs);
        options.devices = k;
        assert_ok(weir_plan_solve(&costs, &options, &arena, &result));
        double least = best_price(&p, first_layer, 1, k - 1, NULL);
        assert_true(fabs(result.plan.objective - least) <= 1e-9 * least);
        parts_take(&result.plan, graph->n_layers, first_layer);
        assert_true(fabs(cut_price(&p, first_layer, result.plan.n_parts) - least) <= 1e-9 * least);
        p.borders = true;
        first_layer[0] = 0;
        best_price(&p, first_layer, 1, k - 1, chain);
        p.borders = false;
        while (chain[n] < graph->n_layers)
            n++;
        worse += cut_price(&p, chain, n) > least * (1 + 1e-9);
        weir_cost_graph_release(&costs);
        weir_arena_release(&arena);
    }
    return worse;
}

static void the_exact_solver_finds_the_best_of_all_cuts_by_what_goes_over_their_boundaries(void **state)
{
    (void)state;
    uint64_t random = 11;
    int worse = 0;
    for (int which = 0; which < BRANCH_GRAPHS; which++)
        for (int draw = 0; draw < 8; draw++) {
            struct weir_arena arena = {0};
            const struct weir_graph *graph;
            branch_graph_build((enum branch_graph)which, &arena, &graph);
            worse += graph_check(graph, &random);
            weir_arena_release(&arena);
        }
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct weir_arena arena = {0};
        struct weir_graph_builder b;
        const struct weir_graph *graph;
        weir_graph_begin(&b, "odd", &arena);
        odd_branches_build(&b, seed);
        assert_ok(weir_graph_finish(&b, &graph));
        worse += graph_check(graph, &random);
        weir_arena_release(&arena);
    }
    assert_true(worse > 10); /* a chain with what crosses its borders would not do */
}

static void layers_that_take_nothing_of_the_one_before_stay_behind_it(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_graph_builder b;
    const struct weir_graph *graph;
    struct weir_cost_graph costs;
    struct weir_shape rows = {2, {4, 8}, WEIR_DTYPE_F32};
    weir_graph_begin(&b, "two inputs", &arena);
    int x = weir_graph_input(&b, "x", rows), t = weir_graph_input(&b, "t", rows);
    weir_graph_layer(&b, "left");
    int left = weir_graph_node(&b, "left", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    weir_graph_layer(&b, "right");
    int right = weir_graph_node(&b, "right", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    weir_graph_layer(&b, "both");
    int both = weir_graph_node(&b, "both", &weir_op_add, NULL, 0, 2, (int[]){left, right}, 0, NULL);
    weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){both, t}, 0, NULL);
    assert_ok(weir_graph_finish(&b, &graph));
    assert_ok(weir_model_cost_graph(graph, NULL, &(struct weir_ceilings){1e9, 1e9, 1e9}, &costs));
    assert_int_equal(costs.n_edges, 3);
    for (int e = 0; e < 3; e++) {
        bool order = costs.edges[e].from == 0 && costs.edges[e].to == 1;
        assert_true(costs.edges[e].bytes == (order ? 0 : 128));
    }
    weir_cost_graph_release(&costs);
    weir_arena_release(&arena);
}

/* ---- plans of runs ---------------------------------------------------------------------------------------------------- */

static struct weir_planner_request request_of(const struct weir_graph *graph, double link)
{
    struct weir_planner_request request = {.graph = graph, .config = WEIR_ENGINE_CONFIG_DEFAULT, .n_devices = 3, .global_batch = 16,
                                           .zero = WEIR_PLANNER_ANY, .ceilings = {1e9, 1e12, link}, .n_top = 1, .max_replicas = 1,
                                           .schedule = "1f1b", .microbatch_size = 2};
    request.config.device = "cpu";
    return request;
}

static double bytes_between(const struct weir_planned *plan, int from, int to)
{
    double bytes = 0;
    for (int b = 0; b < plan->n_boundaries; b++)
        bytes += plan->boundaries[b].from == from && plan->boundaries[b].to == to ? plan->boundaries[b].bytes : 0;
    return bytes;
}

/* Of eight layers that last as long, three ranks have 2, 3 and 3 where links are fast.  Over slow ones it pays to give the second rank a
 * fourth, so that one value goes to the third and not two. */
static void a_plan_weighs_what_crosses_its_cuts(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_stage_costs layers[8];
    struct weir_planner_result fast, slow;
    branch_graph_build(BRANCH_U, &arena, &graph);
    struct weir_planner_request request = request_of(graph, 1e15);
    for (int l = 0; l < 8; l++)
        layers[l] = (struct weir_stage_costs){.forward = 1, .input = 1, .weight = 1};
    request.layers = layers;
    request.n_layers = 8;
    request.global_batch = 32;
    request.recompute = "none";
    assert_ok(weir_planner_run(&request, &arena, &fast));
    request.ceilings.link_bytes_per_s = 1e6;
    assert_ok(weir_planner_run(&request, &arena, &slow));
    assert_memory_equal(fast.plans[0].cut.first_layer, ((int[]){0, 3, 6, 8}), 4 * sizeof(int)); /* the shorter stage last: it drains sooner */
    assert_memory_equal(slow.plans[0].cut.first_layer, ((int[]){0, 3, 5, 8}), 4 * sizeof(int));
    assert_true(bytes_between(&fast.plans[0], 0, 1) == 2 * 2048 && bytes_between(&slow.plans[0], 0, 1) == 2048);
    weir_arena_release(&arena);
}

static void the_boundaries_of_a_plan_are_the_trips_of_its_cut(void **state)
{
    (void)state;
    for (int which = 0; which < BRANCH_GRAPHS; which++) {
        struct weir_arena arena = {0};
        const struct weir_graph *graph;
        const struct weir_plan_boundary *list;
        struct weir_planner_result result;
        int n;
        branch_graph_build((enum branch_graph)which, &arena, &graph);
        struct weir_planner_request request = request_of(graph, 1e9);
        request.schedule = NULL;
        request.n_top = 5;
        assert_ok(weir_planner_run(&request, &arena, &result));
        assert_true(result.n_plans > 0);
        for (int i = 0; i < result.n_plans; i++) {
            const struct weir_planned *plan = &result.plans[i];
            assert_ok(weir_planner_boundaries(graph, plan->cut.first_layer, plan->cut.n_stages, &arena, &list, &n));
            assert_int_equal(plan->n_boundaries, n);
            for (int b = 0; b < n; b++) {
                assert_true(list[b].from == plan->boundaries[b].from && list[b].to == plan->boundaries[b].to);
                double rounded = plan->boundaries[b].bytes - list[b].bytes; /* each value in a message to 64 bytes */
                assert_int_equal(list[b].n_values, plan->boundaries[b].n_values);
                assert_true(which == BRANCH_PARTS ? rounded >= 0 && rounded < 64.0 * list[b].n_values : rounded == 0);
            }
        }
        weir_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_solver_finds_the_best_of_all_cuts_by_what_goes_over_their_boundaries),
        cmocka_unit_test(layers_that_take_nothing_of_the_one_before_stay_behind_it),
        cmocka_unit_test(a_plan_weighs_what_crosses_its_cuts),
        cmocka_unit_test(the_boundaries_of_a_plan_are_the_trips_of_its_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
