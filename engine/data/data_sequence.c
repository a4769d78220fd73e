#include "include/weir/data.h"

#include <stdbool.h>

#include "base/rng.h"
#include "engine/data/data_source.h"

enum { FEISTEL_ROUNDS = 6 };

/* A permutation of [0, 4^half_bits): each round keeps one half and adds a function of it to the other. */
static uint64_t feistel(uint64_t value, int half_bits, uint64_t key, int64_t epoch)
{
    uint64_t mask = (1ull << half_bits) - 1, left = value >> half_bits, right = value & mask;
    for (uint32_t round = 0; round < FEISTEL_ROUNDS; round++) {
        struct weir_rng_block block =
            weir_rng_philox(key, (uint32_t)right, (uint32_t)epoch, (uint32_t)((uint64_t)epoch >> 32), round);
        uint64_t next = (left ^ block.v[0]) & mask;
        left = right;
        right = next;
    }
    return left << half_bits | right;
}

int64_t weir_data_sample(const weir_data *data, int64_t number)
{
    int64_t n = data->info.n_samples, epoch = number / n;
    int half_bits = 1;
    while (half_bits < 31 && (uint64_t)n > 1ull << 2 * half_bits)
        half_bits++;
    uint64_t place = (uint64_t)(number % n);
    /* less than four values per sample: leaving and coming back takes four rounds on average */
    do
        place = feistel(place, half_bits, data->seed, epoch);
    while (place >= (uint64_t)n);
    return (int64_t)place;
}

weir_status weir_data_read(const weir_data *data, int64_t first, int n, void *inputs_out, void *targets_out)
{
    if (first < 0 || n < 0 || first > INT64_MAX - n)
        return WEIR_FAIL(WEIR_ERR_INVALID, "cannot read %d samples from number %lld on", n, (long long)first);
    size_t input_bytes = weir_shape_bytes(&data->info.input), target_bytes = weir_shape_bytes(&data->info.target);
    char *input = inputs_out, *target = targets_out;
    weir_status status = WEIR_OK;
    for (int i = 0; i < n && !status; i++, input += input_bytes, target += target_bytes)
        status = data->sample_read(data, weir_data_sample(data, first + i), input, target);
    return status;
}

void weir_data_prefetch(const weir_data *data, int64_t first, int64_t n)
{
    if (!data->sample_want || first < 0 || n < 0 || first > INT64_MAX - n)
        return;
    for (int64_t i = 0; i < n; i++)
        data->sample_want(data, weir_data_sample(data, first + i));
}

int64_t weir_data_first(int64_t step, int replica, int n_replicas, int64_t samples_per_replica)
{
    int64_t first;
    bool fits = !__builtin_mul_overflow(step, n_replicas, &first) && !__builtin_add_overflow(first, replica, &first) &&
                !__builtin_mul_overflow(first, samples_per_replica, &first);
    return fits ? first : -1;
}

const struct weir_data_info *weir_data_info(const weir_data *data)
{
    return &data->info;
}

void weir_data_close(weir_data *data)
{
    if (data)
        data->close(data);
}
