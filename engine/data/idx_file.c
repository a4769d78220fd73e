#include "engine/data/idx_file.h"

#include "base/alloc.h"
#include "engine/data/gzip_file.h"

static weir_status reader_fill(struct weir_gzip *reader, void *to, size_t bytes, const char *what)
{
    size_t got = 0;
    weir_status status = weir_gzip_read(reader, to, bytes, &got);
    if (status || got == bytes)
        return status;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' ends at byte %llu, within its %s, which needs %zu more", reader->path,
                     (unsigned long long)reader->offset, what, bytes - got);
}

static uint32_t big_endian(const unsigned char *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

weir_status weir_idx_magic(const char *path, uint32_t *magic_out)
{
    struct weir_gzip reader;
    weir_status status = weir_gzip_open(path, &reader);
    if (status)
        return status;
    unsigned char start[4];
    size_t got = 0;
    status = weir_gzip_read(&reader, start, sizeof start, &got);
    if (!status)
        *magic_out = got == sizeof start ? big_endian(start) : 0;
    weir_gzip_close(&reader);
    return status;
}

static weir_status header_read(struct weir_gzip *reader, uint32_t magic, struct weir_idx *idx)
{
    unsigned char header[4 + 4 * 4];
    idx->n_dims = (int)(magic & 0xff);
    weir_status status = reader_fill(reader, header, 4 + 4 * (size_t)idx->n_dims, "header");
    if (status)
        return status;
    if (big_endian(header) != magic)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with 0x%08x, 0x%08x is needed", reader->path,
                         (unsigned)big_endian(header), (unsigned)magic);
    idx->n_elements = 1;
    for (int i = 0; i < idx->n_dims; i++) {
        idx->dims[i] = big_endian(header + 4 + 4 * i);
        if (idx->dims[i] == 0)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': dimension %d at byte %d is 0", reader->path, i, 4 + 4 * i);
        if (__builtin_mul_overflow(idx->n_elements, (size_t)idx->dims[i], &idx->n_elements) ||
            idx->n_elements > reader->capacity)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the dimensions up to the one at byte %d ask for more than the file "
                             "can hold", reader->path, 4 + 4 * i);
    }
    return WEIR_OK;
}

static weir_status elements_read(struct weir_gzip *reader, struct weir_idx *idx)
{
    char beyond;
    size_t got = 0;
    weir_status status = weir_alloc(idx->n_elements, 1, &idx->elements);
    if (status)
        return status;
    status = reader_fill(reader, idx->elements, idx->n_elements, "elements");
    if (!status) /* reading on also makes zlib compare the checksum */
        status = weir_gzip_read(reader, &beyond, 1, &got);
    if (!status && got)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' goes on after byte %llu, where its dimensions end", reader->path,
                           (unsigned long long)reader->offset - 1);
    if (status)
        weir_free(idx->elements);
    return status;
}

weir_status weir_idx_read(const char *path, uint32_t magic, struct weir_idx *idx_out)
{
    struct weir_gzip reader;
    struct weir_idx idx = {0};
    weir_status status = weir_gzip_open(path, &reader);
    if (status)
        return status;
    status = header_read(&reader, magic, &idx);
    if (!status)
        status = elements_read(&reader, &idx);
    if (!status)
        *idx_out = idx;
    weir_gzip_close(&reader);
    return status;
}
