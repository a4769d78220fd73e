/* The system calls that open, read and change files: one function each, as the call is, errno included.
 *
 * Files that Weir reads for a user go through these, and files that are made whole under another name and then renamed
 * (base/replace.h: exports, schedules, plans, checkpoints), so that a test can have any of them fail, and read the order in
 * which they came.  Files that grow as a run goes on, metrics among them, do not. */
#ifndef WEIR_BASE_FILE_CALLS_H
#define WEIR_BASE_FILE_CALLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int weir_call_open(const char *path, int flags, mode_t mode);
ssize_t weir_call_read(int fd, void *to, size_t bytes);
ssize_t weir_call_pread(int fd, void *to, size_t bytes, uint64_t at);
ssize_t weir_call_write(int fd, const void *data, size_t bytes);
ssize_t weir_call_pwrite(int fd, const void *data, size_t bytes, uint64_t at);
int weir_call_allocate(int fd, uint64_t bytes);
int weir_call_truncate(int fd, uint64_t bytes);
int weir_call_sync(int fd);
void weir_call_start_writing(int fd, uint64_t from, uint64_t bytes); /* to the disk; a hint: whether it can is seen at the sync */
int weir_call_close(int fd);
int weir_call_link(int fd, const char *path); /* give a nameless file a name */
int weir_call_rename(const char *from, const char *to);
int weir_call_unlink(const char *path);
int weir_call_mkdir(const char *path);
int weir_call_rmdir(const char *path);

#endif
