/* config.json: what is read, what is refused, what is passed over.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/replace.h"
#include "base/text.h"
#include "kernels/op_rows.h"
#include "models/gpt2.h"
#include "models/hf/hf_config.h"
#include "models/llama.h"
#include "models/model_kinds.h"

#define GPT2 "\"model_type\":\"gpt2\",\"n_embd\":24,\"n_layer\":3,\"n_head\":4,\"n_positions\":32,\"vocab_size\":100"
#define LLAMA                                                                                                          \
    "\"model_type\":\"llama\",\"hidden_size\":24,\"intermediate_size\":40,\"num_hidden_layers\":3,"                    \
    "\"num_attention_heads\":4,\"max_position_embeddings\":32,\"vocab_size\":100"

static char logged[2048];

static void log_keep(enum weir_log_level level, const char *message, void *context)
{
    (void)context;
    assert_int_equal(level, WEIR_LOG_WARN);
    assert_string_equal(logged, ""); /* one line at most */
    snprintf(logged, sizeof logged, "%s", message);
}

static weir_status parse(const char *text, struct weir_arena *arena, const struct weir_model_kind **kind_out)
{
    logged[0] = 0;
    weir_log_set(log_keep, NULL);
    weir_status status = weir_hf_config_parse(text, strlen(text), "c.json", arena, kind_out);
    weir_log_set(NULL, NULL);
    return status;
}

static void gpt2_has_the_defaults_of_transformers(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_model_kind *kind;
    assert_ok(parse("{" GPT2 "}", &arena, &kind));
    const struct weir_gpt2_config *c = kind->config;
    assert_true(c->width == 24 && c->n_blocks == 3 && c->n_heads == 4 && c->n_positions == 32 && c->vocabulary == 100);
    assert_true(c->inner == 96 && c->eps == 1e-5 && c->init_std == 0.02 && !c->untied);
    assert_ptr_equal(c->activation, &weir_op_gelu_tanh);
    assert_true(kind->data == WEIR_DATA_TOKENS && kind->seq_len == 32 && kind->vocabulary == 100);
    assert_string_equal(kind->name, "c.json");
    assert_ok(parse("{" GPT2 ",\"n_inner\":null,\"layer_norm_epsilon\":1e-3,\"tie_word_embeddings\":false,"
                    "\"activation_function\":\"relu\",\"initializer_range\":0.5}", &arena, &kind));
    c = kind->config;
    assert_true(c->inner == 96 && c->eps == 1e-3 && c->init_std == 0.5 && c->untied && c->activation == &weir_op_relu);
    assert_ok(parse("{" GPT2 ",\"n_inner\":10}", &arena, &kind));
    assert_int_equal(((const struct weir_gpt2_config *)kind->config)->inner, 10);
    weir_arena_release(&arena);
}

static void llama_has_the_defaults_of_transformers(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_model_kind *kind;
    assert_ok(parse("{" LLAMA "}", &arena, &kind));
    const struct weir_llama_config *c = kind->config;
    assert_true(c->width == 24 && c->inner == 40 && c->n_blocks == 3 && c->n_heads == 4 && c->kv_heads == 4);
    assert_true(c->head_width == 6 && c->eps == 1e-6 && !c->tied && c->rope.theta == 10000);
    assert_int_equal(c->rope.scaling, WEIR_ROPE_PLAIN);
    assert_ok(parse("{" LLAMA ",\"num_key_value_heads\":2,\"head_dim\":10,\"rms_norm_eps\":1e-5,\"rope_theta\":5e5,"
                    "\"tie_word_embeddings\":true,\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}", &arena, &kind));
    c = kind->config;
    assert_true(c->kv_heads == 2 && c->head_width == 10 && c->eps == 1e-5 && c->tied && c->rope.theta == 5e5);
    assert_true(c->rope.scaling == WEIR_ROPE_LINEAR && c->rope.factor == 2);
    assert_ok(parse("{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":7,\"factor\":8,"
                    "\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":16}}", &arena, &kind));
    c = kind->config;
    assert_true(c->rope.scaling == WEIR_ROPE_LLAMA3 && c->rope.theta == 7 && c->rope.factor == 8 && c->rope.low == 1);
    assert_true(c->rope.high == 4 && c->rope.original == 16);
    assert_ok(parse("{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":9}}", &arena, &kind));
    assert_true(((const struct weir_llama_config *)kind->config)->rope.theta == 9);
    weir_arena_release(&arena);
}

