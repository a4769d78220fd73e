/* The planner: never worse with more, and what it returns was compiled.
 * labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/program/planner.h"
#include "include/weir/graph.h"
#include "models/model_kinds.h"
#include "schedules/schedule_kinds.h"

static struct weir_arena model_arena;
static const struct weir_graph *tiny;

static int setup(void **state)
{
    (void)state;
    const struct weir_model_params params = {.microbatch_size = 1, .seq_len = 16};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &params, &model_arena, &tiny));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_arena_release(&model_arena);
    return 0;
}

static struct weir_planner_request request_of(int n_devices)
{
    struct weir_planner_request request = {.graph = tiny, .config = WEIR_ENGINE_CONFIG_DEFAULT, .n_devices = n_devices, .global_batch = 8,
                                           .zero = WEIR_PLANNER_ANY, .ceilings = {150e9, 15e9, 1e9}, .n_top = 3};
    request.config.device = "cuda";
    return request;
}

/* The time of the best plan; INFINITY: none fits. */
static double best_of(const struct weir_planner_request *request)
{
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    assert_ok(weir_planner_run(request, &arena, &result));
    double best = result.n_plans ? result.plans[0].step_ms : INFINITY;
    weir_arena_release(&arena);
    return best;
}

static void plans_are_sorted_whole_and_within_the_cap(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    struct weir_planner_request request = request_of(4);
    request.config.device_memory = 60 << 20;
    assert_ok(weir_planner_run(&request, &arena, &result));
    assert_int_equal(result.n_plans, 3);
    for (int i = 0; i < result.n_plans; i++) {
        const struct weir_planned *plan = &result.plans[i];
        assert_true(i == 0 || plan->step_ms >= result.plans[i - 1].step_ms * (1 - 1e-8));
        assert_true(plan->memory.fits && plan->memory.n_ranks == plan->n_ranks);
        assert_true(plan->memory.ranks[plan->memory.largest].all <= (size_t)60 << 20);
        assert_true(plan->n_ranks * plan->n_replicas <= 4);
        assert_true(plan->n_replicas * plan->microbatch_size * plan->n_microbatches == 8);
        assert_int_equal(plan->cut.n_stages, plan->n_ranks * plan->n_chunks);
        assert_true(plan->bubble >= 0 && plan->bubble < 1 && plan->busiest_ms <= plan->step_ms);
    }
    weir_arena_release(&arena);
}

static void pure_data_parallel_is_among_the_candidates(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    struct weir_planner_request request = request_of(4);
    request.ceilings.link_bytes_per_s = 1e15; /* reductions are free: nothing beats replicas */
    assert_ok(weir_planner_run(&request, &arena, &result));
    assert_int_equal(result.plans[0].n_ranks, 1);
    assert_int_equal(result.plans[0].n_replicas, 4);
    weir_arena_release(&arena);
}

static void what_does_not_fit_is_answered_with_what_comes_nearest(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    struct weir_planner_request request = request_of(2);
    request.config.device_memory = 1 << 20;
    assert_ok(weir_planner_run(&request, &arena, &result));
    assert_int_equal(result.n_plans, 0);
    assert_true(result.has_least && !result.least.memory.fits);
    assert_true(result.least.memory.ranks[result.least.memory.largest].all > (size_t)1 << 20);
    weir_arena_release(&arena);
}

/* Of a random request and one that has more of something. */
static void more_devices_memory_or_bandwidth_never_give_a_worse_plan(void **state)
{
    (void)state;
    const char *asked = getenv("PLANNER_PAIRS"); /* tests/soak/planner_pairs.sh */
    int n_pairs = asked ? atoi(asked) : 60;
    uint64_t seed = 7;
    for (int i = 0; i < n_pairs; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        struct weir_planner_request less = request_of(1 + (int)(seed >> 33) % 6), more;
        less.global_batch = 4 + 4 * (int64_t)((seed >> 40) % 3);
        less.config.device_memory = (int64_t)(34 + (seed >> 45) % 40) << 20;
        less.ceilings.link_bytes_per_s = pow(10, 7 + (double)((seed >> 50) % 4));
        less.n_top = 1;
        more = less;
        if (i % 3 == 0)
            more.n_devices += 1 + (int)(seed >> 60) % 3;
        else if (i % 3 == 1)
            more.config.device_memory += (int64_t)((seed >> 55) % 64) << 20;
        else
            more.ceilings.link_bytes_per_s *= 1 + (double)((seed >> 58) % 16);
        double a = best_of(&less), b = best_of(&more);
        if (!(b <= a * (1 + 1e-8)))
            print_error("pair %d: %d devices %g ms, %d devices %g ms\n", i, less.n_devices, a, more.n_devices, b);
        assert_true(b <= a * (1 + 1e-8));
    }
}

