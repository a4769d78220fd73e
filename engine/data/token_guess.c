/* What a file is, when nobody says it: content first, the name then, and no guess where both leave a doubt. */
#include <string.h>

#include "base/alloc.h"
#include "engine/data/token_formats.h"

enum { PROBE = 1 << 16, FEWEST_WORDS = 4, FEWEST_LETTERS = 32, LARGEST_VOCABULARY = 1 << 20 };

/* Files of other programs by their first bytes. */
static const struct {
    const char *start;
    size_t n;
    const char *what, *instead;
} foreign[] = {
    {"ARROW1\0", 8, "an Arrow file", "write its text to JSON Lines, {\"text\": \"...\"} per line"},
    {"\x89HDF\r\n", 6, "an HDF5 file", "save its tokens as a NumPy array"},
    {"PK\x03\x04", 4, "a zip archive, as .npz and PyTorch files are", "save its tokens as a NumPy array (.npy)"},
    {"\x80\x02\x8a\x0al\xfc\x9c", 7, "a file of PyTorch", "save its tokens as a NumPy array"},
    {"\x28\xb5\x2f\xfd", 4, "a zstd file", "unpack it with 'zstd -d'"},
    {"\xfd"
     "7zXZ",
     6, "an xz file", "unpack it with 'xz -d'"},
    {"\x04\x22\x4d\x18", 4, "an lz4 file", "unpack it with 'lz4 -d'"},
    {"7z\xbc\xaf\x27\x1c", 6, "a 7z archive", "unpack it"},
    {"%PDF-", 5, "a PDF", "take its text out, with pdftotext"},
    {"SQLite format 3", 16, "an SQLite database", "write its text to a file"},
    {"\x7f"
     "ELF",
     4, "a program", "name a text or tokens"},
    {"MMIDIDX\0", 9, "the index of a Megatron dataset", "name the .bin beside it"},
    {"TNTIDX\0", 8, "the index of a Megatron dataset", "name the .bin beside it"},
};

/* Some have a second mark, without which a text may start so; `at` is negative for the last four bytes. */
static const struct {
    const char *start, *mark;
    int at;
    const char *what, *instead;
} marked[] = {
    {"PAR1", "PAR1", -4, "a Parquet file", "write its text to JSON Lines, {\"text\": \"...\"} per line"},
    {"BZh", "1AY&SY", 4, "a bzip2 file", "unpack it with 'bzip2 -d'"},
    {"", "ustar", 257, "a tar archive", "unpack it with 'tar -xf'"},
};

static bool starts_with(const struct weir_token_content *content, const char *start, size_t n)
{
    return content->n_head >= n && !memcmp(content->bytes, start, n);
}

static weir_status foreign_refuse(const struct weir_token_content *content)
{
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (starts_with(content, foreign[i].start, foreign[i].n))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is %s: %s", content->path, foreign[i].what, foreign[i].instead);
    for (size_t i = 0; i < sizeof marked / sizeof marked[0]; i++) {
        bool at_end = marked[i].at < 0;
        size_t at = at_end ? 0 : (size_t)marked[i].at, n = strlen(marked[i].mark);
        const unsigned char *bytes = at_end ? content->last : content->bytes + at;
        if (starts_with(content, marked[i].start, strlen(marked[i].start)) && content->n_head >= at + n &&
            !memcmp(bytes, marked[i].mark, n))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is %s: %s", content->path, marked[i].what, marked[i].instead);
    }
    return WEIR_OK;
}

/* A name that promises what the content does not have. */
static weir_status name_refuse(const struct weir_token_content *content)
{
    static const char *const promises[] = {".npy", ".npz", ".parquet", ".arrow", ".zst", ".xz", ".bz2", ".zip"};
    for (size_t i = 0; i < sizeof promises / sizeof promises[0]; i++)
        if (weir_name_ends(content->name, promises[i]))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no %s file, though its name ends so: give it another name, or say "
                             "what it is (" WEIR_OPTION("data-format=text") ")", content->path, promises[i]);
    return WEIR_OK;
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

/* The control characters that texts have: \a to \r, what ends a file in DOS, and escape. */
static bool is_text_byte(unsigned char byte)
{
    return byte >= ' ' ? byte != 0x7f : (byte >= 7 && byte <= 13) || byte == 0x1a || byte == 0x1b;
}

