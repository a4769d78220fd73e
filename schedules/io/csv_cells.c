#include "schedules/io/csv_cells.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* ---- encodings --------------------------------------------------------------------------------------------------- */

enum encoding { UTF_8, UTF_16_LITTLE, UTF_16_BIG };

/* By the byte-order mark, which is skipped; without one the first character, a digit or #, tells. */
static enum encoding encoding_find(const unsigned char *text, size_t bytes, size_t *skip_out)
{
    *skip_out = bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    if (bytes < 2 || *skip_out)
        return UTF_8;
    *skip_out = (text[0] == 0xff && text[1] == 0xfe) || (text[0] == 0xfe && text[1] == 0xff) ? 2 : 0;
    if (*skip_out)
        return text[0] == 0xff ? UTF_16_LITTLE : UTF_16_BIG;
    if (text[0] && !text[1])
        return UTF_16_LITTLE;
    return !text[0] && text[1] ? UTF_16_BIG : UTF_8;
}

static size_t utf8_put(char *at, uint32_t c)
{
    if (c < 0x80) {
        at[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        at[i] = (char)(0x80 | (c & 0x3f));
    at[0] = (char)((0xf00u >> n) | c); /* 110xxxxx, 1110xxxx, 11110xxx */
    return n;
}

static weir_status utf16_decode(struct weir_csv_cells *cells, const unsigned char *text, size_t bytes, bool big)
{
    if (bytes % 2)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the file is UTF-16 and ends in the middle of a character");
    weir_status status = weir_alloc(bytes / 2 * 3 + 1, 1, &cells->decoded);
    if (status)
        return status;
    size_t n = 0;
    uint32_t high = 0;
    for (size_t i = 0; i < bytes; i += 2) {
        uint32_t c = big ? (uint32_t)text[i] << 8 | text[i + 1] : (uint32_t)text[i + 1] << 8 | text[i];
        if (c >= 0xd800 && c < 0xdc00) {
            high = c;
            continue;
        }
        if (c >= 0xdc00 && c < 0xe000)
            c = high ? 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00) : 0xfffd;
        high = 0;
        n += utf8_put(cells->decoded + n, c);
    }
    cells->at = cells->decoded;
    cells->end = cells->decoded + n;
    return WEIR_OK;
}

/* ---- rows and cells ---------------------------------------------------------------------------------------------- */

static bool is_row_end(char c)
{
    return c == '\n' || c == '\r';
}

/* The first of comma, semicolon and tab that stands in the file outside quotes and parentheses. */
static char separator_find(const char *at, const char *end)
{
    bool quoted = false, paired = false, semicolon = false, tab = false;
    for (; at < end; at++) {
        quoted ^= *at == '"';
        paired = !quoted && (*at == '(' || (paired && *at != ')' && !is_row_end(*at)));
        if (quoted || paired)
            continue;
        if (*at == ',')
            return ',';
        semicolon |= *at == ';';
        tab |= *at == '\t';
    }
    return semicolon ? ';' : tab ? '\t' : ',';
}

weir_status weir_csv_cells_open(struct weir_csv_cells *cells, const char *text, size_t bytes)
{
    size_t skip;
    enum encoding encoding = encoding_find((const unsigned char *)text, bytes, &skip);
    *cells = (struct weir_csv_cells){.at = text + skip, .end = text + bytes};
    weir_status status = WEIR_OK;
    if (encoding != UTF_8)
        status = utf16_decode(cells, (const unsigned char *)text + skip, bytes - skip, encoding == UTF_16_BIG);
    cells->separator = separator_find(cells->at, cells->end);
    return status;
}

void weir_csv_cells_release(struct weir_csv_cells *cells)
{
    weir_free(cells->decoded);
    *cells = (struct weir_csv_cells){0};
}

bool weir_csv_row_next(struct weir_csv_cells *cells)
{
    return cells->in_row = cells->at < cells->end;
}

static bool is_blank(const struct weir_csv_cells *cells, char c)
{
    return c == ' ' || (c == '\t' && cells->separator != '\t');
}

static const char *blanks_skip(const struct weir_csv_cells *cells, const char *at)
{
    while (at < cells->end && is_blank(cells, *at))
        at++;
    return at;
}

/* The end of a cell without quotes. */
static const char *plain_end(const struct weir_csv_cells *cells, const char *at)
{
    bool paired = at < cells->end && *at == '(';
    for (; at < cells->end && !is_row_end(*at); at++) {
        paired &= *at != ')';
        if (*at == cells->separator && !(paired && *at == ';'))
            break;
    }
    return at;
}

/* The quote that closes a cell, "" being a quote within; `end` when there is none. */
static const char *quote_end(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at != '"')
            continue;
        if (end - at < 2 || at[1] != '"')
            return at;
        at++;
    }
    return end;
}

