#include "base/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static weir_status descriptor_map(int descriptor, const char *path, struct weir_mapped_file *file)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a directory, a file is needed", path);
    if (!S_ISREG(info.st_mode))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not a regular file: copy its content to one", path);
    file->n_bytes = (size_t)info.st_size;
    file->device = (uint64_t)info.st_dev;
    file->inode = (uint64_t)info.st_ino;
    if (!file->n_bytes)
        return WEIR_OK;
    void *bytes = mmap(NULL, file->n_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot map '%s': %s", path, strerror(errno));
    file->bytes = bytes;
    return WEIR_OK;
}

weir_status weir_mapped_open(const char *path, struct weir_mapped_file *file_out)
{
    struct weir_mapped_file file = {0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (descriptor < 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    weir_status status = weir_strdup(path, &file.path);
    if (!status)
        status = descriptor_map(descriptor, path, &file);
    close(descriptor);
    if (status)
        weir_mapped_close(&file);
    else
        *file_out = file;
    return status;
}

void weir_mapped_close(struct weir_mapped_file *file)
{
    if (file->bytes)
        munmap((void *)(uintptr_t)file->bytes, file->n_bytes);
    weir_free(file->path);
    *file = (struct weir_mapped_file){0};
}

weir_status weir_mapped_check(const struct weir_mapped_file *file)
{
    struct stat info;
    if (stat(file->path, &info) != 0) /* removed: the mapping keeps it */
        return WEIR_OK;
    bool same = (uint64_t)info.st_dev == file->device && (uint64_t)info.st_ino == file->inode;
    if (same && (uint64_t)info.st_size < file->n_bytes)
        return WEIR_FAIL(WEIR_ERR_IO,
                         "'%s' was cut from %zu to %lld bytes while it is in use: write a new file beside it and rename it",
                         file->path, file->n_bytes, (long long)info.st_size);
    return WEIR_OK;
}

void weir_mapped_want(const struct weir_mapped_file *file, size_t from, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), start = from / page * page;
    if (from >= file->n_bytes)
        return;
    n = n < file->n_bytes - from ? n : file->n_bytes - from;
    madvise((void *)(uintptr_t)(file->bytes + start), from + n - start, MADV_WILLNEED);
}
