#include "models/hf_config.h"

#include <string.h>

#include "base/text.h"
#include "models/gpt2.h"
#include "models/hf_keys.h"
#include "models/llama.h"

/* Larger numbers would be typing errors; products of two of them fit easily into 64 bits. */
enum { MOST_WIDTH = 1 << 24, MOST_BLOCKS = 1 << 16 };

struct reader {
    struct weir_hf_keys keys;
    struct weir_arena *arena;
    struct weir_model_kind *kind;
};

static weir_status divides(const struct weir_hf_keys *keys, const char *key, int64_t n, const char *divisor, int64_t by)
{
    if (n % by == 0)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' is %lld, which '%s' %lld does not divide", keys->path, key, (long long)n,
                     divisor, (long long)by);
}

/* Rows of counts; reading stops at the first error. */
struct count {
    const char *key;
    int64_t most;
    int64_t *to;
};

static weir_status counts_read(const struct weir_hf_keys *keys, const struct count *rows, size_t n)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < n && !status; i++)
        status = weir_hf_count(keys, rows[i].key, rows[i].most, rows[i].to);
    return status;
}

/* ---- gpt2 ---------------------------------------------------------------------------------------------------------- */

static const char *const gpt2_keys[] = {
    "activation_function", "add_cross_attention", "attn_pdrop", "embd_pdrop", "initializer_range", "layer_norm_epsilon",
    "n_ctx", "n_embd", "n_head", "n_inner", "n_layer", "n_positions", "reorder_and_upcast_attn", "resid_pdrop",
    "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "tie_word_embeddings", "vocab_size", NULL};

static weir_status gpt2_sizes(const struct weir_hf_keys *keys, struct weir_gpt2_config *c)
{
    const struct count rows[] = {
        {"n_embd", MOST_WIDTH, &c->width},
        {"n_layer", MOST_BLOCKS, &c->n_blocks},
        {"n_head", MOST_WIDTH, &c->n_heads},
        {weir_hf_has(keys, "n_positions") || !weir_hf_has(keys, "n_ctx") ? "n_positions" : "n_ctx", MOST_WIDTH,
         &c->n_positions},
        {"vocab_size", MOST_WIDTH, &c->vocabulary},
    };
    weir_status status = counts_read(keys, rows, sizeof rows / sizeof rows[0]);
    c->inner = 4 * c->width;
    if (!status && weir_hf_has(keys, "n_inner"))
        status = weir_hf_count(keys, "n_inner", MOST_WIDTH, &c->inner);
    return status ? status : divides(keys, "n_embd", c->width, "n_head", c->n_heads);
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

static weir_status gpt2_read(struct reader *r)
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

/* ---- llama --------------------------------------------------------------------------------------------------------- */

static const char *const llama_keys[] = {
    "attention_bias", "attention_dropout", "head_dim", "hidden_act", "hidden_size", "initializer_range",
    "intermediate_size", "max_position_embeddings", "mlp_bias", "num_attention_heads", "num_hidden_layers",
    "num_key_value_heads", "partial_rotary_factor", "rms_norm_eps", "rope_parameters", "rope_scaling", "rope_theta",
    "tie_word_embeddings", "vocab_size", NULL};

static weir_status llama_heads(const struct weir_hf_keys *keys, struct weir_llama_config *c)
{
    weir_status status = WEIR_OK;
    c->kv_heads = c->n_heads;
    if (weir_hf_has(keys, "num_key_value_heads"))
        status = weir_hf_count(keys, "num_key_value_heads", MOST_WIDTH, &c->kv_heads);
    if (!status)
        status = divides(keys, "num_attention_heads", c->n_heads, "num_key_value_heads", c->kv_heads);
    if (!status && weir_hf_has(keys, "head_dim"))
        status = weir_hf_count(keys, "head_dim", MOST_WIDTH, &c->head_width);
    else if (!status)
        status = divides(keys, "hidden_size", c->width, "num_attention_heads", c->n_heads);
    if (!status && !c->head_width)
        c->head_width = c->width / c->n_heads;
    if (!status && c->head_width % 2)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': heads are %lld wide, rotary positions need an even width", keys->path,
                           (long long)c->head_width);
    return status;
}

static weir_status llama_sizes(const struct weir_hf_keys *keys, struct weir_llama_config *c)
{
    const struct count rows[] = {
        {"hidden_size", MOST_WIDTH, &c->width},
        {"intermediate_size", MOST_WIDTH, &c->inner},
        {"num_hidden_layers", MOST_BLOCKS, &c->n_blocks},
        {"num_attention_heads", MOST_WIDTH, &c->n_heads},
        {"max_position_embeddings", MOST_WIDTH, &c->n_positions},
        {"vocab_size", MOST_WIDTH, &c->vocabulary},
    };
    weir_status status = counts_read(keys, rows, sizeof rows / sizeof rows[0]);
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

/* The object of "rope_parameters" (transformers 5) or "rope_scaling" (before). */
static weir_status scaling_read(const struct weir_hf_keys *keys, struct weir_rope *rope)
{
    const char *type = "default";
    if (!json_is_object(keys->object))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not an object", keys->path);
    weir_status status = weir_hf_word(keys, weir_hf_has(keys, "rope_type") ? "rope_type" : "type", &type);
    if (!status)
        status = weir_hf_positive(keys, "rope_theta", false, &rope->theta);
    if (status || !strcmp(type, "default"))
        return status;
    if (strcmp(type, "linear") && strcmp(type, "llama3"))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': rotary scaling '%s', Weir computes linear and llama3", keys->path,
                         type);
    rope->scaling = WEIR_ROPE_LINEAR;
    status = weir_hf_positive(keys, "factor", true, &rope->factor);
    return status || !strcmp(type, "linear") ? status : llama3_read(keys, rope);
}

static weir_status rope_read(struct reader *r, struct weir_rope *rope)
{
    const char *key = weir_hf_has(&r->keys, "rope_parameters") ? "rope_parameters" : "rope_scaling";
    double part = 1;
    weir_status status = weir_hf_positive(&r->keys, "rope_theta", false, &rope->theta);
    if (!status)
        status = weir_hf_positive(&r->keys, "partial_rotary_factor", false, &part);
    if (!status && part != 1)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': 'partial_rotary_factor' is %g, Weir computes 1 only", r->keys.path,
                           part);
    if (status || !weir_hf_has(&r->keys, key))
        return status;
    struct weir_hf_keys inner = {json_object_get(r->keys.object, key), NULL};
    status = weir_arena_printf(r->arena, &inner.path, "%s: %s", r->keys.path, key);
    return status ? status : scaling_read(&inner, rope);
}

