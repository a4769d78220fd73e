/* cost graphs: construction, the four readers with their quirks, malformed files, round trips.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/plan/plan_solve.h"

static weir_status parse(const char *text, enum weir_cost_graph_format format, struct weir_cost_graph *graph)
{
    return weir_cost_graph_parse(text, strlen(text), "t", format, 0, graph);
}

#define NODE(id, name, f, b, a, p)                                                                                     \
    id " -- " name " -- forward_compute_time=" f ", backward_compute_time=" b ", activation_size=" a                   \
       ", parameter_size=" p

static void a_graph_txt_is_read_with_its_quirks(void **state)
{
    (void)state;
    static const char text[] = NODE("node1", "Input0", "600.0", "0.0", "100.0", "0.0") "\n" NODE(
        "node2", "Conv2d(1, 2, kernel_size=3)", "1.5", "2.5", "[6e9; 6e9]",
        "40.0") "\n" NODE("node5", "Tail, with = and, commas", "1", "2", "[1, 2, 3]",
                          "0") " -- stage_id=7 \n" NODE("node9", "__getitem__(0)", "0.0", "0.0", "1.0",
                                                        "0.0") "\n"
                                                               " \tnode1 -- node2\n  node2 -- node5\r\n\tnode2 -- "
                                                               "node9";
    struct weir_cost_graph graph;
    assert_ok(parse(text, WEIR_COST_GRAPH_AUTO, &graph));
    assert_int_equal(graph.n_nodes, 2); /* Input and __getitem__ are passengers */
    assert_int_equal(graph.n_edges, 1);
    assert_int_equal(graph.n_passengers, 2);
    assert_string_equal(graph.nodes[0].name, "Conv2d(1, 2, kernel_size=3)");
    assert_true(weir_cost_node_time(&graph.nodes[0]) == 4);
    assert_true(graph.nodes[0].activation_bytes == 12e9 && graph.nodes[1].activation_bytes == 6);
    assert_true(fabs(graph.edges[0].cost - 2000) < 1e-9); /* 2 · 12e9 B / 12e9 B/s in ms */
    weir_cost_graph_release(&graph);
    assert_ok(weir_cost_graph_parse(text, strlen(text), "t", WEIR_COST_GRAPH_PIPEDREAM, 24e9, &graph));
    assert_true(fabs(graph.edges[0].cost - 1000) < 1e-9);
    weir_cost_graph_release(&graph);
}

