/* A folder's other files: vocab.json and merges.txt with added_tokens.json, and the names of special tokens. */
#include "models/tokens/tokenizer_model.h"

#include "base/input_file.h"
#include "base/json.h"

typedef weir_status (*load_fn)(const char *path, json_t **root_out);

/* The document folder/name, or NULL where there is no such file. */
static weir_status optional_load(const char *folder, const char *name, load_fn load, struct weir_arena *arena, json_t **root_out)
{
    const char *path;
    weir_status status = weir_arena_printf(arena, &path, "%s/%s", folder, name);
    *root_out = NULL;
    if (status || !weir_input_exists(path))
        return status;
    status = load(path, root_out);
    if (!status && !json_is_object(*root_out))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not an object", path);
    if (status) {
        json_decref(*root_out);
        *root_out = NULL;
    }
    return status;
}

/* "text" or {"content": "text"} */
static const char *token_text(const json_t *value)
{
    return json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
}

/* ---- names of special tokens --------------------------------------------------------------------------------------- */

int32_t weir_tokenizer_written(const struct weir_tokenizer *t, const char *text)
{
    const struct weir_added_tokens *lists[] = {&t->written, &t->normalized};
    const struct weir_vocabulary *v = &t->bpe.vocabulary;
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < lists[i]->n; k++)
            if (lists[i]->tokens[k].n == strlen(text) && !memcmp(lists[i]->tokens[k].text, text, strlen(text)))
                return lists[i]->tokens[k].id;
    return weir_vocabulary_find(v, text, strlen(text));
}

static void names_take(struct weir_tokenizer *t, const json_t *names)
{
    const char *begin = token_text(json_object_get(names, "bos_token")), *end = token_text(json_object_get(names, "eos_token"));
    if (begin && t->begin == WEIR_NO_TOKEN)
        t->begin = weir_tokenizer_written(t, begin);
    if (end && t->end == WEIR_NO_TOKEN)
        t->end = weir_tokenizer_written(t, end);
}

weir_status weir_tokenizer_names_read(struct weir_tokenizer *t, const char *folder, struct weir_arena *arena)
{
    static const char *const files[] = {"tokenizer_config.json", "special_tokens_map.json"};
    weir_status status = WEIR_OK;
    for (int i = 0; i < 2 && !status; i++) {
        json_t *names;
        status = optional_load(folder, files[i], weir_json_load_wide, arena, &names);
        if (!status)
            names_take(t, names);
        json_decref(names);
    }
    if (!status && t->end == WEIR_NO_TOKEN)
        t->end = weir_tokenizer_written(t, "<|endoftext|>");
    return status;
}

/* ---- vocab.json and merges.txt ------------------------------------------------------------------------------------- */

/* Added tokens of several files, by content; the first that names one says all about it. */
struct additions {
    json_t *list, *seen;
};

static weir_status added_append(struct additions *to, const char *text, json_int_t id, bool special, const json_t *settings)
{
    static const char *const flags[] = {"normalized", "lstrip", "rstrip", "single_word"};
    if (json_object_get(to->seen, text))
        return WEIR_OK;
    json_t *entry = json_pack("{s:s, s:I, s:b}", "content", text, "id", id, "special", special);
    int failed = !entry;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && !failed; i++)
        if (json_object_get(settings, flags[i]))
            failed = json_object_set(entry, flags[i], json_object_get(settings, flags[i]));
    failed = failed || json_object_set(to->seen, text, entry) || json_array_append(to->list, entry);
    json_decref(entry);
    return failed ? WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for added tokens") : WEIR_OK;
}

/* "added_tokens_decoder": {"50256": {"content": "<|endoftext|>", ...}} */
static weir_status decoder_take(struct additions *to, json_t *config)
{
    json_t *decoder = json_object_get(config, "added_tokens_decoder");
    weir_status status = WEIR_OK;
    for (void *at = json_object_iter(decoder); at && !status; at = json_object_iter_next(decoder, at)) {
        const json_t *settings = json_object_iter_value(at);
        const char *text = token_text(settings);
        int64_t id;
        if (!text || !weir_parse_int64(json_object_iter_key(at), &id))
            return WEIR_FAIL(WEIR_ERR_INVALID, "tokenizer_config.json: added token '%.64s' is no id with a content",
                             json_object_iter_key(at));
        status = added_append(to, text, id, json_is_true(json_object_get(settings, "special")), settings);
    }
    return status;
}

static weir_status added_file_take(struct additions *to, json_t *added)
{
    weir_status status = WEIR_OK;
    for (void *at = json_object_iter(added); at && !status; at = json_object_iter_next(added, at)) {
        const json_t *id = json_object_iter_value(at);
        if (!json_is_integer(id))
            return WEIR_FAIL(WEIR_ERR_INVALID, "added_tokens.json: token '%.200s' has no id", json_object_iter_key(at));
        status = added_append(to, json_object_iter_key(at), json_integer_value(id), false, NULL);
    }
    return status;
}

