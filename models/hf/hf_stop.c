#include "include/weir/tokens.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"

enum { MOST_IDS = 1024 };
static const char key[] = "eos_token_id";

static weir_status id_read(const char *path, const json_t *value, int32_t *id_out)
{
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    if (id < 0 || id > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is neither a token from 0 to %d nor a list of such", path, key, INT32_MAX);
    *id_out = (int32_t)id;
    return WEIR_OK;
}

static weir_status ids_read(const char *path, const json_t *value, struct weir_arena *arena, const int32_t **ids_out, int *n_out)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    int32_t *ids;
    if (n > MOST_IDS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' has %zu tokens, more than %d", path, key, n, MOST_IDS);
    weir_status status = weir_arena_alloc(arena, n, sizeof *ids, &ids);
    for (size_t i = 0; i < n && !status; i++)
        status = id_read(path, json_is_array(value) ? json_array_get(value, i) : value, &ids[i]);
    if (status)
        return status;
    *ids_out = ids;
    *n_out = (int)n;
    return WEIR_OK;
}

static bool is_there(const char *path)
{
    FILE *file = fopen(path, "re");
    bool there = file || (errno != ENOENT && errno != ENOTDIR); /* what cannot be opened is the reader's to refuse */
    if (file)
        fclose(file);
    return there;
}

static weir_status file_read(const char *folder, const char *name, struct weir_arena *arena, const int32_t **ids_out, int *n_out)
{
    const char *path;
    json_t *root;
    weir_status status = weir_arena_printf(arena, &path, "%s/%s", folder, name);
    if (status || !is_there(path))
        return status;
    status = weir_json_load(path, &root);
    if (status)
        return status;
    const json_t *value = json_object_get(root, key);
    if (!json_is_object(root))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "%s is no JSON object", path);
    else if (value && !json_is_null(value))
        status = ids_read(path, value, arena, ids_out, n_out);
    json_decref(root);
    return status;
}

weir_status weir_tokens_stop(const char *folder, struct weir_arena *arena, const int32_t **ids_out, int *n_out)
{
    const int32_t *ids = NULL;
    int n = 0;
    weir_status status = file_read(folder, "generation_config.json", arena, &ids, &n);
    if (!status && !n)
        status = file_read(folder, "config.json", arena, &ids, &n);
    if (status)
        return status;
    *ids_out = ids;
    *n_out = n;
    return WEIR_OK;
}
