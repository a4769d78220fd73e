/* Keys of config.json: typed look-ups with messages, and the table of those that change nothing. */
#ifndef WEIR_MODELS_HF_HF_KEYS_H
#define WEIR_MODELS_HF_HF_KEYS_H

#include <stdbool.h>

#include "base/json.h"

struct weir_hf_keys {
    const json_t *object;
    const char *path; /* "gpt2/config.json", or "gpt2/config.json: rope_scaling" */
};

/* Larger numbers are typing errors; products of two of them fit easily into 64 bits. */
enum { WEIR_HF_MOST_WIDTH = 1 << 24, WEIR_HF_MOST_BLOCKS = 1 << 12 };

/* The key is there and not null. */
bool weir_hf_has(const struct weir_hf_keys *keys, const char *key);

/* A whole number from 1 to `most`; required. */
weir_status weir_hf_count(const struct weir_hf_keys *keys, const char *key, int64_t most, int64_t *value_out);

/* The same of a key that has another name.  WEIR_ERR_INVALID: both are there and differ. */
weir_status weir_hf_count_named(const struct weir_hf_keys *keys, const char *key, const char *other, int64_t most,
                                int64_t *value_out);

/* WEIR_ERR_INVALID when two keys that say the same thing, with or without `object` around the second, have other numbers. */
weir_status weir_hf_agree(const struct weir_hf_keys *keys, const char *key, const char *object, const char *other);

/* Rows of counts; reading stops at the first error. */
struct weir_hf_count_row {
    const char *key, *other; /* other: NULL, or another name of the key */
    int64_t most;
    int64_t *to;
};
weir_status weir_hf_counts(const struct weir_hf_keys *keys, const struct weir_hf_count_row *rows, size_t n);

/* WEIR_ERR_INVALID unless `by`, of key `divisor`, divides n, of `key`. */
weir_status weir_hf_divides(const struct weir_hf_keys *keys, const char *key, int64_t n, const char *divisor, int64_t by);

/* A finite number above 0; when the key is missing or null the value stays as it is, unless `required`. */
weir_status weir_hf_positive(const struct weir_hf_keys *keys, const char *key, bool required, double *value_out);

/* true or false; missing or null leaves the value. */
weir_status weir_hf_flag(const struct weir_hf_keys *keys, const char *key, bool *value_out);

/* A word; missing or null leaves the value.  It points into the document. */
weir_status weir_hf_word(const struct weir_hf_keys *keys, const char *key, const char **value_out);

/* WEIR_ERR_UNSUPPORTED when the flag is there and not `wanted`. */
weir_status weir_hf_must_be(const struct weir_hf_keys *keys, const char *key, bool wanted);

/* Log the keys that are neither in `known` (NULL-terminated) nor in the table of those that change no maths. */
weir_status weir_hf_unknown_log(const struct weir_hf_keys *keys, const char *const *known);

#endif
