/* Fuzz target: any bytes are a safetensors file, or refused; what is read of it lies within it.  The first byte chooses:
 * even, the rest is a file; odd, the rest is a header and the file is made around it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { DATA = 64 }; /* bytes behind a header */

static void tensors_read(const struct weir_safetensors *file)
{
    float values[DATA];
    for (int i = 0; i < file->n_tensors; i++) {
        const struct weir_safetensors_tensor *t = &file->tensors[i];
        if (weir_safetensors_find(file, t->name) != t)
            abort();
        for (int64_t at = 0; at < t->n_elements && at < 1000; at += DATA) {
            int64_t left = t->n_elements - at;
            if (weir_safetensors_floats(file, t, at, left < DATA ? left : DATA, values) == WEIR_ERR_INVALID)
                abort();
        }
    }
}

/* A header with its length in front and data behind it, in memory of exactly that size. */
static uint8_t *file_make(const uint8_t *header, size_t n, size_t *bytes_out)
{
    uint8_t *file = malloc(8 + n + DATA);
    if (!file)
        abort();
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(file + 8, header, n);
    memset(file + 8 + n, 0x3c, DATA);
    *bytes_out = 8 + n + DATA;
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct weir_safetensors file;
    uint8_t *made = NULL;
    size_t size = n ? n - 1 : 0;
    const uint8_t *from = bytes + (n ? 1 : 0);
    if (n && bytes[0] & 1)
        from = made = file_make(from, size, &size);
    if (!weir_safetensors_parse(from, size, "input", &file)) {
        tensors_read(&file);
        weir_safetensors_close(&file);
    }
    free(made);
    return 0;
}
