/* Tokens that an encoder makes of texts: one sequence of all of them, in memory. */
#ifndef WEIR_ENGINE_DATA_TEXT_TOKENS_H
#define WEIR_ENGINE_DATA_TEXT_TOKENS_H

#include <stdbool.h>

#include "include/weir/data.h"

struct weir_text_tokens {
    struct weir_data_encoder *encoder; /* borrowed */
    unsigned char *bytes;              /* 4 each, little-endian */
    size_t n, room;                    /* tokens, bytes there is room for */
    int64_t n_documents;
    bool ended; /* the last text has the end token of its own accord */
};

/* The encoder as it will be used: `encode` is NULL where tokens are bytes.  `vocabulary`: of the model, which must have room for
 * the encoder's ids. */
weir_status weir_text_tokens_begin(struct weir_text_tokens *tokens, int64_t vocabulary);

/* The texts of a file, a format of text, behind those that are there. */
weir_status weir_text_tokens_add(struct weir_text_tokens *tokens, const char *path, enum weir_data_format format);

#endif
