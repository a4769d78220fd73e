#include "base/json.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"

enum { LARGEST_DOCUMENT = 1 << 30 };

weir_status weir_json_parse(const char *text, size_t bytes, const char *name, json_t **root_out)
{
    json_error_t error;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' line %d: %s", name, error.line, error.text);
    *root_out = root;
    return WEIR_OK;
}

weir_status weir_json_load(const char *path, json_t **root_out)
{
    char *data;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_DOCUMENT, &data, &bytes);
    if (status)
        return status;
    status = weir_json_parse(data, bytes, path, root_out);
    weir_free(data);
    return status;
}

weir_status weir_json_print(json_t *root, int indent, struct weir_arena *arena, const char **text_out)
{
    size_t form = indent ? JSON_INDENT((size_t)indent) : JSON_COMPACT;
    char *text = root ? json_dumps(root, form | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    if (!text)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory for a JSON document");
    weir_status status = weir_arena_strdup(arena, text, text_out);
    free(text);
    return status;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a string", "an integer",
                                        "a real",    "true",     "false",    "null"};
    return value ? names[json_typeof(value)] : "missing";
}

weir_status weir_json_number(const json_t *object, const char *where, const char *key, double *value_out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is %s, a number is needed", where, key, type_name(value));
    *value_out = json_number_value(value);
    return WEIR_OK;
}

weir_status weir_json_integer(const json_t *object, const char *where, const char *key, int64_t *value_out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s: '%s' is %s, an integer is needed", where, key, type_name(value));
    *value_out = json_integer_value(value);
    return WEIR_OK;
}
