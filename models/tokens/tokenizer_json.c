/* tokenizer.json: its model, its added tokens, and the whole. */
#include "models/tokens/tokenizer_model.h"

#include "base/json.h"

static weir_status flag_read(const json_t *object, const char *where, const char *key, bool *value_out)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_boolean(value) && !json_is_null(value))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is neither true nor false", where, key);
    *value_out = json_is_true(value);
    return WEIR_OK;
}

/* ---- model --------------------------------------------------------------------------------------------------------- */

/* The type, which the first files had not; and settings that other models have. */
static weir_status model_check(const json_t *model)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const char *type = json_string_value(json_object_get(model, "type"));
    const json_t *dropout = json_object_get(model, "dropout");
    if (!json_is_object(model))
        return WEIR_FAIL(WEIR_ERR_INVALID, "it has no model");
    if (type ? strcmp(type, "BPE") != 0 : !json_object_get(model, "merges"))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "model '%.64s' is not read (BPE is): " WEIR_TOKENIZER_WAY_OUT, type ? type : "");
    if (json_number_value(dropout) != 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "model with dropout %g is not read: it would draw other tokens every time",
                         json_number_value(dropout));
    for (int i = 0; i < 2; i++) {
        const char *affix = json_string_value(json_object_get(model, affixes[i]));
        if (affix && *affix)
            return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "model with %s '%.64s' is not read: " WEIR_TOKENIZER_WAY_OUT, affixes[i],
                             affix);
    }
    return WEIR_OK;
}

/* "left right" or ["left", "right"] */
static weir_status merge_read(struct weir_bpe *bpe, const json_t *merge, size_t index, struct weir_arena *arena)
{
    static const char where[] = "model.vocab";
    const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    const char *text = json_string_value(merge);
    weir_status status;
    if (text && index == 0 && !strncmp(text, "#version", 8))
        return WEIR_OK;
    if (text)
        status = weir_bpe_merge_add_text(bpe, text, strlen(text), where, arena);
    else if (json_array_size(merge) == 2 && json_is_string(left) && json_is_string(right))
        status = weir_bpe_merge_add(bpe, json_string_value(left), json_string_length(left), json_string_value(right),
                                    json_string_length(right), where, arena);
    else
        status = WEIR_FAIL(WEIR_ERR_INVALID, "neither text nor a pair of texts");
    return status ? weir_error_prefix(status, "merge %zu: ", index + 1) : WEIR_OK;
}

static weir_status merges_read(struct weir_bpe *bpe, const json_t *merges, struct weir_arena *arena)
{
    size_t n = json_array_size(merges);
    if (!json_is_array(merges) || n > WEIR_MOST_TOKENS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "model.merges is no list of at most %d merges", WEIR_MOST_TOKENS);
    weir_status status = weir_merges_init(&bpe->merges, n + 1, arena);
    for (size_t i = 0; i < n && !status; i++)
        status = merge_read(bpe, json_array_get(merges, i), i, arena);
    return status;
}

static weir_status fallback_read(struct weir_bpe *bpe, const json_t *model)
{
    bool fallback = false;
    weir_status status = flag_read(model, "model", "byte_fallback", &fallback);
    for (int byte = 0; byte < WEIR_BYTES && fallback && !status; byte++) {
        char text[8];
        size_t n = (size_t)snprintf(text, sizeof text, "<0x%02X>", byte);
        bpe->fallback[byte] = weir_vocabulary_find(&bpe->vocabulary, text, n);
        if (bpe->fallback[byte] == WEIR_NO_TOKEN)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "model.vocab has no token '%s', which byte_fallback needs", text);
    }
    return status;
}

