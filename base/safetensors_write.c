/* The writer: lay out, create under a temporary name, write by offset, commit. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file_calls.h"
#include "base/replace.h"
#include "base/safetensors_layout.h"

struct weir_safetensors_writer {
    struct weir_replacement file; /* joined: fd alone */
    char *path;
    int n_tensors;
    struct weir_safetensors_layout layout;
};

/* What is not committed goes. */
static void writer_free(weir_safetensors_writer *w)
{
    weir_replace_abort(&w->file);
    weir_safetensors_layout_release(&w->layout);
    weir_free(w->path);
    weir_free(w);
}

/* Everything but the file itself. */
static weir_status writer_make(const struct weir_safetensors_spec *spec, weir_safetensors_writer **writer_out)
{
    weir_safetensors_writer *w;
    weir_status status = weir_alloc(1, sizeof *w, &w);
    if (status)
        return status;
    w->n_tensors = spec->n_tensors;
    status = weir_strdup(spec->path, &w->path);
    if (!status)
        status = weir_safetensors_layout_make(spec, &w->layout);
    if (status)
        writer_free(w);
    else
        *writer_out = w;
    return status;
}

static weir_status io_fail(const weir_safetensors_writer *w)
{
    return WEIR_FAIL(WEIR_ERR_IO, "cannot write '%s': %s", w->path, strerror(errno));
}

static weir_status bytes_write(const weir_safetensors_writer *w, uint64_t at, const void *data, size_t bytes)
{
    for (const char *from = data; bytes;) {
        ssize_t n = weir_call_pwrite(w->file.fd, from, bytes, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return io_fail(w);
        from += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return WEIR_OK;
}

static weir_status file_create(weir_safetensors_writer *w, const char *tag)
{
    unsigned char size[8];
    uint64_t all = 8 + w->layout.header.length + w->layout.data_bytes;
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)(w->layout.header.length >> (8 * i));
    weir_status status = weir_replace_open(w->path, tag, &w->file);
    if (status)
        return status;
    /* a full disk shows here where the file system can tell */
    if (weir_call_allocate(w->file.fd, all) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return io_fail(w);
    if (weir_call_truncate(w->file.fd, all) != 0)
        return io_fail(w);
    status = bytes_write(w, 0, size, sizeof size);
    return status ? status : bytes_write(w, sizeof size, w->layout.header.data, w->layout.header.length);
}

weir_status weir_safetensors_create(const struct weir_safetensors_spec *spec, weir_safetensors_writer **writer_out)
{
    weir_safetensors_writer *w;
    weir_status status = writer_make(spec, &w);
    if (status)
        return status;
    status = file_create(w, spec->tag);
    if (status)
        weir_safetensors_abort(w);
    else
        *writer_out = w;
    return status;
}

/* The name is the creator's to give and to take. */
static weir_status file_join(weir_safetensors_writer *w, const char *tag)
{
    struct stat info;
    char *name;
    weir_status status = weir_replace_name(w->path, tag, &name);
    if (status)
        return status;
    uint64_t all = 8 + w->layout.header.length + w->layout.data_bytes;
    w->file.fd = weir_call_open(name, O_WRONLY | O_CLOEXEC, 0);
    if (w->file.fd < 0 || fstat(w->file.fd, &info) != 0)
        status = WEIR_FAIL(WEIR_ERR_IO, "cannot open '%s': %s", name, strerror(errno));
    else if ((uint64_t)info.st_size != all)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %lld bytes, the declared tensors need %" PRIu64, name,
                           (long long)info.st_size, all);
    if (status && w->file.fd >= 0)
        weir_call_close(w->file.fd);
    weir_free(name);
    return status;
}

weir_status weir_safetensors_join(const struct weir_safetensors_spec *spec, weir_safetensors_writer **writer_out)
{
    weir_safetensors_writer *w;
    weir_status status = writer_make(spec, &w);
    if (status)
        return status;
    status = file_join(w, spec->tag);
    if (status)
        writer_free(w);
    else
        *writer_out = w;
    return status;
}

weir_status weir_safetensors_write(weir_safetensors_writer *w, int index, uint64_t at, const void *data, size_t bytes)
{
    uint64_t all = index >= 0 && index < w->n_tensors ? w->layout.places[index].bytes : 0;
    if (index < 0 || index >= w->n_tensors || at > all || bytes > all - at)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': %zu bytes at %" PRIu64 " lie beyond tensor %d", w->path, bytes, at,
                         index);
    return bytes_write(w, 8 + w->layout.header.length + w->layout.places[index].begin + at, data, bytes);
}

weir_status weir_safetensors_sync(weir_safetensors_writer *w)
{
    return weir_replace_sync(&w->file);
}

weir_status weir_safetensors_commit(weir_safetensors_writer *w)
{
    weir_status status = weir_replace_commit(&w->file);
    writer_free(w);
    return status;
}

weir_status weir_safetensors_leave(weir_safetensors_writer *w)
{
    bool good = weir_call_sync(w->file.fd) == 0;
    int reason = errno;
    if (weir_call_close(w->file.fd) != 0 && good) {
        good = false;
        reason = errno;
    }
    errno = reason;
    weir_status status = good ? WEIR_OK : io_fail(w);
    writer_free(w);
    return status;
}

void weir_safetensors_abort(weir_safetensors_writer *w)
{
    if (w)
        writer_free(w);
}
