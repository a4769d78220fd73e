/* Structs of programs that were compiled with other headers than this library.
 *
 * A public struct grows at its end, and zero is the default of a field that was added.  Whoever made the struct says how many
 * bytes it has; the library works on one of its own:
 *
 *     the program's is smaller    fields that it does not have are zero
 *     the program's is larger     fields that the library does not have must be zero
 *
 * In the other direction a program is given as much of a struct as it knows, and zeros where it knows more. */
#ifndef WEIR_BASE_GROWN_H
#define WEIR_BASE_GROWN_H

#include "base/status.h"

enum { WEIR_GROWN_MOST = 1 << 16 }; /* bytes of any version: what is beyond was never initialised */

/* Copy `given`, of `given_bytes`, into `own`.  `name` is the struct's, `init` says how it is begun.  WEIR_ERR_INVALID: there is
 * none, a size that no version has, or a field beyond `own_bytes` that is set, whose place is named; `own` is then all zero. */
weir_status weir_grown_take(const char *name, const char *init, const void *given, size_t given_bytes, void *own, size_t own_bytes);

/* The same of a struct that is there and does not carry its own size, and so may have any: attributes of a row. */
weir_status weir_grown_copy(const char *name, const void *given, size_t given_bytes, void *own, size_t own_bytes);

/* Copy `own` into `out`, of `out_bytes`. */
void weir_grown_give(const void *own, size_t own_bytes, void *out, size_t out_bytes);

/* The same for each of `n` items of an array. */
void weir_grown_give_all(const void *own, size_t own_bytes, size_t n, void *out, size_t out_bytes);

#endif
