#include "models/tokens/vocabulary.h"

#include <string.h>

#include "base/hash.h"

weir_status weir_vocabulary_init(struct weir_vocabulary *vocabulary, int32_t n_tokens, struct weir_arena *arena)
{
    size_t n = 1024;
    while (n < 2 * (size_t)n_tokens)
        n *= 2;
    *vocabulary = (struct weir_vocabulary){.n_tokens = n_tokens, .mask = (uint32_t)(n - 1)};
    weir_status status = weir_arena_alloc(arena, n, sizeof *vocabulary->buckets, &vocabulary->buckets);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_tokens, sizeof *vocabulary->tokens, &vocabulary->tokens);
    for (size_t i = 0; i < n && !status; i++)
        vocabulary->buckets[i] = WEIR_NO_TOKEN;
    return status;
}

static int32_t *bucket(const struct weir_vocabulary *vocabulary, const char *bytes, size_t n)
{
    return &vocabulary->buckets[weir_hash64(bytes, n, 1) & vocabulary->mask];
}

int32_t weir_vocabulary_find(const struct weir_vocabulary *vocabulary, const char *bytes, size_t n)
{
    const struct weir_token *tokens = vocabulary->tokens;
    int32_t t = *bucket(vocabulary, bytes, n);
    while (t != WEIR_NO_TOKEN && (tokens[t].n != n || memcmp(tokens[t].bytes, bytes, n)))
        t = tokens[t].same_hash;
    return t;
}

bool weir_vocabulary_add(struct weir_vocabulary *vocabulary, int32_t id, const char *bytes, size_t n, bool found)
{
    struct weir_token *token = &vocabulary->tokens[id];
    if (token->bytes || (found && weir_vocabulary_find(vocabulary, bytes, n) != WEIR_NO_TOKEN))
        return false;
    *token = (struct weir_token){bytes, (uint32_t)n, WEIR_NO_TOKEN};
    if (found) {
        int32_t *head = bucket(vocabulary, bytes, n);
        token->same_hash = *head;
        *head = id;
    }
    return true;
}
