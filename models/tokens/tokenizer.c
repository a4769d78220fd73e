#include "models/tokens/tokenizer.h"

#include "base/input_file.h"
#include "base/json.h"
#include "models/tokens/nfc.h"
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
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has tokens up to %lld, the model's vocabulary ends at %lld: it is another model's",
                     tokenizer->name, (long long)largest, (long long)vocabulary - 1);
}

int32_t weir_tokenizer_begin(const struct weir_tokenizer *tokenizer)
{
    return tokenizer->begin;
}

int32_t weir_tokenizer_end(const struct weir_tokenizer *tokenizer)
{
    return tokenizer->end;
}

static bool is_token(const struct weir_tokenizer *t, int32_t token)
{
    return token >= 0 && token < t->bpe.vocabulary.n_tokens && t->pieces[token].bytes;
}

bool weir_tokenizer_special(const struct weir_tokenizer *tokenizer, int32_t token)
{
    return is_token(tokenizer, token) && tokenizer->special[token];
}

const char *weir_tokenizer_token(const struct weir_tokenizer *tokenizer, int32_t token, size_t *bytes_out)
{
    if (!is_token(tokenizer, token))
        return NULL;
    *bytes_out = tokenizer->pieces[token].n;
    return tokenizer->pieces[token].bytes;
}

/* ---- encode -------------------------------------------------------------------------------------------------------- */

/* A text on its way: `text` is what was normalized, `word` what is cut into words. */
struct encoding {
    const struct weir_tokenizer *t;
    struct weir_byte_buffer text, word;
    struct weir_merger merger;
    struct weir_token_list out;
};

static weir_status marks_append(const char *text, size_t bytes, struct weir_byte_buffer *out)
{
    weir_status status = WEIR_OK;
    for (const char *end = text + bytes; text < end && !status;) {
        const char *space = memchr(text, ' ', (size_t)(end - text)), *stop = space ? space : end;
        status = weir_byte_append(out, text, (size_t)(stop - text));
        if (!status && space)
            status = weir_byte_append(out, WEIR_SPACE_MARK, strlen(WEIR_SPACE_MARK));
        text = stop + (space != NULL);
    }
    return status;
}

weir_status weir_tokenizer_normalize(const struct weir_normalizer *normalizer, const char *text, size_t bytes,
                                     struct weir_byte_buffer *out)
{
    struct weir_byte_buffer composed = {0};
    weir_status status = WEIR_OK;
    if (normalizer->nfc && weir_nfc_needed(text, bytes)) {
        status = weir_nfc_append(text, bytes, &composed);
        text = composed.bytes;
        bytes = composed.n;
    }
    if (!status && normalizer->prepend && bytes)
        status = weir_byte_append(out, WEIR_SPACE_MARK, strlen(WEIR_SPACE_MARK));
    if (!status)
        status = normalizer->marks ? marks_append(text, bytes, out) : weir_byte_append(out, text, bytes);
    weir_free(composed.bytes);
    return status;
}

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
        status = t->marks ? marks_append(*text, *bytes, &e->word) : weir_byte_append(&e->word, *text, *bytes);
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
        bytes += is_token(tokenizer, tokens[i]) ? tokenizer->pieces[tokens[i]].n : 0;
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