static void a_plan_goes_back_into_a_graph_txt(void **state)
{
    (void)state;
    static const char text[] = NODE("node1", "Input0", "6.0", "0.0", "1.0", "0.0") "\n" NODE(
        "node2", "A", "1.0", "2.0", "1.0", "4.0") "\n" NODE("node3", "B", "2.0", "1.0", "1.0",
                                                            "0.0") "\n"
                                                                   "\tnode1 -- node2\n\tnode2 -- node3\n";
    struct weir_cost_graph graph;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    struct weir_arena arena = {0};
    struct weir_text out = {0};
    assert_ok(parse(text, WEIR_COST_GRAPH_AUTO, &graph));
    options.devices = 2;
    assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
    assert_ok(weir_plan_write(&graph, &result, WEIR_PLAN_PIPEDREAM, &out));
    assert_non_null(strstr(out.data, NODE("node3", "B", "2.0", "1.0", "1.0", "0.0") " -- stage_id=1\n"));
    assert_non_null(strstr(out.data, "parameter_size=0.0 -- stage_id=0\n\tnode2 -- node3\n\tnode1 -- node2\n"));
    for (int form = 0; form < WEIR_PLAN_FORMATS; form++) { /* what can be read back scores the same */
        struct weir_text written = {0};
        const int *device_of;
        struct weir_plan plan;
        bool contiguous;
        assert_ok(weir_plan_write(&graph, &result, (enum weir_plan_format)form, &written));
        if (form <= WEIR_PLAN_PIPEDREAM) {
            int devices, cpus;
            assert_ok(weir_plan_parse(&graph, written.data, written.length, "p", &arena, &device_of, &devices, &cpus));
            assert_int_equal(devices, 2);
            assert_ok(weir_plan_evaluate(&graph, &options, device_of, &arena, &plan, &contiguous));
            assert_true(plan.objective == result.plan.objective && contiguous);
        }
        weir_text_release(&written);
    }
    weir_text_release(&out);
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

static const char msr_text[] =
    "{\"maxSizePerFPGA\": 100.5, \"maxFPGAs\": 2, \"maxCPUs\": 1, \"nodes\": ["
    "{\"id\": 7, \"supportedOnFpga\": 1, \"cpuLatency\": 10.5, \"fpgaLatency\": 1.5, \"isBackwardNode\": 0, "
    "\"colorClass\": 3, "
    "\"size\": 4.0, \"name\": \"f\"},"
    "{\"id\": 8, \"supportedOnFpga\": true, \"cpuLatency\": 1, \"fpgaLatency\": 2, \"isBackwardNode\": true, "
    "\"colorClass\": 3},"
    "{\"id\": 9, \"supportedOnFpga\": 0, \"cpuLatency\": 5, \"fpgaLatency\": 0, \"isBackwardNode\": false}],"
    "\"edges\": [{\"sourceId\": 7, \"destId\": 8, \"cost\": 0.25, \"size\": 12}, {\"sourceId\": 7, \"destId\": 9, "
    "\"cost\": 0.25}]}";

static void an_msr_file_survives_a_round_trip(void **state)
{
    (void)state;
    struct weir_cost_graph graph, again;
    assert_ok(parse(msr_text, WEIR_COST_GRAPH_AUTO, &graph));
    assert_true(graph.memory == 100.5 && graph.devices == 2 && graph.cpus == 1 && graph.integer_ids);
    assert_true(graph.nodes[1].backward && graph.nodes[1].input_grad == 2 && graph.nodes[2].no_accelerator);
    for (int format = WEIR_COST_GRAPH_WEIR; format <= WEIR_COST_GRAPH_MSR; format += WEIR_COST_GRAPH_MSR - WEIR_COST_GRAPH_WEIR) {
        struct weir_text text = {0};
        assert_ok(weir_cost_graph_write(&graph, (enum weir_cost_graph_format)format, &text));
        assert_ok(weir_cost_graph_parse(text.data, text.length, "again", WEIR_COST_GRAPH_AUTO, 0, &again));
        assert_int_equal(again.n_nodes, 3);
        for (int v = 0; v < 3; v++) {
            const struct weir_cost_node *a = &graph.nodes[v], *b = &again.nodes[v];
            assert_string_equal(a->id, b->id);
            assert_string_equal(a->name, b->name);
            assert_true(weir_cost_node_time(a) == weir_cost_node_time(b) && a->cpu == b->cpu && a->color == b->color);
            assert_true(a->parameter_bytes == b->parameter_bytes && a->no_accelerator == b->no_accelerator);
        }
        assert_true(again.edges[0].cost == 0.25 && again.edges[0].bytes == 12 && again.memory == 100.5);
        weir_cost_graph_release(&again);
        weir_text_release(&text);
    }
    weir_cost_graph_release(&graph);
}

static void malformed_files_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum weir_cost_graph_format format;
        const char *words;
    } rows[] = {
        {"", WEIR_COST_GRAPH_AUTO, "no nodes"},
        {"\n\n", WEIR_COST_GRAPH_AUTO, "no nodes"},
        {"{", WEIR_COST_GRAPH_AUTO, "line 1"},
        {"[]", WEIR_COST_GRAPH_MSR, "no JSON object"},
        {"{\"nodes\": []}", WEIR_COST_GRAPH_MSR, "no array 'edges'"},
        {"{\"nodes\": [], \"edges\": []}", WEIR_COST_GRAPH_MSR, "no nodes"},
        {"{\"nodes\": [{\"id\": \"x\"}], \"edges\": []}", WEIR_COST_GRAPH_MSR, "'id' must be an integer"},
        {"{\"nodes\": [{\"id\": 1}], \"edges\": []}", WEIR_COST_GRAPH_MSR, "'fpgaLatency' is missing"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": -1}], \"edges\": []}", WEIR_COST_GRAPH_MSR, "forward time is -1"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": 1, \"isBackwardNode\": 2}], \"edges\": []}", WEIR_COST_GRAPH_MSR,
         "0 or 1"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": 1, \"colorClass\": -4}], \"edges\": []}", WEIR_COST_GRAPH_MSR,
         "colorClass"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": 1}, {\"id\": 1, \"fpgaLatency\": 1}], \"edges\": []}",
         WEIR_COST_GRAPH_MSR, "two nodes have the id '1'"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": 1}], \"edges\": [{\"sourceId\": 1, \"destId\": 2, \"cost\": 1}]}",
         WEIR_COST_GRAPH_MSR, "'2', which is not there"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": 1}], \"edges\": [{\"sourceId\": 1, \"destId\": 1, \"cost\": 1}]}",
         WEIR_COST_GRAPH_MSR, "edge to itself"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": 1}, {\"id\": 2, \"fpgaLatency\": 1}], \"edges\": [{\"sourceId\": "
         "1, "
         "\"destId\": 2, \"cost\": 1}, {\"sourceId\": 1, \"destId\": 2, \"cost\": 1}]}",
         WEIR_COST_GRAPH_MSR, "stands twice"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": 1}, {\"id\": 2, \"fpgaLatency\": 1}], \"edges\": [{\"sourceId\": "
         "1, "
         "\"destId\": 2, \"cost\": 1}, {\"sourceId\": 2, \"destId\": 1, \"cost\": 1}]}",
         WEIR_COST_GRAPH_MSR, "cycle"},
        {"{\"nodes\": [{\"id\": 1, \"fpgaLatency\": 1}, {\"id\": 2, \"fpgaLatency\": 1}, {\"id\": 3, \"fpgaLatency\": "
         "1}], "
         "\"edges\": [{\"sourceId\": 1, \"destId\": 2, \"cost\": 1}, {\"sourceId\": 1, \"destId\": 3, \"cost\": 2}]}",
         WEIR_COST_GRAPH_MSR, "the edges of one output have one cost"},
        {"{\"nodes\": [{\"id\": 1, \"TMPCs\": {}}], \"edges\": [], \"bandwidth\": 1}", WEIR_COST_GRAPH_PIPER,
         "0 configurations"},
        {"{\"nodes\": [], \"edges\": []}", WEIR_COST_GRAPH_PIPER, "'bandwidth' is missing"},
        {"{\"nodes\": [], \"edges\": []}", WEIR_COST_GRAPH_WEIR, "'format' is not"},
        {"{\"format\": \"weir-cost-graph\", \"nodes\": [{\"id\": 1}, {\"id\": \"b\"}], \"edges\": []}", WEIR_COST_GRAPH_WEIR,
         "all integers or all strings"},
        {"{\"format\": \"weir-cost-graph\", \"nodes\": [{\"id\": 1, \"backward\": 1, \"input_grad\": 1}], \"edges\": "
         "[]}",
         WEIR_COST_GRAPH_WEIR, "not both"},
        {"a -- b -- c", WEIR_COST_GRAPH_AUTO, "'c' is not"},
        {"a -- b -- c -- d -- e", WEIR_COST_GRAPH_AUTO, "neither a node"},
        {"a -- b", WEIR_COST_GRAPH_AUTO, "node 'a' is not there"},
        {"a -- b -- forward_compute_time=1", WEIR_COST_GRAPH_AUTO, "is not \"forward_compute_time="},
        {NODE("a", "b", "1", "1", "[1; 2", "0"), WEIR_COST_GRAPH_AUTO, "line 1"},
        {NODE("a", "b", "1", "1", "1", "0") " trailing", WEIR_COST_GRAPH_AUTO, "line 1"},
        {NODE("a", "b", "nan", "1", "1", "0"), WEIR_COST_GRAPH_AUTO, "line 1"},
        {NODE("a", "b", "-1", "1", "1", "0"), WEIR_COST_GRAPH_AUTO, "forward time is -1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_cost_graph graph;
        assert_fails(parse(rows[i].text, rows[i].format, &graph), WEIR_ERR_INVALID, rows[i].words);
    }
}

