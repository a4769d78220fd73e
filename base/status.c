#include "base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"

enum { OPTION_BEGIN = '\001', OPTION_END = '\002', NAME_MAX_BYTES = 128 };

static _Thread_local char last_error[WEIR_ERROR_MAX]; /* with marks */
static _Thread_local char last_words[WEIR_ERROR_MAX]; /* as weir_last_error() words it */

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

/* ---- options in a message ------------------------------------------------------------------------------------------ */

/* The option at `at`, which is behind its mark; returns what follows its end mark.  A cut message may lack that. */
static const char *option_split(const char *at, char *name, char *value, size_t room)
{
    size_t length = strcspn(at, "\002"), name_length = strcspn(at, "=\002");
    bool has_value = name_length < length;
    const char *text = at + name_length + has_value;
    snprintf(name, room, "%.*s", (int)name_length, at);
    snprintf(value, room, "%.*s", (int)(length - name_length - has_value), text);
    return at + length + (at[length] == OPTION_END);
}

void weir_error_word(weir_option_word_fn word, void *context, char text_out[WEIR_ERROR_MAX])
{
    size_t n = 0;
    const char *at = last_error;
    while (*at && n + 1 < WEIR_ERROR_MAX) {
        if (*at != OPTION_BEGIN) {
            text_out[n++] = *at++;
            continue;
        }
        char name[NAME_MAX_BYTES], value[NAME_MAX_BYTES];
        at = option_split(at + 1, name, value, sizeof name);
        text_out[n] = 0;
        word(context, name, value, text_out + n, WEIR_ERROR_MAX - n);
        n += strlen(text_out + n);
    }
    text_out[n] = 0;
}

size_t weir_error_option(size_t index, char *name_out, char *value_out, size_t room)
{
    size_t n = 0;
    for (const char *at = strchr(last_error, OPTION_BEGIN); at; at = strchr(at, OPTION_BEGIN), n++) {
        char name[NAME_MAX_BYTES], value[NAME_MAX_BYTES];
        at = option_split(at + 1, name, value, sizeof name);
        if (n != index)
            continue;
        snprintf(name_out, room, "%s", name);
        snprintf(value_out, room, "%s", value);
    }
    return n;
}

static void plain_word(void *context, const char *name, const char *value, char *out, size_t room)
{
    (void)context;
    snprintf(out, room, "%s%s%s", name, *value ? "=" : "", value);
}

const char *weir_last_error(void)
{
    weir_error_word(plain_word, NULL, last_words);
    return last_words;
}

/* ---- recording ----------------------------------------------------------------------------------------------------- */

/* The length of the option that begins at `text`, its marks included; 0: there is none.  A cut text may lack the end. */
static size_t option_length(const char *text, bool cut)
{
    size_t n = 1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (*text != OPTION_BEGIN || n == 1)
        return 0;
    if (text[n] == '=')
        n += strcspn(text + n, "\001\002");
    return text[n] == OPTION_END ? n + 1 : cut && !text[n] ? n : 0;
}

/* Options as they are, and all else as a terminal shows it: names of files are text of others. */
static void message_keep(char *text, bool cut, char *out, size_t room)
{
    size_t n = 0;
    while (*text && n + 1 < room) {
        size_t length = option_length(text, cut);
        if (length) {
            n += (size_t)snprintf(out + n, room - n, "%.*s", (int)length, text);
            n = n < room ? n : room - 1;
            text += length;
            continue;
        }
        length = 1 + strcspn(text + 1, "\001");
        char end = text[length];
        text[length] = 0;
        weir_printable(text, out + n, room - n);
        n += strlen(out + n);
        text[length] = end;
        text += length;
    }
    out[n] = 0;
}

static void message_make(char *out, size_t room, const char *format, va_list args)
{
    char text[WEIR_ERROR_MAX];
    int length = vsnprintf(text, sizeof text, format, args);
    message_keep(text, length >= (int)sizeof text, out, room);
}

weir_status weir_error_record(weir_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    message_make(last_error, sizeof last_error, format, args);
    va_end(args);
    return status;
}

weir_status weir_error_prefix(weir_status status, const char *format, ...)
{
    char tail[WEIR_ERROR_MAX];
    memcpy(tail, last_error, sizeof tail);
    va_list args;
    va_start(args, format);
    message_make(last_error, sizeof last_error, format, args);
    va_end(args);
    size_t used = strlen(last_error);
    snprintf(last_error + used, sizeof last_error - used, "%s", tail);
    return status;
}

void weir_error_clear(void)
{
    last_error[0] = 0;
}

void weir_error_take(char message_out[WEIR_ERROR_MAX])
{
    memcpy(message_out, last_error, sizeof last_error);
}

void weir_error_put(const char *message)
{
    snprintf(last_error, sizeof last_error, "%s", message);
}
