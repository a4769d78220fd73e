/* Schedules with two copies of the weights: to the bit one stage with two replicas, of which replica c has copy c's micro-batches.
 * labels: threads */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/program/extra_memory.h"
#include "engine/train/trainer.h"
#include "models/model_kinds.h"
#include "schedules/schedule_kinds.h"
#include "tests/support/testing.h"

enum { STEPS = 2, BATCH = 1, SEQ = 4 };

struct layout {
    const char *schedule;
    int n_stages, n_microbatches, replicas, zero;
    const char *recompute;
};

struct outcome {
    double losses[STEPS], norms[STEPS], evaluated;
    float *params;
    size_t n_params;
};

static void step_feed(weir_engine *engine, int step, int n)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    for (int mb = 0; mb < n; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            struct weir_rng_block b = weir_rng_philox(99, (uint32_t)i, (uint32_t)mb, (uint32_t)step, 0);
            tokens[i] = (int32_t)(b.v[0] % 64);
            targets[i] = (tokens[i] * 3 + 1) % 64;
        }
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

static void graph_build(struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = 0.1};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, arena, graph_out));
}

static struct weir_engine_config config_of(const struct weir_graph *graph, const struct weir_schedule *schedule,
                                           const struct layout *layout)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = graph;
    config.schedule = schedule;
    config.weight_decay = 0.1;
    config.grad_clip = 0.5;
    config.seed = 1234;
    config.evaluates = true;
    config.replicas = layout->replicas;
    config.zero = layout->zero;
    config.recompute = layout->recompute;
    return config;
}

static void params_collect(weir_engine *engine, const struct weir_graph *graph, struct outcome *out)
{
    out->n_params = (size_t)weir_graph_n_elements(graph);
    assert_ok(weir_alloc(out->n_params, sizeof(float), &out->params));
    size_t at = 0;
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        assert_ok(weir_engine_param_read(engine, graph->params[i].name, out->params + at, n));
        at += n;
    }
}

/* The ranks of all copies of a stage hold the same values, each in memory of its own. */
static void assert_copies_agree(const weir_engine *engine)
{
    const struct weir_program *program = engine->runner.build.program;
    for (int r = 0; r < engine->runner.machine.n_ranks; r++) {
        const struct weir_rank *rank = &engine->runner.machine.ranks[r], *first = weir_rank_at(&engine->runner.machine, 0, rank->index);
        assert_memory_equal(rank->blocks[WEIR_MEMORY_PARAMS], first->blocks[WEIR_MEMORY_PARAMS],
                            program->ranks[rank->index].bytes[WEIR_MEMORY_PARAMS]);
        assert_true(rank == first || rank->blocks[WEIR_MEMORY_PARAMS] != first->blocks[WEIR_MEMORY_PARAMS]);
    }
}

static void train(const struct layout *layout, struct outcome *out)
{
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
    graph_build(&arena, &graph);
    assert_ok(weir_pipeline_schedule(layout->schedule, layout->n_stages, 0, layout->n_microbatches, &arena, &schedule));
    struct weir_engine_config config = config_of(graph, &schedule, layout);
    assert_ok(weir_engine_open(&config, &engine));
    int n = layout->replicas * layout->n_microbatches;
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        step_feed(engine, step, n);
        assert_ok(weir_engine_step(engine, 1e-3, &report));
        assert_int_equal(report.n_ranks, schedule.n_ranks * layout->replicas);
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
    }
    step_feed(engine, STEPS, n);
    assert_ok(weir_engine_evaluate(engine, &out->evaluated));
    assert_copies_agree(engine);
    params_collect(engine, graph, out);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_memory_equal(a->losses, b->losses, sizeof a->losses);
    assert_memory_equal(a->norms, b->norms, sizeof a->norms);
    assert_memory_equal(&a->evaluated, &b->evaluated, sizeof a->evaluated);
    assert_int_equal(a->n_params, b->n_params);
    assert_memory_equal(a->params, b->params, a->n_params * sizeof(float));
}

