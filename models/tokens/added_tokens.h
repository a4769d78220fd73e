/* Added tokens: found in the text itself, before words are cut, such as <|endoftext|>.
 *
 *     "a<|end|>b"  →  "a", the token <|end|>, "b"
 *
 * At every place the longest is taken.  With `lstrip` and `rstrip` the white space beside it belongs to it. */
#ifndef WEIR_MODELS_TOKENS_ADDED_TOKENS_H
#define WEIR_MODELS_TOKENS_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_added_token {
    const char *text;
    size_t n; /* bytes, at least 1 */
    int32_t id;
    bool lstrip, rstrip;
};

struct weir_added_tokens {
    struct weir_added_token *tokens; /* by text, as weir_added_sort leaves them */
    size_t n;
    size_t starts[257]; /* those that start with byte b are starts[b] to starts[b + 1] - 1 */
};

struct weir_added_match {
    size_t start, end; /* of the text, white space that belongs to it included */
    int32_t id;
};

/* To be called once all tokens are there. */
void weir_added_sort(struct weir_added_tokens *added);

/* The first in text[from..bytes); false: there is none. */
bool weir_added_find(const struct weir_added_tokens *added, const char *text, size_t bytes, size_t from,
                     struct weir_added_match *match_out);

#endif
