/* schedules: what simulate says about time, memory and the critical path, held to values worked out by hand.
 * labels: pure */
#include "tests/support/testing.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/replace.h"
#include "base/text.h"
#include "include/weir/simulate.h"
#include "schedules/schedule_kinds.h"
#include "schedules/simulate/simulated_waits.h"
#include "tests/support/parsed_schedule.h"

static const struct weir_schedule_costs unit = {1, 1, 1, 1, 1, .overlap_gain = 1};

static struct weir_simulation simulate(const char *text, const struct weir_schedule_costs *costs,
                                       enum weir_channels model)
{
    struct weir_simulation result;
    struct weir_simulation_options options = {.channels = model, .keep_path = true, .keep_times = true};
    struct weir_schedule schedule = parse(text);
    assert_ok(weir_schedule_simulate(&schedule, costs, &options, &arena, &result));
    return result;
}

static void assert_near(double value, double wanted)
{
    if (fabs(value - wanted) > 1e-9)
        fail_msg("%.12g, not %.12g", value, wanted);
}

static void two_ranks_by_hand(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = unit;
    costs.transfer = 0.5;
    /* r0  F0 F1 . .  .  B0 B0 B1 B1     F0 0-1, F1 1-2; B0 arrives at 5: 5-7, 7.5 for B1 -> 7.5-9.5
     * r1  .  F0 B0 B0 F1 B1 B1          F0 1.5-2.5, B0 2.5-4.5, F1 4.5-5.5, B1 5.5-7.5 */
    struct weir_simulation s = simulate("0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1B1\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.makespan, 10);
    assert_near(s.busy[0], 6);
    assert_near(s.idle[0], 4);
    assert_near(s.bubble, 0.4);
    assert_near(s.bubble_span, 0.4);
    assert_near(s.exposed[0], 1); /* 0.5 before each backward */
    assert_near(s.exposed[1], 0.5);
    assert_int_equal(s.n_actions, 8);
    assert_near(s.start[0][2], 5);
    assert_near(s.start[0][3], 8);
}

static void memory_is_counted_in_list_order(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = unit;
    costs.mem_backward = 3;
    struct weir_simulation s = simulate("0F0,0F1,0I0,0F2,0I1,0I2,0W0,0W1,0W2\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.peak_activations[0], 7); /* 3+3, I leaves 1 of 3: 4, F: 7 */
    s = simulate("0F0,0F1\n", &unit, WEIR_CHANNELS_EDGE);
    assert_near(s.peak_activations[0], 1); /* without backward nothing is kept */
}

/* F to I 2, F to W 1, I to W 4: what F kept and what I makes are there at once. */
static void what_i_makes_stands_beside_what_f_kept(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = unit;
    costs.mem_backward = 3;
    costs.mem_weight = 5;
    costs.mem_made = 4;
    struct weir_simulation s = simulate("0F0,0I0,0W0\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.peak_memory[0], 7);
    s = simulate("0F0,0B0\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.peak_memory[0], 3);
    s = simulate("0F0,0F1,0I0,0W0,0I1,0W1\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.peak_memory[0], 10);
    s = simulate("0F0,0I0,0F1,0I1,0W0,0W1\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.peak_memory[0], 12); /* 5 of micro-batch 0, 3 and 4 of 1 */
    struct weir_schedule schedule = parse("0F0,0I0,0W0\n");
    struct weir_simulation_options options = {0};
    costs.mem_made = 6;
    assert_fails(weir_schedule_simulate(&schedule, &costs, &options, &arena, &s), WEIR_ERR_INVALID,
                 "mem_IW of every stage is 6, of mem_W 5");
    costs.mem_made = 1;
    assert_fails(weir_schedule_simulate(&schedule, &costs, &options, &arena, &s), WEIR_ERR_INVALID,
                 "must be from mem_W - mem_B, 2, to mem_W");
}

/* Everything that is printed of a simulation is a number, or the cost that cannot be added up is named. */
static void costs_that_do_not_add_up_to_a_number_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct weir_schedule_costs costs;
        int replicas;
        const char *words;
    } rows[] = {
        {{1e308, 1, 1, 1, 1, .overlap_gain = 1},
         1,
         "with stage 0 the times of all actions add up to more than 1.79769e+308"},
        {{INFINITY, 1, 1, 1, 1, .overlap_gain = 1}, 1, "F of every stage is inf"},
        {{1, 1, NAN, 1, 1, .overlap_gain = 1}, 1, "W of every stage is nan"},
        {{1, 1, 1, -1, 1, .overlap_gain = 1}, 1, "mem_B of every stage is -1"},
        {{1, 1, 1, 1e308, 1e308, .overlap_gain = 1}, 1, "with stage 0 the bytes of all actions add up"},
        {{1, 1, 1, 1, 1, .transfer = 1e308, .overlap_gain = 1}, 1, "with the edge from rank "},
        {{1e300, 1, 1, 1, 1, .overlap_gain = 1e10}, 1, "with stage 0 the times"},
        {{1, 1, 1, 1, 1, .optimizer = 1e308, .reduce = 1e308, .overlap_gain = 1}, 1, "with the optimizer the times"},
        {{1, 1, 1, 1, 1, .overlap_gain = 1, .grad_bytes = 1e300, .reduce_bandwidth = 1e-300},
         2,
         "with stage 0 the times"},
        {{1, 1, 1, 1, 1, .overlap_gain = 1, .grad_bytes = 1e300, .bucket_bytes = 1e-300, .reduce_latency = 1},
         2,
         "with stage 0 the times"},
        {{1, 1, 1, 1, 1, .overlap_gain = 1, .param_bytes = 1e308, .grad_bytes = 1e308}, 1, "with stage 0 the bytes"},
    };
    struct weir_schedule s = parse("0F0,0F1,0I0,0W0,0B1\n1F0,1B0,1F1,1B1\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int model = WEIR_CHANNELS_EDGE; model <= WEIR_CHANNELS_BLOCKING; model++) {
            struct weir_simulation result;
            struct weir_simulation_options options = {.channels = (enum weir_channels)model,
                                                      .n_replicas = rows[i].replicas};
            assert_fails(weir_schedule_simulate(&s, &rows[i].costs, &options, &arena, &result), WEIR_ERR_INVALID,
                         rows[i].words);
        }
}

static void assert_numbers(const double *values, int n)
{
    for (int i = 0; i < n; i++)
        assert_true(isfinite(values[i]));
}

static void huge_costs_give_finite_numbers(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = {1e306, 1e306, 1e306, 1e305, 1e305, .transfer = 1e306, .overlap_gain = 1};
    struct weir_simulation s = simulate("0F0,0F1,0I0,0W0,0B1\n1F0,1B0,1F1,1B1\n", &costs, WEIR_CHANNELS_EDGE);
    assert_numbers(&s.makespan, 1);
    assert_numbers(&s.bubble, 1);
    assert_numbers(s.busy, 2);
    assert_numbers(s.idle, 2);
    assert_numbers(s.exposed, 2);
    assert_numbers(s.peak_memory, 2);
    const char *text;
    assert_fails(weir_simulation_trace(&s, &arena, &text), WEIR_ERR_INVALID, "too long for a trace");
}

/* An OVERLAP_F_B waits for both inputs, lasts F + B times the gain, and counts its F before its B. */
static void an_overlap_is_one_action(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = unit;
    costs.overlap_gain = 0.5;
    const char *text = "0F0,1F0,(0F1;1B0)OVERLAP_F_B,1F1,1B1,0B0,0B1\n";
    struct weir_simulation s = simulate(text, &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.makespan, 1 + 1 + 1.5 + 1 + 2 + 2 + 2);
    assert_near(s.peak_activations[0], 3);
    s = simulate("0F0,(0F1;0B0)OVERLAP_F_B,0B1\n1F0,1B0,1F1,1B1\n", &unit, WEIR_CHANNELS_EDGE);
    assert_near(s.start[0][1], 4); /* F1 could start at 1, B0's gradient comes at 4 */
    assert_near(s.start[1][2], 7); /* and F1's output at the end of both */
}

/* Two gradient slots are enough when stages are even.  Here rank 1 makes gradients at 7, 9 and 11, and rank 0 has read the first at 12. */
static void a_rank_waits_until_its_result_has_a_slot(void **state)
{
    (void)state;
    const struct weir_stage_costs stages[] = {{.forward = 1, .input = 5}, {.forward = 1, .input = 2}};
    struct weir_schedule_costs costs = {.stages = stages, .n_stages = 2, .overlap_gain = 1};
    const struct weir_simulated_wait *waits;
    size_t n;
    struct weir_simulation s = simulate("0F0,0F1,0F2,0F3,0B0,0B1,0B2,0B3\n1F0,1F1,1F2,1F3,1B0,1B1,1B2,1B3\n", &costs, WEIR_CHANNELS_EDGE);
    double arrival[4] = {0};
    for (size_t i = 0; i < s.n_transfers; i++)
        if (s.transfers[i].receive.type == WEIR_RECV_B) {
            arrival[s.transfers[i].receive.mb] = s.transfers[i].end;
            assert_string_equal(s.transfers[i].held_by ? s.transfers[i].held_by : "nothing", s.transfers[i].receive.mb < 2 ? "nothing" : "gradient slot");
        }
    assert_near(arrival[0], 7);
    assert_near(arrival[1], 9);
    assert_near(arrival[2], 12); /* made at 11, the slot of micro-batch 0 is free at the end of its B */
    assert_near(arrival[3], 17);
    assert_near(s.start[1][7], 12);
    assert_near(s.makespan, 7 + 4 * 5);
    assert_ok(weir_simulation_waits(&s, &arena, &waits, &n));
    const struct weir_simulated_wait *held = NULL;
    for (size_t i = 0; i < n && !held; i++)
        held = waits[i].cause && !strcmp(waits[i].cause, "gradient slot") ? &waits[i] : NULL;
    assert_non_null(held);
    assert_true(held->rank == 1 && held->peer == 0 && held->action.mb == 2 && held->start == 11 && held->end == 12);
}

/* Stage 1 has two input slots and takes 5: 0F3 ends at 7 and gets the slot of 1F1 at 11, only then comes 2F0, whose input is there at 6. */
static void the_critical_path_goes_through_a_slot(void **state)
{
    (void)state;
    const struct weir_stage_costs stages[] = {{.forward = 1}, {.forward = 5}, {.forward = 20}};
    struct weir_schedule_costs costs = {.stages = stages, .n_stages = 3, .overlap_gain = 1};
    struct weir_simulation s = simulate("0F0,0F1,0F2,0F3,2F0,2F1,2F2,2F3\n1F0,1F1,1F2,1F3\n", &costs, WEIR_CHANNELS_EDGE);
    static const char *const path[] = {"0F0", "0SEND_F0", "1F0", "1F1", "2F0", "2F1", "2F2", "2F3"};
    assert_near(s.makespan, 11 + 4 * 20);
    assert_int_equal(s.n_path, sizeof path / sizeof path[0]);
    for (size_t i = 0; i < s.n_path; i++) {
        char text[WEIR_ACTION_TEXT];
        assert_string_equal(weir_action_str(&s.critical_path[i].action, text), path[i]);
    }
}

/* On one channel for everything a transfer that is not made yet holds up the ones behind it. */
static void a_shared_channel_blocks_at_its_head(void **state)
{
    (void)state;
    const char *text = "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1\n"
                       "1RECV_F0,1F0,1RECV_F1,1B0,1SEND_B0,1F1,1B1,1SEND_B1\n";
    struct weir_schedule_costs costs = {4, 1, 0, 1, 1, .transfer = 1, .overlap_gain = 1};
    struct weir_simulation edge = simulate(text, &costs, WEIR_CHANNELS_EDGE);
    struct weir_simulation shared = simulate(text, &costs, WEIR_CHANNELS_SHARED);
    struct weir_simulation blocking = simulate(text, &costs, WEIR_CHANNELS_BLOCKING);
    /* r0 F0 0-4, sends 4-5, F1 4-8, sends 8-9;  r1 F0 5-9, B0 9-10 sends 10-11, F1 10-14, B1 14-15, sends 15-16 */
    assert_near(edge.makespan, 17);
    assert_near(shared.makespan, 17);
    /* r0 F0 0-4, send 4-5, F1 5-9, send 9-10;  r1 F0 5-9, recv 9-10, B0 10-11, send 11-12, F1 12-16, B1 16-17, send 18 */
    assert_near(blocking.makespan, 19);
}

/* The same schedule as above, F 4, B 1, transfers 1: what was made and what took the channel, under each model. */
static void waits_under_one_channel_and_under_rendezvous_have_their_causes(void **state)
{
    (void)state;
    const char *text = "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1\n"
                       "1RECV_F0,1F0,1RECV_F1,1B0,1SEND_B0,1F1,1B1,1SEND_B1\n";
    struct weir_schedule_costs costs = {4, 1, 0, 1, 1, .transfer = 1, .overlap_gain = 1};
    const struct weir_simulated_wait *waits;
    size_t n;
    struct weir_simulation shared = simulate(text, &costs, WEIR_CHANNELS_SHARED);
    assert_int_equal(shared.n_transfers, 4);
    assert_near(shared.transfers[1].end, 9); /* 0F1, made at 8 */
    struct weir_simulation s = simulate(text, &costs, WEIR_CHANNELS_BLOCKING);
    assert_int_equal(s.n_transfers, 4);
    assert_ok(weir_simulation_waits(&s, &arena, &waits, &n));
    /* r0 F0 0-4, send 4-5, F1 5-9, send 9-10, recv 11-12, B0 12-13, recv 17-18, B1 18-19;  r1 recv 4-5, F0 5-9, recv 9-10, B0 10-11,
     * send 11-12, F1 12-16, B1 16-17, send 17-18 */
    assert_int_equal(n, 7);
    assert_string_equal(waits[0].cause, "send"); /* before 0F1 */
    assert_true(waits[0].peer == 1 && waits[0].start == 4 && waits[0].made == 4 && waits[0].end == 5);
    assert_string_equal(waits[1].cause, "gradient"); /* before 0B0: 9 to 12, 1B0 ends at 11 */
    assert_true(waits[1].made == 11 && waits[1].end == 12 && !waits[1].held_by);
    assert_string_equal(waits[4].cause, "receive"); /* before 1B0 comes 1RECV_F1 */
    assert_true(waits[4].peer == 0 && waits[4].start == 9 && waits[4].end == 10);
    assert_string_equal(waits[5].cause, "send");
    assert_string_equal(waits[6].cause, "norm");
}

static void a_rendezvous_deadlock_is_seen_under_blocking_only(void **state)
{
    (void)state;
    const char *text = "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1\n"
                       "1RECV_F0,1F0,1B0,1SEND_B0,1RECV_F1,1F1,1B1,1SEND_B1\n";
    struct weir_schedule s = parse(text);
    struct weir_schedule_report report;
    assert_ok(weir_schedule_check(&s, WEIR_CHANNELS_EDGE, &arena, &report));
    assert_fails(weir_schedule_check(&s, WEIR_CHANNELS_BLOCKING, &arena, &report), WEIR_ERR_INVALID,
                 "deadlock: 0SEND_F1 (row 1, cell 4) waits for 1RECV_F1 (row 2, cell 5), which comes after 1SEND_B0 (row 2, cell 4), "
                 "which waits for 0RECV_B0 (row 1, cell 5), which comes after 0SEND_F1 (row 1, cell 4)");
    assert_fails(weir_schedule_check(&s, WEIR_CHANNELS_SHARED, &arena, &report), WEIR_ERR_INVALID,
                 "deadlock: 0SEND_F1 (row 1, cell 4) waits for 1RECV_F1 (row 2, cell 5), which comes after 1SEND_B0 (row 2, cell 4), "
                 "which waits for 0RECV_B0 (row 1, cell 5)");
}

static void reduction_and_optimizer_come_at_the_end(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = unit;
    costs.reduce = 2;
    costs.optimizer = 3;
    struct weir_simulation s = simulate("0F0,0B0\n1F0,1B0\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.makespan, 6 + 2 + 3);
    assert_near(s.busy[1], 3 + 2 + 3);
    s = simulate("0F0,1F0,1B0,1REDUCE_GRAD,0B0,0REDUCE_GRAD\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.makespan, 6 + 1 + 3); /* half of the reduction beside 0B0 */
    s = simulate("0F0\n1F0\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.makespan, 2); /* inference has neither */
}

static void each_rank_has_the_optimizer_of_its_stages(void **state)
{
    (void)state;
    const struct weir_stage_costs stages[] = {{1, 1, 1, 1, 1, .optimizer = 5}, {1, 1, 1, 1, 1, .optimizer = 1}, {1, 1, 1, 1, 1, .optimizer = 2},
                                              {1, 1, 1, 1, 1, .optimizer = 0}};
    struct weir_schedule_costs costs = unit;
    costs.stages = stages;
    costs.n_stages = 4;
    costs.optimizer = 3;
    struct weir_simulation s = simulate("0F0,2F0,2B0,0B0\n1F0,3F0,3B0,1B0\n", &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.makespan, 12 + 3 + 5 + 2);
    assert_near(s.optimizer, 10);
    assert_near(s.busy[1], 6 + 3 + 1);
}

/* Each micro-batch keeps 1: rank 0 has two in flight, rank 1 one. */
static void a_rank_with_more_in_flight_is_slower(void **state)
{
    (void)state;
    static const char list[] = "0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1B1\n";
    struct weir_schedule_costs costs = unit;
    costs.flight = (struct weir_flight_costs){1, 4, 3, 0};
    struct weir_simulation s = simulate(list, &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.busy[0], 6 * 2); /* halfway from 1 to 4 */
    assert_near(s.busy[1], 6);
    costs.flight = (struct weir_flight_costs){0.5, 1, 3, 0};
    s = simulate(list, &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.busy[0], 6 * 3); /* and no more than that */
    assert_near(s.busy[1], 6 * 3);
    struct weir_schedule schedule = parse(list);
    struct weir_simulation_options options = {0};
    costs.flight = (struct weir_flight_costs){2, 1, 3, 0};
    assert_fails(weir_schedule_simulate(&schedule, &costs, &options, &arena, &s), WEIR_ERR_INVALID, "a factor of 3 from 2 to 1 bytes");
    assert_ok(weir_schedule_costs_parse("{\"stages\": [{\"F\": 1, \"B\": 2}], \"in_flight\": {\"low\": 1, \"high\": 4, \"factor\": 3}}", 79, "c", &arena, &costs));
    assert_near(costs.flight.high, 4);
}

/* Rank 0 has F, I and W apart, rank 1 B. */
static void i_and_w_at_once_take_less_than_apart(void **state)
{
    (void)state;
    static const char list[] = "0F0,0I0,0W0\n1F0,1B0\n", file[] = "{\"stages\": [{\"F\": 1, \"I\": 2, \"W\": 2}], "
                                                             "\"in_flight\": {\"low\": 1, \"high\": 4, \"factor\": 1, \"at_once\": 0.75}}";
    struct weir_schedule_costs costs = unit;
    assert_ok(weir_schedule_costs_parse(file, sizeof file - 1, "c", &arena, &costs));
    struct weir_simulation s = simulate(list, &costs, WEIR_CHANNELS_EDGE);
    assert_near(s.busy[0], 1 + 4);
    assert_near(s.busy[1], 1 + 3);
    struct weir_schedule schedule = parse(list);
    struct weir_simulation_options options = {0};
    costs.flight.at_once = -1;
    assert_fails(weir_schedule_simulate(&schedule, &costs, &options, &arena, &s), WEIR_ERR_INVALID, "take -1 of what they take apart");
}

static void costs_are_read_from_a_file(void **state)
{
    (void)state;
    char path[4200];
    snprintf(path, sizeof path, "%s/costs.json", testing_dir());
    const char *text = "{\"transfer\": 7, \"stages\": [{\"F\": 1, \"I\": 2, \"W\": 3, \"optimizer\": 4}, {\"F\": 4, \"I\": 5, \"W\": 6}],\n"
                       " \"edges\": [{\"from\": 0, \"to\": 1, \"latency\": 0.5, \"bytes\": 100, \"bandwidth\": 200}],\n"
                       " \"reduce\": 10, \"optimizer\": 20}";
    assert_ok(weir_file_write(path, text, strlen(text)));
    struct weir_schedule_costs costs = unit;
    assert_ok(weir_schedule_costs_load(path, &arena, &costs));
    struct weir_simulation s = simulate("0F0,0B0\n1F0,1I0,1W0\n", &costs, WEIR_CHANNELS_EDGE);
    /* F0 0-1, transfer 1-2, F 2-6, I 6-11, W 11-17, transfer 11-18, B 18-23; reduce 10, optimizer 20 and 4 */
    assert_near(s.makespan, 23 + 34);
    assert_near(s.peak_memory[1], 1); /* no bytes in the file: chunks are counted */
    struct weir_schedule three = parse("0F0\n1F0\n2F0\n");
    struct weir_simulation_options options = {0};
    assert_fails(weir_schedule_simulate(&three, &costs, &options, &arena, &s), WEIR_ERR_INVALID,
                 "costs.json': the costs have 2 stages, the schedule has 3");
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"[]", "must be an object"},
        {"{\"stage\": []}", "unknown key 'stage'"},
        {"{\"stages\": []}", "one object per stage"},
        {"{\"stages\": [{\"F\": 1, \"I\": 1}]}", "'W' is missing"},
        {"{}", "costs.json' has no costs"},
        {"{\"stages\": [{\"F\": 1, \"I\": 1, \"W\": 1, \"mem_B\": 3e9}]}", "'mem_W' is missing beside 'mem_B'"},
        {"{\"stages\": [{\"F\": 1, \"I\": 1, \"W\": 1, \"mem_W\": 3e9}]}", "'mem_B' is missing beside 'mem_W'"},
        {"{\"stages\": [{\"F\": 1, \"I\": 1, \"W\": 1, \"mem_IW\": 1}]}", "'mem_IW' is a part of 'mem_W'"},
        {"{\"stages\": [{\"F\": 1, \"I\": 1, \"W\": 1, \"mem_B\": 1, \"mem_W\": 1}, {\"F\": 1, \"I\": 1, \"W\": 1}]}",
         "stage 1 lacks 'mem_B' and 'mem_W', stage 0 has them"},
        {"{\"reduce\": \"1\"}", "costs.json': 'reduce' is a string"},
        {"{\"edges\": [{\"from\": 0, \"to\": 1, \"bytes\": 5}]}", "needs a 'bandwidth'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_ok(weir_file_write(path, bad[i].text, strlen(bad[i].text)));
        assert_fails(weir_schedule_costs_load(path, &arena, &costs), WEIR_ERR_INVALID, bad[i].words);
    }
}

static struct weir_simulation simulated_with(const char *text)
{
    struct weir_schedule_costs costs = unit;
    assert_ok(weir_schedule_costs_parse(text, strlen(text), "some", &arena, &costs));
    return simulate("0F0,0B0\n1F0,1I0,1W0\n", &costs, WEIR_CHANNELS_EDGE);
}

static void costs_are_read_from_a_csv_and_one_entry_stands_for_every_stage(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "'some' is empty"},
        {" \n", "'some' is empty"},
        {"1,2,3\n", "neither JSON nor a CSV whose first row is stage,F,B"},
        {"stage,F,B\n", "one object per stage"},
        {"stage,F,B\n1,2,3\n", "row 2: stage 1, where stage 0 is expected"},
        {"stage,F,B\n0,2\n", "some' stage 0"},
        {"stage,F,B\n0,2,3,4\n", "more cells than the first row has names"},
        {"stage,F,B\n0,2,x\n", "'x' is no number"},
        {"stage,F,Q\n0,2,3\n", "unknown key 'Q'"},
        {"{\"stages\": [{\"F\": 1, \"B\": 2}], \"in_flight\": {\"low\": 4, \"high\": 1, \"factor\": 3}}", "'some': in flight, a factor of 3"},
        {"stage,F,B\n0,1,2\n1,1,2\n2,1,2\n", ""},
    };
    double two = simulated_with("{\"stages\": [{\"F\": 2, \"B\": 6}, {\"F\": 2, \"B\": 6}]}").makespan;
    assert_near(two, 2 + 2 + 3 + 6);
    assert_near(simulated_with("stage,F,B\n0,2,6\n1,2,6\n").makespan, two);
    assert_near(simulated_with("stage;F;I;W\r\n0;2;3;3\r\n1;2;3;3\r\n\r\n").makespan, two);
    assert_near(simulated_with("stage,F,B\n0,2,6\n").makespan, two);
    assert_near(simulated_with("{\"stages\": [{\"F\": 2, \"B\": 6}]}").makespan, two);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct weir_schedule_costs costs = unit;
        weir_status status = weir_schedule_costs_parse(bad[i].text, strlen(bad[i].text), "some", &arena, &costs);
        if (*bad[i].words)
            assert_fails(status, WEIR_ERR_INVALID, bad[i].words);
        else
            assert_int_equal(costs.n_stages, 3);
    }
}

/* The critical path has no gaps: its durations add up to the end of the last action, whatever the costs. */
static void path_adds_up(const struct weir_schedule *schedule, const struct weir_schedule_costs *costs,
                         enum weir_channels model)
{
    struct weir_simulation result;
    struct weir_simulation_options options = {.channels = model, .keep_path = true};
    assert_ok(weir_schedule_simulate(schedule, costs, &options, &arena, &result));
    double sum = 0;
    for (size_t i = 0; i < result.n_path; i++)
        sum += result.critical_path[i].duration;
    if (fabs(sum - result.makespan) > 1e-9 * result.makespan)
        fail_msg("%s: the path lasts %.12g, the schedule %.12g", weir_channels_str(model), sum, result.makespan);
    const struct weir_action *first = &result.critical_path[0].action;
    assert_int_equal(first->type, WEIR_F);
    assert_int_equal(first->stage, 0);
}

static void the_critical_path_adds_up_to_the_makespan(void **state)
{
    (void)state;
    static const struct weir_schedule_costs rows[] = {
        {1, 1, 1, 1, 1, .transfer = 0, .overlap_gain = 1},
        {1.37, 1.91, 0.73, 1, 1, .transfer = 0.11, .overlap_gain = 0.9},
        {0.31, 2.7, 0.17, 1, 1, .transfer = 1.9, .overlap_gain = 1},
        {3.1, 0.27, 4.17, 1, 1, .transfer = 0.5, .overlap_gain = 1.1},
    };
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int p = 1; p <= 4; p++)
            for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct weir_schedule s;
                struct weir_schedule_params params = {.n_ranks = p, .n_microbatches = 8};
                params.n_chunks = (*kind)->n_chunks ? 0 : 2;
                if (weir_schedule_build(*kind, &params, &arena, &s))
                    continue;
                for (int model = WEIR_CHANNELS_EDGE; model <= WEIR_CHANNELS_BLOCKING; model++)
                    path_adds_up(&s, &rows[i], (enum weir_channels)model);
                weir_arena_release(&arena);
            }
}

static void a_trace_is_json_with_every_action(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = unit;
    costs.transfer = 0.5;
    struct weir_simulation s = simulate("0F0,0B0\n1F0,1B0\n", &costs, WEIR_CHANNELS_EDGE);
    const char *text;
    json_error_t error;
    assert_ok(weir_simulation_trace(&s, &arena, &text));
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error), *event;
    assert_non_null(root);
    size_t i, n = 0, waits = 0;
    json_array_foreach(json_object_get(root, "traceEvents"), i, event)
    {
        const char *category = json_string_value(json_object_get(event, "cat"));
        n += category && strcmp(category, "wait") != 0;
        waits += category && !strcmp(category, "wait");
    }
    assert_int_equal(n, 4 + 2);
    assert_int_equal(waits, 3); /* before 1F0 and 0B0, and at the end of rank 1 */
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(two_ranks_by_hand, arena_drop),
        cmocka_unit_test_teardown(memory_is_counted_in_list_order, arena_drop),
        cmocka_unit_test_teardown(what_i_makes_stands_beside_what_f_kept, arena_drop),
        cmocka_unit_test_teardown(costs_that_do_not_add_up_to_a_number_are_refused_by_name, arena_drop),
        cmocka_unit_test_teardown(huge_costs_give_finite_numbers, arena_drop),
        cmocka_unit_test_teardown(an_overlap_is_one_action, arena_drop),
        cmocka_unit_test_teardown(a_rank_waits_until_its_result_has_a_slot, arena_drop),
        cmocka_unit_test_teardown(the_critical_path_goes_through_a_slot, arena_drop),
        cmocka_unit_test_teardown(a_shared_channel_blocks_at_its_head, arena_drop),
        cmocka_unit_test_teardown(waits_under_one_channel_and_under_rendezvous_have_their_causes, arena_drop),
        cmocka_unit_test_teardown(a_rendezvous_deadlock_is_seen_under_blocking_only, arena_drop),
        cmocka_unit_test_teardown(reduction_and_optimizer_come_at_the_end, arena_drop),
        cmocka_unit_test_teardown(each_rank_has_the_optimizer_of_its_stages, arena_drop),
        cmocka_unit_test_teardown(a_rank_with_more_in_flight_is_slower, arena_drop),
        cmocka_unit_test_teardown(i_and_w_at_once_take_less_than_apart, arena_drop),
        cmocka_unit_test_teardown(costs_are_read_from_a_file, arena_drop),
        cmocka_unit_test_teardown(costs_are_read_from_a_csv_and_one_entry_stands_for_every_stage, arena_drop),
        cmocka_unit_test_teardown(the_critical_path_adds_up_to_the_makespan, arena_drop),
        cmocka_unit_test_teardown(a_trace_is_json_with_every_action, arena_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
