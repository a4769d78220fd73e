/* Fuzz target: any text is the index of weights in several files, or refused.  Beside it lie two files of weights,
 * a.safetensors with tensors 'w' and 'b', and b.safetensors with 'v'; what the index says must be true of them. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/tensor_files.h"
#include "tests/fuzz/scratch_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void weights_write(const char *path, const char *header)
{
    uint8_t file[512] = {0};
    size_t n = strlen(header);
    file[0] = (uint8_t)n;
    memcpy(file + 8, header, n);
    scratch_write(path, file, 8 + n + (strchr(header, 'w') ? 12 : 4));
}

static const char *folder_make(void)
{
    static const char *index;
    if (index)
        return index;
    weights_write(scratch_path("a.safetensors"), "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}");
    weights_write(scratch_path("b.safetensors"), "{\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
    return index = scratch_path("model.safetensors.index.json");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *const names[] = {"w", "b", "v"}, *index = folder_make();
    struct weir_tensor_files files;
    scratch_write(index, bytes, n);
    if (weir_tensor_files_open(index, &files))
        return 0;
    int n_found = 0, n_there = 0;
    for (int i = 0; i < 3; i++) {
        const struct weir_safetensors *file;
        const struct weir_safetensors_tensor *tensor;
        float values[2];
        if (!weir_tensor_files_find(&files, names[i], &file, &tensor))
            continue;
        n_found++;
        if (weir_safetensors_floats(file, tensor, 0, tensor->n_elements, values))
            abort();
    }
    for (int i = 0; i < files.n_files; i++)
        n_there += files.files[i].n_tensors;
    if (n_found != n_there)
        abort();
    weir_tensor_files_close(&files);
    return 0;
}
