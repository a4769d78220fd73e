/* A segment is a character that nothing before it can change, and what follows it up to the next such one.  A segment is
 * taken apart, its marks are brought into the order of their classes, and what can be joined is joined:
 *
 *     U+1E69 (s, dot below, dot above)  →  s U+0323 U+0307  →  U+1E69
 *     s U+0307 U+0323                   →  s U+0323 U+0307  →  U+1E69                                                      */
#include "models/tokens/nfc.h"

#include <stdlib.h>

#include "models/tokens/unicode_tables.h"
#include "models/tokens/unicode.h"

/* The syllables of Hangul are computed: 19 · 21 · 28 of them from three kinds of letters. */
enum {
    S_BASE = 0xac00, L_BASE = 0x1100, V_BASE = 0x1161, T_BASE = 0x11a7,
    L_COUNT = 19, V_COUNT = 21, T_COUNT = 28, N_COUNT = V_COUNT * T_COUNT, S_COUNT = L_COUNT * N_COUNT,
    FIRST_OF_INTEREST = 0x300, /* every character before it stays, and is no mark */
    MOST_PARTS = 4,            /* of one character */
};

struct segment {
    uint32_t *codes;
    size_t n, room;
};

/* ---- tables -------------------------------------------------------------------------------------------------------- */

static int by_whole(const void *key, const void *row)
{
    uint32_t code = *(const uint32_t *)key, whole = ((const struct weir_code_parts *)row)->whole;
    return (code > whole) - (code < whole);
}

static const struct weir_code_parts *parts_of(uint32_t code)
{
    return bsearch(&code, weir_code_parts, weir_n_code_parts, sizeof *weir_code_parts, by_whole);
}

static int by_parts(const void *key, const void *join)
{
    const struct weir_code_parts *a = key, *b = &weir_code_parts[*(const uint16_t *)join];
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return (a->second > b->second) - (a->second < b->second);
}

static int by_range(const void *key, const void *row)
{
    uint32_t code = *(const uint32_t *)key;
    const struct weir_code_class *range = row;
    return code < range->first ? -1 : code > range->last;
}

static int class_of(uint32_t code)
{
    const struct weir_code_class *found = NULL;
    if (code >= FIRST_OF_INTEREST)
        found = bsearch(&code, weir_mark_classes, weir_n_mark_classes, sizeof *weir_mark_classes, by_range);
    return found ? found->class : 0;
}

static int by_code(const void *key, const void *row)
{
    uint32_t a = *(const uint32_t *)key, b = *(const uint32_t *)row;
    return (a > b) - (a < b);
}

static bool may_join(uint32_t code)
{
    return (code - V_BASE < V_COUNT) || (code > T_BASE && code < T_BASE + T_COUNT) ||
           bsearch(&code, weir_join_seconds, weir_n_join_seconds, sizeof *weir_join_seconds, by_code);
}

/* What two characters become; 0: they stay. */
static uint32_t joined(uint32_t first, uint32_t second)
{
    if (first - L_BASE < L_COUNT && second - V_BASE < V_COUNT)
        return S_BASE + ((first - L_BASE) * V_COUNT + second - V_BASE) * T_COUNT;
    if (first - S_BASE < S_COUNT && (first - S_BASE) % T_COUNT == 0 && second > T_BASE && second < T_BASE + T_COUNT)
        return first + second - T_BASE;
    struct weir_code_parts key = {0, first, second};
    const uint16_t *found = bsearch(&key, weir_code_joins, weir_n_code_joins, sizeof *weir_code_joins, by_parts);
    return found ? weir_code_parts[*found].whole : 0;
}

/* Taken apart, the character does not come together again. */
static bool stays_apart(uint32_t code)
{
    const struct weir_code_parts *parts = parts_of(code);
    return parts && (!parts->second || joined(parts->first, parts->second) != code);
}

/* Nothing before it can change it. */
static bool starts_segment(uint32_t code)
{
    return code < FIRST_OF_INTEREST || (!class_of(code) && !may_join(code) && !stays_apart(code));
}

bool weir_nfc_needed(const char *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        if ((unsigned char)text[at] < 0xcc) { /* below U+0300, or within a character */
            at++;
            continue;
        }
        int n = weir_utf8_read((const unsigned char *)text + at, bytes - at, &code);
        if (n > 0 && !starts_segment(code))
            return true;
        at += n > 0 ? (size_t)n : 1;
    }
    return false;
}

