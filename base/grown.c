#include "base/grown.h"

#include <string.h>

weir_status weir_grown_copy(const char *name, const void *given, size_t given_bytes, void *own, size_t own_bytes)
{
    memset(own, 0, own_bytes);
    if (given_bytes > WEIR_GROWN_MOST)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s of %zu bytes cannot be: give its sizeof", name, given_bytes);
    const char *bytes = given;
    for (size_t i = own_bytes; i < given_bytes; i++)
        if (bytes[i])
            return WEIR_FAIL(WEIR_ERR_INVALID, "%s has %zu bytes, this library knows %zu of them, and byte %zu is set: use a newer "
                                               "library, or leave that field zero", name, given_bytes, own_bytes, i);
    memcpy(own, given, given_bytes < own_bytes ? given_bytes : own_bytes);
    return WEIR_OK;
}

weir_status weir_grown_take(const char *name, const char *init, const void *given, size_t given_bytes, void *own, size_t own_bytes)
{
    memset(own, 0, own_bytes);
    if (!given)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no %s: it is NULL", name);
    if (given_bytes < sizeof(size_t) || given_bytes > WEIR_GROWN_MOST)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a %s of %zu bytes cannot be: %s", name, given_bytes, init);
    return weir_grown_copy(name, given, given_bytes, own, own_bytes);
}

void weir_grown_give(const void *own, size_t own_bytes, void *out, size_t out_bytes)
{
    size_t known = own_bytes < out_bytes ? own_bytes : out_bytes;
    memcpy(out, own, known);
    memset((char *)out + known, 0, out_bytes - known);
}

void weir_grown_give_all(const void *own, size_t own_bytes, size_t n, void *out, size_t out_bytes)
{
    for (size_t i = 0; i < n; i++)
        weir_grown_give((const char *)own + i * own_bytes, own_bytes, (char *)out + i * out_bytes, out_bytes);
}
