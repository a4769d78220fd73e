/* Dtypes and shapes of safetensors files: names and sizes. */
#ifndef WEIR_BASE_SAFETENSORS_DTYPE_H
#define WEIR_BASE_SAFETENSORS_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

/* name, bits of an element */
#define WEIR_SAFETENSORS_TABLE(X)                                                                                      \
    X(BOOL, 8) X(F4, 4) X(F6_E2M3, 6) X(F6_E3M2, 6) X(U8, 8) X(I8, 8) X(F8_E5M2, 8) X(F8_E4M3, 8) X(F8_E8M0, 8)        \
    X(F8_E4M3FNUZ, 8) X(F8_E5M2FNUZ, 8) X(I16, 16) X(U16, 16) X(F16, 16) X(BF16, 16) X(I32, 32) X(U32, 32) X(F32, 32)  \
    X(C64, 64) X(F64, 64) X(I64, 64) X(U64, 64)

#define WEIR_SAFETENSORS_ENUM(name, bits) WEIR_SAFETENSORS_##name,
enum weir_safetensors_dtype { WEIR_SAFETENSORS_TABLE(WEIR_SAFETENSORS_ENUM) WEIR_SAFETENSORS_DTYPES };
#undef WEIR_SAFETENSORS_ENUM

/* "BF16" */
const char *weir_safetensors_dtype_str(enum weir_safetensors_dtype dtype);

/* "(768, 2304)", into `text`; long shapes are cut. */
enum { WEIR_SAFETENSORS_SHAPE_TEXT = 192 };
const char *weir_safetensors_shape_str(int n_dims, const int64_t *dims, char text[WEIR_SAFETENSORS_SHAPE_TEXT]);

/* Bits of an element. */
unsigned weir_safetensors_bits(enum weir_safetensors_dtype dtype);

/* Elements and bits of a tensor; false when a dimension is negative or a product does not fit. */
bool weir_safetensors_size(enum weir_safetensors_dtype dtype, int n_dims, const int64_t *dims, int64_t *elements_out,
                           uint64_t *bits_out);

#endif
