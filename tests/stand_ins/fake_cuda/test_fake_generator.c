/* Generation on the cuda device, on the stand-in for the CUDA runtime: the CPU's tokens, the same bits for every layout, and a
 * clear end when any call fails.  (The thread sanitizer cannot follow fibers: no label.) */
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "include/weir/generate.h"
#include "fake_cuda.h"
#include "models/hf/hf_config.h"
#include "models/model_kinds.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
enum { VOCABULARY = 256, CONTEXT = 18, PROMPT = 11, CHUNK = 4, STEPS = 3, SAMPLES = 3 };

/* gpt2-tiny, and a Llama with two queries to a head of keys. */
static const char llama[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 36, \"num_attention_heads\": 6, \"num_key_value_heads\": 3, "
    "\"num_hidden_layers\": 3, \"intermediate_size\": 24, \"max_position_embeddings\": 64, \"vocab_size\": 256, "
    "\"rms_norm_eps\": 1e-5, \"hidden_act\": \"silu\"}";
enum family { GPT2, LLAMA, FAMILIES };

struct layout {
    const char *device;
    int stages;
    int64_t chunk;
};

/* Before each of STEPS tokens. */
struct text {
    float logits[STEPS][SAMPLES][VOCABULARY];
    int32_t tokens[STEPS][SAMPLES];
};

struct fixture {
    struct weir_arena arena;
    struct weir_generator_config config;
    weir_generator *generator;
};

static const struct weir_graph *graph_of(struct fixture *f, enum family family, int64_t seq_len)
{
    const struct weir_graph *graph;
    const struct weir_model_kind *kind = &weir_model_gpt2_tiny;
    struct weir_model_params model = {.microbatch_size = 1, .seq_len = seq_len, .context = CONTEXT};
    if (family == LLAMA)
        assert_ok(weir_hf_config_parse(llama, strlen(llama), "small", &f->arena, &kind));
    assert_ok(weir_model_build(kind, &model, &f->arena, &graph));
    return graph;
}

static weir_status open_on(struct fixture *f, enum family family, const struct layout *layout)
{
    *f = (struct fixture){.config = WEIR_GENERATOR_CONFIG_DEFAULT};
    f->config.prompt = graph_of(f, family, layout->chunk);
    f->config.token = graph_of(f, family, 1);
    f->config.n_stages = layout->stages;
    f->config.n_samples = SAMPLES;
    f->config.device = layout->device;
    return weir_generator_open(&f->config, &f->generator);
}

static void release(struct fixture *f)
{
    weir_generator_close(f->generator);
    weir_arena_release(&f->arena);
}

/* Wider than initial values, so that logits differ and attention is not flat. */
static weir_status weights_widen(const struct fixture *f)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < f->config.prompt->n_params && !status; i++) {
        const struct weir_param *param = &f->config.prompt->params[i];
        size_t n = (size_t)weir_shape_elements(&param->shape);
        float *values = malloc(n * sizeof *values);
        if (param->init == WEIR_INIT_NORMAL && !(status = weir_generator_param_read(f->generator, param->name, values, n))) {
            for (size_t k = 0; k < n; k++)
                values[k] *= 6;
            status = weir_generator_param_write(f->generator, param->name, values, n);
        }
        free(values);
    }
    return status;
}

static int32_t greedy(const float *logits)
{
    const struct weir_sampling most_likely = {.temperature = 0};
    int32_t token;
    assert_ok(weir_token_sample(&most_likely, logits, VOCABULARY, 0, 0, NULL, &token));
    return token;
}

/* Greedy from the second token on; the first ones differ, so that the samples do. */
static weir_status text_make(struct fixture *f, struct text *out)
{
    int32_t prompt[PROMPT];
    for (int i = 0; i < PROMPT; i++)
        prompt[i] = (i * 37 + 11) % VOCABULARY;
    weir_status status = weir_generator_prompt(f->generator, prompt, PROMPT);
    for (int i = 0; i < STEPS && !status; i++) {
        for (int s = 0; s < SAMPLES; s++) {
            const float *logits = weir_generator_logits(f->generator, s);
            assert_non_null(logits);
            memcpy(out->logits[i][s], logits, sizeof out->logits[i][s]);
            out->tokens[i][s] = (greedy(logits) + (i ? 0 : 3 * s)) % VOCABULARY;
        }
        status = weir_generator_next(f->generator, out->tokens[i]);
    }
    return status;
}

static void text_of(enum family family, const struct layout *layout, struct text *out)
{
    struct fixture f;
    assert_ok(open_on(&f, family, layout));
    assert_ok(weights_widen(&f));
    assert_ok(text_make(&f, out));
    release(&f);
}

static void machine_set(int n_devices, enum weir_fake_mode mode, uint64_t seed)
{
    struct weir_fake_machine machine = {n_devices, (size_t)1 << 30, 1, mode, seed};
    assert_int_equal(weir_fake_open(), 0);
    weir_fake_machine_set(&machine);
}

static void assert_near(const struct text *a, const struct text *b)
{
    assert_memory_equal(a->tokens, b->tokens, sizeof a->tokens);
    for (int i = 0; i < STEPS; i++)
        for (int s = 0; s < SAMPLES; s++)
            for (int v = 0; v < VOCABULARY; v++)
                if (!(fabs((double)a->logits[i][s][v] - (double)b->logits[i][s][v]) < 1e-4))
                    fail_msg("step %d, sample %d, token %d: logits %g and %g", i, s, v, (double)a->logits[i][s][v],
                             (double)b->logits[i][s][v]);
}

