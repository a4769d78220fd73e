#include "include/weir/tokens.h"

#include "base/input_file.h"
#include "base/json.h"
#include "models/tokens/tokenizer_model.h"

/* ---- files --------------------------------------------------------------------------------------------------------- */

static bool folder_has(const char *folder, const char *name)
{
    struct weir_text path = {0};
    weir_text_append(&path, "%s/%s", folder, name);
    bool there = !path.status && weir_input_exists(path.data);
    weir_text_release(&path);
    return there;
}

bool weir_tokenizer_there(const char *folder)
{
    static const char *const names[] = {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer.model"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (folder_has(folder, names[i]))
            return true;
    return false;
}

static weir_status json_take(json_t *root, struct weir_tokenizer *t, struct weir_arena *arena)
{
    weir_status status = weir_tokenizer_json_read(t, root, arena);
    json_decref(root);
    return status ? weir_error_prefix(status, "'%s': ", t->name) : WEIR_OK;
}

static weir_status tokenizer_new(const char *name, struct weir_arena *arena, struct weir_tokenizer **t_out)
{
    struct weir_tokenizer *t = NULL;
    weir_status status = weir_arena_alloc(arena, 1, sizeof *t, &t);
    if (!status)
        status = weir_arena_strdup(arena, name, &t->name);
    if (status)
        return status;
    t->begin = t->end = WEIR_NO_TOKEN;
    *t_out = t;
    return WEIR_OK;
}

weir_status weir_tokenizer_parse(const char *text, size_t bytes, const char *name, struct weir_arena *arena,
                                 const struct weir_tokenizer **tokenizer_out)
{
    struct weir_tokenizer *t;
    json_t *root;
    weir_status status = tokenizer_new(name, arena, &t);
    if (!status)
        status = weir_json_parse(text, bytes, name, &root);
    if (!status)
        status = json_take(root, t, arena);
    if (!status)
        *tokenizer_out = t;
    return status;
}

static weir_status file_load(const char *path, struct weir_arena *arena, struct weir_tokenizer **t_out)
{
    json_t *root;
    weir_status status = tokenizer_new(path, arena, t_out);
    if (!status)
        status = weir_json_load(path, &root);
    return status ? status : json_take(root, *t_out, arena);
}

/* vocab.json and merges.txt. */
static weir_status pair_load(const char *folder, struct weir_arena *arena, struct weir_tokenizer **t_out)
{
    if (!folder_has(folder, "vocab.json") && !folder_has(folder, "merges.txt") && folder_has(folder, "tokenizer.model"))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s' has tokenizer.model and no tokenizer.json: let transformers write one "
                         "(AutoTokenizer.from_pretrained(folder).save_pretrained(folder))", folder);
    weir_status status = tokenizer_new(folder, arena, t_out);
    return status ? status : weir_tokenizer_folder_read(*t_out, folder, arena);
}

/* The folder of a path's last name. */
static weir_status folder_of(const char *path, struct weir_arena *arena, const char **folder_out)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return weir_arena_strdup(arena, ".", folder_out);
    return weir_arena_printf(arena, folder_out, "%.*s", (int)(slash - path) + (slash == path), path);
}

static weir_status folder_load(const char *folder, struct weir_arena *arena, struct weir_tokenizer **t_out)
{
    const char *path;
    if (!folder_has(folder, "tokenizer.json"))
        return pair_load(folder, arena, t_out);
    weir_status status = weir_arena_printf(arena, &path, "%s/tokenizer.json", folder);
    return status ? status : file_load(path, arena, t_out);
}

weir_status weir_tokenizer_load(const char *path, struct weir_arena *arena, const struct weir_tokenizer **tokenizer_out)
{
    struct weir_tokenizer *t = NULL;
    const char *folder = path;
    bool is_folder = folder_has(path, ".");
    weir_status status;
    if (is_folder && !weir_tokenizer_there(path))
        return WEIR_FAIL(WEIR_ERR_IO, "'%s' has no tokenizer: tokenizer.json, or vocab.json and merges.txt, were looked for", path);
    if (is_folder)
        status = folder_load(path, arena, &t);
    else
        status = file_load(path, arena, &t);
    if (!status && !is_folder)
        status = folder_of(path, arena, &folder);
    if (!status)
        status = weir_tokenizer_names_read(t, folder, arena);
    if (!status)
        *tokenizer_out = t;
    return status;
}

/* ---- what it has --------------------------------------------------------------------------------------------------- */

const char *weir_tokenizer_kind(const struct weir_tokenizer *tokenizer)
{
    return tokenizer->bpe.characters ? "sentencepiece" : "byte-level";
}

int64_t weir_tokenizer_vocabulary(const struct weir_tokenizer *tokenizer)
{
    return tokenizer->bpe.vocabulary.n_tokens;
}

weir_status weir_tokenizer_fits(const struct weir_tokenizer *tokenizer, int64_t vocabulary)
{
    int64_t largest = weir_tokenizer_vocabulary(tokenizer) - 1;
    if (largest < vocabulary)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID,
                     "'%s' has tokens up to %lld, the model's vocabulary ends at %lld: it is another model's", tokenizer->name,
                     (long long)largest, (long long)vocabulary - 1);
}

int32_t weir_tokenizer_begin(const struct weir_tokenizer *tokenizer)
{
    return tokenizer->begin;
}

int32_t weir_tokenizer_end(const struct weir_tokenizer *tokenizer)
{
    return tokenizer->end;
}

const char *weir_tokenizer_token(const struct weir_tokenizer *tokenizer, int32_t token, size_t *bytes_out)
{
    if (token < 0 || token >= tokenizer->bpe.vocabulary.n_tokens || !tokenizer->pieces[token].bytes)
        return NULL;
    *bytes_out = tokenizer->pieces[token].n;
    return tokenizer->pieces[token].bytes;
}

bool weir_tokenizer_special(const struct weir_tokenizer *tokenizer, int32_t token)
{
    size_t n;
    return weir_tokenizer_token(tokenizer, token, &n) && tokenizer->special[token];
}
