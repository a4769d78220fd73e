/* Llama: a decoder-only transformer (Touvron et al., "LLaMA", 2023; Grattafiori et al., "The Llama 3 herd of models",
 * 2024), as transformers' LlamaForCausalLM has it.
 *
 *     tokens (B, T) ─▶ embed_tokens[token]                                                       layer "embed"
 *     x ─▶ RMS norm ─▶ q, k, v ─▶ rotary positions on q, k ─▶ causal attention ─▶ o ─▶ + x       layer "i.attn"
 *     x ─▶ RMS norm ─▶ silu(gate) · up ─▶ down ─▶ + x                                            layer "i.mlp"
 *     x ─▶ RMS norm ─▶ logits ─▶ cross-entropy                                                   layer "head"
 *
 * Groups of n_heads / kv_heads query heads share a head of k and v (Ainslie et al., "GQA", 2023).  Parameters have their
 * Hugging Face names and layout, (out, in).  Initial values: normal with standard deviation 0.02, gains 1.  No weight decay
 * on gains, no biases. */
#include "models/llama.h"

#include <stdio.h>

#include "base/json.h"
#include "kernels/op_rows.h"
#include "models/graph_making.h"
#include "models/model_kinds.h"

struct llama {
    struct weir_graph_builder b;
    const struct weir_llama_config *config;
    double dropout;
    int64_t context; /* > 0: to generate */
    char name[40], part[96]; /* prefix of the block, and the name being made */
};

static const char *part(struct llama *l, const char *suffix)
{
    snprintf(l->part, sizeof l->part, "%s%s", l->name, suffix);
    return l->part;
}

/* A weight whose dimensions are these keys of config.json. */
static int weight_of(struct llama *l, const char *name, enum weir_init init, double scale, const char *sizes)
{
    int index = weir_graph_param(&l->b, name, init, scale, init == WEIR_INIT_NORMAL);
    weir_graph_param_sizes(&l->b, index, sizes);
    return index;
}

static int norm(struct llama *l, const char *name, int x)
{
    char text[48];
    snprintf(text, sizeof text, "%s.weight", name);
    int gain = weight_of(l, part(l, text), WEIR_INIT_CONSTANT, 1, "hidden_size");
    struct weir_norm_attr attr = {.eps = l->config->eps};
    return weir_graph_node(&l->b, part(l, name), &weir_op_rms_norm, &attr, sizeof attr, 1, &x, 1, &gain);
}

static int linear(struct llama *l, const char *name, int x, int64_t out, const char *sizes)
{
    char text[48];
    snprintf(text, sizeof text, "%s.weight", name);
    int weight = weight_of(l, part(l, text), WEIR_INIT_NORMAL, l->config->init_std, sizes);
    struct weir_linear_attr attr = {.out_features = out};
    return weir_graph_node(&l->b, part(l, name), &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &weight);
}

static int rotate(struct llama *l, const char *name, int x, int64_t heads)
{
    struct weir_rope_attr attr = {.n_heads = heads, .rope = l->config->rope};
    return weir_graph_node(&l->b, part(l, name), &weir_op_rope, &attr, sizeof attr, 1, &x, 0, NULL);
}

static int dropout(struct llama *l, const char *name, int x)
{
    struct weir_dropout_attr attr = {.dropout = l->dropout};
    return l->dropout > 0 ? weir_graph_node(&l->b, part(l, name), &weir_op_dropout, &attr, sizeof attr, 1, &x, 0, NULL) : x;
}

static int residual(struct llama *l, const char *name, int x, int branch)
{
    return weir_graph_node(&l->b, part(l, name), &weir_op_add, NULL, 0, 2, (int[]){x, branch}, 0, NULL);
}

