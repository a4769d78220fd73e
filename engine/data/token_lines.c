/* JSON Lines: a JSON object per line, of which the string "text" is read; other members are passed over.
 *
 * The texts are put one after the other, each followed by a newline.  Lines that are blank are passed over. */
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "engine/data/token_formats.h"

enum { MOST_FIRST_LINE = 1 << 20 };

struct lines {
    const unsigned char *at, *end;
    int64_t number; /* of the line that was read last, from 1 */
};

/* The next line that is not blank, without its newline; false at the end. */
static bool line_next(struct lines *lines, const unsigned char **line_out, size_t *n_out)
{
    while (lines->at < lines->end) {
        const unsigned char *line = lines->at, *newline = memchr(line, '\n', (size_t)(lines->end - line));
        const unsigned char *stop = newline ? newline : lines->end;
        lines->at = newline ? newline + 1 : lines->end;
        lines->number++;
        while (line < stop && (*line == ' ' || *line == '\t' || *line == '\r'))
            line++;
        if (line < stop) {
            *line_out = line;
            *n_out = (size_t)(stop - line);
            return true;
        }
    }
    return false;
}

static struct lines lines_of(const struct weir_token_content *content)
{
    bool marked = content->n_bytes >= 3 && !memcmp(content->bytes, "\xef\xbb\xbf", 3); /* a byte-order mark */
    return (struct lines){content->bytes + (marked ? 3 : 0), content->bytes + content->n_head, 0};
}

bool weir_token_lines_is(const struct weir_token_content *content)
{
    struct lines lines = lines_of(content);
    const unsigned char *line;
    size_t n;
    if (lines.end - lines.at > MOST_FIRST_LINE)
        lines.end = lines.at + MOST_FIRST_LINE;
    if (!line_next(&lines, &line, &n) || *line != '{')
        return false;
    bool lacked;
    json_t *object = weir_json_decode((const char *)line, n, JSON_ALLOW_NUL, NULL, &lacked);
    bool is = lacked || json_is_string(json_object_get(object, "text"));
    json_decref(object);
    return is;
}

weir_status weir_token_line_parse(const char *path, int64_t number, const char *line, size_t n, const char *field,
                                  json_t **object_out)
{
    json_error_t error;
    bool lacked;
    json_t *object = weir_json_decode(line, n, JSON_ALLOW_NUL, &error, &lacked);
    if (lacked)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory to read '%s' line %lld", path, (long long)number);
    if (!object)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' line %lld is no JSON: %s", path, (long long)number, error.text);
    *object_out = object;
    if (json_is_string(json_object_get(object, field)))
        return WEIR_OK;
    json_decref(object);
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' line %lld has no string '%s': JSON Lines are read from {\"%s\": \"...\"}", path,
                     (long long)number, field, field);
}

struct texts {
    unsigned char *bytes;
    size_t n, room;
};

static weir_status text_add(struct texts *texts, const json_t *text)
{
    size_t n = json_string_length(text);
    weir_status status = weir_grow(&texts->bytes, &texts->room, texts->n + n + 1, 1);
    if (status)
        return status;
    memcpy(texts->bytes + texts->n, json_string_value(text), n);
    texts->bytes[texts->n + n] = '\n';
    texts->n += n + 1;
    return WEIR_OK;
}

static weir_status texts_read(const struct weir_token_content *content, struct texts *texts, int64_t *n_documents)
{
    struct lines lines = lines_of(content);
    const unsigned char *line;
    size_t n;
    weir_status status = WEIR_OK;
    while (!status && line_next(&lines, &line, &n)) {
        json_t *object;
        status = weir_token_line_parse(content->path, lines.number, (const char *)line, n, "text", &object);
        if (status)
            break;
        status = text_add(texts, json_object_get(object, "text"));
        json_decref(object);
        ++*n_documents;
    }
    return status;
}

weir_status weir_token_lines_read(const struct weir_token_content *content, struct weir_token_file *file)
{
    struct texts texts = {0};
    weir_status status = texts_read(content, &texts, &file->n_documents);
    if (!status && !texts.n)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no lines", content->path);
    if (status) {
        weir_free(texts.bytes);
        return status;
    }
    const struct weir_token_content all = {.path = content->path, .name = content->name, .bytes = texts.bytes, .n_head = texts.n,
                                          .n_bytes = texts.n, .whole = true, .vocabulary = content->vocabulary};
    weir_token_file_set(&all, WEIR_TOKEN_uint8, 0, file);
    file->kind = "JSON Lines";
    file->is_text = true;
    file->memory = texts.bytes;
    return WEIR_OK;
}
