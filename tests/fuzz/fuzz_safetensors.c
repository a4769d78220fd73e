/* Fuzz target: any bytes are a safetensors file, or refused; what is read of it lies within it.  The first byte chooses: the
 * rest is a file; or a header, around which a file is made; or numbers of which a header is made that is nearly right. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { FLOATS = 64, MOST_HEADER = 8192, MOST_DATA = 65536 };

static void tensors_read(const struct weir_safetensors *file)
{
    float values[FLOATS];
    for (int i = 0; i < file->n_tensors; i++) {
        const struct weir_safetensors_tensor *t = &file->tensors[i];
        if (weir_safetensors_find(file, t->name) != t)
            abort();
        for (int64_t at = 0; at < t->n_elements && at < 1000; at += FLOATS) {
            int64_t left = t->n_elements - at;
            if (weir_safetensors_floats(file, t, at, left < FLOATS ? left : FLOATS, values) == WEIR_ERR_INVALID)
                abort();
        }
    }
}

/* A header with its length in front and data behind it, in memory of exactly that size. */
static uint8_t *file_make(const void *header, size_t n, size_t data, size_t *bytes_out)
{
    uint8_t *file = malloc(8 + n + data);
    if (!file)
        abort();
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(file + 8, header, n);
    memset(file + 8 + n, 0x3c, data);
    *bytes_out = 8 + n + data;
    return file;
}

/* A tensor from four bytes: dtype, two dimensions, and in the last one what is wrong with it (mostly nothing). */
static size_t tensor_print(const uint8_t *b, int index, size_t *end, char *text)
{
    static const int sizes[] = {1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 8, 8, 8, 8};
    int dtype = b[0] % WEIR_SAFETENSORS_DTYPES, wrong = b[3] < 8 ? b[3] : 0;
    long long rows = b[1] % 16, columns = wrong == 1 ? -1 : wrong == 2 ? INT64_MAX : b[2] % 16;
    size_t begin = *end + (wrong == 3), bytes = (size_t)(rows * (b[2] % 16) * sizes[dtype]) + (wrong == 4);
    *end = begin + bytes;
    return (size_t)sprintf(text, "%s\"t%d\":{\"dtype\":\"%s\",\"shape\":[%lld,%lld],\"data_offsets\":[%zu,%zu]}",
                           index ? "," : "", wrong == 5 ? 0 : index,
                           weir_safetensors_dtype_str((enum weir_safetensors_dtype)dtype), rows, columns, begin, *end);
}

static uint8_t *file_invent(const uint8_t *b, size_t n, size_t *bytes_out)
{
    char header[MOST_HEADER];
    size_t used = 1, data = 0;
    header[0] = '{';
    for (int i = 0; i < 32 && 4 * (size_t)i + 4 <= n; i++)
        used += tensor_print(b + 4 * i, i, &data, header + used);
    header[used++] = '}';
    return file_make(header, used, data < MOST_DATA ? data : MOST_DATA, bytes_out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct weir_safetensors file;
    uint8_t *made = NULL;
    if (n < 1)
        return 0;
    size_t size = n - 1;
    const uint8_t *from = bytes + 1;
    if (bytes[0] % 3 == 1)
        from = made = file_make(from, size, FLOATS, &size);
    else if (bytes[0] % 3 == 2)
        from = made = file_invent(from, size, &size);
    if (!weir_safetensors_parse(from, size, "input", &file)) {
        tensors_read(&file);
        weir_safetensors_close(&file);
    }
    free(made);
    return 0;
}
