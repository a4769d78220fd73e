#include "engine/data/token_open.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/data/gzip_file.h"
#include "engine/data/token_formats.h"

static const size_t MOST_UNPACKED = (size_t)8 << 30, HEAD = 1 << 17, JSON_HEAD = 1 << 20;

/* ---- formats without a header -------------------------------------------------------------------------------------- */

static weir_status text_read(const struct weir_token_content *content, struct weir_token_file *file)
{
    bool marked = content->n_head >= 3 && !memcmp(content->bytes, "\xef\xbb\xbf", 3); /* a byte-order mark */
    file->kind = "text";
    file->is_text = true;
    weir_token_file_set(content, WEIR_TOKEN_uint8, marked ? 3 : 0, file);
    return WEIR_OK;
}

static weir_status bare_read(const struct weir_token_content *content, const char *kind, enum weir_token_type type,
                             struct weir_token_file *file)
{
    size_t beyond = content->n_bytes % (size_t)weir_token_width(type);
    if (beyond)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no header and ends at byte %zu, within a %s token that starts at byte %zu",
                         content->path, content->n_bytes, kind, content->n_bytes - beyond);
    file->kind = kind;
    weir_token_file_set(content, type, 0, file);
    return WEIR_OK;
}

static weir_status format_read(const struct weir_token_content *content, enum weir_data_format format,
                               struct weir_token_file *file)
{
    switch (format) {
    case WEIR_DATA_FORMAT_U16:
        return bare_read(content, "uint16", WEIR_TOKEN_uint16, file);
    case WEIR_DATA_FORMAT_U32:
        return bare_read(content, "uint32", WEIR_TOKEN_uint32, file);
    case WEIR_DATA_FORMAT_I64:
        return bare_read(content, "int64", WEIR_TOKEN_int64, file);
    case WEIR_DATA_FORMAT_LLMC:
        return weir_token_llmc_read(content, file);
    case WEIR_DATA_FORMAT_MEGATRON:
        return weir_token_megatron_read(content, file);
    case WEIR_DATA_FORMAT_NPY:
        return weir_token_npy_read(content, file);
    case WEIR_DATA_FORMAT_JSONL:
        return weir_token_lines_read(content, file);
    default:
        return text_read(content, file);
    }
}

bool weir_token_format_is_text(enum weir_data_format format)
{
    return format == WEIR_DATA_FORMAT_TEXT || format == WEIR_DATA_FORMAT_JSONL;
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

/* Two bytes of magic, deflate, and no flag that the format does not know. */
static bool is_gzip(const struct weir_token_content *content)
{
    return content->n_head >= 4 && !memcmp(content->bytes, "\x1f\x8b\x08", 3) && content->bytes[3] < 0x20;
}

/* The name without .gz, and unpacked content where the file is gzip; `memory` is the caller's to free. */
static weir_status unpack(enum weir_data_format format, char *name, struct weir_token_content *content,
                          unsigned char **memory)
{
    bool named = weir_name_ends(name, ".gz");
    if (named)
        name[strlen(name) - 3] = 0;
    if (named && !is_gzip(content))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not gzip, though its name ends in .gz: give it another name",
                         content->path);
    if (!named && (format != WEIR_DATA_FORMAT_AUTO || !is_gzip(content)))
        return WEIR_OK;
    weir_status status = weir_gzip_unpack(content->path, MOST_UNPACKED, memory, &content->n_bytes);
    content->bytes = *memory;
    content->n_head = content->n_bytes;
    content->whole = true;
    if (!status && content->n_bytes >= 4)
        memcpy(content->last, *memory + content->n_bytes - 4, 4);
    return status;
}

/* Have the first `n` bytes of the file in `head`, or as many as there are. */
static weir_status head_read(const struct weir_ranged_file *disk, size_t n, struct weir_token_content *content,
                             unsigned char **head)
{
    content->n_head = n < content->n_bytes ? n : content->n_bytes;
    content->whole = content->n_head == content->n_bytes;
    weir_free(*head);
    *head = NULL;
    weir_status status = weir_alloc(content->n_head, 1, head);
    if (!status)
        status = weir_ranged_read(disk, 0, *head, content->n_head);
    content->bytes = *head;
    return status;
}

