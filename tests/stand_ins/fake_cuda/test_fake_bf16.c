/* Training in bf16 on the cuda device, on the stand-in for the CUDA runtime: the same bits for every layout, losses near
 * those of f32, parameters that stay f32 with copies that follow them.  (The thread sanitizer cannot follow fibers: no
 * label.) */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text_stream.h"
#include "bf16_rig.h"
#include "engine/program/pack.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 1, LONG_STEPS = 4, SANITIZED = 1 };
#else
enum { STEPS = 2, LONG_STEPS = 60, SANITIZED = 0 };
#endif

struct outcome {
    double losses[STEPS], evaluated;
    size_t n;
    float *params;
};

static void outcome_release(struct outcome *out)
{
    weir_free(out->params);
}

static void copies_follow_the_parameters(struct bf16_rig *rig, const float *params, size_t n);

static void train(const struct bf16_run *run, struct outcome *out)
{
    struct bf16_rig rig;
    bf16_open(run, &rig);
    for (int step = 0; step < STEPS; step++)
        out->losses[step] = bf16_step(&rig, step, 2e-4);
    bf16_feed(&rig, STEPS - 1);
    assert_ok(weir_engine_evaluate(rig.engine, &out->evaluated));
    out->n = bf16_elements(&rig);
    assert_ok(weir_alloc(out->n, sizeof *out->params, &out->params));
    bf16_params(&rig, out->params);
    if (run->dtype == WEIR_COMPUTE_BF16)
        copies_follow_the_parameters(&rig, out->params, out->n);
    bf16_close(&rig);
}

/* On every rank of every replica that holds a parameter, its copy is the parameter, rounded. */
static void copies_follow_the_parameters(struct bf16_rig *rig, const float *params, size_t n)
{
    uint16_t *wanted, *found;
    assert_ok(weir_alloc(2 * n, sizeof *wanted, &wanted));
    found = wanted + n;
    assert_ok(weir_vector_cpu.to_bf16((int64_t)n, params, wanted, NULL));
    for (int r = 0; r < rig->engine->runner.machine.n_ranks; r++) {
        memcpy(found, wanted, n * sizeof *found);
        bf16_copies(rig, r, found);
        assert_memory_equal(found, wanted, n * sizeof *found);
    }
    weir_free(wanted);
}

static void train_and_compare(const struct bf16_run *run, const struct outcome *wanted)
{
    struct outcome out = {.n = 0};
    train(run, &out);
    assert_memory_equal(out.losses, wanted->losses, sizeof out.losses);
    assert_memory_equal(&out.evaluated, &wanted->evaluated, sizeof out.evaluated);
    assert_int_equal(out.n, wanted->n);
    assert_memory_equal(out.params, wanted->params, out.n * sizeof *out.params);
    outcome_release(&out);
}

/* ---- layouts -------------------------------------------------------------------------------------------------------- */

#define BF16 .dtype = WEIR_COMPUTE_BF16

