/* What tells one set of samples from another, whatever its files are called. */
#include "base/alloc.h"
#include "base/hash.h"
#include "include/weir/data.h"

enum { MOST_BYTES = 32 << 20 };

/* A sample that is no good (a token beyond the vocabulary, say) may never be trained on, and has a hash of its own. */
static weir_status sample_add(const weir_data *data, int64_t sample, char *input, size_t input_bytes, char *target,
                              size_t target_bytes, uint64_t *hash)
{
    weir_status status = weir_data_read(data, sample, 1, input, target);
    if (status == WEIR_ERR_INVALID) {
        weir_error_clear();
        *hash = weir_hash64("?", 1, *hash);
        return WEIR_OK;
    }
    if (!status)
        *hash = weir_hash64(target, target_bytes, weir_hash64(input, input_bytes, *hash));
    return status;
}

weir_status weir_data_hash(const weir_data *data, uint64_t *hash_out)
{
    const struct weir_data_info *info = weir_data_info(data);
    size_t input_bytes = weir_shape_bytes(&info->input), target_bytes = weir_shape_bytes(&info->target);
    int64_t n = MOST_BYTES / (int64_t)(input_bytes + target_bytes) + 1;
    uint64_t hash = weir_hash64(&info->n_samples, sizeof info->n_samples, 0);
    char *room;
    weir_status status = weir_alloc(input_bytes + target_bytes, 1, &room);
    if (status)
        return status;
    for (int64_t i = 0; i < n && i < info->n_samples && !status; i++)
        status = sample_add(data, i, room, input_bytes, room + input_bytes, target_bytes, &hash);
    weir_free(room);
    if (!status)
        *hash_out = hash;
    return status;
}
