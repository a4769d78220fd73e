/* Megatron's indexed datasets: tokens in NAME.bin, and beside it NAME.idx, which says what they are.
 *
 *     MMIDIDX\0\0 │ u64 1 │ u8 dtype │ u64 S │ u64 D │ S × i32 lengths │ S × i64 offsets │ D × i64 documents │ (S × i8)
 *
 * (megatron/core/datasets/indexed_dataset.py.)  Sequences follow each other in the .bin, so that it is one run of tokens;
 * the documents are the sequences from one entry of the last list to the next, so there are D - 1 of them. */
#include <string.h>

#include "base/alloc.h"
#include "base/input_file.h"
#include "base/text.h"
#include "engine/data/token_formats.h"

static const size_t MOST_INDEX = (size_t)8 << 30;

enum { VERSION_AT = 9, DTYPE_AT = 17, SEQUENCES_AT = 18, DOCUMENTS_AT = 26, HEADER = 34 };

struct index {
    const char *path;
    const unsigned char *bytes;
    size_t n_bytes;
    uint64_t sequences, documents;
    enum weir_token_type type;
};

/* By dtype code; 6 and 7 are floating-point. */
#define KIND(name) {WEIR_TOKEN_##name, "Megatron " #name}
static const struct {
    enum weir_token_type type;
    const char *kind;
} types[] = {[1] = KIND(uint8), [2] = KIND(int8), [3] = KIND(int16), [4] = KIND(int32), [5] = KIND(int64), [8] = KIND(uint16)};
#undef KIND

weir_status weir_token_megatron_index(const struct weir_token_content *content, char **path_out)
{
    char *path;
    size_t n = strlen(content->name);
    *path_out = NULL;
    if (!weir_name_ends(content->name, ".bin"))
        return WEIR_OK;
    weir_status status = weir_strdup(content->name, &path);
    for (int i = 0; i < 2 && !status; i++) {
        memcpy(path + n - 3, i ? "IDX" : "idx", 3);
        if (weir_input_exists(path)) {
            *path_out = path;
            return WEIR_OK;
        }
    }
    if (!status)
        weir_free(path);
    return status;
}

static weir_status header_read(struct index *index, struct weir_token_file *file)
{
    if (index->n_bytes >= 6 && !memcmp(index->bytes, "TNTIDX", 6))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is an index of Megatron's older form (TNTIDX): make it again with its "
                         "tools/preprocess_data.py", index->path);
    if (index->n_bytes < HEADER || memcmp(index->bytes, "MMIDIDX\0\0", 9) != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no index of Megatron (MMIDIDX): move it away, or name the format of "
                         "the tokens "
                         "beside it (" WEIR_OPTION("data-format=u16") ", u32 or i64)", index->path);
    uint64_t version = weir_little_endian(index->bytes + VERSION_AT, 8);
    unsigned code = index->bytes[DTYPE_AT];
    if (version != 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the version at byte %d is %llu, Megatron's indices have 1: if it is "
                         "damaged, name "
                         "the format of the tokens beside it (" WEIR_OPTION("data-format=u16") ", u32 or i64)",
                         index->path, VERSION_AT, (unsigned long long)version);
    if (code >= sizeof types / sizeof types[0] || !types[code].kind)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the dtype at byte %d is %u, tokens are integers: 1 to 5 or 8", index->path,
                         DTYPE_AT, code);
    index->type = types[code].type;
    file->kind = types[code].kind;
    index->sequences = weir_little_endian(index->bytes + SEQUENCES_AT, 8);
    index->documents = weir_little_endian(index->bytes + DOCUMENTS_AT, 8);
    return WEIR_OK;
}

/* The size follows from the counts, with or without modes. */
static weir_status size_check(const struct index *index)
{
    size_t left = index->n_bytes - HEADER;
    bool counted = index->sequences <= left / 12 && index->documents <= (left - 12 * index->sequences) / 8;
    size_t beyond = counted ? left - 12 * (size_t)index->sequences - 8 * (size_t)index->documents : 0;
    if (counted && (beyond == 0 || beyond == index->sequences) && index->sequences)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': %llu sequences and %llu documents do not fit its %zu bytes", index->path,
                     (unsigned long long)index->sequences, (unsigned long long)index->documents, index->n_bytes);
}

/* The sequences follow each other from byte 0 of the .bin to its end. */
static weir_status sequences_check(const struct index *index, const struct weir_token_content *content, int width)
{
    const unsigned char *lengths = index->bytes + HEADER, *offsets = lengths + 4 * index->sequences;
    uint64_t at = 0;
    for (uint64_t s = 0; s < index->sequences; s++) {
        int32_t length = (int32_t)weir_little_endian(lengths + 4 * s, 4);
        uint64_t offset = weir_little_endian(offsets + 8 * s, 8);
        if (length < 0 || offset != at)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': sequence %llu has %d tokens and starts at byte %llu of '%s', those "
                             "before it "
                             "end at byte %llu", index->path, (unsigned long long)s, length, (unsigned long long)offset,
                             content->path, (unsigned long long)at);
        at += (uint64_t)length * (uint64_t)width;
    }
    if (at != content->n_bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %zu bytes, the sequences of '%s' have %llu: they do not belong together",
                         content->path, content->n_bytes, index->path, (unsigned long long)at);
    return WEIR_OK;
}

static weir_status index_read(struct index *index, const struct weir_token_content *content, struct weir_token_file *file)
{
    weir_status status = header_read(index, file);
    if (!status)
        status = size_check(index);
    if (status)
        return status;
    weir_token_file_set(content, index->type, 0, file);
    file->n_documents = index->documents > 1 ? (int64_t)index->documents - 1 : 0;
    return sequences_check(index, content, file->width);
}

weir_status weir_token_megatron_read(const struct weir_token_content *content, struct weir_token_file *file)
{
    char *path, *bytes;
    size_t n;
    weir_status status = weir_token_megatron_index(content, &path);
    if (!status && !path)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no .idx beside it, which says what Megatron's tokens "
                           "are", content->path);
    if (status)
        return status;
    status = weir_file_read(path, MOST_INDEX, &bytes, &n);
    if (!status) {
        struct index index = {.path = path, .bytes = (const unsigned char *)bytes, .n_bytes = n};
        status = index_read(&index, content, file);
        weir_free(bytes);
    }
    weir_free(path);
    return status;
}