static struct weir_topology topology_of(const char *text, struct weir_arena *arena)
{
    struct weir_topology topology;
    assert_ok(weir_topology_read(text, arena, &topology));
    return topology;
}

/* Between no recomputation, which does not fit, and all of it. */
static void layers_are_recomputed_until_the_plan_fits_and_no_more(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_result none, some, full;
    struct weir_planner_request request = request_of(2);
    request.schedule = "1f1b";
    request.max_replicas = 1;
    request.n_top = 1;
    request.microbatch_size = 4;
    request.recompute = "none";
    assert_ok(weir_planner_run(&request, &arena, &none));
    request.recompute = "full";
    assert_ok(weir_planner_run(&request, &arena, &full));
    request.recompute = NULL;
    size_t most = none.plans[0].memory.ranks[none.plans[0].memory.largest].all;
    size_t least = full.plans[0].memory.ranks[full.plans[0].memory.largest].all;
    assert_true(least < most);
    request.config.device_memory = (int64_t)(least + (most - least) / 2);
    assert_ok(weir_planner_run(&request, &arena, &some));
    assert_int_equal(some.n_plans, 1);
    assert_true(some.plans[0].n_recomputed > 0 && some.plans[0].n_recomputed < tiny->n_layers);
    assert_true(some.plans[0].step_ms < full.plans[0].step_ms);
    assert_true(some.plans[0].memory.ranks[some.plans[0].memory.largest].all <= (size_t)request.config.device_memory);
    weir_arena_release(&arena);
}

static void slow_links_of_a_topology_show_in_the_step(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_request request = request_of(4);
    struct weir_topology fast = topology_of("2 nodes x 2, 100GB/s, 100GB/s", &arena), slow = topology_of("2 nodes x 2, 100GB/s, 10MB/s", &arena);
    struct weir_topology near = topology_of("1 node x 4, 100GB/s, 10MB/s", &arena);
    request.topology = &fast;
    double with_fast = best_of(&request);
    request.topology = &slow;
    double with_slow = best_of(&request);
    request.topology = &near;
    assert_true(with_slow > with_fast && best_of(&request) < with_slow);
    request.n_devices = 5;
    struct weir_planner_result result;
    assert_fails(weir_planner_run(&request, &arena, &result), WEIR_ERR_USAGE, "the topology has 4");
    weir_arena_release(&arena);
}

/* Half the speed: a third of the work. */
static void a_slow_device_gets_fewer_layers_or_none(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    struct weir_planner_request request = request_of(2);
    struct weir_topology t = topology_of("1 node x 1 speed 0.5 + 1 node x 1, 100GB/s, 100GB/s", &arena);
    request.topology = &t;
    request.schedule = "1f1b";
    request.max_replicas = 1;
    assert_ok(weir_planner_run(&request, &arena, &result));
    for (int i = 0; i < result.n_plans; i++) {
        const struct weir_planned *plan = &result.plans[i];
        if (plan->n_ranks == 1)
            assert_int_equal(plan->arrangement->device_of[0], 1);
        else
            assert_true(plan->cut.first_layer[1] < tiny->n_layers - plan->cut.first_layer[1]);
    }
    t = topology_of("1 node x 1 with 1MiB + 1 node x 1 with 1GiB, 100GB/s, 100GB/s", &arena);
    assert_ok(weir_planner_run(&request, &arena, &result));
    for (int i = 0; i < result.n_plans; i++)
        assert_int_equal(result.plans[i].n_ranks, 1); /* the small one holds no stage */
    assert_true(result.n_plans > 0 && result.plans[0].arrangement->device_of[0] == 1);
    weir_arena_release(&arena);
}

