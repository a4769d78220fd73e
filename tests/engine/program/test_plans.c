/* Plans as programs see them: found or read, applied to a configuration, written.
 * labels: threads */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "include/weir/plan.h"

enum { POSITIONS = 16, BATCH = 8 };

static struct weir_arena arena;
static const struct weir_graph *tiny;

static const struct weir_graph *graph_of(int64_t positions)
{
    const struct weir_model_kind *kind;
    const struct weir_graph *graph;
    assert_ok(weir_model_find("gpt2-tiny", &kind));
    assert_ok(weir_model_build(kind, &(struct weir_model_params){.microbatch_size = 1, .seq_len = positions}, &arena, &graph));
    return graph;
}

static int setup(void **state)
{
    (void)state;
    tiny = graph_of(POSITIONS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

static struct weir_plan_request request_of(int n_devices)
{
    struct weir_plan_request request;
    weir_plan_request_init(&request, sizeof request);
    request.graph = tiny;
    request.model = "gpt2-tiny";
    request.n_devices = n_devices;
    request.global_batch = BATCH;
    return request;
}

static struct weir_plan_info info_of(const weir_plans *plans, int index)
{
    struct weir_plan_info info;
    assert_ok(weir_plans_info(plans, index, &info));
    return info;
}

static void plans_are_found_and_come_sorted(void **state)
{
    (void)state;
    struct weir_plan_request request = request_of(2);
    weir_plans *plans;
    int64_t candidates, simulated, compiled;
    request.n_top = 3;
    assert_ok(weir_plans_find(&request, &plans));
    assert_int_equal(weir_plans_count(plans), 3);
    for (int i = 0; i < 3; i++) {
        struct weir_plan_info info = info_of(plans, i);
        assert_true(info.step_ms > 0 && (i == 0 || info.step_ms >= info_of(plans, i - 1).step_ms));
        assert_int_equal(info.n_replicas * info.microbatch_size * info.n_microbatches, BATCH);
        assert_int_equal(info.n_stages, info.n_ranks * info.n_chunks);
        assert_int_equal(info.first_layer[0], 0);
        assert_int_equal(info.first_layer[info.n_stages], tiny->n_layers);
        assert_true(info.memory->n_ranks == info.n_ranks && info.rank_ms[info.busiest] == info.busiest_ms);
        assert_int_equal(info.seq_len, POSITIONS);
        assert_string_equal(info.model, "gpt2-tiny");
        assert_string_equal(info.dtype, "f32");
        assert_null(info.device_of);
    }
    weir_plans_effort(plans, &candidates, &simulated, &compiled);
    assert_true(candidates >= simulated && simulated >= compiled && compiled >= 3);
    struct weir_plan_info info;
    assert_fails(weir_plans_info(plans, 3, &info), WEIR_ERR_INVALID, "there is no plan 3, there are 3");
    assert_fails(weir_plans_least(plans, &info), WEIR_ERR_INVALID, "some that fit");
    weir_plans_close(plans);
}

static void what_does_not_fit_is_said_with_what_comes_nearest(void **state)
{
    (void)state;
    struct weir_plan_request request = request_of(2);
    struct weir_engine_config config;
    struct weir_plan_info info;
    weir_plans *plans;
    weir_engine_config_init(&config, sizeof config);
    config.device_memory = 1 << 16;
    request.config = &config;
    assert_ok(weir_plans_find(&request, &plans));
    assert_int_equal(weir_plans_count(plans), 0);
    assert_fails(weir_plans_info(plans, 0, &info), WEIR_ERR_NOFIT, "nothing fits: the leanest plan has rank");
    assert_ok(weir_plans_least(plans, &info));
    assert_true(info.memory->ranks[info.memory->largest].all > 1 << 16);
    weir_plans_close(plans);
}

/* The first loss of an engine that a plan configures. */
static double loss_of(weir_plans *plans)
{
    static int32_t tokens[BATCH * POSITIONS];
    struct weir_engine_config config;
    struct weir_step_report report;
    weir_engine *engine;
    struct weir_plan_info info = info_of(plans, 0);
    weir_engine_config_init(&config, sizeof config);
    config.graph = tiny;
    assert_ok(weir_plans_configure(plans, 0, &config));
    assert_int_equal(config.graph->microbatch_size, info.microbatch_size);
    assert_int_equal(config.replicas, info.n_replicas);
    for (int r = 0; info.order && r < info.n_ranks; r++) { /* losses are those of any order */
        assert_int_equal(config.schedule->ranks[r].n_actions, info.order->ranks[r].n_actions);
        assert_memory_equal(config.schedule->ranks[r].actions, info.order->ranks[r].actions,
                            info.order->ranks[r].n_actions * sizeof(struct weir_action));
    }
    assert_ok(weir_engine_open(&config, &engine));
    for (int mb = 0; mb < info.n_replicas * info.n_microbatches; mb++) {
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, tokens));
    }
    assert_ok(weir_engine_step(engine, 1e-3, &report));
    assert_int_equal(report.n_ranks, info.n_ranks * info.n_replicas);
    weir_engine_close(engine);
    return report.loss;
}

