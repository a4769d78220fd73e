/* schedules: traces read back, their costs, and timelines out of them.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "schedules/draw/timeline.h"
#include "schedules/schedule_kinds.h"
#include "schedules/io/trace_file.h"

static struct weir_arena arena;

static int drop(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

/* Two ranks, two steps; the second is what is looked at.  Times in ms:
 *
 *     rank 0   F F . . . . B B u      F in two parts
 *     rank 1   . . F I W . . . u      it awaits the second part, whose way takes 0.5                                    */
#define ABOUT "\"otherData\":{\"ranks\":2,\"replicas\":1,\"schedule\":\"0F0,0B0\\n1F0,1I0,1W0\\n\"}"
#define EVENT(RANK, NAME, CATEGORY, FROM, LENGTH, ARGS)                                                                        \
    "{\"ph\":\"X\",\"pid\":" #RANK ",\"tid\":0,\"name\":\"" NAME "\",\"cat\":\"" CATEGORY "\",\"ts\":" #FROM ",\"dur\":" #LENGTH        \
    ",\"args\":{" ARGS "}}"
#define PLACE(STAGE) "\"stage\":" #STAGE ",\"mb\":0,\"step\":2"

static const char measured[] = "{" ABOUT ",\"traceEvents\":["
    "{\"ph\":\"M\",\"name\":\"process_name\"}," EVENT(0, "update", "optimizer", 0, 90, "\"step\":1") ","
    EVENT(0, "0F0 (start)", "forward", 100000, 1000, PLACE(0)) "," EVENT(0, "0F0 (end)", "forward", 101000, 500.5, PLACE(0)) ","
    EVENT(1, "wait 1F0", "wait", 100000, 2000, PLACE(1) ",\"cause\":\"input\",\"peer\":0,\"awaited\":\"0F0 (end)\",\"way_us\":499.5") ","
    EVENT(1, "1F0", "forward", 102000, 1000, PLACE(1)) "," EVENT(1, "1I0", "backward", 103000, 1000, PLACE(1)) ","
    EVENT(1, "1W0", "weight", 104000, 1000, PLACE(1)) ","
    EVENT(0, "wait 0B0", "wait", 101500.5, 2999.5, PLACE(0) ",\"cause\":\"gradient\",\"peer\":1,\"awaited\":\"1I0\",\"way_us\":500") ","
    EVENT(0, "0B0", "backward", 104500, 2000, PLACE(0)) "," EVENT(0, "update", "optimizer", 106500, 100, "\"step\":2") "]}";

static void parse(const char *text, struct weir_traced *trace)
{
    assert_ok(weir_traced_parse(text, strlen(text), "t.json", &arena, trace));
}

static void events_are_read_in_order_and_neighbours_touch(void **state)
{
    (void)state;
    struct weir_traced trace;
    const struct weir_traced_event *events;
    parse(measured, &trace);
    assert_false(trace.simulated);
    assert_int_equal(trace.n_ranks, 2);
    assert_true(trace.first_step == 1 && trace.last_step == 2 && trace.typical_step == 2);
    assert_int_equal(weir_traced_step(&trace, 2, &events), 9);
    assert_int_equal(weir_traced_step(&trace, 3, &events), 0);
    assert_int_equal(weir_traced_step(&trace, 2, &events), 9);
    assert_string_equal(events[0].name, "0F0 (start)");
    assert_true(events[1].end == events[2].start && events[2].end == events[3].start);
    assert_int_equal(events[2].kind, WEIR_TRACED_WAIT);
    assert_int_equal(events[2].peer, 1);
    assert_float_equal(events[2].way, 0.5, 1e-12);
    assert_float_equal(weir_traced_length(&trace, 2), 6.6, 1e-9);
}

