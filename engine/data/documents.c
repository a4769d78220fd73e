#include "include/weir/data.h"

#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/data/gzip_file.h"
#include "engine/data/token_formats.h"
#include "engine/data/token_open.h"

enum { CHUNK = 1 << 18, MARK = 3 };

struct reader {
    struct weir_gzip gzip;
    char *bytes; /* those from `from` on are not used up */
    size_t from, n, room;
    bool at_end;
    int64_t line, n_documents; /* line: of the next byte, from 1 */
    const char *field;
    weir_document_take take;
    void *context;
};

/* Some more bytes behind those that are there. */
static weir_status more_read(struct reader *r)
{
    size_t got = 0;
    memmove(r->bytes, r->bytes + r->from, r->n - r->from);
    r->n -= r->from;
    r->from = 0;
    size_t wanted = r->n < CHUNK ? CHUNK : r->n; /* twice as much each time */
    weir_status status = weir_grow(&r->bytes, &r->room, r->n + wanted + 1, 1);
    if (!status)
        status = weir_gzip_read(&r->gzip, r->bytes + r->n, wanted, &got);
    r->n += got;
    r->at_end = got < wanted;
    return status;
}

static weir_status mark_pass(struct reader *r)
{
    weir_status status = weir_grow(&r->bytes, &r->room, 1, 1);
    if (!status)
        status = more_read(r);
    if (!status && r->n >= MARK && !memcmp(r->bytes, "\xef\xbb\xbf", MARK))
        r->from = MARK;
    return status;
}

/* ---- a plain file -------------------------------------------------------------------------------------------------- */

static weir_status utf8_check(const char *path, const char *text, size_t n)
{
    size_t at = weir_utf8_length((const unsigned char *)text, n);
    long long line = 1;
    if (at == n)
        return WEIR_OK;
    for (size_t i = 0; i < at; i++)
        line += text[i] == '\n';
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' line %lld is no UTF-8: byte 0x%02x at %zu; convert the file with 'iconv -f latin1 -t "
                     "UTF-8' or from what it is written in, or take its bytes as tokens (" WEIR_OPTION("tokenizer=bytes") ")", path, line,
                     (unsigned char)text[at], at);
}

static weir_status whole_take(struct reader *r)
{
    weir_status status = WEIR_OK;
    while (!status && !r->at_end)
        status = more_read(r);
    if (status)
        return status;
    char *text = r->bytes + r->from;
    size_t n = r->n - r->from;
    text[n] = 0;
    status = utf8_check(r->gzip.path, text, n);
    return status ? status : r->take(r->context, text, n);
}

/* ---- JSON Lines ---------------------------------------------------------------------------------------------------- */

static weir_status line_take(struct reader *r, const char *line, size_t n)
{
    json_t *object;
    while (n && strchr(" \t\r", *line) && *line)
        line++, n--;
    if (!n) /* blank */
        return WEIR_OK;
    weir_status status = weir_token_line_parse(r->gzip.path, r->line, line, n, r->field, &object);
    if (status)
        return status;
    const json_t *text = json_object_get(object, r->field);
    r->n_documents++;
    status = r->take(r->context, json_string_value(text), json_string_length(text));
    json_decref(object);
    return status;
}

static weir_status lines_take(struct reader *r)
{
    weir_status status = WEIR_OK;
    while (!status && (r->from < r->n || !r->at_end)) {
        char *line = r->bytes + r->from, *newline = memchr(line, '\n', r->n - r->from);
        if (!newline && !r->at_end) {
            status = more_read(r);
            continue;
        }
        size_t n = newline ? (size_t)(newline - line) : r->n - r->from;
        status = line_take(r, line, n);
        r->from += n + (newline != NULL);
        r->line++;
    }
    return status || r->n_documents ? status : WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no lines", r->gzip.path);
}

/* ---- both ---------------------------------------------------------------------------------------------------------- */

weir_status weir_documents_format(const char *path, enum weir_data_format *format)
{
    struct weir_token_file file = {0};
    weir_status status = weir_token_file_open(path, *format, false, INT32_MAX, &file);
    if (status)
        return status;
    *format = file.format;
    if (!weir_token_format_is_text(file.format))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is %s, not text: it has tokens already", path, file.kind);
    weir_token_file_close(&file);
    return status;
}

weir_status weir_documents_read(const char *path, enum weir_data_format format, const char *field, weir_document_take take,
                                void *context)
{
    struct reader r = {.line = 1, .field = field, .take = take, .context = context};
    weir_status status = weir_documents_format(path, &format);
    if (!status)
        status = weir_gzip_open(path, &r.gzip);
    if (status)
        return status;
    status = mark_pass(&r);
    if (!status)
        status = format == WEIR_DATA_FORMAT_TEXT ? whole_take(&r) : lines_take(&r);
    weir_gzip_close(&r.gzip);
    weir_free(r.bytes);
    return status;
}
