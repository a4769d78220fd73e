/* Published problems (dnn-partitioning, PipeDream, DAPPLE, Piper) and their published or re-measured optima, to six
 * digits. The problem files lie in $WEIR_TEST_DATA/reference/graphs; docs/planning.md has sources and full tables.
 * labels: pure slow */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "partitioner/contiguous/order_make.h"
#include "partitioner/contiguous/order_split.h"
#include "partitioner/plan/plan_solve.h"

#define MSR "reference/graphs/dnn-partitioning/throughput-inputs/"

/* Six digits as printf("%.6g") shows them. */
static void assert_six_digits(const char *name, int devices, double got, double want)
{
    char a[32], b[32];
    snprintf(a, sizeof a, "%.6g", got);
    snprintf(b, sizeof b, "%.6g", want);
    if (strcmp(a, b) != 0)
        fail_msg("%s on %d devices: got %s, published %s", name, devices, a, b);
}

static bool graph_load(const char *name, struct weir_cost_graph *graph)
{
    const char *path = testing_data_path(name);
    if (!path)
        return false;
    assert_ok(weir_cost_graph_read(path, WEIR_COST_GRAPH_AUTO, 0, graph));
    return true;
}

struct curve_row {
    const char *name;
    double optimum[10]; /* INFINITY: does not fit; 0: not given */
};