/* words of the error | text */
static void what_cannot_be_computed_is_an_error_that_names_the_key(void **state)
{
    (void)state;
    static const struct {
        weir_status status;
        const char *words, *text;
    } rows[] = {
        {WEIR_ERR_INVALID, "'c.json' line 1", "{"},
        {WEIR_ERR_INVALID, "is not a JSON object", "[]"},
        {WEIR_ERR_INVALID, "'model_type' is missing", "{}"},
        {WEIR_ERR_INVALID, "'model_type' is not a string", "{\"model_type\":2}"},
        {WEIR_ERR_UNSUPPORTED, "'model_type' is 'bert'", "{\"model_type\":\"bert\"}"},
        {WEIR_ERR_INVALID, "'n_embd' is missing", "{\"model_type\":\"gpt2\"}"},
        {WEIR_ERR_INVALID, "'n_positions' is missing",
         "{\"model_type\":\"gpt2\",\"n_embd\":24,\"n_layer\":3,\"n_head\":4,\"vocab_size\":100}"},
        {WEIR_ERR_INVALID, "'n_inner' is not a whole number from 1", "{" GPT2 ",\"n_inner\":0}"},
        {WEIR_ERR_INVALID, "'n_inner' is not a whole number from 1", "{" GPT2 ",\"n_inner\":1e3}"},
        {WEIR_ERR_INVALID, "'n_inner' is not a whole number from 1", "{" GPT2 ",\"n_inner\":99999999999}"},
        {WEIR_ERR_INVALID, "'layer_norm_epsilon' is not a number above 0", "{" GPT2 ",\"layer_norm_epsilon\":0}"},
        {WEIR_ERR_INVALID, "'tie_word_embeddings' is neither", "{" GPT2 ",\"tie_word_embeddings\":1}"},
        {WEIR_ERR_UNSUPPORTED, "'activation_function' is 'relu_sq'", "{" GPT2 ",\"activation_function\":\"relu_sq\"}"},
        {WEIR_ERR_UNSUPPORTED, "'reorder_and_upcast_attn' is true", "{" GPT2 ",\"reorder_and_upcast_attn\":true}"},
        {WEIR_ERR_UNSUPPORTED, "'scale_attn_weights' is false", "{" GPT2 ",\"scale_attn_weights\":false}"},
        {WEIR_ERR_UNSUPPORTED, "'scale_attn_by_inverse_layer_idx' is true",
         "{" GPT2 ",\"scale_attn_by_inverse_layer_idx\":true}"},
        {WEIR_ERR_UNSUPPORTED, "'add_cross_attention' is true", "{" GPT2 ",\"add_cross_attention\":true}"},
        {WEIR_ERR_INVALID, "'n_embd' is 24, which 'n_head' 5 does not divide",
         "{\"model_type\":\"gpt2\",\"n_embd\":24,\"n_layer\":3,\"n_head\":5,\"n_ctx\":4,\"vocab_size\":100}"},
        {WEIR_ERR_INVALID, "'hidden_size' is missing", "{\"model_type\":\"llama\"}"},
        {WEIR_ERR_INVALID, "which 'num_key_value_heads' 3 does not divide", "{" LLAMA ",\"num_key_value_heads\":3}"},
        {WEIR_ERR_INVALID, "heads are 5 wide", "{" LLAMA ",\"head_dim\":5}"},
        {WEIR_ERR_UNSUPPORTED, "'hidden_act' is 'gelu'", "{" LLAMA ",\"hidden_act\":\"gelu\"}"},
        {WEIR_ERR_UNSUPPORTED, "'attention_bias' is true", "{" LLAMA ",\"attention_bias\":true}"},
        {WEIR_ERR_UNSUPPORTED, "'mlp_bias' is true", "{" LLAMA ",\"mlp_bias\":true}"},
        {WEIR_ERR_UNSUPPORTED, "'partial_rotary_factor' is 0.5", "{" LLAMA ",\"partial_rotary_factor\":0.5}"},
        {WEIR_ERR_UNSUPPORTED, "rope_scaling': rotary scaling 'yarn'",
         "{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2}}"},
        {WEIR_ERR_INVALID, "rope_scaling': 'factor' is missing", "{" LLAMA ",\"rope_scaling\":{\"type\":\"linear\"}}"},
        {WEIR_ERR_INVALID, "rope_scaling': 'low_freq_factor' is missing",
         "{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2}}"},
        {WEIR_ERR_INVALID, "'high_freq_factor' is not above",
         "{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4,\"high_freq_factor\":4,"
         "\"original_max_position_embeddings\":8}}"},
        {WEIR_ERR_INVALID, "rope_parameters' is not an object", "{" LLAMA ",\"rope_parameters\":3}"},
        {WEIR_ERR_INVALID, "duplicate", "{" LLAMA "," LLAMA "}"},
        {WEIR_ERR_INVALID, "'n_embd' and 'hidden_size' say the same thing and differ", "{" GPT2 ",\"hidden_size\":48}"},
        {WEIR_ERR_INVALID, "'n_layer' and 'num_hidden_layers' say", "{" GPT2 ",\"num_hidden_layers\":2}"},
        {WEIR_ERR_INVALID, "'n_head' and 'num_attention_heads' say", "{" GPT2 ",\"num_attention_heads\":2}"},
        {WEIR_ERR_INVALID, "'n_positions' and 'max_position_embeddings' say", "{" GPT2 ",\"max_position_embeddings\":64}"},
        {WEIR_ERR_INVALID, "'n_positions' and 'n_ctx' say the same thing and differ", "{" GPT2 ",\"n_ctx\":64}"},
        {WEIR_ERR_INVALID, "'rope_scaling' and 'rope_parameters' are both there and differ: remove the wrong one",
         "{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":4.0},"
         "\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":10000.0}}"},
        {WEIR_ERR_INVALID, "'rope_scaling' and 'rope_parameters' are both there and differ",
         "{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":4.0},"
         "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":4,\"rope_theta\":500}}"},
        {WEIR_ERR_INVALID, "'rope_theta' and 'rope_parameters.rope_theta' say the same thing and differ",
         "{" LLAMA ",\"rope_theta\":500,\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":10000.0}}"},
        {WEIR_ERR_INVALID, "'rope_theta' and 'rope_scaling.rope_theta' say",
         "{" LLAMA ",\"rope_theta\":500,\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"rope_theta\":10000.0}}"},
        {WEIR_ERR_INVALID, "'rope_type' and 'type' say the same thing and differ",
         "{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"linear\",\"type\":\"default\",\"factor\":2}}"},
        {WEIR_ERR_INVALID, "rope_parameters' has a 'factor' and no 'rope_type'", "{" LLAMA ",\"rope_parameters\":{\"factor\":2}}"},
        {WEIR_ERR_UNSUPPORTED, "rope_parameters': 'partial_rotary_factor' is 0.5, Weir computes 1 only",
         "{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\",\"partial_rotary_factor\":0.5}}"},
        {WEIR_ERR_INVALID, "'partial_rotary_factor' and 'rope_parameters.partial_rotary_factor' say",
         "{" LLAMA ",\"partial_rotary_factor\":1,\"rope_parameters\":{\"partial_rotary_factor\":0.5}}"},
        {WEIR_ERR_INVALID, "'original_max_position_embeddings' stands beside 'rope_scaling', which needs it inside",
         "{" LLAMA ",\"original_max_position_embeddings\":16,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
         "\"low_freq_factor\":1,\"high_freq_factor\":4}}"},
        {WEIR_ERR_INVALID, "'original_max_position_embeddings' and 'rope_scaling.original_max_position_embeddings' say",
         "{" LLAMA ",\"original_max_position_embeddings\":16,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
         "\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":8}}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        const struct weir_model_kind *kind = NULL;
        assert_fails(parse(rows[i].text, &arena, &kind), rows[i].status, rows[i].words);
        assert_null(kind);
        weir_arena_release(&arena);
    }
}

