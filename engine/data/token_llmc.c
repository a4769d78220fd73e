/* llm.c's token files: 256 int32 of header, then tokens (dev/data/data_common.py, write_datafile()). */
#include "engine/data/token_formats.h"

#include <string.h>

enum { HEADER_BYTES = WEIR_LLMC_HEADER_BYTES, VERSION_AT = 4, COUNT_AT = 8 };

static const struct format {
    const char *kind;
    uint32_t magic, version;
    enum weir_token_type type;
    size_t width;
} formats[] = {
    {"llm.c uint16", 20240520, 1, WEIR_TOKEN_uint16, 2},
    {"llm.c uint32", 20240801, 7, WEIR_TOKEN_uint32, 4},
};

/* What else llm.c writes to files called .bin. */
static const struct {
    uint32_t magic;
    const char *what;
} others[] = {
    {20240326, "a GPT-2 model"},   {20240327, "a debug state"},       {20240328, "a tokenizer"},
    {20240522, "an evaluation set"}, {20240527, "an optimizer state"}, {20240803, "a Llama-3 model"},
};

static uint32_t word_at(const struct weir_token_content *content, size_t at)
{
    return (uint32_t)weir_little_endian(content->bytes + at, 4);
}

static const struct format *format_of(const struct weir_token_content *content)
{
    for (size_t i = 0; content->n_bytes >= 4 && i < sizeof formats / sizeof formats[0]; i++)
        if (word_at(content, 0) == formats[i].magic)
            return &formats[i];
    return NULL;
}

bool weir_token_llmc_is(const struct weir_token_content *content, const char **what_out)
{
    *what_out = NULL;
    for (size_t i = 0; content->n_bytes >= 4 && i < sizeof others / sizeof others[0]; i++)
        if (word_at(content, 0) == others[i].magic)
            *what_out = others[i].what;
    return *what_out || format_of(content);
}

static weir_status header_check(const struct weir_token_content *content, const struct format *format)
{
    static const char *const chance = "; if these are tokens without a header that start so by chance, name their format "
                                      "(" WEIR_OPTION("data-format=u16") ")";
    if (content->n_bytes < HEADER_BYTES)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with the magic %u of llm.c's token files but ends at byte %zu, within "
                         "its header of %d bytes: it is cut short%s",
                         content->path, (unsigned)format->magic, content->n_bytes, HEADER_BYTES, chance);
    uint32_t version = word_at(content, VERSION_AT), count = word_at(content, COUNT_AT);
    if (version != format->version)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with the magic %u of llm.c's token files but its version at byte %d is "
                         "%u, not %u%s",
                         content->path, (unsigned)format->magic, VERSION_AT, (unsigned)version, (unsigned)format->version,
                         chance);
    size_t wanted = HEADER_BYTES + (size_t)count * format->width;
    if (content->n_bytes != wanted)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with the magic %u of llm.c's token files, and its count %u at "
                         "byte %d asks "
                         "for %zu bytes, but it ends at byte %zu: it is %s%s",
                         content->path, (unsigned)format->magic, (unsigned)count, COUNT_AT, wanted, content->n_bytes,
                         content->n_bytes < wanted ? "cut short" : "too long", chance);
    if (!count)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' holds no tokens: its count at byte %d is 0", content->path, COUNT_AT);
    return WEIR_OK;
}

weir_status weir_token_llmc_read(const struct weir_token_content *content, struct weir_token_file *file)
{
    const struct format *format = format_of(content);
    if (!format)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with no magic of llm.c's token files", content->path);
    weir_status status = header_check(content, format);
    if (status)
        return status;
    file->kind = format->kind;
    weir_token_file_set(content, format->type, HEADER_BYTES, file);
    return WEIR_OK;
}

static void word_put(uint32_t word, unsigned char *to)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(word >> 8 * i);
}

void weir_token_llmc_header(enum weir_token_type type, uint32_t count, unsigned char header_out[WEIR_LLMC_HEADER_BYTES])
{
    const struct format *format = &formats[type == formats[0].type ? 0 : 1];
    memset(header_out, 0, HEADER_BYTES);
    word_put(format->magic, header_out);
    word_put(format->version, header_out + VERSION_AT);
    word_put(count, header_out + COUNT_AT);
}
