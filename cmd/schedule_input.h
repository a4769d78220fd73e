/* What the forms of `weir schedule` share: where a schedule comes from. */
#ifndef WEIR_CMD_SCHEDULE_INPUT_H
#define WEIR_CMD_SCHEDULE_INPUT_H

#include <stdint.h>

#include "base/json.h"
#include "include/weir/schedule.h"

/* -p, -v and -m as given; 0 where not. */
struct schedule_size {
    int64_t ranks, chunks, microbatches, group_size, slices;
};

/* The whole of a file ("-": standard input), for weir_free(). */
weir_status schedule_text_read(const char *path, char **text_out, size_t *bytes_out);

/* A file ("-": standard input) in the dialect called `dialect` (NULL: torch). */
weir_status schedule_load(const char *path, const char *dialect, struct weir_arena *arena, struct weir_schedule *out);

/* The same of its text, from schedule_text_read(), which is freed in any case. */
weir_status schedule_take(char *text, size_t bytes, const char *path, const char *dialect, struct weir_arena *arena,
                          struct weir_schedule *out);

/* The schedule called `name` at the given size. */
weir_status schedule_make(const char *name, const struct schedule_size *size, struct weir_arena *arena,
                          struct weir_schedule *out);

/* "4 ranks, 4 stages, 8 micro-batches of 2 slices" */
enum { SCHEDULE_SIZE_TEXT = 96 };
const char *schedule_size_text(const struct weir_schedule *schedule, char text[SCHEDULE_SIZE_TEXT]);

/* Write `text` to the file `path`; NULL and "-": to stdout. */
weir_status schedule_text_write(const char *path, const char *text);

/* Print one JSON document, and a newline, on stdout.  Takes the reference; NULL is WEIR_ERR_NOMEM. */
weir_status schedule_json_print(json_t *root);

#endif
