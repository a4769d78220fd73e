#include "base/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file_calls.h"
#include "base/text.h"

enum { MOST_LINKS = 40 }; /* as the kernel has it */

static weir_status io_fail(const char *path)
{
    return WEIR_FAIL(WEIR_ERR_IO, "cannot write '%s': %s", path, errno == ENXIO ? "nobody reads this pipe" : strerror(errno));
}

/* ---- names --------------------------------------------------------------------------------------------------------- */

/* The length of what stands before the last name, its slash included. */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

/* What the link `path` points to, as seen from here. */
static weir_status link_follow(const char *path, const char *link, char **target_out)
{
    struct weir_text text = {0};
    weir_text_append(&text, "%.*s%s", *link == '/' ? 0 : folder_length(path), path, link);
    weir_status status = text.status;
    if (!status)
        *target_out = text.data;
    else
        weir_text_release(&text);
    return status;
}

/* Links to what is no regular file stay: those of /proc (/dev/stdout of a pipe) have no names to follow. */
static weir_status links_follow(const char *path, char **target_out)
{
    char *target, *next = NULL, link[PATH_MAX];
    struct stat info;
    bool in_place = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
    weir_status status = weir_strdup(path, &target);
    for (int i = 0; !status && !in_place; i++) {
        ssize_t n = readlink(target, link, sizeof link - 1);
        if (n < 0)
            break;
        link[n] = 0;
        errno = ELOOP;
        status = i == MOST_LINKS ? io_fail(path) : link_follow(target, link, &next);
        if (!status) {
            weir_free(target);
            target = next;
        } else {
            weir_free(target);
        }
    }
    if (!status)
        *target_out = target;
    return status;
}

static weir_status name_make(const char *target, const char *tag, char **name_out)
{
    struct weir_text name = {0};
    if (tag)
        weir_text_append(&name, "%s.tmp.%s", target, tag);
    else
        weir_text_append(&name, "%s.tmp.%ld", target, (long)getpid());
    weir_status status = name.status;
    if (!status)
        *name_out = name.data;
    else
        weir_text_release(&name);
    return status;
}

weir_status weir_replace_name(const char *path, const char *tag, char **name_out)
{
    char *target;
    weir_status status = links_follow(path, &target);
    if (status)
        return status;
    status = name_make(target, tag, name_out);
    weir_free(target);
    return status;
}

/* ---- open ---------------------------------------------------------------------------------------------------------- */

/* A folder in which only owners replace files (/tmp), and a file of somebody else. */
static bool is_kept_by_owner(const char *target, const struct stat *old)
{
    struct stat folder;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s.", folder_length(target), target);
    return stat(path, &folder) == 0 && (folder.st_mode & S_ISVTX) && geteuid() != 0 && old->st_uid != geteuid() &&
           folder.st_uid != geteuid();
}

/* chattr +i or +a */
static bool is_immutable(const char *target)
{
    long flags = 0; /* file systems write an int or a long */
    int fd = open(target, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool immutable = fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL));
    if (fd >= 0)
        close(fd);
    return immutable;
}

/* errno says why the old file cannot be replaced, though its folder can be written; 0: it can. */
static int obstacle(const char *target, const struct stat *old)
{
    if (S_ISDIR(old->st_mode))
        return EISDIR;
    if (S_ISSOCK(old->st_mode))
        return ENXIO;
    if (faccessat(AT_FDCWD, target, W_OK, AT_EACCESS) != 0)
        return errno;
    return S_ISREG(old->st_mode) && (is_kept_by_owner(target, old) || is_immutable(target)) ? EPERM : 0;
}

/* A file without a name, or -1.  It gets one by way of /proc. */
static int nameless_open(const char *target)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%.*s.", folder_length(target), target) >= (int)sizeof path)
        return -1;
    int fd = weir_call_open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && access(path, F_OK) != 0) {
        weir_call_close(fd);
        return -1;
    }
    return fd;
}

static int named_open(const char *temporary)
{
    weir_call_unlink(temporary); /* of a process that was killed */
    return weir_call_open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
}

/* Owner first: changing it takes permissions away.  What cannot be set is left. */
static void likeness_set(int fd, const struct stat *old)
{
    if (fchown(fd, old->st_uid, old->st_gid) != 0 && fchown(fd, (uid_t)-1, old->st_gid) != 0)
        errno = 0;
    if (fchmod(fd, old->st_mode & 0777) != 0)
        errno = 0;
}