#define WEIR_DOCUMENT(members, node, edge)                                                                             \
    "{\"format\": \"weir-cost-graph\"" members ", \"nodes\": [{\"id\": \"a\", \"forward\": 1" node                              \
    "}, {\"id\": \"b\", \"forward\": 1}], \"edges\": [{\"from\": \"a\", \"to\": \"b\", \"cost\": 1" edge "}]}"

/* A misspelt key would be a default: another answer without a word. */
static void unknown_keys_of_our_own_format_get_a_suggestion(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {WEIR_DOCUMENT(", \"memroy\": 10", "", ""), "document: unknown key 'memroy': did you mean 'memory'?"},
        {WEIR_DOCUMENT("", ", \"bwd\": 2", ""), "node a: unknown key 'bwd': it is one of id, name, forward, backward"},
        {WEIR_DOCUMENT("", ", \"backwards\": 2", ""), "node a: unknown key 'backwards': did you mean 'backward'?"},
        {WEIR_DOCUMENT("", "", ", \"nocut\": true"), "edges[0]: unknown key 'nocut': did you mean 'no_cut'?"},
        {WEIR_DOCUMENT("", ", \"variants\": [{\"time\": 1, \"memory_c\": 1}]", ""),
         "node a: unknown key 'memory_c': did you mean 'memory_"},
    };
    struct weir_cost_graph graph;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_fails(parse(rows[i].text, WEIR_COST_GRAPH_AUTO, &graph), WEIR_ERR_INVALID, rows[i].words);
    assert_fails(parse(WEIR_DOCUMENT(", \"version\": 2", "", ""), WEIR_COST_GRAPH_AUTO, &graph), WEIR_ERR_UNSUPPORTED,
                 "'version' is 2");
    assert_ok(parse(WEIR_DOCUMENT(", \"version\": 1", "", ""), WEIR_COST_GRAPH_AUTO, &graph));
    weir_cost_graph_release(&graph);
}

