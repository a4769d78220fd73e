/* GPT2Config: sizes, activation, and what must have its default. */
#include "models/gpt2.h"
#include "models/hf/hf_family.h"

static const char *const gpt2_keys[] = {
    "activation_function", "add_cross_attention", "attn_pdrop", "embd_pdrop", "hidden_size", "initializer_range",
    "layer_norm_epsilon", "max_position_embeddings", "n_ctx", "n_embd", "n_head", "n_inner", "n_layer", "n_positions",
    "num_attention_heads", "num_hidden_layers", "reorder_and_upcast_attn", "resid_pdrop",
    "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "tie_word_embeddings", "vocab_size", NULL};

static weir_status gpt2_sizes(const struct weir_hf_keys *keys, struct weir_gpt2_config *c)
{
    bool named = weir_hf_has(keys, "max_position_embeddings") && !weir_hf_has(keys, "n_positions");
    const char *positions = named ? "max_position_embeddings" : "n_positions";
    const struct weir_hf_count_row rows[] = {
        {"n_embd", "hidden_size", WEIR_HF_MOST_WIDTH, &c->width},
        {"n_layer", "num_hidden_layers", WEIR_HF_MOST_BLOCKS, &c->n_blocks},
        {"n_head", "num_attention_heads", WEIR_HF_MOST_WIDTH, &c->n_heads},
        {positions, "n_ctx", WEIR_HF_MOST_WIDTH, &c->n_positions},
        {"vocab_size", NULL, WEIR_HF_MOST_WIDTH, &c->vocabulary},
    };
    weir_status status = weir_hf_agree(keys, "n_positions", NULL, "max_position_embeddings");
    if (!status)
        status = weir_hf_counts(keys, rows, sizeof rows / sizeof rows[0]);
    c->inner = 4 * c->width;
    if (!status && weir_hf_has(keys, "n_inner"))
        status = weir_hf_count(keys, "n_inner", WEIR_HF_MOST_WIDTH, &c->inner);
    return status ? status : weir_hf_divides(keys, "n_embd", c->width, "n_head", c->n_heads);
}

static weir_status gpt2_activation(const struct weir_hf_keys *keys, struct weir_gpt2_config *c)
{
    const char *name = "gelu_new";
    weir_status status = weir_hf_word(keys, "activation_function", &name);
    c->activation = status ? NULL : weir_gpt2_activation(name);
    if (!status && !c->activation)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': 'activation_function' is '%s', Weir computes gelu_new, gelu, relu "
                           "and silu", keys->path, name);
    return status;
}

static weir_status gpt2_read(struct weir_hf_reader *r)
{
    const struct weir_hf_keys *keys = &r->keys;
    bool tied = true;
    struct weir_gpt2_config *c;
    weir_status status = weir_arena_alloc(r->arena, 1, sizeof *c, &c);
    if (status)
        return status;
    *c = (struct weir_gpt2_config){.eps = 1e-5, .init_std = 0.02};
    status = gpt2_sizes(keys, c);
    if (!status)
        status = gpt2_activation(keys, c);
    if (!status)
        status = weir_hf_positive(keys, "layer_norm_epsilon", false, &c->eps);
    if (!status)
        status = weir_hf_positive(keys, "initializer_range", false, &c->init_std);
    if (!status)
        status = weir_hf_flag(keys, "tie_word_embeddings", &tied);
    if (!status)
        status = weir_hf_must_be(keys, "scale_attn_weights", true);
    if (!status)
        status = weir_hf_must_be(keys, "scale_attn_by_inverse_layer_idx", false);
    if (!status)
        status = weir_hf_must_be(keys, "reorder_and_upcast_attn", false);
    if (!status)
        status = weir_hf_must_be(keys, "add_cross_attention", false);
    c->untied = !tied;
    r->kind->config = c;
    r->kind->build = weir_gpt2_build;
    r->kind->seq_len = c->n_positions;
    r->kind->vocabulary = c->vocabulary;
    return status;
}

const struct weir_hf_family weir_hf_gpt2 = {"gpt2", "GPT-2 of a configuration file", gpt2_read, gpt2_keys};
