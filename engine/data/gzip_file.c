#include "engine/data/gzip_file.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/input_file.h"

/* A byte of deflated data stands for at most 1032 bytes, so a file of n bytes holds less than 1032 · (n + 1). */
enum { LARGEST_EXPANSION = 1032, LARGEST_READ = 1 << 24, UNPACK_STEP = 1 << 20 };

weir_status weir_gzip_open(const char *path, struct weir_gzip *gzip_out)
{
    struct weir_input_file input;
    weir_status status = weir_input_open(path, WEIR_INPUT_ANY_SIZE / LARGEST_EXPANSION - 1, &input);
    if (status)
        return status;
    gzFile file = gzdopen(input.descriptor, "rb"); /* the descriptor is its own now */
    if (!file) {
        weir_input_close(&input);
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot open '%s': out of memory", path);
    }
    uint64_t capacity = gzdirect(file) ? input.n_bytes : (input.n_bytes + 1) * LARGEST_EXPANSION;
    *gzip_out = (struct weir_gzip){.path = path, .file = file, .capacity = capacity};
    return WEIR_OK;
}

void weir_gzip_close(struct weir_gzip *gzip)
{
    gzclose_r(gzip->file);
}

static weir_status zlib_fail(const struct weir_gzip *gzip)
{
    int code = Z_OK;
    const char *text = gzerror(gzip->file, &code);
    if (code == Z_ERRNO)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s': %s", gzip->path, strerror(errno));
    if (!strncmp(text, "<fd:", 4) && strstr(text, ": ")) /* zlib's messages start with what it calls the file */
        text = strstr(text, ": ") + 2;
    const char *reason = code == Z_BUF_ERROR ? "the gzip data ends early" : text;
    return WEIR_FAIL(code == Z_MEM_ERROR ? WEIR_ERR_NOMEM : WEIR_ERR_INVALID, "'%s' is damaged at byte %llu: %s",
                     gzip->path, (unsigned long long)gzip->offset, reason);
}

weir_status weir_gzip_read(struct weir_gzip *gzip, void *to, size_t bytes, size_t *got_out)
{
    size_t got = 0;
    int n = 1;
    while (got < bytes && n > 0) {
        size_t want = bytes - got < LARGEST_READ ? bytes - got : LARGEST_READ;
        n = gzread(gzip->file, (char *)to + got, (unsigned)want);
        got += n > 0 ? (size_t)n : 0;
        gzip->offset += n > 0 ? (uint64_t)n : 0;
    }
    int code = Z_OK;
    gzerror(gzip->file, &code);
    if (code != Z_OK && code != Z_STREAM_END)
        return zlib_fail(gzip);
    *got_out = got;
    return WEIR_OK;
}

static weir_status all_read(struct weir_gzip *gzip, size_t limit, unsigned char **bytes, size_t *n)
{
    size_t room = 0, got = 0;
    weir_status status;
    do {
        status = weir_grow(bytes, &room, *n + UNPACK_STEP, 1);
        if (!status)
            status = weir_gzip_read(gzip, *bytes + *n, room - *n, &got);
        if (!status)
            *n += got;
        if (!status && *n > limit)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' unpacks to more than the %zu bytes taken at most: unpack it with "
                               "gunzip, "
                               "plain files may be larger than memory", gzip->path, limit);
    } while (!status && *n == room);
    return status;
}

weir_status weir_gzip_unpack(const char *path, size_t limit, unsigned char **bytes_out, size_t *n_out)
{
    struct weir_gzip gzip;
    unsigned char *bytes = NULL;
    size_t n = 0;
    weir_status status = weir_gzip_open(path, &gzip);
    if (status)
        return status;
    status = all_read(&gzip, limit, &bytes, &n);
    weir_gzip_close(&gzip);
    if (status) {
        weir_free(bytes);
        return status;
    }
    *bytes_out = bytes;
    *n_out = n;
    return WEIR_OK;
}