static void every_layout_gives_the_same_bits(void **state)
{
    (void)state;
    static const struct bf16_run runs[] = {
        {BF16_GPT2, BF16, .schedule = "gpipe", .stages = 1},
        {BF16_GPT2, BF16, .device = "cuda:1,cuda:0,cuda:1,cuda:0", .schedule = "zb-h1", .stages = 4},
        {BF16_GPT2, BF16, .device = "cuda:0,cuda:1", .schedule = "interleaved", .stages = 4, .chunks = 2},
        {BF16_GPT2, BF16, .device = "cuda:0,cuda:0,cuda:1", .schedule = "1f1b", .stages = 3, .recompute = "full"},
        {BF16_GPT2, BF16, .schedule = "zbv", .stages = 4, .recompute = "h.*.mlp"},
        {BF16_LLAMA, BF16, .schedule = "gpipe", .stages = 1},
        {BF16_LLAMA, BF16, .schedule = "1f1b", .stages = 2},
        {BF16_LLAMA, BF16, .device = "cuda:0", .schedule = "zb-h1", .stages = 3, .recompute = "full"},
        {BF16_MLP, BF16, .schedule = "gpipe", .stages = 1},
        {BF16_MLP, BF16, .device = "cuda:0", .schedule = "bfs", .stages = 4, .chunks = 2},
        {BF16_MLP, BF16, .schedule = "zb-h1", .stages = 2},
        {BF16_ODD, BF16, .schedule = "gpipe", .stages = 1},
        {BF16_ODD, BF16, .schedule = "zb-h1", .stages = 2, .recompute = "full"},
        {BF16_GPT2, BF16, .device = "cpu", .schedule = "gpipe", .stages = 1},
        {BF16_GPT2, BF16, .device = "cpu", .schedule = "zb-h1", .stages = 4},
        {BF16_GPT2, BF16, .device = "cpu", .schedule = "interleaved", .stages = 4, .chunks = 2, .recompute = "h.*.mlp"},
        {BF16_LLAMA, BF16, .device = "cpu", .schedule = "gpipe", .stages = 1},
        {BF16_LLAMA, BF16, .device = "cpu", .schedule = "1f1b", .stages = 3, .recompute = "full"},
        {BF16_MLP, BF16, .device = "cpu", .schedule = "gpipe", .stages = 1},
        {BF16_MLP, BF16, .device = "cpu", .schedule = "zb-h1", .stages = 2},
        {BF16_ODD, BF16, .device = "cpu", .schedule = "gpipe", .stages = 1},
        {BF16_ODD, BF16, .device = "cpu", .schedule = "zb-h1", .stages = 2, .recompute = "full"},
    };
    static const enum weir_fake_mode modes[] = {WEIR_FAKE_LAZY, WEIR_FAKE_RANDOM, WEIR_FAKE_EAGER};
    struct outcome one = {.n = 0};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        bf16_machine(2, modes[i % 3], i);
        if (runs[i].stages > 1) {
            train_and_compare(&runs[i], &one);
            continue;
        }
        outcome_release(&one);
        train(&runs[i], &one);
    }
    outcome_release(&one);
}

static void replicas_give_the_same_bits_with_and_without_zero(void **state)
{
    (void)state;
    struct outcome plain;
    bf16_machine(4, WEIR_FAKE_LAZY, 5);
    train(&(struct bf16_run){BF16_GPT2, BF16, .stages = 2, .replicas = 2}, &plain);
    bf16_machine(2, WEIR_FAKE_RANDOM, 6);
    train_and_compare(&(struct bf16_run){BF16_GPT2, BF16, .device = "cuda:0,cuda:1,cuda:1,cuda:0", .stages = 2, .replicas = 2,
                                         .zero = true},
                      &plain);
    outcome_release(&plain);
    train(&(struct bf16_run){BF16_GPT2, BF16, .device = "cpu", .stages = 2, .replicas = 2}, &plain);
    train_and_compare(&(struct bf16_run){BF16_GPT2, BF16, .device = "cpu", .stages = 2, .replicas = 2, .zero = true}, &plain);
    outcome_release(&plain);
}

/* ---- f32 ------------------------------------------------------------------------------------------------------------ */

/* A rounding changes a value by at most 2^-9 of itself.  The loss is a mean of differences of logits, each a few roundings
 * deep, and their errors have either sign: well below 2^-6 of the loss is left, and far more than nothing.  Steps are
 * small, because AdamW's first ones go by the signs of gradients, and where these are all but 0 rounding changes them. */
static void losses_are_near_those_of_f32(void **state)
{
    (void)state;
    for (int model = 0; model < BF16_MODELS; model++) {
        struct outcome f32;
        bf16_machine(1, WEIR_FAKE_EAGER, 1);
        train(&(struct bf16_run){(enum bf16_model)model, .device = "cpu"}, &f32);
        for (int d = 0; d < 2; d++) {
            struct outcome bf16;
            train(&(struct bf16_run){(enum bf16_model)model, BF16, .device = d ? "cpu" : "cuda"}, &bf16);
            for (int step = 0; step < STEPS; step++) {
                double off = fabs(bf16.losses[step] / f32.losses[step] - 1);
                if (!(off > 1e-7 && off < 0x1p-6))
                    fail_msg("model %d, step %d: %.9g, in f32 %.9g", model, step, bf16.losses[step], f32.losses[step]);
            }
            if (!(fabs(bf16.evaluated / f32.evaluated - 1) < 0x1p-6))
                fail_msg("model %d: %.9g in the evaluation, in f32 %.9g", model, bf16.evaluated, f32.evaluated);
            outcome_release(&bf16);
        }
        outcome_release(&f32);
    }
}