/* Published formats belong to others: what their tools add is passed over. */
static void unknown_keys_of_published_formats_are_passed_over(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    assert_ok(parse("{\"author\": \"x\", \"nodes\": [{\"id\": 1, \"fpgaLatency\": 1, \"comment\": \"y\"}], \"edges\": []}",
                    WEIR_COST_GRAPH_MSR, &graph));
    weir_cost_graph_release(&graph);
}

static void numbers_that_no_sum_holds_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {WEIR_DOCUMENT("", ", \"input_grad\": 1e308", ""), "node 'a': input-gradient time is 1e+308"},
        {WEIR_DOCUMENT("", ", \"backward\": -1", ""), "node 'a': input-gradient time is -1"},
        {WEIR_DOCUMENT("", ", \"cpu\": -0.5", ""), "node 'a': CPU time is -0.5"},
        {WEIR_DOCUMENT("", ", \"cpu\": \"NaN\"", ""), "node a: 'cpu' is a string"},
        {WEIR_DOCUMENT("", ", \"parameter_bytes\": 1e300", ""), "node 'a': parameter size is 1e+300"},
        {WEIR_DOCUMENT("", ", \"parameter_bytes\": 1e999", ""), "line 1"},
        {WEIR_DOCUMENT("", ", \"parameter_bytes\": 1152921504606846976, \"activation_bytes\": 1152921504606850000", ""),
         "activation size is"},
        {WEIR_DOCUMENT("", "", ", \"bytes\": -1"), "node 'a': size of an edge is -1"},
        {WEIR_DOCUMENT(", \"memory\": 0", "", ""), "the memory of a device is 0 bytes"},
        {WEIR_DOCUMENT(", \"memory\": 0.5", "", ""), "the memory of a device is 0.5 bytes"},
        {WEIR_DOCUMENT(", \"memory\": -1e308", "", ""), "the memory of a device is -1e+308 bytes"},
        {WEIR_DOCUMENT(", \"bandwidth\": -1", "", ""), "the bandwidth is -1 bytes/s"},
        {WEIR_DOCUMENT(", \"units_per_second\": 1e308", "", ""), "a second has 1e+308 units"},
        {WEIR_DOCUMENT(", \"units_per_second\": 0", "", ""), "a second has 0 units"},
        {WEIR_DOCUMENT(", \"micro_batches\": -8", "", ""), "a step has -8 micro-batches"},
        {"{\"maxSizePerFPGA\": 0, \"nodes\": [{\"id\": 1, \"fpgaLatency\": 1}], \"edges\": []}",
         "the memory of a device is 0 bytes"},
        {NODE("a", "b", "1", "1", "1e999", "0"), "line 1"},
        {NODE("a", "b", "1", "1", "inf", "0"), "line 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_cost_graph graph;
        assert_fails(parse(rows[i].text, WEIR_COST_GRAPH_AUTO, &graph), WEIR_ERR_INVALID, rows[i].words);
    }
    struct weir_cost_graph graph;
    struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
    static const char *const ids[] = {"a", "b", "c"};
    weir_cost_graph_init(&graph);
    for (int v = 0; v < 3; v++) {
        node.id = ids[v], node.parameter_bytes = 0x1p60 - (v == 1 ? 0 : 4096);
        assert_ok(weir_cost_graph_add_node(&graph, &node, NULL));
    }
    assert_fails(weir_cost_graph_finish(&graph), WEIR_ERR_INVALID, "bytes (node 'b' has");
    weir_cost_graph_release(&graph);
}