static void runs_and_so_does_its_file(const struct weir_plan_request *request, bool ordered)
{
    weir_plans *plans, *again;
    const char *path = "test_plans.json";
    assert_ok(weir_plans_find(request, &plans));
    assert_true(ordered == !strcmp(info_of(plans, 0).schedule, "auto"));
    assert_ok(weir_plans_write(plans, 0, path));
    assert_ok(weir_plans_read(path, &again));
    struct weir_plan_info found = info_of(plans, 0), read = info_of(again, 0);
    assert_string_equal(found.schedule, read.schedule);
    assert_string_equal(found.recompute, read.recompute);
    assert_memory_equal(found.first_layer, read.first_layer, (size_t)(found.n_stages + 1) * sizeof(int));
    for (int r = 0; r < found.n_ranks; r++)
        assert_true(found.rank_ms[r] == read.rank_ms[r]);
    assert_true(read.memory == NULL && read.step_ms == 0);
    assert_true(!ordered || (found.order && read.order));
    double loss = loss_of(plans);
    assert_true(loss > 1 && loss == loss_of(again));
    assert_ok(weir_plans_write(again, 0, path));
    weir_plans_close(again);
    assert_ok(weir_plans_read(path, &again));
    assert_true(info_of(again, 0).rank_ms[0] == found.rank_ms[0]);
    remove(path);
    weir_plans_close(again);
    weir_plans_close(plans);
}

static void a_plan_runs_and_so_does_its_file(void **state)
{
    (void)state;
    struct weir_plan_request request = request_of(2);
    runs_and_so_does_its_file(&request, false);
    request.schedule = "auto";
    request.max_replicas = 1;
    request.zero = 0;
    runs_and_so_does_its_file(&request, true);
}

static void a_plan_is_for_its_graph_alone(void **state)
{
    (void)state;
    struct weir_plan_request request = request_of(1);
    struct weir_engine_config config;
    const struct weir_model_kind *kind;
    const struct weir_graph *other;
    weir_plans *plans;
    assert_ok(weir_model_find("llama-tiny", &kind));
    assert_ok(weir_model_build(kind, &(struct weir_model_params){.microbatch_size = 1, .seq_len = POSITIONS}, &arena, &other));
    assert_ok(weir_plans_find(&request, &plans));
    assert_ok(weir_plans_check(plans, 0, tiny));
    assert_fails(weir_plans_check(plans, 0, other), WEIR_ERR_INVALID, "was made for model 'gpt2-tiny'");
    assert_fails(weir_plans_check(plans, 0, graph_of(8)), WEIR_ERR_INVALID, "is for 16 tokens per sample, the graph has 8");
    weir_engine_config_init(&config, sizeof config);
    assert_fails(weir_plans_configure(plans, 0, &config), WEIR_ERR_INVALID, "a plan is for a graph, the configuration has none");
    weir_plans_close(plans);
}