/* Bounds that did not know of it would leave out the fastest. */
static void a_backward_at_once_is_planned_with_what_it_takes(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_result all, best, apart;
    struct weir_planner_request request = request_of(2);
    request.n_top = 1;
    assert_ok(weir_planner_run(&request, &arena, &apart));
    request.flight.at_once = 0.5;
    assert_ok(weir_planner_run(&request, &arena, &best));
    request.n_top = 4096;
    assert_ok(weir_planner_run(&request, &arena, &all));
    assert_true(best.plans[0].step_ms < 0.9 * apart.plans[0].step_ms);
    assert_false(best.plans[0].kind->splits_backward);
    for (int i = 0; i < all.n_plans; i++)
        assert_true(all.plans[i].step_ms >= best.plans[0].step_ms * (1 - 1e-8));
    weir_arena_release(&arena);
}

static enum weir_planner_order order_of(const struct weir_schedule *schedule)
{
    enum weir_planner_order found = WEIR_PLANNER_OTHER;
    for (int o = WEIR_PLANNER_WAVES; o >= WEIR_PLANNER_LOOPS; o--) {
        struct weir_planner_shape shape = {schedule->n_ranks, schedule->n_stages / schedule->n_ranks, (enum weir_planner_order)o};
        bool same = true;
        for (int i = 0; i < schedule->n_stages; i++)
            same &= schedule->stage_rank[i] == weir_planner_rank_of(&shape, i);
        found = same ? shape.order : found;
    }
    return found;
}

/* The planner asks two ranks, and bounds the time of more by it. */
static void stages_of_a_schedule_have_one_order_over_any_ranks(void **state)
{
    (void)state;
    int n = 0;
    for (int k = 0; weir_schedule_kinds[k]; k++) {
        const struct weir_schedule_kind *kind = weir_schedule_kinds[k];
        enum weir_planner_order first = WEIR_PLANNER_OTHER;
        for (int p = 2; p <= 16; p++)
            for (int v = 2; v <= 8 && kind->n_copies < 2; v *= 2) {
                struct weir_arena arena = {0};
                struct weir_schedule schedule;
                struct weir_schedule_params params = {.n_ranks = p, .n_chunks = v, .n_microbatches = 4 * p};
                if (!weir_schedule_build(kind, &params, &arena, &schedule)) {
                    first = p == 2 ? order_of(&schedule) : first;
                    assert_int_equal(order_of(&schedule), first);
                    n++;
                }
                weir_arena_release(&arena);
            }
    }
    assert_true(n > 100);
}

/* Layers of 6 1 .. 1 2: the busiest stage is the same wherever the rest is cut, and under zbv rank 0 has both ends: by stages alone it
 * works 12 and the other rank 8. */
static void ranks_with_several_stages_are_cut_for_the_busiest_rank(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    struct weir_stage_costs layers[64] = {{0}};
    struct weir_planner_request request = request_of(2);
    double all = 0;
    assert_int_equal(tiny->n_layers, 14);
    for (int l = 0; l < tiny->n_layers; l++) {
        double one = l == 0 ? 6 : l == tiny->n_layers - 1 ? 2 : 1;
        layers[l] = (struct weir_stage_costs){.forward = one, .input = one, .weight = one};
        all += 3 * one * 8;
    }
    request.layers = layers;
    request.n_layers = tiny->n_layers;
    request.microbatch_size = 1;
    request.schedule = "zbv";
    request.recompute = "none";
    request.max_replicas = 1;
    request.ceilings.link_bytes_per_s = 1e12;
    request.n_top = 1;
    assert_ok(weir_planner_run(&request, &arena, &result));
    assert_int_equal(result.plans[0].n_ranks, 2);
    double most = fmax(result.plans[0].rank_ms[0], result.plans[0].rank_ms[1]);
    assert_true(most < all / 2 * 1.1);
    weir_arena_release(&arena);
}

/* ---- cut and schedule together ------------------------------------------------------------------------------------------ */

enum { CUT_STAGES = 16 };

/* Times of tiny's layers, in whole numbers from 1 to 8, backward twice as long as forward. */
static void times_random(struct weir_stage_costs *layers, uint64_t *seed)
{
    for (int l = 0; l < tiny->n_layers; l++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        double one = 1 + (double)((*seed >> 35) % 8);
        layers[l] = (struct weir_stage_costs){.forward = one, .input = one, .weight = one, .optimizer = 1};
    }
}

