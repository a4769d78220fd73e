/* Which tokens stand for a text: those of --tokenizer, else of the model's folder, else bytes. */
#ifndef WEIR_CMD_CODEC_H
#define WEIR_CMD_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "include/weir/data.h"
#include "include/weir/graph.h"
#include "include/weir/tokens.h"

/* What options say about it. */
struct codec_choice {
    const char *tokenizer; /* --tokenizer: "bytes", a folder or a file; NULL: not given */
    const char *init_from, *model; /* whose folders may have a tokenizer, in this order; NULL: not given */
};

struct codec {
    const struct weir_tokenizer *tokenizer; /* NULL: tokens are bytes */
    const char *name; /* of folder or file, as messages and --json name it; NULL: there is no tokenizer */
    bool chosen;      /* --tokenizer bytes: no tokenizer is wanted */
};

/* Find and read it.  WEIR_ERR_IO: --tokenizer names nothing that is there.  WEIR_ERR_INVALID: a tokenizer that cannot be used,
 * or that has ids of which the model's `vocabulary` has none; the message has both numbers. */
weir_status codec_open(struct codec *codec, const struct codec_choice *choice, int64_t vocabulary, struct weir_arena *arena);

/* The folder of the model that options name, which has what its files say beside the weights; NULL: a built-in one. */
weir_status codec_model_folder(const struct codec_choice *choice, struct weir_arena *arena, const char **folder_out);

/* Tokens of a text with those that the tokenizer puts around it, in the arena. */
weir_status codec_encode(const struct codec *codec, const char *text, size_t bytes, struct weir_arena *arena,
                         int32_t **tokens_out, int64_t *n_out);

/* One more than the largest id. */
int64_t codec_vocabulary(const struct codec *codec);

/* The token that ends a text, or -1. */
int32_t codec_end(const struct codec *codec);

/* For a data source: opened when the first text is met. */
struct codec_encoder {
    struct weir_data_encoder encoder;
    struct codec codec;
    struct codec_choice choice;
    int64_t vocabulary;
    struct weir_arena *arena;
    bool begun; /* a text was met */
};

/* Set the encoder up; `to` and the arena outlive the sources. */
void codec_encoder_init(struct codec_encoder *to, const struct codec_choice *choice, int64_t vocabulary, struct weir_arena *arena);

#endif
