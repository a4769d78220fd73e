/* Fuzz target: a directory with two files of any content is opened as IDX, or refused, and every sample can be read.
 * The first byte says where the second file starts; when it is odd, the bytes are differences to two valid files, so that
 * what lies behind the headers is reached as well. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "include/weir/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static char folder_path[64];

static void file_path(const char *name, char path[80])
{
    snprintf(path, 80, "%s/%s", folder_path, name);
}

static void folder_remove(void)
{
    char path[80];
    file_path("a", path);
    remove(path);
    file_path("b", path);
    remove(path);
    remove(folder_path);
}

/* In memory where that can be had: thousands of files are written. */
static const char *folder(void)
{
    static const char *const parents[] = {"/dev/shm", "/tmp"};
    for (int i = 0; i < 2 && !folder_path[0]; i++) {
        snprintf(folder_path, sizeof folder_path, "%s/weir-fuzz-XXXXXX", parents[i]);
        if (!mkdtemp(folder_path))
            folder_path[0] = 0;
        else
            atexit(folder_remove);
    }
    return folder_path;
}

static const uint8_t images[22] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40, 50, 60};
static const uint8_t labels[11] = {0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2};

static void folder_file(const char *name, const uint8_t *valid, size_t n_valid, const uint8_t *bytes, size_t n)
{
    char path[80];
    file_path(name, path);
    FILE *file = fopen(path, "wb");
    if (!file)
        abort();
    for (size_t i = 0; i < n || i < n_valid; i++)
        putc((i < n ? bytes[i] : 0) ^ (i < n_valid ? valid[i] : 0), file);
    if (fclose(file) != 0)
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
    if (n < 1 || !folder()[0])
        return 0;
    size_t cut = 1 + (size_t)bytes[0] * (n - 1) / 256;
    bool differences = bytes[0] & 1;
    folder_file("a", images, differences ? sizeof images : 0, bytes + 1, cut - 1);
    folder_file("b", labels, differences ? sizeof labels : 0, bytes + cut, n - cut);
    if (!weir_data_open_idx(folder(), 1, &data)) {
        samples_read(data);
        weir_data_close(data);
    }
    return 0;
}
