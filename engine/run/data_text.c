/* Text: the bytes of a mapped file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/run/data_source.h"

struct text_data {
    struct weir_data base;
    const unsigned char *bytes;
    size_t n_bytes;
};

static void sample_read(const struct weir_data *data, int64_t sample, void *input_out, void *target_out)
{
    const struct text_data *text = (const struct text_data *)data;
    int64_t seq_len = data->info.input.dims[0];
    const unsigned char *from = text->bytes + sample * seq_len;
    int32_t *input = input_out, *target = target_out;
    for (int64_t i = 0; i < seq_len; i++) {
        input[i] = from[i];
        target[i] = from[i + 1];
    }
}

static void text_close(struct weir_data *data)
{
    struct text_data *text = (struct text_data *)data;
    munmap((void *)(uintptr_t)text->bytes, text->n_bytes);
    weir_free(text);
}

/* How many bytes there are, when they are enough. */
static weir_status file_check(int file, const char *path, int64_t seq_len, size_t *bytes_out)
{
    struct stat info;
    if (fstat(file, &info) != 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a directory, a text file is needed", path);
    if (!S_ISREG(info.st_mode))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not a regular file: copy its text to one", path);
    if (info.st_size <= seq_len)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %lld bytes, sequence length %lld needs at least %lld", path,
                         (long long)info.st_size, (long long)seq_len, (long long)seq_len + 1);
    *bytes_out = (size_t)info.st_size;
    return WEIR_OK;
}

static weir_status file_map(const char *path, int64_t seq_len, const unsigned char **bytes_out, size_t *n_bytes_out)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    size_t n_bytes = 0;
    weir_status status = file_check(file, path, seq_len, &n_bytes);
    if (status)
        goto close_file;
    void *bytes = mmap(NULL, n_bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED) {
        status = WEIR_FAIL(WEIR_ERR_IO, "cannot map '%s': %s", path, strerror(errno));
        goto close_file;
    }
    *bytes_out = bytes;
    *n_bytes_out = n_bytes;
close_file:
    close(file);
    return status;
}

weir_status weir_data_open_text(const char *path, int64_t seq_len, uint64_t seed, weir_data **data_out)
{
    if (seq_len < 1 || seq_len > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "sequence length is %lld, it must be in [1, %d]", (long long)seq_len,
                         INT32_MAX);
    struct text_data *text;
    weir_status status = weir_alloc(1, sizeof *text, &text);
    if (status)
        return status;
    status = file_map(path, seq_len, &text->bytes, &text->n_bytes);
    if (status) {
        weir_free(text);
        return status;
    }
    struct weir_shape shape = {.n_dims = 1, .dims = {seq_len}, .dtype = WEIR_DTYPE_I32};
    text->base = (struct weir_data){
        .info = {.kind = "text",
                 .input = shape,
                 .target = shape,
                 .n_samples = (int64_t)(text->n_bytes - 1) / seq_len,
                 .n_classes = 256},
        .seed = seed,
        .sample_read = sample_read,
        .close = text_close,
    };
    *data_out = &text->base;
    return WEIR_OK;
}
