/* GPT-2: a decoder-only transformer (Radford et al., "Language models are unsupervised multitask learners", 2019).
 *
 *     tokens (B, T) ─▶ wte[token] + wpe[position] ─▶ dropout                                     layer "embed"
 *     x ─▶ ln_1 ─▶ qkv ─▶ causal attention ─▶ proj ─▶ dropout ─▶ + x                             layer "h.i.attn"
 *     x ─▶ ln_2 ─▶ fc (4C) ─▶ GELU (tanh) ─▶ proj ─▶ dropout ─▶ + x                              layer "h.i.mlp"
 *     x ─▶ ln_f ─▶ logits = x · wteᵀ ─▶ cross-entropy                                            layer "head"
 *
 * A block is two layers, so a model of L blocks has 2L + 2 layers.  Parameters have their Hugging Face names; linear
 * weights are stored (in, out) as those files have them.  wte is tied: the embedding and the head share it.
 * Initial values (docs/training.md): normal with standard deviation 0.02, half of it for wpe, residual projections scaled
 * by 1 / sqrt(2L), biases 0, gains 1.  No weight decay on biases and gains. */
#include "models/gpt2.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "kernels/op_rows.h"
#include "models/graph_making.h"
#include "models/model_kinds.h"

enum { GPT2_END = 50256 };

struct gpt2 {
    struct weir_graph_builder b;
    const struct weir_gpt2_config *config;
    double dropout;
    int64_t context; /* > 0: to generate */
    char name[32], part[96]; /* prefix of the block, and the name being made */
};

static const char *part(struct gpt2 *g, const char *suffix)
{
    snprintf(g->part, sizeof g->part, "%s%s", g->name, suffix);
    return g->part;
}

/* A parameter whose dimensions are these keys of config.json. */
static int param(struct gpt2 *g, const char *name, enum weir_init init, double scale, bool decay, const char *sizes)
{
    int index = weir_graph_param(&g->b, name, init, scale, decay);
    weir_graph_param_sizes(&g->b, index, sizes);
    return index;
}

static int layer_norm(struct gpt2 *g, const char *name, int x)
{
    char text[32];
    snprintf(text, sizeof text, "%s.weight", name);
    int gain = param(g, part(g, text), WEIR_INIT_CONSTANT, 1, false, "n_embd");
    snprintf(text, sizeof text, "%s.bias", name);
    int bias = param(g, part(g, text), WEIR_INIT_CONSTANT, 0, false, "n_embd");
    struct weir_norm_attr attr = {.bias = true, .eps = g->config->eps};
    return weir_graph_node(&g->b, part(g, name), &weir_op_layer_norm, &attr, sizeof attr, 1, &x, 2, (int[]){gain, bias});
}

/* `sizes` are those of the weight, in and out. */
static int linear(struct gpt2 *g, const char *name, int x, int64_t out, double std, const char *sizes)
{
    char text[48];
    snprintf(text, sizeof text, "%s.weight", name);
    int weight = param(g, part(g, text), WEIR_INIT_NORMAL, std, true, sizes);
    snprintf(text, sizeof text, "%s.bias", name);
    int bias = param(g, part(g, text), WEIR_INIT_CONSTANT, 0, false, strchr(sizes, ',') + 2);
    struct weir_linear_attr attr = {.out_features = out, .bias = true, .in_out = true};
    return weir_graph_node(&g->b, part(g, name), &weir_op_linear, &attr, sizeof attr, 1, &x, 2, (int[]){weight, bias});
}

static int dropout(struct gpt2 *g, const char *name, int x)
{
    struct weir_dropout_attr attr = {.dropout = g->dropout};
    return g->dropout > 0 ? weir_graph_node(&g->b, part(g, name), &weir_op_dropout, &attr, sizeof attr, 1, &x, 0, NULL) : x;
}

static int residual(struct gpt2 *g, const char *name, int x, int branch)
{
    return weir_graph_node(&g->b, part(g, name), &weir_op_add, NULL, 0, 2, (int[]){x, branch}, 0, NULL);
}

static int embedding(struct gpt2 *g, int tokens)
{
    const struct weir_gpt2_config *c = g->config;
    weir_graph_layer(&g->b, "embed");
    int params[] = {param(g, "wte.weight", WEIR_INIT_NORMAL, c->init_std, true, "vocab_size, n_embd"),
                    param(g, "wpe.weight", WEIR_INIT_NORMAL, c->init_std / 2, true, "n_positions, n_embd")};
    struct weir_embedding_attr attr = {.out_features = c->width, .vocabulary = c->vocabulary, .n_positions = c->n_positions};
    int x = weir_graph_node(&g->b, "embed", &weir_op_embedding, &attr, sizeof attr, 1, &tokens, 2, params);
    return dropout(g, "embed.dropout", x);
}