/* Times so small that a 2^-57th of them is none are planned all the same. */
static void the_smallest_times_are_planned(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    struct weir_arena arena = {0};
    weir_cost_graph_init(&graph);
    for (int v = 0; v < 2; v++) {
        struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
        node.id = v ? "b" : "a", node.forward = 0x1p-1060;
        assert_ok(weir_cost_graph_add_node(&graph, &node, NULL));
    }
    assert_ok(weir_cost_graph_finish(&graph));
    options.devices = 2;
    assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
    assert_true(result.plan.objective == 0x1p-1060);
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

static void a_name_that_is_not_text_is_not_written_as_json(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    struct weir_text text = {0};
    assert_ok(parse(NODE("a", "caf\xe9", "1.0", "1.0", "1.0", "0.0"), WEIR_COST_GRAPH_AUTO, &graph));
    assert_fails(weir_cost_graph_write(&graph, WEIR_COST_GRAPH_WEIR, &text), WEIR_ERR_UNSUPPORTED, "is not UTF-8");
    weir_text_release(&text);
    weir_cost_graph_release(&graph);
}

static void piper_files_with_inner_synchronisation_are_unsupported(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    static const char text[] =
        "{\"bandwidth\": 10, \"mbsInBatch\": 4, \"nodes\": [{\"id\": 1, \"TMPCs\": {\"1\": [{\"id\": \"vanilla\", "
        "\"timePerSample\": 1, \"parameterSize\": 1, \"memoryUsageA\": 1, \"memoryUsageB\": 1, \"syncTimeFw\": {\"2\": "
        "5}}]}}], "
        "\"edges\": []}";
    assert_fails(parse(text, WEIR_COST_GRAPH_AUTO, &graph), WEIR_ERR_UNSUPPORTED, "'syncTimeFw' is not zero");
}

static void bad_splits_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"{}", "neither an array 'stages'"},
        {"{\"fpgas\": [{\"nodes\": [7, 8]}], \"cpus\": []}", "node '9' is on no device"},
        {"{\"fpgas\": [{\"nodes\": [7, 7]}], \"cpus\": []}", "twice"},
        {"{\"fpgas\": [{\"nodes\": [70]}], \"cpus\": []}", "which the graph does not have"},
        {"{\"fpgas\": [{}]}", "no array 'nodes'"},
        {"{\"devices\": 1, \"stages\": [{\"device\": 3, \"nodes\": []}]}", "there is no device 3"},
        {"7 -- x -- y -- stage_id=-1", "is no stage"},
        {"{\"device\": 1, \"stages\": []}", "document: unknown key 'device': did you mean 'devices'?"},
        {"{\"stages\": [{\"node\": [7]}]}", "stages[0]: unknown key 'node': did you mean 'nodes'?"},
        {"{\"stages\": [7]}", "stages[0] must be an object"},
        {"{\"devices\": 1, \"cpus\": 1, \"stages\": [{\"device\": 0, \"cpu\": true, \"nodes\": []}]}",
         "stages[0]: 'cpu' is true, but device 0 is one of the accelerators"},
        {"{\"devices\": 9223372036854775807, \"cpus\": 9223372036854775807, \"stages\": []}", "'devices' or 'cpus'"},
    };
    struct weir_cost_graph graph;
    struct weir_arena arena = {0};
    const int *device_of;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan plan;
    bool contiguous;
    assert_ok(parse(msr_text, WEIR_COST_GRAPH_MSR, &graph));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_fails(weir_plan_parse(&graph, rows[i].text, strlen(rows[i].text), "p", &arena, &device_of,
                                     &options.devices, &options.cpus),
                     WEIR_ERR_INVALID, rows[i].words);
    const int split_colors[] = {0, 1, 2}, wrong_place[] = {0, 0, 1}, good[] = {1, 1, 2};
    options.devices = 2, options.cpus = 1, options.memory = 1;
    assert_fails(weir_plan_evaluate(&graph, &options, split_colors, &arena, &plan, &contiguous), WEIR_ERR_NOFIT,
                 "color 3");
    assert_fails(weir_plan_evaluate(&graph, &options, wrong_place, &arena, &plan, &contiguous), WEIR_ERR_NOFIT,
                 "cannot run on an accelerator");
    assert_fails(weir_plan_evaluate(&graph, &options, good, &arena, &plan, &contiguous), WEIR_ERR_NOFIT,
                 "the cap is 1");
    options.memory = 0;
    assert_fails(weir_plan_evaluate(&graph, &options, good, &arena, &plan, &contiguous), WEIR_ERR_INVALID,
                 "the memory cap is 0 bytes");
    options.memory = 10;
    assert_ok(weir_plan_evaluate(&graph, &options, good, &arena, &plan, &contiguous));
    assert_true(plan.objective == 5 && plan.n_parts == 2 && contiguous); /* 3.5 + 0.25 on the device, 5 on the CPU */
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

