/* LlamaConfig: sizes, heads, rotary positions, and what must have its default. */
#include <string.h>

#include "models/hf/hf_family.h"
#include "models/llama.h"

static const char *const llama_keys[] = {
    "attention_bias", "attention_dropout", "head_dim", "hidden_act", "hidden_size", "initializer_range",
    "intermediate_size", "max_position_embeddings", "mlp_bias", "num_attention_heads", "num_hidden_layers",
    "num_key_value_heads", "original_max_position_embeddings", "partial_rotary_factor", "rms_norm_eps",
    "rope_parameters", "rope_scaling", "rope_theta", "tie_word_embeddings", "vocab_size", NULL};

static weir_status llama_heads(const struct weir_hf_keys *keys, struct weir_llama_config *c)
{
    weir_status status = WEIR_OK;
    c->kv_heads = c->n_heads;
    if (weir_hf_has(keys, "num_key_value_heads"))
        status = weir_hf_count(keys, "num_key_value_heads", WEIR_HF_MOST_WIDTH, &c->kv_heads);
    if (!status)
        status = weir_hf_divides(keys, "num_attention_heads", c->n_heads, "num_key_value_heads", c->kv_heads);
    if (!status && weir_hf_has(keys, "head_dim"))
        status = weir_hf_count(keys, "head_dim", WEIR_HF_MOST_WIDTH, &c->head_width);
    else if (!status)
        status = weir_hf_divides(keys, "hidden_size", c->width, "num_attention_heads", c->n_heads);
    if (!status && !c->head_width)
        c->head_width = c->width / c->n_heads;
    if (!status && c->head_width % 2)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': heads are %lld wide, rotary positions need an even width", keys->path,
                           (long long)c->head_width);
    return status;
}

static weir_status llama_sizes(const struct weir_hf_keys *keys, struct weir_llama_config *c)
{
    const struct weir_hf_count_row rows[] = {
        {"hidden_size", NULL, WEIR_HF_MOST_WIDTH, &c->width},
        {"intermediate_size", NULL, WEIR_HF_MOST_WIDTH, &c->inner},
        {"num_hidden_layers", NULL, WEIR_HF_MOST_BLOCKS, &c->n_blocks},
        {"num_attention_heads", NULL, WEIR_HF_MOST_WIDTH, &c->n_heads},
        {"max_position_embeddings", NULL, WEIR_HF_MOST_WIDTH, &c->n_positions},
        {"vocab_size", NULL, WEIR_HF_MOST_WIDTH, &c->vocabulary},
    };
    weir_status status = weir_hf_counts(keys, rows, sizeof rows / sizeof rows[0]);
    return status ? status : llama_heads(keys, c);
}

static weir_status llama3_read(const struct weir_hf_keys *keys, struct weir_rope *rope)
{
    rope->scaling = WEIR_ROPE_LLAMA3;
    weir_status status = weir_hf_positive(keys, "low_freq_factor", true, &rope->low);
    if (!status)
        status = weir_hf_positive(keys, "high_freq_factor", true, &rope->high);
    if (!status)
        status = weir_hf_positive(keys, "original_max_position_embeddings", true, &rope->original);
    if (!status && rope->high <= rope->low)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': 'high_freq_factor' is not above 'low_freq_factor'", keys->path);
    return status;
}

static const char *const rope_keys[] = {"factor", "high_freq_factor", "low_freq_factor", "original_max_position_embeddings",
                                        "partial_rotary_factor", "rope_theta", "rope_type", "type", NULL};

static weir_status rotary_part_check(const struct weir_hf_keys *keys)
{
    double part = 1;
    weir_status status = weir_hf_positive(keys, "partial_rotary_factor", false, &part);
    if (!status && part != 1)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': 'partial_rotary_factor' is %g, Weir computes 1 only", keys->path, part);
    return status;
}

/* The word for the scaling; "default" without one. */
static weir_status scaling_type(const struct weir_hf_keys *keys, const char **type_out)
{
    const char *type = NULL;
    weir_status status = weir_hf_agree(keys, "rope_type", NULL, "type");
    if (!status)
        status = weir_hf_word(keys, weir_hf_has(keys, "rope_type") ? "rope_type" : "type", &type);
    if (!status && !type && weir_hf_has(keys, "factor"))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has a 'factor' and no 'rope_type' to say of what", keys->path);
    *type_out = type ? type : "default";
    return status;
}

