/* The reader: read the header, check, look up. */
#include "base/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"

/* ---- the header ---------------------------------------------------------------------------------------------------- */

static weir_status shape_read(struct weir_safetensors *file, const json_t *entry, struct weir_safetensors_tensor *tensor)
{
    const json_t *shape = json_object_get(entry, "shape");
    int64_t *dims;
    if (!json_is_array(shape))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' has no 'shape' list", file->path, tensor->name);
    tensor->n_dims = (int)json_array_size(shape);
    weir_status status = weir_arena_alloc(&file->arena, (size_t)tensor->n_dims, sizeof *dims, &dims);
    for (int i = 0; i < tensor->n_dims && !status; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        dims[i] = json_integer_value(dim);
        if (!json_is_integer(dim) || dims[i] < 0)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': dimension %d of tensor '%s' is not a whole number from 0",
                               file->path, i, tensor->name);
    }
    tensor->dims = dims;
    return status;
}

static weir_status dtype_read(const struct weir_safetensors *file, const json_t *entry,
                              struct weir_safetensors_tensor *tensor)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    for (int d = 0; name && d < WEIR_SAFETENSORS_DTYPES; d++)
        if (!strcmp(name, weir_safetensors_dtype_str((enum weir_safetensors_dtype)d))) {
            tensor->dtype = (enum weir_safetensors_dtype)d;
            return WEIR_OK;
        }
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' has dtype '%s', which the format does not know", file->path,
                     tensor->name, name ? name : "none");
}

static weir_status offsets_read(const struct weir_safetensors *file, const json_t *entry,
                                struct weir_safetensors_tensor *tensor)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' has no 'data_offsets' [BEGIN, END] with 0 <= BEGIN <= END",
                         file->path, tensor->name);
    tensor->begin = (uint64_t)json_integer_value(begin);
    tensor->end = (uint64_t)json_integer_value(end);
    return WEIR_OK;
}

/* Shape, dtype and bytes agree. */
static weir_status bytes_check(const struct weir_safetensors *file, struct weir_safetensors_tensor *tensor)
{
    char text[WEIR_SAFETENSORS_SHAPE_TEXT];
    const char *dtype = weir_safetensors_dtype_str(tensor->dtype);
    uint64_t bits;
    weir_safetensors_shape_str(tensor->n_dims, tensor->dims, text);
    if (!weir_safetensors_size(tensor->dtype, tensor->n_dims, tensor->dims, &tensor->n_elements, &bits))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' %s %s has more elements than can be counted", file->path,
                         tensor->name, dtype, text);
    if (bits % 8)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' %s %s does not end at a whole byte", file->path,
                         tensor->name, dtype, text);
    if (bits / 8 != tensor->end - tensor->begin)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' %s %s needs %" PRIu64 " bytes, its offsets hold %" PRIu64,
                         file->path, tensor->name, dtype, text, bits / 8, tensor->end - tensor->begin);
    return WEIR_OK;
}

static weir_status tensor_read(struct weir_safetensors *file, const char *name, const json_t *entry,
                               struct weir_safetensors_tensor *tensor)
{
    weir_status status = weir_arena_strdup(&file->arena, name, &tensor->name);
    if (!status && !json_is_object(entry))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' is not an object", file->path, name);
    if (!status)
        status = dtype_read(file, entry, tensor);
    if (!status)
        status = shape_read(file, entry, tensor);
    if (!status)
        status = offsets_read(file, entry, tensor);
    return status ? status : bytes_check(file, tensor);
}

static weir_status metadata_read(struct weir_safetensors *file, json_t *object)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '__metadata__' is not an object", file->path);
    weir_status status =
        weir_arena_alloc(&file->arena, json_object_size(object), sizeof *file->metadata, &file->metadata);
    json_object_foreach(object, key, value) {
        struct weir_safetensors_text text = {NULL, NULL};
        if (!status && !json_is_string(value))
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': '%s' of '__metadata__' is not a string", file->path, key);
        if (!status)
            status = weir_arena_strdup(&file->arena, key, &text.key);
        if (!status)
            status = weir_arena_strdup(&file->arena, json_string_value(value), &text.value);
        if (status)
            return status;
        file->metadata[file->n_metadata++] = text;
    }
    return status;
}

static weir_status header_read(struct weir_safetensors *file, json_t *root)
{
    const char *name;
    json_t *entry;
    if (!json_is_object(root))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the header is not a JSON object", file->path);
    weir_status status = weir_arena_alloc(&file->arena, json_object_size(root), sizeof *file->tensors, &file->tensors);
    json_object_foreach(root, name, entry) {
        if (status)
            return status;
        if (!strcmp(name, "__metadata__"))
            status = metadata_read(file, entry);
        else
            status = tensor_read(file, name, entry, &file->tensors[file->n_tensors++]);
    }
    return status;
}

