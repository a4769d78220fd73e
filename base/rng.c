#include "base/rng.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"

uint64_t weir_rng_key(uint64_t seed, const char *name)
{
    return weir_hash64(name, strlen(name), seed);
}

float weir_rng_normal(uint64_t key, uint64_t element)
{
    /* one block serves two pairs: words 0,1 give elements 4k and 4k+1, words 2,3 give 4k+2 and 4k+3 */
    struct weir_rng_block b = weir_rng_philox(key, (uint32_t)(element / 4), (uint32_t)(element >> 34), 0, 0);
    int pair = (int)(element % 4) / 2 * 2;
    double radius = sqrt(-2.0 * log(weir_rng_unit_positive(b.v[pair])));
    double angle = 6.283185307179586 * (double)b.v[pair + 1] * 0x1p-32;
    return (float)(radius * (element % 2 ? sin(angle) : cos(angle)));
}
