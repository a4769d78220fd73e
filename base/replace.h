/* Replace a file: whole or as it was, whatever happens in between.
 *
 *     weir_replace_open("out/trace.json", NULL, &file)      a file without a name, in the folder out/
 *     weir_replace_write(&file, ...)                        as often as need be
 *     weir_replace_commit(&file)                            synced; now out/trace.json is the new file
 *
 * Where the file system has files without names (O_TMPFILE) nothing is left behind by a process that is killed.  Elsewhere,
 * and when a `tag` is given, so that other processes can find the file, its name until commit is "PATH.tmp.TAG".
 *
 * A path that is a symbolic link stays one: what it points to is replaced.  The new file has the permissions of the old one
 * and, where the process may set it, its owner.  Pipes and devices ("/dev/stdout") are written in place. */
#ifndef WEIR_BASE_REPLACE_H
#define WEIR_BASE_REPLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct weir_replacement {
    int fd;                          /* open for writing */
    char *path, *target, *temporary; /* as given, with links followed, and the name until commit */
    bool named;                      /* `temporary` is in the folder */
    bool in_place;                   /* `fd` is the path itself */
    bool unsynced;                   /* set after open: commit waits for no disk; the file may be lost with the machine's power */
};

/* Open for writing what will replace `path`.  tag NULL: nobody else looks for it.
 * WEIR_ERR_IO names the path and the reason: all that commit could refuse, but a full disk.  WEIR_ERR_NOMEM. */
weir_status weir_replace_open(const char *path, const char *tag, struct weir_replacement *file_out);

/* The next `bytes` of the file: all of them.  WEIR_ERR_IO names path and reason. */
weir_status weir_replace_write(struct weir_replacement *file, const void *data, size_t bytes);

/* Let the disk begin with the bytes `from`..`from`+`bytes`-1 that were written, while more are made ready: a sync then has less
 * to wait for. */
void weir_replace_start(const struct weir_replacement *file, uint64_t from, uint64_t bytes);

/* Have on the disk what was written so far, so that a commit takes no time. */
weir_status weir_replace_sync(const struct weir_replacement *file);

/* Put it in the place of the old file, which stays when this fails; releases `file` in any case. */
weir_status weir_replace_commit(struct weir_replacement *file);

/* Forget it; all zero bits are fine. */
void weir_replace_abort(struct weir_replacement *file);

/* Could `path` be replaced?  Opens and aborts. */
weir_status weir_replace_check(const char *path);

/* The name until commit, "PATH.tmp.TAG" with links in `path` followed; to be freed with weir_free. */
weir_status weir_replace_name(const char *path, const char *tag, char **name_out);

/* Write `bytes` to `path`, which is then whole or as it was (base/replace.h).  WEIR_ERR_IO names the file and the reason. */
weir_status weir_file_write(const char *path, const void *data, size_t bytes);

/* Have the names in folder `path` on the disk; a file system that does not sync folders, or a folder that this process cannot
 * read, is no failure.  WEIR_ERR_IO. */
weir_status weir_folder_sync(const char *path);

/* Open what is there for writing: a descriptor, or -1 with errno.  A pipe that nobody reads is ENXIO and no reason to wait; with
 * a reader, writing waits for it as usual. */
int weir_in_place_open(const char *path);

#endif