static double last_losses(const struct bf16_run *run, double *first_out)
{
    enum { MEAN = LONG_STEPS / 4 };
    struct bf16_rig rig;
    double sum = 0;
    bf16_open(run, &rig);
    for (int step = 0; step < LONG_STEPS; step++) {
        double loss = bf16_step(&rig, step % 4, 5e-3);
        *first_out = step ? *first_out : loss;
        sum += step >= LONG_STEPS - MEAN ? loss : 0;
    }
    bf16_close(&rig);
    return sum / MEAN;
}

static void the_loss_falls_as_it_does_in_f32(void **state)
{
    (void)state;
    double first = 0, f32_first = 0;
    bf16_machine(1, WEIR_FAKE_EAGER, 1);
    double f32 = last_losses(&(struct bf16_run){BF16_LLAMA, .device = "cpu", .microbatches = 1}, &f32_first);
    double bf16 = last_losses(&(struct bf16_run){BF16_LLAMA, BF16, .microbatches = 1}, &first);
    if (SANITIZED)
        return; /* too few steps to fall */
    assert_true(f32 < 0.8 * f32_first);
    assert_true(fabs(bf16 - f32) < 0.1 * (f32_first - f32));
}

/* ---- parameters ----------------------------------------------------------------------------------------------------- */

/* Parameters and copies of one rank at one time. */
struct snapshot {
    float *params;
    uint16_t *copies;
};

static struct snapshot snapshot_take(struct bf16_rig *rig)
{
    struct snapshot s;
    size_t n = bf16_elements(rig);
    assert_ok(weir_alloc(n, sizeof *s.params, &s.params));
    assert_ok(weir_alloc(n, sizeof *s.copies, &s.copies));
    bf16_params(rig, s.params);
    bf16_copies(rig, 0, s.copies);
    copies_follow_the_parameters(rig, s.params, n);
    return s;
}

static void snapshot_release(struct snapshot *s)
{
    weir_free(s->params);
    weir_free(s->copies);
}

/* Which part of the parameters, and of the copies, differs. */
static void changes_count(const struct snapshot *a, const struct snapshot *b, size_t n, double *params_out, double *copies_out)
{
    size_t params = 0, copies = 0;
    for (size_t i = 0; i < n; i++) {
        params += a->params[i] != b->params[i];
        copies += a->copies[i] != b->copies[i];
    }
    *params_out = (double)params / (double)n;
    *copies_out = (double)copies / (double)n;
}

/* AdamW moves a parameter by about the learning rate, here a hundredth of the distance between two bf16 numbers: one step
 * moves nearly all parameters and hardly any copy, a hundred steps move the copies too.  Were a copy updated itself, every
 * step would round back to where it was. */
static void updates_below_the_resolution_of_bf16_add_up(void **state)
{
    (void)state;
    enum { MANY = 100 };
    struct bf16_rig rig;
    double params, copies;
    bf16_machine(1, WEIR_FAKE_EAGER, 1);
    bf16_open(&(struct bf16_run){BF16_LLAMA, BF16, .microbatches = 1}, &rig);
    struct snapshot start = snapshot_take(&rig);
    bf16_step(&rig, 0, 1e-5);
    struct snapshot one = snapshot_take(&rig);
    changes_count(&start, &one, bf16_elements(&rig), &params, &copies);
    assert_true(params > 0.9 && copies < 0.05);
    for (int step = 1; step < MANY && !SANITIZED; step++)
        bf16_step(&rig, 0, 1e-5);
    struct snapshot many = snapshot_take(&rig);
    changes_count(&start, &many, bf16_elements(&rig), &params, &copies);
    assert_true(SANITIZED || copies > 0.3);
    snapshot_release(&start);
    snapshot_release(&one);
    snapshot_release(&many);
    bf16_close(&rig);
}