static weir_status model_read(struct weir_tokenizer *t, const json_t *model, const json_t *added, struct weir_arena *arena)
{
    struct weir_bpe *bpe = &t->bpe;
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    weir_status status = model_check(model);
    if (!status)
        status = weir_bpe_vocabulary_read(bpe, json_object_get(model, "vocab"), added, "model.vocab", arena);
    if (!status)
        status = fallback_read(bpe, model);
    if (!status)
        status = flag_read(model, "model", "ignore_merges", &bpe->whole_words);
    if (!status)
        status = flag_read(model, "model", "fuse_unk", &bpe->fuse_unknown);
    if (!status)
        status = merges_read(bpe, json_object_get(model, "merges"), arena);
    if (!status && unknown)
        bpe->unknown = weir_vocabulary_find(&bpe->vocabulary, unknown, strlen(unknown));
    return status;
}

/* Whether no merge has a ▁ behind another character, so that a text may be cut before such a ▁ without a change. */
static bool cuts_at_spaces(const struct weir_bpe *bpe)
{
    size_t mark = strlen(WEIR_SPACE_MARK);
    if (bpe->whole_words || weir_vocabulary_find(&bpe->vocabulary, WEIR_SPACE_MARK, mark) == WEIR_NO_TOKEN)
        return false;
    for (int32_t i = 0; i < bpe->merges.n_merges; i++) {
        const struct weir_token *token = &bpe->vocabulary.tokens[bpe->merges.results[i]];
        size_t at = 0;
        while (token->n - at >= mark && !memcmp(token->bytes + at, WEIR_SPACE_MARK, mark))
            at += mark;
        if (memmem(token->bytes + at, token->n - at, WEIR_SPACE_MARK, mark))
            return false;
    }
    return true;
}

/* ---- added tokens -------------------------------------------------------------------------------------------------- */

/* The id's entry holds the token already, or is given it. */
static weir_status added_place(struct weir_tokenizer *t, const char *text, int32_t id, struct weir_arena *arena)
{
    struct weir_vocabulary *v = &t->bpe.vocabulary;
    const char *bytes = NULL;
    size_t n = 0;
    bool found = false;
    weir_status status = weir_bpe_text_read(&t->bpe, text, strlen(text), arena, &bytes, &n, &found);
    if (status)
        return status;
    int32_t known = found ? weir_vocabulary_find(v, bytes, n) : WEIR_NO_TOKEN;
    if (known != WEIR_NO_TOKEN && known != id)
        return WEIR_FAIL(WEIR_ERR_INVALID, "added token '%.200s' has the ids %d and %d", text, id, known);
    if (v->tokens[id].bytes && (v->tokens[id].n != n || memcmp(v->tokens[id].bytes, bytes, n)))
        return WEIR_FAIL(WEIR_ERR_INVALID, "added token '%.200s': its id %d is taken by another", text, id);
    if (!v->tokens[id].bytes)
        weir_vocabulary_add(v, id, bytes, n, false);
    return WEIR_OK;
}

static weir_status added_check(const json_t *added, const char *text, int32_t id)
{
    bool single = false;
    if (!text || !*text)
        return WEIR_FAIL(WEIR_ERR_INVALID, "added token %d has no content", id);
    weir_status status = flag_read(added, "added_tokens", "single_word", &single);
    if (!status && single)
        status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "added token '%.200s' with single_word is not read: " WEIR_TOKENIZER_WAY_OUT,
                           text);
    return status;
}

static weir_status normalized_text(const struct weir_tokenizer *t, const char *text, struct weir_arena *arena,
                                   struct weir_added_token *token)
{
    struct weir_byte_buffer buffer = {0};
    weir_status status = weir_tokenizer_normalize(&t->normalizer, text, strlen(text), &buffer);
    char *copy = NULL;
    if (!status)
        status = weir_arena_alloc(arena, buffer.n + 1, 1, &copy);
    if (!status && buffer.n)
        memcpy(copy, buffer.bytes, buffer.n);
    token->text = copy;
    token->n = buffer.n;
    weir_free(buffer.bytes);
    return status;
}

