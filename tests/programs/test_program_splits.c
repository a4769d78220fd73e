/* What weir plan and weir info --topology do, by public headers alone.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "include/weir/auto.h"
#include "include/weir/info.h"
#include "include/weir/partition.h"
#include "include/weir/plan.h"
#include "include/weir/topology.h"

enum { STAGES = 3 };

static const struct weir_ceilings core = {150e9, 15e9, 12e9};
static struct weir_arena arena;
static struct weir_engine_config config;

/* What a function has said, cut. */
struct said {
    char text[4000];
    size_t bytes;
};

static void hear(void *context, const char *text, size_t bytes)
{
    struct said *said = context;
    size_t room = sizeof said->text - 1 - said->bytes, n = bytes < room ? bytes : room;
    memcpy(said->text + said->bytes, text, n);
    said->bytes += n;
    said->text[said->bytes] = 0;
}

static int setup(void **state)
{
    (void)state;
    const struct weir_model_kind *kind;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 16};
    weir_engine_config_init(&config, sizeof config);
    return weir_model_find("gpt2-tiny", &kind) || weir_model_build(kind, &params, &arena, &config.graph);
}

static int teardown(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

static void a_cut_is_read_and_written(void **state)
{
    (void)state;
    struct weir_layer_cut cut;
    struct said numbers = {.bytes = 0}, layout = {.bytes = 0};
    assert_ok(weir_layer_cut_layout("Et|t*2|t*3L", config.graph, &arena, &cut));
    assert_ok(weir_layer_cut_print(&cut, hear, &numbers));
    assert_string_equal(numbers.text, "0,3,7");
    assert_ok(weir_layer_cut_numbers("0,3,7", config.graph, &arena, &cut));
    assert_int_equal(cut.n_stages, STAGES);
    assert_ok(weir_layer_cut_layout_print(&cut, config.graph, hear, &layout));
    assert_string_equal(layout.text, "Et|t*2|t*3L");
    assert_fails(weir_layer_cut_numbers("0,3,99", config.graph, &arena, &cut), WEIR_ERR_USAGE, "99");
    assert_fails(weir_layer_cut_layout("EtmL", config.graph, &arena, &cut), WEIR_ERR_USAGE, "m");
    assert_ok(weir_layer_cut_numbers("0,2", config.graph, &arena, &cut));
    layout.bytes = 0;
    assert_fails(weir_layer_cut_layout_print(&cut, config.graph, hear, &layout), WEIR_ERR_UNSUPPORTED, "inside a block");
    assert_int_equal(layout.bytes, 0);
}

static void stages_have_costs_that_a_schedule_is_made_for(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = {.overlap_gain = 1, .n_stages = STAGES};
    struct weir_auto_request request = {.n_ranks = STAGES, .n_microbatches = 6, .costs = &costs};
    const struct weir_schedule_boundary *boundaries;
    struct weir_auto_result made;
    struct weir_simulation simulation;
    int n;
    assert_ok(weir_stage_costs_find(&config, STAGES, &core, &arena, &costs.stages));
    assert_ok(weir_stage_boundaries_find(&config, STAGES, &arena, &boundaries, &n));
    assert_int_equal(n, STAGES - 1);
    assert_true(costs.stages[0].forward > 0 && costs.stages[0].mem_backward > 0);
    assert_ok(weir_schedule_auto(&request, &arena, &made));
    if (made.value < made.bound * (1 - 1e-9) || made.value > made.best_value * (1 + 1e-9))
        fail_msg("%.17g is not from %.17g to %.17g", made.value, made.bound, made.best_value);
    assert_ok(weir_schedule_simulate(&made.schedule, &costs, &(struct weir_simulation_options){0}, &arena, &simulation));
    assert_float_equal(simulation.makespan, made.value, 1e-9 * made.value);
}

static void requests_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct weir_engine_config none;
    const struct weir_stage_costs *stages;
    struct weir_auto_request larger[2] = {{.n_ranks = 1}, {.n_ranks = 1}};
    struct weir_auto_result made;
    struct weir_split_request request = {.struct_bytes = 0};
    weir_split *split;
    weir_cost_graph *graph;
    weir_engine_config_init(&none, sizeof none);
    assert_fails(weir_stage_costs_find(&none, STAGES, &core, &arena, &stages), WEIR_ERR_INVALID, "graph");
    assert_fails(weir_stage_costs_find(NULL, STAGES, &core, &arena, &stages), WEIR_ERR_INVALID, "NULL");
    assert_fails(weir_stage_costs_find(&config, 0, &core, &arena, &stages), WEIR_ERR_INVALID, "at least 1");
    assert_fails(weir_stage_costs_find(&config, 99, &core, &arena, &stages), WEIR_ERR_NOFIT, "");
    assert_fails(weir_schedule_auto(NULL, &arena, &made), WEIR_ERR_INVALID, "NULL");
    assert_fails(weir_schedule_auto_sized(larger, sizeof larger, &arena, &made, sizeof made), WEIR_ERR_INVALID, "newer");
    assert_fails(weir_cost_graph_of_model(NULL, NULL, &core, &graph), WEIR_ERR_INVALID, "NULL");
    assert_fails(weir_cost_graph_of_model(config.graph, "nothing", &core, &graph), WEIR_ERR_USAGE, "nothing");
    assert_fails(weir_cost_graph_open(testing_path("nowhere.json"), NULL, 0, &graph), WEIR_ERR_IO, "nowhere.json");
    assert_fails(weir_cost_graph_open_text("{}", 2, "mine", "xml", 0, &graph), WEIR_ERR_USAGE, "xml");
    assert_fails(weir_cost_graph_open_text("{}", 2, "mine", NULL, 0, &graph), WEIR_ERR_INVALID, "mine");
    assert_ok(weir_cost_graph_of_model(config.graph, NULL, &core, &graph));
    assert_fails(weir_split_find(graph, &request, &split), WEIR_ERR_INVALID, "weir_split_request_init");
    weir_split_request_init(&request, sizeof request);
    assert_fails(weir_split_find(graph, &request, &split), WEIR_ERR_INVALID, ""); /* no devices */
    weir_cost_graph_close(graph);
    weir_cost_graph_close(NULL);
    weir_split_close(NULL);
}

