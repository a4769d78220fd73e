/* What every other header of Weir needs: statuses and their messages, memory that results live in, text, the log.
 *
 * Statuses.  Every function that can fail returns a weir_status and writes its result through output parameters, which
 * stay untouched on failure.  The function that knows the cause records one message ("lower case, no full stop, cause first,
 * subject quoted, the number to change named"); weir_last_error() has it until the thread's next failure.
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
 * What arguments bring in, names of files and names out of files, is made harmless for a terminal when a message is recorded;
 * marks stay marks.  The message belongs to the calling thread.
 *
 * Pointers.  An argument points to something, unless its function or its struct says that it may be NULL; NULL is fine for every
 * function named .._close.  Most that return a status refuse NULL for a request, a configuration, a path or an engine; not all look.
 *
 * Arenas.  Graphs, schedules and plans are built into an arena of the caller's, and live until it is released:
 *
 *     struct weir_arena arena = {0};                 all zero bits: empty
 *     weir_model_build(kind, &params, &arena, &graph);
 *     weir_arena_release(&arena);                    graph is gone
 *
 * An arena is used by one thread at a time.
 *
 * Growth.  A struct of these headers grows at its end, and zero is the default of a field that was added, so that a program and
 * a library of different versions work together.  A struct that a program makes carries its size (struct_bytes), which a
 * function named .._init sets, or its size is an argument: of a function named .._sized, which an inline function without that
 * ending passes, or of weir_graph_node, which takes the struct that the row has (op.h).  A smaller struct than the library's is taken with zeros for what is missing; of a larger one the bytes that the
 * library does not know must be zero, else they are named.  What the library fills in for a program it cuts or fills with zeros.
 * A field that is added begins where the struct ended before, by sizeof, and leaves no padding: what lies in padding has no value.
 * These keep their size as long as the number in libweir.so.N stays: weir_arena, weir_shape, weir_tensor, weir_rope,
 * weir_op_kernels, weir_graph_builder, weir_memory_report, weir_rank_memory, weir_data_encoder,
 * weir_checkpoint_source, weir_checkpoint_entry, weir_checkpoint_file, weir_checkpoint_piece, weir_checkpoint_tensor, weir_trace_row,
 * weir_wait_row, weir_flight_rank, weir_flight_wait, weir_flight_line, weir_plan_boundary, weir_ceilings, weir_layer_cut, and those
 * of schedule.h and simulate.h.  Arrays of a graph are read entry by entry (weir_graph_node_get and its like), a call by call.h.
 *
 * The log.  The library never prints on its own account; it logs, one line per message, on stderr or wherever the program
 * wants it.  The default level is WARN and can be changed with WEIR_LOG=error|warn|info|debug in the environment.  Nothing is
 * logged inside a step. */
#ifndef WEIR_COMMON_H
#define WEIR_COMMON_H

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

/* The chunks of an arena.  The program makes it, of all zero bits, and reads neither field; it stays as it is. */
struct weir_arena {
    struct weir_arena_chunk *head; /* newest chunk, NULL at first */
    size_t bytes;                  /* bytes held in all chunks */
};

/* Receives a text in pieces, in order; `text` has `bytes` bytes, no terminator, and is gone when the function returns. */
typedef void (*weir_text_fn)(void *context, const char *text, size_t bytes);

enum weir_log_level { WEIR_LOG_ERROR, WEIR_LOG_WARN, WEIR_LOG_INFO, WEIR_LOG_DEBUG };

/* Receives a message without a newline; `context` is what was given with the function. */
typedef void (*weir_log_fn)(enum weir_log_level level, const char *message, void *context);

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, "0.1.0". */
const char *weir_version(void);

/* "does not fit" for WEIR_ERR_NOFIT; never NULL. */
const char *weir_status_str(weir_status status);

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

/* Copy the message out with its marks, to move it to another thread, and set it verbatim there. */
void weir_error_take(char message_out[WEIR_ERROR_MAX]);
void weir_error_put(const char *message);

/* Free all that was built into an arena, which is empty and usable again. */
void weir_arena_release(struct weir_arena *arena);

/* Free what a function hands out as memory of the caller's own; NULL is fine. */
void weir_free(void *pointer);

/* Where log messages go: set before an engine is opened.  NULL restores stderr. */
void weir_log_set(weir_log_fn fn, void *context);
void weir_log_set_level(enum weir_log_level level);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#define WEIR_FAIL(status, ...) weir_error_record((status), __VA_ARGS__)

#endif
