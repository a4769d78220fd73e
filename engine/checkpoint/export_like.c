#include "engine/checkpoint/export_like.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/input_file.h"
#include "base/ranged_file.h"
#include "base/tensor_files.h"
#include "include/weir/checkpoint.h"
#include "engine/checkpoint/export_folder.h"

const char *const weir_export_companions[] = {
    "generation_config.json",  "tokenizer.json",    "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
    "merges.txt",              "added_tokens.json", "tokenizer.model",       "chat_template.jinja",     NULL};
_Static_assert(sizeof weir_export_companions / sizeof *weir_export_companions == WEIR_EXPORT_COMPANIONS + 1, "all of them");

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

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* `name` in the folder of `source`, which may be that folder. */
static weir_status path_make(const char *source, const char *name, struct weir_arena *arena, const char **path_out)
{
    const char *slash = strrchr(source, '/');
    if (is_folder(source))
        return weir_arena_printf(arena, path_out, "%s/%s", source, name);
    return weir_arena_printf(arena, path_out, "%.*s%s", slash ? (int)(slash - source) + 1 : 0, source, name);
}

static weir_status file_load(const char *path, struct weir_arena *arena, const void **data_out, size_t *bytes_out)
{
    struct weir_ranged_file file = {0};
    void *data;
    weir_status status = weir_ranged_open(path, &file);
    if (status)
        return status;
    status = weir_arena_alloc(arena, (size_t)file.n_bytes + 1, 1, &data); /* an empty file is one too */
    if (!status)
        status = weir_ranged_read(&file, 0, data, (size_t)file.n_bytes);
    if (!status) {
        *data_out = data;
        *bytes_out = (size_t)file.n_bytes;
    }
    weir_ranged_close(&file);
    return status;
}

static weir_status companion_load(const char *source, const char *name, struct weir_arena *arena, const void **data_out,
                                  size_t *bytes_out)
{
    const char *path;
    weir_status status = path_make(source, name, arena, &path);
    return status || !weir_input_exists(path) ? status : file_load(path, arena, data_out, bytes_out);
}

/* A tokenizer.json may have another name. */
static bool is_whole_tokenizer(const char *source)
{
    const char *slash = strrchr(source, '/'), *name = slash ? slash + 1 : source;
    return *source && !is_folder(source) && strcmp(name, "vocab.json") != 0 && strcmp(name, "merges.txt") != 0;
}

static weir_status tokenizer_load(const char *source, const char *name, struct weir_arena *arena, const void **data_out,
                                  size_t *bytes_out)
{
    bool whole = is_whole_tokenizer(source);
    if (whole && !strcmp(name, "tokenizer.json"))
        return file_load(source, arena, data_out, bytes_out);
    bool beside = whole && (!strcmp(name, "vocab.json") || !strcmp(name, "merges.txt")); /* those of another one, perhaps */
    return *source && !beside ? companion_load(source, name, arena, data_out, bytes_out) : WEIR_OK;
}

weir_status weir_export_like_companion(const struct weir_export *export, const char *name, struct weir_arena *arena,
                                       const void **data_out, size_t *bytes_out)
{
    weir_status status = WEIR_OK;
    *data_out = NULL;
    if (export->tokenizer && strcmp(name, "generation_config.json") != 0)
        return tokenizer_load(export->tokenizer, name, arena, data_out, bytes_out);
    for (int i = WEIR_EXPORT_LIKE - 1; i >= 0 && !status && !*data_out; i--)
        status = export->like[i] ? companion_load(export->like[i], name, arena, data_out, bytes_out) : WEIR_OK;
    return status;
}

static weir_status keys_take(json_t *config, json_t *source)
{
    const char *key;
    json_t *value;
    if (!json_equal(json_object_get(config, "model_type"), json_object_get(source, "model_type")))
        return WEIR_OK;
    json_object_foreach(source, key, value) {
        bool taken = is_listed(replaced, key) || (!is_listed(kept, key) && !json_object_get(config, key));
        if (taken && json_object_set(config, key, value) != 0)
            return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for config.json");
    }
    return WEIR_OK;
}

/* *root_out is NULL when the source has no config.json. */
static weir_status config_load(const char *source, json_t **root_out)
{
    struct weir_arena arena = {0};
    const char *path;
    *root_out = NULL;
    weir_status status = path_make(source, weir_export_config, &arena, &path);
    if (!status && weir_input_exists(path))
        status = weir_json_load(path, root_out);
    weir_arena_release(&arena);
    return status;
}

