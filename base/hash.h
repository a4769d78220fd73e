/* Hashing through xxHash (XXH3, 64 bit): a seeded hash of a block, the same on every machine. */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t weir_hash64(const void *data, size_t bytes, uint64_t seed);

#endif
