/* What turns the texts of a data source into tokens: a tokenizer, of which a source knows this table only.
 *
 *     static weir_status encode(void *context, const char *text, size_t bytes, struct weir_arena *arena,
 *                               int32_t **tokens_out, int64_t *n_out)
 *     {
 *         return weir_tokenizer_encode(context, text, bytes, arena, tokens_out, n_out);
 *     }
 *     struct weir_data_encoder encoder = {.context = tokenizer, .encode = encode, .name = "gpt2/", .vocabulary = 50257, .end = 50256};
 *     weir_data_open_texts(paths, n_paths, WEIR_DATA_FORMAT_AUTO, 1024, 50257, &encoder, seed, &data);
 *
 * Whether a file is a text is known when it is open.  `begin` is called before the first text is encoded and fills the rest,
 * so that a tokenizer that nobody needs is never read. */
#ifndef WEIR_ENGINE_DATA_DATA_ENCODER_H
#define WEIR_ENGINE_DATA_DATA_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

struct weir_data_encoder {
    void *context;
    weir_status (*begin)(struct weir_data_encoder *encoder); /* (optional) called once; NULL from then on */
    /* The tokens of a text, in the arena; NULL: tokens are the bytes of the text. */
    weir_status (*encode)(void *context, const char *text, size_t bytes, struct weir_arena *arena, int32_t **tokens_out,
                          int64_t *n_out);
    const char *name;   /* for messages; lives as long as the sources */
    int64_t vocabulary; /* one more than the largest id */
    int32_t end;        /* the token between two documents, unless the first one's last token is it; -1: there is none */
};

#endif