static void a_timeline_of_a_trace_has_its_waits_levels_and_critical_path(void **state)
{
    (void)state;
    static const struct weir_timeline_place path[] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {0, 3}};
    struct weir_traced trace;
    struct weir_timeline t;
    parse(measured, &trace);
    assert_ok(weir_timeline_traced(&trace, 2, "t", &arena, &t));
    assert_string_equal(t.unit, "ms");
    assert_float_equal(t.length, 6.6, 1e-9);
    assert_int_equal(t.ranks[0].n_events, 4);
    assert_float_equal(t.ranks[0].busy, 1.5005 + 2 + 0.1, 1e-9);
    assert_float_equal(t.ranks[1].peak, 1, 0);
    assert_float_equal(t.ranks[1].levels[1].time, 5, 1e-9); /* W gives back */
    assert_float_equal(t.ranks[0].waits[0].made, 4, 1e-9);
    assert_null(t.ranks[1].waits[1].cause); /* done before the other */
    assert_float_equal(t.ranks[1].waits[1].end, 6.6, 1e-9);
    assert_int_equal(t.n_path, 6);
    for (size_t i = 0; i < 6; i++)
        assert_true(t.path[i].rank == path[i].rank && t.path[i].event == path[i].event);
    assert_false(t.ranks[1].events[2].critical);
    assert_fails(weir_timeline_traced(&trace, 3, "t", &arena, &t), WEIR_ERR_USAGE, "'t.json' has no step 3: it has 1 to 2");
}

static void costs_are_means_in_which_parts_of_an_action_are_one(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_traced trace;
    parse(measured, &trace);
    assert_ok(weir_traced_costs(&trace, &arena, &costs));
    assert_string_equal(costs.unit, "ms");
    assert_int_equal(costs.n_stages, 2);
    assert_float_equal(costs.stages[0].forward, 1.5005, 1e-9);
    assert_float_equal(costs.stages[0].input, 1, 1e-9); /* half a B */
    assert_float_equal(costs.stages[0].weight, 1, 1e-9);
    assert_float_equal(costs.stages[1].input, 1, 1e-9);
    assert_float_equal(costs.optimizer, 0.1 / 2, 1e-9);
    assert_float_equal(costs.stages[1].mem_backward, 1, 0);
}

static void costs_need_an_action_of_every_type(void **state)
{
    (void)state;
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_traced trace;
    parse("{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F0", "forward", 0, 1, PLACE(0)) "]}", &trace);
    assert_fails(weir_traced_costs(&trace, &arena, &costs), WEIR_ERR_INVALID, "'t.json' has no F of stage 1");
}

static void what_a_simulation_writes_reads_back_as_its_timeline(void **state)
{
    (void)state;
    for (int turn = 0; weir_schedule_kinds[turn / 3]; turn++) {
        const struct weir_schedule_kind *const *kind = &weir_schedule_kinds[turn / 3];
        struct weir_schedule_costs costs = {1, 1.25, 0.75, 1, 1, .transfer = 0.3, .optimizer = 2, .reduce = 1, .overlap_gain = 0.9};
        struct weir_simulation_options options = {.channels = (enum weir_channels)(turn % 3), .keep_times = true, .keep_path = true};
        struct weir_schedule schedule;
        struct weir_simulation simulation;
        struct weir_timeline a, b;
        struct weir_traced trace;
        const char *text;
        assert_ok(weir_schedule_build(*kind, &(struct weir_schedule_params){.n_ranks = 4, .n_microbatches = 8}, &arena, &schedule));
        if (weir_schedule_simulate(&schedule, &costs, &options, &arena, &simulation)) {
            assert_int_not_equal(options.channels, WEIR_CHANNELS_EDGE); /* some wait in a circle under the others */
            continue;
        }
        assert_ok(weir_simulation_trace(&simulation, &arena, &text));
        parse(text, &trace);
        assert_true(trace.simulated);
        assert_ok(weir_timeline_simulated(&simulation, &costs, "t", "", &arena, &a));
        assert_ok(weir_timeline_traced(&trace, 1, "t", &arena, &b));
        assert_float_equal(a.length, b.length, 1e-9);
        for (int r = 0; r < 4; r++) {
            assert_int_equal(a.ranks[r].n_events, b.ranks[r].n_events);
            assert_int_equal(a.ranks[r].n_waits, b.ranks[r].n_waits);
            assert_float_equal(a.ranks[r].peak, b.ranks[r].peak, 0);
            for (size_t i = 0; i < a.ranks[r].n_events; i++) {
                const struct weir_timeline_event *x = &a.ranks[r].events[i], *y = &b.ranks[r].events[i];
                char first[WEIR_TIMELINE_NAME], second[WEIR_TIMELINE_NAME];
                assert_string_equal(weir_timeline_name(x, first), weir_timeline_name(y, second));
                assert_float_equal(x->start, y->start, 1e-9);
                assert_int_equal(x->kind, y->kind);
            }
            for (size_t i = 0; i < a.ranks[r].n_waits; i++) {
                assert_float_equal(a.ranks[r].waits[i].held, b.ranks[r].waits[i].held, 1e-9);
                assert_int_equal(a.ranks[r].waits[i].peer, b.ranks[r].waits[i].peer);
            }
        }
    }
}

