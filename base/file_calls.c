#include "base/file_calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int weir_call_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

ssize_t weir_call_read(int fd, void *to, size_t bytes)
{
    return read(fd, to, bytes);
}

ssize_t weir_call_pread(int fd, void *to, size_t bytes, uint64_t at)
{
    return pread(fd, to, bytes, (off_t)at);
}

ssize_t weir_call_write(int fd, const void *data, size_t bytes)
{
    return write(fd, data, bytes);
}

ssize_t weir_call_pwrite(int fd, const void *data, size_t bytes, uint64_t at)
{
    return pwrite(fd, data, bytes, (off_t)at);
}

int weir_call_allocate(int fd, uint64_t bytes)
{
    return fallocate(fd, 0, 0, (off_t)bytes);
}

int weir_call_truncate(int fd, uint64_t bytes)
{
    return ftruncate(fd, (off_t)bytes);
}

int weir_call_sync(int fd)
{
    return fsync(fd);
}

int weir_call_close(int fd)
{
    return close(fd);
}

int weir_call_link(int fd, const char *path)
{
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

int weir_call_rename(const char *from, const char *to)
{
    return rename(from, to);
}

int weir_call_unlink(const char *path)
{
    return unlink(path);
}

int weir_call_mkdir(const char *path)
{
    return mkdir(path, 0777);
}

int weir_call_rmdir(const char *path)
{
    return rmdir(path);
}
