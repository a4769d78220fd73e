/* Parts of a tokenizer.json: what is read, and what is refused by name. */
#include "models/tokens/tokenizer_parts.h"

#include "base/json.h"

const char *weir_part_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool weir_part_is(const json_t *part, const char *type)
{
    return !strcmp(weir_part_text(part, "type"), type);
}

/* A member that is true, false, or missing. */
static bool flag_of(const json_t *object, const char *key, bool missing)
{
    const json_t *value = json_object_get(object, key);
    return value ? json_is_true(value) : missing;
}

weir_status weir_part_refuse(const char *what, const json_t *part, const char *read)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    if (!type)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s has no type", what);
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s '%.64s' is not read (%s are): " WEIR_TOKENIZER_WAY_OUT, what, type, read);
}

/* A setting of a part that is read otherwise. */
static weir_status setting_refuse(const char *part, const char *key, const char *value)
{
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s with %s '%.400s' is not read: " WEIR_TOKENIZER_WAY_OUT, part, key, value);
}

bool weir_part_replaces(const json_t *part, const char *from, const char *to)
{
    return !strcmp(weir_part_text(json_object_get(part, "pattern"), "String"), from) &&
           !strcmp(weir_part_text(part, "content"), to);
}

typedef weir_status (*part_fn)(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena);

static weir_status sequence_read(struct weir_tokenizer *t, const json_t *parts, part_fn read, const char *where,
                                 struct weir_arena *arena)
{
    weir_status status = WEIR_OK;
    if (!json_is_array(parts))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: a Sequence without a list", where);
    for (size_t i = 0; i < json_array_size(parts) && !status; i++)
        status = weir_part_is(json_array_get(parts, i), "Sequence")
                     ? WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%s: a Sequence in a Sequence is not read", where)
                     : read(t, json_array_get(parts, i), arena);
    return status;
}

/* ---- normalizer ---------------------------------------------------------------------------------------------------- */

static weir_status normalizer_read(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena)
{
    struct weir_normalizer *n = &t->normalizer;
    if (weir_part_is(part, "Sequence"))
        return sequence_read(t, json_object_get(part, "normalizers"), normalizer_read, "normalizer", arena);
    if (weir_part_is(part, "NFC")) {
        n->nfc = true;
        return WEIR_OK;
    }
    if (weir_part_is(part, "Prepend")) {
        if (strcmp(weir_part_text(part, "prepend"), WEIR_SPACE_MARK) != 0 || n->prepend)
            return setting_refuse("normalizer 'Prepend'", "prepend", weir_part_text(part, "prepend"));
        n->prepend = true;
        return WEIR_OK;
    }
    if (weir_part_is(part, "Replace")) {
        if (!weir_part_replaces(part, " ", WEIR_SPACE_MARK))
            return setting_refuse("normalizer 'Replace'", "content", weir_part_text(part, "content"));
        n->marks = true;
        return WEIR_OK;
    }
    return weir_part_refuse("normalizer", part, "NFC, Prepend and Replace of spaces");
}

/* ---- pre-tokenizer ------------------------------------------------------------------------------------------------- */

static weir_status split_read(struct weir_tokenizer *t, const json_t *part)
{
    const char *expression = json_string_value(json_object_get(json_object_get(part, "pattern"), "Regex"));
    const char *behavior = weir_part_text(part, "behavior");
    bool invert = flag_of(part, "invert", false);
    if (!expression)
        return setting_refuse("pre-tokenizer 'Split'", "pattern", weir_part_text(json_object_get(part, "pattern"), "String"));
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
    if (strcmp(weir_part_text(part, "replacement"), WEIR_SPACE_MARK) != 0)
        return setting_refuse("pre-tokenizer 'Metaspace'", "replacement", weir_part_text(part, "replacement"));
    t->prefix = !strcmp(scheme, "always") ? WEIR_PREFIX_ALWAYS : !strcmp(scheme, "first") ? WEIR_PREFIX_FIRST : WEIR_PREFIX_NEVER;
    t->marks = true;
    t->cut = flag_of(part, "split", true) ? WEIR_CUT_MARKS : WEIR_CUT_NOT;
    return WEIR_OK;
}

static weir_status pre_tokenizer_read(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena)
{
    if (!t->bpe.characters || t->marks)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "pre-tokenizer '%.64s' after '%s' is not read: " WEIR_TOKENIZER_WAY_OUT,
                         weir_part_text(part, "type"), t->marks ? "Metaspace" : "ByteLevel");
    if (weir_part_is(part, "Sequence"))
        return sequence_read(t, json_object_get(part, "pretokenizers"), pre_tokenizer_read, "pre-tokenizer", arena);
    if (weir_part_is(part, "Split"))
        return split_read(t, part);
    if (weir_part_is(part, "ByteLevel"))
        return byte_level_read(t, part);
    if (weir_part_is(part, "Metaspace") && t->cut == WEIR_CUT_NOT)
        return metaspace_read(t, part);
    return weir_part_refuse("pre-tokenizer", part, "ByteLevel, Split before it and Metaspace");
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
            status = around_add(t, part, weir_part_text(special, "id"), n_texts > 0, arena);
        else
            n_texts++;
    }
    if (!status && n_texts != 1)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "post-processor: a template with %d texts, not one", n_texts);
    return status;
}

static weir_status post_processor_read(struct weir_tokenizer *t, const json_t *part, struct weir_arena *arena)
{
    if (weir_part_is(part, "Sequence"))
        return sequence_read(t, json_object_get(part, "processors"), post_processor_read, "post-processor", arena);
    if (weir_part_is(part, "ByteLevel")) /* moves offsets, not tokens */
        return WEIR_OK;
    if (weir_part_is(part, "TemplateProcessing"))
        return template_read(t, part, arena);
    return weir_part_refuse("post-processor", part, "ByteLevel and TemplateProcessing");
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