static void a_model_is_split_and_the_split_says_why(void **state)
{
    (void)state;
    struct weir_split_request request;
    struct weir_cost_graph_info has;
    struct weir_split_info info;
    struct weir_split_part part;
    struct weir_cost_node_info node;
    struct weir_split_point point;
    struct said said = {.bytes = 0};
    weir_cost_graph *graph, *again;
    weir_split *split;
    int n = 0;
    assert_ok(weir_cost_graph_of_model(config.graph, NULL, &core, &graph));
    weir_cost_graph_info(graph, &has);
    assert_true(has.n_nodes == config.graph->n_layers && has.units_per_second == 1000 && isinf(has.memory));
    weir_split_request_init(&request, sizeof request);
    request.n_devices = 2;
    request.curve_first = 1;
    request.curve_last = 2;
    assert_ok(weir_split_find(graph, &request, &split));
    weir_split_info(split, &info);
    assert_true(info.n_parts == 2 && info.objective >= info.lower_bound && info.n_points == 2);
    for (int i = 0; i < info.n_parts; i++) {
        assert_ok(weir_split_part_get(split, i, &part));
        for (int k = 0; k < part.n_nodes; k++)
            assert_int_equal(part.nodes[k], n++);
        assert_true(part.load <= info.objective);
    }
    assert_int_equal(n, has.n_nodes);
    assert_fails(weir_split_part_get(split, 2, &part), WEIR_ERR_INVALID, "no part 2");
    assert_ok(weir_split_point_get(split, 0, &point));
    assert_true(point.n_devices == 1 && point.objective > info.objective);
    assert_fails(weir_split_point_get(split, -1, &point), WEIR_ERR_INVALID, "");
    assert_ok(weir_cost_graph_node_get(graph, 1, &node));
    assert_true(node.forward > 0 && node.parameter_bytes > 0);
    assert_fails(weir_cost_graph_node_get(graph, n, &node), WEIR_ERR_INVALID, "no node");
    assert_ok(weir_split_write(split, "layers", hear, &said));
    assert_int_equal(said.text[said.bytes - 1], '\n');
    assert_fails(weir_split_write(split, "poem", hear, &said), WEIR_ERR_USAGE, "poem");
    assert_fails(weir_split_refuse(split), WEIR_ERR_INVALID, "there is a split");
    weir_split_close(split);
    request.memory = 1;
    assert_ok(weir_split_find(graph, &request, &split));
    assert_fails(weir_split_refuse(split), WEIR_ERR_NOFIT, "");
    weir_split_close(split);
    assert_fails(weir_cost_graph_print(graph, "dot", hear, &said), WEIR_ERR_USAGE, "dot");
    assert_int_equal(weir_cost_graph_open_text("{\"format\": \"weir-cost-graph\"}", 29, "mine", NULL, 0, &again), WEIR_ERR_INVALID);
    weir_cost_graph_close(graph);
}

