/* Log: one line per message, to where the program wants it (include/weir/common.h).  Threads: any. */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include "base/status.h"

/* One line, in the format of printf and without a newline; above the level it is dropped. */
void weir_log(enum weir_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
