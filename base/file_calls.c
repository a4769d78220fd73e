#include "base/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

/* What stands for the call when it fails on demand. */
#define FAIL (-1L)

int weir_call_open(const char *path, int flags, mode_t mode)
{
    long fd = weir_fault(WEIR_FAULT_OPEN) ? FAIL : open(path, flags, mode);
    return (int)weir_fault_note(WEIR_FAULT_OPEN, -1, path, NULL, fd);
}

ssize_t weir_call_read(int fd, void *to, size_t bytes)
{
    long n = weir_fault_part(WEIR_FAULT_READ, &bytes) ? FAIL : read(fd, to, bytes);
    return weir_fault_note(WEIR_FAULT_READ, fd, NULL, NULL, n);
}

ssize_t weir_call_pread(int fd, void *to, size_t bytes, uint64_t at)
{
    long n = weir_fault_part(WEIR_FAULT_READ, &bytes) ? FAIL : pread(fd, to, bytes, (off_t)at);
    return weir_fault_note(WEIR_FAULT_READ, fd, NULL, NULL, n);
}

ssize_t weir_call_write(int fd, const void *data, size_t bytes)
{
    long n = weir_fault_part(WEIR_FAULT_WRITE, &bytes) ? FAIL : write(fd, data, bytes);
    return weir_fault_note(WEIR_FAULT_WRITE, fd, NULL, NULL, n);
}

ssize_t weir_call_pwrite(int fd, const void *data, size_t bytes, uint64_t at)
{
    long n = weir_fault_part(WEIR_FAULT_WRITE, &bytes) ? FAIL : pwrite(fd, data, bytes, (off_t)at);
    return weir_fault_note(WEIR_FAULT_WRITE, fd, NULL, NULL, n);
}

int weir_call_allocate(int fd, uint64_t bytes)
{
    long result = weir_fault(WEIR_FAULT_ALLOCATE) ? FAIL : fallocate(fd, 0, 0, (off_t)bytes);
    return (int)weir_fault_note(WEIR_FAULT_ALLOCATE, fd, NULL, NULL, result);
}

int weir_call_truncate(int fd, uint64_t bytes)
{
    long result = weir_fault(WEIR_FAULT_TRUNCATE) ? FAIL : ftruncate(fd, (off_t)bytes);
    return (int)weir_fault_note(WEIR_FAULT_TRUNCATE, fd, NULL, NULL, result);
}

void weir_call_start_writing(int fd, uint64_t from, uint64_t bytes)
{
    int reason = errno;
    (void)sync_file_range(fd, (off_t)from, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
    errno = reason;
}

int weir_call_sync(int fd)
{
    return (int)weir_fault_note(WEIR_FAULT_FSYNC, fd, NULL, NULL, weir_fault(WEIR_FAULT_FSYNC) ? FAIL : fsync(fd));
}

/* The descriptor is gone when closing fails, too. */
int weir_call_close(int fd)
{
    bool fails = weir_fault(WEIR_FAULT_CLOSE);
    int reason = errno;
    long result = close(fd);
    errno = fails ? reason : errno;
    return (int)weir_fault_note(WEIR_FAULT_CLOSE, fd, NULL, NULL, fails ? FAIL : result);
}

int weir_call_link(int fd, const char *path)
{
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    long result = weir_fault(WEIR_FAULT_LINK) ? FAIL : linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    return (int)weir_fault_note(WEIR_FAULT_LINK, fd, path, NULL, result);
}

int weir_call_rename(const char *from, const char *to)
{
    long result = weir_fault(WEIR_FAULT_RENAME) ? FAIL : rename(from, to);
    return (int)weir_fault_note(WEIR_FAULT_RENAME, -1, from, to, result);
}

int weir_call_unlink(const char *path)
{
    return (int)weir_fault_note(WEIR_FAULT_UNLINK, -1, path, NULL, weir_fault(WEIR_FAULT_UNLINK) ? FAIL : unlink(path));
}

int weir_call_mkdir(const char *path)
{
    return (int)weir_fault_note(WEIR_FAULT_MKDIR, -1, path, NULL, weir_fault(WEIR_FAULT_MKDIR) ? FAIL : mkdir(path, 0777));
}

int weir_call_rmdir(const char *path)
{
    return (int)weir_fault_note(WEIR_FAULT_RMDIR, -1, path, NULL, weir_fault(WEIR_FAULT_RMDIR) ? FAIL : rmdir(path));
}