static int attention(struct llama *l, int x)
{
    const struct weir_llama_config *c = l->config;
    struct weir_attention_attr heads = {.n_heads = c->n_heads, .kv_heads = c->kv_heads, .dropout = l->dropout};
    struct weir_attention_cached_attr cached = {.n_heads = c->n_heads, .kv_heads = c->kv_heads, .n_positions = l->context};
    static const char *const of_q = "num_attention_heads head_dim, hidden_size";
    static const char *const of_kv = "num_key_value_heads head_dim, hidden_size";
    int q = rotate(l, "self_attn.q_rope", linear(l, "self_attn.q_proj", x, c->n_heads * c->head_width, of_q), c->n_heads);
    int k = rotate(l, "self_attn.k_rope", linear(l, "self_attn.k_proj", x, c->kv_heads * c->head_width, of_kv), c->kv_heads);
    int v = linear(l, "self_attn.v_proj", x, c->kv_heads * c->head_width, of_kv);
    const char *name = part(l, "self_attn.attention");
    int y = l->context ? weir_graph_node(&l->b, name, &weir_op_attention_cached, &cached, sizeof cached, 3, (int[]){q, k, v}, 0, NULL)
                       : weir_graph_node(&l->b, name, &weir_op_attention, &heads, sizeof heads, 3, (int[]){q, k, v}, 0, NULL);
    return linear(l, "self_attn.o_proj", y, c->width, "hidden_size, num_attention_heads head_dim");
}

static int mlp(struct llama *l, int x)
{
    static const char *const sizes = "intermediate_size, hidden_size";
    int gate = linear(l, "mlp.gate_proj", x, l->config->inner, sizes);
    int up = linear(l, "mlp.up_proj", x, l->config->inner, sizes);
    int y = weir_graph_node(&l->b, part(l, "mlp.swiglu"), &weir_op_swiglu, NULL, 0, 2, (int[]){gate, up}, 0, NULL);
    return linear(l, "mlp.down_proj", y, l->config->width, "hidden_size, intermediate_size");
}

static int block(struct llama *l, int i, int x)
{
    char layer[32];
    snprintf(l->name, sizeof l->name, "model.layers.%d.", i);
    snprintf(layer, sizeof layer, "%d.attn", i);
    weir_graph_layer(&l->b, layer);
    int y = attention(l, norm(l, "input_layernorm", x));
    x = residual(l, "self_attn.residual", x, dropout(l, "self_attn.dropout", y));
    snprintf(layer, sizeof layer, "%d.mlp", i);
    weir_graph_layer(&l->b, layer);
    y = mlp(l, norm(l, "post_attention_layernorm", x));
    x = residual(l, "mlp.residual", x, dropout(l, "mlp.dropout", y));
    l->name[0] = 0;
    return x;
}

static const char embedding_name[] = "model.embed_tokens.weight";

static int embedding(struct llama *l, int tokens)
{
    weir_graph_layer(&l->b, "embed");
    int table = weight_of(l, embedding_name, WEIR_INIT_NORMAL, l->config->init_std, "vocab_size, hidden_size");
    struct weir_embedding_attr attr = {.out_features = l->config->width, .vocabulary = l->config->vocabulary};
    return weir_graph_node(&l->b, "model.embed_tokens", &weir_op_embedding, &attr, sizeof attr, 1, &tokens, 1, &table);
}

static void head(struct llama *l, int x, int targets)
{
    weir_graph_layer(&l->b, "head");
    x = norm(l, "model.norm", x);
    if (l->context)
        x = weir_graph_node(&l->b, "last_row", &weir_op_last_row, NULL, 0, 1, &x, 0, NULL);
    const char *name = l->config->tied ? embedding_name : "lm_head.weight";
    int weight = weight_of(l, name, WEIR_INIT_NORMAL, l->config->init_std, "vocab_size, hidden_size");
    struct weir_linear_attr attr = {.out_features = l->config->vocabulary};
    int logits = weir_graph_node(&l->b, "lm_head", &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &weight);
    if (!l->context)
        weir_graph_node(&l->b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){logits, targets}, 0, NULL);
}

/* ---- config.json --------------------------------------------------------------------------------------------------- */

