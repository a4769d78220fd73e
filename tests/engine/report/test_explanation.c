/* explanation: a trace with known times is added up as it should be.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "include/weir/trace.h"

enum { MS = 1000000 };

static void assert_near(double value, double wanted, double most)
{
    if (!(fabs(value - wanted) <= most))
        fail_msg("%g is not %g", value, wanted);
}

/* Two steps of 1F1B on 2 ranks and 2 micro-batches, F 1 ms, B 2 ms; the first step takes twice as long.
 *
 *     rank 0   F0 F1 .  B0 B0 .  B1 B1 o
 *     rank 1   .  F0 B0 B0 F1 B1 B1 .  .  o                                                                          */
struct made {
    const char *name;
    int rank, start, end;
    enum weir_trace_category category;
    const char *cause;
    int peer, way;
};

static const struct made step[] = {
    {"0F0", 0, 0, 1, WEIR_TRACE_FORWARD, NULL, 0, 0},      {"0F1", 0, 1, 2, WEIR_TRACE_FORWARD, NULL, 0, 0},
    {"0B0", 0, 2, 5, WEIR_TRACE_WAIT, "gradient", 1, 1},   {"0B0", 0, 5, 7, WEIR_TRACE_BACKWARD, NULL, 0, 0},
    {"0B1", 0, 7, 8, WEIR_TRACE_WAIT, "gradient", 1, 0},   {"0B1", 0, 8, 10, WEIR_TRACE_BACKWARD, NULL, 0, 0},
    {"update", 0, 10, 11, WEIR_TRACE_OPTIMIZER, NULL, 0, 0},
    {"1F0", 1, 0, 1, WEIR_TRACE_WAIT, "input", 0, 0},      {"1F0", 1, 1, 2, WEIR_TRACE_FORWARD, NULL, 0, 0},
    {"1B0", 1, 2, 4, WEIR_TRACE_BACKWARD, NULL, 0, 0},     {"1F1", 1, 4, 5, WEIR_TRACE_FORWARD, NULL, 0, 0},
    {"1B1", 1, 5, 7, WEIR_TRACE_BACKWARD, NULL, 0, 0},     {"update", 1, 7, 10, WEIR_TRACE_WAIT, "norm", 0, 0},
    {"update", 1, 10, 11, WEIR_TRACE_OPTIMIZER, NULL, 0, 0},
};

enum { N_STEP = sizeof step / sizeof step[0] };

static void trace_make(const char *path, const char *about, int n_steps)
{
    static const struct weir_trace_row rows[] = {{0, 0, "compute"}, {1, 0, "compute"}};
    weir_trace *trace;
    assert_ok(weir_trace_open(path, rows, 2, 2 * N_STEP, &trace));
    if (about)
        assert_ok(weir_trace_about(trace, about));
    for (int s = 0; s < n_steps; s++)
        for (int i = 0; i < N_STEP; i++) {
            int64_t base = s ? 100 * MS : 0, factor = s ? MS : 2 * MS;
            bool acts = step[i].category != WEIR_TRACE_OPTIMIZER;
            struct weir_trace_event event = {
                .name = step[i].name, .rank = step[i].rank, .category = step[i].category,
                .stage = acts ? step[i].name[0] - '0' : -1, .mb = acts ? step[i].name[2] - '0' : -1, .step = s + 1,
                .start_ns = base + step[i].start * factor, .end_ns = base + step[i].end * factor, .cause = step[i].cause,
                .peer = step[i].peer, .awaited = step[i].cause ? "x" : NULL, .way_ns = step[i].way * factor};
            weir_trace_add(trace, &event, 1);
        }
    assert_ok(weir_trace_write(trace));
    weir_trace_close(trace);
}

static const char about[] = "{\"ranks\": 2, \"replicas\": 1, \"schedule\": \"0F0,0F1,0B0,0B1\\n1F0,1B0,1F1,1B1\\n\"}";

static const struct weir_wait_row *row_of(const struct weir_explanation *e, int rank, const char *cause)
{
    for (int i = 0; i < e->n_rows; i++)
        if (e->rows[i].rank == rank && !strcmp(e->rows[i].cause, cause))
            return &e->rows[i];
    fail_msg("rank %d has no row '%s'", rank, cause);
    return NULL;
}

