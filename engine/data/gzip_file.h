/* Files that may be gzip: read from the beginning, unpacked; what is not gzip is read as it is. */
#ifndef WEIR_ENGINE_DATA_GZIP_FILE_H
#define WEIR_ENGINE_DATA_GZIP_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct weir_gzip {
    const char *path;  /* borrowed */
    void *file;        /* zlib's */
    uint64_t offset;   /* unpacked bytes read so far */
    uint64_t capacity; /* more cannot be in the file */
};

/* WEIR_ERR_IO, WEIR_ERR_INVALID: nothing that base/input_file.h opens.  WEIR_ERR_NOMEM. */
weir_status weir_gzip_open(const char *path, struct weir_gzip *gzip_out);
void weir_gzip_close(struct weir_gzip *gzip);

/* Read up to `bytes` bytes; less only at the end of the file, where the checksum has been compared.
 * WEIR_ERR_INVALID: damaged (names file and byte).  WEIR_ERR_IO, WEIR_ERR_NOMEM. */
weir_status weir_gzip_read(struct weir_gzip *gzip, void *to, size_t bytes, size_t *got_out);

/* The whole file in memory from weir_alloc.  WEIR_ERR_INVALID: more than `limit` bytes; as above. */
weir_status weir_gzip_unpack(const char *path, size_t limit, unsigned char **bytes_out, size_t *n_out);

#endif
