/* Refusals for lack of memory: what they name fits, what they leave out does not. */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/weir/weir.h"
#include "models/model_kinds.h"

/* Sanitizers make opening an engine slow: there fewer caps are tried. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { BATCH = 4, MICROBATCHES = 4, LAYERS = 14, SANITIZED = 1 };
#else
enum { BATCH = 4, MICROBATCHES = 4, LAYERS = 14, SANITIZED = 0 };
#endif

#define F32 WEIR_COMPUTE_F32

struct run {
    const char *schedule, *recompute;
    int n_stages, n_chunks;
    int64_t microbatch_size;
    int replicas, zero;
    enum weir_compute dtype;
};

static weir_status run_open(const struct run *run, int64_t cap)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_model_params model = {.microbatch_size = run->microbatch_size, .seq_len = 32};
    weir_engine *engine = NULL;
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &config.graph));
    weir_status status =
        weir_pipeline_schedule(run->schedule, run->n_stages, run->n_chunks, MICROBATCHES, &arena, &schedule);
    config.schedule = &schedule;
    config.device_memory = cap;
    config.recompute = run->recompute;
    config.replicas = run->replicas;
    config.zero = run->zero;
    config.dtype = run->dtype;
    if (!status)
        status = weir_engine_open(&config, &engine);
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return status;
}

/* One way out, "recompute=full stages=8": what its words change. */
static struct run advised(struct run run, char *words, char schedule[32])
{
    char *save, *word = strtok_r(words, " ", &save);
    for (; word; word = strtok_r(NULL, " ", &save)) {
        char *value = strchr(word, '=');
        assert_non_null(value);
        *value++ = 0;
        if (!strcmp(word, "recompute"))
            run.recompute = "full", assert_string_equal(value, "full");
        else if (!strcmp(word, "stages"))
            run.n_stages = atoi(value);
        else if (!strcmp(word, "chunks"))
            run.n_chunks = atoi(value);
        else if (!strcmp(word, "zero"))
            run.zero = atoi(value);
        else if (!strcmp(word, "microbatch_size"))
            run.microbatch_size = atoi(value);
        else if (!strcmp(word, "dtype"))
            run.dtype = WEIR_COMPUTE_BF16, assert_string_equal(value, "bf16");
        else if (!strcmp(word, "schedule"))
            snprintf(schedule, 32, "%s", value), run.schedule = schedule;
        else
            fail_msg("unknown option '%s'", word);
    }
    return run;
}

static void fits_as_advised(const struct run *run, const char *words, int64_t cap)
{
    char copy[WEIR_ERROR_MAX], schedule[32];
    snprintf(copy, sizeof copy, "%s", words);
    struct run changed = advised(*run, copy, schedule);
    weir_status status = run_open(&changed, cap);
    if (status)
        fail_msg("%s with %d stages and a cap of %lld: advice '%s': %s", run->schedule, run->n_stages, (long long)cap,
                 words, weir_last_error());
}

/* Follow every piece of advice in the message; returns how many there were. */
static int advice_follow(const struct run *run, int64_t cap, const char *message)
{
    const char *at = strstr(message, "it fits with ");
    if (!at) {
        assert_non_null(strstr(message, "the least found is "));
        return 0;
    }
    char words[WEIR_ERROR_MAX];
    snprintf(words, sizeof words, "%s", at + strlen("it fits with "));
    int n = 0;
    for (char *way = words, *next; way; way = next, n++) {
        next = strstr(way, ", or with ");
        if (next) {
            *next = 0;
            next += strlen(", or with ");
        }
        fits_as_advised(run, way, cap);
    }
    return n;
}

/* What was not named alone does not fit alone. */
static void the_unnamed_do_not_fit(const struct run *run, int64_t cap, const char *message)
{
    struct run changed = *run;
    char ended[WEIR_ERROR_MAX + 1];
    snprintf(ended, sizeof ended, "%s,", message);
    changed.recompute = "full";
    if (!strstr(ended, "with recompute=full,"))
        assert_int_equal(run_open(&changed, cap), WEIR_ERR_NOFIT);
    changed = *run;
    changed.microbatch_size = 1;
    if (!strstr(message, "with microbatch_size"))
        assert_int_equal(run_open(&changed, cap), WEIR_ERR_NOFIT);
    changed = *run;
    changed.zero = 1;
    if (!strstr(message, "with zero=1"))
        assert_int_equal(run_open(&changed, cap), WEIR_ERR_NOFIT);
    changed = *run;
    changed.n_stages *= 2;
    if (!strstr(message, "with stages") && changed.n_stages <= LAYERS)
        assert_int_equal(run_open(&changed, cap), WEIR_ERR_NOFIT);
}

