/* Texts to tokens and back. */
#include "models/tokens/nfc.h"
#include "models/tokens/tokenizer_model.h"

/* ---- encode -------------------------------------------------------------------------------------------------------- */

/* A text on its way: `text` is what was normalized, `word` what is cut into words. */
struct encoding {
    const struct weir_tokenizer *t;
    struct weir_byte_buffer text, word;
    struct weir_merger merger;
    struct weir_token_list out;
};

static bool starts_with_mark(const char *text, size_t bytes)
{
    return bytes >= strlen(WEIR_SPACE_MARK) && !memcmp(text, WEIR_SPACE_MARK, strlen(WEIR_SPACE_MARK));
}

/* Bytes to the next cut, at least one. */
static size_t marks_bytes(const char *text, size_t bytes, bool every)
{
    size_t mark = strlen(WEIR_SPACE_MARK), at = 0;
    while (!every && starts_with_mark(text + at, bytes - at))
        at += mark;
    if (at == bytes)
        return at;
    const char *next = memmem(text + at + 1, bytes - at - 1, WEIR_SPACE_MARK, mark);
    return next ? (size_t)(next - text) : bytes;
}

static size_t cut_bytes(const struct weir_tokenizer *t, const char *text, size_t bytes)
{
    if (t->cut == WEIR_CUT_NOT)
        return bytes;
    return t->cut == WEIR_CUT_WORDS ? weir_word_bytes(t->words, text, bytes)
                                    : marks_bytes(text, bytes, t->cut == WEIR_CUT_MARKS);
}

/* What a pre-tokenizer puts before a part, or writes otherwise.  The part is in e->word then. */
static weir_status part_prepare(struct encoding *e, bool first, const char **text, size_t *bytes)
{
    const struct weir_tokenizer *t = e->t;
    bool prefix = t->prefix == WEIR_PREFIX_ALWAYS || (t->prefix == WEIR_PREFIX_FIRST && first);
    bool space = t->space_before && **text != ' ';
    weir_status status = WEIR_OK;
    if (!t->marks && !space)
        return WEIR_OK;
    e->word.n = 0;
    if (space)
        status = weir_byte_append(&e->word, " ", 1);
    else if (prefix && **text != ' ' && !starts_with_mark(*text, *bytes))
        status = weir_byte_append(&e->word, WEIR_SPACE_MARK, strlen(WEIR_SPACE_MARK));
    if (!status)
        status = t->marks ? weir_tokenizer_marks(*text, *bytes, &e->word) : weir_byte_append(&e->word, *text, *bytes);
    *text = e->word.bytes;
    *bytes = e->word.n;
    return status;
}

/* A part between added tokens, normalized. */
static weir_status part_encode(struct encoding *e, const char *text, size_t bytes, bool first)
{
    if (!bytes)
        return WEIR_OK;
    weir_status status = part_prepare(e, first, &text, &bytes);
    for (size_t n; bytes && !status; text += n, bytes -= n) {
        n = cut_bytes(e->t, text, bytes);
        status = weir_bpe_word_append(&e->t->bpe, text, n, &e->merger, &e->out);
    }
    return status;
}

typedef weir_status (*part_fn)(struct encoding *e, const char *text, size_t bytes, bool first);

/* Cut at added tokens; what is between them goes to `part`. */
static weir_status added_encode(struct encoding *e, const struct weir_added_tokens *added, part_fn part, const char *text,
                                size_t bytes, bool first)
{
    struct weir_added_match match;
    size_t at = 0;
    weir_status status = WEIR_OK;
    while (!status && weir_added_find(added, text, bytes, at, &match)) {
        status = part(e, text + at, match.start - at, first && !at);
        if (!status)
            status = weir_token_append(&e->out, match.id);
        at = match.end;
    }
    return status ? status : part(e, text + at, bytes - at, first && !at);
}

/* A part between added tokens, as written. */
static weir_status written_encode(struct encoding *e, const char *text, size_t bytes, bool first)
{
    const struct weir_normalizer *n = &e->t->normalizer;
    if (n->prepend || n->marks || (n->nfc && weir_nfc_needed(text, bytes))) {
        e->text.n = 0;
        weir_status status = weir_tokenizer_normalize(n, text, bytes, &e->text);
        if (status)
            return status;
        text = e->text.bytes;
        bytes = e->text.n;
    }
    return added_encode(e, &e->t->normalized, part_encode, text, bytes, first);
}

static weir_status around_append(struct encoding *e, int side, enum weir_tokens_of of)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < e->t->n_around[side] && of == WEIR_TOKENS_OF_TEXT && !status; i++)
        status = weir_token_append(&e->out, e->t->around[side][i]);
    return status;
}

weir_status weir_tokenizer_encode(const struct weir_tokenizer *tokenizer, const char *text, size_t bytes,
                                  enum weir_tokens_of of, struct weir_arena *arena, int32_t **tokens_out, int64_t *n_out)
{
    struct encoding e = {.t = tokenizer};
    weir_status status = around_append(&e, 0, of);
    if (!status)
        status = added_encode(&e, &tokenizer->written, written_encode, text, bytes, true);
    if (!status)
        status = around_append(&e, 1, of);
    if (!status)
        status = weir_token_list_copy(&e.out, arena, tokens_out, n_out);
    weir_merger_release(&e.merger);
    weir_free(e.text.bytes);
    weir_free(e.word.bytes);
    weir_free(e.out.tokens);
    return status;
}

/* ---- decode -------------------------------------------------------------------------------------------------------- */

weir_status weir_tokenizer_decode(const struct weir_tokenizer *tokenizer, const int32_t *tokens, int64_t n, bool skip_special,
                                  struct weir_arena *arena, char **text_out, size_t *bytes_out)
{
    size_t bytes = 0, size;
    char *text;
    for (int64_t i = 0; i < n; i++)
        bytes += weir_tokenizer_token(tokenizer, tokens[i], &size) ? size : 0;
    weir_status status = weir_arena_alloc(arena, bytes + 1, 1, &text);
    if (status)
        return status;
    bytes = 0;
    for (int64_t i = 0; i < n; i++) {
        const char *piece = weir_tokenizer_token(tokenizer, tokens[i], &size);
        if (!piece || (skip_special && tokenizer->special[tokens[i]]))
            continue;
        memcpy(text + bytes, piece, size);
        bytes += size;
    }
    text[bytes] = 0;
    for (size_t spaces = 0; spaces < tokenizer->strip && *text == ' '; spaces++, bytes--)
        text++;
    *text_out = text;
    *bytes_out = bytes;
    return WEIR_OK;
}
