#include "engine/data/idx_file.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/input_file.h"

/* A byte of deflated data stands for at most 1032 bytes, so a file of n bytes holds less than 1032 · (n + 1). */
enum { LARGEST_EXPANSION = 1032, LARGEST_READ = 1 << 24 };

struct reader {
    const char *path;
    gzFile file;
    uint64_t offset;   /* inflated bytes read so far */
    uint64_t capacity; /* more cannot be in the file */
};

static weir_status reader_open(const char *path, struct reader *reader)
{
    struct weir_input_file input;
    weir_status status = weir_input_open(path, WEIR_INPUT_ANY_SIZE / LARGEST_EXPANSION - 1, &input);
    if (status)
        return status;
    *reader = (struct reader){.path = path, .file = gzdopen(input.descriptor, "rb")}; /* the descriptor is its own now */
    if (!reader->file) {
        weir_input_close(&input);
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot open '%s': out of memory", path);
    }
    reader->capacity = gzdirect(reader->file) ? input.n_bytes : (input.n_bytes + 1) * LARGEST_EXPANSION;
    return WEIR_OK;
}

static weir_status zlib_fail(const struct reader *reader)
{
    int code = Z_OK;
    const char *text = gzerror(reader->file, &code);
    if (code == Z_ERRNO)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s': %s", reader->path, strerror(errno));
    size_t prefix = strlen(reader->path); /* zlib's messages start with the path */
    if (!strncmp(text, reader->path, prefix) && !strncmp(text + prefix, ": ", 2))
        text += prefix + 2;
    const char *reason = code == Z_BUF_ERROR ? "the gzip data ends early" : text;
    return WEIR_FAIL(code == Z_MEM_ERROR ? WEIR_ERR_NOMEM : WEIR_ERR_INVALID, "'%s' is damaged at byte %llu: %s",
                     reader->path, (unsigned long long)reader->offset, reason);
}

/* Read up to `bytes` bytes; less only at the end of the file. */
static weir_status reader_read(struct reader *reader, void *to, size_t bytes, size_t *got_out)
{
    size_t got = 0;
    int n = 1;
    while (got < bytes && n > 0) {
        size_t want = bytes - got < LARGEST_READ ? bytes - got : LARGEST_READ;
        n = gzread(reader->file, (char *)to + got, (unsigned)want);
        got += n > 0 ? (size_t)n : 0;
        reader->offset += n > 0 ? (uint64_t)n : 0;
    }
    int code = Z_OK;
    gzerror(reader->file, &code);
    if (code != Z_OK && code != Z_STREAM_END)
        return zlib_fail(reader);
    *got_out = got;
    return WEIR_OK;
}

static weir_status reader_fill(struct reader *reader, void *to, size_t bytes, const char *what)
{
    size_t got = 0;
    weir_status status = reader_read(reader, to, bytes, &got);
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
    struct reader reader;
    weir_status status = reader_open(path, &reader);
    if (status)
        return status;
    unsigned char start[4];
    size_t got = 0;
    status = reader_read(&reader, start, sizeof start, &got);
    if (!status)
        *magic_out = got == sizeof start ? big_endian(start) : 0;
    gzclose_r(reader.file);
    return status;
}

static weir_status header_read(struct reader *reader, uint32_t magic, struct weir_idx *idx)
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

static weir_status elements_read(struct reader *reader, struct weir_idx *idx)
{
    char beyond;
    size_t got = 0;
    weir_status status = weir_alloc(idx->n_elements, 1, &idx->elements);
    if (status)
        return status;
    status = reader_fill(reader, idx->elements, idx->n_elements, "elements");
    if (!status) /* reading on also makes zlib compare the checksum */
        status = reader_read(reader, &beyond, 1, &got);
    if (!status && got)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' goes on after byte %llu, where its dimensions end", reader->path,
                           (unsigned long long)reader->offset - 1);
    if (status)
        weir_free(idx->elements);
    return status;
}

weir_status weir_idx_read(const char *path, uint32_t magic, struct weir_idx *idx_out)
{
    struct reader reader;
    struct weir_idx idx = {0};
    weir_status status = reader_open(path, &reader);
    if (status)
        return status;
    status = header_read(&reader, magic, &idx);
    if (!status)
        status = elements_read(&reader, &idx);
    if (!status)
        *idx_out = idx;
    gzclose_r(reader.file);
    return status;
}
