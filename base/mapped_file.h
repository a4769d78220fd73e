/* A regular file as memory.
 *
 * The mapping shows the file as it is on disk: one that is written over in place changes under its reader, one that is
 * replaced by another of the same name does not.  A file that is cut short leaves pages without a file behind; touching
 * them ends the process (SIGBUS).  weir_mapped_check() finds that out before a reader touches them, short of a cut in
 * the moment between check and reading. */
#ifndef WEIR_BASE_MAPPED_FILE_H
#define WEIR_BASE_MAPPED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct weir_mapped_file {
    char *path;                 /* owned */
    const unsigned char *bytes; /* NULL: the file is empty */
    size_t n_bytes;
    uint64_t device, inode; /* which file it was */
};

/* WEIR_ERR_IO: cannot be opened or mapped.  WEIR_ERR_INVALID: what weir_input_open() refuses.  WEIR_ERR_NOMEM.  On failure
 * `file_out` is untouched. */
weir_status weir_mapped_open(const char *path, struct weir_mapped_file *file_out);

void weir_mapped_close(struct weir_mapped_file *file); /* all zero bits are fine */

/* WEIR_ERR_IO when the file that is mapped has become shorter.  A file that was removed or replaced is as it was.
 * One system call; allocates nothing. */
weir_status weir_mapped_check(const struct weir_mapped_file *file);

/* Have the pages of `n` bytes from `from` on read from disk, without waiting for them.  A hint: it cannot fail. */
void weir_mapped_want(const struct weir_mapped_file *file, size_t from, size_t n);

#endif