static void waits_are_added_up_by_cause_and_peer_without_the_first_step(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_explanation e;
    const char *path = testing_path("trace.json");
    trace_make(path, about, 2);
    assert_ok(weir_explanation_load(path, &arena, &e));
    assert_true(e.first_step == 2 && e.n_steps == 1 && e.n_ranks == 2 && e.n_replicas == 1);
    assert_near(e.step_ms, 11, 1e-6);
    assert_near(e.busy_ms[0], 7, 1e-6);
    assert_near(e.busy_ms[1], 7, 1e-6);
    const struct weir_wait_row *gradient = row_of(&e, 0, "gradient"), *fill = row_of(&e, 1, "fill"), *norm = row_of(&e, 1, "norm");
    assert_int_equal(gradient->peer, 1);
    assert_near(gradient->times, 2, 1e-9);
    assert_near(gradient->wait_ms, 3, 1e-6);
    assert_near(gradient->way_ms, 1, 1e-6);
    assert_near(fill->wait_ms, 1, 1e-6);
    assert_near(norm->wait_ms, 3, 1e-6);
    weir_arena_release(&arena);
}

/* With F 1, B 2 and free transfers: 0B0 starts at 4, 0B1 at 7 and ends at 9; rank 1 is done at 7. */
static void the_simulator_answers_for_the_same_schedule_and_costs(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_explanation e;
    const char *path = testing_path("simulated.json");
    trace_make(path, about, 1);
    assert_ok(weir_explanation_load(path, &arena, &e));
    assert_int_equal(e.first_step, 1); /* there is no other */
    assert_near(e.simulated_step_ms, 20, 1e-6); /* the first step is twice as slow: 2 * (9 + the update's 1) */
    assert_near(row_of(&e, 0, "gradient")->simulated_ms, 2 * (2 + 1), 1e-6);
    assert_near(row_of(&e, 1, "fill")->simulated_ms, 2, 1e-6);
    assert_near(row_of(&e, 1, "norm")->simulated_ms, 2 * 2, 1e-6);
    assert_int_equal(row_of(&e, 1, "norm")->peer, 0);
    weir_arena_release(&arena);
}

static void what_is_no_trace_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"{\"traceEvents\": []}", "does not say which schedule"},
        {"{\"otherData\": {\"schedule\": \"0F0,0B0\\n\", \"ranks\": 2, \"replicas\": 1}, \"traceEvents\": []}", "not those of its schedule"},
        {"{\"otherData\": {\"schedule\": \"0F0,0B0\\n\", \"ranks\": 1, \"replicas\": 1}, \"traceEvents\": []}", "no events"},
        {"{\"otherData\": {\"schedule\": \"0F0,0B0\\n\", \"ranks\": 1, \"replicas\": 1}, \"traceEvents\": [{\"ph\": \"X\", "
         "\"cat\": \"forward\", \"name\": \"7F0\", \"pid\": 0, \"tid\": 0, \"ts\": 0, \"dur\": 1, \"args\": {\"stage\": 7, \"mb\": 0, "
         "\"step\": 1}}]}", "has not"},
        {"{\"otherData\": {\"schedule\": \"0F0,0B0\\n\", \"ranks\": 1, \"replicas\": 1, \"unit\": \"1 ms\"}, \"traceEvents\": [{\"ph\": \"X\", "
         "\"cat\": \"forward\", \"name\": \"0F0\", \"pid\": 0, \"tid\": 0, \"ts\": 0, \"dur\": 1, \"args\": {\"stage\": 0, \"mb\": 0, "
         "\"step\": 1}}]}", "is a prediction"},
        {"{\"otherData\": {\"schedule\": \"0F0,0F0\\n\", \"ranks\": 1, \"replicas\": 1}, \"traceEvents\": [{}]}", "row 1"},
        {"[]", "does not say"},
    };
    struct weir_arena arena = {0};
    struct weir_explanation e;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *path = testing_path("bad.json");
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(bad[i].text, file);
        fclose(file);
        assert_fails(weir_explanation_load(path, &arena, &e), WEIR_ERR_INVALID, bad[i].words);
    }
    assert_fails(weir_explanation_load(testing_path("none.json"), &arena, &e), WEIR_ERR_IO, "none.json");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_are_added_up_by_cause_and_peer_without_the_first_step),
        cmocka_unit_test(the_simulator_answers_for_the_same_schedule_and_costs),
        cmocka_unit_test(what_is_no_trace_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
