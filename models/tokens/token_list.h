/* Tokens that grow in number; all zero bits is the empty list. */
#ifndef WEIR_MODELS_TOKENS_TOKEN_LIST_H
#define WEIR_MODELS_TOKENS_TOKEN_LIST_H

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"

struct weir_token_list {
    int32_t *tokens;
    size_t n, room;
};

static inline weir_status weir_token_append(struct weir_token_list *list, int32_t token)
{
    weir_status status = list->n < list->room ? WEIR_OK : weir_grow(&list->tokens, &list->room, list->n + 1, sizeof token);
    if (!status)
        list->tokens[list->n++] = token;
    return status;
}

/* A copy in the arena, of at least one entry's room. */
static inline weir_status weir_token_list_copy(const struct weir_token_list *list, struct weir_arena *arena,
                                               int32_t **tokens_out, int64_t *n_out)
{
    int32_t *copy;
    weir_status status = weir_arena_alloc(arena, list->n + 1, sizeof *copy, &copy);
    if (status)
        return status;
    if (list->n)
        memcpy(copy, list->tokens, list->n * sizeof *copy);
    *tokens_out = copy;
    *n_out = (int64_t)list->n;
    return WEIR_OK;
}

#endif
