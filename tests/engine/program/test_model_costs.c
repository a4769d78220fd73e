/* Cost graphs of Weir's own models: counted by hand, and what the planner makes of them.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "engine/program/model_costs.h"
#include "include/weir/graph.h"
#include "models/model_kinds.h"
#include "partitioner/plan/plan_solve.h"

static void costs_follow_from_flops_bytes_and_ceilings(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_cost_graph costs;
    struct weir_model_params params = {.microbatch_size = 2};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &params, &arena, &graph));
    /* memory so fast that only flops count, and a link on which a value of 2 · 64 · 128 floats takes 2 · 1 ms */
    struct weir_ceilings ceilings = {1e9, 1e30, 65536e3};
    assert_ok(weir_model_cost_graph(graph, NULL, &ceilings, &costs));
    assert_int_equal(costs.n_nodes, 14);
    assert_int_equal(costs.n_edges, 13);
    assert_string_equal(costs.nodes[2].id, "h.0.mlp");
    for (int e = 0; e < costs.n_edges; e++) {
        assert_true(costs.edges[e].bytes == 65536);
        assert_true(fabs(costs.edges[e].cost - 2) < 1e-12);
    }
    /* the two products of an MLP half: 2 · 2 · (B T) C · 4C flops, 1e6 flops per ms */
    double products = 2.0 * 2 * 128 * 128 * 512 / 1e6;
    assert_true(costs.nodes[2].forward >= products && costs.nodes[2].forward < 1.2 * products);
    assert_true(costs.nodes[2].weight_grad >= products && costs.nodes[2].weight_grad < 1.2 * products);
    /* c_fc and c_proj with biases, ln_2's gain and bias */
    assert_true(costs.nodes[2].parameter_bytes == 4.0 * (2 * 128 * 512 + 512 + 128 + 2 * 128));
    /* kept: x, ln's output and statistics, fc's and GELU's output */
    double kept = 4.0 * 128 * (128 + 128 + 512 + 512);
    assert_true(costs.nodes[2].activation_bytes >= kept && costs.nodes[2].activation_bytes < 1.05 * kept);
    weir_cost_graph_release(&costs);
    ceilings.bytes_per_s = 0;
    assert_fails(weir_model_cost_graph(graph, NULL, &ceilings, &costs), WEIR_ERR_INVALID, "above 0");
    weir_arena_release(&arena);
}

/* Values take half the bytes, times of passes that traffic bounds less, and a parameter 4 bytes with a copy of 2. */
static void bf16_halves_values_and_adds_copies(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph, *cast;
    struct weir_cost_graph wide, narrow;
    struct weir_model_params params = {.microbatch_size = 2};
    struct weir_ceilings ceilings = {1e30, 1e9, 1e15};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &params, &arena, &graph));
    assert_ok(weir_graph_cast(graph, WEIR_DTYPE_BF16, &arena, &cast));
    assert_ok(weir_model_cost_graph(graph, NULL, &ceilings, &wide));
    assert_ok(weir_model_cost_graph(cast, NULL, &ceilings, &narrow));
    for (int e = 0; e < wide.n_edges; e++)
        assert_true(narrow.edges[e].bytes == wide.edges[e].bytes / 2);
    for (int n = 0; n < wide.n_nodes; n++) {
        assert_true(narrow.nodes[n].parameter_bytes == 1.5 * wide.nodes[n].parameter_bytes);
        assert_true(narrow.nodes[n].activation_bytes >= wide.nodes[n].activation_bytes / 2);
        assert_true(narrow.nodes[n].activation_bytes <= wide.nodes[n].activation_bytes * 0.6);
        assert_true(narrow.nodes[n].forward >= wide.nodes[n].forward / 2 && narrow.nodes[n].forward < wide.nodes[n].forward);
    }
    weir_cost_graph_release(&wide);
    weir_cost_graph_release(&narrow);
    weir_arena_release(&arena);
}

static void a_replay_is_part_of_the_input_gradient(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_cost_graph kept, again;
    struct weir_model_params params = {.microbatch_size = 2};
    struct weir_ceilings ceilings = {1e9, 1e30, 1e15};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &params, &arena, &graph));
    assert_ok(weir_model_cost_graph(graph, NULL, &ceilings, &kept));
    assert_ok(weir_model_cost_graph(graph, "h.*.mlp,embed", &ceilings, &again));
    const struct weir_cost_node *a = &kept.nodes[2], *b = &again.nodes[2];
    /* all of the forward but the last product, 2 (B T) 4C C flops with C more per row for the bias, and the sum */
    double spared = (2.0 * 128 * 512 * 128 + 2 * 128 * 128) / 1e6;
    assert_true(fabs(b->input_grad - a->input_grad - (a->forward - spared)) < 1e-9);
    assert_true(b->forward == a->forward && b->weight_grad == a->weight_grad);
    assert_true(b->activation_bytes == 4.0 * 128 * 128); /* the residual stream */
    assert_true(again.nodes[0].input_grad == kept.nodes[0].input_grad && again.nodes[0].activation_bytes == 0);
    assert_true(again.nodes[1].input_grad == kept.nodes[1].input_grad);
    assert_true(again.nodes[1].activation_bytes == kept.nodes[1].activation_bytes);
    weir_cost_graph_release(&kept);
    weir_cost_graph_release(&again);
    assert_fails(weir_model_cost_graph(graph, "h.0.mpl", &ceilings, &again), WEIR_ERR_USAGE, "did you mean 'h.0.mlp'");
    weir_arena_release(&arena);
}

static void the_planner_splits_the_model(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_cost_graph costs;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    struct weir_model_params params = {.microbatch_size = 4};
    struct weir_ceilings ceilings = {150e9, 15e9, 1e15};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &params, &arena, &graph));
    assert_ok(weir_model_cost_graph(graph, NULL, &ceilings, &costs));
    double total = 0;
    for (int n = 0; n < costs.n_nodes; n++)
        total += weir_cost_node_time(&costs.nodes[n]);
    options.devices = 2;
    options.memory = costs.memory;
    assert_ok(weir_plan_solve(&costs, &options, &arena, &result));
    assert_int_equal(result.plan.n_parts, 2);
    assert_true(result.plan.objective >= total / 2 && result.plan.objective < 0.6 * total);
    weir_cost_graph_release(&costs);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_follow_from_flops_bytes_and_ceilings),
        cmocka_unit_test(bf16_halves_values_and_adds_copies),
        cmocka_unit_test(a_replay_is_part_of_the_input_gradient),
        cmocka_unit_test(the_planner_splits_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
