/* waits: what a rank does not spend in instructions, it waits, and each wait has the cause that the program says.   labels: threads */
#include "tests/support/testing.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/program/deps.h"
#include "engine/train/trainer.h"
#include "models/model_kinds.h"

enum { MICROBATCHES = 4, MOST = 4096 };

static struct weir_step_event events[MOST];
static struct weir_step_wait waits[MOST];

struct fixture {
    struct weir_arena arena;
    struct weir_schedule schedule;
    weir_engine *engine;
    size_t n_events, n_waits;
};

static void step_run(struct fixture *f, const char *schedule, int stages, int replicas, int zero)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = 16};
    struct weir_step_report report;
    static int32_t tokens[16];
    memset(f, 0, sizeof *f);
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &f->arena, &config.graph));
    assert_ok(weir_pipeline_schedule(schedule, stages, 0, MICROBATCHES, &f->arena, &f->schedule));
    config.schedule = &f->schedule;
    config.replicas = replicas;
    config.zero = zero;
    assert_ok(weir_engine_open(&config, &f->engine));
    for (int step = 0; step < 2; step++) {
        for (int mb = 0; mb < MICROBATCHES * replicas; mb++) {
            assert_ok(weir_engine_feed(f->engine, "tokens", mb, tokens));
            assert_ok(weir_engine_feed(f->engine, "targets", mb, tokens));
        }
        assert_ok(weir_engine_step(f->engine, 1e-3, &report));
    }
    f->n_events = weir_engine_events(f->engine, events, MOST);
    f->n_waits = weir_engine_waits(f->engine, waits, MOST);
    assert_true(f->n_events <= MOST && f->n_waits <= MOST && f->n_waits <= f->n_events + (size_t)report.n_ranks);
}

static void fixture_close(struct fixture *f)
{
    weir_engine_close(f->engine);
    weir_arena_release(&f->arena);
}

/* Between the first start and the last end of the step every rank works or waits, and nothing else. */
static void work_and_waits_fill_the_step(void **state)
{
    (void)state;
    struct fixture f;
    step_run(&f, "zbv", 4, 2, 1);
    int64_t first = INT64_MAX, last = 0;
    for (size_t i = 0; i < f.n_events; i++) {
        first = events[i].start_ns < first ? events[i].start_ns : first;
        last = events[i].end_ns > last ? events[i].end_ns : last;
    }
    for (int r = 0; r < f.engine->runner.machine.n_ranks; r++) {
        int64_t sum = 0;
        for (size_t i = 0; i < f.n_events; i++)
            sum += events[i].rank == r ? events[i].end_ns - events[i].start_ns : 0;
        for (size_t i = 0; i < f.n_waits; i++)
            sum += waits[i].rank == r ? waits[i].end_ns - waits[i].start_ns : 0;
        assert_int_equal(sum, last - first);
    }
    fixture_close(&f);
}

static bool program_has(const struct weir_program *program, const struct weir_instr *instr, const char *cause)
{
    for (int k = 0; k < instr->n_deps; k++)
        if (!strcmp(weir_dep_why_str(program->deps[instr->first_dep + k].why), cause))
            return true;
    return false;
}

/* The awaited event ended after the rank was free, and nothing that the instruction awaits ended later. */
static void a_cause_is_a_dependency_that_was_there_last(void **state)
{
    (void)state;
    static const char *const schedules[] = {"gpipe", "1f1b", "zb-h1"};
    int with_cause = 0;
    for (size_t s = 0; s < sizeof schedules / sizeof schedules[0]; s++) {
        struct fixture f;
        step_run(&f, schedules[s], 3, 1, 0);
        const struct weir_program *program = f.engine->runner.build.program;
        for (size_t i = 0; i < f.n_waits; i++) {
            const struct weir_step_wait *wait = &waits[i];
            assert_true(wait->start_ns <= wait->made_ns && wait->made_ns <= wait->end_ns && wait->start_ns < wait->end_ns);
            if (!wait->cause)
                continue;
            with_cause++;
            int first = 0;
            for (int r = 0; r < wait->rank; r++)
                first += program->ranks[r].n_instrs;
            const struct weir_instr *instr = &program->ranks[wait->rank].instrs[wait->event - first];
            assert_true(program_has(program, instr, wait->cause));
            assert_int_equal(events[wait->peer_event].rank, wait->peer);
            assert_int_equal(wait->made_ns, events[wait->peer_event].end_ns < wait->end_ns ? events[wait->peer_event].end_ns
                                                                                          : wait->end_ns);
            assert_int_equal(wait->end_ns, events[wait->event].start_ns);
        }
        fixture_close(&f);
    }
    assert_true(with_cause > 0);
}

/* Stage 2's first forward cannot be first: whoever holds it has waited for its input. */
static void the_last_stage_waits_for_its_first_input(void **state)
{
    (void)state;
    struct fixture f;
    step_run(&f, "1f1b", 3, 1, 0);
    const struct weir_step_wait *first = NULL;
    for (size_t i = 0; i < f.n_waits && !first; i++)
        first = waits[i].rank == 2 ? &waits[i] : NULL;
    assert_non_null(first);
    assert_string_equal(first->cause, "input");
    assert_int_equal(first->peer, 1);
    assert_string_equal(events[first->event].name, "2F0");
    assert_string_equal(events[first->peer_event].name, "1F0");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_and_waits_fill_the_step),
        cmocka_unit_test(a_cause_is_a_dependency_that_was_there_last),
        cmocka_unit_test(the_last_stage_waits_for_its_first_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