static weir_status llama_maths(struct reader *r, struct weir_llama_config *c)
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

static weir_status llama_read(struct reader *r)
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

/* ---- the file ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *type, *summary;
    weir_status (*read)(struct reader *r);
    const char *const *keys;
} families[] = {
    {"gpt2", "GPT-2 of a configuration file", gpt2_read, gpt2_keys},
    {"llama", "Llama of a configuration file", llama_read, llama_keys},
};

static weir_status model_read(struct reader *r)
{
    const char *type = NULL;
    if (!json_is_object(r->keys.object))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not a JSON object", r->keys.path);
    weir_status status = weir_hf_word(&r->keys, "model_type", &type);
    if (!status && !type)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': 'model_type' is missing", r->keys.path);
    for (size_t i = 0; !status && i < sizeof families / sizeof families[0]; i++) {
        if (strcmp(families[i].type, type))
            continue;
        r->kind->summary = families[i].summary;
        r->kind->data = WEIR_DATA_TOKENS;
        status = families[i].read(r);
        return status ? status : weir_hf_unknown_log(&r->keys, families[i].keys);
    }
    return status ? status : WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': 'model_type' is '%s', Weir has gpt2 and llama",
                                       r->keys.path, type);
}

static weir_status root_read(const json_t *root, const char *name, struct weir_arena *arena,
                             const struct weir_model_kind **kind_out)
{
    struct reader r = {.keys = {root, name}, .arena = arena};
    weir_status status = weir_arena_alloc(arena, 1, sizeof *r.kind, &r.kind);
    if (!status)
        status = weir_arena_strdup(arena, name, &r.kind->name);
    if (!status)
        status = model_read(&r);
    if (!status)
        *kind_out = r.kind;
    return status;
}

weir_status weir_hf_config_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                 const struct weir_model_kind **kind_out)
{
    json_t *root;
    weir_status status = weir_json_parse(text, bytes, name, &root);
    if (status)
        return status;
    status = root_read(root, name, arena, kind_out);
    json_decref(root);
    return status;
}

weir_status weir_hf_config_load(const char *path, struct weir_arena *arena, const struct weir_model_kind **kind_out)
{
    size_t n = strlen(path);
    json_t *root;
    weir_status status = WEIR_OK;
    if (n < 5 || strcmp(path + n - 5, ".json"))
        status = weir_arena_printf(arena, &path, "%s%sconfig.json", path, n && path[n - 1] == '/' ? "" : "/");
    if (!status)
        status = weir_json_load(path, &root);
    if (status)
        return status;
    status = root_read(root, path, arena, kind_out);
    json_decref(root);
    return status;
}
