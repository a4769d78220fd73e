/* tokenizer.json, a zero byte, and a text.  What is accepted must encode the text or name a character without a token, have no
 * token that its vocabulary lacks, and give the text back where its kind promises so. */
#include <stdlib.h>
#include <string.h>

#include "models/tokens/tokenizer_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing of a text is changed or left out on the way. */
static bool gives_text_back(const struct weir_tokenizer *t)
{
    const struct weir_normalizer *n = &t->normalizer;
    return !t->bpe.characters && !n->nfc && !n->prepend && !n->marks && !t->space_before && !t->written.n && !t->normalized.n &&
           t->bpe.unknown == WEIR_NO_TOKEN;
}

static void text_try(const struct weir_tokenizer *t, const char *text, size_t bytes, struct weir_arena *arena)
{
    int32_t *tokens;
    int64_t n;
    char *back;
    size_t n_back, piece;
    if (weir_tokenizer_encode(t, text, bytes, WEIR_TOKENS_OF_PART, arena, &tokens, &n))
        return;
    for (int64_t i = 0; i < n; i++)
        if (!weir_tokenizer_token(t, tokens[i], &piece))
            abort();
    if (weir_tokenizer_decode(t, tokens, n, false, arena, &back, &n_back))
        return;
    if (gives_text_back(t) && (n_back != bytes || memcmp(back, text, bytes) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena arena = {0};
    const struct weir_tokenizer *t;
    const char *json = (const char *)data, *end = memchr(json, 0, size);
    size_t bytes = end ? (size_t)(end - json) : size, used = end ? bytes + 1 : size;
    if (!weir_tokenizer_parse(json, bytes, "input", &arena, &t)) {
        text_try(t, json + used, size - used, &arena);
        text_try(t, json, bytes, &arena);
    }
    weir_arena_release(&arena);
    return 0;
}