/* One stage with twice the replicas and half the micro-batches. */
static void assert_same_as_replicas(const struct layout *layout)
{
    struct layout one = {"gpipe", 1, layout->n_microbatches / 2, 2 * layout->replicas, 0, NULL};
    struct outcome expected, found;
    print_message("%s, %d stages, %d micro-batches, %d replicas, zero %d, recompute %s\n", layout->schedule, layout->n_stages,
                  layout->n_microbatches, layout->replicas, layout->zero, layout->recompute ? layout->recompute : "none");
    train(&one, &expected);
    train(layout, &found);
    assert_same(&found, &expected);
    weir_free(found.params);
    weir_free(expected.params);
}

/* ---- equal bits ------------------------------------------------------------------------------------------------------ */

static void two_copies_give_the_bits_of_one_stage_with_two_replicas(void **state)
{
    (void)state;
    int n = 0;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int p = 2; p <= 4 && (*kind)->n_copies == 2; p += 2)
            for (int m = p; m <= 2 * p; m += p) {
                struct weir_arena arena = {0};
                struct weir_schedule schedule;
                bool is_made = !weir_pipeline_schedule((*kind)->name, p, 0, m, &arena, &schedule);
                weir_arena_release(&arena);
                if (!is_made)
                    continue;
                assert_same_as_replicas(&(struct layout){(*kind)->name, p, m, 1, 0, NULL});
                n++;
            }
    assert_true(n >= 10);
}

static void replicas_sharded_state_and_recomputation_go_with_two_copies(void **state)
{
    (void)state;
    static const struct layout layouts[] = {{"chimera", 4, 8, 2, 0, NULL},   {"dualpipe", 2, 4, 1, 1, NULL},
                                            {"dualpipe", 4, 8, 2, 1, "full"}, {"chimera", 2, 4, 1, 0, "h.*.mlp"},
                                            {"chimera", 4, 4, 1, 1, "full"}};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        assert_same_as_replicas(&layouts[i]);
}

static void the_order_of_a_file_with_reductions_gives_the_same_bits(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    const char *text;
    assert_ok(weir_pipeline_schedule("chimera", 2, 0, 4, &arena, &schedule));
    assert_ok(weir_schedule_add_reductions(&schedule, &arena, &schedule));
    assert_ok(weir_schedule_csv_print(&schedule, &arena, &text));
    char path[4200];
    snprintf(path, sizeof path, "%s/reductions.csv", testing_dir());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    weir_arena_release(&arena);
    assert_same_as_replicas(&(struct layout){path, 2, 4, 1, 0, NULL});
}

/* ---- the program ----------------------------------------------------------------------------------------------------- */

static void fixture_open(const struct layout *layout, struct weir_arena *arena, struct weir_schedule *schedule, weir_engine **engine_out)
{
    const struct weir_graph *graph;
    graph_build(arena, &graph);
    assert_ok(weir_pipeline_schedule(layout->schedule, layout->n_stages, 0, layout->n_microbatches, arena, schedule));
    struct weir_engine_config config = config_of(graph, schedule, layout);
    assert_ok(weir_engine_open(&config, engine_out));
}

