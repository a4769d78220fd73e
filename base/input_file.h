/* Input files: whatever a path names, only a regular file is read.
 *
 * A path that a user gives may name a pipe without a writer, a terminal, /dev/zero or a folder, and what git clone leaves
 * of a large file is a pointer of git-lfs.  weir_input_open() tells these apart, refuses them by name and never waits:
 *
 *     struct weir_input_file file;
 *     weir_status status = weir_input_open(path, WEIR_INPUT_ANY_SIZE, &file);
 *     ... read(file.descriptor, ...), at most file.n_bytes of them ...
 *     weir_input_close(&file);
 *
 * Every file that Weir reads for a user is opened here: text by weir_file_read(), large files by weir_ranged_open().
 * Standard input is no path; weir_stdin_read() has it.
 *
 * The files of /proc and /sys are regular and have 0 bytes whatever is read from them. */
#ifndef WEIR_BASE_INPUT_FILE_H
#define WEIR_BASE_INPUT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define WEIR_INPUT_ANY_SIZE UINT64_MAX

struct weir_input_file {
    int descriptor;         /* at the first byte; closed in programs that this one starts */
    uint64_t n_bytes;       /* when it was opened */
    uint64_t device, inode; /* which file it is */
};

/* WEIR_ERR_IO: cannot be opened.  WEIR_ERR_INVALID: a directory, or another thing that is not a regular file; more than
 * `limit` bytes; a pointer of git-lfs.  On failure `file_out` is untouched. */
weir_status weir_input_open(const char *path, uint64_t limit, struct weir_input_file *file_out);

void weir_input_close(struct weir_input_file *file);

/* Something has this name, whatever it is. */
bool weir_input_exists(const char *path);

#endif