/* The object of "rope_parameters" (transformers 5) or "rope_scaling" (before). */
static weir_status scaling_read(const struct weir_hf_keys *keys, struct weir_rope *rope)
{
    const char *type = NULL;
    if (!json_is_object(keys->object))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not an object", keys->path);
    weir_status status = scaling_type(keys, &type);
    if (!status)
        status = rotary_part_check(keys);
    if (!status)
        status = weir_hf_positive(keys, "rope_theta", false, &rope->theta);
    if (!status)
        status = weir_hf_unknown_log(keys, rope_keys);
    if (status || !strcmp(type, "default"))
        return status;
    if (strcmp(type, "linear") && strcmp(type, "llama3"))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': rotary scaling '%s', Weir computes linear and llama3", keys->path,
                         type);
    rope->scaling = WEIR_ROPE_LINEAR;
    status = weir_hf_positive(keys, "factor", true, &rope->factor);
    return status || !strcmp(type, "linear") ? status : llama3_read(keys, rope);
}

/* One of the two objects, after the keys that stand beside it. */
static weir_status object_read(struct weir_hf_reader *r, const char *key, struct weir_rope *rope)
{
    static const char *const either[] = {"rope_theta", "partial_rotary_factor", "original_max_position_embeddings"};
    static const char original[] = "original_max_position_embeddings";
    struct weir_hf_keys inner = {json_object_get(r->keys.object, key), NULL};
    weir_status status = weir_arena_printf(r->arena, &inner.path, "%s: %s", r->keys.path, key);
    for (size_t i = 0; i < sizeof either / sizeof either[0] && !status; i++)
        status = weir_hf_agree(&r->keys, either[i], key, either[i]);
    if (!status)
        status = scaling_read(&inner, rope);
    bool wanted = rope->scaling == WEIR_ROPE_LLAMA3 && rope->high > 0; /* what stands before it was read */
    if (status && wanted && weir_hf_has(&r->keys, original) && !weir_hf_has(&inner, original))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' stands beside '%s', which needs it inside", r->keys.path, original, key);
    return status;
}

static bool ropes_equal(const struct weir_rope *a, const struct weir_rope *b)
{
    return a->theta == b->theta && a->scaling == b->scaling && a->factor == b->factor && a->low == b->low &&
           a->high == b->high && a->original == b->original;
}

/* Where both objects are, they must mean the same: transformers takes "rope_scaling" and says nothing. */
static weir_status rope_read(struct weir_hf_reader *r, struct weir_rope *rope)
{
    static const char *const objects[] = {"rope_scaling", "rope_parameters"};
    weir_status status = weir_hf_positive(&r->keys, "rope_theta", false, &rope->theta);
    if (!status)
        status = rotary_part_check(&r->keys);
    struct weir_rope read[2] = {*rope, *rope};
    for (int i = 0; i < 2 && !status; i++)
        if (weir_hf_has(&r->keys, objects[i]))
            status = object_read(r, objects[i], &read[i]);
    if (status)
        return status;
    bool first = weir_hf_has(&r->keys, objects[0]), second = weir_hf_has(&r->keys, objects[1]);
    if (first && second && !ropes_equal(&read[0], &read[1]))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' and '%s' are both there and differ: remove the wrong one", r->keys.path,
                         objects[0], objects[1]);
    *rope = read[second];
    return WEIR_OK;
}

static weir_status llama_maths(struct weir_hf_reader *r, struct weir_llama_config *c)
{
    const char *activation = "silu";
    weir_status status = weir_hf_word(&r->keys, "hidden_act", &activation);
    if (!status && strcmp(activation, "silu") && strcmp(activation, "swish"))
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': 'hidden_act' is '%s', Weir computes silu only", r->keys.path,
                           activation);
    if (!status)
        status = weir_hf_must_be(&r->keys, "attention_bias", false);
    if (!status)
        status = weir_hf_must_be(&r->keys, "mlp_bias", false);
    return status ? status : rope_read(r, &c->rope);
}

static weir_status llama_read(struct weir_hf_reader *r)
{
    bool tied = false;
    struct weir_llama_config *c;
    weir_status status = weir_arena_alloc(r->arena, 1, sizeof *c, &c);
    if (status)
        return status;
    *c = (struct weir_llama_config){.eps = 1e-6, .init_std = 0.02, .rope = {.theta = 10000}};
    status = llama_sizes(&r->keys, c);
    if (!status)
        status = weir_hf_positive(&r->keys, "rms_norm_eps", false, &c->eps);
    if (!status)
        status = weir_hf_positive(&r->keys, "initializer_range", false, &c->init_std);
    if (!status)
        status = weir_hf_flag(&r->keys, "tie_word_embeddings", &tied);
    if (!status)
        status = llama_maths(r, c);
    c->tied = tied;
    r->kind->config = c;
    r->kind->build = weir_llama_build;
    r->kind->seq_len = c->n_positions;
    r->kind->vocabulary = c->vocabulary;
    return status;
}

const struct weir_hf_family weir_hf_llama = {"llama", "Llama of a configuration file", llama_read, llama_keys};