static void a_step_that_is_not_finite_changes_neither_parameters_nor_copies(void **state)
{
    (void)state;
    struct bf16_rig rig;
    struct weir_step_report report;
    float images[10] = {1, NAN};
    bf16_machine(2, WEIR_FAKE_LAZY, 2);
    bf16_open(&(struct bf16_run){BF16_MLP, BF16, .stages = 2}, &rig);
    bf16_step(&rig, 0, 1e-2);
    struct snapshot before = snapshot_take(&rig);
    bf16_feed(&rig, 1);
    assert_ok(weir_engine_feed(rig.engine, "images", 2, images));
    assert_fails(weir_engine_step(rig.engine, 1e-2, &report), WEIR_ERR_NUMERIC, "the parameters are those before the step");
    struct snapshot after = snapshot_take(&rig);
    size_t n = bf16_elements(&rig);
    assert_memory_equal(before.params, after.params, n * sizeof *before.params);
    assert_memory_equal(before.copies, after.copies, n * sizeof *before.copies);
    snapshot_release(&before);
    snapshot_release(&after);
    bf16_close(&rig);
}

/* On two stages, both of which hold the tied table. */
static void parameters_that_are_written_are_what_runs(void **state)
{
    (void)state;
    struct bf16_rig from, to;
    double wanted, found;
    bf16_machine(2, WEIR_FAKE_RANDOM, 3);
    bf16_open(&(struct bf16_run){BF16_GPT2, BF16}, &from);
    bf16_step(&from, 0, 1e-2);
    bf16_feed(&from, 7);
    assert_ok(weir_engine_evaluate(from.engine, &wanted));
    struct snapshot trained = snapshot_take(&from);
    bf16_open(&(struct bf16_run){BF16_GPT2, BF16, .stages = 2}, &to);
    bf16_feed(&to, 7);
    assert_ok(weir_engine_evaluate(to.engine, &found));
    assert_true(found != wanted);
    const struct weir_graph *graph = to.config.graph;
    for (size_t i = 0, at = 0; i < (size_t)graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        assert_ok(weir_engine_param_write(to.engine, graph->params[i].name, trained.params + at, n));
        at += n;
    }
    copies_follow_the_parameters(&to, trained.params, bf16_elements(&to));
    bf16_feed(&to, 7);
    assert_ok(weir_engine_evaluate(to.engine, &found));
    assert_true(found == wanted);
    snapshot_release(&trained);
    bf16_close(&from);
    bf16_close(&to);
}

/* ---- memory and refusals --------------------------------------------------------------------------------------------- */

static const size_t *bytes_of(struct bf16_rig *rig, const struct bf16_run *run, int rank)
{
    bf16_open(run, rig);
    return rig->engine->runner.build.program->ranks[rank].bytes;
}

static void values_take_half_the_memory_and_copies_half_of_the_parameters(void **state)
{
    (void)state;
    struct bf16_rig f32, bf16;
    bf16_machine(1, WEIR_FAKE_EAGER, 4);
    for (int rank = 0; rank < 3; rank++) {
        struct bf16_run run = {BF16_LLAMA, .device = "cuda:0", .schedule = "gpipe", .stages = 3};
        const size_t *wide = bytes_of(&f32, &run, rank);
        run.dtype = WEIR_COMPUTE_BF16;
        const size_t *narrow = bytes_of(&bf16, &run, rank);
        for (int kind = 0; kind < WEIR_MEMORY_KINDS; kind++) {
            bool values = kind == WEIR_MEMORY_SLOTS || kind == WEIR_MEMORY_GRAD_SLOTS;
            if (kind != WEIR_MEMORY_COPIES && kind != WEIR_MEMORY_ACTIVATIONS && kind != WEIR_MEMORY_SCRATCH)
                assert_int_equal(narrow[kind], values ? wide[kind] / 2 : wide[kind]);
        }
        /* of the activations, what rows save stays f32; of scratch, much is */
        size_t kept = wide[WEIR_MEMORY_ACTIVATIONS], scratch = wide[WEIR_MEMORY_SCRATCH];
        assert_in_range(narrow[WEIR_MEMORY_ACTIVATIONS], kept / 2, kept * 6 / 10);
        assert_in_range(narrow[WEIR_MEMORY_SCRATCH], scratch / 2, scratch - 1);
        assert_int_equal(wide[WEIR_MEMORY_COPIES], 0);
        size_t copies = 0;
        const struct weir_rank_program *program = &bf16.engine->runner.build.program->ranks[rank];
        for (int i = 0; i < program->n_params; i++)
            copies += weir_pack_round(
                2 * (size_t)weir_shape_elements(&bf16.config.graph->params[program->params[i].param].shape));
        assert_int_equal(narrow[WEIR_MEMORY_COPIES], copies);
        bf16_close(&f32);
        bf16_close(&bf16);
    }
}

