#include "base/safetensors_dtype.h"

#include <inttypes.h>
#include <stdio.h>

const char *weir_safetensors_dtype_str(enum weir_safetensors_dtype dtype)
{
#define NAME(name, bits) #name,
    static const char *const names[] = {WEIR_SAFETENSORS_TABLE(NAME)};
#undef NAME
    return names[dtype];
}

unsigned weir_safetensors_bits(enum weir_safetensors_dtype dtype)
{
#define BITS(name, bits) bits,
    static const unsigned char all[] = {WEIR_SAFETENSORS_TABLE(BITS)};
#undef BITS
    return all[dtype];
}

const char *weir_safetensors_shape_str(int n_dims, const int64_t *dims, char text[WEIR_SAFETENSORS_SHAPE_TEXT])
{
    size_t used = (size_t)snprintf(text, WEIR_SAFETENSORS_SHAPE_TEXT, "(");
    for (int i = 0; i < n_dims && used < WEIR_SAFETENSORS_SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, WEIR_SAFETENSORS_SHAPE_TEXT - used, "%s%" PRId64, i ? ", " : "", dims[i]);
    if (used < WEIR_SAFETENSORS_SHAPE_TEXT)
        snprintf(text + used, WEIR_SAFETENSORS_SHAPE_TEXT - used, ")");
    return text;
}

bool weir_safetensors_size(enum weir_safetensors_dtype dtype, int n_dims, const int64_t *dims, int64_t *elements_out,
                           uint64_t *bits_out)
{
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(n, dims[i], &n))
            return false;
    *elements_out = n;
    return !__builtin_mul_overflow((uint64_t)n, (uint64_t)weir_safetensors_bits(dtype), bits_out);
}
