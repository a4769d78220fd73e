/* Hashing through xxHash (XXH3, 64 bit), the same on every machine: a seeded hash of a block; or of what comes part by part,
 * which is that of the whole with seed 0, however it was cut.
 *
 *     weir_hasher *hasher;
 *     weir_hasher_open(&hasher);
 *     weir_hasher_add(hasher, part, bytes);
 *     weir_hasher_value(hasher);                 of all that was added since the hasher was opened or restarted
 *     weir_hasher_close(hasher); */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct weir_hasher weir_hasher;

uint64_t weir_hash64(const void *data, size_t bytes, uint64_t seed);

weir_status weir_hasher_open(weir_hasher **hasher_out); /* WEIR_ERR_NOMEM */
void weir_hasher_restart(weir_hasher *hasher);
void weir_hasher_add(weir_hasher *hasher, const void *data, size_t bytes);
uint64_t weir_hasher_value(const weir_hasher *hasher);
void weir_hasher_close(weir_hasher *hasher); /* NULL is fine */

#endif