static void the_memory_table_lists_the_copies(void **state)
{
    (void)state;
    struct bf16_rig rig;
    char line[256];
    int params = 0, copies = 0;
    FILE *table = tmpfile();
    bf16_configure(&(struct bf16_run){BF16_LLAMA, BF16, .stages = 2}, &rig);
    assert_ok(weir_engine_preview(&rig.config, weir_text_to_file, NULL, table));
    rewind(table);
    while (fgets(line, sizeof line, table)) {
        params += line[0] == '0' && strstr(line, " params ") != NULL;
        copies += line[0] == '0' && strstr(line, " param copies ") != NULL;
    }
    assert_true(params > 3 && copies == params);
    fclose(table);
    weir_arena_release(&rig.arena);
}

static void a_cap_that_f32_exceeds_names_bf16_and_lets_it_pass(void **state)
{
    (void)state;
    struct bf16_rig rig;
    bf16_machine(1, WEIR_FAKE_EAGER, 5);
    bf16_open(&(struct bf16_run){BF16_LLAMA, BF16, .schedule = "gpipe"}, &rig); /* more values than parameters */
    rig.config.device_memory = (int64_t)rig.engine->runner.peak_bytes[0]; /* with what stands beside the blocks */
    weir_engine_close(rig.engine);
    assert_ok(weir_engine_open(&rig.config, &rig.engine));
    weir_engine_close(rig.engine);
    rig.config.device_memory--;
    assert_fails(weir_engine_open(&rig.config, &rig.engine), WEIR_ERR_NOFIT, "the cap is");
    assert_null(strstr(weir_last_error(), "bf16"));
    rig.config.dtype = WEIR_COMPUTE_F32;
    rig.config.device_memory++;
    assert_fails(weir_engine_open(&rig.config, &rig.engine), WEIR_ERR_NOFIT, "dtype=bf16");
    weir_arena_release(&rig.arena);
}

/* One contract for both: values are rounded at the same places, so that what is left is the order of sums in f32. */
static void the_processor_rounds_where_cuda_does(void **state)
{
    (void)state;
    for (int model = 0; model < BF16_MODELS; model++) {
        struct outcome cuda, cpu;
        bf16_machine(1, WEIR_FAKE_EAGER, 1);
        train(&(struct bf16_run){(enum bf16_model)model, BF16}, &cuda);
        train(&(struct bf16_run){(enum bf16_model)model, BF16, .device = "cpu"}, &cpu);
        double off = fabs(cpu.losses[0] / cuda.losses[0] - 1);
        if (!(off < 0x1p-20))
            fail_msg("model %d: %.9g, on cuda %.9g", model, cpu.losses[0], cuda.losses[0]);
        outcome_release(&cuda);
        outcome_release(&cpu);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_gives_the_same_bits),
        cmocka_unit_test(replicas_give_the_same_bits_with_and_without_zero),
        cmocka_unit_test(losses_are_near_those_of_f32),
        cmocka_unit_test(the_loss_falls_as_it_does_in_f32),
        cmocka_unit_test(updates_below_the_resolution_of_bf16_add_up),
        cmocka_unit_test(a_step_that_is_not_finite_changes_neither_parameters_nor_copies),
        cmocka_unit_test(parameters_that_are_written_are_what_runs),
        cmocka_unit_test(values_take_half_the_memory_and_copies_half_of_the_parameters),
        cmocka_unit_test(the_memory_table_lists_the_copies),
        cmocka_unit_test(a_cap_that_f32_exceeds_names_bf16_and_lets_it_pass),
        cmocka_unit_test(the_processor_rounds_where_cuda_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
