/* What weir train --trace and --metrics, weir explain and weir schedule draw do, by public headers alone.   labels: threads */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/weir/draw.h"
#include "include/weir/metrics.h"
#include "include/weir/trace.h"
#include "include/weir/weir.h"

enum { RANKS = 2, MICROBATCHES = 4, STEPS = 2, POSITIONS = 16 };

static struct weir_arena arena;
static struct weir_schedule schedule;
static weir_engine *engine;

/* What a function has said, cut. */
struct said {
    char text[200];
    size_t bytes;
};

static void hear(void *context, const char *text, size_t bytes)
{
    struct said *said = context;
    snprintf(said->text, sizeof said->text, "%.*s", (int)(bytes < 190 ? bytes : 190), text);
    said->bytes += bytes;
}

static int setup(void **state)
{
    (void)state;
    const struct weir_model_kind *kind;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = POSITIONS};
    struct weir_engine_config config;
    weir_engine_config_init(&config, sizeof config);
    config.schedule = &schedule;
    return weir_model_find("gpt2-tiny", &kind) || weir_model_build(kind, &params, &arena, &config.graph) ||
           weir_pipeline_schedule("1f1b", RANKS, 0, MICROBATCHES, &arena, &schedule) || weir_engine_open(&config, &engine);
}

static int teardown(void **state)
{
    (void)state;
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return 0;
}

static void step(struct weir_step_report *report)
{
    static const int32_t tokens[POSITIONS];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, tokens));
    }
    assert_ok(weir_engine_step(engine, 1e-3, report));
}

/* ---- traces ---------------------------------------------------------------------------------------------------------- */

/* The events and waits of the last step, for as long as the arena lives. */
struct last {
    struct weir_step_event *events;
    struct weir_step_wait *waits;
    size_t n_events, n_waits;
};

static struct last last_step(void)
{
    struct last l = {.n_events = weir_engine_events(engine, NULL, 0), .n_waits = weir_engine_waits(engine, NULL, 0)};
    l.events = calloc(l.n_events, sizeof *l.events);
    l.waits = calloc(l.n_waits + 1, sizeof *l.waits);
    assert_true(l.events && l.waits);
    weir_engine_events(engine, l.events, l.n_events);
    weir_engine_waits(engine, l.waits, l.n_waits);
    return l;
}

static void last_release(struct last *l)
{
    free(l->events);
    free(l->waits);
}

static enum weir_trace_category category_of(const struct weir_step_event *e)
{
    return e->category[0] == 'F' ? WEIR_TRACE_FORWARD : e->category[0] == 'B' ? WEIR_TRACE_BACKWARD : WEIR_TRACE_OPTIMIZER;
}

static void step_add(weir_trace *trace, int64_t number)
{
    struct last l = last_step();
    for (size_t i = 0; i < l.n_events; i++) {
        const struct weir_step_event *e = &l.events[i];
        for (size_t w = 0; w < l.n_waits; w++)
            if (l.waits[w].event == (int)i && l.waits[w].cause) {
                struct weir_trace_event wait = {.name = e->name, .rank = e->rank, .category = WEIR_TRACE_WAIT, .stage = e->stage, .mb = e->mb,
                                                .step = number, .start_ns = l.waits[w].start_ns, .end_ns = l.waits[w].end_ns,
                                                .cause = l.waits[w].cause, .peer = l.waits[w].peer,
                                                .awaited = l.events[l.waits[w].peer_event].name,
                                                .way_ns = l.waits[w].end_ns - l.waits[w].made_ns};
                weir_trace_add(trace, &wait, 1);
            }
        struct weir_trace_event event = {.name = e->name, .rank = e->rank, .category = category_of(e), .stage = e->stage, .mb = e->mb,
                                         .step = number, .start_ns = e->start_ns, .end_ns = e->end_ns};
        weir_trace_add(trace, &event, 1);
    }
    last_release(&l);
}

/* "0F0,0B0\n1F0,1B0\n" within JSON: a line feed is two characters there. */
static void about_write(char *about, size_t room)
{
    const char *csv;
    size_t n = (size_t)snprintf(about, room, "{\"ranks\": %d, \"replicas\": 1, \"schedule\": \"", RANKS);
    assert_ok(weir_schedule_csv_print(&schedule, &arena, &csv));
    for (; *csv; csv++)
        n += (size_t)snprintf(about + n, room - n, *csv == '\n' ? "\\n" : "%c", *csv);
    snprintf(about + n, room - n, "\"}");
}

static const char *trace_make(const char *name)
{
    static const struct weir_trace_row rows[RANKS] = {{0, 0, "compute"}, {1, 0, "compute"}};
    const char *path = testing_path(name);
    char about[1000];
    struct weir_step_report report;
    weir_trace *trace;
    about_write(about, sizeof about);
    assert_ok(weir_trace_open(path, rows, RANKS, 1000, &trace));
    assert_ok(weir_trace_about(trace, about));
    for (int i = 1; i <= STEPS; i++) {
        step(&report);
        step_add(trace, i);
    }
    assert_int_equal(weir_trace_lost(trace), 0);
    assert_ok(weir_trace_write(trace));
    weir_trace_close(trace);
    return path;
}

