/* Generation: what the caches hold is what the whole sequence gives, on any number of stages.   labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/text_stream.h"
#include "include/weir/generate.h"
#include "include/weir/weir.h"
#include "models/hf/hf_config.h"

enum { CONTEXT = 48, VOCABULARY = 256, PROMPT = 21, STEPS = 12 };

/* Two families; the second has groups of queries and rotary positions. */
static const char *const families[] = {
    "{\"model_type\": \"gpt2\", \"n_embd\": 32, \"n_head\": 4, \"n_layer\": 4, \"n_positions\": 64, \"vocab_size\": 256}",
    "{\"model_type\": \"llama\", \"hidden_size\": 32, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
    "\"num_hidden_layers\": 4, \"intermediate_size\": 64, \"max_position_embeddings\": 64, \"vocab_size\": 256, "
    "\"rms_norm_eps\": 1e-5, \"hidden_act\": \"silu\"}"};
static int family; /* that of the test now running */

struct fixture {
    struct weir_arena arena;
    weir_generator *generator;
};

static const struct weir_graph *graph_of(struct fixture *f, int64_t seq_len, int64_t context)
{
    const struct weir_graph *graph;
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = seq_len, .context = context};
    const struct weir_model_kind *kind;
    assert_ok(weir_hf_config_parse(families[family], strlen(families[family]), "small", &f->arena, &kind));
    assert_ok(weir_model_build(kind, &model, &f->arena, &graph));
    return graph;
}

static void open_with(struct fixture *f, int stages, int samples, int64_t chunk)
{
    *f = (struct fixture){0};
    struct weir_generator_config config = WEIR_GENERATOR_CONFIG_DEFAULT;
    config.prompt = graph_of(f, chunk, CONTEXT);
    config.token = graph_of(f, 1, CONTEXT);
    config.n_stages = stages;
    config.n_samples = samples;
    assert_ok(weir_generator_open(&config, &f->generator));
}

static void release(struct fixture *f)
{
    weir_generator_close(f->generator);
    weir_arena_release(&f->arena);
}

/* Wider than initial values, so that logits differ and attention is not flat. */
static void values_widen(const struct weir_param *param, float *values, size_t n)
{
    for (size_t k = 0; k < n && param->init == WEIR_INIT_NORMAL; k++)
        values[k] *= 8;
}

static void weights_widen(weir_generator *generator, const struct weir_graph *graph)
{
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        float *values = malloc(n * sizeof *values);
        assert_ok(weir_generator_param_read(generator, graph->params[i].name, values, n));
        values_widen(&graph->params[i], values, n);
        assert_ok(weir_generator_param_write(generator, graph->params[i].name, values, n));
        free(values);
    }
}

static void trainer_widen(weir_engine *engine, const struct weir_graph *graph)
{
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        float *values = malloc(n * sizeof *values);
        assert_ok(weir_engine_param_read(engine, graph->params[i].name, values, n));
        values_widen(&graph->params[i], values, n);
        assert_ok(weir_engine_param_write(engine, graph->params[i].name, values, n));
        free(values);
    }
}

static void prompt_make(int32_t *tokens, int n)
{
    for (int i = 0; i < n; i++)
        tokens[i] = (int32_t)(weir_rng_philox(3, (uint32_t)i, 0, 0, 0).v[0] % VOCABULARY);
}

static int32_t greedy(const float *logits)
{
    const struct weir_sampling most_likely = {.temperature = 0};
    int32_t token;
    assert_non_null(logits);
    assert_ok(weir_token_sample(&most_likely, logits, VOCABULARY, 0, 0, NULL, &token));
    return token;
}

/* The logits before each of STEPS greedy tokens. */
struct text {
    float logits[STEPS][VOCABULARY];
    int32_t tokens[STEPS];
};

static void text_make(struct fixture *f, int n_prompt, int samples, struct text *out)
{
    int32_t prompt[CONTEXT], next[8];
    prompt_make(prompt, n_prompt);
    assert_ok(weir_generator_prompt(f->generator, prompt, n_prompt));
    for (int i = 0; i < STEPS; i++) {
        memcpy(out->logits[i], weir_generator_logits(f->generator, samples - 1), sizeof out->logits[i]);
        for (int s = 0; s < samples; s++)
            next[s] = greedy(weir_generator_logits(f->generator, s));
        out->tokens[i] = next[samples - 1];
        assert_ok(weir_generator_next(f->generator, next));
    }
}

static void text_of(int stages, int samples, int64_t chunk, struct text *out)
{
    struct fixture f;
    open_with(&f, stages, samples, chunk);
    weights_widen(f.generator, graph_of(&f, 1, CONTEXT));
    text_make(&f, PROMPT, samples, out);
    release(&f);
}

static void assert_near(const struct text *a, const struct text *b, double most)
{
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(a->tokens[i], b->tokens[i]);
        for (int v = 0; v < VOCABULARY; v++)
            if (!(fabs((double)a->logits[i][v] - (double)b->logits[i][v]) <= most))
                fail_msg("step %d, token %d: logits %g and %g", i, v, (double)a->logits[i][v], (double)b->logits[i][v]);
    }
}