static int attention(struct gpt2 *g, int qkv)
{
    struct weir_attention_attr heads = {.n_heads = g->config->n_heads, .dropout = g->dropout};
    struct weir_attention_cached_attr cached = {.n_heads = heads.n_heads, .n_positions = g->context};
    const char *name = part(g, "attn.attention");
    if (g->context)
        return weir_graph_node(&g->b, name, &weir_op_attention_cached, &cached, sizeof cached, 1, &qkv, 0, NULL);
    return weir_graph_node(&g->b, name, &weir_op_attention, &heads, sizeof heads, 1, &qkv, 0, NULL);
}

static int block(struct gpt2 *g, int i, int x)
{
    const struct weir_gpt2_config *c = g->config;
    double residual_std = c->init_std / sqrt(2.0 * (double)c->n_blocks);
    snprintf(g->name, sizeof g->name, "h.%d.", i);

    weir_graph_layer(&g->b, part(g, "attn"));
    int y = layer_norm(g, "ln_1", x);
    y = linear(g, "attn.c_attn", y, 3 * c->width, c->init_std, "n_embd, 3 n_embd");
    y = attention(g, y);
    y = linear(g, "attn.c_proj", y, c->width, residual_std, "n_embd, n_embd");
    x = residual(g, "attn.residual", x, dropout(g, "attn.dropout", y));

    weir_graph_layer(&g->b, part(g, "mlp"));
    y = layer_norm(g, "ln_2", x);
    y = linear(g, "mlp.c_fc", y, c->inner, c->init_std, "n_embd, n_inner");
    y = weir_graph_node(&g->b, part(g, "mlp.gelu"), c->activation, NULL, 0, 1, &y, 0, NULL);
    y = linear(g, "mlp.c_proj", y, c->width, residual_std, "n_inner, n_embd");
    x = residual(g, "mlp.residual", x, dropout(g, "mlp.dropout", y));
    g->name[0] = 0;
    return x;
}

static void head(struct gpt2 *g, int x, int targets)
{
    weir_graph_layer(&g->b, "head");
    x = layer_norm(g, "ln_f", x);
    if (g->context)
        x = weir_graph_node(&g->b, "last_row", &weir_op_last_row, NULL, 0, 1, &x, 0, NULL);
    const char *name = g->config->untied ? "lm_head.weight" : "wte.weight";
    int weight = param(g, name, WEIR_INIT_NORMAL, g->config->init_std, true, "vocab_size, n_embd");
    struct weir_linear_attr attr = {.out_features = g->config->vocabulary};
    int logits = weir_graph_node(&g->b, "lm_head", &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &weight);
    if (!g->context)
        weir_graph_node(&g->b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){logits, targets}, 0, NULL);
}

/* What the rows are called in config.json. */
static const struct {
    const char *name;
    const struct weir_op *op;
} activations[] = {{"gelu_new", &weir_op_gelu_tanh}, {"gelu_pytorch_tanh", &weir_op_gelu_tanh}, {"gelu", &weir_op_gelu_erf},
                   {"relu", &weir_op_relu},          {"silu", &weir_op_silu},                   {"swish", &weir_op_silu}};

const struct weir_op *weir_gpt2_activation(const char *name)
{
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (!strcmp(activations[i].name, name))
            return activations[i].op;
    return NULL;
}

/* The keys of transformers' GPT2Config, and n_ctx of older ones, which llama.cpp's script reads the positions from.  The default
 * for the special tokens is 50256, which smaller vocabularies lack. */
