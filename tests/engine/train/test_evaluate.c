/* Evaluation: the loss of a step without dropout and without a trace in what follows.   labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/text_stream.h"
#include "include/weir/weir.h"
#include "models/hf/hf_config.h"
#include "models/model_kinds.h"
#include "schedules/schedule_kinds.h"

/* Sanitizers make each run some twenty times slower: there fewer numbers of stages are tried. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FEWEST = 4, MOST_STAGES = 4, TRIED = 10 };
#else
enum { FEWEST = 2, MOST_STAGES = 8, TRIED = 30 };
#endif

enum { MICROBATCHES = 8, BATCH = 1, SEQ = 8, STEPS = 2, WIDTH = 32 };

/* Eight layers. */
static const char small[] = "{\"model_type\": \"gpt2\", \"n_embd\": 32, \"n_head\": 2, \"n_layer\": 3, \"n_positions\": 8, "
                            "\"vocab_size\": 256}";

static const char *const params[] = {"wte.weight", "h.0.attn.c_attn.weight", "h.2.mlp.c_proj.bias", "ln_f.weight"};
enum { PARAMS = sizeof params / sizeof params[0], MOST = 256 * WIDTH };

struct fixture {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
};

static struct weir_engine_config config_of(struct fixture *f, double dropout)
{
    struct weir_model_params model = {.microbatch_size = BATCH, .seq_len = SEQ, .dropout = dropout};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    const struct weir_model_kind *kind;
    assert_ok(weir_hf_config_parse(small, strlen(small), "small", &f->arena, &kind));
    assert_ok(weir_model_build(kind, &model, &f->arena, &f->graph));
    config.graph = f->graph;
    config.schedule = &f->schedule;
    config.evaluates = true;
    return config;
}

static void open_named(struct fixture *f, const char *name, int stages, double dropout)
{
    *f = (struct fixture){0};
    assert_ok(weir_pipeline_schedule(name, stages, 0, MICROBATCHES, &f->arena, &f->schedule));
    struct weir_engine_config config = config_of(f, dropout);
    assert_ok(weir_engine_open(&config, &f->engine));
}

static void release(struct fixture *f)
{
    weir_engine_close(f->engine);
    weir_arena_release(&f->arena);
}

static void feed(weir_engine *engine, uint32_t set)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            struct weir_rng_block b = weir_rng_philox(7, (uint32_t)i, (uint32_t)mb, set, 0);
            tokens[i] = (int32_t)(b.v[0] % 256);
            targets[i] = (int32_t)(b.v[1] % 256);
        }
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

static double evaluate(weir_engine *engine, uint32_t set)
{
    double loss = -1;
    feed(engine, set);
    assert_ok(weir_engine_evaluate(engine, &loss));
    return loss;
}

static struct weir_step_report step(weir_engine *engine, uint32_t set)
{
    struct weir_step_report report;
    feed(engine, set);
    assert_ok(weir_engine_step(engine, 1e-3, &report));
    return report;
}

/* ---- what the loss is ---------------------------------------------------------------------------------------------- */

static void the_loss_is_that_of_a_step_without_dropout(void **state)
{
    (void)state;
    struct fixture plain, dropping;
    open_named(&plain, "1f1b", 2, 0);
    open_named(&dropping, "1f1b", 2, 0.3);
    double loss = evaluate(plain.engine, 5), same = evaluate(dropping.engine, 5), other = evaluate(plain.engine, 6);
    assert_memory_equal(&loss, &same, sizeof loss);
    assert_true(other != loss);
    double trained = step(plain.engine, 5).loss;
    assert_memory_equal(&loss, &trained, sizeof loss);
    assert_true(step(dropping.engine, 5).loss != loss);
    release(&plain);
    release(&dropping);
}

/* After one step, so that what an evaluation reads was written by an optimizer. */
static double evaluated_after_a_step(const struct weir_schedule *schedule)
{
    struct fixture f = {0};
    f.schedule = *schedule;
    struct weir_engine_config config = config_of(&f, 0);
    assert_ok(weir_engine_open(&config, &f.engine));
    step(f.engine, 0);
    double loss = evaluate(f.engine, 1);
    release(&f);
    return loss;
}

/* Two replicas share the micro-batches of one. */
static void replicas_give_the_same_bits(void **state)
{
    (void)state;
    for (int zero = 0; zero <= 1; zero++) {
        struct fixture one, f = {0};
        open_named(&one, "1f1b", 1, 0);
        assert_ok(weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES / 2, &f.arena, &f.schedule));
        struct weir_engine_config config = config_of(&f, 0);
        config.replicas = 2;
        config.zero = zero;
        assert_ok(weir_engine_open(&config, &f.engine));
        double wanted = evaluate(one.engine, 3), loss = evaluate(f.engine, 3);
        assert_memory_equal(&loss, &wanted, sizeof loss);
        loss = step(f.engine, 3).loss;
        assert_memory_equal(&loss, &wanted, sizeof loss);
        release(&one);
        release(&f);
    }
}