static void trim(struct weir_csv_cell *cell)
{
    while (cell->length && strchr(" \t\r\n", cell->text[0]) && *cell->text)
        cell->text++, cell->length--;
    while (cell->length && cell->text[cell->length - 1] && strchr(" \t\r\n", cell->text[cell->length - 1]))
        cell->length--;
}

/* Behind a cell: past the separator, or past the end of the row. */
static void cell_leave(struct weir_csv_cells *cells, const char *at)
{
    if (at < cells->end && *at == cells->separator) {
        cells->at = at + 1;
        return;
    }
    cells->in_row = false;
    if (cells->end - at > 1 && at[0] == '\r' && at[1] == '\n')
        at++;
    cells->at = at < cells->end ? at + 1 : at;
}

bool weir_csv_cell_next(struct weir_csv_cells *cells, struct weir_csv_cell *cell_out)
{
    if (!cells->in_row)
        return false;
    const char *start = blanks_skip(cells, cells->at), *after = plain_end(cells, start);
    *cell_out = (struct weir_csv_cell){.text = start, .length = (size_t)(after - start)};
    if (start < cells->end && *start == '"') {
        const char *quote = quote_end(start + 1, cells->end);
        const char *behind = quote < cells->end ? blanks_skip(cells, quote + 1) : quote;
        cell_out->unclosed = quote == cells->end;
        if (behind == cells->end || *behind == cells->separator || is_row_end(*behind)) {
            *cell_out = (struct weir_csv_cell){start + 1, (size_t)(quote - start - 1), cell_out->unclosed};
            after = behind;
        }
    }
    trim(cell_out);
    cell_leave(cells, after);
    return true;
}

/* ---- characters that are not seen -------------------------------------------------------------------------------- */

static const struct {
    uint32_t code;
    const char *name;
} unseen[] = {
    {0x0000, "NUL"},
    {0x0009, "tab"},
    {0x000a, "line feed"},
    {0x000d, "carriage return"},
    {0x00a0, "no-break space"},
    {0x00ad, "soft hyphen"},
    {0x200b, "zero-width space"},
    {0x200c, "zero-width non-joiner"},
    {0x200d, "zero-width joiner"},
    {0x200e, "left-to-right mark"},
    {0x200f, "right-to-left mark"},
    {0x2028, "line separator"},
    {0x202f, "narrow no-break space"},
    {0x2060, "word joiner"},
    {0x3000, "ideographic space"},
    {0xfeff, "byte-order mark"},
};

/* The character at `at` and how many bytes it has; -1 for a byte that is no UTF-8. */
static int32_t character_take(const unsigned char *at, size_t bytes, size_t *n_out)
{
    size_t n = *at < 0x80 ? 1 : *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : *at >= 0xc0 ? 2 : 0;
    int32_t c = n == 1 ? *at : *at & (0x7f >> n);
    *n_out = 1;
    if (!n || n > bytes)
        return -1;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (at[i] & 0x3f);
    }
    *n_out = n;
    return c;
}

static void stranger_name(int32_t c, unsigned char byte, char *name, size_t room)
{
    const char *word = NULL;
    for (size_t i = 0; i < sizeof unseen / sizeof unseen[0]; i++)
        word = unseen[i].code == (uint32_t)c ? unseen[i].name : word;
    if (c < 0)
        snprintf(name, room, "byte 0x%02x", byte);
    else
        snprintf(name, room, word ? "U+%04X (%s)" : "U+%04X", (unsigned)c, word);
}

/* Most cells are seen through and through: this is all that is done to them. */
static bool is_visible(const struct weir_csv_cell *cell)
{
    for (size_t i = 0; i < cell->length; i++)
        if (cell->text[i] < 0x20 || cell->text[i] >= 0x7f)
            return false;
    return true;
}

bool weir_csv_stranger_find(const struct weir_csv_cell *cell, struct weir_csv_stranger *out)
{
    size_t n, place = 1, shown = 0, first = 0;
    if (is_visible(cell))
        return false;
    for (size_t i = 0; i < cell->length; i += n, place++) {
        int32_t c = character_take((const unsigned char *)cell->text + i, cell->length - i, &n);
        bool strange = c < 0x20 || c >= 0x7f;
        if (strange && !first) {
            first = place;
            stranger_name(c, (unsigned char)cell->text[i], out->name, sizeof out->name);
        }
        if (sizeof out->shown - shown < 16) /* enough to know the cell by */
            continue;
        char *at = out->shown + shown;
        size_t room = sizeof out->shown - shown;
        if (!strange)
            shown += (size_t)snprintf(at, room, "%c", (char)c);
        else
            shown += (size_t)snprintf(at, room, c < 0 ? "<0x%02X>" : "<U+%04X>",
                                      c < 0 ? (unsigned char)cell->text[i] : (unsigned)c);
    }
    out->shown[shown] = 0;
    out->place = first;
    return first;
}