static void absurd_units_are_noticed(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    struct weir_arena arena = {0};
    assert_ok(parse(msr_text, WEIR_COST_GRAPH_MSR, &graph));
    assert_null(weir_cost_graph_suspicion(&graph, &arena));
    graph.edges[0].bytes = 1e12;
    assert_non_null(strstr(weir_cost_graph_suspicion(&graph, &arena), "bytes/s"));
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

/* Reading and planning with an allocator that fails at every point in turn: a status, no leak, no crash. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const char text[] = NODE("a", "A", "1.0", "2.0", "1e6", "4.0") "\n" NODE(
        "b", "B", "2.0", "1.0", "1e6", "0.0") "\n" NODE("c", "C", "2.0", "1.0", "1e6", "0.0") "\n\ta -- b\n\ta -- c\n";
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    options.devices = 2;
    weir_status status = WEIR_ERR_NOMEM;
    for (int unordered = 0; unordered < 2; unordered++) {
        options.unordered = unordered;
        options.seconds = unordered ? 0.002 : 0;
        for (int64_t budget = 0; budget < 100000; budget++) {
            struct weir_cost_graph graph;
            struct weir_plan_result result;
            struct weir_arena arena = {0};
            weir_alloc_set_budget(budget);
            status = parse(text, WEIR_COST_GRAPH_AUTO, &graph);
            if (!status) {
                status = weir_plan_solve(&graph, &options, &arena, &result);
                weir_cost_graph_release(&graph);
            }
            weir_alloc_set_budget(-1);
            weir_arena_release(&arena);
            if (!status)
                break;
            assert_int_equal(status, WEIR_ERR_NOMEM);
        }
        assert_ok(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_txt_is_read_with_its_quirks),
        cmocka_unit_test(a_plan_goes_back_into_a_graph_txt),
        cmocka_unit_test(an_msr_file_survives_a_round_trip),
        cmocka_unit_test(malformed_files_are_refused_with_the_reason),
        cmocka_unit_test(unknown_keys_of_our_own_format_get_a_suggestion),
        cmocka_unit_test(unknown_keys_of_published_formats_are_passed_over),
        cmocka_unit_test(numbers_that_no_sum_holds_are_refused_by_name),
        cmocka_unit_test(the_smallest_times_are_planned),
        cmocka_unit_test(a_name_that_is_not_text_is_not_written_as_json),
        cmocka_unit_test(piper_files_with_inner_synchronisation_are_unsupported),
        cmocka_unit_test(bad_splits_are_refused_with_the_reason),
        cmocka_unit_test(absurd_units_are_noticed),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