/* Two sources that agree are one. */
static void keys_that_say_the_same_twice_are_read(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_model_kind *kind;
    assert_ok(parse("{" GPT2 ",\"hidden_size\":24,\"num_hidden_layers\":3,\"num_attention_heads\":4,\"n_ctx\":32,"
                    "\"max_position_embeddings\":32}", &arena, &kind));
    assert_string_equal(logged, "");
    assert_ok(parse("{\"model_type\":\"gpt2\",\"hidden_size\":24,\"num_hidden_layers\":3,\"num_attention_heads\":4,"
                    "\"max_position_embeddings\":16,\"vocab_size\":100}", &arena, &kind));
    const struct weir_gpt2_config *c = kind->config;
    assert_true(c->width == 24 && c->n_blocks == 3 && c->n_heads == 4 && c->n_positions == 16);
    assert_ok(parse("{" LLAMA ",\"rope_theta\":500,\"rope_scaling\":{\"type\":\"linear\",\"rope_type\":\"linear\",\"factor\":2},"
                    "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2.0,\"rope_theta\":500.0,"
                    "\"partial_rotary_factor\":1.0}}", &arena, &kind));
    const struct weir_llama_config *l = kind->config;
    assert_true(l->rope.theta == 500 && l->rope.scaling == WEIR_ROPE_LINEAR && l->rope.factor == 2);
    assert_ok(parse("{" LLAMA ",\"rope_scaling\":null,\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2}}", &arena,
                    &kind));
    assert_string_equal(logged, "");
    assert_true(((const struct weir_llama_config *)kind->config)->rope.scaling == WEIR_ROPE_LINEAR);
    assert_ok(parse("{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\",\"mrope_section\":[1]}}", &arena, &kind));
    assert_string_equal(logged, "'c.json: rope_parameters': unknown keys are not used: 'mrope_section'");
    weir_arena_release(&arena);
}

