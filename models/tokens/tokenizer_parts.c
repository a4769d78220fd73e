/* Parts of a tokenizer.json: what is read, and what is refused by name. */
#include "models/tokens/tokenizer_model.h"

#include "base/json.h"

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is_type(const json_t *part, const char *type)
{
    return !strcmp(string_of(part, "type"), type);
}

/* A member that is true, false, or missing. */
static bool flag_of(const json_t *object, const char *key, bool missing)
{
    const json_t *value = json_object_get(object, key);
    return value ? json_is_true(value) : missing;
}

static weir_status part_refuse(const char *part, const json_t *json, const char *read)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s has no type", part);
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s '%.64s' is not read (%s are): " WEIR_TOKENIZER_WAY_OUT, part, type, read);
}

/* A setting of a part that is read otherwise. */
static weir_status setting_refuse(const char *part, const char *key, const char *value)
{
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s with %s '%.400s' is not read: " WEIR_TOKENIZER_WAY_OUT, part, key, value);
}

/* {"pattern": {"String": from}, "content": to} */
static bool replaces(const json_t *part, const char *from, const char *to)
{
    return !strcmp(string_of(json_object_get(part, "pattern"), "String"), from) && !strcmp(string_of(part, "content"), to);
}

typedef weir_status (*part_fn)(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena);

static weir_status sequence_read(struct weir_tokenizer *t, const json_t *parts, part_fn read, const char *where,
                                 struct weir_arena *arena)
{
    weir_status status = WEIR_OK;
    if (!json_is_array(parts))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: a Sequence without a list", where);
    for (size_t i = 0; i < json_array_size(parts) && !status; i++)
        status = is_type(json_array_get(parts, i), "Sequence")
                     ? WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s: a Sequence in a Sequence is not read", where)
                     : read(t, json_array_get(parts, i), arena);
    return status;
}

/* ---- normalizer ---------------------------------------------------------------------------------------------------- */

static weir_status normalizer_read(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena)
{
    struct weir_normalizer *n = &t->normalizer;
    if (is_type(part, "Sequence"))
        return sequence_read(t, json_object_get(part, "normalizers"), normalizer_read, "normalizer", arena);
    if (is_type(part, "NFC")) {
        n->nfc = true;
        return WEIR_OK;
    }
    if (is_type(part, "Prepend")) {
        if (strcmp(string_of(part, "prepend"), WEIR_SPACE_MARK) != 0 || n->prepend)
            return setting_refuse("normalizer 'Prepend'", "prepend", string_of(part, "prepend"));
        n->prepend = true;
        return WEIR_OK;
    }
    if (is_type(part, "Replace")) {
        if (!replaces(part, " ", WEIR_SPACE_MARK))
            return setting_refuse("normalizer 'Replace'", "content", string_of(part, "content"));
        n->marks = true;
        return WEIR_OK;
    }
    return part_refuse("normalizer", part, "NFC, Prepend and Replace of spaces");
}

/* ---- pre-tokenizer ------------------------------------------------------------------------------------------------- */

static weir_status split_read(struct weir_tokenizer *t, const json_t *part)
{
    const char *expression = json_string_value(json_object_get(json_object_get(part, "pattern"), "Regex"));
    const char *behavior = string_of(part, "behavior");
    bool invert = flag_of(part, "invert", false);
    if (!expression)
        return setting_refuse("pre-tokenizer 'Split'", "pattern", string_of(json_object_get(part, "pattern"), "String"));
    if (t->cut == WEIR_CUT_WORDS || !weir_words_of(expression, &t->words))
        return setting_refuse("pre-tokenizer 'Split'", "the pattern", expression);
    if (strcmp(behavior, "Isolated") != 0 && (strcmp(behavior, "Removed") != 0 || !invert))
        return setting_refuse("pre-tokenizer 'Split'", "behavior", behavior);
    t->cut = WEIR_CUT_WORDS;
    return WEIR_OK;
}

static weir_status byte_level_read(struct weir_tokenizer *t, const json_t *part)
{
    bool expression = flag_of(part, "use_regex", true);
    t->space_before = flag_of(part, "add_prefix_space", true);
    t->bpe.characters = false;
    if (t->cut == WEIR_CUT_WORDS && (expression || t->space_before))
        return setting_refuse("pre-tokenizer 'ByteLevel' after a Split", expression ? "use_regex" : "add_prefix_space", "true");
    if (expression) {
        t->cut = WEIR_CUT_WORDS;
        t->words = WEIR_WORDS_GPT2;
    }
    return WEIR_OK;
}

static weir_status metaspace_read(struct weir_tokenizer *t, const json_t *part)
{
    const char *scheme = json_string_value(json_object_get(part, "prepend_scheme"));
    if (!scheme)
        scheme = flag_of(part, "add_prefix_space", true) ? "always" : "never";
    if (strcmp(string_of(part, "replacement"), WEIR_SPACE_MARK) != 0)
        return setting_refuse("pre-tokenizer 'Metaspace'", "replacement", string_of(part, "replacement"));
    t->prefix = !strcmp(scheme, "always") ? WEIR_PREFIX_ALWAYS : !strcmp(scheme, "first") ? WEIR_PREFIX_FIRST : WEIR_PREFIX_NEVER;
    t->marks = true;
    t->cut = flag_of(part, "split", true) ? WEIR_CUT_MARKS : WEIR_CUT_NOT;
    return WEIR_OK;
}

