/* Status codes and the thread's last error message.
 *
 * Every function of Weir that can fail returns a weir_status and writes its result through output parameters, which
 * stay untouched on failure.  The first function that knows the cause records one message, in the words of
 * docs/architecture.md ("lower case, no full stop, cause first, subject quoted, the number to change named"); its
 * callers only pass the status up.  Whoever talks to the user prints weir_last_error() once.
 *
 *     if (n_microbatches < 1)
 *         return WEIR_FAIL(WEIR_ERR_INVALID, "micro-batch count is %d, it must be at least 1", n_microbatches);
 *
 * Options.  The library does not know whether its caller is a command line, Python or C, so it never writes "--dtype".  It
 * marks the options that a message is about, and the values that would help:
 *
 *     WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' has no bf16: use " WEIR_OPTION("dtype=f32"), name)
 *
 *     weir_last_error()      device 'cpu' has no bf16: use dtype=f32              the configuration's words
 *     weir_error_word()      device 'cpu' has no bf16: use --dtype f32            the caller's, here the command's
 *     weir_error_option(0)   dtype, f32                                           as data
 *
 * What arguments bring in, names of files and names out of files, is made harmless for a terminal (base/printable.h) when a
 * message is recorded; marks stay marks.
 *
 * Threads: the message belongs to the calling thread.  A worker hands its message over with weir_error_take() and
 * weir_error_put(). */
#ifndef WEIR_BASE_STATUS_H
#define WEIR_BASE_STATUS_H

#include <stddef.h>

/* name, text, exit status of the `weir` command */
#define WEIR_STATUS_TABLE(X)                                                                                           \
    X(WEIR_OK, "ok", 0)                                                                                                \
    X(WEIR_ERR_INVALID, "invalid input", 1)                                                                            \
    X(WEIR_ERR_IO, "input or output failed", 1)                                                                        \
    X(WEIR_ERR_UNSUPPORTED, "not supported", 1)                                                                        \
    X(WEIR_ERR_DEVICE, "device failed", 1)                                                                             \
    X(WEIR_ERR_INTERNAL, "internal error", 1)                                                                          \
    X(WEIR_ERR_USAGE, "usage", 2)                                                                                      \
    X(WEIR_ERR_NOMEM, "out of memory", 3)                                                                              \
    X(WEIR_ERR_NOFIT, "does not fit", 3)                                                                               \
    X(WEIR_ERR_PEER, "peer lost", 4)                                                                                   \
    X(WEIR_ERR_TIMEOUT, "timeout", 5)                                                                                  \
    X(WEIR_ERR_NUMERIC, "numerical error", 6)

#define WEIR_STATUS_ENUM(name, text, exit_code) name,
typedef enum weir_status { WEIR_STATUS_TABLE(WEIR_STATUS_ENUM) WEIR_STATUS_COUNT } weir_status;
#undef WEIR_STATUS_ENUM

#define WEIR_ERROR_MAX 1024 /* bytes of a message, terminator included; longer ones are cut */

/* Marks an option in the format of a message: "name" or "name=value", both with conversions if need be.  Names are those of
 * the configuration's fields ("microbatch_size"). */
#define WEIR_OPTION(text) "\001" text "\002"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* "does not fit" for WEIR_ERR_NOFIT; never NULL. */
const char *weir_status_str(weir_status status);

/* The exit status of the command line for `status` (docs/architecture.md has the table). */
int weir_status_exit_code(weir_status status);

/* The message recorded last by this thread, or "" when there is none; options read "name" or "name=value".  Valid until the
 * thread's next failure or call of this. */
const char *weir_last_error(void);

/* The message with its options in the caller's words: `word` writes one into `out` (`room` bytes) and is given value == ""
 * where the message names none.  The text is cut at WEIR_ERROR_MAX. */
typedef void (*weir_option_word_fn)(void *context, const char *name, const char *value, char *out, size_t room);
void weir_error_word(weir_option_word_fn word, void *context, char text_out[WEIR_ERROR_MAX]);

/* The options of the message as data, from 0 in the order of the text: copies name and value (each at most `room` bytes,
 * terminator included).  Returns how many there are; beyond them nothing is written. */
size_t weir_error_option(size_t index, char *name_out, char *value_out, size_t room);

/* Record a message for this thread and return `status`, so that `return WEIR_FAIL(...)` reads as one step. */
weir_status weir_error_record(weir_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put words in front of the recorded message ("row 2: ..." ) and return `status`. */
weir_status weir_error_prefix(weir_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forget the message. */
void weir_error_clear(void);

/* Copy the message out with its marks (to move it to another thread or process), and set it verbatim. */
void weir_error_take(char message_out[WEIR_ERROR_MAX]);
void weir_error_put(const char *message);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#define WEIR_FAIL(status, ...) weir_error_record((status), __VA_ARGS__)

#endif
