#include "engine/data/token_open.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/data/gzip_file.h"
#include "engine/data/token_formats.h"

static const size_t MOST_UNPACKED = (size_t)8 << 30;

/* ---- formats without a header -------------------------------------------------------------------------------------- */

static weir_status text_read(const struct weir_token_content *content, struct weir_token_file *file)
{
    file->kind = "text";
    file->is_text = true;
    weir_token_file_set(content, WEIR_TOKEN_uint8, 0, file);
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

/* ---- opening ------------------------------------------------------------------------------------------------------- */

/* Two bytes of magic, deflate, and no flag that the format does not know. */
static bool is_gzip(const struct weir_mapped_file *map)
{
    return map->n_bytes >= 4 && !memcmp(map->bytes, "\x1f\x8b\x08", 3) && map->bytes[3] < 0x20;
}

/* The name without .gz, and unpacked content where the file is gzip; `memory` is the caller's to free. */
static weir_status unpack(const struct weir_mapped_file *map, enum weir_data_format format, char *name,
                          struct weir_token_content *content, unsigned char **memory)
{
    bool named = weir_name_ends(name, ".gz");
    if (named)
        name[strlen(name) - 3] = 0;
    if (named && !is_gzip(map))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is not gzip, though its name ends in .gz: give it another name", map->path);
    if (!named && (format != WEIR_DATA_FORMAT_AUTO || !is_gzip(map)))
        return WEIR_OK;
    weir_status status = weir_gzip_unpack(map->path, MOST_UNPACKED, memory, &content->n_bytes);
    content->bytes = *memory;
    return status;
}

static weir_status content_find(const struct weir_token_content *content, enum weir_data_format format,
                                struct weir_token_file *file)
{
    if (!content->n_bytes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is empty: it has 0 bytes%s", content->path,
                         file->map.n_bytes ? " when unpacked" : "");
    weir_status status = format == WEIR_DATA_FORMAT_AUTO ? weir_token_format_guess(content, &format) : WEIR_OK;
    return status ? status : format_read(content, format, file);
}

static weir_status mapped_read(struct weir_token_file *file, enum weir_data_format format, int64_t vocabulary)
{
    unsigned char *memory = NULL;
    char *name;
    weir_status status = weir_strdup(file->map.path, &name);
    if (status)
        return status;
    struct weir_token_content content = {file->map.path, name, file->map.bytes, file->map.n_bytes, vocabulary};
    if (file->map.n_bytes)
        status = unpack(&file->map, format, name, &content, &memory);
    file->packed = memory;
    if (!status)
        status = content_find(&content, format, file);
    if (!file->memory)
        file->memory = memory;
    else
        weir_free(memory); /* lines were taken out of it */
    weir_free(name);
    return status;
}

weir_status weir_token_file_open(const char *path, enum weir_data_format format, int64_t vocabulary,
                                 struct weir_token_file *file_out)
{
    struct weir_token_file file = {0};
    weir_status status = weir_mapped_open(path, &file.map);
    if (status)
        return status;
    status = mapped_read(&file, format, vocabulary);
    if (status)
        weir_token_file_close(&file);
    else
        *file_out = file;
    return status;
}

void weir_token_file_close(struct weir_token_file *file)
{
    weir_free(file->memory);
    weir_mapped_close(&file->map);
}