static weir_status pre_tokenizer_read(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena)
{
    if (!t->bpe.characters || t->marks)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "pre-tokenizer '%.64s' after '%s' is not read: " WEIR_TOKENIZER_WAY_OUT,
                         string_of(part, "type"), t->marks ? "Metaspace" : "ByteLevel");
    if (is_type(part, "Sequence"))
        return sequence_read(t, json_object_get(part, "pretokenizers"), pre_tokenizer_read, "pre-tokenizer", arena);
    if (is_type(part, "Split"))
        return split_read(t, part);
    if (is_type(part, "ByteLevel"))
        return byte_level_read(t, part);
    if (is_type(part, "Metaspace") && t->cut == WEIR_CUT_NOT)
        return metaspace_read(t, part);
    return part_refuse("pre-tokenizer", part, "ByteLevel, Split before it and Metaspace");
}

/* ---- post-processor ------------------------------------------------------------------------------------------------ */

static weir_status around_add(struct weir_tokenizer *t, const json_t *part, const char *name, int side, struct weir_arena *arena)
{
    const json_t *ids = json_object_get(json_object_get(json_object_get(part, "special_tokens"), name), "ids");
    size_t n = json_array_size(ids), room = t->n_around[side];
    weir_status status = weir_arena_grow(arena, &t->around[side], &room, t->n_around[side] + n, sizeof **t->around);
    if (!n)
        return WEIR_FAIL(WEIR_ERR_INVALID, "post-processor: special token '%.64s' has no ids", name);
    for (size_t i = 0; i < n && !status; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= WEIR_MOST_TOKENS)
            return WEIR_FAIL(WEIR_ERR_INVALID, "post-processor: special token '%.64s' has an id that is none", name);
        t->around[side][t->n_around[side]++] = (int32_t)json_integer_value(id);
    }
    return status;
}

/* "single": special tokens, the text (Sequence A), special tokens. */
static weir_status template_read(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena)
{
    const json_t *single = json_object_get(part, "single");
    int n_texts = 0;
    weir_status status = WEIR_OK;
    if (t->n_around[0] || t->n_around[1])
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "two post-processors 'TemplateProcessing' are not read");
    for (size_t i = 0; i < json_array_size(single) && !status; i++) {
        const json_t *piece = json_array_get(single, i), *special = json_object_get(piece, "SpecialToken");
        if (special)
            status = around_add(t, part, string_of(special, "id"), n_texts > 0, arena);
        else
            n_texts++;
    }
    if (!status && n_texts != 1)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "post-processor: a template with %d texts, not one", n_texts);
    return status;
}

static weir_status post_processor_read(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena)
{
    if (is_type(part, "Sequence"))
        return sequence_read(t, json_object_get(part, "processors"), post_processor_read, "post-processor", arena);
    if (is_type(part, "ByteLevel")) /* moves offsets, not tokens */
        return WEIR_OK;
    if (is_type(part, "TemplateProcessing"))
        return template_read(t, part, arena);
    return part_refuse("post-processor", part, "ByteLevel and TemplateProcessing");
}

weir_status weir_tokenizer_parts_read(struct weir_tokenizer *t, json_t *root, struct weir_arena *arena)
{
    static const struct {
        const char *key;
        part_fn read;
    } parts[] = {{"normalizer", normalizer_read}, {"pre_tokenizer", pre_tokenizer_read}, {"post_processor", post_processor_read}};
    weir_status status = WEIR_OK;
    t->bpe.characters = true;
    t->cut = WEIR_CUT_NOT;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !status; i++) {
        const json_t *part = json_object_get(root, parts[i].key);
        if (part && !json_is_null(part))
            status = parts[i].read(t, part, arena);
    }
    if (!status && t->bpe.characters && t->cut == WEIR_CUT_WORDS)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "pre-tokenizer 'Split' without 'ByteLevel' is not read: " WEIR_TOKENIZER_WAY_OUT);
    return status;
}

/* ---- decoder ------------------------------------------------------------------------------------------------------- */

struct decoding {
    bool marks, bytes, fused;
    size_t strip;
};

static weir_status decoder_step(const json_t *part, struct decoding *d)
{
    if (is_type(part, "Replace") && replaces(part, WEIR_SPACE_MARK, " ") && !d->bytes && !d->fused)
        d->marks = true;
    else if (is_type(part, "ByteFallback") && !d->fused)
        d->bytes = true;
    else if (is_type(part, "Fuse"))
        d->fused = true;
    else if (is_type(part, "Strip") && d->fused && !d->strip && !strcmp(string_of(part, "content"), " ") &&
             json_integer_value(json_object_get(part, "start")) >= 0 && !json_integer_value(json_object_get(part, "stop")))
        d->strip = (size_t)json_integer_value(json_object_get(part, "start"));
    else
        return part_refuse("decoder", part, "after this pre-tokenizer Replace of \xe2\x96\x81, ByteFallback, Fuse and Strip of spaces, in this order");
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
    bool sequence = is_type(decoder, "Sequence");
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
        else if (!is_type(step, "ByteLevel"))
            status = part_refuse("decoder", step, "ByteLevel after pre-tokenizer ByteLevel");
    }
    t->strip = d.strip;
    return status ? status : pieces_make(t, &d, arena);
}
