#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static struct {
    weir_log_fn fn;
    void *context;
    int level; /* -1: not yet read from the environment */
} sink = {NULL, NULL, -1};

static int level_from_environment(void)
{
    const char *name = getenv("WEIR_LOG");
    for (int i = 0; name && i < 4; i++)
        if (!strcmp(name, level_names[i]))
            return i;
    return WEIR_LOG_WARN;
}

void weir_log(enum weir_log_level level, const char *format, ...)
{
    int limit = sink.level < 0 ? level_from_environment() : sink.level;
    if ((int)level > limit)
        return;
    char message[1024], shown[4 * sizeof message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    weir_printable(message, shown, sizeof shown);
    if (sink.fn)
        sink.fn(level, shown, sink.context);
    else
        fprintf(stderr, "weir: %s: %s\n", level_names[level], shown);
}

void weir_log_set(weir_log_fn fn, void *context)
{
    sink.fn = fn;
    sink.context = context;
}

void weir_log_set_level(enum weir_log_level level)
{
    sink.level = (int)level;
}
