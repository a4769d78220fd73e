#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file_calls.h"
#include "base/input_file.h"
#include "base/printable.h"

void weir_text_append(struct weir_text *text, const char *format, ...)
{
    if (text->status)
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        text->status = WEIR_FAIL(WEIR_ERR_INTERNAL, "cannot format '%s'", format);
        return;
    }
    text->status = weir_grow(&text->data, &text->capacity, text->length + (size_t)n + 1, 1);
    if (text->status)
        return;
    va_start(args, format);
    vsnprintf(text->data + text->length, (size_t)n + 1, format, args);
    va_end(args);
    text->length += (size_t)n;
}

void weir_text_append_name(struct weir_text *text, const char *name)
{
    size_t room = 4 * strlen(name) + 1;
    if (!text->status)
        text->status = weir_grow(&text->data, &text->capacity, text->length + room, 1);
    if (!text->status)
        text->length += strlen(weir_printable(name, text->data + text->length, room));
}

void weir_text_take(void *text, const char *piece, size_t bytes)
{
    weir_text_append(text, "%.*s", (int)bytes, piece);
}

void weir_text_release(struct weir_text *text)
{
    weir_free(text->data);
    *text = (struct weir_text){0};
}

bool weir_parse_int64(const char *text, int64_t *value_out)
{
    bool sign = *text == '-' || *text == '+';
    if (text[sign] < '0' || text[sign] > '9')
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end)
        return false;
    *value_out = value;
    return true;
}

bool weir_parse_double(const char *text, double *value_out)
{
    if (*text == ' ' || *text == '\t' || *text == '\n' || !*text)
        return false;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (*end || !isfinite(value))
        return false;
    *value_out = value;
    return true;
}

enum { LONGEST_WORD = 64, READ_STEP = 65536 };

static size_t edit_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), row[LONGEST_WORD + 1];
    if (na > LONGEST_WORD || nb > LONGEST_WORD)
        return LONGEST_WORD;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = replace < best ? replace : best;
        }
    }
    return row[nb];
}

const char *weir_suggest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) < 4 ? 2 : 1 + strlen(word) / 3 + 1;
    for (; *names; names++) {
        size_t distance = edit_distance(word, *names);
        if (distance < best_distance) {
            best_distance = distance;
            best = *names;
        }
    }
    return best;
}

weir_status weir_unknown(const char *what, const char *word, const char *const *names)
{
    const char *near = weir_suggest(word, names);
    if (near)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown %s '%s': did you mean '%s'?", what, word, near);
    struct weir_text all = {0};
    for (int i = 0; names[i]; i++)
        weir_text_append(&all, "%s%s", i ? ", " : "", names[i]);
    weir_status status = all.status;
    if (!status)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "unknown %s '%s': it is one of %s", what, word, all.data ? all.data : "none");
    weir_text_release(&all);
    return status;
}

weir_status weir_name_find(const char *what, const char *word, const char *const *names, int *index_out)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], word)) {
            *index_out = i;
            return WEIR_OK;
        }
    return weir_unknown(what, word, names);
}

/* Up to the end or one byte beyond `limit`, whichever comes first; the caller frees `data` in any case. */
static weir_status bytes_read(int descriptor, const char *name, size_t limit, char **data, size_t *used)
{
    size_t capacity = 0;
    for (;;) {
        weir_status status = weir_grow(data, &capacity, *used + READ_STEP + 1, 1);
        if (status)
            return status;
        ssize_t n = weir_call_read(descriptor, *data + *used, capacity - *used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return WEIR_FAIL(WEIR_ERR_IO, "cannot read '%s': %s", name, strerror(errno));
        *used += (size_t)n;
        if (*used > limit)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is larger than the %zu bytes read at most", name, limit);
        if (n == 0)
            return WEIR_OK;
    }
}

static weir_status descriptor_read(int descriptor, const char *name, size_t limit, char **data_out, size_t *bytes_out)
{
    char *data = NULL;
    size_t used = 0;
    weir_status status = bytes_read(descriptor, name, limit, &data, &used);
    if (status) {
        weir_free(data);
        return status;
    }
    data[used] = 0;
    *data_out = data;
    *bytes_out = used;
    return WEIR_OK;
}

weir_status weir_file_read(const char *path, size_t limit, char **data_out, size_t *bytes_out)
{
    struct weir_input_file file;
    weir_status status = weir_input_open(path, limit, &file);
    if (status)
        return status;
    status = descriptor_read(file.descriptor, path, limit, data_out, bytes_out);
    weir_input_close(&file);
    return status;
}

weir_status weir_stdin_read(size_t limit, char **data_out, size_t *bytes_out)
{
    return descriptor_read(STDIN_FILENO, "standard input", limit, data_out, bytes_out);
}