static void a_trace_of_an_engine_is_read_priced_and_explained(void **state)
{
    (void)state;
    const char *path = trace_make("t.json");
    const struct weir_traced *trace;
    struct weir_traced_info info;
    struct weir_traced_event event;
    struct weir_schedule_costs costs = {.overlap_gain = 1};
    struct weir_simulation simulation;
    struct weir_explanation why;
    assert_ok(weir_traced_read(path, &arena, &trace));
    weir_traced_info(trace, &info);
    assert_true(!info.simulated && info.n_ranks == RANKS && info.first_step == 1 && info.last_step == STEPS);
    assert_ok(weir_traced_event_get(trace, 0, &event));
    assert_true(event.step == 1 && event.rank == 0 && event.start <= event.end);
    assert_fails(weir_traced_event_get(trace, info.n_events, &event), WEIR_ERR_INVALID, "no event");
    assert_int_equal(weir_traced_schedule(trace)->n_microbatches, MICROBATCHES);
    assert_ok(weir_traced_costs(trace, &arena, &costs));
    assert_ok(weir_schedule_simulate(&schedule, &costs, &(struct weir_simulation_options){0}, &arena, &simulation));
    assert_ok(weir_explanation_load(path, &arena, &why));
    assert_true(why.n_ranks == RANKS && why.n_steps == 1 && why.first_step == STEPS && why.busy_ms[1] > 0);
    assert_float_equal(why.simulated_step_ms, simulation.makespan, 1e-9 * simulation.makespan);
}

static void what_is_no_trace_is_refused(void **state)
{
    (void)state;
    static const char other[] = "{\"traceEvents\": []}";
    const struct weir_traced *trace;
    struct weir_explanation why;
    struct weir_flight_record record;
    bool is_record = true;
    const char *path = testing_path("other.json");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(other, file);
    fclose(file);
    assert_true(weir_traced_is(" {", 2) && !weir_traced_is("0F0", 3));
    assert_fails(weir_traced_read_text(other, sizeof other - 1, "other", &arena, &trace), WEIR_ERR_INVALID, "other");
    assert_fails(weir_traced_read(testing_path("nowhere.json"), &arena, &trace), WEIR_ERR_IO, "nowhere.json");
    assert_fails(weir_explanation_load(path, &arena, &why), WEIR_ERR_INVALID, "other.json");
    assert_ok(weir_flight_record_load(path, &arena, &record, &is_record));
    assert_false(is_record);
    file = fopen(path, "w");
    fputs("{\"weir_flight\": 1, \"why\": \"asked\"}", file);
    fclose(file);
    assert_fails(weir_flight_record_load(path, &arena, &record, &is_record), WEIR_ERR_INVALID, "a list is missing");
    assert_true(is_record);
}

/* ---- drawings --------------------------------------------------------------------------------------------------------- */

static void simulation_trace_and_step_are_drawn_together(void **state)
{
    (void)state;
    const struct weir_timeline *all[3];
    const struct weir_traced *trace;
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_simulation_options options = {.keep_times = true, .keep_path = true};
    struct weir_simulation simulation;
    struct said text = {.bytes = 0}, svg = {.bytes = 0}, html = {.bytes = 0};
    assert_ok(weir_schedule_simulate(&schedule, &costs, &options, &arena, &simulation));
    assert_ok(weir_timeline_of_simulation(&simulation, &costs, "predicted", "ms", &arena, &all[0]));
    assert_ok(weir_traced_read(trace_make("d.json"), &arena, &trace));
    assert_ok(weir_timeline_of_trace(trace, 0, "traced", &arena, &all[1]));
    struct last l = last_step();
    assert_ok(weir_timeline_of_step(&schedule, l.events, l.n_events, l.waits, l.n_waits, "last", &arena, &all[2]));
    last_release(&l);
    assert_string_equal(weir_timeline_title(all[2]), "last");
    assert_string_equal(weir_timeline_unit(all[0]), "ms");
    assert_ok(weir_timelines_draw(all, 3, WEIR_DRAW_TEXT, &(struct weir_draw_options){.width = 100}, hear, &text));
    assert_ok(weir_timelines_draw(all, 3, WEIR_DRAW_SVG, &(struct weir_draw_options){0}, hear, &svg));
    assert_ok(weir_timelines_draw(all, 3, WEIR_DRAW_HTML, &(struct weir_draw_options){0}, hear, &html));
    assert_true(text.bytes > 200 && strstr(svg.text, "<svg") && strstr(html.text, "<!"));
    assert_fails(weir_timelines_draw(all, 3, WEIR_DRAW_FORMS, &(struct weir_draw_options){0}, hear, &svg), WEIR_ERR_INVALID, "form");
    assert_fails(weir_timelines_draw(all, 3, WEIR_DRAW_SVG, NULL, hear, &svg), WEIR_ERR_INVALID, "NULL");
    assert_fails(weir_timelines_draw(all, 1, WEIR_DRAW_SVG, &(struct weir_draw_options){.from = 1e6}, hear, &svg), WEIR_ERR_USAGE, "nothing");
    assert_fails(weir_timeline_of_trace(trace, 9, "t", &arena, &all[1]), WEIR_ERR_USAGE, "no step 9");
    assert_fails(weir_timeline_of_step(&schedule, NULL, 0, NULL, 0, "t", &arena, &all[2]), WEIR_ERR_INVALID, "no event");
    options.keep_times = false;
    assert_ok(weir_schedule_simulate(&schedule, &costs, &options, &arena, &simulation));
    assert_fails(weir_timeline_of_simulation(&simulation, &costs, "t", "", &arena, &all[0]), WEIR_ERR_INVALID, "");
}

