/* A regular file that is too large to hold: open, and read part by part into the reader's own memory.
 *
 *     weir_ranged_open("train.bin", &file)
 *     weir_ranged_read(&file, 4096, bytes, n)            n bytes from byte 4096 on, all of them or an error
 *     weir_ranged_close(&file)
 *
 * Nothing is mapped: a file that is cut short while it is open is an error of the next read that needs what is gone, which
 * names the file and the byte.  A file that is written over in place changes under its reader; one that was removed, or
 * replaced by another of the same name, is as it was.  Each open file holds a descriptor.
 *
 * Threads: an open file does not change; any number of threads may read it. */
#ifndef WEIR_BASE_RANGED_FILE_H
#define WEIR_BASE_RANGED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct weir_ranged_file {
    char *path; /* owned; NULL: not open */
    int descriptor;
    uint64_t n_bytes;       /* when it was opened */
    uint64_t device, inode; /* which file it is */
};

/* WEIR_ERR_IO: cannot be opened.  WEIR_ERR_INVALID: what weir_input_open() refuses.  WEIR_ERR_NOMEM.  On failure `file_out`
 * is untouched. */
weir_status weir_ranged_open(const char *path, struct weir_ranged_file *file_out);

void weir_ranged_close(struct weir_ranged_file *file); /* all zero bits are fine */

/* `n` bytes from byte `from` on.  One system call where the system gives all of them at once; allocates nothing.
 * WEIR_ERR_IO: cannot be read, or the file ends before; `to` is undefined then. */
weir_status weir_ranged_read(const struct weir_ranged_file *file, uint64_t from, void *to, size_t n);

/* Have `n` bytes from `from` on brought in from disk, without waiting for them.  A hint: it cannot fail. */
void weir_ranged_want(const struct weir_ranged_file *file, uint64_t from, size_t n);

#endif