static void a_graph_of_the_program_is_text_and_is_scored(void **state)
{
    (void)state;
    static const char line[] = "{\"format\": \"weir-cost-graph\", \"version\": 1, \"nodes\": [{\"id\": \"a\", \"forward\": 1, \"input_grad\": 1, "
                               "\"weight_grad\": 1}, {\"id\": \"b\", \"forward\": 2, \"input_grad\": 2, \"weight_grad\": 2}], \"edges\": "
                               "[{\"from\": \"a\", \"to\": \"b\", \"bytes\": 10, \"cost\": 0.5}]}";
    struct weir_split_info info;
    weir_cost_graph *graph;
    weir_split *split;
    const char *path = testing_path("mine.json");
    assert_ok(weir_cost_graph_open_text(line, sizeof line - 1, "mine", NULL, 0, &graph));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("{\"stages\": [{\"device\": 0, \"nodes\": [\"a\"]}, {\"device\": 1, \"nodes\": [\"b\"]}]}", file);
    fclose(file);
    assert_ok(weir_split_score(graph, path, 0, &split));
    weir_split_info(split, &info);
    assert_true(info.objective == 6.5 && info.contiguous && info.n_parts == 2);
    weir_split_close(split);
    assert_fails(weir_split_score(graph, testing_path("nowhere.json"), 0, &split), WEIR_ERR_IO, "nowhere.json");
    weir_cost_graph_close(graph);
}

static void ways_between_devices_are_known(void **state)
{
    (void)state;
    const struct weir_topology *t;
    struct weir_topology_info info;
    struct weir_topology_device_info device;
    struct said said = {.bytes = 0};
    double rate, latency;
    assert_ok(weir_topology_open("2 nodes x 8, 400GB/s inside, 50GB/s between, 5us", &arena, &t));
    weir_topology_info(t, &info);
    assert_true(info.n_devices == 16 && info.n_nodes == 2);
    assert_string_equal(info.form, "text");
    assert_ok(weir_topology_way(t, 0, 8, &rate, &latency));
    assert_float_equal(rate, 50e9, 1);
    assert_float_equal(latency, 5e-6, 1e-12);
    assert_ok(weir_topology_device_get(t, 9, &device));
    assert_true(device.node && device.speed == 1);
    assert_fails(weir_topology_device_get(t, 16, &device), WEIR_ERR_INVALID, "no device 16");
    assert_fails(weir_topology_way(t, 3, 3, &rate, &latency), WEIR_ERR_INVALID, "itself");
    assert_fails(weir_topology_open("nowhere.xml", &arena, &t), WEIR_ERR_IO, "nowhere.xml");
    assert_ok(weir_topology_describe(t, hear, &said));
    assert_non_null(strstr(said.text, "device"));
    said.bytes = 0;
    assert_ok(weir_topology_draw(t, hear, &said));
    assert_non_null(strstr(said.text, "<svg"));
}

