#include "engine/data/token_file.h"

#include <string.h>

enum { HEADER_BYTES = 1024, VERSION_AT = 4, COUNT_AT = 8 };

static const struct weir_token_format text = {.kind = "text", .width = 1},
                                      bare = {.kind = "uint16", .width = 2};

/* llm.c: dev/data/data_common.py, write_datafile(). */
static const struct weir_token_format with_header[] = {
    {"llm.c gpt-2", 20240520, 1, HEADER_BYTES, 2},
    {"llm.c llama-3", 20240801, 7, HEADER_BYTES, 4},
};

/* What else llm.c writes to files called .bin. */
static const struct {
    uint32_t magic;
    const char *what;
} others[] = {
    {20240326, "a GPT-2 model"},   {20240327, "a debug state"},       {20240328, "a tokenizer"},
    {20240522, "an evaluation set"}, {20240527, "an optimizer state"}, {20240803, "a Llama-3 model"},
};

static uint32_t word_at(const struct weir_mapped_file *map, size_t at)
{
    const unsigned char *b = map->bytes + at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static weir_status bare_check(const struct weir_mapped_file *map)
{
    for (size_t i = 0; map->n_bytes >= 4 && i < sizeof others / sizeof others[0]; i++)
        if (word_at(map, 0) == others[i].magic)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with %u at byte 0, as llm.c's files of %s do: tokens are needed",
                             map->path, (unsigned)others[i].magic, others[i].what);
    if (map->n_bytes % 2)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "'%s' has no header and ends at byte %zu, within a uint16 token that starts at byte %zu", map->path,
                         map->n_bytes, map->n_bytes - 1);
    return WEIR_OK;
}

/* The file starts with the magic of `format`: is the rest as it must be? */
static weir_status header_check(const struct weir_mapped_file *map, const struct weir_token_format *format)
{
    static const char *const chance =
        "; if these are tokens without a header that start so by chance, take off the first one";
    if (map->n_bytes < HEADER_BYTES)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with the magic %u of llm.c's token files but ends at byte %zu, within "
                         "its header of %d bytes: it is cut short%s",
                         map->path, (unsigned)format->magic, map->n_bytes, HEADER_BYTES, chance);
    uint32_t version = word_at(map, VERSION_AT), count = word_at(map, COUNT_AT);
    if (version != format->version)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with the magic %u of llm.c's token files but its version at byte %d is "
                         "%u, not %u%s",
                         map->path, (unsigned)format->magic, VERSION_AT, (unsigned)version, (unsigned)format->version, chance);
    size_t wanted = HEADER_BYTES + (size_t)count * (size_t)format->width;
    if (map->n_bytes != wanted)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with the magic %u of llm.c's token files, and its count %u at byte %d asks "
                         "for %zu bytes, but it ends at byte %zu: it is %s%s",
                         map->path, (unsigned)format->magic, (unsigned)count, COUNT_AT, wanted, map->n_bytes,
                         map->n_bytes < wanted ? "cut short" : "too long", chance);
    if (!count)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' holds no tokens: its count at byte %d is 0", map->path, COUNT_AT);
    return WEIR_OK;
}

static weir_status format_find(const struct weir_mapped_file *map, bool as_text, const struct weir_token_format **format_out)
{
    size_t length = strlen(map->path);
    bool binary = length >= 4 && !strcmp(map->path + length - 4, ".bin");
    *format_out = as_text || !binary ? &text : &bare;
    if (!map->n_bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is empty: it has 0 bytes", map->path);
    if (*format_out == &text)
        return WEIR_OK;
    for (size_t i = 0; map->n_bytes >= 4 && i < sizeof with_header / sizeof with_header[0]; i++)
        if (word_at(map, 0) == with_header[i].magic) {
            *format_out = &with_header[i];
            return header_check(map, &with_header[i]);
        }
    return bare_check(map);
}

weir_status weir_token_file_open(const char *path, bool as_text, struct weir_token_file *file_out)
{
    struct weir_token_file file = {0};
    weir_status status = weir_mapped_open(path, &file.map);
    if (status)
        return status;
    status = format_find(&file.map, as_text, &file.format);
    if (status) {
        weir_mapped_close(&file.map);
        return status;
    }
    file.tokens = file.map.bytes + file.format->header_bytes;
    file.n_tokens = (int64_t)((file.map.n_bytes - file.format->header_bytes) / (size_t)file.format->width);
    *file_out = file;
    return WEIR_OK;
}

void weir_token_file_close(struct weir_token_file *file)
{
    weir_mapped_close(&file->map);
}