static weir_status added_token_read(struct weir_tokenizer *t, const json_t *added, struct weir_arena *arena)
{
    const char *text = json_string_value(json_object_get(added, "content")), *copy;
    int32_t id = (int32_t)json_integer_value(json_object_get(added, "id"));
    struct weir_added_token token = {.id = id};
    bool normalized = false, special = false;
    weir_status status = added_check(added, text, id);
    if (!status)
        status = weir_arena_strdup(arena, text, &copy);
    if (!status)
        status = added_place(t, copy, id, arena);
    if (!status)
        status = flag_read(added, "added_tokens", "lstrip", &token.lstrip);
    if (!status)
        status = flag_read(added, "added_tokens", "rstrip", &token.rstrip);
    if (!status)
        status = flag_read(added, "added_tokens", "normalized", &normalized);
    if (!status)
        status = flag_read(added, "added_tokens", "special", &special);
    if (!status)
        status = normalized ? normalized_text(t, copy, arena, &token) : WEIR_OK;
    if (status)
        return status;
    if (!normalized)
        token.text = copy, token.n = strlen(copy);
    struct weir_added_tokens *list = normalized ? &t->normalized : &t->written;
    list->tokens[list->n++] = token;
    t->special[id] = special;
    return WEIR_OK;
}

static weir_status twice_check(const struct weir_added_tokens *list)
{
    for (size_t i = 1; i < list->n; i++) {
        const struct weir_added_token *a = &list->tokens[i - 1], *b = &list->tokens[i];
        if (a->n == b->n && !memcmp(a->text, b->text, a->n))
            return WEIR_FAIL(WEIR_ERR_INVALID, "added token '%.*s' stands there twice", a->n < 200 ? (int)a->n : 200, a->text);
    }
    return WEIR_OK;
}

weir_status weir_tokenizer_added_read(struct weir_tokenizer *t, json_t *added, struct weir_arena *arena)
{
    size_t n = json_array_size(added);
    weir_status status = WEIR_OK;
    if (added && !json_is_null(added) && !json_is_array(added))
        return WEIR_FAIL(WEIR_ERR_INVALID, "added_tokens is no list");
    status = weir_arena_alloc(arena, n, sizeof *t->written.tokens, &t->written.tokens);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *t->normalized.tokens, &t->normalized.tokens);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)t->bpe.vocabulary.n_tokens, sizeof *t->special, &t->special);
    for (size_t i = 0; i < n && !status; i++)
        status = added_token_read(t, json_array_get(added, i), arena);
    weir_added_sort(&t->written);
    weir_added_sort(&t->normalized);
    if (!status)
        status = twice_check(&t->written);
    return status ? status : twice_check(&t->normalized);
}

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

static weir_status around_check(const struct weir_tokenizer *t)
{
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < t->n_around[side]; i++) {
            int32_t id = t->around[side][i];
            if (id >= t->bpe.vocabulary.n_tokens || !t->bpe.vocabulary.tokens[id].bytes)
                return WEIR_FAIL(WEIR_ERR_INVALID, "post-processor: there is no token %d", id);
        }
    return WEIR_OK;
}

weir_status weir_tokenizer_json_read(struct weir_tokenizer *t, json_t *root, struct weir_arena *arena)
{
    json_t *added = json_object_get(root, "added_tokens");
    weir_status status = WEIR_OK;
    if (!json_is_object(root))
        return WEIR_FAIL(WEIR_ERR_INVALID, "it is no object");
    status = model_check(json_object_get(root, "model"));
    if (!status)
        status = weir_tokenizer_parts_read(t, root, arena);
    if (!status)
        status = model_read(t, json_object_get(root, "model"), added, arena);
    if (!status)
        status = weir_tokenizer_added_read(t, added, arena);
    if (!status)
        status = weir_tokenizer_decoder_read(t, json_object_get(root, "decoder"), arena);
    if (!status)
        status = around_check(t);
    if (!status && t->bpe.characters && t->cut == WEIR_CUT_NOT && cuts_at_spaces(&t->bpe))
        t->cut = WEIR_CUT_SPACES;
    return status;
}
