/* The library's functions, as the plugin's sources call them: each goes on to what the library gave.  So the plugin has no
 * message, no budget of allocations and no log of its own. */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "engine/plugin/plugin_host.h"

const struct weir_plugin_host *weir_host;

weir_status weir_alloc(size_t count, size_t size, void *pointer_out)
{
    return weir_host->alloc(count, size, pointer_out);
}

weir_status weir_grow(void *items, size_t *capacity, size_t need, size_t size)
{
    return weir_host->grow(items, capacity, need, size);
}

void weir_free(void *pointer)
{
    weir_host->free(pointer);
}

weir_status weir_arena_alloc(struct weir_arena *arena, size_t count, size_t size, void *pointer_out)
{
    return weir_host->arena_alloc(arena, count, size, pointer_out);
}

void weir_arena_release(struct weir_arena *arena)
{
    weir_host->arena_release(arena);
}

/* Longer texts are cut, as the library cuts them. */
weir_status weir_error_record(weir_status status, const char *format, ...)
{
    char text[WEIR_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return weir_host->error_record(status, "%s", text);
}

weir_status weir_error_prefix(weir_status status, const char *format, ...)
{
    char text[WEIR_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return weir_host->error_prefix(status, "%s", text);
}

void weir_error_put(const char *message)
{
    weir_host->error_put(message);
}

void weir_error_take(char message_out[WEIR_ERROR_MAX])
{
    weir_host->error_take(message_out);
}

const char *weir_last_error(void)
{
    return weir_host->last_error();
}

const char *weir_status_str(weir_status status)
{
    return weir_host->status_str(status);
}

void weir_log(enum weir_log_level level, const char *format, ...)
{
    char text[WEIR_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    weir_host->log(level, "%s", text);
}

int64_t weir_clock_ns(void)
{
    return weir_host->clock_ns();
}

uint64_t weir_hash64(const void *data, size_t bytes, uint64_t seed)
{
    return weir_host->hash64(data, bytes, seed);
}

bool weir_parse_int64(const char *text, int64_t *value_out)
{
    return weir_host->parse_int64(text, value_out);
}

uint32_t weir_process_number(void)
{
    return weir_host->process_number();
}

weir_status weir_process_check(uint32_t number, const char *what)
{
    return weir_host->process_check(number, what);
}

weir_status weir_kernel_table_find(const struct weir_kernel_table *table, const struct weir_op *op,
                                   const struct weir_op_kernels *own, const struct weir_op_kernels **kernels_out)
{
    return weir_host->kernel_table_find(table, op, own, kernels_out);
}
