#include "cmd/schedule_input.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "base/text.h"

static const size_t LARGEST_INPUT = (size_t)4 << 30;

weir_status schedule_text_read(const char *path, char **text_out, size_t *bytes_out)
{
    return !strcmp(path, "-") ? weir_stdin_read(LARGEST_INPUT, text_out, bytes_out)
                              : weir_file_read(path, LARGEST_INPUT, text_out, bytes_out);
}

weir_status schedule_take(char *text, size_t bytes, const char *path, const char *dialect, struct weir_arena *arena,
                          struct weir_schedule *out)
{
    enum weir_csv_dialect chosen = WEIR_CSV_TORCH;
    weir_status status = dialect ? weir_csv_dialect_find(dialect, &chosen) : WEIR_OK;
    const char *name = strcmp(path, "-") ? path : "standard input";
    if (!status)
        return weir_schedule_csv_take(text, bytes, name, chosen, arena, out);
    weir_free(text);
    return status;
}

weir_status schedule_load(const char *path, const char *dialect, struct weir_arena *arena, struct weir_schedule *out)
{
    char *text;
    size_t bytes;
    weir_status status = schedule_text_read(path, &text, &bytes);
    return status ? status : schedule_take(text, bytes, path, dialect, arena, out);
}

weir_status schedule_make(const char *name, const struct schedule_size *size, struct weir_arena *arena,
                          struct weir_schedule *out)
{
    const struct weir_schedule_kind *kind;
    weir_status status = weir_schedule_kind_find(name, &kind);
    if (status)
        return status;
    if (!size->ranks || !size->microbatches)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s needs %s", name,
                         size->ranks          ? "the number of micro-batches: -m M"
                         : size->microbatches ? "the number of ranks: -p P"
                                              : "the numbers of ranks and micro-batches: -p P -m M");
    if (kind->takes_slices && !size->slices)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s needs the number of slices of each sequence: --slices K", name);
    struct weir_schedule_params params = {(int)size->ranks, (int)size->chunks, (int)size->microbatches,
                                          (int)size->group_size, (int)size->slices};
    return weir_schedule_build(kind, &params, arena, out);
}

const char *schedule_size_text(const struct weir_schedule *schedule, char text[SCHEDULE_SIZE_TEXT])
{
    int k = weir_schedule_slices(schedule);
    int n = snprintf(text, SCHEDULE_SIZE_TEXT, "%d ranks, %d stages, %d micro-batches", schedule->n_ranks, schedule->n_stages,
                     schedule->n_microbatches / k);
    if (k > 1)
        snprintf(text + n, (size_t)(SCHEDULE_SIZE_TEXT - n), " of %d slices", k);
    return text;
}

weir_status schedule_text_write(const char *path, const char *text)
{
    if (path && strcmp(path, "-") != 0)
        return weir_file_write(path, text, strlen(text));
    fputs(text, stdout);
    return WEIR_OK;
}

weir_status schedule_json_print(json_t *root)
{
    enum { DIGITS = 15 };
    struct weir_text text = {0};
    weir_json_append(&text, root, DIGITS);
    if (!text.status)
        puts(text.data);
    weir_status status = text.status;
    weir_text_release(&text);
    return status;
}