static double step_of(const struct weir_schedule *schedule, const struct weir_stage_costs *layers, const int *cut)
{
    struct weir_arena arena = {0};
    struct weir_stage_costs stages[CUT_STAGES];
    struct weir_simulation simulation;
    memset(stages, 0, sizeof stages);
    for (int i = 0; i < schedule->n_stages; i++)
        for (int l = cut[i]; l < cut[i + 1]; l++) {
            stages[i].forward += layers[l].forward;
            stages[i].input += layers[l].input;
            stages[i].weight += layers[l].weight;
            stages[i].optimizer += layers[l].optimizer;
        }
    struct weir_schedule_costs costs = {.overlap_gain = 1, .stages = stages, .n_stages = schedule->n_stages, .transfer = 0.25};
    assert_ok(weir_schedule_simulate(schedule, &costs, &(struct weir_simulation_options){.n_replicas = 1}, &arena, &simulation));
    double makespan = simulation.makespan;
    weir_arena_release(&arena);
    return makespan;
}

static double best_step(const struct weir_schedule *schedule, const struct weir_stage_costs *layers, int *cut, int n)
{
    double best = INFINITY;
    if (n == schedule->n_stages) {
        cut[n] = tiny->n_layers;
        return step_of(schedule, layers, cut);
    }
    for (int l = n ? cut[n - 1] + 1 : 0; l <= (n ? tiny->n_layers - (schedule->n_stages - n) : 0); l++) {
        cut[n] = l;
        best = fmin(best, best_step(schedule, layers, cut, n + 1));
    }
    return best;
}

/* Of all cuts of 14 layers into three or four stages the one with the shortest step, or nearly. */
static void the_cut_has_the_shortest_step_that_any_cut_has(void **state)
{
    (void)state;
    static const struct {
        const char *schedule;
        int n_ranks, n_chunks;
    } sizes[] = {{"1f1b", 3, 1}, {"zb-h1", 3, 1}, {"zbv", 2, 2}, {"interleaved", 2, 2}};
    struct weir_stage_costs layers[32];
    uint64_t seed = 3;
    int n_best = 0, n = 0;
    for (int turn = 0; turn < 16; turn++) {
        struct weir_arena arena = {0};
        struct weir_planner_result result;
        struct weir_schedule schedule;
        const struct weir_schedule_kind *kind;
        int i = turn % 4, cut[CUT_STAGES + 1];
        struct weir_planner_request request = request_of(sizes[i].n_ranks);
        struct weir_schedule_params params = {.n_ranks = sizes[i].n_ranks, .n_chunks = sizes[i].n_chunks, .n_microbatches = 4 + turn / 8 * 4};
        times_random(layers, &seed);
        request.layers = layers;
        request.n_layers = tiny->n_layers;
        request.microbatch_size = 1;
        request.global_batch = params.n_microbatches;
        request.schedule = sizes[i].schedule;
        request.recompute = "none";
        request.max_replicas = 1;
        request.hand_over_ms = 0.25;
        request.n_top = 4;
        assert_ok(weir_planner_run(&request, &arena, &result));
        assert_ok(weir_schedule_kind_find(sizes[i].schedule, &kind));
        assert_ok(weir_schedule_build(kind, &params, &arena, &schedule));
        double best = best_step(&schedule, layers, cut, 0);
        for (int p = 0; p < result.n_plans; p++) {
            const struct weir_planned *plan = &result.plans[p];
            if (plan->n_ranks != sizes[i].n_ranks || plan->n_chunks != sizes[i].n_chunks)
                continue;
            assert_true(fabs(plan->step_ms - step_of(&schedule, layers, plan->cut.first_layer)) < 1e-6 * best);
            n_best += plan->step_ms <= best * (1 + 1e-5);
            n++;
            break;
        }
        weir_arena_release(&arena);
    }
    print_message("the best cut in %d of %d\n", n_best, n);
    assert_true(n >= 12 && n_best >= n - 3);
}

