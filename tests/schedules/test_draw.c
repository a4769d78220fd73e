/* schedules: timelines, and what their writers make of them.   labels: pure */
#include "tests/support/testing.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "schedules/draw/timeline.h"

static struct weir_arena arena;
static struct weir_text text;

static int drop(void **state)
{
    (void)state;
    weir_text_release(&text);
    weir_arena_release(&arena);
    return 0;
}

static const struct weir_timeline *timeline_of(const struct weir_schedule *schedule, double transfer, const char *title)
{
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .transfer = transfer, .overlap_gain = 1};
    struct weir_simulation_options options = {.keep_times = true, .keep_path = true};
    struct weir_simulation simulation;
    struct weir_timeline *timeline;
    assert_ok(weir_schedule_simulate(schedule, &costs, &options, &arena, &simulation));
    assert_ok(weir_arena_alloc(&arena, 1, sizeof *timeline, &timeline));
    assert_ok(weir_timeline_simulated(&simulation, &costs, title, "", &arena, timeline));
    return timeline;
}

static const struct weir_timeline *parsed(const char *csv, double transfer, const char *title)
{
    struct weir_schedule schedule;
    assert_ok(weir_schedule_csv_parse(csv, strlen(csv), "t.csv", WEIR_CSV_TORCH, &arena, &schedule));
    return timeline_of(&schedule, transfer, title);
}

static const char one_f_one_b[] = "0F0,0F1,0B0,0F2,0B1,0B2\n1F0,1B0,1F1,1B1,1F2,1B2\n";

static void assert_wait(const struct weir_timeline *t, int rank, size_t i, struct weir_timeline_wait wanted)
{
    const struct weir_timeline_wait *w = &t->ranks[rank].waits[i];
    assert_true(i < t->ranks[rank].n_waits);
    assert_float_equal(w->start, wanted.start, 1e-9);
    assert_float_equal(w->made, wanted.made, 1e-9);
    assert_float_equal(w->end, wanted.end, 1e-9);
    assert_float_equal(w->held, wanted.held, 1e-9);
    assert_string_equal(w->cause, wanted.cause);
    assert_string_equal(w->held_by ? w->held_by : "nothing", wanted.held_by ? wanted.held_by : "nothing");
    assert_string_equal(w->awaited, wanted.awaited);
    assert_int_equal(w->peer, wanted.peer);
}

static void a_wait_is_split_into_work_way_and_a_channel_that_was_taken(void **state)
{
    (void)state;
    /* transfers last 3: 0F0 1-4, 0F1 is made at 2 and goes 4-7, though it could have come at 5 */
    const struct weir_timeline *t = parsed("0F0,0F1\n1F0,1F1\n", 3, "t");
    assert_wait(t, 1, 0, (struct weir_timeline_wait){.start = 0, .made = 1, .end = 4, .cause = "input", .awaited = "0F0", .peer = 0});
    assert_wait(t, 1, 1, (struct weir_timeline_wait){.start = 5, .made = 5, .end = 7, .held = 2, .held_by = "channel",
                                                     .cause = "input", .awaited = "0F1", .peer = 0});
}

static void a_wait_for_a_slot_says_so(void **state)
{
    (void)state;
    /* transfers last 3: rank 0 has 0B0 from 19 to 21, so that 1B2, which ends at 20, gets its slot at 21 */
    const struct weir_timeline *t = parsed("0F0,0F1,0F2,0F3,0B0,0B1,0B2,0B3\n1F0,1F1,1F2,1F3,1B0,1B1,1B2,1B3\n", 3, "t");
    const struct weir_timeline_rank *rank = &t->ranks[1];
    int found = 0;
    for (size_t i = 0; i < rank->n_waits; i++) {
        const struct weir_timeline_wait *w = &rank->waits[i];
        if (!w->cause || strcmp(w->cause, "gradient slot") != 0)
            continue;
        assert_true(w->start == 20 && w->made == 21 && w->end == 21 && w->peer == 0 && !w->awaited && !w->held_by);
        found++;
    }
    assert_int_equal(found, 1);
}

