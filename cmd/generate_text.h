/* weir generate: its options, and tokens as text. */
#ifndef WEIR_CMD_GENERATE_TEXT_H
#define WEIR_CMD_GENERATE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"
#include "cmd/codec.h"
#include "cmd/options.h"
#include "include/weir/graph.h"

struct generate_options {
    const char *model, *init_from, *tokenizer, *prompt, *prompt_tokens, *device, *config, *logits;
    const char *print_memory; /* "", "full"; NULL: not given */
    int64_t tokens, top_k, seed, samples, stages, threads, device_memory;
    double temperature;
    bool ignore_eos, json, quiet;
    struct options given;
};

/* How the model's tokens are written. */
struct generate_codec {
    struct codec text;
    bool numbers; /* as numbers alone: there is no tokenizer, and more tokens than bytes */
    int64_t vocabulary;
    const int32_t *stops; /* [n_stops]: tokens that end a text */
    int n_stops;
};

/* Choose: --tokenizer, tokens of the folder's tokenizer, bytes for a vocabulary of 256, else numbers only. */
weir_status generate_codec_open(struct generate_codec *codec, const struct generate_options *o, int64_t vocabulary,
                                struct weir_arena *arena);

/* Find the tokens that end a text: what the model's folder says, else the tokenizer's end; none with --ignore-eos. */
weir_status generate_stops_find(struct generate_codec *codec, const struct generate_options *o, struct weir_arena *arena);

bool generate_stops_at(const struct generate_codec *codec, int32_t token);

/* The prompt's tokens: of --prompt, or the numbers of --prompt-tokens. */
weir_status codec_prompt(const struct generate_codec *codec, const struct generate_options *o, struct weir_arena *arena,
                         int32_t **tokens_out, int64_t *n_out);

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
