#include "base/hash.h"

#include <xxhash.h>

#include "base/alloc.h"

struct weir_hasher {
    XXH3_state_t *state;
};

uint64_t weir_hash64(const void *data, size_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, bytes, seed);
}

weir_status weir_hasher_open(weir_hasher **hasher_out)
{
    weir_hasher *hasher;
    weir_status status = weir_alloc(1, sizeof *hasher, &hasher);
    if (status)
        return status;
    hasher->state = XXH3_createState();
    if (!hasher->state) {
        weir_free(hasher);
        return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a hash");
    }
    weir_hasher_restart(hasher);
    *hasher_out = hasher;
    return WEIR_OK;
}

void weir_hasher_restart(weir_hasher *hasher)
{
    XXH3_64bits_reset(hasher->state);
}

void weir_hasher_add(weir_hasher *hasher, const void *data, size_t bytes)
{
    XXH3_64bits_update(hasher->state, data, bytes);
}

uint64_t weir_hasher_value(const weir_hasher *hasher)
{
    return XXH3_64bits_digest(hasher->state);
}

void weir_hasher_close(weir_hasher *hasher)
{
    if (!hasher)
        return;
    XXH3_freeState(hasher->state);
    weir_free(hasher);
}