static weir_status config_print(const struct weir_gpt2_config *c, double dropout, struct weir_arena *arena,
                                const char **text_out)
{
    size_t a = 0;
    while (activations[a].op != c->activation)
        a++;
    json_t *end = c->vocabulary > GPT2_END ? json_integer(GPT2_END) : json_null();
    json_t *root = json_pack("{s:[s], s:s, s:s}", "architectures", "GPT2LMHeadModel", "model_type", "gpt2",
                             "activation_function", activations[a].name);
    json_t *more = json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:o, s:b, s:s}", "attn_pdrop",
                             dropout, "embd_pdrop", dropout, "resid_pdrop", dropout, "initializer_range", c->init_std,
                             "layer_norm_epsilon", c->eps, "n_embd", (json_int_t)c->width, "n_head",
                             (json_int_t)c->n_heads, "n_inner", (json_int_t)c->inner, "n_layer", (json_int_t)c->n_blocks,
                             "n_ctx", (json_int_t)c->n_positions, "n_positions", (json_int_t)c->n_positions, "vocab_size",
                             (json_int_t)c->vocabulary, "bos_token_id", end, "eos_token_id", end, "tie_word_embeddings",
                             !c->untied, "torch_dtype", "float32");
    return weir_json_print(weir_json_joined(root, more), 2, arena, text_out);
}

weir_status weir_gpt2_build(const struct weir_model_kind *kind, const struct weir_model_params *params,
                            struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct gpt2 g = {.config = kind->config, .dropout = params->dropout, .context = params->context};
    const char *hf_config;
    weir_graph_begin(&g.b, kind->name, arena);
    struct weir_shape shape = {2, {params->microbatch_size, params->seq_len}, WEIR_DTYPE_I32};
    int tokens = weir_graph_input(&g.b, "tokens", shape);
    int targets = g.context ? 0 : weir_graph_input(&g.b, "targets", shape);
    int x = embedding(&g, tokens);
    for (int i = 0; i < g.config->n_blocks; i++)
        x = block(&g, i, x);
    head(&g, x, targets);
    weir_status status = config_print(g.config, params->dropout, arena, &hf_config);
    if (status)
        return status;
    weir_graph_hf(&g.b, hf_config, "transformer.");
    return g.context ? weir_graph_finish_forward(&g.b, graph_out) : weir_graph_finish(&g.b, graph_out);
}

#define SIZES(blocks, c, heads, positions, tokens)                                                                     \
    .n_blocks = blocks, .width = c, .n_heads = heads, .n_positions = positions, .vocabulary = tokens, .inner = 4 * (c),   \
    .eps = 1e-5, .init_std = 0.02, .activation = &weir_op_gelu_tanh

static const struct weir_gpt2_config tiny = {SIZES(6, 128, 4, 64, 256)};

const struct weir_model_kind weir_model_gpt2_tiny = {
    .name = "gpt2-tiny",
    .summary = "GPT-2 with 6 blocks, width 128, 4 heads, 64 positions, 256 byte tokens",
    .data = WEIR_DATA_TOKENS,
    .seq_len = 64,
    .vocabulary = 256,
    .config = &tiny,
    .build = weir_gpt2_build,
};

/* The published sizes (the paper's table 2; parameters as counted in its released models). */
static const struct weir_gpt2_config small = {SIZES(12, 768, 12, 1024, 50257)};
static const struct weir_gpt2_config medium = {SIZES(24, 1024, 16, 1024, 50257)};
static const struct weir_gpt2_config large = {SIZES(36, 1280, 20, 1024, 50257)};
static const struct weir_gpt2_config xl = {SIZES(48, 1600, 25, 1024, 50257)};

const struct weir_model_kind weir_model_gpt2 = {
    .name = "gpt2",
    .summary = "GPT-2 of 124M parameters: 12 blocks, width 768",
    .data = WEIR_DATA_TOKENS,
    .seq_len = 1024,
    .vocabulary = 50257,
    .config = &small,
    .build = weir_gpt2_build,
};

const struct weir_model_kind weir_model_gpt2_medium = {
    .name = "gpt2-medium",
    .summary = "GPT-2 of 355M parameters: 24 blocks, width 1024",
    .data = WEIR_DATA_TOKENS,
    .seq_len = 1024,
    .vocabulary = 50257,
    .config = &medium,
    .build = weir_gpt2_build,
};

const struct weir_model_kind weir_model_gpt2_large = {
    .name = "gpt2-large",
    .summary = "GPT-2 of 774M parameters: 36 blocks, width 1280",
    .data = WEIR_DATA_TOKENS,
    .seq_len = 1024,
    .vocabulary = 50257,
    .config = &large,
    .build = weir_gpt2_build,
};

const struct weir_model_kind weir_model_gpt2_xl = {
    .name = "gpt2-xl",
    .summary = "GPT-2 of 1558M parameters: 48 blocks, width 1600",
    .data = WEIR_DATA_TOKENS,
    .seq_len = 1024,
    .vocabulary = 50257,
    .config = &xl,
    .build = weir_gpt2_build,
};
