#include "models/hf/hf_keys.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

/* What transformers writes into every config and what speaks of tokens, generation or other heads; `*`: any ending. */
static const char *const idle[] = {
    "_name_or_path", "_attn_implementation", "_attn_implementation_autoset", "_num_labels", "architectures", "auto_map",
    "bad_words_ids", "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward", "cross_attention_hidden_size",
    "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype", "early_stopping", "encoder_no_repeat_ngram_size",
    "eos_token_id", "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id",
    "gradient_checkpointing", "id2label", "is_decoder", "is_encoder_decoder", "label2id", "length_penalty", "max_length",
    "min_length", "model_type", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences",
    "output_attentions", "output_hidden_states", "output_scores", "pad_token_id", "prefix", "pretraining_tp",
    "problem_type", "pruned_heads", "remove_invalid_values", "repetition_penalty", "return_dict",
    "return_dict_in_generate", "sep_token_id", "summary_*", "suppress_tokens", "task_specific_params", "temperature",
    "tf_legacy_loss", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers_version",
    "typical_p", "unk_token_id", "use_bfloat16", "use_cache", NULL};

static bool is_listed(const char *key, const char *const *list)
{
    for (; *list; list++) {
        size_t n = strlen(*list);
        if (!strcmp(*list, key) || ((*list)[n - 1] == '*' && !strncmp(*list, key, n - 1)))
            return true;
    }
    return false;
}

static const json_t *value_of(const struct weir_hf_keys *keys, const char *key)
{
    const json_t *value = json_object_get(keys->object, key);
    return json_is_null(value) ? NULL : value;
}

bool weir_hf_has(const struct weir_hf_keys *keys, const char *key)
{
    return value_of(keys, key) != NULL;
}

weir_status weir_hf_count(const struct weir_hf_keys *keys, const char *key, int64_t most, int64_t *value_out)
{
    const json_t *value = value_of(keys, key);
    if (!value)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' is missing", keys->path, key);
    int64_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > most)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' is not a whole number from 1 to %" PRId64, keys->path, key, most);
    *value_out = n;
    return WEIR_OK;
}

weir_status weir_hf_agree(const struct weir_hf_keys *keys, const char *key, const char *object, const char *other)
{
    const struct weir_hf_keys inner = {object ? json_object_get(keys->object, object) : keys->object, keys->path};
    const json_t *a = value_of(keys, key), *b = value_of(&inner, other);
    if (!a || !b || (json_is_number(a) && json_is_number(b) && json_number_value(a) == json_number_value(b)) ||
        json_equal(a, b))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' and '%s%s%s' say the same thing and differ: remove the wrong "
                     "one", keys->path,
                     key, object ? object : "", object ? "." : "", other);
}

weir_status weir_hf_count_named(const struct weir_hf_keys *keys, const char *key, const char *other, int64_t most,
                                int64_t *value_out)
{
    weir_status status = weir_hf_agree(keys, key, NULL, other);
    return status ? status
                  : weir_hf_count(keys, !weir_hf_has(keys, key) && weir_hf_has(keys, other) ? other : key, most, value_out);
}

weir_status weir_hf_divides(const struct weir_hf_keys *keys, const char *key, int64_t n, const char *divisor, int64_t by)
{
    if (n % by == 0)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' is %lld, which '%s' %lld does not divide", keys->path, key, (long long)n,
                     divisor, (long long)by);
}

weir_status weir_hf_counts(const struct weir_hf_keys *keys, const struct weir_hf_count_row *rows, size_t n)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < n && !status; i++)
        status = rows[i].other ? weir_hf_count_named(keys, rows[i].key, rows[i].other, rows[i].most, rows[i].to)
                               : weir_hf_count(keys, rows[i].key, rows[i].most, rows[i].to);
    return status;
}

weir_status weir_hf_positive(const struct weir_hf_keys *keys, const char *key, bool required, double *value_out)
{
    const json_t *value = value_of(keys, key);
    if (!value && !required)
        return WEIR_OK;
    if (!value)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' is missing", keys->path, key);
    double x = json_number_value(value);
    if (!json_is_number(value) || !(x > 0) || !isfinite(x))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' is not a number above 0", keys->path, key);
    *value_out = x;
    return WEIR_OK;
}

weir_status weir_hf_flag(const struct weir_hf_keys *keys, const char *key, bool *value_out)
{
    const json_t *value = value_of(keys, key);
    if (value && !json_is_boolean(value))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' is neither true nor false", keys->path, key);
    if (value)
        *value_out = json_is_true(value);
    return WEIR_OK;
}

weir_status weir_hf_word(const struct weir_hf_keys *keys, const char *key, const char **value_out)
{
    const json_t *value = value_of(keys, key);
    if (value && !json_is_string(value))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' is not a string", keys->path, key);
    if (value)
        *value_out = json_string_value(value);
    return WEIR_OK;
}

weir_status weir_hf_must_be(const struct weir_hf_keys *keys, const char *key, bool wanted)
{
    bool value = wanted;
    weir_status status = weir_hf_flag(keys, key, &value);
    if (!status && value != wanted)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': '%s' is %s, Weir computes %s only", keys->path, key,
                           value ? "true" : "false", wanted ? "true" : "false");
    return status;
}

weir_status weir_hf_unknown_log(const struct weir_hf_keys *keys, const char *const *known)
{
    struct weir_text text = {0};
    void *at = json_object_iter((json_t *)(uintptr_t)keys->object);
    for (; at; at = json_object_iter_next((json_t *)(uintptr_t)keys->object, at)) {
        const char *key = json_object_iter_key(at);
        if (!is_listed(key, idle) && !is_listed(key, known))
            weir_text_append(&text, "%s'%s'", text.length ? ", " : "", key);
    }
    if (text.length)
        weir_log(WEIR_LOG_WARN, "'%s': unknown keys are not used: %.800s", keys->path, text.data);
    weir_status status = text.status;
    weir_text_release(&text);
    return status;
}
