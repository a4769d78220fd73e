#include "models/tokens/nfc.h"
#include "models/tokens/tokenizer_model.h"

weir_status weir_tokenizer_marks(const char *text, size_t bytes, struct weir_byte_buffer *out)
{
    weir_status status = WEIR_OK;
    for (const char *end = text + bytes; text < end && !status;) {
        const char *space = memchr(text, ' ', (size_t)(end - text)), *stop = space ? space : end;
        status = weir_byte_append(out, text, (size_t)(stop - text));
        if (!status && space)
            status = weir_byte_append(out, WEIR_SPACE_MARK, strlen(WEIR_SPACE_MARK));
        text = stop + (space != NULL);
    }
    return status;
}

weir_status weir_tokenizer_normalize(const struct weir_normalizer *normalizer, const char *text, size_t bytes,
                                     struct weir_byte_buffer *out)
{
    struct weir_byte_buffer composed = {0};
    weir_status status = WEIR_OK;
    if (normalizer->nfc && weir_nfc_needed(text, bytes)) {
        status = weir_nfc_append(text, bytes, &composed);
        text = composed.bytes;
        bytes = composed.n;
    }
    if (!status && normalizer->prepend && bytes)
        status = weir_byte_append(out, WEIR_SPACE_MARK, strlen(WEIR_SPACE_MARK));
    if (!status)
        status = normalizer->marks ? weir_tokenizer_marks(text, bytes, out) : weir_byte_append(out, text, bytes);
    weir_free(composed.bytes);
    return status;
}
