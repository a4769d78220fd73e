/* The parts of struct weir_tokenizer, for the readers of its files.
 *
 *     text ─▶ added tokens ─▶ normalizer ─▶ added tokens ─▶ words ─▶ merges ─▶ tokens
 *             (as written)                  (normalized)                                */
#ifndef WEIR_MODELS_TOKENS_TOKENIZER_MODEL_H
#define WEIR_MODELS_TOKENS_TOKENIZER_MODEL_H

#include <jansson.h>

#include "models/tokens/added_tokens.h"
#include "models/tokens/bpe.h"
#include "models/tokens/byte_buffer.h"
#include "include/weir/tokens.h"
#include "models/tokens/words.h"

#define WEIR_SPACE_MARK "\xe2\x96\x81" /* ▁, U+2581 */

/* Where text is cut. */
enum weir_cut {
    WEIR_CUT_NOT,    /* a text is one word */
    WEIR_CUT_WORDS,  /* by `words` */
    WEIR_CUT_MARKS,  /* before every ▁ */
    WEIR_CUT_SPACES, /* before a ▁ that follows another character: no merge reaches over it, so that nothing changes */
};

enum weir_prefix { WEIR_PREFIX_NEVER, WEIR_PREFIX_FIRST, WEIR_PREFIX_ALWAYS };

struct weir_normalizer {
    bool nfc, prepend, marks; /* form C; a ▁ before a text; spaces are ▁ */
};

struct weir_tokenizer {
    const char *name;
    struct weir_bpe bpe;
    struct weir_added_tokens written, normalized;
    struct weir_normalizer normalizer;
    enum weir_cut cut;
    enum weir_words words;
    bool space_before;       /* a word's text starts with a space, one is put there */
    bool marks;              /* spaces become ▁ when words are cut */
    enum weir_prefix prefix; /* a ▁ before the first part of a text, or before all parts between added tokens */
    int32_t *around[2];      /* tokens before and after a text */
    size_t n_around[2];
    struct weir_token *pieces; /* what a token is within a text, by id */
    size_t strip;              /* spaces at the start of a text that decoding takes away, at most */
    bool *special;             /* by id */
    int32_t begin, end;
};

/* Read the parts of a tokenizer.json beside its model.  WEIR_ERR_UNSUPPORTED names what is not read. */
weir_status weir_tokenizer_parts_read(struct weir_tokenizer *t, json_t *root, struct weir_arena *arena);

/* The decoder, once the model is there. */
weir_status weir_tokenizer_decoder_read(struct weir_tokenizer *t, const json_t *decoder, struct weir_arena *arena);

/* All of a tokenizer.json. */
weir_status weir_tokenizer_json_read(struct weir_tokenizer *t, json_t *root, struct weir_arena *arena);

/* Added tokens, [{"id": 5, "content": "<s>", ...}, ...], once the vocabulary is there. */
weir_status weir_tokenizer_added_read(struct weir_tokenizer *t, json_t *added, struct weir_arena *arena);

/* vocab.json, merges.txt and what stands beside them in a folder. */
weir_status weir_tokenizer_folder_read(struct weir_tokenizer *t, const char *folder, struct weir_arena *arena);

/* begin and end by the names that the folder's files give them. */
weir_status weir_tokenizer_names_read(struct weir_tokenizer *t, const char *folder, struct weir_arena *arena);

/* The token that is written so, or WEIR_NO_TOKEN. */
int32_t weir_tokenizer_written(const struct weir_tokenizer *t, const char *text);

/* Append the text with ▁ for spaces. */
weir_status weir_tokenizer_marks(const char *text, size_t bytes, struct weir_byte_buffer *out);

/* Append the normalized text. */
weir_status weir_tokenizer_normalize(const struct weir_normalizer *normalizer, const char *text, size_t bytes,
                                     struct weir_byte_buffer *out);

/* "X is not read": what to do. */
#define WEIR_TOKENIZER_WAY_OUT "encode texts with the package that made it, and give Weir the tokens"

#endif