static json_t *scaling_json(const struct weir_rope *rope)
{
    switch (rope->scaling) {
    case WEIR_ROPE_PLAIN:
        return json_null();
    case WEIR_ROPE_LINEAR:
        return json_pack("{s:s, s:f}", "rope_type", "linear", "factor", rope->factor);
    case WEIR_ROPE_LLAMA3:
        break;
    }
    return json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor", rope->factor, "low_freq_factor",
                     rope->low, "high_freq_factor", rope->high, "original_max_position_embeddings",
                     (json_int_t)rope->original);
}

/* The keys of transformers' LlamaConfig. */
static weir_status config_print(const struct weir_llama_config *c, double p, struct weir_arena *arena,
                                const char **text_out)
{
    json_t *root = json_pack("{s:[s], s:s, s:b, s:f, s:I, s:s, s:I, s:f, s:I}", "architectures", "LlamaForCausalLM",
                             "model_type", "llama", "attention_bias", 0, "attention_dropout", p, "head_dim",
                             (json_int_t)c->head_width, "hidden_act", "silu", "hidden_size", (json_int_t)c->width,
                             "initializer_range", c->init_std, "intermediate_size", (json_int_t)c->inner);
    json_t *more = json_pack("{s:I, s:b, s:I, s:I, s:I, s:f, s:o, s:f, s:I, s:n, s:n, s:b, s:s}",
                             "max_position_embeddings", (json_int_t)c->n_positions, "mlp_bias", 0,
                             "num_attention_heads", (json_int_t)c->n_heads, "num_hidden_layers",
                             (json_int_t)c->n_blocks, "num_key_value_heads", (json_int_t)c->kv_heads, "rms_norm_eps",
                             c->eps, "rope_scaling", scaling_json(&c->rope), "rope_theta", c->rope.theta, "vocab_size",
                             (json_int_t)c->vocabulary, "bos_token_id", "eos_token_id", "tie_word_embeddings", c->tied,
                             "torch_dtype", "float32");
    return weir_json_print(weir_json_joined(root, more), 2, arena, text_out);
}

weir_status weir_llama_build(const struct weir_model_kind *kind, const struct weir_model_params *params,
                             struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct llama l = {.config = kind->config, .dropout = params->dropout, .context = params->context};
    const char *hf_config;
    weir_graph_begin(&l.b, kind->name, arena);
    struct weir_shape shape = {2, {params->microbatch_size, params->seq_len}, WEIR_DTYPE_I32};
    int tokens = weir_graph_input(&l.b, "tokens", shape);
    int targets = l.context ? 0 : weir_graph_input(&l.b, "targets", shape);
    int x = embedding(&l, tokens);
    for (int i = 0; i < l.config->n_blocks; i++)
        x = block(&l, i, x);
    head(&l, x, targets);
    weir_status status = config_print(l.config, params->dropout, arena, &hf_config);
    if (status)
        return status;
    weir_graph_hf(&l.b, hf_config, "model.");
    return l.context ? weir_graph_finish_forward(&l.b, graph_out) : weir_graph_finish(&l.b, graph_out);
}

static const struct weir_llama_config tiny = {.n_blocks = 4,
                                              .width = 128,
                                              .n_positions = 128,
                                              .vocabulary = 256,
                                              .n_heads = 4,
                                              .kv_heads = 2,
                                              .head_width = 32,
                                              .inner = 256,
                                              .eps = 1e-5,
                                              .init_std = 0.02,
                                              .rope = {.theta = 10000}};

const struct weir_model_kind weir_model_llama_tiny = {
    .name = "llama-tiny",
    .summary = "Llama with 4 blocks, width 128, 4 heads on 2 of keys, 128 positions, 256 byte tokens",
    .data = WEIR_DATA_TOKENS,
    .seq_len = 128,
    .vocabulary = 256,
    .config = &tiny,
    .build = weir_llama_build,
};