/* ---- against the training forward ---------------------------------------------------------------------------------- */

/* The sum of the losses of `n` tokens whose last target is `last`, by the training graph. */
static double loss_of(weir_engine *engine, const int32_t *tokens, int n, int32_t last)
{
    int32_t targets[CONTEXT];
    double loss;
    memcpy(targets, tokens + 1, sizeof *targets * (size_t)(n - 1));
    targets[n - 1] = last;
    assert_ok(weir_engine_feed(engine, "tokens", 0, tokens));
    assert_ok(weir_engine_feed(engine, "targets", 0, targets));
    assert_ok(weir_engine_evaluate(engine, &loss));
    return loss * n;
}

static weir_engine *trainer_open(struct fixture *f, struct weir_schedule *schedule, int n)
{
    weir_engine *engine;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    assert_ok(weir_pipeline_schedule("1f1b", 2, 0, 1, &f->arena, schedule));
    config.graph = graph_of(f, n, 0);
    config.schedule = schedule;
    config.evaluates = true;
    assert_ok(weir_engine_open(&config, &engine));
    trainer_widen(engine, config.graph);
    return engine;
}

/* Only the last loss depends on the last target: differences of losses are differences of logits. */
static void prefixes_check(void)
{
    static struct text text;
    int32_t sequence[CONTEXT];
    text_of(2, 1, 8, &text);
    prompt_make(sequence, PROMPT);
    for (int i = 0; i < STEPS; i += 5) {
        struct fixture f = {0};
        struct weir_schedule schedule;
        int n = PROMPT + i;
        memcpy(sequence + PROMPT, text.tokens, sizeof *sequence * (size_t)i);
        weir_engine *engine = trainer_open(&f, &schedule, n);
        double first = loss_of(engine, sequence, n, text.tokens[i]);
        for (int v = 0; v < VOCABULARY; v += 5) {
            double wanted = first - loss_of(engine, sequence, n, v);
            double found = (double)text.logits[i][v] - (double)text.logits[i][text.tokens[i]];
            if (!(fabs(wanted - found) < 1e-4))
                fail_msg("after %d tokens, token %d: %.7f, the whole prefix gives %.7f", n, v, found, wanted);
            assert_true(wanted <= 0); /* greedy: none is more likely */
        }
        weir_engine_close(engine);
        release(&f);
    }
}

static void logits_are_those_of_the_training_forward_over_the_whole_prefix(void **state)
{
    (void)state;
    for (family = 0; family < 2; family++)
        prefixes_check();
    family = 0;
}

/* ---- the same for every pipeline ----------------------------------------------------------------------------------- */

static void any_number_of_stages_gives_the_same_bits(void **state)
{
    (void)state;
    static const int stages[] = {2, 3, 4, 10};
    static struct text one, other;
    for (family = 0; family < 2; family++) {
        text_of(1, 1, 8, &one);
        for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++) {
            text_of(stages[s], 1, 8, &other);
            assert_memory_equal(&one, &other, sizeof one);
        }
    }
    family = 0;
}

static void every_sample_has_a_cache_of_its_own(void **state)
{
    (void)state;
    static struct text one, last;
    text_of(1, 1, 8, &one);
    text_of(3, 4, 8, &last);
    assert_memory_equal(&one, &last, sizeof one);
    struct fixture f;
    int32_t prompt[PROMPT], different[] = {7, 8, 9}, same[] = {8, 8, 8};
    open_with(&f, 2, 3, 8);
    prompt_make(prompt, PROMPT);
    assert_ok(weir_generator_prompt(f.generator, prompt, PROMPT));
    assert_ok(weir_generator_next(f.generator, different));
    assert_ok(weir_generator_next(f.generator, same));
    const float *a = weir_generator_logits(f.generator, 0), *b = weir_generator_logits(f.generator, 1);
    assert_memory_not_equal(a, b, VOCABULARY * sizeof *a); /* what came before the same token differs */
    release(&f);
}

static void any_chunk_gives_the_same_text(void **state)
{
    (void)state;
    static const int64_t chunks[] = {1, 2, 7, PROMPT, CONTEXT};
    static struct text eight, other;
    text_of(2, 1, 8, &eight);
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        text_of(2, 1, chunks[c], &other);
        assert_near(&eight, &other, 1e-4);
    }
}

static void a_prompt_and_single_tokens_give_the_same_logits(void **state)
{
    (void)state;
    struct fixture f;
    int32_t prompt[PROMPT];
    float whole[VOCABULARY];
    open_with(&f, 2, 1, 8);
    weights_widen(f.generator, graph_of(&f, 1, CONTEXT));
    prompt_make(prompt, PROMPT);
    assert_ok(weir_generator_prompt(f.generator, prompt, PROMPT));
    memcpy(whole, weir_generator_logits(f.generator, 0), sizeof whole);
    assert_ok(weir_generator_prompt(f.generator, prompt, 1));
    for (int i = 1; i < PROMPT; i++)
        assert_ok(weir_generator_next(f.generator, prompt + i));
    const float *single = weir_generator_logits(f.generator, 0);
    for (int v = 0; v < VOCABULARY; v++)
        assert_true(fabs((double)whole[v] - (double)single[v]) < 1e-4);
    release(&f);
}