/* Recomputed layers keep less for the backward; an evaluation keeps nothing either way. */
static void recomputation_gives_the_same_bits(void **state)
{
    (void)state;
    struct fixture one, f = {0};
    open_named(&one, "1f1b", 1, 0);
    assert_ok(weir_pipeline_schedule("zb-h1", 2, 0, MICROBATCHES, &f.arena, &f.schedule));
    struct weir_engine_config config = config_of(&f, 0);
    config.recompute = "full";
    assert_ok(weir_engine_open(&config, &f.engine));
    for (uint32_t set = 0; set < 2; set++) {
        double wanted = evaluate(one.engine, set), loss = evaluate(f.engine, set);
        assert_memory_equal(&loss, &wanted, sizeof loss);
        step(one.engine, set);
        step(f.engine, set);
    }
    release(&one);
    release(&f);
}

static void every_schedule_and_partition_gives_the_same_bits(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    assert_ok(weir_pipeline_schedule("gpipe", 1, 0, MICROBATCHES, &arena, &schedule));
    double wanted = evaluated_after_a_step(&schedule);
    int n = 0;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++)
        for (int stages = FEWEST; stages <= MOST_STAGES; stages *= 2) {
            struct weir_schedule_report report;
            int v = (*kind)->n_chunks ? (*kind)->n_chunks : stages < 8 || !strcmp((*kind)->name, "bfs") ? 1 : 2;
            if ((*kind)->n_copies == 2 || weir_pipeline_schedule((*kind)->name, stages, v, MICROBATCHES, &arena, &schedule))
                continue; /* the kind refuses these numbers */
            assert_ok(weir_schedule_check(&schedule, WEIR_CHANNELS_EDGE, &arena, &report));
            if (!report.trainable || !report.wgrad_ascending)
                continue;
            print_message("%s, %d stages, %d per rank\n", (*kind)->name, stages, v);
            double loss = evaluated_after_a_step(&schedule);
            assert_memory_equal(&loss, &wanted, sizeof loss);
            n++;
        }
    assert_true(n >= TRIED);
    weir_arena_release(&arena);
}

/* Stage 0 on rank 1, stage 1 on rank 0. */
static void stages_stay_where_a_file_puts_them(void **state)
{
    (void)state;
    static const char text[] = "1F0,1B0,1F1,1B1,1F2,1B2,1F3,1B3,1F4,1B4,1F5,1B5,1F6,1B6,1F7,1B7\n"
                               "0F0,0F1,0B0,0F2,0B1,0F3,0B2,0F4,0B3,0F5,0B4,0F6,0B5,0F7,0B6,0B7\n";
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    assert_ok(weir_pipeline_schedule("gpipe", 1, 0, MICROBATCHES, &arena, &schedule));
    double wanted = evaluated_after_a_step(&schedule);
    assert_ok(weir_schedule_csv_parse(text, strlen(text), "test.csv", WEIR_CSV_TORCH, &arena, &schedule));
    double loss = evaluated_after_a_step(&schedule);
    assert_memory_equal(&loss, &wanted, sizeof loss);
    weir_arena_release(&arena);
}

/* ---- what it leaves alone ------------------------------------------------------------------------------------------ */

static void training_goes_on_as_if_nothing_had_happened(void **state)
{
    (void)state;
    struct fixture plain, watched;
    float *a = malloc(2 * MOST * sizeof *a), *b = a + MOST;
    open_named(&plain, "zb-h1", 3, 0.1);
    open_named(&watched, "zb-h1", 3, 0.1);
    for (uint32_t s = 0; s < STEPS; s++) {
        evaluate(watched.engine, 90 + s);
        struct weir_step_report x = step(plain.engine, s), y = step(watched.engine, s);
        assert_int_equal(x.step, y.step);
        assert_memory_equal(&x.loss, &y.loss, sizeof x.loss);
        assert_memory_equal(&x.grad_norm, &y.grad_norm, sizeof x.grad_norm);
        evaluate(watched.engine, 70 + s);
    }
    for (int i = 0; i < PARAMS; i++)
        for (int p = 0; p < plain.graph->n_params; p++) {
            size_t n = (size_t)weir_shape_elements(&plain.graph->params[p].shape);
            if (strcmp(plain.graph->params[p].name, params[i]))
                continue;
            assert_true(n <= MOST);
            assert_ok(weir_engine_param_read(plain.engine, params[i], a, n));
            assert_ok(weir_engine_param_read(watched.engine, params[i], b, n));
            assert_memory_equal(a, b, n * sizeof *a);
        }
    free(a);
    release(&plain);
    release(&watched);
}

static void events_are_those_of_the_last_step(void **state)
{
    (void)state;
    enum { ROOM = 256 };
    struct weir_step_event before[ROOM], after[ROOM];
    struct fixture f;
    open_named(&f, "1f1b", 2, 0);
    step(f.engine, 0);
    size_t n = weir_engine_events(f.engine, before, ROOM);
    evaluate(f.engine, 1);
    assert_int_equal(weir_engine_events(f.engine, after, ROOM), n);
    for (size_t i = 0; i < n; i++)
        assert_true(before[i].start_ns == after[i].start_ns && before[i].end_ns == after[i].end_ns);
    release(&f);
}

