/* NumPy's .npy: a one-dimensional array of little-endian integers.
 *
 *     \x93NUMPY │ major, minor │ u16 (major 1) or u32: N │ N bytes: {'descr': '<u2', 'fortran_order': False, 'shape': (9,), }
 *
 * (numpy/lib/format.py.)  The header is a Python dictionary of three keys in any order. */
#include <stdio.h>
#include <string.h>

#include "engine/data/token_formats.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC = sizeof magic - 1, PREFIX = MAGIC + 2, MOST_HEADER = 1 << 16 };

/* What stands behind 'key': in the header, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

static weir_status descr_read(const char *path, const char *header, enum weir_token_type *type_out, const char **kind_out)
{
#define KIND(name, width) "NumPy " #name,
    static const char *const kinds[] = {WEIR_TOKEN_TABLE(KIND)};
#undef KIND
    static const char *const descrs[] = {"|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8"}; /* as the enum */
    const char *at = value_of(header, "descr");
    if (!at || *at != '\'')
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a NumPy array of records or without 'descr': an array of integers is "
                         "needed",
                         path);
    int n = (int)strcspn(++at, "'");
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++)
        if ((size_t)n == strlen(descrs[i]) && !strncmp(at, descrs[i], (size_t)n)) {
            *type_out = (enum weir_token_type)i;
            *kind_out = kinds[i];
            return WEIR_OK;
        }
    if (*at == '>')
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a NumPy array of dtype '%.*s', which is big-endian: save it as "
                         "little-endian "
                         "integers, array.astype('<i4')", path, n, at);
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a NumPy array of dtype '%.*s': tokens are integers, "
                     "array.astype('<i4')", path, n,
                     at);
}

/* The count of "(9,)". */
static weir_status shape_read(const char *path, const char *header, uint64_t *count_out)
{
    const char *at = value_of(header, "shape");
    unsigned long long count = 0;
    int used = 0;
    if (at && sscanf(at, "( %18llu , %n", &count, &used) == 1 && used && at[used] == ')') {
        *count_out = count;
        return WEIR_OK;
    }
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a NumPy array of shape %.*s: tokens need one dimension, array.ravel()", path,
                     at ? (int)strcspn(at, ")") + (strchr(at, ')') != NULL) : 4, at ? at : "none");
}

/* Where the header stands and how long it is; false when the file ends before. */
static bool header_find(const struct weir_token_content *content, size_t *at_out, size_t *n_out)
{
    if (content->n_bytes < PREFIX)
        return false;
    int major = content->bytes[MAGIC], width = major == 1 ? 2 : 4;
    if (content->n_bytes < (size_t)(PREFIX + width))
        return false;
    *at_out = (size_t)(PREFIX + width);
    *n_out = (size_t)weir_little_endian(content->bytes + PREFIX, width);
    return *n_out <= content->n_bytes - *at_out;
}

static weir_status header_read(const struct weir_token_content *content, size_t at, size_t n, struct weir_token_file *file)
{
    char header[MOST_HEADER + 1];
    uint64_t count = 0;
    enum weir_token_type type = WEIR_TOKEN_uint8;
    if (n > MOST_HEADER || memchr(content->bytes + at, 0, n))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the NumPy header of %zu bytes is damaged", content->path, n);
    memcpy(header, content->bytes + at, n);
    header[n] = 0;
    weir_status status = descr_read(content->path, header, &type, &file->kind);
    if (!status)
        status = shape_read(content->path, header, &count);
    if (status)
        return status;
    weir_token_file_set(content, type, at + n, file);
    size_t left = content->n_bytes - at - n;
    if (count != (uint64_t)file->n_tokens || left % (size_t)file->width)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the NumPy header asks for %llu elements of %d bytes, %zu bytes follow "
                         "it: the file "
                         "is cut short or too long",
                         content->path, (unsigned long long)count, file->width, left);
    if (!count)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a NumPy array without elements", content->path);
    return WEIR_OK;
}

weir_status weir_token_npy_read(const struct weir_token_content *content, struct weir_token_file *file)
{
    size_t at, n;
    if (content->n_bytes < MAGIC || memcmp(content->bytes, magic, MAGIC) != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' does not start as a NumPy array, with \\x93NUMPY", content->path);
    if (!header_find(content, &at, &n))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' ends at byte %zu, within its NumPy header", content->path, content->n_bytes);
    if (content->bytes[MAGIC] < 1 || content->bytes[MAGIC] > 3)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': NumPy format %d is not read, 1 to 3 "
                         "are", content->path, content->bytes[MAGIC]);
    return header_read(content, at, n, file);
}