static void a_topology_places_ranks_and_twice_as_fast_links_do_no_harm(void **state)
{
    (void)state;
    struct weir_plan_request request = request_of(0);
    weir_plans *plans, *fast;
    request.topology = "2 nodes x 2, 100GB/s, 1GB/s";
    assert_ok(weir_plans_find(&request, &plans));
    struct weir_plan_info info = info_of(plans, 0);
    for (int i = 0; i < info.n_ranks * info.n_replicas; i++)
        assert_true(info.device_of[i] >= 0 && info.device_of[i] < 4);
    request.link_speed = 2;
    assert_ok(weir_plans_find(&request, &fast));
    assert_true(info_of(fast, 0).step_ms <= info.step_ms);
    weir_plans_close(fast);
    weir_plans_close(plans);
}

static void rates_that_are_not_given_are_assumed(void **state)
{
    (void)state;
    struct weir_plan_request request = request_of(2);
    struct weir_engine_config config;
    weir_engine_config_init(&config, sizeof config);
    config.device = "cuda";
    config.dtype = WEIR_COMPUTE_BF16;
    request.config = &config;
    request.bytes_per_s = 3e12;
    assert_ok(weir_plan_request_assume(&request));
    assert_true(request.flops_per_s == 70e12 && request.bytes_per_s == 3e12 && request.link_bytes_per_s == 12e9);
}

static void what_is_wrong_with_a_request_is_named(void **state)
{
    (void)state;
    weir_plans *plans = NULL;
    struct weir_plan_request request = request_of(2);
    struct weir_engine_config config;
    request.graph = NULL;
    assert_fails(weir_plans_find(&request, &plans), WEIR_ERR_INVALID, "a plan is for a graph, the request has none");
    request = request_of(0);
    assert_fails(weir_plans_find(&request, &plans), WEIR_ERR_USAGE, "devices is 0");
    request = request_of(2);
    request.schedule = "1f2b";
    assert_fails(weir_plans_find(&request, &plans), WEIR_ERR_USAGE, "1f2b");
    request = request_of(2);
    request.costs = &(struct weir_schedule_costs){.forward = 1};
    assert_fails(weir_plans_find(&request, &plans), WEIR_ERR_INVALID, "has no times of layers");
    request = request_of(2);
    request.zero = 7;
    assert_fails(weir_plans_find(&request, &plans), WEIR_ERR_USAGE, "zero is 7, it must be 0, 1 or -1 for any");
    request = request_of(2);
    request.max_replicas = -4;
    assert_fails(weir_plans_find(&request, &plans), WEIR_ERR_USAGE, "max_replicas is -4, it must not be negative");
    request = request_of(2);
    request.struct_bytes = 4;
    assert_fails(weir_plans_find(&request, &plans), WEIR_ERR_INVALID, "start with weir_plan_request_init");
    request = request_of(2);
    weir_engine_config_init(&config, sizeof config);
    config.device = "cuda:1";
    request.config = &config;
    assert_fails(weir_plans_find(&request, &plans), WEIR_ERR_USAGE, "not for 'cuda:1'");
    assert_fails(weir_plans_find(NULL, &plans), WEIR_ERR_INVALID, "it is NULL");
    assert_fails(weir_plans_read("no/such/plan.json", &plans), WEIR_ERR_IO, "no/such/plan.json");
    assert_null(plans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_found_and_come_sorted),
        cmocka_unit_test(what_does_not_fit_is_said_with_what_comes_nearest),
        cmocka_unit_test(a_plan_runs_and_so_does_its_file),
        cmocka_unit_test(a_plan_is_for_its_graph_alone),
        cmocka_unit_test(a_topology_places_ranks_and_twice_as_fast_links_do_no_harm),
        cmocka_unit_test(rates_that_are_not_given_are_assumed),
        cmocka_unit_test(what_is_wrong_with_a_request_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
