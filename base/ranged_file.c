#include "base/ranged_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file_calls.h"
#include "base/input_file.h"

weir_status weir_ranged_open(const char *path, struct weir_ranged_file *file_out)
{
    struct weir_input_file input;
    char *copy;
    weir_status status = weir_strdup(path, &copy);
    if (status)
        return status;
    status = weir_input_open(path, SIZE_MAX, &input);
    if (status)
        weir_free(copy);
    else
        *file_out = (struct weir_ranged_file){copy, input.descriptor, input.n_bytes, input.device, input.inode};
    return status;
}

void weir_ranged_close(struct weir_ranged_file *file)
{
    if (file->path)
        weir_call_close(file->descriptor);
    weir_free(file->path);
    *file = (struct weir_ranged_file){0};
}

static weir_status end_fail(const struct weir_ranged_file *file, uint64_t at, size_t n)
{
    struct stat info;
    unsigned long long size = fstat(file->descriptor, &info) == 0 ? (unsigned long long)info.st_size : at;
    if (size >= file->n_bytes)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s': it ends at byte %llu, where %zu more are needed", file->path,
                         (unsigned long long)at, n);
    return WEIR_FAIL(WEIR_ERR_IO, "'%s' was cut from %llu to %llu bytes while it is in use, %zu bytes at %llu are gone: "
                     "write a new file beside it and rename it", file->path, (unsigned long long)file->n_bytes, size, n,
                     (unsigned long long)at);
}

weir_status weir_ranged_read(const struct weir_ranged_file *file, uint64_t from, void *to, size_t n)
{
    for (char *next = to; n;) {
        ssize_t got = weir_call_pread(file->descriptor, next, n, from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s' at byte %llu: %s", file->path, (unsigned long long)from,
                             strerror(errno));
        if (got == 0)
            return end_fail(file, from, n);
        next += got;
        from += (uint64_t)got;
        n -= (size_t)got;
    }
    return WEIR_OK;
}

void weir_ranged_want(const struct weir_ranged_file *file, uint64_t from, size_t n)
{
    (void)posix_fadvise(file->descriptor, (off_t)from, (off_t)n, POSIX_FADV_WILLNEED);
}
