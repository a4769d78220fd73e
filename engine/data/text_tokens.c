#include "engine/data/text_tokens.h"

#include "base/alloc.h"
#include "include/weir/data.h"

enum { WIDTH = 4 };

weir_status weir_text_tokens_begin(struct weir_text_tokens *tokens, int64_t vocabulary)
{
    struct weir_data_encoder *encoder = tokens->encoder;
    weir_status status = encoder->begin ? encoder->begin(encoder) : WEIR_OK;
    if (status)
        return status;
    encoder->begin = NULL;
    if (encoder->encode && encoder->vocabulary > vocabulary)
        return WEIR_FAIL(WEIR_ERR_INVALID, "tokenizer '%s' has ids up to %lld, the model's end at %lld: name the model's own tokenizer ("
                         WEIR_OPTION("tokenizer=DIR") ")", encoder->name, (long long)encoder->vocabulary - 1,
                         (long long)vocabulary - 1);
    return WEIR_OK;
}

static void token_put(struct weir_text_tokens *tokens, int32_t token)
{
    unsigned char *to = tokens->bytes + tokens->n++ * WIDTH;
    for (int i = 0; i < WIDTH; i++)
        to[i] = (unsigned char)((uint32_t)token >> 8 * i);
}

static weir_status document_add(void *context, const char *text, size_t bytes)
{
    struct weir_text_tokens *tokens = context;
    const struct weir_data_encoder *encoder = tokens->encoder;
    struct weir_arena arena = {0};
    int32_t *made = NULL;
    int64_t n = 0;
    weir_status status = encoder->encode(encoder->context, text, bytes, &arena, &made, &n);
    if (!status)
        status = weir_grow(&tokens->bytes, &tokens->room, (tokens->n + (size_t)n + 1) * WIDTH, 1);
    if (!status && tokens->n_documents++ && encoder->end >= 0 && !tokens->ended)
        token_put(tokens, encoder->end);
    for (int64_t i = 0; i < n && !status; i++)
        token_put(tokens, made[i]);
    if (!status)
        tokens->ended = n && made[n - 1] == encoder->end;
    weir_arena_release(&arena);
    return status;
}

weir_status weir_text_tokens_add(struct weir_text_tokens *tokens, const char *path, enum weir_data_format format)
{
    return weir_documents_read(path, format, "text", document_add, tokens);
}
