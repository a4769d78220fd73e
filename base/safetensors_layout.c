/* Where every byte of a file to be written will lie: places and header follow from the declarations alone. */
#include "base/safetensors_layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"

enum { DATA_ALIGNMENT = 64 };

static int by_alignment(const void *a, const void *b)
{
    const struct weir_safetensors_place *x = a, *y = b;
    int alignment = (int)weir_safetensors_bits(y->decl->dtype) - (int)weir_safetensors_bits(x->decl->dtype);
    return alignment ? alignment : strcmp(x->decl->name, y->decl->name);
}

static int by_index(const void *a, const void *b)
{
    const struct weir_safetensors_place *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* A member of the header; takes the reference to `value`.  jansson takes names and texts in UTF-8 alone. */
static weir_status member_set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) == 0)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "a safetensors file cannot hold the name or text of '%s': it is not UTF-8", name);
}

static weir_status metadata_set(const struct weir_safetensors_spec *spec, json_t *root)
{
    json_t *metadata = json_object();
    if (!metadata)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory for the header of a safetensors file");
    weir_status status = spec->n_metadata ? member_set(root, "__metadata__", json_incref(metadata)) : WEIR_OK;
    for (int i = 0; i < spec->n_metadata && !status; i++)
        status = member_set(metadata, spec->metadata[i].key, json_string(spec->metadata[i].value));
    json_decref(metadata);
    return status;
}

static weir_status tensor_set(const struct weir_safetensors_place *place, json_t *root)
{
    const struct weir_safetensors_decl *decl = place->decl;
    json_t *shape = json_array();
    bool whole = shape;
    for (int i = 0; i < decl->n_dims && whole; i++)
        whole = json_array_append_new(shape, json_integer(decl->dims[i])) == 0;
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", weir_safetensors_dtype_str(decl->dtype), "shape", shape,
                              "data_offsets", (json_int_t)place->begin, (json_int_t)(place->begin + place->bytes));
    if (whole && entry)
        return member_set(root, decl->name, entry);
    json_decref(entry);
    return WEIR_FAIL(WEIR_ERR_NOMEM, "out of memory for the header of a safetensors file");
}

/* Sort, give every tensor its place; refuse what the format cannot say. */
static weir_status places_make(const struct weir_safetensors_spec *spec, struct weir_safetensors_layout *layout)
{
    for (int i = 0; i < spec->n_tensors; i++) {
        const struct weir_safetensors_decl *decl = &spec->tensors[i];
        int64_t elements;
        uint64_t bits;
        if (!weir_safetensors_size(decl->dtype, decl->n_dims, decl->dims, &elements, &bits) || bits % 8 ||
            !strcmp(decl->name, "__metadata__"))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' has a name, dtype or shape that the format cannot hold",
                             spec->path, decl->name);
        layout->places[i] = (struct weir_safetensors_place){decl, i, 0, bits / 8};
    }
    if (spec->n_tensors)
        qsort(layout->places, (size_t)spec->n_tensors, sizeof *layout->places, by_alignment);
    for (int i = 0; i < spec->n_tensors; i++) {
        struct weir_safetensors_place *place = &layout->places[i];
        place->begin = layout->data_bytes;
        if (__builtin_add_overflow(place->begin, place->bytes, &layout->data_bytes) || layout->data_bytes > INT64_MAX / 2)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the tensors have more bytes than a file can", spec->path);
    }
    return WEIR_OK;
}

static int by_word(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static weir_status names_check(const struct weir_safetensors_spec *spec)
{
    const char **names;
    weir_status status = weir_alloc((size_t)spec->n_tensors, sizeof *names, &names);
    if (status)
        return status;
    for (int i = 0; i < spec->n_tensors; i++)
        names[i] = spec->tensors[i].name;
    if (spec->n_tensors)
        qsort(names, (size_t)spec->n_tensors, sizeof *names, by_word);
    for (int i = 1; i < spec->n_tensors && !status; i++)
        if (!strcmp(names[i - 1], names[i]))
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' is declared twice", spec->path, names[i]);
    weir_free(names);
    return status;
}

static weir_status members_set(const struct weir_safetensors_spec *spec, const struct weir_safetensors_layout *layout,
                               json_t *root)
{
    weir_status status = metadata_set(spec, root);
    for (int i = 0; i < spec->n_tensors && !status; i++)
        status = tensor_set(&layout->places[i], root);
    return status;
}

static weir_status header_make(const struct weir_safetensors_spec *spec, struct weir_safetensors_layout *layout)
{
    struct weir_text *text = &layout->header;
    struct weir_arena arena = {0};
    const char *members = NULL;
    json_t *root = json_object();
    weir_status status = members_set(spec, layout, root);
    if (!status)
        status = weir_json_print(json_incref(root), 0, &arena, &members);
    json_decref(root);
    if (!status) {
        size_t padding = (DATA_ALIGNMENT - (8 + strlen(members)) % DATA_ALIGNMENT) % DATA_ALIGNMENT;
        weir_text_append(text, "%s%*s", members, (int)padding, "");
        status = text->status;
    }
    weir_arena_release(&arena);
    if (!status && text->length > WEIR_SAFETENSORS_HEADER_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the names and shapes need %zu bytes, the format allows %d", spec->path,
                         text->length, (int)WEIR_SAFETENSORS_HEADER_MAX);
    return status;
}

weir_status weir_safetensors_layout_make(const struct weir_safetensors_spec *spec, struct weir_safetensors_layout *layout)
{
    weir_status status = weir_alloc((size_t)spec->n_tensors, sizeof *layout->places, &layout->places);
    if (!status)
        status = names_check(spec);
    if (!status)
        status = places_make(spec, layout);
    if (!status)
        status = header_make(spec, layout);
    if (!status && spec->n_tensors)
        qsort(layout->places, (size_t)spec->n_tensors, sizeof *layout->places, by_index);
    return status;
}

void weir_safetensors_layout_release(struct weir_safetensors_layout *layout)
{
    weir_text_release(&layout->header);
    weir_free(layout->places);
}