static int by_begin(const void *a, const void *b)
{
    const struct weir_safetensors_tensor *x = a, *y = b;
    int begin = (x->begin > y->begin) - (x->begin < y->begin);
    return begin ? begin : (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
    const struct weir_safetensors_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* The tensors follow each other without a gap and end with the file. */
static weir_status places_check(struct weir_safetensors *file, uint64_t data_bytes)
{
    uint64_t at = 0;
    if (file->n_tensors)
        qsort(file->tensors, (size_t)file->n_tensors, sizeof *file->tensors, by_begin);
    for (int i = 0; i < file->n_tensors; at = file->tensors[i++].end)
        if (file->tensors[i].begin != at)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' starts at byte %" PRIu64 " of the data, where the tensors "
                             "before it end at %" PRIu64, file->path, file->tensors[i].name, file->tensors[i].begin, at);
    if (at != data_bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the tensors have %" PRIu64 " bytes, the file has %" PRIu64 " for them",
                         file->path, at, data_bytes);
    if (file->n_tensors)
        qsort(file->tensors, (size_t)file->n_tensors, sizeof *file->tensors, by_name);
    return WEIR_OK;
}

/* The header's length, which the first eight bytes of a file of `n_bytes` say. */
static weir_status length_read(const struct weir_safetensors *file, const unsigned char first[8], uint64_t n_bytes,
                               uint64_t *length_out)
{
    uint64_t header = 0;
    for (int i = 0; i < 8; i++)
        header |= (uint64_t)first[i] << (8 * i);
    if (header > WEIR_SAFETENSORS_HEADER_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the header has %" PRIu64 " bytes, at most %d are allowed: it is not a "
                         "safetensors file", file->path, header, (int)WEIR_SAFETENSORS_HEADER_MAX);
    if (header > n_bytes - 8)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the header has %" PRIu64 " bytes, %" PRIu64 " follow: the file is cut short",
                         file->path, header, n_bytes - 8);
    *length_out = header;
    return WEIR_OK;
}

static weir_status text_read(struct weir_safetensors *file, const char *text, uint64_t length, uint64_t n_bytes)
{
    json_t *root;
    weir_status status = weir_json_parse(text, (size_t)length, file->path, &root);
    if (status)
        return weir_error_prefix(status, "safetensors header: ");
    status = header_read(file, root);
    json_decref(root);
    file->data_at = 8 + length;
    return status ? status : places_check(file, n_bytes - 8 - length);
}

static weir_status size_check(const char *path, uint64_t n_bytes)
{
    if (n_bytes >= 8)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %" PRIu64 " bytes, a safetensors file has at least 8", path, n_bytes);
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static weir_status memory_read(struct weir_safetensors *file, const void *bytes, size_t n)
{
    uint64_t length = 0;
    weir_status status = size_check(file->path, n);
    if (!status)
        status = length_read(file, bytes, n, &length);
    file->bytes = bytes;
    return status ? status : text_read(file, file->bytes + 8, length, n);
}

weir_status weir_safetensors_parse(const void *bytes, size_t n, const char *path, struct weir_safetensors *file_out)
{
    struct weir_safetensors file = {0};
    weir_status status = weir_arena_strdup(&file.arena, path, &file.path);
    if (!status)
        status = memory_read(&file, bytes, n);
    if (status)
        weir_arena_release(&file.arena);
    else
        *file_out = file;
    return status;
}

static weir_status file_read(struct weir_safetensors *file)
{
    unsigned char first[8];
    uint64_t length = 0;
    char *text;
    weir_status status = size_check(file->path, file->file.n_bytes);
    if (!status)
        status = weir_ranged_read(&file->file, 0, first, sizeof first);
    if (!status)
        status = length_read(file, first, file->file.n_bytes, &length);
    if (!status)
        status = weir_alloc((size_t)length, 1, &text);
    if (status)
        return status;
    status = weir_ranged_read(&file->file, 8, text, (size_t)length);
    if (!status)
        status = text_read(file, text, length, file->file.n_bytes);
    weir_free(text);
    return status;
}

weir_status weir_safetensors_open(const char *path, struct weir_safetensors *file_out)
{
    struct weir_safetensors file = {0};
    weir_status status = weir_ranged_open(path, &file.file);
    if (status)
        return status;
    file.path = file.file.path;
    status = file_read(&file);
    if (status)
        weir_safetensors_close(&file);
    else
        *file_out = file;
    return status;
}

void weir_safetensors_close(struct weir_safetensors *file)
{
    weir_ranged_close(&file->file);
    weir_arena_release(&file->arena);
    *file = (struct weir_safetensors){0};
}

const struct weir_safetensors_tensor *weir_safetensors_find(const struct weir_safetensors *file, const char *name)
{
    const struct weir_safetensors_tensor key = {.name = name};
    return file->n_tensors
               ? bsearch(&key, file->tensors, (size_t)file->n_tensors, sizeof key, by_name)
               : NULL;
}

const char *weir_safetensors_metadata(const struct weir_safetensors *file, const char *key)
{
    for (int i = 0; i < file->n_metadata; i++)
        if (!strcmp(file->metadata[i].key, key))
            return file->metadata[i].value;
    return NULL;
}
