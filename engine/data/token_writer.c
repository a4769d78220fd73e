#include "include/weir/data.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "engine/data/token_formats.h"

enum { BUFFER = 1 << 16 };

struct weir_token_writer {
    struct weir_replacement file;
    enum weir_token_type type;
    bool has_header;
    int width;
    int64_t vocabulary, n_tokens;
    size_t n;    /* bytes that wait */
    bool broken; /* a write failed: nobody knows what the file has */
    unsigned char buffer[BUFFER];
};

static weir_status buffer_flush(weir_token_writer *writer)
{
    weir_status status = weir_replace_write(&writer->file, writer->buffer, writer->n);
    writer->broken = status != WEIR_OK;
    writer->n = 0;
    return status;
}

static weir_status format_set(weir_token_writer *writer, const char *path, enum weir_data_format format)
{
    bool narrow = writer->vocabulary <= UINT16_MAX + 1;
    if ((unsigned)format >= WEIR_DATA_FORMATS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': there is no data format %d", path, (int)format);
    if (format != WEIR_DATA_FORMAT_LLMC && format != WEIR_DATA_FORMAT_U16 && format != WEIR_DATA_FORMAT_U32)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': format %s is read, and not written: use llmc, u16 or u32", path,
                         weir_data_format_str(format));
    if (format == WEIR_DATA_FORMAT_U16 && !narrow)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the tokenizer's ids end at %lld, uint16 at 65535: use format llmc or u32", path,
                         (long long)writer->vocabulary - 1);
    writer->has_header = format == WEIR_DATA_FORMAT_LLMC;
    writer->type = format == WEIR_DATA_FORMAT_U32 || !narrow ? WEIR_TOKEN_uint32 : WEIR_TOKEN_uint16;
    writer->width = weir_token_width(writer->type);
    return WEIR_OK;
}

/* Room for the header, which is written when the count is known. */
static weir_status header_reserve(weir_token_writer *writer)
{
    memset(writer->buffer, 0, WEIR_LLMC_HEADER_BYTES);
    writer->n = writer->has_header ? WEIR_LLMC_HEADER_BYTES : 0;
    if (writer->has_header && writer->file.in_place)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no regular file, and the header is written when the tokens are counted: use format "
                         "u16 or u32", writer->file.path);
    return WEIR_OK;
}

weir_status weir_token_writer_open(const char *path, enum weir_data_format format, int64_t vocabulary,
                                   weir_token_writer **writer_out)
{
    weir_token_writer *writer;
    if (vocabulary < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': the vocabulary is %lld, it must be at least 1", path, (long long)vocabulary);
    weir_status status = weir_alloc(1, sizeof *writer, &writer);
    if (status)
        return status;
    writer->vocabulary = vocabulary;
    status = format_set(writer, path, format);
    if (!status)
        status = weir_replace_open(path, NULL, &writer->file);
    if (status) {
        weir_free(writer);
        return status;
    }
    status = header_reserve(writer);
    if (status)
        weir_token_writer_abort(writer);
    else
        *writer_out = writer;
    return status;
}

static weir_status broken_check(const weir_token_writer *writer)
{
    return !writer->broken ? WEIR_OK : WEIR_FAIL(WEIR_ERR_IO, "'%s' lacks tokens that could not be written before", writer->file.path);
}

/* Before the first of them is written: a writer takes all tokens or none. */
static weir_status tokens_check(const weir_token_writer *writer, const int32_t *tokens, int64_t n)
{
    if (n < 0 || (n && !tokens))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': %lld tokens%s cannot be written", writer->file.path, (long long)n,
                         tokens ? "" : " at NULL");
    if (writer->has_header && n > INT32_MAX - writer->n_tokens)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' would have more than the %d tokens that its header can count: write several files, or "
                         "use format u16 or u32", writer->file.path, INT32_MAX);
    for (int64_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= writer->vocabulary)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': token %lld is %d, the ids end at %lld", writer->file.path,
                             (long long)(writer->n_tokens + i), tokens[i], (long long)writer->vocabulary - 1);
    return WEIR_OK;
}

weir_status weir_token_writer_put(weir_token_writer *writer, const int32_t *tokens, int64_t n)
{
    weir_status status = broken_check(writer);
    if (!status)
        status = tokens_check(writer, tokens, n);
    for (int64_t i = 0; i < n && !status; i++) {
        for (int b = 0; b < writer->width; b++)
            writer->buffer[writer->n++] = (unsigned char)((uint32_t)tokens[i] >> 8 * b);
        if (writer->n > BUFFER - sizeof(int32_t))
            status = buffer_flush(writer);
    }
    if (!status)
        writer->n_tokens += n;
    return status;
}

int64_t weir_token_writer_count(const weir_token_writer *writer)
{
    return writer->n_tokens;
}

int weir_token_writer_width(const weir_token_writer *writer)
{
    return writer->width;
}

static weir_status header_write(weir_token_writer *writer)
{
    if (lseek(writer->file.fd, 0, SEEK_SET) != 0)
        return WEIR_FAIL(WEIR_ERR_IO, "cannot go back in '%s': %s", writer->file.path, strerror(errno));
    weir_token_llmc_header(writer->type, (uint32_t)writer->n_tokens, writer->buffer);
    return weir_replace_write(&writer->file, writer->buffer, WEIR_LLMC_HEADER_BYTES);
}

weir_status weir_token_writer_commit(weir_token_writer *writer)
{
    weir_status status = broken_check(writer);
    if (!status)
        status = writer->n_tokens ? buffer_flush(writer) : WEIR_FAIL(WEIR_ERR_INVALID, "'%s' would have no tokens", writer->file.path);
    if (!status && writer->has_header)
        status = header_write(writer);
    if (status) {
        weir_token_writer_abort(writer);
        return status;
    }
    status = weir_replace_commit(&writer->file);
    weir_free(writer);
    return status;
}

void weir_token_writer_abort(weir_token_writer *writer)
{
    if (writer)
        weir_replace_abort(&writer->file);
    weir_free(writer);
}
