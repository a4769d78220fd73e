#include "base/mapped_file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/input_file.h"

static weir_status bytes_map(const struct weir_input_file *input, const char *path, struct weir_mapped_file *file)
{
    file->n_bytes = (size_t)input->n_bytes;
    file->device = input->device;
    file->inode = input->inode;
    if (!file->n_bytes)
        return WEIR_OK;
    void *bytes = mmap(NULL, file->n_bytes, PROT_READ, MAP_PRIVATE, input->descriptor, 0);
    if (bytes == MAP_FAILED)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot map '%s': %s", path, strerror(errno));
    file->bytes = bytes;
    return WEIR_OK;
}

weir_status weir_mapped_open(const char *path, struct weir_mapped_file *file_out)
{
    struct weir_mapped_file file = {0};
    struct weir_input_file input;
    weir_status status = weir_input_open(path, SIZE_MAX, &input);
    if (status)
        return status;
    status = weir_strdup(path, &file.path);
    if (!status)
        status = bytes_map(&input, path, &file);
    weir_input_close(&input);
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
