#include "cmd/schedule_sweep.h"

#include <string.h>

#include "base/text.h"

enum { MOST_NUMBERS = 4096, MOST_RANKS = 65536, MOST_OTHERS = 1048576 };

struct numbers {
    int64_t *values;
    size_t n;
};

static weir_status not_understood(const char *option, const char *text, int most)
{
    return WEIR_FAIL(WEIR_ERR_USAGE,
                     "--%s takes whole numbers from 1 to %d, as in 8 or 8,16,32 or 8..12 or 8..64:8, not '%s'", option, most,
                     text);
}

static bool part_parse(const char *text, size_t length, int most, int64_t *value_out)
{
    char word[32] = "";
    if (length < sizeof word)
        memcpy(word, text, length);
    return weir_parse_int64(word, value_out) && *value_out >= 1 && *value_out <= most;
}

/* "8", "8..64" or "8..64:8" of `length` characters: first, last and step. */
static bool range_parse(const char *text, size_t length, int most, int64_t range[3])
{
    const char *end = text + length, *dots = strstr(text, ".."), *colon = memchr(text, ':', length);
    range[2] = 1;
    if (!dots || dots >= end) {
        bool whole = part_parse(text, length, most, &range[0]);
        range[1] = range[0];
        return whole;
    }
    const char *last = colon ? colon : end;
    return (!colon || part_parse(colon + 1, (size_t)(end - colon - 1), most, &range[2])) && last >= dots + 2 &&
           part_parse(text, (size_t)(dots - text), most, &range[0]) &&
           part_parse(dots + 2, (size_t)(last - dots - 2), most, &range[1]) && range[0] <= range[1];
}

/* Nothing given is one 0. */
static weir_status numbers_parse(const char *option, const char *text, int most, struct weir_arena *arena,
                                 struct numbers *out)
{
    weir_status status = weir_arena_alloc(arena, MOST_NUMBERS, sizeof *out->values, &out->values);
    out->n = !text;
    for (const char *at = text; !status && at; at = *at ? at + 1 : NULL) {
        size_t length = strcspn(at, ",");
        int64_t range[3];
        if (!range_parse(at, length, most, range))
            return not_understood(option, text, most);
        for (int64_t value = range[0]; value <= range[1]; value += range[2]) {
            if (out->n == MOST_NUMBERS)
                return WEIR_FAIL(WEIR_ERR_USAGE, "--%s '%s' are more than %d numbers", option, text, MOST_NUMBERS);
            out->values[out->n++] = value;
        }
        at += length;
        if (!*at)
            break;
    }
    return status;
}

weir_status schedule_sweep_expand(const struct schedule_sweep *sweep, struct weir_arena *arena,
                                  const struct schedule_size **sizes_out, size_t *n_out)
{
    struct numbers p, m, v;
    struct schedule_size *sizes;
    weir_status status = numbers_parse("ranks", sweep->ranks, MOST_RANKS, arena, &p);
    if (!status)
        status = numbers_parse("microbatches", sweep->microbatches, MOST_OTHERS, arena, &m);
    if (!status)
        status = numbers_parse("chunks", sweep->chunks, MOST_OTHERS, arena, &v);
    if (!status && p.n * m.n * v.n > MOST_NUMBERS)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "%zu sizes are more than %d: give fewer", p.n * m.n * v.n, MOST_NUMBERS);
    if (!status)
        status = weir_arena_alloc(arena, p.n * m.n * v.n, sizeof *sizes, &sizes);
    if (status)
        return status;
    for (size_t i = 0; i < p.n * m.n * v.n; i++)
        sizes[i] = (struct schedule_size){p.values[i / v.n / m.n], v.values[i % v.n], m.values[i / v.n % m.n],
                                          sweep->group_size, sweep->slices};
    *sizes_out = sizes;
    *n_out = p.n * m.n * v.n;
    return WEIR_OK;
}
