#include "cmd/codec.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- finding it ---------------------------------------------------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool folder_has(const char *folder, const char *name, struct weir_arena *arena)
{
    const char *path;
    return weir_arena_printf(arena, &path, "%s/%s", folder, name) == WEIR_OK && access(path, F_OK) == 0;
}

static bool has_tokenizer(const char *folder, struct weir_arena *arena)
{
    return folder_has(folder, "vocab.json", arena) || folder_has(folder, "merges.txt", arena);
}

static bool is_built_in(const char *model)
{
    for (const struct weir_model_kind *const *kind = weir_model_kinds; *kind; kind++)
        if (!strcmp((*kind)->name, model))
            return true;
    return false;
}

/* A folder, or that of a file. */
static weir_status folder_of(const char *path, struct weir_arena *arena, const char **folder_out)
{
    const char *slash = strrchr(path, '/');
    *folder_out = path;
    if (is_folder(path))
        return WEIR_OK;
    if (slash)
        return weir_arena_printf(arena, folder_out, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    *folder_out = ".";
    return WEIR_OK;
}

/* The folder of the first of both paths that has one; else NULL. */
static weir_status folder_find(const struct codec_choice *choice, struct weir_arena *arena, const char **folder_out)
{
    const char *paths[] = {choice->init_from, choice->model && !is_built_in(choice->model) ? choice->model : NULL};
    *folder_out = NULL;
    for (int i = 0; i < 2; i++) {
        const char *folder;
        weir_status status = paths[i] ? folder_of(paths[i], arena, &folder) : WEIR_OK;
        if (status)
            return status;
        if (paths[i] && has_tokenizer(folder, arena)) {
            *folder_out = folder;
            return WEIR_OK;
        }
    }
    return WEIR_OK;
}

static weir_status place_find(const struct codec_choice *choice, struct weir_arena *arena, const char **folder_out)
{
    const char *named = choice->tokenizer;
    if (!named)
        return folder_find(choice, arena, folder_out);
    if (access(named, F_OK) != 0)
        return WEIR_FAIL(WEIR_ERR_IO, "no tokenizer '%s': give a folder, or bytes", named);
    weir_status status = folder_of(named, arena, folder_out);
    if (!status && !has_tokenizer(*folder_out, arena))
        status = WEIR_FAIL(WEIR_ERR_IO, "'%s' has no tokenizer: vocab.json and merges.txt were looked for", named);
    return status;
}

weir_status codec_open(struct codec *codec, const struct codec_choice *choice, int64_t vocabulary, struct weir_arena *arena)
{
    *codec = (struct codec){0};
    if (choice->tokenizer && !strcmp(choice->tokenizer, "bytes")) {
        codec->chosen = true;
        return WEIR_OK;
    }
    const char *folder;
    weir_status status = place_find(choice, arena, &folder);
    if (!status && folder)
        status = weir_bpe_load(folder, arena, &codec->bpe);
    if (status || !folder)
        return status;
    codec->name = folder;
    if (weir_bpe_vocabulary(codec->bpe) > vocabulary)
        return WEIR_FAIL(WEIR_ERR_INVALID, "tokenizer '%s' has ids up to %lld, the model's end at %lld: name the model's own, "
                         "--tokenizer DIR", folder, (long long)weir_bpe_vocabulary(codec->bpe) - 1, (long long)vocabulary - 1);
    return WEIR_OK;
}

/* ---- using it ------------------------------------------------------------------------------------------------------ */

static weir_status bytes_encode(const char *text, size_t bytes, struct weir_arena *arena, int32_t **tokens_out, int64_t *n_out)
{
    weir_status status = weir_arena_alloc(arena, bytes + 1, sizeof **tokens_out, tokens_out);
    for (size_t i = 0; i < bytes && !status; i++)
        (*tokens_out)[i] = (unsigned char)text[i];
    *n_out = (int64_t)bytes;
    return status;
}

weir_status codec_encode(const struct codec *codec, const char *text, size_t bytes, struct weir_arena *arena,
                         int32_t **tokens_out, int64_t *n_out)
{
    return codec->bpe ? weir_bpe_encode(codec->bpe, text, bytes, arena, tokens_out, n_out)
                      : bytes_encode(text, bytes, arena, tokens_out, n_out);
}

int32_t codec_end(const struct codec *codec)
{
    return codec->bpe ? weir_bpe_end(codec->bpe) : -1;
}

/* ---- for a data source --------------------------------------------------------------------------------------------- */

static weir_status text_encode(void *context, const char *text, size_t bytes, struct weir_arena *arena, int32_t **tokens_out,
                               int64_t *n_out)
{
    return codec_encode(context, text, bytes, arena, tokens_out, n_out);
}

static weir_status encoder_begin(struct weir_data_encoder *encoder)
{
    struct codec_encoder *e = encoder->context;
    weir_status status = codec_open(&e->codec, &e->choice, e->vocabulary, e->arena);
    e->begun = true;
    if (status || !e->codec.bpe)
        return status;
    encoder->context = &e->codec;
    encoder->encode = text_encode;
    encoder->name = e->codec.name;
    encoder->vocabulary = weir_bpe_vocabulary(e->codec.bpe);
    encoder->end = codec_end(&e->codec);
    return WEIR_OK;
}

void codec_encoder_init(struct codec_encoder *to, const struct codec_choice *choice, int64_t vocabulary, struct weir_arena *arena)
{
    *to = (struct codec_encoder){.choice = *choice, .vocabulary = vocabulary, .arena = arena};
    to->encoder = (struct weir_data_encoder){.context = to, .begin = encoder_begin, .end = -1};
}
