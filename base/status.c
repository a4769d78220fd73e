#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[WEIR_ERROR_MAX];

const char *weir_status_str(weir_status status)
{
#define STATUS_CASE(name, text, exit_code)                                                                             \
    case name:                                                                                                         \
        return text;
    switch (status) {
        WEIR_STATUS_TABLE(STATUS_CASE)
    case WEIR_STATUS_COUNT:
        break;
    }
#undef STATUS_CASE
    return "unknown status";
}

int weir_status_exit_code(weir_status status)
{
#define EXIT_CASE(name, text, exit_code)                                                                               \
    case name:                                                                                                         \
        return exit_code;
    switch (status) {
        WEIR_STATUS_TABLE(EXIT_CASE)
    case WEIR_STATUS_COUNT:
        break;
    }
#undef EXIT_CASE
    return 1;
}

const char *weir_last_error(void)
{
    return last_error;
}

weir_status weir_error_record(weir_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    return status;
}

weir_status weir_error_prefix(weir_status status, const char *format, ...)
{
    char tail[WEIR_ERROR_MAX];
    memcpy(tail, last_error, sizeof tail);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof last_error)
        snprintf(last_error + used, sizeof last_error - (size_t)used, "%s", tail);
    return status;
}

void weir_error_take(char message_out[WEIR_ERROR_MAX])
{
    memcpy(message_out, last_error, sizeof last_error);
}

void weir_error_put(const char *message)
{
    snprintf(last_error, sizeof last_error, "%s", message);
}
