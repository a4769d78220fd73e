/* Where every byte of a file to be written will lie: places and header follow from the declarations alone. */
#include "base/safetensors_layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/safetensors_dtype.h"

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

static weir_status json_append(struct weir_text *text, const char *word)
{
    json_t *string = json_string(word);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    if (!quoted)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a safetensors file cannot hold the name or text '%s': it is not UTF-8", word);
    weir_text_append(text, "%s", quoted);
    free(quoted);
    return text->status;
}

static weir_status metadata_append(const struct weir_safetensors_spec *spec, struct weir_text *text)
{
    weir_status status = WEIR_OK;
    weir_text_append(text, "\"__metadata__\":{");
    for (int i = 0; i < spec->n_metadata && !status; i++) {
        weir_text_append(text, "%s", i ? "," : "");
        status = json_append(text, spec->metadata[i].key);
        weir_text_append(text, ":");
        if (!status)
            status = json_append(text, spec->metadata[i].value);
    }
    weir_text_append(text, "}");
    return status ? status : text->status;
}

static weir_status tensor_append(const struct weir_safetensors_place *place, struct weir_text *text)
{
    const struct weir_safetensors_decl *decl = place->decl;
    weir_status status = json_append(text, decl->name);
    weir_text_append(text, ":{\"dtype\":\"%s\",\"shape\":[", weir_safetensors_dtype_str(decl->dtype));
    for (int i = 0; i < decl->n_dims; i++)
        weir_text_append(text, "%s%" PRId64, i ? "," : "", decl->dims[i]);
    weir_text_append(text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", place->begin, place->begin + place->bytes);
    return status ? status : text->status;
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

static weir_status header_make(const struct weir_safetensors_spec *spec, struct weir_safetensors_layout *layout)
{
    struct weir_text *text = &layout->header;
    weir_text_append(text, "{");
    weir_status status = spec->n_metadata ? metadata_append(spec, text) : WEIR_OK;
    for (int i = 0; i < spec->n_tensors && !status; i++) {
        weir_text_append(text, "%s", i || spec->n_metadata ? "," : "");
        status = tensor_append(&layout->places[i], text);
    }
    weir_text_append(text, "}");
    if (status || text->status)
        return status ? status : text->status;
    int padding = (int)((DATA_ALIGNMENT - (8 + text->length) % DATA_ALIGNMENT) % DATA_ALIGNMENT);
    weir_text_append(text, "%*s", padding, "");
    if (!text->status && text->length > WEIR_SAFETENSORS_HEADER_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the names and shapes need %zu bytes, the format allows %d", spec->path,
                         text->length, (int)WEIR_SAFETENSORS_HEADER_MAX);
    return text->status;
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
