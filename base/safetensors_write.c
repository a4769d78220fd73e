/* The writer: lay out, create under a temporary name, write by offset, commit. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/safetensors_layout.h"

struct weir_safetensors_writer {
    char *path, *temporary;
    int fd, n_tensors;
    struct weir_safetensors_layout layout;
};

static void writer_free(weir_safetensors_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    weir_safetensors_layout_release(&w->layout);
    weir_free(w->path);
    weir_free(w->temporary);
    weir_free(w);
}

static weir_status names_make(const struct weir_safetensors_spec *spec, weir_safetensors_writer *w)
{
    struct weir_text name = {0};
    if (spec->tag)
        weir_text_append(&name, "%s.tmp.%s", spec->path, spec->tag);
    else
        weir_text_append(&name, "%s.tmp.%ld", spec->path, (long)getpid());
    w->temporary = name.data;
    return name.status ? name.status : weir_strdup(spec->path, &w->path);
}

/* Everything but the file itself. */
static weir_status writer_make(const struct weir_safetensors_spec *spec, weir_safetensors_writer **writer_out)
{
    weir_safetensors_writer *w;
    weir_status status = weir_alloc(1, sizeof *w, &w);
    if (status)
        return status;
    w->fd = -1;
    w->n_tensors = spec->n_tensors;
    status = names_make(spec, w);
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
        ssize_t n = pwrite(w->fd, from, bytes, (off_t)at);
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

static weir_status file_create(weir_safetensors_writer *w)
{
    unsigned char size[8];
    uint64_t all = 8 + w->layout.header.length + w->layout.data_bytes;
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)(w->layout.header.length >> (8 * i));
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return io_fail(w);
    /* a full disk shows here where the file system can tell */
    if (fallocate(w->fd, 0, 0, (off_t)all) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return io_fail(w);
    if (ftruncate(w->fd, (off_t)all) != 0)
        return io_fail(w);
    weir_status status = bytes_write(w, 0, size, sizeof size);
    return status ? status : bytes_write(w, sizeof size, w->layout.header.data, w->layout.header.length);
}

weir_status weir_safetensors_create(const struct weir_safetensors_spec *spec, weir_safetensors_writer **writer_out)
{
    weir_safetensors_writer *w;
    weir_status status = writer_make(spec, &w);
    if (status)
        return status;
    status = file_create(w);
    if (status)
        weir_safetensors_abort(w);
    else
        *writer_out = w;
    return status;
}

weir_status weir_safetensors_join(const struct weir_safetensors_spec *spec, weir_safetensors_writer **writer_out)
{
    weir_safetensors_writer *w;
    struct stat info;
    weir_status status = writer_make(spec, &w);
    if (status)
        return status;
    w->fd = open(w->temporary, O_WRONLY | O_CLOEXEC);
    if (w->fd < 0 || fstat(w->fd, &info) != 0)
        status = WEIR_FAIL(WEIR_ERR_IO, "cannot open '%s': %s", w->temporary, strerror(errno));
    else if ((uint64_t)info.st_size != 8 + w->layout.header.length + w->layout.data_bytes)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %lld bytes, the declared tensors need %" PRIu64, w->temporary,
                           (long long)info.st_size, 8 + w->layout.header.length + w->layout.data_bytes);
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

/* A rename is on the disk once its folder is. */
static weir_status folder_sync(const weir_safetensors_writer *w)
{
    const char *slash = strrchr(w->path, '/');
    struct weir_text folder = {0};
    if (slash)
        weir_text_append(&folder, "%.*s/", (int)(slash - w->path), w->path);
    else
        weir_text_append(&folder, ".");
    if (folder.status)
        return folder.status;
    int fd = open(folder.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    weir_status status = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL) ? WEIR_OK : io_fail(w);
    if (fd >= 0)
        close(fd);
    weir_text_release(&folder);
    return status;
}

static weir_status file_close(weir_safetensors_writer *w)
{
    bool good = fsync(w->fd) == 0;
    int reason = errno;
    if (close(w->fd) != 0 && good) {
        good = false;
        reason = errno;
    }
    w->fd = -1;
    errno = reason;
    return good ? WEIR_OK : io_fail(w);
}

weir_status weir_safetensors_commit(weir_safetensors_writer *w)
{
    weir_status status = file_close(w);
    if (!status && rename(w->temporary, w->path) != 0)
        status = io_fail(w);
    if (status) {
        weir_safetensors_abort(w);
        return status;
    }
    status = folder_sync(w);
    writer_free(w);
    return status;
}

weir_status weir_safetensors_leave(weir_safetensors_writer *w)
{
    weir_status status = file_close(w);
    writer_free(w);
    return status;
}

void weir_safetensors_abort(weir_safetensors_writer *w)
{
    if (!w)
        return;
    unlink(w->temporary);
    writer_free(w);
}