static void a_new_prompt_forgets_the_old_one(void **state)
{
    (void)state;
    static struct text first, again;
    struct fixture f;
    open_with(&f, 2, 1, 8);
    text_make(&f, PROMPT, 1, &first);
    text_make(&f, 2, 1, &again);
    text_make(&f, PROMPT, 1, &again);
    assert_memory_equal(&first, &again, sizeof first);
    release(&f);
}

/* ---- limits -------------------------------------------------------------------------------------------------------- */

static void the_context_can_be_filled_and_not_passed(void **state)
{
    (void)state;
    struct fixture f;
    int32_t prompt[CONTEXT + 1] = {0};
    open_with(&f, 2, 1, 7); /* the last chunk is cut short */
    assert_null(weir_generator_logits(f.generator, 0));
    assert_fails(weir_generator_next(f.generator, prompt), WEIR_ERR_USAGE, "weir_generator_prompt first");
    assert_fails(weir_generator_prompt(f.generator, prompt, CONTEXT + 1), WEIR_ERR_USAGE, "1 to 48");
    assert_fails(weir_generator_prompt(f.generator, prompt, 0), WEIR_ERR_USAGE, "1 to 48");
    assert_ok(weir_generator_prompt(f.generator, prompt, CONTEXT - 1));
    assert_ok(weir_generator_next(f.generator, prompt));
    assert_fails(weir_generator_next(f.generator, prompt), WEIR_ERR_USAGE, "as many as its cache");
    assert_ok(weir_generator_prompt(f.generator, prompt, CONTEXT));
    release(&f);
}

static void bad_tokens_break_it(void **state)
{
    (void)state;
    struct fixture f;
    int32_t tokens[] = {1, VOCABULARY};
    open_with(&f, 2, 1, 8);
    assert_fails(weir_generator_prompt(f.generator, tokens, 2), WEIR_ERR_INVALID, "has 256 at 1, it must be from 0 to 255");
    assert_fails(weir_generator_prompt(f.generator, tokens, 1), WEIR_ERR_INVALID, "failed before");
    assert_null(weir_generator_logits(f.generator, 0));
    release(&f);
}

static void graphs_must_belong_together(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct weir_generator_config config = WEIR_GENERATOR_CONFIG_DEFAULT;
    config.prompt = graph_of(&f, 8, 0);
    config.token = graph_of(&f, 1, CONTEXT);
    assert_fails(weir_generator_open(&config, &f.generator), WEIR_ERR_INVALID, "does not generate");
    config.prompt = graph_of(&f, 8, CONTEXT - 1);
    assert_fails(weir_generator_open(&config, &f.generator), WEIR_ERR_INVALID, "not one model");
    config.prompt = config.token;
    config.device_memory = 1000;
    assert_fails(weir_generator_open(&config, &f.generator), WEIR_ERR_NOFIT, "fewer samples or tokens");
    config.device_memory = 0;
    config.threads_per_rank = -1;
    assert_fails(weir_generator_open(&config, &f.generator), WEIR_ERR_USAGE, "threads per rank is -1");
    config.n_samples = 0;
    assert_fails(weir_generator_open(&config, &f.generator), WEIR_ERR_USAGE, "at least 1");
    assert_null(f.generator);
    release(&f);
}

static void caches_stand_in_the_memory_table(void **state)
{
    (void)state;
    struct fixture f;
    char *text, wanted[64];
    size_t size;
    open_with(&f, 1, 3, 8);
    FILE *out = open_memstream(&text, &size);
    assert_ok(weir_generator_print_memory(f.generator, weir_text_to_file, out));
    fclose(out);
    snprintf(wanted, sizeof wanted, "%d run         keys and values of 3 sequences", 3 * 4 * 2 * CONTEXT * 32 * 4);
    assert_non_null(strstr(text, wanted));
    free(text);
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_the_training_forward_over_the_whole_prefix),
        cmocka_unit_test(any_number_of_stages_gives_the_same_bits),
        cmocka_unit_test(every_sample_has_a_cache_of_its_own),
        cmocka_unit_test(any_chunk_gives_the_same_text),
        cmocka_unit_test(a_prompt_and_single_tokens_give_the_same_logits),
        cmocka_unit_test(a_new_prompt_forgets_the_old_one),
        cmocka_unit_test(the_context_can_be_filled_and_not_passed),
        cmocka_unit_test(bad_tokens_break_it),
        cmocka_unit_test(graphs_must_belong_together),
        cmocka_unit_test(caches_stand_in_the_memory_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