static void what_is_no_trace_of_ours_is_refused_with_file_and_event(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"{", "'t.json' line 1"},
        {"[]", "'t.json' is no trace of Weir: it does not say which schedule was run"},
        {"{\"traceEvents\":[]}", "does not say which schedule was run"},
        {"{" ABOUT "}", "'t.json' is no trace of Weir: it has no events"},
        {"{" ABOUT ",\"traceEvents\":[{\"ph\":\"M\"}]}", "it has no events of instructions"},
        {"{" ABOUT ",\"lostEvents\":-1,\"traceEvents\":[{}]}", "'lostEvents'"},
        {"{" ABOUT ",\"traceEvents\":[{}]}", "'t.json': traceEvents[0]: 'ph' is no string"},
        {"{" ABOUT ",\"traceEvents\":[{\"ph\":\"M\"},{\"ph\":\"X\"}]}", "'t.json': traceEvents[1]: 'pid' is missing, an integer is needed"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(2, "0F0", "forward", 0, 1, PLACE(0)) "]}", "'pid' is 2, which its schedule has not: it is 0 to 1"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F0", "fast", 0, 1, PLACE(0)) "]}", "its category is none of"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F0", "forward", -1, 1, PLACE(0)) "]}", "'ts' is -1, which is no time"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F0", "forward", 0, true, PLACE(0)) "]}", "'dur' is true"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F0", "forward", 0, 1, PLACE(7)) "]}", "'stage' is 7"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "1F0", "forward", 0, 1, PLACE(0)) "]}", "it is called '1F0', its arguments are those of 0F0"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F01", "forward", 0, 1, PLACE(0)) "]}", "it is called '0F01'"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F0", "weight", 0, 1, PLACE(0)) "]}", "its arguments are those of 0W0"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F0", "forward", 0, 1, "\"stage\":0,\"mb\":0") "]}", "'step' is missing"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "wait 0F0", "wait", 0, 1, PLACE(0) ",\"cause\":\"input\",\"peer\":9") "]}", "'peer' is 9"},
        {"{" ABOUT ",\"traceEvents\":[" EVENT(0, "0F0", "forward", 0, 100, PLACE(0)) "," EVENT(0, "0B0", "backward", 50, 1, PLACE(0)) "]}",
         "'t.json': rank 0 does '0F0' until 0.100000 ms, and '0B0' from 0.050000 ms on"},
    };
    struct weir_traced trace;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_fails(weir_traced_parse(bad[i].text, strlen(bad[i].text), "t.json", &arena, &trace), WEIR_ERR_INVALID, bad[i].words);
    assert_fails(weir_traced_load("none.json", &arena, &trace), WEIR_ERR_IO, "none.json");
}

static void names_out_of_a_trace_are_harmless(void **state)
{
    (void)state;
    struct weir_traced trace;
    struct weir_timeline timeline;
    const struct weir_timeline *const all[] = {&timeline};
    struct weir_text text = {0};
    parse("{" ABOUT ",\"traceEvents\":[" EVENT(0, "\\u001b[2Jupdate<script>", "optimizer", 0, 1000000, "\"step\":1") "]}", &trace);
    assert_ok(weir_timeline_traced(&trace, 1, "t", &arena, &timeline));
    assert_ok(weir_timeline_text(all, 1, &(struct weir_draw_options){0}, &text));
    assert_null(strchr(text.data, '\033'));
    weir_text_release(&text);
    assert_ok(weir_timeline_svg(all, 1, &(struct weir_draw_options){0}, &text));
    assert_null(strstr(text.data, "<script"));
    weir_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(events_are_read_in_order_and_neighbours_touch, drop),
        cmocka_unit_test_teardown(a_timeline_of_a_trace_has_its_waits_levels_and_critical_path, drop),
        cmocka_unit_test_teardown(costs_are_means_in_which_parts_of_an_action_are_one, drop),
        cmocka_unit_test_teardown(costs_need_an_action_of_every_type, drop),
        cmocka_unit_test_teardown(what_a_simulation_writes_reads_back_as_its_timeline, drop),
        cmocka_unit_test_teardown(what_is_no_trace_of_ours_is_refused_with_file_and_event, drop),
        cmocka_unit_test_teardown(names_out_of_a_trace_are_harmless, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
