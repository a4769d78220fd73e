/* What tells one set of samples from another, whatever its files are called. */
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/data/data.h"

enum { MOST_BYTES = 32 << 20 };

/* Each sample's hash is the seed of the next one's. */
static uint64_t samples_hash(const weir_data *data, char *input, size_t input_bytes, char *target, size_t target_bytes)
{
    const struct weir_data_info *info = weir_data_info(data);
    int64_t n = MOST_BYTES / (int64_t)(input_bytes + target_bytes) + 1;
    n = n < info->n_samples ? n : info->n_samples;
    uint64_t hash = weir_hash64(&info->n_samples, sizeof info->n_samples, 0);
    for (int64_t i = 0; i < n; i++) {
        bool good = !weir_data_read(data, i, 1, input, target);
        hash = good ? weir_hash64(target, target_bytes, weir_hash64(input, input_bytes, hash)) : weir_hash64("?", 1, hash);
    }
    weir_error_clear();
    return hash;
}

uint64_t weir_data_hash(const weir_data *data)
{
    const struct weir_data_info *info = weir_data_info(data);
    size_t input_bytes = weir_shape_bytes(&info->input), target_bytes = weir_shape_bytes(&info->target);
    char *room;
    if (weir_alloc(input_bytes + target_bytes, 1, &room))
        return 0;
    uint64_t hash = samples_hash(data, room, input_bytes, room + input_bytes, target_bytes);
    weir_free(room);
    return hash;
}