/* ---- a segment ----------------------------------------------------------------------------------------------------- */

/* Canonical parts of a character, at most MOST_PARTS. */
static int take_apart(uint32_t code, uint32_t *out)
{
    int n = 0;
    if (code - S_BASE < S_COUNT) {
        uint32_t s = code - S_BASE, t = s % T_COUNT;
        out[n++] = L_BASE + s / N_COUNT;
        out[n++] = V_BASE + s % N_COUNT / T_COUNT;
        if (t)
            out[n++] = T_BASE + t;
        return n;
    }
    uint32_t tail[MOST_PARTS];
    int n_tail = 0;
    for (const struct weir_code_parts *p; n_tail < MOST_PARTS - 1 && (p = parts_of(code));) {
        code = p->first;
        if (p->second)
            tail[n_tail++] = p->second;
    }
    out[n++] = code;
    while (n_tail)
        out[n++] = tail[--n_tail];
    return n;
}

static weir_status segment_add(struct segment *s, uint32_t code)
{
    weir_status status = weir_grow(&s->codes, &s->room, s->n + MOST_PARTS, sizeof *s->codes);
    if (!status)
        s->n += (size_t)take_apart(code, s->codes + s->n);
    return status;
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Marks in the order of their classes, of one class in that of the text.  A key: class, place, code. */
static weir_status marks_sort(uint32_t *codes, size_t n)
{
    enum { CODE_BITS = 21, CLASS_AT = 56 };
    uint64_t *keys;
    bool ordered = true;
    for (size_t i = 1; i < n; i++)
        ordered = ordered && class_of(codes[i - 1]) <= class_of(codes[i]);
    if (ordered)
        return WEIR_OK;
    weir_status status = weir_alloc(n, sizeof *keys, &keys);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++)
        keys[i] = (uint64_t)class_of(codes[i]) << CLASS_AT | (uint64_t)i << CODE_BITS | codes[i];
    qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0; i < n; i++)
        codes[i] = (uint32_t)keys[i] & ((1u << CODE_BITS) - 1);
    weir_free(keys);
    return WEIR_OK;
}

static weir_status segment_sort(struct segment *s)
{
    weir_status status = WEIR_OK;
    for (size_t at = 0, end; at < s->n && !status; at = end + (end == at)) {
        for (end = at; end < s->n && class_of(s->codes[end]);)
            end++;
        status = marks_sort(s->codes + at, end - at);
    }
    return status;
}

/* A mark joins the last character of class 0 unless one of its class, or a higher one, stands between them. */
static void segment_join(struct segment *s)
{
    size_t to = 0, starter = SIZE_MAX;
    int last = 0; /* class of what was kept last after the starter; 0 right after it */
    for (size_t i = 0; i < s->n; i++) {
        uint32_t code = s->codes[i], whole = 0;
        int class = class_of(code);
        bool near = starter != SIZE_MAX && (starter + 1 == to || (last && last < class));
        if (near)
            whole = joined(s->codes[starter], code);
        if (whole) {
            s->codes[starter] = whole;
            continue;
        }
        if (!class)
            starter = to;
        last = class;
        s->codes[to++] = code;
    }
    s->n = to;
}

static weir_status segment_flush(struct segment *s, struct weir_byte_buffer *out)
{
    weir_status status = segment_sort(s);
    if (!status)
        segment_join(s);
    for (size_t i = 0; i < s->n && !status; i++) {
        char text[4];
        status = weir_byte_append(out, text, (size_t)weir_utf8_write(s->codes[i], text));
    }
    s->n = 0;
    return status;
}

weir_status weir_nfc_append(const char *text, size_t bytes, struct weir_byte_buffer *out)
{
    struct segment s = {0};
    weir_status status = WEIR_OK;
    for (size_t at = 0; at < bytes && !status;) {
        uint32_t code;
        int n = weir_utf8_read((const unsigned char *)text + at, bytes - at, &code);
        if (n <= 0 || starts_segment(code))
            status = segment_flush(&s, out);
        if (!status && n > 0)
            status = segment_add(&s, code);
        else if (!status)
            status = weir_byte_append(out, text + at, 1);
        at += n > 0 ? (size_t)n : 1;
    }
    if (!status)
        status = segment_flush(&s, out);
    weir_free(s.codes);
    return status;
}