/* A first line of JSON may be long. */
static bool starts_as_json(const struct weir_token_content *content)
{
    size_t at = content->n_head >= 3 && !memcmp(content->bytes, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (at < content->n_head && strchr(" \t\r\n", content->bytes[at]) && content->bytes[at])
        at++;
    return at < content->n_head && content->bytes[at] == '{';
}

static weir_status start_read(const struct weir_ranged_file *disk, struct weir_token_content *content, unsigned char **head)
{
    weir_status status = head_read(disk, HEAD, content, head);
    if (!status && !content->whole && starts_as_json(content))
        status = head_read(disk, JSON_HEAD, content, head);
    if (!status && content->n_bytes >= sizeof content->last)
        status = weir_ranged_read(disk, content->n_bytes - sizeof content->last, content->last, sizeof content->last);
    return status;
}

static weir_status content_find(struct weir_token_content *content, enum weir_data_format format, bool texts, unsigned char **head,
                                struct weir_token_file *file)
{
    if (!content->n_bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is empty: it has 0 bytes%s", content->path,
                         file->disk.n_bytes ? " when unpacked" : "");
    weir_status status = format == WEIR_DATA_FORMAT_AUTO ? weir_token_format_guess(content, &format) : WEIR_OK;
    file->format = format;
    if (!status && !texts && weir_token_format_is_text(format)) {
        file->kind = format == WEIR_DATA_FORMAT_TEXT ? "text" : "JSON Lines";
        file->is_text = true;
        return WEIR_OK;
    }
    if (!status && format == WEIR_DATA_FORMAT_JSONL && !content->whole)
        status = head_read(&file->disk, content->n_bytes, content, head);
    return status ? status : format_read(content, format, file);
}

static weir_status named_read(struct weir_token_file *file, enum weir_data_format format, bool texts, char *name,
                              struct weir_token_content *content)
{
    unsigned char *memory = NULL, *head = NULL;
    weir_status status = content->n_bytes ? start_read(&file->disk, content, &head) : WEIR_OK;
    if (!status && content->n_bytes)
        status = unpack(format, name, content, &memory);
    file->packed = memory;
    content->whole = content->whole && (memory || format == WEIR_DATA_FORMAT_JSONL);
    if (!status)
        status = content_find(content, format, texts, &head, file);
    weir_free(head);
    if (!file->memory && file->n_tokens)
        file->memory = memory;
    else
        weir_free(memory); /* lines were taken out of it, or nothing was */
    return status;
}

static weir_status disk_read(struct weir_token_file *file, enum weir_data_format format, bool texts, int64_t vocabulary)
{
    char *name;
    weir_status status = weir_strdup(file->disk.path, &name);
    if (status)
        return status;
    struct weir_token_content content = {
        .path = file->disk.path, .name = name, .n_bytes = (size_t)file->disk.n_bytes, .vocabulary = vocabulary};
    status = named_read(file, format, texts, name, &content);
    weir_free(name);
    return status;
}

weir_status weir_token_file_open(const char *path, enum weir_data_format format, bool texts, int64_t vocabulary,
                                 struct weir_token_file *file_out)
{
    struct weir_token_file file = {0};
    if ((unsigned)format >= WEIR_DATA_FORMATS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': there is no data format %d", path, (int)format);
    weir_status status = weir_ranged_open(path, &file.disk);
    if (status)
        return status;
    status = disk_read(&file, format, texts, vocabulary);
    if (status)
        weir_token_file_close(&file);
    else
        *file_out = file;
    return status;
}

void weir_token_file_close(struct weir_token_file *file)
{
    weir_free(file->memory);
    weir_ranged_close(&file->disk);
}
