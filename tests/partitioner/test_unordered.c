/* unordered plans and Piper's model against brute force; seeds mean one result.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "partitioner/plan/plan_solve.h"

enum { MOST_NODES = 8 };

static uint32_t draw_seed, draw_count;

static uint32_t draw(uint32_t n)
{
    return weir_rng_philox(draw_seed, draw_count++, 0, 0, 0).v[0] % n;
}

static void graph_draw(int n, bool cpus, struct weir_cost_graph *graph)
{
    weir_cost_graph_init(graph);
    for (int v = 0; v < n; v++) {
        char id[16];
        snprintf(id, sizeof id, "n%d", v);
        struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
        node.id = id;
        node.forward = draw(4) ? draw(1000) / 10.0 : 0;
        node.cpu = cpus && draw(4) ? draw(2000) / 10.0 : NAN;
        node.parameter_bytes = draw(100);
        node.color = draw(3) ? -1 : (int)draw(2);
        assert_ok(weir_cost_graph_add_node(graph, &node, NULL));
    }
    for (int a = 0; a < n; a++) {
        double cost = draw(3) ? draw(300) / 10.0 : 0;
        for (int b = a + 1; b < n; b++)
            if (draw(10) < 4)
                assert_ok(weir_cost_graph_add_edge(graph, &(struct weir_cost_edge){.from = a, .to = b, .cost = cost}));
    }
    assert_ok(weir_cost_graph_finish(graph));
}

/* All placements, scored by weir_plan_evaluate, which test_contiguous.c holds to the definition. */
static double brute_force(const struct weir_cost_graph *graph, const struct weir_plan_options *options)
{
    int device_of[MOST_NODES] = {0}, parts = options->devices + options->cpus, n = graph->n_nodes;
    double best = INFINITY;
    for (;;) {
        struct weir_arena arena = {0};
        struct weir_plan plan;
        bool contiguous;
        if (weir_plan_evaluate(graph, options, device_of, &arena, &plan, &contiguous) == WEIR_OK)
            best = fmin(best, plan.objective);
        weir_arena_release(&arena);
        int v = 0;
        while (v < n && ++device_of[v] == parts)
            device_of[v++] = 0;
        if (v == n)
            return best;
    }
}

static double seconds_taken; /* by the last solve */

static double solve(const struct weir_cost_graph *graph, const struct weir_plan_options *options, int *device_of_out)
{
    struct weir_plan_result result;
    struct weir_arena arena = {0};
    assert_ok(weir_plan_solve(graph, options, &arena, &result));
    for (int i = 0; device_of_out && i < result.plan.n_parts; i++)
        for (int k = 0; k < result.plan.parts[i].n_nodes; k++)
            device_of_out[result.plan.parts[i].nodes[k]] = result.plan.parts[i].device;
    double value = result.plan.objective;
    seconds_taken = result.seconds;
    assert_true(result.plan.lower_bound <= value);
    weir_arena_release(&arena);
    return value;
}

static void small_graphs_get_the_best_placement(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct weir_cost_graph graph;
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        draw_seed = 1000u + (uint32_t)round, draw_count = 0;
        graph_draw(3 + round % 4, round % 3 == 2, &graph);
        options.devices = 2 + round % 2, options.cpus = round % 3 == 2;
        options.memory = round % 2 ? 120 + draw(200) : INFINITY;
        options.unordered = true, options.seconds = 0.1;
        double want = brute_force(&graph, &options), got = solve(&graph, &options, NULL);
        if (isfinite(want) ? fabs(got - want) > 1e-9 * (1 + want) : isfinite(got))
            fail_msg("seed %u: got %.17g, brute force says %.17g", draw_seed, got, want);
        weir_cost_graph_release(&graph);
    }
}

static void the_search_is_never_worse_and_a_seed_means_one_result(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct weir_cost_graph graph;
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        int first[MOST_NODES], second[MOST_NODES];
        draw_seed = 5000u + (uint32_t)round, draw_count = 0;
        graph_draw(MOST_NODES, false, &graph);
        options.devices = 3, options.seed = (uint64_t)round;
        double contiguous = solve(&graph, &options, NULL);
        options.unordered = true, options.seconds = 0.05;
        double value = solve(&graph, &options, first);
        assert_true(value <= contiguous);
        bool whole = seconds_taken < options.seconds; /* a slow machine may stop the search before its work is done */
        double again = solve(&graph, &options, second);
        whole = whole && seconds_taken < options.seconds;
        assert_true(again <= contiguous && (!whole || again == value));
        if (whole)
            assert_memory_equal(first, second, sizeof first);
        weir_cost_graph_release(&graph);
    }
}

struct piper_brute {
    const struct weir_cost_graph *graph;
    double memory;
};

/* Least time of nodes [first, end) with y micro-batches in flight, over all choices of configurations; INFINITY when
 * none fits. */
