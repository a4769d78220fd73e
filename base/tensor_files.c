#include "base/tensor_files.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* The file to start from. */
static weir_status start_find(struct weir_tensor_files *files, const char *path)
{
    if (!is_folder(path))
        return weir_arena_strdup(&files->arena, path, &files->path);
    const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
    for (int i = 0; i < 2; i++) {
        weir_status status = weir_arena_printf(&files->arena, &files->path, "%s/%s", path, names[i]);
        if (status || access(files->path, F_OK) == 0)
            return status;
    }
    return WEIR_FAIL(WEIR_ERR_IO, "folder '%s' has no model.safetensors and no model.safetensors.index.json", path);
}

static weir_status shard_open(struct weir_tensor_files *files, const char *name)
{
    const char *slash = strrchr(files->path, '/'), *path;
    if (!*name || strchr(name, '/') || !strcmp(name, ".."))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': shard '%s' is not a plain name of a file beside the index", files->path,
                         name);
    for (int i = 0; i < files->n_files; i++) {
        const char *known = strrchr(files->files[i].path, '/');
        if (!strcmp(known ? known + 1 : files->files[i].path, name))
            return WEIR_OK;
    }
    int folder = slash ? (int)(slash - files->path) + 1 : 0;
    weir_status status = weir_arena_printf(&files->arena, &path, "%.*s%s", folder, files->path, name);
    if (!status)
        status = weir_safetensors_open(path, &files->files[files->n_files]);
    if (status)
        return weir_error_prefix(status, "shard of '%s': ", files->path);
    files->n_files++;
    return WEIR_OK;
}

static const struct weir_safetensors *shard_find(const struct weir_tensor_files *files, const char *name)
{
    for (int i = 0; i < files->n_files; i++) {
        const char *slash = strrchr(files->files[i].path, '/');
        if (!strcmp(slash ? slash + 1 : files->files[i].path, name))
            return &files->files[i];
    }
    return NULL;
}

/* Index and shards name the same tensors. */
static weir_status map_check(const struct weir_tensor_files *files, json_t *map)
{
    const char *tensor;
    json_t *shard;
    json_object_foreach(map, tensor, shard) {
        const struct weir_safetensors *file = shard_find(files, json_string_value(shard));
        if (!file || !weir_safetensors_find(file, tensor))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' is not in shard '%s'", files->path, tensor,
                             json_string_value(shard));
    }
    for (int f = 0; f < files->n_files; f++)
        for (int t = 0; t < files->files[f].n_tensors; t++) {
            const char *name = files->files[f].tensors[t].name;
            const char *mapped = json_string_value(json_object_get(map, name));
            if (!mapped || shard_find(files, mapped) != &files->files[f])
                return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the index does not say that tensor '%s' is in '%s'", files->path,
                                 name, files->files[f].path);
        }
    return WEIR_OK;
}

static weir_status index_read(struct weir_tensor_files *files, json_t *map)
{
    const char *tensor;
    json_t *shard;
    if (!json_is_object(map))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no object 'weight_map'", files->path);
    weir_status status = weir_arena_alloc(&files->arena, json_object_size(map), sizeof *files->files, &files->files);
    json_object_foreach(map, tensor, shard) {
        if (!status && !json_is_string(shard))
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the shard of tensor '%s' is not a string", files->path, tensor);
        if (!status)
            status = shard_open(files, json_string_value(shard));
        if (status)
            return status;
    }
    return status ? status : map_check(files, map);
}

static weir_status all_open(struct weir_tensor_files *files, const char *path)
{
    weir_status status = start_find(files, path);
    if (status)
        return status;
    if (!ends_with(files->path, ".json")) {
        status = weir_arena_alloc(&files->arena, 1, sizeof *files->files, &files->files);
        if (!status)
            status = weir_safetensors_open(files->path, &files->files[0]);
        files->n_files = status ? 0 : 1;
        return status;
    }
    json_t *root;
    status = weir_json_load(files->path, &root);
    if (status)
        return status;
    status = index_read(files, json_object_get(root, "weight_map"));
    json_decref(root);
    return status;
}

weir_status weir_tensor_files_open(const char *path, struct weir_tensor_files *files_out)
{
    struct weir_tensor_files files = {0};
    weir_status status = all_open(&files, path);
    if (status)
        weir_tensor_files_close(&files);
    else
        *files_out = files;
    return status;
}

void weir_tensor_files_close(struct weir_tensor_files *files)
{
    for (int i = 0; i < files->n_files; i++)
        weir_safetensors_close(&files->files[i]);
    weir_arena_release(&files->arena);
    *files = (struct weir_tensor_files){0};
}

bool weir_tensor_files_find(const struct weir_tensor_files *files, const char *name,
                            const struct weir_safetensors **file_out, const struct weir_safetensors_tensor **tensor_out)
{
    for (int i = 0; i < files->n_files; i++) {
        const struct weir_safetensors_tensor *tensor = weir_safetensors_find(&files->files[i], name);
        if (tensor) {
            *file_out = &files->files[i];
            *tensor_out = tensor;
            return true;
        }
    }
    return false;
}
