#include "base/rng.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"

uint64_t weir_rng_key(uint64_t seed, const char *name)
{
    return weir_hash64(name, strlen(name), seed);
}

/* Numbers 4 quad .. 4 quad + 3: words 0,1 give the first two, words 2,3 the others. */
static void quad_make(uint64_t key, uint64_t quad, float out[4])
{
    struct weir_rng_block b = weir_rng_philox(key, (uint32_t)quad, (uint32_t)(quad >> 32), 0, 0);
    for (int pair = 0; pair < 4; pair += 2) {
        double radius = sqrt(-2.0 * log(weir_rng_unit_positive(b.v[pair])));
        double angle = 6.283185307179586 * (double)b.v[pair + 1] * 0x1p-32;
        out[pair] = (float)(radius * cos(angle));
        out[pair + 1] = (float)(radius * sin(angle));
    }
}

float weir_rng_normal(uint64_t key, uint64_t element)
{
    float quad[4];
    quad_make(key, element / 4, quad);
    return quad[element % 4];
}

void weir_rng_fill_normal(uint64_t key, uint64_t first, int64_t n, double scale, float *out)
{
    float quad[4];
    for (int64_t i = 0; i < n; i++) {
        uint64_t element = first + (uint64_t)i;
        if (i == 0 || element % 4 == 0)
            quad_make(key, element / 4, quad);
        out[i] = (float)((double)quad[element % 4] * scale);
    }
}