static void a_drawing_that_cannot_be_is_refused(void **state)
{
    (void)state;
    const struct weir_timeline *all[2] = {NULL, NULL};
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_simulation_options options = {.keep_times = true};
    struct weir_draw_options most = {.width = WEIR_DRAW_MOST_COLUMNS}, wide = {.width = 20000000};
    struct weir_simulation simulation;
    struct said text = {.bytes = 0};
    assert_ok(weir_schedule_simulate(&schedule, &costs, &options, &arena, &simulation));
    assert_ok(weir_timeline_of_simulation(&simulation, &costs, NULL, NULL, &arena, &all[0]));
    assert_string_equal(weir_timeline_title(all[0]), "");
    assert_string_equal(weir_timeline_unit(all[0]), "");
    assert_ok(weir_timelines_draw(all, 1, WEIR_DRAW_TEXT, &most, hear, &text));
    assert_ok(weir_timelines_draw(all, 1, WEIR_DRAW_HTML, &wide, hear, &text)); /* a page has no width */
    assert_fails(weir_timelines_draw(all, 1, WEIR_DRAW_TEXT, &wide, hear, &text), WEIR_ERR_INVALID, "20000000 columns wide: at most 100000");
    assert_fails(weir_timelines_draw(all, 1, WEIR_DRAW_SVG, &wide, hear, &text), WEIR_ERR_INVALID, "20000000 pixels wide");
    assert_fails(weir_timelines_draw(all, 2, WEIR_DRAW_SVG, &most, hear, &text), WEIR_ERR_INVALID, "timeline 1 of 2 is NULL");
    assert_fails(weir_timelines_draw(NULL, 1, WEIR_DRAW_SVG, &most, hear, &text), WEIR_ERR_INVALID, "timelines, which is NULL");
    assert_fails(weir_timelines_draw(all, 1, WEIR_DRAW_SVG, &most, NULL, &text), WEIR_ERR_INVALID, "a function");
}

/* ---- metrics ---------------------------------------------------------------------------------------------------------- */

static void metrics_are_written_and_who_is_slow_is_found(void **state)
{
    (void)state;
    static const int64_t peaks[RANKS] = {10, 20};
    const char *path = testing_path("m.jsonl"), *object;
    struct weir_metrics_step line = {.step = 1, .loss = 2.5, .peak_bytes = peaks}, larger[2] = {line, line};
    struct weir_straggler found;
    weir_metrics *metrics, *second;
    weir_stragglers *stragglers;
    assert_ok(weir_metrics_open(path, RANKS, &metrics));
    assert_fails(weir_metrics_open(path, RANKS, &second), WEIR_ERR_IO, "m.jsonl");
    assert_ok(weir_metrics_run(metrics, "{\"model\": \"tiny\"}"));
    assert_ok(weir_metrics_write(metrics, &line));
    assert_fails(weir_metrics_write(metrics, NULL), WEIR_ERR_INVALID, "NULL");
    assert_fails(weir_metrics_write_sized(metrics, larger, sizeof larger), WEIR_ERR_INVALID, "newer");
    weir_metrics_close(metrics);
    assert_true(weir_metrics_is_file(path));
    assert_ok(weir_metrics_run_read(path, &arena, &object));
    assert_string_equal(object, "{\"model\": \"tiny\"}");
    assert_fails(weir_stragglers_open(0, NULL, &stragglers), WEIR_ERR_INVALID, "at least 1");
    assert_ok(weir_stragglers_open(RANKS, NULL, &stragglers));
    int at = 0;
    for (int i = 0; i < 200 && !at; i++) {
        const int64_t times[RANKS] = {INT64_C(400000000), i < 100 ? INT64_C(400000000) : INT64_C(900000000)};
        at = weir_stragglers_look(stragglers, times, INT64_C(1000000000), &found) ? i : 0;
    }
    assert_true(at == 100 + WEIR_STRAGGLER_STEPS - 1 && found.rank == 1 && found.factor > 2 && !found.over_plan);
    weir_stragglers_close(stragglers);
    weir_stragglers_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_of_an_engine_is_read_priced_and_explained),
        cmocka_unit_test(what_is_no_trace_is_refused),
        cmocka_unit_test(simulation_trace_and_step_are_drawn_together),
        cmocka_unit_test(a_drawing_that_cannot_be_is_refused),
        cmocka_unit_test(metrics_are_written_and_who_is_slow_is_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
