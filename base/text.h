/* Text: strict number parsing, a growing string, suggestions for typos, whole-file reads. */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A growing, always terminated string; all zero bits is the empty one.  After a failed append `status` is set, later
 * appends do nothing, and the caller checks once at the end. */
struct weir_text {
    char *data; /* NULL while empty */
    size_t length, capacity;
    weir_status status;
};

void weir_text_append(struct weir_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A name out of a file, as a terminal shows it (base/printable.h). */
void weir_text_append_name(struct weir_text *text, const char *name);


/* A callback (weir_text_fn) that appends to the text that is its context. */
void weir_text_take(void *text, const char *piece, size_t bytes);

void weir_text_release(struct weir_text *text);

/* The whole of `text` as a number: no leading or trailing characters, no overflow.  false otherwise. */
bool weir_parse_int64(const char *text, int64_t *value_out);
bool weir_parse_double(const char *text, double *value_out); /* finite only */

/* The entry of `names` (NULL-terminated) nearest to `word` by edit distance, when it is near enough to be a typo;
 * else NULL. */
const char *weir_suggest(const char *word, const char *const *names);

/* WEIR_ERR_USAGE: `word` is none of `names` (NULL-terminated).  The message has a suggestion, or all names when none is near:
 * "unknown schedule '1f1': did you mean '1f1b'?". */
weir_status weir_unknown(const char *what, const char *word, const char *const *names);

/* The place of `word` in `names` (NULL-terminated); else as weir_unknown. */
weir_status weir_name_find(const char *what, const char *word, const char *const *names, int *index_out);

/* Read a whole regular file of at most `limit` bytes into memory from weir_alloc, with a zero byte behind the last one.
 * WEIR_ERR_IO names the file and the reason; WEIR_ERR_INVALID when it is larger, or what base/input_file.h refuses. */
weir_status weir_file_read(const char *path, size_t limit, char **data_out, size_t *bytes_out);

/* The same of standard input, whatever it is: waits for its end. */
weir_status weir_stdin_read(size_t limit, char **data_out, size_t *bytes_out);

#endif