/* The first byte of the probe that no text has, or its length. */
static size_t text_length(const struct weir_token_content *content)
{
    size_t n = content->n_bytes < PROBE ? content->n_bytes : PROBE, at = 0;
    while (at < n && is_text_byte(content->bytes[at]))
        at++;
    return at;
}

static weir_status text_check(const struct weir_token_content *content)
{
    static const char *const wide[] = {"UTF-32", "UTF-32", "UTF-16", "UTF-16"};
    static const char marks[][5] = {{'\xff', '\xfe', 0, 0}, {0, 0, '\xfe', '\xff'}, {'\xff', '\xfe'}, {'\xfe', '\xff'}};
    for (size_t i = 0; i < 4; i++)
        if (starts_with(content, marks[i], i < 2 ? 4 : 2))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is text in %s: convert it with 'iconv -f %s -t UTF-8'",
                             content->path, wide[i], wide[i]);
    size_t n = content->n_bytes < PROBE ? content->n_bytes : PROBE, at = text_length(content);
    if (at == n)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has byte 0x%02x at %zu, which no text has: are these tokens, or text in UTF-16? "
                     "Name the format (" WEIR_OPTION("data-format=u16") ", u32, i64, or text to take every byte as it is)",
                     content->path, content->bytes[at], at);
}

/* ---- .bin ---------------------------------------------------------------------------------------------------------- */

/* All words of the probe could be ids: tokens of 4 bytes, or of 8.  Two tokens of 2 bytes look so only when every second
 * one is next to 0, as none but those of a very small vocabulary are. */
static bool words_are_ids(const struct weir_token_content *content)
{
    size_t n = (content->n_bytes < PROBE ? content->n_bytes : PROBE) / 4;
    int64_t most = content->vocabulary > 256 ? LARGEST_VOCABULARY : content->vocabulary;
    for (size_t i = 0; i < n; i++)
        if ((int64_t)weir_little_endian(content->bytes + 4 * i, 4) >= most)
            return false;
    return n >= FEWEST_WORDS && content->n_bytes % 4 == 0;
}

static weir_status bare_check(const struct weir_token_content *content)
{
    size_t letters = text_length(content);
    if (letters >= FEWEST_LETTERS && (letters == content->n_bytes || letters == PROBE))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is called .bin and holds text: name its format ("
                         WEIR_OPTION("data-format=text") ", or u16 if it is tokens after all)", content->path);
    if (words_are_ids(content))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' may hold tokens of 2, 4 or 8 bytes, as every second number of 2 bytes is next "
                         "to 0: name the format (" WEIR_OPTION("data-format=u16") ", u32 or i64)", content->path);
    return WEIR_OK;
}

static weir_status bin_guess(const struct weir_token_content *content, enum weir_data_format *format_out)
{
    const char *what;
    char *index;
    if (weir_token_llmc_is(content, &what)) {
        *format_out = WEIR_DATA_FORMAT_LLMC;
        return what ? WEIR_FAIL(WEIR_ERR_INVALID, "'%s' starts with %u at byte 0, as llm.c's files of %s do: tokens are "
                                "needed", content->path, (unsigned)weir_little_endian(content->bytes, 4), what)
                    : WEIR_OK;
    }
    weir_status status = weir_token_megatron_index(content, &index);
    if (status)
        return status;
    *format_out = index ? WEIR_DATA_FORMAT_MEGATRON : WEIR_DATA_FORMAT_U16;
    if (!index)
        return bare_check(content);
    weir_free(index);
    return WEIR_OK;
}

weir_status weir_token_format_guess(const struct weir_token_content *content, enum weir_data_format *format_out)
{
    if (starts_with(content, "\x93NUMPY", 6)) {
        *format_out = WEIR_DATA_FORMAT_NPY;
        return WEIR_OK;
    }
    weir_status status = foreign_refuse(content);
    if (status)
        return status;
    if (weir_name_ends(content->name, ".bin"))
        return bin_guess(content, format_out);
    status = name_refuse(content);
    if (status)
        return status;
    bool named = weir_name_ends(content->name, ".jsonl") || weir_name_ends(content->name, ".ndjson");
    *format_out = named || weir_token_lines_is(content) ? WEIR_DATA_FORMAT_JSONL : WEIR_DATA_FORMAT_TEXT;
    return text_check(content);
}
