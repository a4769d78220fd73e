/* PyTorch's schedule CSV, written.  The text is measured first and then written in one go. */
#include <string.h>

#include "schedules/schedule.h"

static const char header[] = "# weir-schedule 1 copies=2\n";

static size_t put(char *at, const char *text)
{
    size_t n = strlen(text);
    if (at)
        memcpy(at, text, n);
    return n;
}

/* One cell; `at` NULL only measures.  Returns the bytes. */
static size_t cell_put(char *at, const struct weir_action *action)
{
    char text[WEIR_ACTION_TEXT];
    weir_action_str(action, text);
    if (!action->fused)
        return put(at, text);
    size_t n = put(at, "(");
    n += put(at ? at + n : NULL, text);
    n += put(at ? at + n : NULL, ";");
    n += put(at ? at + n : NULL, weir_action_str(action + 1, text));
    return n + put(at ? at + n : NULL, ")OVERLAP_F_B");
}

static size_t rows_put(char *at, const struct weir_schedule *schedule)
{
    size_t n = schedule->n_copies > 1 ? put(at, header) : 0;
    for (int r = 0; r < schedule->n_ranks; r++) {
        const struct weir_schedule_rank *list = &schedule->ranks[r];
        for (size_t i = 0; i < list->n_actions; i++) {
            if (i)
                n += put(at ? at + n : NULL, ",");
            n += cell_put(at ? at + n : NULL, &list->actions[i]);
            i += list->actions[i].fused;
        }
        n += put(at ? at + n : NULL, "\n");
    }
    return n;
}

weir_status weir_schedule_csv_print(const struct weir_schedule *schedule, struct weir_arena *arena,
                                    const char **text_out)
{
    char *text;
    weir_status status = weir_arena_alloc(arena, rows_put(NULL, schedule) + 1, 1, &text);
    if (status)
        return status;
    rows_put(text, schedule);
    *text_out = text;
    return WEIR_OK;
}