/* Two hosts, each with a core for either of its two ranks; the order of the processes is the one of replicas. */
static void processes_get_cores_of_their_hosts(void **state)
{
    (void)state;
    struct weir_placement_request request;
    struct weir_placement_info info;
    struct weir_placement_process process;
    weir_placement *placement;
    weir_placement_request_init(&request, sizeof request);
    request.order = "spread";
    request.n_ranks = 2;
    request.n_replicas = 2;
    request.per_host = 2;
    request.machine = "pack:1 core:2 pu:2";
    weir_status status = weir_placement_find(&request, &placement);
    if (status == WEIR_ERR_UNSUPPORTED) {
        print_message("%s\n", weir_last_error());
        skip();
    }
    assert_ok(status);
    weir_placement_info(placement, &info);
    assert_true(info.n_processes == 4 && info.host_cores == 2 && !info.cores_shared && info.host_gpus == 0);
    assert_ok(weir_placement_process_get(placement, 3, &process));
    assert_true(process.replica == 1 && process.rank == 1 && process.host == 1);
    assert_true(process.n_cores == 1 && process.cores[0] == 1 && process.n_cpus == 2 && process.gpu < 0);
    assert_fails(weir_placement_process_get(placement, 4, &process), WEIR_ERR_INVALID, "no process 4");
    weir_placement_close(placement);
    weir_placement_close(NULL);
    request.order = "heap";
    assert_fails(weir_placement_find(&request, &placement), WEIR_ERR_USAGE, "heap");
    request.order = NULL;
    request.n_ranks = 0;
    assert_fails(weir_placement_find(&request, &placement), WEIR_ERR_INVALID, "cannot be");
    assert_fails(weir_placement_find(NULL, &placement), WEIR_ERR_INVALID, "NULL");
}

static void a_plan_says_what_crosses_its_cut(void **state)
{
    (void)state;
    struct weir_plan_request request;
    struct weir_plan_info plan;
    weir_plans *plans;
    weir_plan_request_init(&request, sizeof request);
    request.graph = config.graph;
    request.n_devices = 2;
    request.global_batch = 8;
    request.max_replicas = 1;
    assert_ok(weir_plans_find(&request, &plans));
    assert_ok(weir_plans_info(plans, 0, &plan));
    assert_int_equal(plan.n_boundaries, plan.n_stages - 1);
    for (int b = 0; b < plan.n_boundaries; b++)
        assert_true(plan.boundaries[b].to == b + 1 && plan.boundaries[b].bytes > 0);
    weir_plans_close(plans);
}

static void a_chain_is_cut_where_the_busiest_stage_has_least(void **state)
{
    (void)state;
    static const double cost[] = {4, 1, 1, 3, 2};
    int first[4];
    assert_ok(weir_chain_split(cost, 5, 3, first));
    assert_true(first[0] == 0 && first[1] == 1 && first[2] == 3 && first[3] == 5);
    assert_fails(weir_chain_split(cost, 5, 6, first), WEIR_ERR_NOFIT, "6 stages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_is_read_and_written),
        cmocka_unit_test(stages_have_costs_that_a_schedule_is_made_for),
        cmocka_unit_test(requests_that_cannot_be_are_refused),
        cmocka_unit_test(a_model_is_split_and_the_split_says_why),
        cmocka_unit_test(a_graph_of_the_program_is_text_and_is_scored),
        cmocka_unit_test(ways_between_devices_are_known),
        cmocka_unit_test(processes_get_cores_of_their_hosts),
        cmocka_unit_test(a_plan_says_what_crosses_its_cut),
        cmocka_unit_test(a_chain_is_cut_where_the_busiest_stage_has_least),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