static void a_worker_runs_the_actions_of_its_row_in_their_order(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    weir_engine *engine;
    struct weir_step_report report;
    fixture_open(&(struct layout){"dualpipe", 4, 8, 1, 0, NULL}, &arena, &schedule, &engine);
    step_feed(engine, 0, 8);
    assert_ok(weir_engine_step(engine, 1e-3, &report));
    size_t n = weir_engine_events(engine, NULL, 0), at = 0;
    struct weir_step_event *events;
    assert_ok(weir_arena_alloc(&arena, n, sizeof *events, &events));
    weir_engine_events(engine, events, n);
    for (int r = 0; r < schedule.n_ranks; r++) {
        int64_t free_ns = 0;
        for (size_t a = 0; a < schedule.ranks[r].n_actions; a++) {
            const struct weir_action *action = &schedule.ranks[r].actions[a];
            size_t first = at;
            for (; at < n && events[at].rank == r && events[at].stage == action->stage && events[at].mb == action->mb &&
                   events[at].category[0] == weir_action_type_str((enum weir_action_type)action->type)[0];
                 at++) {
                assert_true(events[at].start_ns >= free_ns);
                free_ns = events[at].end_ns;
            }
            assert_true(at > first);
        }
        for (; at < n && events[at].rank == r; at++)
            assert_string_equal(events[at].category, "optimizer");
    }
    assert_int_equal(at, n);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void a_worker_has_the_memory_of_both_its_stages(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    weir_engine *engine;
    struct weir_step_report report;
    fixture_open(&(struct layout){"chimera", 2, 4, 1, 0, NULL}, &arena, &schedule, &engine);
    step_feed(engine, 0, 4);
    assert_ok(weir_engine_step(engine, 1e-3, &report));
    const struct weir_program *program = engine->runner.build.program;
    for (int k = 0; k < WEIR_MEMORY_KINDS; k++) {
        size_t lower = program->ranks[0].bytes[k], upper = program->ranks[1].bytes[k], most = lower > upper ? lower : upper;
        bool together = k == WEIR_MEMORY_ACTIVATIONS || k == WEIR_MEMORY_SCRATCH;
        for (int w = 0; w < 2; w++)
            assert_int_equal(weir_program_worker_block(program, w, (enum weir_memory_kind)k), together ? most : lower + upper);
    }
    for (int r = 0; r < 4; r += 2) {
        const struct weir_rank *first = &engine->runner.machine.ranks[r];
        assert_ptr_equal(first->blocks[WEIR_MEMORY_ACTIVATIONS], weir_rank_twin(first)->blocks[WEIR_MEMORY_ACTIVATIONS]);
        assert_ptr_not_equal(first->blocks[WEIR_MEMORY_GRADS], weir_rank_twin(first)->blocks[WEIR_MEMORY_GRADS]);
        assert_int_equal(report.peak_bytes[first->worker], weir_program_worker_bytes(program, first->worker % 2) +
                                                               weir_address_bytes(&engine->runner.build, first->worker));
    }
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

/* ---- what is refused ------------------------------------------------------------------------------------------------- */

static void copies_that_do_not_mirror_each_other_are_refused_by_row_and_action(void **state)
{
    (void)state;
    static const struct {
        const char *csv, *words;
    } rows[] = {
        {"0F0,1F2,1B2,0B0,0F1,1F3,1B3,0B1\n0F2,1F0,1B0,0B2,0F3,1F1,1B1,0B3\n", ""},
        {"0F0,1F2,1B2,0B0,0F1,1F3,1B3,0B1\n0F2,1F0,1B0,0B2,1F1,0F3,1B1,0B3\n",
         "row 2 has 1F1 where row 1 asks for 0F3: a schedule with two copies is run when both do the same, each from its end"},
        {"0F0,1F1,1B1,0B0,0F2,1F3,1B3,0B2\n0F1,1F0,1B0,0B1,0F3,1F2,1B2,0B3\n",
         "row 1 has 1F1: a schedule with two copies is run when the one whose stage 0 is on rank 0 has micro-batches 0 to 1"},
        {"0F0,1F2,1B2,0B0,0F1,1F3,1B3,0B1\n0F2,1F0,1B0,0F3,0B2,1F1,1B1,0B3\n",
         "row 2 has 0F3 where row 1 asks for 0B2: a schedule with two copies is run when both do the same, each from its end"},
        {"0F0,0B0\n0F1,0B1\n", "1 stages on 2 ranks with 2 copies of the weights"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        struct weir_schedule schedule;
        const struct weir_graph *graph;
        weir_engine *engine;
        char text[512];
        int n = snprintf(text, sizeof text, "# weir-schedule 1 copies=2\n%s", rows[i].csv);
        graph_build(&arena, &graph);
        assert_ok(weir_schedule_csv_parse(text, (size_t)n, "test.csv", WEIR_CSV_TORCH, &arena, &schedule));
        struct weir_engine_config config = config_of(graph, &schedule, &(struct layout){.replicas = 1});
        if (*rows[i].words) {
            assert_fails(weir_engine_open(&config, &engine), WEIR_ERR_UNSUPPORTED, rows[i].words);
        } else {
            assert_ok(weir_engine_open(&config, &engine));
            weir_engine_close(engine);
        }
        weir_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_copies_give_the_bits_of_one_stage_with_two_replicas),
        cmocka_unit_test(replicas_sharded_state_and_recomputation_go_with_two_copies),
        cmocka_unit_test(the_order_of_a_file_with_reductions_gives_the_same_bits),
        cmocka_unit_test(a_worker_runs_the_actions_of_its_row_in_their_order),
        cmocka_unit_test(a_worker_has_the_memory_of_both_its_stages),
        cmocka_unit_test(copies_that_do_not_mirror_each_other_are_refused_by_row_and_action),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
