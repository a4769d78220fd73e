/* Fuzz target: two files of any name and content are opened as tokens, or refused, and every sample can be read or is
 * refused.  The first byte: bit 0 says whether the bytes are differences to valid files with a header, so that what lies
 * behind it is reached as well; bit 1 which header; the others the sequence length.  The second says where the second file
 * starts; 255: there is one file only.  The third: what the files are called, and which format is asked for.  Texts are
 * read as bytes, and then once more by an encoder. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "include/weir/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { MOST = 64, VOCABULARY = 50257 };

/* The last pair is a Megatron dataset: its second file is no file of tokens. */
static const char *const names[][2] = {{"a.bin", "b.bin"},         {"a.txt", "b"},       {"a.npy", "b.npy"},
                                       {"a.jsonl", "b.json"},      {"a.bin.gz", "b.gz"}, {"m.bin", "m.idx"}};
enum { NAMES = sizeof names / sizeof names[0], MEGATRON = NAMES - 1 };

static char folder_path[64], paths[NAMES][2][96];

static void folder_remove(void)
{
    for (int k = 0; k < NAMES; k++)
        for (int i = 0; i < 2; i++)
            remove(paths[k][i]);
    remove(folder_path);
}

/* In memory where that can be had: thousands of files are written. */
static bool folder_make(void)
{
    static const char *const parents[] = {"/dev/shm", "/tmp"};
    for (int i = 0; i < 2 && !folder_path[0]; i++) {
        snprintf(folder_path, sizeof folder_path, "%s/weir-fuzz-XXXXXX", parents[i]);
        if (!mkdtemp(folder_path)) {
            folder_path[0] = 0;
            continue;
        }
        for (int k = 0; k < 2 * NAMES; k++)
            snprintf(paths[k / 2][k % 2], sizeof paths[0][0], "%s/%s", folder_path, names[k / 2][k % 2]);
        atexit(folder_remove);
    }
    return folder_path[0];
}

/* A file of differences has as many tokens as there are bytes, up to MOST; its first 12 bytes change the header. */
static void file_write(const char *path, int mode, const uint8_t *bytes, size_t n)
{
    static uint8_t whole[1024 + 4 * MOST];
    size_t width = mode & 2 ? 4 : 2, count = n < 12 ? 0 : n - 12 < MOST ? n - 12 : MOST;
    uint32_t words[3] = {mode & 2 ? 20240801 : 20240520, mode & 2 ? 7 : 1, (uint32_t)count};
    FILE *file = fopen(path, "wb");
    if (!file)
        abort();
    memset(whole, 0, sizeof whole);
    for (size_t i = 0; i < 12; i++)
        whole[i] = (uint8_t)(words[i / 4] >> 8 * (i % 4)) ^ (i < n ? bytes[i] : 0);
    for (size_t i = 0; i < count; i++)
        whole[1024 + i * width + (bytes[12 + i] & 1)] = bytes[12 + i];
    bool differences = mode & 1;
    fwrite(differences ? whole : bytes, 1, differences ? 1024 + count * width : n, file);
    if (fclose(file) != 0)
        abort();
}

static void samples_read(const weir_data *data, int32_t *input, int32_t *target)
{
    const struct weir_data_info *info = weir_data_info(data);
    int64_t seq_len = info->input.dims[0];
    for (int64_t i = 0; i < info->n_samples && i < 300; i++) {
        weir_data_prefetch(data, i, 2);
        if (weir_data_read(data, i, 1, input, target))
            continue;
        for (int64_t k = 0; k < seq_len; k++)
            if (input[k] < 0 || input[k] >= VOCABULARY || target[k] < 0 || target[k] >= VOCABULARY ||
                (k && input[k] != target[k - 1]))
                abort();
    }
}

/* A token per byte, and one more than there are bytes. */
static weir_status encode(void *context, const char *text, size_t size, struct weir_arena *arena, int32_t **tokens_out, int64_t *n_out)
{
    weir_status status = weir_arena_alloc(arena, size + 1, sizeof **tokens_out, tokens_out);
    (void)context;
    if (text[size])
        abort();
    for (size_t i = 0; i <= size && !status; i++)
        (*tokens_out)[i] = 1000 + (unsigned char)text[i];
    *n_out = (int64_t)size + 1;
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct weir_data_encoder encoder = {.encode = encode, .name = "fuzz", .vocabulary = 1256, .end = 7};
    static int32_t input[MOST], target[MOST];
    weir_data *data;
    if (n < 3 || !folder_make())
        return 0;
    int called = bytes[2] % NAMES;
    enum weir_data_format format = (enum weir_data_format)(bytes[2] / NAMES % WEIR_DATA_FORMATS);
    const char *const both[2] = {paths[called][0], paths[called][1]};
    size_t cut = bytes[1] == 255 ? n : 3 + (size_t)bytes[1] * (n - 3) / 255;
    file_write(both[0], called == MEGATRON ? 0 : bytes[0], bytes + 3, cut - 3);
    file_write(both[1], called == MEGATRON ? 0 : bytes[0], bytes + cut, n - cut);
    int n_files = bytes[1] == 255 || called == MEGATRON ? 1 : 2;
    if (!weir_data_open_tokens(both, n_files, format, 1 + bytes[0] / 4, VOCABULARY, 1, &data)) {
        samples_read(data, input, target);
        weir_data_close(data);
    }
    if (!weir_data_open_texts(both, n_files, format, 1 + bytes[0] / 4, VOCABULARY, &encoder, 1, &data)) {
        samples_read(data, input, target);
        weir_data_close(data);
    }
    return 0;
}
