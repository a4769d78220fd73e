#include "base/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file_calls.h"

static weir_status kind_refuse(const char *path, mode_t mode)
{
    if (S_ISDIR(mode))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a directory, a file is needed", path);
    const char *kind = S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is %s, not a regular file: copy its content to one", path, kind);
}

/* A socket and a device without a driver cannot even be opened: the kind says more than the reason. */
static weir_status open_fail(const char *path)
{
    struct stat info;
    int reason = errno;
    if (reason != EACCES && stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return kind_refuse(path, info.st_mode);
    return WEIR_FAIL(WEIR_ERR_IO, "cannot open '%s': %s", path, strerror(reason));
}

/* What git leaves in place of a large file: a few lines, of which the first names this specification. */
static weir_status pointer_check(const char *path, const struct weir_input_file *file)
{
    static const char start[] = "version https://git-lfs.github.com/spec/";
    char bytes[sizeof start - 1];
    if (file->n_bytes >= 1024 || weir_call_pread(file->descriptor, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
        memcmp(bytes, start, sizeof bytes) != 0)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a pointer of git-lfs, not the file itself: fetch the file with 'git lfs pull'",
                     path);
}

static weir_status opened_check(const char *path, uint64_t limit, struct weir_input_file *file)
{
    struct stat info;
    if (fstat(file->descriptor, &info) != 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return kind_refuse(path, info.st_mode);
    file->n_bytes = (uint64_t)info.st_size;
    file->device = (uint64_t)info.st_dev;
    file->inode = (uint64_t)info.st_ino;
    if (file->n_bytes > limit)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is larger than the %llu bytes read at most", path,
                         (unsigned long long)limit);
    return pointer_check(path, file);
}

weir_status weir_input_open(const char *path, uint64_t limit, struct weir_input_file *file_out)
{
    /* a pipe is opened without its writer, a terminal does not become ours; both are refused then */
    struct weir_input_file file = {.descriptor = weir_call_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0)};
    if (file.descriptor < 0)
        return open_fail(path);
    weir_status status = opened_check(path, limit, &file);
    if (status)
        weir_input_close(&file);
    else
        *file_out = file;
    return status;
}

void weir_input_close(struct weir_input_file *file)
{
    weir_call_close(file->descriptor);
    file->descriptor = -1;
}

bool weir_input_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}
