#include "cmd/codec.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/paths.h"

/* ---- finding it ---------------------------------------------------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
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

weir_status codec_model_folder(const struct codec_choice *choice, struct weir_arena *arena, const char **folder_out)
{
    const char *named = choice->init_from ? choice->init_from : choice->model && !model_is_built_in(choice->model) ? choice->model : NULL;
    *folder_out = NULL;
    return named ? folder_of(named, arena, folder_out) : WEIR_OK;
}

/* The folder of the first of both paths that has one; else NULL. */
static weir_status folder_find(const struct codec_choice *choice, struct weir_arena *arena, const char **folder_out)
{
    const char *paths[] = {choice->init_from, choice->model && !model_is_built_in(choice->model) ? choice->model : NULL};
    *folder_out = NULL;
    for (int i = 0; i < 2; i++) {
        const char *folder;
        weir_status status = paths[i] ? folder_of(paths[i], arena, &folder) : WEIR_OK;
        if (status)
            return status;
        if (paths[i] && weir_tokenizer_there(folder)) {
            *folder_out = folder;
            return WEIR_OK;
        }
    }
    return WEIR_OK;
}

/* One of two files that make a tokenizer together. */
static bool is_half(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return !strcmp(name, "vocab.json") || !strcmp(name, "merges.txt");
}

static weir_status place_find(const struct codec_choice *choice, struct weir_arena *arena, const char **path_out)
{
    const char *named = choice->tokenizer;
    if (!named)
        return folder_find(choice, arena, path_out);
    *path_out = named;
    if (access(named, F_OK) != 0)
        return WEIR_FAIL(WEIR_ERR_IO, "no tokenizer '%s': give a folder, its tokenizer.json, or bytes", named);
    return is_half(named) ? folder_of(named, arena, path_out) : WEIR_OK;
}

weir_status codec_open(struct codec *codec, const struct codec_choice *choice, int64_t vocabulary, struct weir_arena *arena)
{
    *codec = (struct codec){0};
    if (choice->tokenizer && !strcmp(choice->tokenizer, "bytes")) {
        codec->chosen = true;
        return WEIR_OK;
    }
    const char *path;
    weir_status status = place_find(choice, arena, &path);
    if (status || !path)
        return status;
    codec->name = path;
    status = weir_tokenizer_load(path, arena, &codec->tokenizer);
    return status ? status : weir_tokenizer_fits(codec->tokenizer, vocabulary);
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
    return codec->tokenizer
               ? weir_tokenizer_encode(codec->tokenizer, text, bytes, WEIR_TOKENS_OF_TEXT, arena, tokens_out, n_out)
               : bytes_encode(text, bytes, arena, tokens_out, n_out);
}

int64_t codec_vocabulary(const struct codec *codec)
{
    return codec->tokenizer ? weir_tokenizer_vocabulary(codec->tokenizer) : UCHAR_MAX + 1;
}

int32_t codec_end(const struct codec *codec)
{
    return codec->tokenizer ? weir_tokenizer_end(codec->tokenizer) : -1;
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
    if (status || !e->codec.tokenizer)
        return status;
    encoder->context = &e->codec;
    encoder->encode = text_encode;
    encoder->name = e->codec.name;
    encoder->vocabulary = codec_vocabulary(&e->codec);
    encoder->end = codec_end(&e->codec);
    return WEIR_OK;
}

void codec_encoder_init(struct codec_encoder *to, const struct codec_choice *choice, int64_t vocabulary, struct weir_arena *arena)
{
    *to = (struct codec_encoder){.choice = *choice, .vocabulary = vocabulary, .arena = arena};
    to->encoder = (struct weir_data_encoder){.context = to, .begin = encoder_begin, .end = -1};
}
