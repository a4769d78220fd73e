/* Fuzz target: any text is a configuration of a model, or refused; small models can be built, and their own configuration is
 * read again.  The first byte chooses: the rest is the text; or pairs of bytes that choose keys and values, behind the keys
 * that GPT-2 or Llama need. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "models/hf/hf_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { MOST_TEXT = 16384, MOST_PAIRS = 64 };

static const char *const starts[] = {
    "{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_layer\":1,\"n_head\":2,\"n_positions\":4,\"vocab_size\":5",
    ("{\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":4,\"num_hidden_layers\":1,"
     "\"num_attention_heads\":2,\"max_position_embeddings\":4,\"vocab_size\":5"),
};

static const char *const keys[] = {
    "activation_function", "add_cross_attention", "n_inner", "n_ctx", "layer_norm_epsilon", "initializer_range",
    "reorder_and_upcast_attn", "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "tie_word_embeddings",
    "attention_bias", "mlp_bias", "head_dim", "hidden_act", "num_key_value_heads", "partial_rotary_factor", "rms_norm_eps",
    "rope_theta", "rope_scaling", "rope_parameters", "colour", "architectures", "summary_type"};

static const char *const values[] = {
    "null", "true", "false", "0", "1", "2", "3", "-1", "1e-5", "1e300", "10000.5", "99999999999999", "[]", "{}",
    "\"gelu_new\"", "\"gelu\"", "\"silu\"", "\"relu\"", "\"tanh\"",
    "{\"rope_type\":\"default\",\"rope_theta\":7}", "{\"type\":\"linear\",\"factor\":2}", "{\"type\":\"linear\"}",
    "{\"type\":\"yarn\"}", "{\"rope_type\":3}",
    ("{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,"
     "\"original_max_position_embeddings\":8}"),
    "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1}"};

static void log_drop(enum weir_log_level level, const char *message, void *context)
{
    (void)level, (void)message, (void)context;
}

static void model_build(const struct weir_model_kind *kind, struct weir_arena *arena)
{
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 1};
    const struct weir_graph *graph;
    const struct weir_model_kind *again;
    if (kind->vocabulary > 1000 || weir_model_build(kind, &params, arena, &graph))
        return;
    if (weir_hf_config_parse(graph->hf_config, strlen(graph->hf_config), "again", arena, &again))
        abort();
}

static size_t text_invent(const uint8_t *bytes, size_t n, char *text)
{
    size_t used = (size_t)sprintf(text, "%s", starts[bytes[0] / 3 % 2]);
    for (size_t i = 1; i + 2 <= n && i < 2 * MOST_PAIRS; i += 2)
        used += (size_t)sprintf(text + used, ",\"%s\":%s", keys[bytes[i] % (sizeof keys / sizeof keys[0])],
                                values[bytes[i + 1] % (sizeof values / sizeof values[0])]);
    text[used++] = '}';
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char text[MOST_TEXT];
    struct weir_arena arena = {0};
    const struct weir_model_kind *kind;
    if (n < 1 || n > 4096)
        return 0;
    size_t used = n - 1;
    if (bytes[0] % 3)
        used = text_invent(bytes, n, text);
    else
        memcpy(text, bytes + 1, used);
    weir_log_set(log_drop, NULL);
    if (!weir_hf_config_parse(text, used, "input", &arena, &kind))
        model_build(kind, &arena);
    weir_arena_release(&arena);
    return 0;
}