static void curve_check(const struct curve_row *row, const int *devices, int n)
{
    struct weir_cost_graph graph;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    struct weir_arena arena = {0};
    if (!graph_load(row->name, &graph))
        skip();
    options.memory = graph.memory;
    options.curve_first = 1, options.curve_last = 16;
    assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
    for (int i = 0; i < n; i++) {
        const struct weir_plan_point *point = &result.curve[devices[i] - 1];
        assert_true(point->lower_bound == point->objective);
        if (row->optimum[i] != 0)
            assert_six_digits(row->name, devices[i], point->objective, row->optimum[i]);
    }
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

/* Optimal contiguous plans without a CPU, memory cap of the file. */
static void msr_curves_match_to_six_digits(void **state)
{
    (void)state;
    static const int devices[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16};
    static const struct curve_row rows[] = {
        {MSR "LayerGraphs/bert24_inference.json",
         {92.406, 47.479, 32.2429, 24.9169, 20.084, 17.7899, 14.2039, 10.7399, 10.6519, 7.19591}},
        {MSR "LayerGraphs/gnmt_inference.json",
         {182.563, 93.1943, 65.1817, 47.1607, 43.0746, 32.9107, 25.8496, 24.7881, 24.7881, 24.7881}},
        {MSR "LayerGraphs/resnet50_inference.json",
         {INFINITY, 101.281, 67.6943, 50.9899, 41.3445, 34.2229, 26.7612, 21.2596, 18.9979, 18.9979}},
        {MSR "LayerGraphs/inceptionv3_inference.json",
         {310.969, 155.665, 103.819, 78.3527, 63.6954, 52.2016, 39.4748, 32.6182, 27.1571, 21.7639}},
        {MSR "OperatorGraphs/bert_l-3_inference.json",
         {49.3526, 33.9891, 27.9186, 27.9186, 27.9186, 27.9186, 27.9186, 27.9186, 27.9186, 27.9186}},
        {MSR "OperatorGraphs/bert_l-6_inference.json",
         {77.4615, 47.0179, 33.9891, 27.9186, 27.9186, 27.9186, 27.9186, 27.9186, 27.9186, 27.9186}},
        {MSR "OperatorGraphs/bert_l-12_inference.json",
         {642.78, 383.694, 253.62, 197.692, 158.258, 147.478, 108.044, 97.2637, 97.2637, 79.977}},
        {MSR "OperatorGraphs/resnet50_inference.json",
         {325.132, 194.439, 157.283, 151.126, 129.155, 128.074, 124.349, 124.349, 124.349, 124.349}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        curve_check(&rows[i], devices, 10);
}

/* PipeDream and DAPPLE profiles: forward + backward ms, 2 · bytes / 12e9 B/s per edge. */
static void profile_curves_match_to_six_digits(void **state)
{
    (void)state;
    static const int devices[] = {1, 2, 4, 8, 16};
    static const struct curve_row rows[] = {
        {"reference/graphs/pipedream/alexnet.graph.txt", {85.321, 49.2238, 40.1336, 40.1336, 40.1336}},
        {"reference/graphs/dapple/amoeba-18-pbs-8.txt", {717.81, 377.067, 229.08, 144.656, 97.7963}},
        {"reference/graphs/dapple/amoeba-36-pbs-1.txt", {168.05, 87.8208, 47.9713, 27.4127, 18.097}},
        {"reference/graphs/dapple/amoeba-6-pbs-8-complicated.txt", {212, 120.355, 90.2485, 62.996, 62.996}},
        {"reference/graphs/dapple/amoeba-6-pbs-8-simplified.txt", {212, 123.206, 97.2867, 68.0546, 62.996}},
        {"reference/graphs/dapple/gnmt-16-pbs-64.txt", {248.916, 127.878, 70.0114, 43.2824, 38.7437}},
        {"reference/graphs/dapple/gnmt-32-pbs-64-simplified.txt", {445.611, 228.54, 116.927, 65.0715, 42.4507}},
        {"reference/graphs/dapple/vgg-19-pbs-32.txt", {144.21, 92.36, 51.345, 50.1, 50.1}},
        {"reference/graphs/dapple/vgg16.txt", {672.535, 415.316, 304.097, 304.097, 304.097}},
        {"reference/graphs/pipedream/gnmt.graph.txt", {89.416, 46.9846, 27.1696, 21.0855, 21.0855}},
        {"reference/graphs/pipedream/gnmt_large.graph.txt", {520.453, 265.625, 139.788, 87.4971, 81.1941}},
        {"reference/graphs/pipedream/resnext101.graph.txt", {557.432, 292.281, 158.934, 105.73, 91.828}},
        {"reference/graphs/pipedream/resnext50.graph.txt", {590.793, 330.582, 220.228, 180.027, 180.027}},
        {"reference/graphs/pipedream/squeezenet1_0.graph.txt", {285.366, 171.859, 100.123, 83.2986, 83.2986}},
        {"reference/graphs/pipedream/vgg16.graph.txt", {672.535, 415.316, 304.097, 304.097, 304.097}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        curve_check(&rows[i], devices, 5);
}

struct value_row {
    const char *name;
    double value;
};

/* As shipped: six or three accelerators and one CPU that pays no transfers. */
static void a_free_cpu_matches_to_six_digits(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {MSR "LayerGraphs/bert24_inference.json", 17.7899},
        {MSR "LayerGraphs/gnmt_inference.json", 32.9107},
        {MSR "LayerGraphs/resnet50_inference.json", 33.7747},
        {MSR "LayerGraphs/inceptionv3_inference.json", 51.5519},
        {MSR "OperatorGraphs/bert_l-3_inference.json", 27.9186},
        {MSR "OperatorGraphs/bert_l-6_inference.json", 29.5795},
        {MSR "OperatorGraphs/bert_l-12_inference.json", 147.478},
        {MSR "OperatorGraphs/resnet50_inference.json", 124.349},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_cost_graph graph;
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        struct weir_plan_result result;
        struct weir_arena arena = {0};
        if (!graph_load(rows[i].name, &graph))
            skip();
        options.memory = graph.memory, options.devices = graph.devices, options.cpus = 1;
        assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
        assert_six_digits(rows[i].name, graph.devices, result.plan.objective, rows[i].value);
        weir_arena_release(&arena);
        weir_cost_graph_release(&graph);
    }
}

/* At most the best that METIS (60 runs), Scotch, annealing and the contiguous optimum reach without a CPU. */
static void free_placement_is_at_least_as_good_as_published(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {MSR "LayerGraphs/bert24_inference.json", 17.7147},
        {MSR "LayerGraphs/gnmt_inference.json", 31.6873},
        {MSR "LayerGraphs/resnet50_inference.json", 33.9806},
        {MSR "LayerGraphs/inceptionv3_inference.json", 52.2016},
        {MSR "OperatorGraphs/bert_l-3_inference.json", 21.9084},
        {MSR "OperatorGraphs/bert_l-6_inference.json", 28.8373},
        {MSR "OperatorGraphs/bert_l-12_inference.json", 136.6576},
        {MSR "OperatorGraphs/resnet50_inference.json", 128.074},
        {MSR "LayerGraphs/gnmt_training.json", 88.4622},
        {MSR "OperatorGraphs/bert_l-3_training.json", 54.2074},
        {MSR "OperatorGraphs/bert_L-12_training.json", 378.1655},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_cost_graph graph;
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        struct weir_plan_result result;
        struct weir_arena arena = {0};
        if (!graph_load(rows[i].name, &graph))
            skip();
        options.memory = graph.memory, options.devices = graph.devices, options.unordered = true,
        options.seconds = 3, options.unhurried = true;
        assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
        if (result.plan.objective > rows[i].value * (1 + 5e-6))
            fail_msg("%s: got %.7g, published %.7g", rows[i].name, result.plan.objective, rows[i].value);
        weir_arena_release(&arena);
        weir_cost_graph_release(&graph);
    }
}

/* BERT-32, Piper without tensor parallelism, 25 · 2^30 bytes/s. */
static void piper_is_at_least_as_good_as_published(void **state)
{
    (void)state;
    static const struct {
        double gib;
        int devices;
        double micro_batches, value;
    } rows[] = {
        {8, 8, 1920, 0.165856},   {8, 32, 1920, 0.0415155},  {8, 64, 1920, 0.0202006},   {8, 128, 1920, 0.0101209},
        {8, 8, 512, 0.165856},    {8, 16, 512, 0.0830567},   {8, 32, 512, 0.0416571},    {8, 64, 512, 0.0209573},
        {8, 128, 512, 0.0106075}, {8, 256, 512, 0.00543251}, {8, 512, 1920, 0.00256113}, {1, 128, 1920, INFINITY},
    };
    const char *path = testing_data_path("reference/graphs/piper/bert32a100.json");
    if (!path)
        skip();
    struct weir_cost_graph graph;
    assert_ok(weir_cost_graph_read(path, WEIR_COST_GRAPH_AUTO, 25 * 0x1p30, &graph));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        struct weir_plan_result result;
        struct weir_arena arena = {0};
        graph.micro_batches = rows[i].micro_batches;
        options.objective = WEIR_PLAN_PIPER, options.devices = rows[i].devices, options.memory = rows[i].gib * 0x1p30;
        assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
        if (isinf(rows[i].value) != isinf(result.plan.objective) || result.plan.objective > rows[i].value * (1 + 5e-6))
            fail_msg("row %zu: got %.9g, published %.9g", i, result.plan.objective, rows[i].value);
        double most = 0;
        int devices = 0;
        for (int p = 0; p < result.plan.n_parts; p++) {
            most = fmax(most, result.plan.parts[p].load);
            devices += result.plan.parts[p].replicas;
            assert_true(result.plan.parts[p].memory <= options.memory);
        }
        assert_true(devices <= rows[i].devices);
        assert_true(isinf(rows[i].value) || fabs(most - result.plan.objective) <= 1e-12 * most);
        weir_arena_release(&arena);
    }
    weir_cost_graph_release(&graph);
}

/* The dynamic program along one topological order, as dnn-partitioning's -linearize. */
static double one_order_value(const struct weir_cost_graph *graph, int devices)
{
    struct weir_arena arena = {0};
    struct weir_blocks blocks;
    struct weir_blocks_purpose purpose = {true, false, INFINITY};
    struct weir_split split;
    struct weir_split_table table = {0};
    int *order;
    assert_ok(weir_blocks_build(graph, &purpose, &arena, &blocks));
    assert_ok(weir_split_init(&blocks, &arena, &split));
    assert_ok(weir_arena_alloc(&arena, (size_t)blocks.n, sizeof *order, &order));
    assert_ok(weir_order_make(&blocks, NULL, WEIR_ORDER_DEPTH, 0, order));
    struct weir_split_problem problem = {.blocks = &blocks, .devices = devices, .memory = INT64_MAX / 4};
    assert_ok(weir_order_split(&problem, order, WEIR_NEVER, &table, &split));
    double value = (double)split.value * blocks.tick;
    weir_split_table_release(&table);
    weir_arena_release(&arena);
    return value;
}

/* What is clear without a search: the work is shared at best, and a node is on one device. */
static double plain_bound(const struct weir_cost_graph *graph, int devices)
{
    double work = 0, longest = 0;
    for (int v = 0; v < graph->n_nodes; v++) {
        double time = weir_cost_node_time(&graph->nodes[v]);
        work += time;
        longest = time > longest ? time : longest;
    }
    return work / devices > longest ? work / devices : longest;
}

/* Too many downsets to be exact: a plan no worse than one order gives, and a proven gap that is smaller. */
static void huge_graphs_get_a_plan_with_a_bound(void **state)
{
    (void)state;
    static const char *const names[] = {"reference/graphs/pipedream/nasnetalarge.graph.txt",
                                        "reference/graphs/pipedream/nasnetamobile.graph.txt",
                                        "reference/graphs/dapple/gnmt-32-pbs-64.txt"};
    for (int i = 0; i < 3; i++) {
        struct weir_cost_graph graph;
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        struct weir_plan_result result;
        struct weir_arena arena = {0};
        if (!graph_load(names[i], &graph))
            skip();
        options.devices = 8, options.seconds = 3, options.unhurried = true;
        assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
        double value = result.plan.objective, bound = result.plan.lower_bound;
        double plain = one_order_value(&graph, 8), clear = plain_bound(&graph, 8);
        print_message("%s: %.6g, gap %.1f %%; one order %.6g, gap %.1f %%\n", names[i], value,
                      100 * (value - bound) / value, plain, 100 * (plain - clear) / plain);
        assert_true(bound > clear && bound <= value);
        assert_true(value <= plain * (1 + 1e-12));
        assert_true((value - bound) / value < (plain - clear) / plain);
        weir_arena_release(&arena);
        weir_cost_graph_release(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(msr_curves_match_to_six_digits),
        cmocka_unit_test(profile_curves_match_to_six_digits),
        cmocka_unit_test(a_free_cpu_matches_to_six_digits),
        cmocka_unit_test(free_placement_is_at_least_as_good_as_published),
        cmocka_unit_test(piper_is_at_least_as_good_as_published),
        cmocka_unit_test(huge_graphs_get_a_plan_with_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