weir_status weir_export_like_config(const char *source, json_t *config)
{
    json_t *root;
    weir_status status = config_load(source, &root);
    if (!status && root)
        status = keys_take(config, root);
    json_decref(root);
    return status;
}

/* ---- dtype --------------------------------------------------------------------------------------------------------- */

static enum weir_safetensors_dtype dtype_of_most(const struct weir_tensor_files *files)
{
    static const enum weir_safetensors_dtype dtypes[] = {WEIR_SAFETENSORS_F32, WEIR_SAFETENSORS_BF16, WEIR_SAFETENSORS_F16};
    int64_t elements[3] = {0};
    int most = 0;
    for (int f = 0; f < files->n_files; f++)
        for (int t = 0; t < files->files[f].n_tensors; t++)
            for (int d = 0; d < 3; d++)
                elements[d] += files->files[f].tensors[t].dtype == dtypes[d] ? files->files[f].tensors[t].n_elements : 0;
    for (int d = 1; d < 3; d++)
        most = elements[d] > elements[most] ? d : most;
    return dtypes[most];
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* The file of weights that the source is, or that stands in its folder; NULL: there is none. */
static weir_status weights_find(const char *source, struct weir_arena *arena, const char **path_out)
{
    const char *const names[] = {weir_export_single, weir_export_index};
    bool itself = !is_folder(source) && (ends_with(source, ".safetensors") || ends_with(source, ".index.json"));
    weir_status status = WEIR_OK;
    const char *path = itself ? source : NULL;
    for (int i = 0; i < 2 && !status && !path; i++) {
        status = path_make(source, names[i], arena, &path);
        path = !status && weir_input_exists(path) ? path : NULL;
    }
    *path_out = path;
    return status;
}

/* *dtype_out stays when the source has no weights of Hugging Face's form. */
static weir_status weights_dtype(const char *source, enum weir_safetensors_dtype *dtype_out)
{
    struct weir_tensor_files files = {0};
    struct weir_arena arena = {0};
    const char *path = NULL;
    weir_status status = weir_checkpoint_is(source) ? WEIR_OK : weights_find(source, &arena, &path);
    if (!status && path)
        status = weir_tensor_files_open(path, &files);
    if (!status && path)
        *dtype_out = dtype_of_most(&files);
    weir_tensor_files_close(&files);
    weir_arena_release(&arena);
    return status;
}

/* transformers 5 writes "dtype", and reads "torch_dtype" as well; "torch.bfloat16" is an old spelling. */
static weir_status config_dtype(const char *source, enum weir_safetensors_dtype *dtype_out)
{
    json_t *root;
    weir_status status = config_load(source, &root);
    if (status)
        return status;
    const char *word = json_string_value(json_object_get(root, "dtype"));
    word = word ? word : json_string_value(json_object_get(root, "torch_dtype"));
    word = word && !strncmp(word, "torch.", 6) ? word + 6 : word;
    if (word && !strcmp(word, "bfloat16"))
        *dtype_out = WEIR_SAFETENSORS_BF16;
    else if (word && (!strcmp(word, "float16") || !strcmp(word, "half")))
        *dtype_out = WEIR_SAFETENSORS_F16;
    else if (word)
        *dtype_out = WEIR_SAFETENSORS_F32;
    json_decref(root);
    return WEIR_OK;
}

weir_status weir_export_like_dtype(const char *const like[WEIR_EXPORT_LIKE], enum weir_safetensors_dtype *dtype_out)
{
    enum weir_safetensors_dtype dtype = WEIR_SAFETENSORS_DTYPES;
    weir_status status = WEIR_OK;
    for (int i = WEIR_EXPORT_LIKE - 1; i >= 0 && !status && dtype == WEIR_SAFETENSORS_DTYPES; i--)
        status = like[i] ? weights_dtype(like[i], &dtype) : WEIR_OK;
    for (int i = WEIR_EXPORT_LIKE - 1; i >= 0 && !status && dtype == WEIR_SAFETENSORS_DTYPES; i--)
        status = like[i] ? config_dtype(like[i], &dtype) : WEIR_OK;
    if (!status)
        *dtype_out = dtype == WEIR_SAFETENSORS_DTYPES ? WEIR_SAFETENSORS_F32 : dtype;
    return status;
}