static double piper_stage(const struct piper_brute *b, int first, int end, int y, int d)
{
    const struct weir_cost_graph *g = b->graph;
    double best = INFINITY;
    for (unsigned mask = 0; mask < 1u << (end - first); mask++) {
        double time = 0, bytes = 0, parameters = 0;
        for (int v = first; v < end; v++) {
            const struct weir_cost_variant *variant = &g->nodes[v].variants[mask >> (v - first) & 1];
            time += variant->time;
            bytes += variant->memory_a * y + variant->memory_b;
            parameters += variant->parameter_bytes;
        }
        double cut = 0;
        for (int e = 0; e < g->n_edges; e++) {
            bool from = g->edges[e].from >= first && g->edges[e].from < end,
                 to = g->edges[e].to >= first && g->edges[e].to < end;
            cut += from != to ? g->edges[e].bytes : 0;
        }
        if (bytes <= b->memory)
            best =
                fmin(best, time / d + (2 * cut / d + 4 * (d - 1) * parameters / (d * g->micro_batches)) / g->bandwidth);
    }
    return best;
}

/* Chains: the last stage ends at `end`; `behind` devices are used by the stages after it. */
static double piper_chain(const struct piper_brute *b, int end, int behind, int devices)
{
    if (!end)
        return 0;
    double best = INFINITY;
    for (int d = 1; behind + d <= devices; d++) {
        if ((int)b->graph->micro_batches % d)
            continue;
        for (int first = 0; first < end; first++) {
            double stage = piper_stage(b, first, end, (behind + d + d - 1) / d, d);
            if (stage < best)
                best = fmin(best, fmax(stage, piper_chain(b, first, behind + d, devices)));
        }
    }
    return best;
}

static void pipers_model_is_solved_exactly_on_chains(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        struct weir_cost_graph graph;
        draw_seed = 9000u + (uint32_t)round, draw_count = 0;
        weir_cost_graph_init(&graph);
        graph.bandwidth = 100, graph.micro_batches = 12;
        int n = 1 + round % 6;
        for (int v = 0; v < n; v++) {
            char id[16];
            snprintf(id, sizeof id, "%d", v);
            struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
            node.id = id, node.cpu = NAN, node.n_variants = 2;
            double time = 1 + draw(20), parameters = draw(50), a = 10 + draw(30);
            node.variants[0] = (struct weir_cost_variant){"vanilla", time, parameters, a, parameters};
            node.variants[1] =
                (struct weir_cost_variant){"recompute", time * 1.3, parameters, a / 4, parameters + draw(10)};
            node.forward = time;
            assert_ok(weir_cost_graph_add_node(&graph, &node, NULL));
        }
        for (int v = 0; v + 1 < n; v++) {
            double bytes = draw(100);
            assert_ok(weir_cost_graph_add_edge(
                &graph, &(struct weir_cost_edge){
                            .from = v, .to = v + 1, .tensor = v, .bytes = bytes, .cost = 2 * bytes / graph.bandwidth}));
        }
        assert_ok(weir_cost_graph_finish(&graph));
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        options.objective = WEIR_PLAN_PIPER, options.devices = 1 + (int)draw(6), options.memory = 40 + draw(200);
        struct piper_brute b = {&graph, options.memory};
        double want = piper_chain(&b, n, 0, options.devices), got = solve(&graph, &options, NULL);
        if (isfinite(want) ? fabs(got - want) > 1e-9 * (1 + want) : isfinite(got))
            fail_msg("seed %u: got %.17g, brute force says %.17g", draw_seed, got, want);
        weir_cost_graph_release(&graph);
    }
}

static void pipers_model_without_time_still_has_a_plan(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    struct weir_arena arena = {0};
    struct weir_plan_result result;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    weir_cost_graph_init(&graph);
    graph.bandwidth = 100, graph.micro_batches = 12;
    for (int v = 0; v < 200; v++) {
        char id[16];
        snprintf(id, sizeof id, "%d", v);
        struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
        node.id = id, node.forward = 1, node.cpu = NAN, node.n_variants = 1;
        node.variants[0] = (struct weir_cost_variant){"vanilla", 1, 1, 1, 1};
        assert_ok(weir_cost_graph_add_node(&graph, &node, NULL));
    }
    for (int v = 0; v + 1 < 200; v++)
        assert_ok(weir_cost_graph_add_edge(&graph, &(struct weir_cost_edge){.from = v, .to = v + 1, .cost = 1}));
    assert_ok(weir_cost_graph_finish(&graph));
    options.objective = WEIR_PLAN_PIPER, options.devices = 4, options.seconds = 1e-9;
    assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
    assert_int_equal(result.plan.n_parts, 1);
    assert_int_equal(result.plan.parts[0].n_nodes, 200);
    assert_true(result.plan.objective >= 50 && result.plan.lower_bound == 50);
    options.memory = 100; /* 200 nodes of 2 bytes do not fit one stage */
    assert_fails(weir_plan_solve(&graph, &options, &arena, &result), WEIR_ERR_TIMEOUT, "give more seconds");
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_graphs_get_the_best_placement),
        cmocka_unit_test(the_search_is_never_worse_and_a_seed_means_one_result),
        cmocka_unit_test(pipers_model_is_solved_exactly_on_chains),
        cmocka_unit_test(pipers_model_without_time_still_has_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
