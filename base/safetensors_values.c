/* Values as float32, and float32 rounded to narrower elements. */
#include "base/safetensors.h"

#include <inttypes.h>
#include <string.h>

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits (IEEE 754-2008, 3.6). */
static float from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ffu;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) /* subnormal: fraction times 2^-24 */
        return sign ? -(float)fraction * 0x1p-24f : (float)fraction * 0x1p-24f;
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

weir_status weir_safetensors_check_floats(const struct weir_safetensors *file,
                                          const struct weir_safetensors_tensor *tensor)
{
    if (tensor->dtype == WEIR_SAFETENSORS_F32 || tensor->dtype == WEIR_SAFETENSORS_F16 ||
        tensor->dtype == WEIR_SAFETENSORS_BF16)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s': tensor '%s' is %s, weights are read from F32, F16 and BF16", file->path,
                     tensor->name, weir_safetensors_dtype_str(tensor->dtype));
}

weir_status weir_safetensors_bytes(const struct weir_safetensors *file, const struct weir_safetensors_tensor *tensor,
                                   uint64_t at, size_t n, void *bytes_out)
{
    uint64_t all = tensor->end - tensor->begin, from = file->data_at + tensor->begin + at;
    if (at > all || n > all - at)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' has %" PRIu64 " bytes, %zu from %" PRIu64 " on are not there",
                         file->path, tensor->name, all, n, at);
    if (!file->bytes) {
        weir_status status = weir_ranged_read(&file->file, from, bytes_out, n);
        return status ? weir_error_prefix(status, "tensor '%s': ", tensor->name) : WEIR_OK;
    }
    if (n)
        memcpy(bytes_out, file->bytes + from, n);
    return WEIR_OK;
}

enum { HALVES = 4096 }; /* read at a time */

static weir_status halves_read(const struct weir_safetensors *file, const struct weir_safetensors_tensor *tensor,
                               int64_t first, int64_t n, float *values)
{
    uint16_t halves[HALVES];
    bool brain = tensor->dtype == WEIR_SAFETENSORS_BF16;
    for (int64_t at = 0; at < n; at += HALVES) {
        int64_t some = n - at < HALVES ? n - at : HALVES;
        weir_status status =
            weir_safetensors_bytes(file, tensor, 2 * (uint64_t)(first + at), (size_t)some * sizeof *halves, halves);
        if (status)
            return status;
        for (int64_t i = 0; i < some; i++)
            values[at + i] = brain ? from_bits((uint32_t)halves[i] << 16) : from_half(halves[i]);
    }
    return WEIR_OK;
}

weir_status weir_safetensors_floats(const struct weir_safetensors *file, const struct weir_safetensors_tensor *tensor,
                                    int64_t first, int64_t n, float *values)
{
    weir_status status = weir_safetensors_check_floats(file, tensor);
    if (status)
        return status;
    if (first < 0 || n < 0 || first > tensor->n_elements || n > tensor->n_elements - first)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' has %" PRId64 " elements, %" PRId64 " from %" PRId64
                         " on are not there", file->path, tensor->name, tensor->n_elements, n, first);
    if (tensor->dtype != WEIR_SAFETENSORS_F32)
        return halves_read(file, tensor, first, n, values);
    return weir_safetensors_bytes(file, tensor, (uint64_t)first * sizeof *values, (size_t)n * sizeof *values, values);
}

/* ---- rounding ------------------------------------------------------------------------------------------------------ */

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool is_nan(uint32_t bits)
{
    return (bits & 0x7fffffffu) > 0x7f800000u;
}

/* `value` / 2^shift, to the nearest, ties to even. */
static uint32_t shift_round(uint32_t value, unsigned shift)
{
    uint32_t half = 1u << (shift - 1), rest = value & ((1u << shift) - 1), whole = value >> shift;
    return whole + (rest > half || (rest == half && (whole & 1)));
}

static uint16_t to_brain(float value)
{
    uint32_t bits = to_bits(value);
    return (uint16_t)(is_nan(bits) ? bits >> 16 | 0x40 : shift_round(bits, 16));
}

static uint16_t to_half(float value)
{
    uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (is_nan(bits))
        return (uint16_t)(sign | 0x7e00u | (size >> 13 & 0x3ffu));
    if (size >= 0x47800000u) /* 2^16 and more */
        return (uint16_t)(sign | 0x7c00u);
    if (size >= 0x38800000u) /* from 2^-14 on; a carry goes into the exponent, and from the largest to infinity */
        return (uint16_t)(sign | (shift_round(size, 13) - (112u << 10)));
    if (size < 0x33000000u) /* less than half of 2^-24 */
        return (uint16_t)sign;
    uint32_t fraction = (size & 0x7fffffu) | 0x800000u; /* subnormal: times 2^(exponent - 150), wanted in units of 2^-24 */
    return (uint16_t)(sign | shift_round(fraction, 126 - (size >> 23)));
}

void weir_safetensors_round(enum weir_safetensors_dtype dtype, const float *values, size_t n, void *elements_out)
{
    uint16_t *halves = elements_out;
    if (dtype == WEIR_SAFETENSORS_F32)
        memcpy(elements_out, values, n * sizeof *values);
    else
        for (size_t i = 0; i < n; i++)
            halves[i] = dtype == WEIR_SAFETENSORS_BF16 ? to_brain(values[i]) : to_half(values[i]);
}