static void what_a_refusal_advises_fits_and_what_it_leaves_out_does_not(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {"1f1b", NULL, 1, 0, BATCH, 1, 0, F32},        {"gpipe", NULL, 2, 0, BATCH, 1, 0, F32},
        {"zb-h2", NULL, 4, 0, BATCH, 1, 0, F32},       {"zbv", NULL, 4, 0, BATCH, 1, 0, F32},
        {"interleaved", NULL, 4, 2, BATCH, 1, 0, F32}, {"gpipe", "full", 2, 0, BATCH, 1, 0, F32},
        {"1f1b", "full", 1, 0, BATCH, 2, 0, F32},
    };
    int refused = 0, ways = 0, without = 0;
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
        for (int64_t cap = 3 << 20; cap < 24 << 20; cap += SANITIZED ? cap : cap / 2) {
            char message[WEIR_ERROR_MAX];
            weir_status status = run_open(&runs[i], cap);
            if (!status)
                continue;
            assert_int_equal(status, WEIR_ERR_NOFIT);
            snprintf(message, sizeof message, "%s", weir_last_error());
            int n = advice_follow(&runs[i], cap, message);
            the_unnamed_do_not_fit(&runs[i], cap, message);
            refused++, ways += n, without += !n;
        }
    print_message("%d refusals, %d ways out, %d without one\n", refused, ways, without);
    assert_true(refused > 12 && ways > without && without > 0 && without < refused / 2);
}

static void a_refusal_names_rank_stages_bytes_and_cap(void **state)
{
    (void)state;
    struct run run = {"interleaved", NULL, 4, 2, BATCH, 1, 0, F32};
    assert_fails(run_open(&run, 1 << 20), WEIR_ERR_NOFIT, " (stages ");
    assert_fails(run_open(&run, 1 << 20), WEIR_ERR_NOFIT, "the cap is 1048576 bytes, 2 of 2 ranks are over it");
    assert_fails(run_open(&run, 1 << 20), WEIR_ERR_NOFIT, "the least found is");
    run = (struct run){"1f1b", "full", 1, 0, BATCH, 2, 0, F32};
    assert_fails(run_open(&run, 20 << 20), WEIR_ERR_NOFIT, "with zero=1");
    run = (struct run){"interleaved", NULL, 4, 2, BATCH, 1, 0, F32};
    run.microbatch_size = 1 << 20;
    assert_fails(run_open(&run, 0), WEIR_ERR_NOFIT, "MiB free; rank ");
    assert_fails(run_open(&run, 0), WEIR_ERR_NOFIT, "microbatch_size");
}

static void a_resized_graph_is_the_graph_of_that_size(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *four, *two, *resized;
    struct weir_model_params model = {.microbatch_size = 4, .dropout = 0.1};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &four));
    model.microbatch_size = 2;
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &two));
    assert_ok(weir_graph_resize(four, 2, &arena, &resized));
    assert_int_equal(resized->microbatch_size, 2);
    assert_int_equal(resized->n_targets, two->n_targets);
    assert_int_equal(resized->n_nodes, two->n_nodes);
    assert_int_equal(resized->n_layers, two->n_layers);
    for (int n = 0; n < two->n_nodes; n++) {
        const struct weir_node *a = &two->nodes[n], *b = &resized->nodes[n];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->layer, b->layer);
        assert_memory_equal(a->inputs, b->inputs, sizeof a->inputs);
        assert_int_equal(weir_shape_bytes(&a->shapes.output), weir_shape_bytes(&b->shapes.output));
        assert_int_equal(a->shapes.saved_bytes, b->shapes.saved_bytes);
    }
    for (int i = 0; i < two->n_params; i++) {
        assert_string_equal(two->params[i].name, resized->params[i].name);
        assert_int_equal(two->params[i].n_uses, resized->params[i].n_uses);
        assert_true(two->params[i].scale == resized->params[i].scale && two->params[i].decay == resized->params[i].decay);
    }
    assert_fails(weir_graph_resize(four, 0, &arena, &resized), WEIR_ERR_INVALID,
                 "input 'tokens' is (0, 64) i32: every dimension must be at least 1");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_refusal_advises_fits_and_what_it_leaves_out_does_not),
        cmocka_unit_test(a_refusal_names_rank_stages_bytes_and_cap),
        cmocka_unit_test(a_resized_graph_is_the_graph_of_that_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
