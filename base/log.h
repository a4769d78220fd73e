/* Log: one line per message on stderr, or wherever the embedding program wants it.
 *
 * The library never prints on its own account; it logs.  The default level is WARN and can be changed with
 * WEIR_LOG=error|warn|info|debug in the environment.  Nothing is logged inside a step.  Threads: any. */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

enum weir_log_level { WEIR_LOG_ERROR, WEIR_LOG_WARN, WEIR_LOG_INFO, WEIR_LOG_DEBUG };

/* Receives a message without a newline; `context` is what was given with the function. */
typedef void (*weir_log_fn)(enum weir_log_level level, const char *message, void *context);

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* One line, in the format of printf and without a newline; above the level it is dropped. */
void weir_log(enum weir_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Set before threads are started.  NULL restores stderr. */
void weir_log_set(weir_log_fn fn, void *context);
void weir_log_set_level(enum weir_log_level level);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