/* ---- memory and errors --------------------------------------------------------------------------------------------- */

/* Of a model whose activations are larger than the scratch of any product. */
static void open_wide(struct fixture *f, bool evaluates)
{
    *f = (struct fixture){0};
    struct weir_model_params model = {.microbatch_size = 2, .seq_len = 16};
    assert_ok(weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES, &f->arena, &f->schedule));
    struct weir_engine_config config = config_of(f, 0);
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &f->arena, &config.graph));
    config.evaluates = evaluates;
    assert_ok(weir_engine_open(&config, &f->engine));
}

static void totals_of(weir_engine *engine, char **text_out)
{
    size_t size;
    FILE *out = open_memstream(text_out, &size);
    assert_ok(weir_engine_print_memory(engine, weir_text_to_file, out));
    fclose(out);
}

static void it_stands_in_the_memory_table_and_its_blocks_cost_nothing_here(void **state)
{
    (void)state;
    struct fixture with, without;
    char *a, *b;
    open_wide(&with, true);
    open_wide(&without, false);
    totals_of(with.engine, &a);
    totals_of(without.engine, &b);
    assert_non_null(strstr(a, "evaluation, between steps"));
    assert_null(strstr(b, "evaluation"));
    *strstr(a, "# beside the blocks") = *strstr(b, "# beside the blocks") = 0; /* the addresses of its calls are there */
    assert_string_equal(strstr(a, "# totals"), strstr(b, "# totals"));
    free(a);
    free(b);
    release(&with);
    release(&without);
}

static void it_must_be_asked_for_at_the_start(void **state)
{
    (void)state;
    struct fixture f = {0};
    double loss = 17;
    assert_ok(weir_pipeline_schedule("1f1b", 1, 0, MICROBATCHES, &f.arena, &f.schedule));
    struct weir_engine_config config = config_of(&f, 0);
    config.evaluates = false;
    assert_ok(weir_engine_open(&config, &f.engine));
    assert_fails(weir_engine_evaluate(f.engine, &loss), WEIR_ERR_USAGE, "set evaluates");
    assert_true(loss == 17);
    release(&f);
}

static void an_evaluation_tells_who_wants_to_stop(void **state)
{
    (void)state;
    struct fixture f;
    volatile int flag = 0;
    open_named(&f, "1f1b", 2, 0);
    weir_engine_stop_flag(f.engine, &flag);
    evaluate(f.engine, 1);
    assert_int_equal(weir_engine_stop_seen(f.engine), 0);
    flag = 15;
    assert_int_equal(weir_engine_stop_seen(f.engine), 0); /* not before the next run has ended */
    evaluate(f.engine, 1);
    assert_int_equal(weir_engine_stop_seen(f.engine), 15);
    flag = 0;
    assert_int_equal(step(f.engine, 1).stop, 0);
    assert_int_equal(weir_engine_stop_seen(f.engine), 0);
    release(&f);
}

static void a_loss_that_is_not_finite_is_reported_and_survived(void **state)
{
    (void)state;
    struct fixture f;
    float gain[WIDTH], kept[WIDTH];
    double loss = 0;
    open_named(&f, "1f1b", 2, 0);
    double good = evaluate(f.engine, 1);
    assert_ok(weir_engine_param_read(f.engine, "ln_f.weight", kept, WIDTH));
    for (int i = 0; i < WIDTH; i++)
        gain[i] = NAN;
    assert_ok(weir_engine_param_write(f.engine, "ln_f.weight", gain, WIDTH));
    feed(f.engine, 1);
    assert_fails(weir_engine_evaluate(f.engine, &loss), WEIR_ERR_NUMERIC, "not finite");
    assert_true(isnan(loss));
    assert_ok(weir_engine_param_write(f.engine, "ln_f.weight", kept, WIDTH));
    loss = evaluate(f.engine, 1);
    assert_memory_equal(&loss, &good, sizeof loss);
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_is_that_of_a_step_without_dropout),
        cmocka_unit_test(replicas_give_the_same_bits),
        cmocka_unit_test(recomputation_gives_the_same_bits),
        cmocka_unit_test(every_schedule_and_partition_gives_the_same_bits),
        cmocka_unit_test(stages_stay_where_a_file_puts_them),
        cmocka_unit_test(training_goes_on_as_if_nothing_had_happened),
        cmocka_unit_test(events_are_those_of_the_last_step),
        cmocka_unit_test(it_stands_in_the_memory_table_and_its_blocks_cost_nothing_here),
        cmocka_unit_test(it_must_be_asked_for_at_the_start),
        cmocka_unit_test(an_evaluation_tells_who_wants_to_stop),
        cmocka_unit_test(a_loss_that_is_not_finite_is_reported_and_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
