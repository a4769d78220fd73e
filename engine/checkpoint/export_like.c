#include "engine/checkpoint/export_like.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/input_file.h"
#include "base/json.h"
#include "base/ranged_file.h"
#include "base/replace.h"

static const char *const companions[] = {
    "generation_config.json",  "tokenizer.json",    "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
    "merges.txt",              "added_tokens.json", "tokenizer.model",       "chat_template.jinja",     NULL};

static const char *const replaced[] = {"bos_token_id", "eos_token_id", "pad_token_id", NULL};

/* The export's own, under one name or another. */
static const char *const kept[] = {"dtype", "torch_dtype", "rope_parameters", "rope_scaling", "rope_theta", "quantization_config",
                                   NULL};

static bool is_listed(const char *const *list, const char *key)
{
    while (*list && strcmp(*list, key) != 0)
        list++;
    return *list;
}

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The folder of `source`, which may be that folder. */
static weir_status folder_find(const char *source, struct weir_arena *arena, const char **folder_out)
{
    struct stat info;
    const char *slash = strrchr(source, '/');
    if (stat(source, &info) == 0 && S_ISDIR(info.st_mode))
        return weir_arena_strdup(arena, source, folder_out);
    return weir_arena_printf(arena, folder_out, "%.*s.", slash ? (int)(slash - source) + 1 : 0, source);
}

static weir_status file_copy(const char *from, const char *to)
{
    struct weir_ranged_file file = {0};
    void *bytes = NULL;
    if (!weir_input_exists(from))
        return WEIR_OK;
    weir_status status = weir_ranged_open(from, &file);
    if (!status)
        status = weir_alloc((size_t)file.n_bytes, 1, &bytes);
    if (!status)
        status = weir_ranged_read(&file, 0, bytes, (size_t)file.n_bytes);
    if (!status)
        status = weir_file_write(to, bytes, (size_t)file.n_bytes);
    weir_free(bytes);
    weir_ranged_close(&file);
    return status;
}

static weir_status companions_copy(const char *folder, const char *dir, struct weir_arena *arena)
{
    weir_status status = WEIR_OK;
    for (int i = 0; companions[i] && !status; i++) {
        const char *from, *to;
        status = weir_arena_printf(arena, &from, "%s/%s", folder, companions[i]);
        if (!status)
            status = weir_arena_printf(arena, &to, "%s/%s", dir, companions[i]);
        if (!status)
            status = file_copy(from, to);
    }
    return status;
}

static void keys_take(json_t *config, json_t *source)
{
    const char *key;
    json_t *value;
    if (!json_equal(json_object_get(config, "model_type"), json_object_get(source, "model_type")))
        return;
    json_object_foreach(source, key, value)
        if (is_listed(replaced, key) || (!is_listed(kept, key) && !json_object_get(config, key)))
            json_object_set(config, key, value);
}

static weir_status config_write(json_t *config, const char *path, struct weir_arena *arena)
{
    const char *text;
    weir_status status = weir_json_print(json_incref(config), 2, arena, &text);
    return status ? status : weir_file_write(path, text, strlen(text));
}

static weir_status config_complete(const char *folder, const char *dir, struct weir_arena *arena)
{
    const char *from, *to;
    json_t *source = NULL, *config = NULL;
    weir_status status = weir_arena_printf(arena, &from, "%s/config.json", folder);
    if (!status)
        status = weir_arena_printf(arena, &to, "%s/config.json", dir);
    if (status || !weir_input_exists(from))
        return status;
    status = weir_json_load(from, &source);
    if (!status)
        status = weir_json_load(to, &config);
    if (!status) {
        keys_take(config, source);
        status = config_write(config, to, arena);
    }
    json_decref(source);
    json_decref(config);
    return status;
}

weir_status weir_export_like(const char *source, const char *dir)
{
    struct weir_arena arena = {0};
    const char *folder;
    weir_status status = folder_find(source, &arena, &folder);
    if (!status && !same_folder(folder, dir)) {
        status = companions_copy(folder, dir, &arena);
        if (!status)
            status = config_complete(folder, dir, &arena);
    }
    weir_arena_release(&arena);
    return status;
}