static void the_text_is_the_cpus_on_any_layout(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {"cuda:0", 2, CHUNK}, {"cuda", 2, CHUNK}, {"cuda:1,cuda:0,cuda:1", 3, CHUNK}};
    static const enum weir_fake_mode modes[] = {WEIR_FAKE_LAZY, WEIR_FAKE_RANDOM, WEIR_FAKE_EAGER};
    static struct text cpu, one, other;
    for (int family = SANITIZED ? LLAMA : GPT2; family < FAMILIES; family++) {
        machine_set(1, WEIR_FAKE_EAGER, 1);
        text_of(family, &(struct layout){"cpu", 1, CHUNK}, &cpu);
        text_of(family, &(struct layout){"cuda", 1, CHUNK}, &one);
        assert_near(&one, &cpu);
        assert_memory_not_equal(cpu.logits[1][0], cpu.logits[1][1], sizeof cpu.logits[1][0]);
        for (size_t i = SANITIZED ? 2 : 0; i < sizeof layouts / sizeof layouts[0]; i++) {
            machine_set(2, modes[(i + (size_t)family) % 3], i);
            text_of(family, &layouts[i], &other);
            assert_memory_equal(&other, &one, sizeof one);
        }
    }
}

static void any_chunk_gives_the_same_text(void **state)
{
    (void)state;
    static const int64_t chunks[] = {1, PROMPT};
    static struct text cpu, other;
    machine_set(2, WEIR_FAKE_LAZY, 3);
    text_of(LLAMA, &(struct layout){"cpu", 1, CHUNK}, &cpu);
    for (size_t c = 0; c < (SANITIZED ? 1 : 2); c++) {
        text_of(LLAMA, &(struct layout){"cuda", 2, chunks[c]}, &other);
        assert_near(&other, &cpu);
    }
}

static void a_new_prompt_forgets_the_old_one(void **state)
{
    (void)state;
    static struct text first, again;
    struct fixture f;
    int32_t token = 5;
    machine_set(2, WEIR_FAKE_LAZY, 4);
    assert_ok(open_on(&f, LLAMA, &(struct layout){"cuda", 2, CHUNK}));
    assert_null(weir_generator_logits(f.generator, 0));
    assert_ok(text_make(&f, &first));
    assert_ok(weir_generator_prompt(f.generator, &token, 1));
    assert_ok(text_make(&f, &again));
    assert_memory_equal(&first, &again, sizeof first);
    release(&f);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------- */

static weir_status one_text(void)
{
    static struct text text;
    struct fixture f;
    weir_status status = open_on(&f, LLAMA, &(struct layout){"cuda:0,cuda:1", 2, CHUNK});
    if (!status)
        status = weights_widen(&f);
    if (!status)
        status = text_make(&f, &text);
    char message[WEIR_ERROR_MAX] = "";
    if (status)
        weir_error_take(message);
    release(&f);
    if (status)
        weir_error_put(message);
    return status;
}

/* Calls spread over the whole run: opening, weights, the prompt, the copies of its cache, every token, closing. */
static void any_failing_call_ends_the_run_with_one_message(void **state)
{
    (void)state;
    machine_set(2, WEIR_FAKE_EAGER, 1);
    weir_fake_fail(-1, 0, 0);
    assert_ok(one_text());
    int64_t n = weir_fake_calls(), stride = n / (SANITIZED ? 3 : 12) + 1;
    for (int64_t k = 0; k < n; k += stride)
        for (int sticky = 0; sticky < 2; sticky++) {
            weir_fake_fail(k, 719, sticky);
            weir_status status = one_text();
            weir_fake_fail(-1, 0, 0);
            assert_int_equal(weir_fake_open(), 0);
            if (status ? !strstr(weir_last_error(), "unspecified launch failure") : k + stride < n) /* the last may be one of closing */
                fail_msg("call %d of %d: %s", (int)k, (int)n, status ? weir_last_error() : "went unnoticed");
        }
}

static void a_token_outside_of_the_vocabulary_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    int32_t tokens[] = {1, 2, 3, 4, 5, VOCABULARY};
    machine_set(2, WEIR_FAKE_LAZY, 1);
    assert_ok(open_on(&f, GPT2, &(struct layout){"cuda", 2, CHUNK}));
    assert_fails(weir_generator_prompt(f.generator, tokens, 6), WEIR_ERR_INVALID, "has 256 at 1, it must be from 0 to 255");
    assert_null(weir_generator_logits(f.generator, 0));
    assert_fails(weir_generator_prompt(f.generator, tokens, 1), WEIR_ERR_INVALID, "failed before");
    release(&f);
}

static void what_does_not_fit_says_what_to_change(void **state)
{
    (void)state;
    struct fixture f;
    struct weir_fake_machine small = {1, (size_t)33 << 20, 1, WEIR_FAKE_EAGER, 1};
    machine_set(1, WEIR_FAKE_EAGER, 1);
    weir_fake_machine_set(&small);
    assert_fails(open_on(&f, GPT2, &(struct layout){"cuda:0", 2, CHUNK}), WEIR_ERR_NOFIT, "fewer samples or tokens");
    release(&f);
    assert_int_equal(weir_fake_open(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_the_cpus_on_any_layout),
        cmocka_unit_test(any_chunk_gives_the_same_text),
        cmocka_unit_test(a_new_prompt_forgets_the_old_one),
        cmocka_unit_test(any_failing_call_ends_the_run_with_one_message),
        cmocka_unit_test(a_token_outside_of_the_vocabulary_is_refused),
        cmocka_unit_test(what_does_not_fit_says_what_to_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
