/* Sizes of safetensors: shared by reader and writer. */
#ifndef WEIR_BASE_SAFETENSORS_DTYPE_H
#define WEIR_BASE_SAFETENSORS_DTYPE_H

#include "base/safetensors.h"

/* Bits of an element. */
unsigned weir_safetensors_bits(enum weir_safetensors_dtype dtype);

/* Elements and bits of a tensor; false when a dimension is negative or a product does not fit. */
bool weir_safetensors_size(enum weir_safetensors_dtype dtype, int n_dims, const int64_t *dims, int64_t *elements_out,
                           uint64_t *bits_out);

#endif