/* Each number is in its range; their products and sums are not. */
static void sizes_that_do_not_fit_together_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"model_type\":\"gpt2\",\"n_embd\":16777216,\"n_layer\":300,\"n_head\":1,\"n_positions\":8,\"vocab_size\":100}",
        "{\"model_type\":\"gpt2\",\"n_embd\":16777216,\"n_layer\":1,\"n_head\":1,\"n_positions\":16777216,\"vocab_size\":9}",
        ("{\"model_type\":\"llama\",\"hidden_size\":16777216,\"intermediate_size\":16777216,\"num_hidden_layers\":1,"
         "\"num_attention_heads\":16777216,\"head_dim\":16777216,\"max_position_embeddings\":8,\"vocab_size\":100}")};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct weir_arena arena = {0};
        const struct weir_model_kind *kind;
        const struct weir_graph *graph = NULL;
        struct weir_model_params params = {.microbatch_size = 1 << 20};
        assert_ok(parse(texts[i], &arena, &kind));
        assert_fails(weir_model_build(kind, &params, &arena, &graph), WEIR_ERR_INVALID, "more than 2^56 elements");
        assert_null(graph);
        weir_arena_release(&arena);
    }
}

static void unknown_keys_are_named_in_one_line_and_idle_ones_are_not(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_model_kind *kind;
    assert_ok(parse("{" GPT2 ",\"architectures\":[\"GPT2LMHeadModel\"],\"torch_dtype\":\"float32\",\"dtype\":\"float16\","
                    "\"bos_token_id\":1,\"summary_type\":\"cls_index\",\"use_cache\":true,\"attn_pdrop\":0.1,"
                    "\"task_specific_params\":{\"a\":{\"max_length\":50}},\"transformers_version\":\"5\"}", &arena, &kind));
    assert_string_equal(logged, "");
    assert_ok(parse("{" LLAMA ",\"flux\":1,\"warp\":{}}", &arena, &kind));
    assert_non_null(strstr(logged, "'c.json': unknown keys are not used: "));
    assert_non_null(strstr(logged, "'flux'"));
    assert_non_null(strstr(logged, "'warp'"));
    weir_arena_release(&arena);
}

