/* PyTorch's schedule CSV, written.  The text is measured first and then written in one go: a cell is a few digits and a
 * name, put together by hand, because a large file has tens of millions of them. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "include/weir/schedule.h"

enum { HEADER_ROOM = 64 };

static const char overlap[] = ")OVERLAP_F_B";

struct type_text {
    const char *name;
    size_t length;
};

static size_t digits_count(int32_t number)
{
    size_t n = 1;
    for (uint32_t rest = (uint32_t)number; rest >= 10; rest /= 10)
        n++;
    return n;
}

static char *digits_put(char *at, int32_t number)
{
    size_t n = digits_count(number);
    uint32_t rest = (uint32_t)number;
    for (size_t i = n; i > 0; i--, rest /= 10)
        at[i - 1] = (char)('0' + rest % 10);
    return at + n;
}

static char *text_put(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

static size_t action_measure(const struct type_text *types, const struct weir_action *a)
{
    return digits_count(a->stage) + types[a->type].length + (a->mb < 0 ? 0 : digits_count(a->mb));
}

static char *action_put(char *at, const struct type_text *types, const struct weir_action *a)
{
    at = digits_put(at, a->stage);
    at = text_put(at, types[a->type].name, types[a->type].length);
    return a->mb < 0 ? at : digits_put(at, a->mb);
}

/* With the comma or line break behind each cell. */
static size_t list_measure(const struct type_text *types, const struct weir_schedule_rank *list)
{
    size_t n = list->n_actions ? 0 : 1;
    for (size_t i = 0; i < list->n_actions; i++) {
        n += action_measure(types, &list->actions[i]) + 1;
        if (list->actions[i].fused) /* ( here, ; for the comma, the name behind the second part */
            n += 1 + sizeof overlap - 1;
    }
    return n;
}

static char *list_put(char *at, const struct type_text *types, const struct weir_schedule_rank *list)
{
    for (size_t i = 0; i < list->n_actions; i++) {
        const struct weir_action *a = &list->actions[i];
        if (i)
            *at++ = ',';
        if (a->fused)
            *at++ = '(';
        at = action_put(at, types, a);
        if (!a->fused)
            continue;
        *at++ = ';';
        at = action_put(at, types, &list->actions[++i]);
        at = text_put(at, overlap, sizeof overlap - 1);
    }
    *at++ = '\n';
    return at;
}

/* Both have a default that files without them have. */
static char *header_put(const struct weir_schedule *schedule, char *at)
{
    char text[HEADER_ROOM];
    int n = 0;
    if (schedule->n_copies < 2 && schedule->n_slices < 2)
        return at;
    n += snprintf(text, sizeof text, "# weir-schedule 1");
    if (schedule->n_copies > 1)
        n += snprintf(text + n, sizeof text - (size_t)n, " copies=%d", schedule->n_copies);
    if (schedule->n_slices > 1)
        n += snprintf(text + n, sizeof text - (size_t)n, " slices=%d", schedule->n_slices);
    text[n++] = '\n';
    return text_put(at, text, (size_t)n);
}

weir_status weir_schedule_csv_print(const struct weir_schedule *schedule, struct weir_arena *arena,
                                    const char **text_out)
{
    struct type_text types[WEIR_ACTION_TYPES];
    size_t bytes = HEADER_ROOM;
    char *text;
    for (int t = 0; t < WEIR_ACTION_TYPES; t++) {
        const char *name = weir_action_type_str((enum weir_action_type)t);
        types[t] = (struct type_text){name, strlen(name)};
    }
    for (int r = 0; r < schedule->n_ranks; r++)
        bytes += list_measure(types, &schedule->ranks[r]);
    weir_status status = weir_arena_alloc(arena, bytes, 1, &text);
    if (status)
        return status;
    char *at = header_put(schedule, text);
    for (int r = 0; r < schedule->n_ranks; r++)
        at = list_put(at, types, &schedule->ranks[r]);
    *text_out = text;
    return WEIR_OK;
}