/* The named special tokens are found in texts too; GPT-2's is <|endoftext|>. */
static weir_status named_take(struct additions *to, json_t *ids, const json_t *config)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !status; i++) {
        const json_t *value = json_object_get(config, names[i]);
        const char *text = value ? token_text(value) : "<|endoftext|>";
        const json_t *id = text && *text ? json_object_get(ids, text) : NULL;
        if (json_is_integer(id))
            status = added_append(to, text, json_integer_value(id), true, NULL);
    }
    return status;
}

/* What the class of transformers does with the text. */
static weir_status class_take(struct weir_tokenizer *t, const json_t *config)
{
    const char *class = json_string_value(json_object_get(config, "tokenizer_class"));
    size_t n = class ? strlen(class) : 0;
    if (n > 4 && !strcmp(class + n - 4, "Fast"))
        n -= 4;
    t->cut = WEIR_CUT_WORDS;
    t->words = WEIR_WORDS_GPT2;
    t->space_before = json_is_true(json_object_get(config, "add_prefix_space"));
    if (!class || (n == strlen("GPT2Tokenizer") && !strncmp(class, "GPT2Tokenizer", n)))
        return WEIR_OK;
    if (n != strlen("Qwen2Tokenizer") || strncmp(class, "Qwen2Tokenizer", n) != 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "tokenizer_config.json: vocab.json and merges.txt of a '%.64s' are not read "
                         "(GPT2Tokenizer and Qwen2Tokenizer are): let transformers write a tokenizer.json", class);
    t->words = WEIR_WORDS_QWEN2;
    t->normalizer.nfc = true;
    return WEIR_OK;
}

static weir_status around_take(struct weir_tokenizer *t, const json_t *config, struct weir_arena *arena)
{
    static const char *const keys[] = {"add_bos_token", "add_eos_token"}, *const names[] = {"bos_token", "eos_token"};
    weir_status status = WEIR_OK;
    for (int side = 0; side < 2 && !status; side++) {
        const char *text = token_text(json_object_get(config, names[side]));
        int32_t id = weir_tokenizer_written(t, text ? text : "<|endoftext|>");
        if (!json_is_true(json_object_get(config, keys[side])) || id == WEIR_NO_TOKEN)
            continue;
        status = weir_arena_alloc(arena, 1, sizeof id, &t->around[side]);
        if (!status)
            t->around[side][t->n_around[side]++] = id;
    }
    return status;
}

struct files {
    json_t *ids, *added, *config;
    struct additions additions;
    char *merges;
    size_t merges_bytes;
};

static weir_status files_load(struct files *f, const char *folder, struct weir_arena *arena)
{
    const char *vocabulary, *merges;
    weir_status status = weir_arena_printf(arena, &vocabulary, "%s/vocab.json", folder);
    if (!status)
        status = weir_arena_printf(arena, &merges, "%s/merges.txt", folder);
    if (!status)
        status = weir_file_read(merges, WEIR_MOST_TOKENIZER_FILE, &f->merges, &f->merges_bytes);
    if (!status)
        status = weir_json_load(vocabulary, &f->ids);
    if (!status)
        status = optional_load(folder, "added_tokens.json", weir_json_load, arena, &f->added);
    if (!status)
        status = optional_load(folder, "tokenizer_config.json", weir_json_load_wide, arena, &f->config);
    f->additions = (struct additions){json_array(), json_object()};
    if (!status && (!f->additions.list || !f->additions.seen))
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for added tokens");
    return status;
}

static weir_status files_take(struct weir_tokenizer *t, struct files *f, struct weir_arena *arena)
{
    json_t *decoder = json_pack("{s:s}", "type", "ByteLevel");
    weir_status status = class_take(t, f->config);
    if (!status)
        status = decoder_take(&f->additions, f->config);
    if (!status)
        status = added_file_take(&f->additions, f->added);
    if (!status)
        status = named_take(&f->additions, f->ids, f->config);
    if (!status)
        status = weir_bpe_files_read(&t->bpe, f->ids, f->additions.list, f->merges, f->merges_bytes, arena);
    if (!status)
        status = weir_tokenizer_added_read(t, f->additions.list, arena);
    if (!status)
        status = weir_tokenizer_decoder_read(t, decoder, arena);
    if (!status)
        status = around_take(t, f->config, arena);
    json_decref(decoder);
    return status;
}

weir_status weir_tokenizer_folder_read(struct weir_tokenizer *t, const char *folder, struct weir_arena *arena)
{
    struct files f = {0};
    weir_status status = files_load(&f, folder, arena);
    if (!status) {
        status = files_take(t, &f, arena);
        if (status)
            weir_error_prefix(status, "%s: ", folder);
    }
    weir_free(f.merges);
    json_decref(f.ids);
    json_decref(f.added);
    json_decref(f.config);
    json_decref(f.additions.list);
    json_decref(f.additions.seen);
    return status;
}