int weir_in_place_open(const char *target)
{
    int fd = open(target, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    return fd;
}

static weir_status file_open(struct weir_replacement *file, const char *tag)
{
    struct stat old;
    bool there = stat(file->target, &old) == 0;
    errno = there ? obstacle(file->target, &old) : 0;
    if (errno)
        return io_fail(file->path);
    file->in_place = there && !S_ISREG(old.st_mode);
    if (file->in_place)
        file->fd = weir_in_place_open(file->target);
    else if (!tag)
        file->fd = nameless_open(file->target);
    if (file->fd < 0 && !file->in_place) {
        file->fd = named_open(file->temporary);
        file->named = file->fd >= 0;
    }
    if (file->fd < 0)
        return io_fail(file->path);
    if (there && !file->in_place)
        likeness_set(file->fd, &old);
    return WEIR_OK;
}

weir_status weir_replace_open(const char *path, const char *tag, struct weir_replacement *file_out)
{
    struct weir_replacement file = {.fd = -1};
    weir_status status = weir_strdup(path, &file.path);
    if (!status)
        status = links_follow(path, &file.target);
    if (!status)
        status = name_make(file.target, tag, &file.temporary);
    if (!status)
        status = file_open(&file, tag);
    if (status)
        weir_replace_abort(&file);
    else
        *file_out = file;
    return status;
}

/* ---- commit -------------------------------------------------------------------------------------------------------- */

static bool name_give(struct weir_replacement *file)
{
    if (file->named)
        return true;
    weir_call_unlink(file->temporary); /* of a process that was killed */
    file->named = weir_call_link(file->fd, file->temporary) == 0;
    return file->named;
}

/* Not every file system syncs folders. */
static bool folder_sync(const char *path)
{
    int fd = weir_call_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == EACCES; /* a folder that can be written and not read */
    bool good = weir_call_sync(fd) == 0 || errno == EINVAL;
    int reason = errno;
    weir_call_close(fd);
    errno = reason;
    return good;
}

weir_status weir_folder_sync(const char *path)
{
    return folder_sync(path) ? WEIR_OK : WEIR_FAIL(WEIR_ERR_IO, "cannot sync folder '%s': %s", path, strerror(errno));
}

/* A rename is on the disk once its folder is. */
static bool folder_of_sync(const char *target)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%.*s.", folder_length(target), target) >= (int)sizeof path || folder_sync(path);
}

static bool file_place(struct weir_replacement *file)
{
    if ((!file->unsynced && weir_call_sync(file->fd) != 0) || !name_give(file) || weir_call_rename(file->temporary, file->target) != 0)
        return false;
    file->named = false;
    return file->unsynced || folder_of_sync(file->target);
}

void weir_replace_start(const struct weir_replacement *file, uint64_t from, uint64_t bytes)
{
    if (!file->in_place)
        weir_call_start_writing(file->fd, from, bytes);
}

weir_status weir_replace_sync(const struct weir_replacement *file)
{
    return file->in_place || weir_call_sync(file->fd) == 0 ? WEIR_OK : io_fail(file->path);
}

weir_status weir_replace_commit(struct weir_replacement *file)
{
    bool good = file->in_place || file_place(file);
    int reason = errno;
    if (weir_call_close(file->fd) != 0 && good) {
        good = false;
        reason = errno;
    }
    file->fd = -1;
    errno = reason;
    weir_status status = good ? WEIR_OK : io_fail(file->path);
    weir_replace_abort(file);
    return status;
}

void weir_replace_abort(struct weir_replacement *file)
{
    if (file->path && file->fd >= 0)
        weir_call_close(file->fd);
    if (file->named)
        weir_call_unlink(file->temporary);
    weir_free(file->temporary);
    weir_free(file->target);
    weir_free(file->path);
    *file = (struct weir_replacement){.fd = -1};
}

weir_status weir_replace_check(const char *path)
{
    struct weir_replacement file;
    struct stat old;
    if (stat(path, &old) == 0 && !S_ISREG(old.st_mode)) { /* opening a pipe would wake its reader */
        errno = obstacle(path, &old);
        return errno ? io_fail(path) : WEIR_OK;
    }
    weir_status status = weir_replace_open(path, NULL, &file);
    if (!status)
        weir_replace_abort(&file);
    return status;
}

weir_status weir_replace_write(struct weir_replacement *file, const void *data, size_t bytes)
{
    for (const char *from = data; bytes;) {
        ssize_t n = weir_call_write(file->fd, from, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_fail(file->path);
        from += n;
        bytes -= (size_t)n;
    }
    return WEIR_OK;
}

weir_status weir_file_write(const char *path, const void *data, size_t bytes)
{
    struct weir_replacement file;
    weir_status status = weir_replace_open(path, NULL, &file);
    if (status)
        return status;
    status = weir_replace_write(&file, data, bytes);
    if (!status)
        return weir_replace_commit(&file);
    weir_replace_abort(&file);
    return status;
}
