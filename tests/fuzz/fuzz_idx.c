/* Fuzz target: a directory with two files of any content is opened as IDX, or refused, and every sample can be read.
 * The first byte says where the second file starts. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "engine/run/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *folder(void)
{
    static char path[] = "/tmp/weir-fuzz-XXXXXX";
    static const char *made;
    if (!made)
        made = mkdtemp(path);
    return made;
}

static void folder_file(const char *name, const uint8_t *bytes, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0)
        abort();
}

static void samples_read(const weir_data *data)
{
    const struct weir_data_info *info = weir_data_info(data);
    void *input, *target;
    if (weir_alloc(1, weir_shape_bytes(&info->input), &input))
        return;
    if (!weir_alloc(1, weir_shape_bytes(&info->target), &target)) {
        for (int64_t i = 0; i < info->n_samples && i < 100; i++)
            if (weir_data_read(data, i, 1, input, target))
                abort();
        weir_free(target);
    }
    weir_free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    weir_data *data;
    if (n < 1)
        return 0;
    size_t cut = 1 + (size_t)bytes[0] * (n - 1) / 256;
    folder_file("a", bytes + 1, cut - 1);
    folder_file("b", bytes + cut, n - cut);
    if (!weir_data_open_idx(folder(), 1, &data)) {
        samples_read(data);
        weir_data_close(data);
    }
    return 0;
}
