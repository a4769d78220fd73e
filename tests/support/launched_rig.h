/* A test program as the processes of a run, started as `weir launch` does, without the command. */
#ifndef WEIR_LAUNCHED_RIG_H
#define WEIR_LAUNCHED_RIG_H

#include <stddef.h>

enum { LAUNCHED_MOST = 8 };

/* Run `program` with `argument` as `n` processes; what they print goes to `text`, their exit statuses to codes_out ([n]; 128 +
 * a signal's number).  Processes that run for more than `seconds` are killed.  Returns the highest code. */
int launched_run(const char *program, const char *argument, int n, int seconds, char *text, size_t room, int *codes_out);

#endif
