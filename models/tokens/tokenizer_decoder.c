/* The decoder of a tokenizer.json: what every token is within a text. */
#include "models/tokens/tokenizer_parts.h"

struct decoding {
    bool marks, bytes, fused;
    size_t strip;
};

static weir_status decoder_step(const json_t *part, struct decoding *d)
{
    if (weir_part_is(part, "Replace") && weir_part_replaces(part, WEIR_SPACE_MARK, " ") && !d->bytes && !d->fused)
        d->marks = true;
    else if (weir_part_is(part, "ByteFallback") && !d->fused)
        d->bytes = true;
    else if (weir_part_is(part, "Fuse"))
        d->fused = true;
    else if (weir_part_is(part, "Strip") && d->fused && !d->strip && !strcmp(weir_part_text(part, "content"), " ") &&
             json_integer_value(json_object_get(part, "start")) >= 0 && !json_integer_value(json_object_get(part, "stop")))
        d->strip = (size_t)json_integer_value(json_object_get(part, "start"));
    else
        return weir_part_refuse("decoder", part,
                                "after this pre-tokenizer Replace of " WEIR_SPACE_MARK ", ByteFallback, Fuse and Strip, in this order");
    return WEIR_OK;
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* <0xE2> */
static bool is_byte(const struct weir_token *token, char *byte_out)
{
    const char *text = token->bytes;
    if (token->n != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>' || hex_of(text[3]) < 0 || hex_of(text[4]) < 0)
        return false;
    *byte_out = (char)(hex_of(text[3]) << 4 | hex_of(text[4]));
    return true;
}

/* ▁ as spaces; the same pointer where there is none. */
static weir_status spaces_put(struct weir_token *piece, struct weir_arena *arena)
{
    size_t mark = strlen(WEIR_SPACE_MARK), n = 0;
    char *text;
    if (!memmem(piece->bytes, piece->n, WEIR_SPACE_MARK, mark))
        return WEIR_OK;
    weir_status status = weir_arena_alloc(arena, piece->n, 1, &text);
    for (size_t at = 0; at < piece->n && !status; n++) {
        bool space = piece->n - at >= mark && !memcmp(piece->bytes + at, WEIR_SPACE_MARK, mark);
        text[n] = space ? ' ' : piece->bytes[at];
        at += space ? mark : 1;
    }
    if (!status)
        *piece = (struct weir_token){text, (uint32_t)n, WEIR_NO_TOKEN};
    return status;
}

static weir_status piece_decode(struct weir_token *piece, const struct decoding *d, struct weir_arena *arena)
{
    char byte, *text;
    weir_status status = d->marks ? spaces_put(piece, arena) : WEIR_OK;
    if (status || !d->bytes || !is_byte(piece, &byte))
        return status;
    status = weir_arena_alloc(arena, 1, 1, &text);
    if (status)
        return status;
    *text = byte;
    *piece = (struct weir_token){text, 1, WEIR_NO_TOKEN};
    return WEIR_OK;
}

/* An added token is the text in which it is found: as text, not as the bytes that its letters may stand for. */
static void added_put(struct weir_token *pieces, const struct weir_added_tokens *added)
{
    for (size_t i = 0; i < added->n; i++)
        pieces[added->tokens[i].id] = (struct weir_token){added->tokens[i].text, (uint32_t)added->tokens[i].n, WEIR_NO_TOKEN};
}

static weir_status pieces_make(struct weir_tokenizer *t, const struct decoding *d, struct weir_arena *arena)
{
    size_t n = (size_t)t->bpe.vocabulary.n_tokens;
    weir_status status = weir_arena_alloc(arena, n, sizeof *t->pieces, &t->pieces);
    if (status)
        return status;
    memcpy(t->pieces, t->bpe.vocabulary.tokens, n * sizeof *t->pieces);
    added_put(t->pieces, &t->written);
    added_put(t->pieces, &t->normalized);
    for (size_t i = 0; i < n && !status; i++)
        if (t->pieces[i].bytes)
            status = piece_decode(&t->pieces[i], d, arena);
    return status;
}

weir_status weir_tokenizer_decoder_read(struct weir_tokenizer *t, const json_t *decoder, struct weir_arena *arena)
{
    bool sequence = weir_part_is(decoder, "Sequence");
    const json_t *steps = json_object_get(decoder, "decoders");
    size_t n = sequence ? json_array_size(steps) : 1;
    struct decoding d = {0};
    weir_status status = WEIR_OK;
    if (!n || !decoder || json_is_null(decoder))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "it has no decoder: " WEIR_TOKENIZER_WAY_OUT);
    for (size_t i = 0; i < n && !status; i++) {
        const json_t *step = sequence ? json_array_get(steps, i) : decoder;
        if (t->bpe.characters)
            status = decoder_step(step, &d);
        else if (!weir_part_is(step, "ByteLevel"))
            status = weir_part_refuse("decoder", step, "ByteLevel after pre-tokenizer ByteLevel");
    }
    t->strip = d.strip;
    return status ? status : pieces_make(t, &d, arena);
}
