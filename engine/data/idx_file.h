/* IDX files: arrays of bytes with a header, plain or gzip.
 *
 *     byte 0  0 0 type dims     magic: type 8 is u8; 1 to 4 dimensions
 *     byte 4  u32 per dimension, big-endian, the slowest first
 *     then    the elements, row-major
 *
 * Only u8 arrays are read.  Every size is checked against what the file can hold before memory is asked for. */
#ifndef WEIR_ENGINE_DATA_IDX_FILE_H
#define WEIR_ENGINE_DATA_IDX_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { WEIR_IDX_LABELS = 0x00000801, WEIR_IDX_IMAGES = 0x00000803 };

struct weir_idx {
    int n_dims;
    uint32_t dims[4];
    unsigned char *elements; /* to be freed with weir_free */
    size_t n_elements;       /* product of dims, at least 1 */
};

/* The first four bytes of the (inflated) file as a number; 0 when there are not that many.
 * WEIR_ERR_IO: cannot be opened or read.  WEIR_ERR_INVALID: a gzip file that is damaged there. */
weir_status weir_idx_magic(const char *path, uint32_t *magic_out);

/* Read a whole file with the given magic.  WEIR_ERR_IO, WEIR_ERR_INVALID (names file, byte and reason),
 * WEIR_ERR_NOMEM; on failure `idx_out` is untouched. */
weir_status weir_idx_read(const char *path, uint32_t magic, struct weir_idx *idx_out);

#endif
