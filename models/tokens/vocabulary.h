/* Tokens and their bytes, both ways. */
#ifndef WEIR_MODELS_TOKENS_VOCABULARY_H
#define WEIR_MODELS_TOKENS_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

enum { WEIR_NO_TOKEN = -1, WEIR_MOST_TOKENS = 1 << 24 };

struct weir_token {
    const char *bytes; /* not terminated; NULL: the id is not used */
    uint32_t n;
    int32_t same_hash; /* the next token in its bucket */
};

struct weir_vocabulary {
    int32_t n_tokens; /* one more than the largest id */
    struct weir_token *tokens;
    uint32_t mask;
    int32_t *buckets;
};

/* Room for ids below n_tokens, none of them used. */
weir_status weir_vocabulary_init(struct weir_vocabulary *vocabulary, int32_t n_tokens, struct weir_arena *arena);

/* Give an id bytes, which must outlive the vocabulary.  `found`: weir_vocabulary_find knows them.
 * false: the id is taken, or others have the same bytes and are found. */
bool weir_vocabulary_add(struct weir_vocabulary *vocabulary, int32_t id, const char *bytes, size_t n, bool found);

/* The token of these bytes, or WEIR_NO_TOKEN. */
int32_t weir_vocabulary_find(const struct weir_vocabulary *vocabulary, const char *bytes, size_t n);

#endif