static void the_config_of_a_gpt2_says_its_positions_as_older_files_do_too(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_model_params params = {.microbatch_size = 1};
    const struct weir_model_kind *kind;
    const struct weir_graph *graph;
    assert_ok(parse("{" GPT2 "}", &arena, &kind));
    assert_ok(weir_model_build(kind, &params, &arena, &graph));
    assert_non_null(strstr(graph->hf_config, "\"n_ctx\": 32"));
    assert_non_null(strstr(graph->hf_config, "\"n_positions\": 32"));
    weir_arena_release(&arena);
}

static void attr_compare(const struct weir_node *a, const struct weir_node *b)
{
    if (a->op == &weir_op_rope) {
        const struct weir_rope_attr *x = a->shapes.attr, *y = b->shapes.attr;
        assert_memory_equal(&x->rope, &y->rope, sizeof x->rope);
    }
    if (a->op == &weir_op_rms_norm || a->op == &weir_op_layer_norm) {
        const struct weir_norm_attr *x = a->shapes.attr, *y = b->shapes.attr;
        assert_true(x->eps == y->eps && x->bias == y->bias);
    }
}

/* The config that a graph carries gives the same graph again. */
static void the_config_of_a_graph_gives_the_same_graph(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{" GPT2 "}",
        "{" GPT2 ",\"n_inner\":7,\"tie_word_embeddings\":false,\"layer_norm_epsilon\":0.1,\"activation_function\":\"gelu\"}",
        "{" LLAMA "}",
        "{" LLAMA ",\"num_key_value_heads\":1,\"head_dim\":2,\"tie_word_embeddings\":true,"
        "\"rope_scaling\":{\"type\":\"linear\",\"factor\":0.1}}",
        "{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":7,\"factor\":8,"
        "\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":16}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct weir_arena arena = {0};
        const struct weir_model_kind *kind;
        const struct weir_graph *a, *b;
        struct weir_model_params params = {.microbatch_size = 2, .dropout = 0.1};
        assert_ok(parse(texts[i], &arena, &kind));
        assert_ok(weir_model_build(kind, &params, &arena, &a));
        assert_ok(parse(a->hf_config, &arena, &kind));
        assert_string_equal(logged, "");
        assert_ok(weir_model_build(kind, &params, &arena, &b));
        assert_string_equal(a->hf_config, b->hf_config);
        assert_int_equal(a->n_nodes, b->n_nodes);
        assert_int_equal(a->n_params, b->n_params);
        for (int n = 0; n < a->n_nodes; n++) {
            assert_string_equal(a->nodes[n].name, b->nodes[n].name);
            assert_ptr_equal(a->nodes[n].op, b->nodes[n].op);
            attr_compare(&a->nodes[n], &b->nodes[n]);
        }
        weir_arena_release(&arena);
    }
}

static void a_path_is_told_from_a_name(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_model_kind *kind;
    assert_ok(weir_model_open("gpt2", &arena, &kind));
    assert_ptr_equal(kind, &weir_model_gpt2);
    assert_fails(weir_model_open("gpt2-tny", &arena, &kind), WEIR_ERR_USAGE, "did you mean 'gpt2-tiny'");
    assert_fails(weir_model_open("./gpt2", &arena, &kind), WEIR_ERR_IO, "cannot open './gpt2/config.json'");
    assert_fails(weir_model_open("gpt2/", &arena, &kind), WEIR_ERR_IO, "cannot open 'gpt2/config.json'");
    assert_ok(weir_file_write(testing_path("m.json"), "{" LLAMA "}", strlen("{" LLAMA "}")));
    assert_ok(weir_model_open(testing_path("m.json"), &arena, &kind));
    assert_string_equal(kind->summary, "Llama of a configuration file");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_has_the_defaults_of_transformers),
        cmocka_unit_test(llama_has_the_defaults_of_transformers),
        cmocka_unit_test(what_cannot_be_computed_is_an_error_that_names_the_key),
        cmocka_unit_test(keys_that_say_the_same_twice_are_read),
        cmocka_unit_test(sizes_that_do_not_fit_together_are_refused),
        cmocka_unit_test(unknown_keys_are_named_in_one_line_and_idle_ones_are_not),
        cmocka_unit_test(the_config_of_a_gpt2_says_its_positions_as_older_files_do_too),
        cmocka_unit_test(the_config_of_a_graph_gives_the_same_graph),
        cmocka_unit_test(a_path_is_told_from_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