/* Never slower than the schedules that there are, within the cap, and a schedule as good as any. */
static void auto_makes_an_order_for_the_plans_that_are_returned(void **state)
{
    (void)state;
    struct weir_stage_costs layers[32];
    uint64_t seed = 21;
    int n_orders = 0;
    for (int turn = 0; turn < 2; turn++) {
        struct weir_arena arena = {0};
        struct weir_planner_result any, made;
        struct weir_schedule_report check;
        struct weir_planner_request request = request_of(2 + turn % 2);
        times_random(layers, &seed);
        request.layers = layers;
        request.n_layers = tiny->n_layers;
        request.microbatch_size = 1;
        request.max_replicas = 1;
        request.hand_over_ms = 0.25;
        request.config.device_memory = turn < 1 ? 0 : 80 << 20;
        request.n_top = 2;
        assert_ok(weir_planner_run(&request, &arena, &any));
        request.schedule = "auto";
        assert_ok(weir_planner_run(&request, &arena, &made));
        assert_true(made.n_plans > 0 && made.plans[0].step_ms <= any.plans[0].step_ms * (1 + 1e-8));
        for (int p = 0; p < made.n_plans; p++) {
            const struct weir_planned *plan = &made.plans[p];
            assert_true(p == 0 || plan->step_ms >= made.plans[p - 1].step_ms * (1 - 1e-8));
            assert_true(plan->memory.fits && (turn < 1 || plan->memory.ranks[plan->memory.largest].all <= (size_t)80 << 20));
            if (!plan->order)
                continue;
            n_orders++;
            assert_ok(weir_schedule_check(plan->order, WEIR_CHANNELS_EDGE, &arena, &check));
            assert_int_equal(plan->order->n_stages, plan->cut.n_stages);
            assert_int_equal(plan->order->n_microbatches, plan->n_microbatches);
            assert_true(fabs(plan->step_ms - step_of(plan->order, layers, plan->cut.first_layer)) < 1e-6 * plan->step_ms);
        }
        weir_arena_release(&arena);
    }
    assert_true(n_orders > 0);
    const struct weir_graph *large;
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    struct weir_planner_request request = request_of(2); /* its plans change places when they are done */
    assert_ok(weir_model_build(&weir_model_gpt2, &(struct weir_model_params){.microbatch_size = 1, .seq_len = 256}, &arena, &large));
    request.graph = large;
    request.config.device = "cpu";
    request.max_replicas = 1;
    request.schedule = "auto";
    request.n_top = 5;
    request.ceilings = weir_planner_ceilings("cpu", WEIR_COMPUTE_F32);
    assert_ok(weir_planner_run(&request, &arena, &result));
    assert_true(result.n_plans > 0 && result.plans[0].order);
    weir_arena_release(&arena);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_planner_result result;
    struct weir_planner_request request = request_of(0);
    assert_fails(weir_planner_run(&request, &arena, &result), WEIR_ERR_USAGE, "devices is 0, it must be from 1");
    request = request_of(2);
    request.global_batch = 0;
    assert_fails(weir_planner_run(&request, &arena, &result), WEIR_ERR_USAGE, "the batch is 0 samples");
    request = request_of(2);
    request.schedule = "chimera";
    assert_fails(weir_planner_run(&request, &arena, &result), WEIR_ERR_USAGE, "schedule 'chimera' has two copies of the weights");
    request = request_of(2);
    request.config.device = "null";
    assert_fails(weir_planner_run(&request, &arena, &result), WEIR_ERR_USAGE, "device 'null' computes nothing");
    request = request_of(2);
    request.ceilings.flops_per_s = 0;
    assert_fails(weir_planner_run(&request, &arena, &result), WEIR_ERR_INVALID, "all must be above 0");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_sorted_whole_and_within_the_cap),
        cmocka_unit_test(pure_data_parallel_is_among_the_candidates),
        cmocka_unit_test(what_does_not_fit_is_answered_with_what_comes_nearest),
        cmocka_unit_test(more_devices_memory_or_bandwidth_never_give_a_worse_plan),
        cmocka_unit_test(layers_are_recomputed_until_the_plan_fits_and_no_more),
        cmocka_unit_test(slow_links_of_a_topology_show_in_the_step),
        cmocka_unit_test(a_slow_device_gets_fewer_layers_or_none),
        cmocka_unit_test(a_backward_at_once_is_planned_with_what_it_takes),
        cmocka_unit_test(stages_of_a_schedule_have_one_order_over_any_ranks),
        cmocka_unit_test(ranks_with_several_stages_are_cut_for_the_busiest_rank),
        cmocka_unit_test(the_cut_has_the_shortest_step_that_any_cut_has),
        cmocka_unit_test(auto_makes_an_order_for_the_plans_that_are_returned),
        cmocka_unit_test(requests_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
