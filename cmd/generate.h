/* weir generate: its options, and tokens as text. */
#ifndef WEIR_CMD_GENERATE_H
#define WEIR_CMD_GENERATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"
#include "cmd/options.h"
#include "models/tokens/bpe.h"
#include "models/model.h"

struct generate_options {
    const char *model, *init_from, *prompt, *prompt_tokens, *device, *config, *logits;
    int64_t tokens, top_k, seed, samples, stages, threads, device_memory;
    double temperature;
    bool print_memory, json, quiet;
    struct options given;
};

/* How the model's tokens are written. */
struct generate_codec {
    const struct weir_bpe *bpe; /* of the folder's vocab.json and merges.txt, or NULL */
    bool bytes;                 /* a token is a byte */
    int64_t vocabulary;
};

/* Choose: tokens of the folder's files, bytes for a vocabulary of 256, else numbers only. */
weir_status codec_open(struct generate_codec *codec, const char *folder, int64_t vocabulary, struct weir_arena *arena);

/* The prompt's tokens: of --prompt, or the numbers of --prompt-tokens. */
weir_status codec_prompt(const struct generate_codec *codec, const struct generate_options *o, struct weir_arena *arena,
                         int32_t **tokens_out, int64_t *n_out);

/* The token that ends a text, or -1. */
int32_t codec_end(const struct generate_codec *codec);

/* Text that grows by tokens.  What is no UTF-8 becomes U+FFFD; the first bytes of a character wait for its others. */
struct token_text {
    const struct generate_codec *codec;
    char pending[4];
    size_t n_pending;
    bool numbers; /* write tokens as "1,2,3" */
    int64_t n_tokens;
};

void token_text_add(struct token_text *t, int32_t token, struct weir_text *out);
void token_text_end(struct token_text *t, struct weir_text *out); /* what still waits is cut off */

#endif
