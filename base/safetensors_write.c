/* The writer: lay out, create under a temporary name, write by offset, commit. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/safetensors_dtype.h"
#include "base/text.h"

enum { DATA_ALIGNMENT = 64 };

struct place {
    const struct weir_safetensors_decl *decl; /* borrowed while the header is made */
    int index;
    uint64_t begin, bytes;
};

struct weir_safetensors_writer {
    char *path, *temporary;
    int fd, n_tensors;
    struct place *places; /* by index of the spec once laid out */
    struct weir_text header;
    uint64_t data_bytes;
};

static int by_alignment(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int alignment = (int)weir_safetensors_bits(y->decl->dtype) - (int)weir_safetensors_bits(x->decl->dtype);
    return alignment ? alignment : strcmp(x->decl->name, y->decl->name);
}

static int by_index(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
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

static weir_status tensor_append(const struct place *place, struct weir_text *text)
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
static weir_status places_make(const struct weir_safetensors_spec *spec, weir_safetensors_writer *w)
{
    for (int i = 0; i < spec->n_tensors; i++) {
        const struct weir_safetensors_decl *decl = &spec->tensors[i];
        int64_t elements;
        uint64_t bits;
        if (!weir_safetensors_size(decl->dtype, decl->n_dims, decl->dims, &elements, &bits) || bits % 8 ||
            !strcmp(decl->name, "__metadata__"))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' has a name, dtype or shape that the format cannot hold",
                             spec->path, decl->name);
        w->places[i] = (struct place){decl, i, 0, bits / 8};
    }
    if (spec->n_tensors)
        qsort(w->places, (size_t)spec->n_tensors, sizeof *w->places, by_alignment);
    for (int i = 0; i < spec->n_tensors; i++) {
        w->places[i].begin = w->data_bytes;
        if (__builtin_add_overflow(w->data_bytes, w->places[i].bytes, &w->data_bytes) || w->data_bytes > INT64_MAX / 2)
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

static weir_status header_make(const struct weir_safetensors_spec *spec, weir_safetensors_writer *w)
{
    struct weir_text *text = &w->header;
    weir_text_append(text, "{");
    weir_status status = spec->n_metadata ? metadata_append(spec, text) : WEIR_OK;
    for (int i = 0; i < spec->n_tensors && !status; i++) {
        weir_text_append(text, "%s", i || spec->n_metadata ? "," : "");
        status = tensor_append(&w->places[i], text);
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

static void writer_free(weir_safetensors_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    weir_text_release(&w->header);
    weir_free(w->places);
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
        status = weir_alloc((size_t)spec->n_tensors, sizeof *w->places, &w->places);
    if (!status)
        status = names_check(spec);
    if (!status)
        status = places_make(spec, w);
    if (!status)
        status = header_make(spec, w);
    if (status) {
        writer_free(w);
        return status;
    }
    if (w->n_tensors)
        qsort(w->places, (size_t)w->n_tensors, sizeof *w->places, by_index);
    *writer_out = w;
    return WEIR_OK;
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
    uint64_t all = 8 + w->header.length + w->data_bytes;
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)(w->header.length >> (8 * i));
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return io_fail(w);
    /* a full disk shows here where the file system can tell */
    if (fallocate(w->fd, 0, 0, (off_t)all) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return io_fail(w);
    if (ftruncate(w->fd, (off_t)all) != 0)
        return io_fail(w);
    weir_status status = bytes_write(w, 0, size, sizeof size);
    return status ? status : bytes_write(w, sizeof size, w->header.data, w->header.length);
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
    else if ((uint64_t)info.st_size != 8 + w->header.length + w->data_bytes)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %lld bytes, the declared tensors need %" PRIu64, w->temporary,
                           (long long)info.st_size, 8 + w->header.length + w->data_bytes);
    if (status)
        writer_free(w);
    else
        *writer_out = w;
    return status;
}

weir_status weir_safetensors_write(weir_safetensors_writer *w, int index, uint64_t at, const void *data, size_t bytes)
{
    if (index < 0 || index >= w->n_tensors || at > w->places[index].bytes || bytes > w->places[index].bytes - at)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': %zu bytes at %" PRIu64 " lie beyond tensor %d", w->path, bytes, at,
                         index);
    return bytes_write(w, 8 + w->header.length + w->places[index].begin + at, data, bytes);
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