static json_t *object_of(const char *page)
{
    static const char opening[] = "id=\"timelines\">";
    const char *from = strstr(page, opening), *to;
    json_error_t error;
    assert_non_null(from);
    from += strlen(opening);
    to = strstr(from, "</script>");
    assert_non_null(to);
    json_t *root = json_loadb(from, (size_t)(to - from), JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s at %d", error.text, error.position);
    return root;
}

static void a_page_holds_every_event_of_every_timeline(void **state)
{
    (void)state;
    const struct weir_timeline *const all[] = {parsed(one_f_one_b, 0.5, "first"), parsed(one_f_one_b, 0, "second")};
    assert_ok(weir_timeline_html(all, 2, &(struct weir_draw_options){0}, &text));
    json_t *root = object_of(text.data), *timelines = json_object_get(root, "timelines");
    assert_int_equal(json_array_size(timelines), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *t = json_array_get(timelines, i), *ranks = json_object_get(t, "ranks");
        assert_string_equal(json_string_value(json_object_get(t, "title")), all[i]->title);
        assert_float_equal(json_number_value(json_object_get(t, "length")), all[i]->length, 1e-6);
        assert_int_equal(json_array_size(json_object_get(t, "path")), all[i]->n_path);
        for (size_t r = 0; r < 2; r++) {
            assert_int_equal(json_array_size(json_object_get(json_array_get(ranks, r), "events")), all[i]->ranks[r].n_events);
            assert_int_equal(json_array_size(json_object_get(json_array_get(ranks, r), "waits")), all[i]->ranks[r].n_waits);
        }
    }
    assert_null(strstr(text.data, "@TIMELINES@"));
    assert_null(strstr(text.data, "src="));
    assert_null(strstr(text.data, "http://"));
    assert_null(strstr(text.data, "https://"));
    json_decref(root);
}

static void names_from_files_cannot_end_the_script_or_the_text_they_stand_in(void **state)
{
    (void)state;
    static const char nasty[] = "</script><script>alert(1)</script>\"\\\n<!-- &amp; \xff\xc3\xa4";
    const struct weir_timeline *const all[] = {parsed(one_f_one_b, 0, nasty)};
    assert_ok(weir_timeline_html(all, 1, &(struct weir_draw_options){0}, &text));
    json_t *root = object_of(text.data);
    const json_t *t = json_array_get(json_object_get(root, "timelines"), 0);
    assert_string_equal(json_string_value(json_object_get(t, "title")),
                        "</script><script>alert(1)</script>\"\\\n<!-- &amp; ?\xc3\xa4");
    assert_null(strstr(text.data, "<script>alert"));
    json_decref(root);
    weir_text_release(&text);
    assert_ok(weir_timeline_svg(all, 1, &(struct weir_draw_options){0}, &text));
    assert_null(strstr(text.data, "<script"));
}

static void a_part_that_is_empty_is_refused_by_every_writer(void **state)
{
    (void)state;
    const struct weir_timeline *const all[] = {parsed(one_f_one_b, 0, "t")};
    struct weir_draw_options options = {.from = 100};
    assert_fails(weir_timeline_text(all, 1, &options, &text), WEIR_ERR_USAGE, "nothing lies between 100 and 12");
    assert_fails(weir_timeline_svg(all, 1, &options, &text), WEIR_ERR_USAGE, "nothing lies between 100 and 12");
    assert_fails(weir_timeline_html(all, 1, &options, &text), WEIR_ERR_USAGE, "nothing lies between 100 and 12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_wait_is_split_into_work_way_and_a_channel_that_was_taken, drop),
        cmocka_unit_test_teardown(a_wait_for_a_slot_says_so, drop),
        cmocka_unit_test_teardown(a_page_holds_every_event_of_every_timeline, drop),
        cmocka_unit_test_teardown(names_from_files_cannot_end_the_script_or_the_text_they_stand_in, drop),
        cmocka_unit_test_teardown(a_part_that_is_empty_is_refused_by_every_writer, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
