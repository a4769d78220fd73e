#include "base/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

int weir_call_open(const char *path, int flags, mode_t mode)
{
    return weir_fault(WEIR_FAULT_OPEN, path, -1) ? -1 : open(path, flags, mode);
}

ssize_t weir_call_read(int fd, void *to, size_t bytes)
{
    return weir_fault_part(WEIR_FAULT_READ, fd, &bytes) ? -1 : read(fd, to, bytes);
}

ssize_t weir_call_pread(int fd, void *to, size_t bytes, uint64_t at)
{
    return weir_fault_part(WEIR_FAULT_READ, fd, &bytes) ? -1 : pread(fd, to, bytes, (off_t)at);
}

ssize_t weir_call_write(int fd, const void *data, size_t bytes)
{
    return weir_fault_part(WEIR_FAULT_WRITE, fd, &bytes) ? -1 : write(fd, data, bytes);
}

ssize_t weir_call_pwrite(int fd, const void *data, size_t bytes, uint64_t at)
{
    return weir_fault_part(WEIR_FAULT_WRITE, fd, &bytes) ? -1 : pwrite(fd, data, bytes, (off_t)at);
}

int weir_call_allocate(int fd, uint64_t bytes)
{
    return weir_fault(WEIR_FAULT_ALLOCATE, NULL, fd) ? -1 : fallocate(fd, 0, 0, (off_t)bytes);
}

int weir_call_truncate(int fd, uint64_t bytes)
{
    return weir_fault(WEIR_FAULT_TRUNCATE, NULL, fd) ? -1 : ftruncate(fd, (off_t)bytes);
}

int weir_call_sync(int fd)
{
    return weir_fault(WEIR_FAULT_FSYNC, NULL, fd) ? -1 : fsync(fd);
}

int weir_call_close(int fd)
{
    if (!weir_fault(WEIR_FAULT_CLOSE, NULL, fd))
        return close(fd);
    int reason = errno;
    close(fd); /* which is gone when closing fails, too */
    errno = reason;
    return -1;
}

int weir_call_link(int fd, const char *path)
{
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return weir_fault(WEIR_FAULT_LINK, path, fd) ? -1 : linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

int weir_call_rename(const char *from, const char *to)
{
    return weir_fault(WEIR_FAULT_RENAME, to, -1) ? -1 : rename(from, to);
}

int weir_call_unlink(const char *path)
{
    return weir_fault(WEIR_FAULT_UNLINK, path, -1) ? -1 : unlink(path);
}

int weir_call_mkdir(const char *path)
{
    return weir_fault(WEIR_FAULT_MKDIR, path, -1) ? -1 : mkdir(path, 0777);
}

int weir_call_rmdir(const char *path)
{
    return weir_fault(WEIR_FAULT_RMDIR, path, -1) ? -1 : rmdir(path);
}
